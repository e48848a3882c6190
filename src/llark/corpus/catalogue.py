"""A folder of one's own MIDI files as a source of the corpus: which are songs, and which are one song.

The files are read once, into a page beside the corpus; what is drawn is read again, one file at a time.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from llark import engine
from llark.corpus.piece import Piece, Unusable, draw
from llark.corpus.songs import as_piece, phrases, varied
from llark.errors import UserMustAct

SUFFIXES = (".mid", ".midi")
LICENCE = "unknown"
"""Of the files of a folder, as far as this package knows."""
SHARED = 0.15
"""Songs that share more than this of their phrases are one song: another file, version or mix of it."""
KEPT = 256
"""Files that a worker keeps read."""


@dataclass(frozen=True)
class Catalogue:
    """Song files below `folder`, and the group of each: a name that versions of one song share.

    `files` are all MIDI files there with their sizes in bytes.
    """

    folder: Path
    files: tuple[tuple[str, int], ...]
    groups: tuple[tuple[str, str], ...]

    def keep(self, page: Path) -> None:
        """Writes which files are songs, for `catalogue` to find."""
        said = {"files": self.files, "groups": dict(self.groups)}
        scratch = page.with_suffix(".tmp")
        scratch.write_text(json.dumps(said, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
        os.replace(scratch, page)

    def piece(self, rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
        """A song in another key, some of its instruments changed."""
        if not self.groups:
            raise Unusable("no-songs", f"no MIDI song of one tempo in {self.folder}")
        path, group = draw(lambda: rng.choice(self.groups), lambda item: admits(item[1]))
        song = _song(self.folder / path, group)
        if song is None:
            raise Unusable("changed", f"{path} is no longer the song that it was")
        return varied(Path(path).stem, song, rng)


@functools.lru_cache(KEPT)
def _song(path: Path, group: str) -> Piece | None:
    try:
        return as_piece(path.read_bytes(), group, LICENCE)
    except OSError:
        return None


def catalogue(folder: Path, page: Path, known: Iterable[tuple[str, Piece]] = ()) -> Catalogue:
    """Reads every MIDI file below `folder`, or only `page`, where that was kept of the same files.

    A song that is one of `known` (name, piece), such as those of another source, takes its group.
    Raises `UserMustAct` where no file is a song: one tempo, at most one meter (2/4, 3/4 or 4/4), notes on
    the grid.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in found)
    groups = _kept(page, files)
    if groups is None:
        groups = _grouped(folder, [name for name, _ in files], known)
    if not groups:
        raise UserMustAct(
            f"{folder} has {len(files)} MIDI files (.mid, .midi), none of which is a song of one tempo, at "
            "most one meter (2/4, 3/4 or 4/4) and notes that keep to the beat."
        )
    return Catalogue(folder, files, tuple(groups.items()))


def _kept(page: Path, files: tuple[tuple[str, int], ...]) -> dict[str, str] | None:
    if not page.exists():
        return None
    said = json.loads(page.read_text(encoding="utf-8"))
    groups: dict[str, str] = said["groups"]
    return groups if said["files"] == [list(file) for file in files] else None


def _grouped(folder: Path, names: list[str], known: Iterable[tuple[str, Piece]]) -> dict[str, str]:
    """Name → group of each song, those of one song under the name of the first."""
    owner: dict[int, str] = {}
    sizes: dict[str, int] = {}
    for _, other in known:
        _remember(other, other.group, owner, sizes)
    groups: dict[str, str] = {}
    with engine.Ticker("read MIDI", len(names)) as tick:
        for name in names:
            data = (folder / name).read_bytes()
            song = as_piece(data, f"midi/{hashlib.sha256(data).hexdigest()[:12]}", LICENCE)
            if song is not None:
                groups[name] = _remember(song, song.group, owner, sizes)
            tick()
    return groups


def _remember(song: Piece, group: str, owner: dict[int, str], sizes: dict[str, int]) -> str:
    """The group of the song that this one is a version of, or `group`, which later ones will find."""
    mine = phrases(song)
    votes = Counter(owner[phrase] for phrase in mine if phrase in owner)
    for other, count in votes.most_common(1):
        if count > SHARED * min(len(mine), sizes[other]):
            group = other
    for phrase in mine:
        owner.setdefault(phrase, group)
    sizes.setdefault(group, len(mine))
    return group
