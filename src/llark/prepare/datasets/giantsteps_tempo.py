"""GiantSteps tempo: 664 previews of electronic dance music with their tempo, in two versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from llark.prepare.datasets._root import Root
from llark.prepare.datasets._rows import TEST, Row, known, malformed, number, recording, sure, tracks, truth
from llark.records import Dropped, Tempo, Track

ABOUT = (
    "664 previews of Beatport, nearly all 120 s long, with one tempo. Version 1 holds listeners' "
    "corrections in a forum; version 2, the default, was tapped in an experiment, gives the other tempo "
    "that was tapped, and says of three recordings that they have none. Both are kept as metadata, with the "
    "publisher's fold."
)

CITATION = """
@inproceedings{knees2015two,
  author = {Knees, Peter and Faraldo, {\\'A}ngel and Herrera, Perfecto and Vogl, Richard and
            B\\"ock, Sebastian and H\\"orschl\\"ager, Florian and Le Goff, Mickael},
  title = {Two data sets for tempo estimation and key detection in electronic dance music annotated from user
           corrections},
  booktitle = {International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2015}
}
@inproceedings{schreiber2018crowdsourced,
  author = {Schreiber, Hendrik and M\\"uller, Meinard},
  title = {A crowdsourced experiment for tempo estimation of electronic dance music},
  booktitle = {International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2018}
}
"""

LICENCE = "not stated (annotations); the audio is its labels', for research"

FILES = {
    "annotations/tempo/*.LOFI.bpm": "version 1",
    "annotations_v2/tempo/*.LOFI.bpm": "version 2; 0.0 is no tempo",
    "annotations_v2/mirex/*.LOFI.mirex": "optional: version 2 as slower and faster tempo, share of slower",
    "annotations/genre/*.LOFI.genre": "optional: the genre",
    "splits/fold01.txt": "optional: ten folds",
    "audio/*.LOFI.mp3": "the recordings",
}

WHERE = "github.com/GiantSteps/giantsteps-tempo-dataset"

SPLITS = (TEST,)

SPLITS_FROM = "published as one test set; the ten folds for cross-validation are metadata."

LABELS = ("tempo", "genre")

_FOLDERS = {1: "annotations/tempo", 2: "annotations_v2/tempo"}


def read_tracks(
    root: str | Path, split: str | None = None, *, version: Literal[1, 2] = 2
) -> Iterator[Track | Dropped]:
    """One track a tempo file of the version; its id is the file's name without suffix, `28952.LOFI`."""
    return tracks(_rows(Root(root), version), split, SPLITS)


def _rows(root: Root, version: int) -> Iterator[Row | Dropped]:
    folder, folds = root.need(_FOLDERS[version]), _folds(root)
    for name in root.files(folder, ".bpm"):
        id_ = name.removesuffix(".bpm")
        yield Row(id_, TEST, partial(_track, root, id_, version, folds))
    unheard = set(folds) - {name.removesuffix(".bpm") for name in root.files(folder, ".bpm")}
    for id_ in sorted(unheard):
        yield malformed(id_, f"{id_} is in a fold, and {folder} has no {id_}.bpm.")


def _folds(root: Root) -> dict[str, int]:
    """Id → the fold that it is tested in, 1 to 10."""
    found = {}
    for name in root.files("splits", ".txt"):
        fold = name.removeprefix("fold").removesuffix(".txt")
        if fold.isdigit():
            lines = root.text(f"splits/{name}").split()
            found.update({line.removesuffix(".mp3"): int(fold) for line in lines})
    return found


def _track(root: Root, id_: str, version: int, folds: Mapping[str, int]) -> Track:
    path = recording(root, f"audio/{id_}", f"wav/{id_}", id_)
    tempi = {number_: _bpm(root, f"{folder}/{id_}.bpm") for number_, folder in _FOLDERS.items()}
    slow, fast, share = _mirex(root, f"annotations_v2/mirex/{id_}.mirex")
    bpm = tempi[version]
    others = [other for other in (slow, fast) if version == 2 and bpm and other and other != bpm]
    tempo = Tempo(bpm, 1.0, f"giantsteps_tempo v{version}", others[0] if others else None) if bpm else Tempo()
    genre = f"annotations/genre/{id_}.genre"
    genres = [root.text(genre).strip()] if root.has(genre) else []
    metadata = {
        "tempo_v1": tempi[1],
        "tempo_v2": tempi[2],
        "slower_tempo_v2": slow,
        "faster_tempo_v2": fast,
        "slower_share_v2": share,
        "fold": folds.get(id_),
        "genre": genres,
    }
    return Track(
        id_,
        path,
        dataset="giantsteps_tempo",
        split=TEST,
        licence=LICENCE,
        truth=truth(id_, None, tempo=tempo, genre=sure(genres, "giantsteps_tempo")),
        metadata=known(metadata),
    )


def _bpm(root: Root, path: str) -> float | None:
    """The tempo in a file; `None` for no file, nothing, or 0."""
    return (number(root.text(path), path) or None) if root.has(path) else None


def _mirex(root: Root, path: str) -> tuple[float | None, float | None, float | None]:
    """Slower tempo, faster tempo, and how salient the slower one is (0 to 1)."""
    cells = root.text(path).split() if root.has(path) else []
    if len(cells) != 3:
        return None, None, None
    slow, fast, share = (number(cell, path) for cell in cells)
    return slow or None, fast or None, share if slow or fast else None
