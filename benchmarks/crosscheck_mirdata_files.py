"""The files that `crosscheck_mirdata.py` has read by both sides."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path("build/crosscheck")
MOODTHEME = "mtg_jamendo_autotagging_moodtheme"

TREE, RESOURCES, BABY, PUBLISHER = "our tree", "mirdata's", "mirdata's, BabySlakh", "publisher's"


@dataclass(frozen=True)
class Case:
    """One set of files. `home` is the root for mirdata, where it is another one than ours; `paths` says where
    the files of a track lie, by its id (`{under}`: with `_` for dots)."""

    name: str
    loader: str
    files: str
    root: Path
    home: Path | None = None
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: str = "1.0"


KEY = {
    "key": ("keys_gs+/{id}.txt", "annotations/key/{id}.key"),
    "meta": ("meta/{id}.json",),
}
TEMPO = {
    "annotation_v1": ("annotations/jams/{id}.jams", "giantsteps-tempo-dataset*/annotations/jams/{id}.jams"),
    "annotation_v2": (
        "annotations_v2/jams/{id}.jams",
        "giantsteps-tempo-dataset*/annotations_v2/jams/{id}.jams",
    ),
}
BEATS = {
    "beats": ("gtzan_tempo_beat-main/beats/gtzan_{under}.beats",),
    "tempo": ("gtzan_tempo_beat-main/tempo/gtzan_{under}.bpm",),
}
MELODY: Mapping[str, tuple[str, ...]] = dict.fromkeys(("melody1", "melody2", "melody3"), ())
PITCH: Mapping[str, tuple[str, ...]] = dict.fromkeys(("pitch", "notes_pyin"), ())


def tree_cases() -> Iterator[Case]:
    """Our trees, with what mirdata wants elsewhere put there too."""
    sys.path.insert(0, str(ROOT))
    from tests.prepare.datasets.dataset_trees import TREES

    def made(name: str, inside: str = "") -> Path:
        root = FOLDER / "trees" / name
        TREES[name](root / inside)
        return root

    yield Case("giantsteps_key", "giantsteps_key", TREE, made("giantsteps_key"), paths=KEY)
    yield Case("giantsteps_tempo", "giantsteps_tempo", TREE, made("giantsteps_tempo"), paths=TEMPO)
    yield Case("gtzan", "gtzan_genre", TREE, made("gtzan"), paths=BEATS)
    root = made("medley_solos_db")
    (root / "annotation").mkdir()
    shutil.copy(root / "Medley-solos-DB_metadata.csv", root / "annotation")
    yield Case("medley_solos_db", "medley_solos_db", TREE, root)
    root = made("mtg_jamendo")
    for path in [*root.glob("data/*.tsv"), *root.glob("data/splits/*/*.tsv")]:
        whole = [
            line for line in path.read_text().splitlines(True) if line.count("\t") > 4 or "raw" in path.name
        ]
        path.write_text("".join(whole))  # one row of the tree is too short, and ends mirdata's loading
        path.rename(path.with_name(path.name.replace("autotagging", "autotagging_moodtheme")))
    for number in range(1, 5):
        shutil.copytree(root / "data/splits/split-0", root / f"data/splits/split-{number}")
    yield Case("mtg_jamendo", MOODTHEME, TREE, root)
    root = made("slakh", "slakh2100_flac_redux")
    yield Case("slakh", "slakh", TREE, root, version="2100-redux")


def resource_cases(folder: Path) -> Iterator[Case]:
    """The files in mirdata's tests."""
    yield Case("giantsteps_key", "giantsteps_key", RESOURCES, folder / "giantsteps_key", paths=KEY)
    yield Case("giantsteps_tempo", "giantsteps_tempo", RESOURCES, folder / "giantsteps_tempo", paths=TEMPO)
    yield Case("gtzan", "gtzan_genre", RESOURCES, folder / "gtzan_genre", paths=BEATS)
    yield Case("medley_solos_db", "medley_solos_db", RESOURCES, folder / "medley_solos_db")
    yield Case("mtg_jamendo", MOODTHEME, RESOURCES, folder / MOODTHEME)
    redux, baby = folder / "slakh/slakh2100_flac_redux", folder / "slakh/babyslakh_16k"
    yield Case("slakh", "slakh", RESOURCES, redux, home=_linked("redux", redux), version="2100-redux")
    yield Case("slakh", "slakh", BABY, baby, home=_linked("baby", baby), version="baby")


def _linked(name: str, folder: Path) -> Path:
    """A folder that holds a link to the folder alone."""
    home = FOLDER / "links" / name
    home.mkdir(parents=True)
    (home / folder.name).symlink_to(folder.resolve())
    return home


def publisher_cases(clones: Path, resources: Path | None) -> Iterator[Case]:
    """Whole annotation sets, with an empty file for each recording."""
    key = _root("giantsteps_key", clones / "giantsteps-key-dataset", "annotations")
    _recordings(key, (f"audio/{path.stem}.mp3" for path in (key / "annotations/key").iterdir()))
    yield Case("giantsteps_key", "giantsteps_key", PUBLISHER, key, paths=KEY)
    tempo = _root("giantsteps_tempo", clones / "giantsteps-tempo-dataset", "annotations", "annotations_v2")
    _recordings(tempo, (f"audio/{path.stem}.mp3" for path in (tempo / "annotations/tempo").iterdir()))
    yield Case("giantsteps_tempo", "giantsteps_tempo", PUBLISHER, tempo, paths=TEMPO)
    beats = _root("gtzan", clones)
    (beats / "gtzan_tempo_beat-main").symlink_to((clones / "gtzan_tempo_beat").resolve())
    names = [path.stem.split("_")[1:] for path in (beats / "gtzan_tempo_beat-main/tempo").iterdir()]
    _recordings(beats, (f"genres/{genre}/{genre}.{number}.wav" for genre, number in names))
    yield Case("gtzan", "gtzan_genre", PUBLISHER, beats, paths=BEATS)
    tags = _root("mtg_jamendo", clones / "mtg-jamendo-dataset/data", "splits")
    (tags / "data").mkdir()
    (tags / "splits").rename(tags / "data/splits")
    shutil.copy(clones / "mtg-jamendo-dataset/data/autotagging_moodtheme.tsv", tags / "data")
    rows = (tags / "data/autotagging_moodtheme.tsv").read_text().splitlines()[1:]
    _recordings(tags, (f"audio/{row.split(chr(9))[3]}" for row in rows))
    yield Case("mtg_jamendo", MOODTHEME, PUBLISHER, tags)
    if resources is not None:
        yield from _medleydb_cases(clones / "medleydb/medleydb/data", resources)


def _medleydb_cases(data: Path, resources: Path) -> Iterator[Case]:
    """The publisher's metadata files beside the tables that mirdata reads."""
    root = _root("medleydb", data, "Metadata")
    ids = [path.name.removesuffix("_METADATA.yaml") for path in (root / "Metadata").iterdir()]
    _recordings(root, (f"Audio/{id_}/{id_}_MIX.wav" for id_ in ids))
    for loader, paths in (("medleydb_melody", MELODY), ("medleydb_pitch", PITCH)):
        yield Case("medleydb", loader, PUBLISHER, root, home=resources / loader, paths=paths)


def _root(name: str, clone: Path, *links: str) -> Path:
    root = FOLDER / "publishers" / name
    root.mkdir(parents=True)
    for link in links:
        (root / link).symlink_to((clone / link).resolve())
    return root


def _recordings(root: Path, names: Iterator[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
