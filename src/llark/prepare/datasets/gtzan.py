"""GTZAN: 1,000 excerpts of 30 s in ten genres.

The collection has exact repeats, other excerpts of the same recordings and wrong labels. The fault-filtered
split keeps an artist in one part and leaves the worst out; it is the one that is read here.

Layout checked against mirdata's loader, github.com/TempoBeatDownbeat/gtzan_mini and gtzan_tempo_beat at
fd9cafd (all 999 beat and tempo files); the split, excerpt by excerpt, against the lists of its authors in
github.com/coreyker/dnn-mgr at bdad579.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Beats, Dropped, Tempo, Track

ABOUT = (
    "1,000 excerpts of 30 s, 100 in each of ten genres, without artists or titles. The 70 excerpts that the "
    "fault-filtered split leaves out are the split `omitted`. Tempo and beats are read where the separate "
    "annotation set gtzan_tempo_beat lies beside the audio."
)

CITATION = ("tzanetakis2002musical", "kereliuk2015deep")

LICENCE = "not stated; excerpts of commercial recordings, for research"

FILES = {
    "genres/*/*.00000.wav": "the excerpts, a folder a genre; `genres_original`, `gtzan_genre/genres` (as "
    "mirdata unpacks them), `gtzan_mini-main/genres` or the root itself will do in place of `genres`",
    "gtzan_tempo_beat-main/tempo/gtzan_*_00000.bpm": "optional: tempo",
    "gtzan_tempo_beat-main/beats/gtzan_*_00000.beats": "optional: beats and their place in the bar",
}

WHERE = "marsyas.info (GTZAN genre collection); github.com/TempoBeatDownbeat/gtzan_tempo_beat for the beats"

SPLITS = ("train", "validation", "test", "omitted")

SPLITS_FROM = "the fault-filtered split of Kereliuk, Sturm and Larsen (443, 197 and 290 excerpts)."

LABELS = ("genre", "tempo", "beats")

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")

_SPLIT_NUMBERS = {
    "train": {
        "blues": "29-49 73-97",
        "classical": "30-33 43-48 50-67 80-99",
        "country": "19-26 28-29 65-99",
        "disco": "5 15-20 22-37 39-45 47 49 53-54 56-57 59 61 70 73-74 89",
        "hiphop": "2-25 28-29 31-38 41-42 55-61 77-80",
        "jazz": "0-1 11-24 41 47-72",
        "metal": "2-3 5 21 24 35 46-57 59-66 69 71-72 79-80 84 86 89-99",
        "pop": "2-9 11-12 16-20 23-29 31-36 38-42 44 46 49-50 80 97-99",
        "reggae": "0-2 4 6 9 11-12 14-32 42-45 49-51 54-60 63 69",
        "rock": "0-9 16-26 57-70 91-99",
    },
    "validation": {
        "blues": "0-11 50-60",
        "classical": "0-10 68-76",
        "country": "0-7 9-18 27 41-42 45 49",
        "disco": "0 2-4 6-14 46 48 52 67-68 72 75 90 95",
        "hiphop": "81-98",
        "jazz": "2-10 25-32",
        "metal": "0-1 6-11 16-20 36-37 68 76-77 81-82",
        "pop": "10 53 55 58-62 81 83-86",
        "reggae": "61-62 70 72 74 76-78 85 92-99",
        "rock": "38 49-56 71-85",
    },
    "test": {
        "blues": "12-28 61-72 98-99",
        "classical": "11-29 34-41 49 77-79",
        "country": "30-40 43-44 46-48 50-51 53-64",
        "disco": "1 21 58 62-66 69 76-88 91-94 96-97 99",
        "hiphop": "0 26-27 30 40 43-45 51-54 62-75 99",
        "jazz": "73-99",
        "metal": "12-15 22-23 25-33 38-39 67 70 73-75 78 83 85 87-88",
        "pop": "0-1 13-14 43 63-66 69-79 82 88-96",
        "reggae": "34-40 46-48 52-53 64-68 71 79 82-84 87-90",
        "rock": "10-15 27-37 39-48 86-90",
    },
}
_EXCERPTS = 100


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """All 1,000 excerpts: those that are not there are drops, `missing-audio`."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="gtzan", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row]:
    folder = root.need(*_FOLDERS).removesuffix("blues")
    for genre in GENRES:
        for index in range(_EXCERPTS):
            id_ = f"{genre}.{index:05d}"
            yield Row(id_, split_of_excerpt(genre, index), partial(_track, root, folder, genre, index))


def _track(root: Root, folder: str, genre: str, index: int) -> Track:
    id_ = f"{genre}.{index:05d}"
    path = reading.recording(root, f"{folder}/{genre}/{id_}".removeprefix("/"))
    tempo, beats = _tempo(root, genre, index), _beats(root, genre, index)
    facts = reading.truth(id_, None, genre=reading.sure([genre], "gtzan"), tempo=tempo, beats=beats)
    return Track(id_, path, truth=facts, metadata=reading.known({"genre": genre}))


def split_of_excerpt(genre: str, index: int) -> str:
    """The part of the fault-filtered split that an excerpt is in; `omitted`: in none."""
    return _splits().get((genre, index), "omitted")


@cache
def _splits() -> dict[tuple[str, int], str]:
    return {
        (genre, index): name
        for name, genres in _SPLIT_NUMBERS.items()
        for genre, ranges in genres.items()
        for index in reading.in_ranges(ranges)
    }


def _tempo(root: Root, genre: str, index: int) -> Tempo:
    path = root.first(*(f"{base}tempo/gtzan_{genre}_{index:05d}.bpm" for base in _BEAT_FOLDERS))
    bpm = reading.number(root.text(path), path) if path else None
    return Tempo(bpm, 1.0, "gtzan_tempo_beat") if bpm else Tempo()


def _beats(root: Root, genre: str, index: int) -> Beats:
    path = root.first(*(f"{base}beats/gtzan_{genre}_{index:05d}.beats" for base in _BEAT_FOLDERS))
    if path is None:
        return Beats()
    cells = [line.split() for line in root.text(path).splitlines() if line.strip()]
    try:
        times = tuple(float(row[0]) for row in cells)
        positions = tuple(int(float(row[1])) for row in cells if len(row) > 1)
    except (ValueError, OverflowError) as error:
        raise BadRow("malformed-row", f"{path} is not lines of a time and a place in the bar.") from error
    if not all(map(math.isfinite, times)):
        raise BadRow("malformed-row", f"{path} holds a time that is no number.")
    whole_bars = positions if len(positions) == len(times) else ()
    return Beats(times, whole_bars, 1.0, "gtzan_tempo_beat") if times else Beats()


_FOLDERS = ("genres", "genres_original", "gtzan_genre/genres", "gtzan_mini-main/genres", "blues")
_BEAT_FOLDERS = ("gtzan_tempo_beat-main/", "gtzan_tempo_beat/", "")
