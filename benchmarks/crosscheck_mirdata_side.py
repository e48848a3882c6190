"""The other side of `crosscheck_mirdata.py`: what mirdata's loaders say of files, as JSON on standard output.

It is run by a Python that has mirdata, and imports nothing of ours: `python crosscheck_mirdata_side.py LOADER
HOME INDEX`. INDEX is a JSON file in the form of mirdata's own indexes; a field that mirdata cannot read is
the name of the exception that it raised.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

Getters = Mapping[str, Callable[[Any], Any]]


def _genre(name: str) -> Callable[[Any], Any]:
    return lambda track: track.genres and track.genres[name]


def _tapped(track: Any) -> list[tuple[float, float]]:
    """(tempo, confidence) of version 2, slower first; a file without tempi is one that mirdata refuses."""
    return sorted(zip(track.tempo_v2.value.tolist(), track.tempo_v2.confidence.tolist(), strict=True))


def _notes(track: Any) -> list[tuple[float, float, float]]:
    if track.midi_path is None or track.notes is None:
        return []
    notes = track.notes
    return [
        (*span, pitch) for span, pitch in zip(notes.intervals.tolist(), notes.pitches.tolist(), strict=True)
    ]


TRACKS: Mapping[str, Getters] = {
    "giantsteps_key": {
        "key": lambda track: track.key.strip(),
        "artists": lambda track: track.artists,
        "genres": _genre("genres"),
        "sub-genres": _genre("sub_genres"),
        "shop's tempo": lambda track: track.tempo,
    },
    "giantsteps_tempo": {
        "genre": lambda track: track.genre,
        "tempo, version 1": lambda track: track.tempo.value.tolist()[0],
        "tempi, version 2": lambda track: [tempo for tempo, _ in _tapped(track)],
        "shares, version 2": lambda track: [share for _, share in _tapped(track)][:1],
    },
    "gtzan_genre": {
        "genre": lambda track: track.genre,
        "beats": lambda track: track.beats and track.beats.times.tolist(),
        "places in the bar": lambda track: (
            None if track.beats is None or track.beats.positions is None else track.beats.positions.tolist()
        ),
        "tempo": lambda track: track.tempo,
    },
    "medley_solos_db": {
        "subset": lambda track: track.subset,
        "instrument": lambda track: track.instrument,
        "song": lambda track: track.song_id,
    },
    "mtg_jamendo_autotagging_moodtheme": {
        "artist id": lambda track: track.artist_id,
        "album id": lambda track: track.album_id,
        "duration": lambda track: track.duration,
        "tags": lambda track: sorted(track.tags),
    },
    "medleydb_melody": {
        "title": lambda track: track.title,
        "artist": lambda track: track.artist,
        "genre": lambda track: track.genre,
        "excerpt": lambda track: track.is_excerpt,
        "instrumental": lambda track: track.is_instrumental,
    },
    "medleydb_pitch": {
        "genre": lambda track: track.genre,
        "instrument of the stem": lambda track: track.instrument,
    },
    "slakh": {
        "class": lambda track: track.instrument,
        "program's name": lambda track: track.midi_program_name,
        "program": lambda track: track.program_number,
        "plug-in": lambda track: track.plugin_name,
        "loudness": lambda track: track.integrated_loudness,
        "pitched notes": _notes,
    },
}

MIXTURES: Getters = {
    "split": lambda mixture: mixture.split,
    "UUID": lambda mixture: mixture.uuid,
    "Lakh file": lambda mixture: mixture.lakh_midi_dir,
    "gain": lambda mixture: mixture.overall_gain,
    "stems": lambda mixture: [name.partition("-")[2] for name in mixture.track_ids],
}


def said(getters: Getters, track: Any) -> dict[str, Any]:
    found = {}
    for field, get in getters.items():
        try:
            found[field] = get(track)
        except Exception as error:  # whatever another library raises is what is reported of it
            found[field] = {"raises": type(error).__name__}
    return found


def main(loader: str, home: str, index_path: str) -> None:
    module = importlib.import_module(f"mirdata.datasets.{loader}")
    with open(index_path, encoding="utf-8") as file:
        index = json.load(file)
    whole = object.__new__(module.Dataset)  # its constructor wants an index from the network
    whole.data_home = home
    metadata = lambda: whole._metadata  # noqa: E731
    rows = {
        name: said(TRACKS[loader], module.Track(name, home, loader, index, metadata))
        for name in index["tracks"]
    }
    for name in index.get("multitracks", {}):
        mixture = module.MultiTrack(name, home, loader, index, module.Track, metadata)
        rows[name] = said(MIXTURES, mixture)
    if loader == "mtg_jamendo_autotagging_moodtheme":
        for split, names in whole._metadata["splits"][0].items():
            for name in set(names) & set(rows):
                rows[name]["split-0"] = split
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:4])
