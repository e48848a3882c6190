"""MTG-Jamendo: 55,609 full tracks of jamendo.com with tags of genre, instrument and mood or theme.

Layout checked against github.com/MTG/mtg-jamendo-dataset at 1b4fa8c (tables, splits, `scripts/commons.py`)
and against mirdata's loader of the mood/theme subset: all its 18,486 rows and its split-0 agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from llark.errors import UserMustAct
from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "55,609 full tracks under Creative Commons licences with 195 tags by the people who uploaded them: "
    "genre, instrument, mood or theme. The first table that is there is read: all tags, the 50 commonest, "
    "genre, instrument, mood. Tracks that split-0 leaves out, for the rarity of their tags, are the split "
    "`omitted`."
)

CITATION = ("bogdanov2019mtg",)

LICENCE = "CC-BY-NC-SA-4.0 (metadata); each track its own Creative Commons licence"

FILES = {
    "data/autotagging.tsv": "the tags; or autotagging_top50tags, _genre, _instrument or _moodtheme",
    "data/splits/split-0/autotagging-*.tsv": "train, validation and test of the same table",
    "data/raw.meta.tsv": "optional: names of track, artist and album, date, address",
    "audio_licenses.txt": "optional: each track's licence",
    "audio/00/1000.mp3": "the recordings, in `audio`, `raw_30s/audio`, `audio-low`, `raw_30s/audio-low` "
    "(1000.low.mp3) or the root",
}

WHERE = "github.com/MTG/mtg-jamendo-dataset"

SPLITS = ("train", "validation", "test", "omitted")

SPLITS_FROM = "the publisher's split-0; no artist is in two."

LABELS = ("genre", "instruments", "mood", "title", "artist", "album", "licence")

TABLES = (
    "autotagging", "autotagging_top50tags", "autotagging_genre", "autotagging_instrument",
    "autotagging_moodtheme",
)  # fmt: skip
_AUDIO = (
    "audio/", "raw_30s/audio/", "audios/", "autotagging_moodtheme/audio/", "autotagging-moodtheme/audio/",
    "audio-low/", "raw_30s/audio-low/", "autotagging_moodtheme/audio-low/",
    "autotagging-moodtheme/audio-low/", "",
)  # fmt: skip
_META_COLUMNS = 8
_CATEGORIES = ("genre", "instrument", "mood/theme")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a row; its id is the publisher's, `track_0000948`."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="mtg_jamendo")


def _rows(root: Root) -> Iterator[Row | Dropped]:
    path = root.need(*(f"data/{table}.tsv" for table in TABLES))
    splits = _splits(root, path.removeprefix("data/").removesuffix(".tsv"))
    path, meta, licences = _followed(root, path), _meta(root), _licences(root)
    for line, cells in enumerate(_lines(root, path), start=2):
        if len(cells) < 5 or not cells[0].startswith("track_"):
            yield reading.malformed(
                cells[0] or f"line {line}", f"Line {line} of {path} has {len(cells)} columns."
            )
            continue
        yield Row(cells[0], splits.get(cells[0], "omitted"), partial(_track, root, meta, licences, cells))


def _followed(root: Root, path: str) -> str:
    """The table. `autotagging.tsv` is a link in the publisher's repository, and some ways of copying it leave
    a file that holds the other file's name."""
    first = root.text(path).partition("\n")[0].strip()
    if first.startswith("TRACK_ID"):
        return path
    if first and root.has(f"data/{first}"):
        return f"data/{first}"
    raise UserMustAct(f"{root.full(path)} has no header line with TRACK_ID; it begins {first[:60]!r}.")


def _lines(root: Root, path: str) -> Iterator[list[str]]:
    """Rows under the header. Quotation marks in these tables are text."""
    for line in root.text(path).split("\n")[1:]:
        if line.strip():
            yield [cell.strip() for cell in line.split("\t")]


def _splits(root: Root, table: str) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split in SPLITS[:3]:
        for cells in _lines(root, root.need(f"data/splits/split-0/{table}-{split}.tsv")):
            splits.setdefault(cells[0], split)
    return splits


def _meta(root: Root) -> dict[str, list[str]]:
    path = root.first("data/raw.meta.tsv")
    rows = {}
    for cells in _lines(root, path) if path else ():
        if len(cells) == _META_COLUMNS + 1 and not cells[4]:
            del cells[4]  # two rows of the published table have a tab too many
        if len(cells) == _META_COLUMNS:
            rows[cells[0]] = cells
    return rows


def _licences(root: Root) -> dict[str, str]:
    """Path → address of the licence, from blocks of a path, a line of names and a line of the licence."""
    path = root.first("audio_licenses.txt")
    licences, current = {}, ""
    for line in root.text(path).splitlines() if path else ():
        if line.strip().endswith(".mp3") and "://" not in line:
            current = line.strip()
        elif line.startswith("Available under") and current:
            licences[current] = line.split()[-1]
    return licences


def _track(
    root: Root, named: Mapping[str, list[str]], licences: Mapping[str, str], cells: list[str]
) -> Track:
    """`named` is what `data/raw.meta.tsv` says by track id, `licences` are by path."""
    id_, artist_id, album_id, file, length, *tags = cells
    stem = file.removesuffix(".mp3")
    path = reading.recording(
        root, *(f"{folder}{name}" for folder in _AUDIO for name in (stem, f"{stem}.low"))
    )
    seconds = reading.number(length, "DURATION")
    by_category = _by_category([tag for tag in tags if tag])
    genre, instrument, mood = (by_category.get(category, []) for category in _CATEGORIES)
    meta = named.get(id_, [""] * _META_COLUMNS)
    metadata = {"artist_id": artist_id, "album_id": album_id, "release_date": meta[6], "url": meta[7]}
    return Track(
        id_,
        path,
        licence=licences.get(file) or LICENCE,
        title=meta[3] or None,
        artist=meta[4] or None,
        duration_seconds=seconds,
        group=artist_id,
        album=meta[5] or None,
        truth=reading.truth(
            id_,
            seconds,
            genre=reading.sure(genre, "mtg_jamendo"),
            instruments=reading.sure(instrument, "mtg_jamendo"),
            mood=reading.sure(mood, "mtg_jamendo"),
        ),
        metadata=reading.known({**metadata, **by_category}),
    )


def _by_category(tags: list[str]) -> dict[str, list[str]]:
    labels: dict[str, list[str]] = {}
    for tag in tags:
        category, dashes, label = tag.partition("---")
        if not dashes or not label:
            raise BadRow("malformed-row", f"A tag is {tag!r}; `category---tag` is wanted.")
        labels.setdefault(category, []).append(label)
    return labels
