"""Songs as MIDI files, such as game music: whole arrangements at one tempo, written on a grid."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from llark import engine
from llark.corpus import midi
from llark.corpus.piece import Part, Piece, Unusable, draw, recast, transpose
from llark.errors import UserMustAct

STEADY_SHARE = 0.8
"""At least this share of the notes must begin on a twelfth or an eighth of a beat (within 0.035 beats)."""
PHRASE_NOTES = 9
"""Notes of a phrase by which songs are known again."""


def as_piece(data: bytes, group: str, licence: str) -> Piece | None:
    """The song as a piece in quarter notes; `None` where its tempo or meter changes or its notes float
    free."""
    try:
        parts, tempos = midi.read(data)
    except ValueError:
        return None
    speeds = {round(bpm, 1) for _, bpm in tempos.bpm}
    meters = {(upper, lower) for _, upper, lower in tempos.signatures}
    if len(speeds) != 1 or len(meters) > 1 or not parts or not is_steady(parts):
        return None
    meter = {(4, 4): 4, (3, 4): 3, (2, 4): 2}.get(next(iter(meters), (0, 0)))
    bpm = speeds.pop()
    bounds = (max(45.0, bpm * 0.8), min(220.0, bpm * 1.2))
    if (meters and meter is None) or bounds[0] > bounds[1]:
        return None
    return Piece(
        parts=parts, length_beats=tempos.length_beats, group=group, meter=meter, slowest_bpm=bounds[0],
        fastest_bpm=bounds[1], licence=licence, about={"piece": group},
    )  # fmt: skip


def is_steady(parts: Sequence[Part]) -> bool:
    """Whether most notes begin on the grid that the tempo spans."""
    starts = [note.start for part in parts for note in part.notes]
    near = sum(min(abs(s * k - round(s * k)) / k for k in (8, 12)) < 0.035 for s in starts)
    on_beats = sum(abs(s - round(s)) < 0.035 for s in starts)
    return bool(starts) and near >= STEADY_SHARE * len(starts) and on_beats >= 0.2 * len(starts)


def varied(name: str, song: Piece, rng: Random) -> Piece:
    """A song, transposed by −4 to 4 semitones, some of its instruments changed. Its key and style stay
    unknown."""
    start = first_note(song)
    moved = transpose(replace(song, title=name), rng.randint(-4, 4))
    parts = tuple(part if part.is_drums or rng.random() < 0.5 else recast(part, rng) for part in moved.parts)
    parts = tuple(part.retimed(lambda time: time - start) for part in parts)
    return replace(moved, parts=parts, length_beats=moved.length_beats - start)


def first_note(song: Piece) -> float:
    """The bar line before the first note, in beats."""
    bar = song.beats_per_bar or 1
    first = min(note.start for part in song.parts for note in part.notes)
    return float(int(first // bar) * bar)


def phrases(song: Piece) -> frozenset[int]:
    """What a song is known again by in another key, file or mix: a hash of each nine notes in a row of a
    part, by their intervals in semitones and in quarters of a beat. Drums say nothing."""
    hashes: set[int] = set()
    for part in song.parts:
        if part.is_drums:
            continue
        notes = sorted((round(note.start * 4), note.pitch) for note in part.notes)
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(notes)]
        width = PHRASE_NOTES - 1
        hashes.update(hash(tuple(steps[i : i + width])) for i in range(len(steps) - width + 1))
    return frozenset(hashes)


# --- Freedoom ---------------------------------------------------------------------------------------------
# Debian: freedoom; BSD-3-Clause. Only its MIDI music whose tempo is constant and whose notes keep to it.

LICENCE = "BSD-3-Clause"
FOLDER = Path("/usr/share/games/doom")
WADS = ("freedoom1.wad", "freedoom2.wad")


def lumps(wad: bytes) -> dict[str, bytes]:
    """Name → bytes of every lump of a WAD archive. Raises `ValueError` for anything else."""
    if len(wad) < 12 or wad[:4] not in (b"IWAD", b"PWAD"):
        raise ValueError("not a WAD archive")
    count, directory = struct.unpack_from("<ii", wad, 4)
    lumps_by_name: dict[str, bytes] = {}
    for index in range(count):
        start, size, name = struct.unpack_from("<ii8s", wad, directory + 16 * index)
        lumps_by_name[name.rstrip(b"\0").decode("latin1")] = wad[start : start + size]
    return lumps_by_name


@functools.cache
def songs(folder: Path = FOLDER) -> tuple[tuple[str, Piece], ...]:
    """Every usable song once (both games share some), by the first name it has."""
    seen: dict[str, tuple[str, Piece]] = {}
    for wad in WADS:
        path = folder / wad
        for name, data in lumps(path.read_bytes()).items() if path.exists() else ():
            digest = hashlib.sha256(data).hexdigest()
            if data[:4] == b"MThd" and digest not in seen:
                song = as_piece(data, f"freedoom/{digest[:12]}", LICENCE)
                if song is not None:
                    seen[digest] = (name, song)
    return tuple(seen.values())


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A song in another key, some of its instruments changed."""
    pieces = songs()
    if not pieces:
        raise Unusable("no-songs", f"no steady MIDI song in {FOLDER}")
    return varied(*draw(lambda: rng.choice(pieces), lambda item: admits(item[1].group)), rng)


# --- a folder of one's own MIDI files: which are songs, and which are one song ------------------------------
# The files are read once, into a page beside the corpus; what is drawn is read again, one file at a time.

SUFFIXES = (".mid", ".midi")
UNKNOWN_LICENCE = "unknown"
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
        contents = {"files": self.files, "groups": dict(self.groups)}
        scratch = page.with_suffix(".tmp")
        scratch.write_text(json.dumps(contents, indent=0) + "\n", encoding="utf-8")
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
        return as_piece(path.read_bytes(), group, UNKNOWN_LICENCE)
    except OSError:
        return None


def catalogue(folder: Path, page: Path, known: Iterable[tuple[str, Piece]] = ()) -> Catalogue:
    """Reads every MIDI file below `folder`, or only `page`, where that was kept of the same files.

    A song that is one of `known` (name, piece), such as those of another source, takes its group.
    Raises `UserMustAct` where no file is a song: one tempo, at most one meter (2/4, 3/4 or 4/4), notes on
    the grid.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
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
    contents = json.loads(page.read_text(encoding="utf-8"))
    return contents["groups"] if contents["files"] == [list(file) for file in files] else None


def _grouped(folder: Path, names: list[str], known: Iterable[tuple[str, Piece]]) -> dict[str, str]:
    """Name → group of each song, those of one song under the name of the first."""
    owner: dict[int, str] = {}
    sizes: dict[str, int] = {}
    for _, other in known:
        _remember(other, other.group, owner, sizes)
    groups: dict[str, str] = {}
    with engine.Ticker("read MIDI", len(names)) as tick:
        for name in names:
            with contextlib.suppress(OSError, UnicodeEncodeError):  # a name that is no text is in no truth
                data = (folder / name.encode().decode()).read_bytes()
                song = as_piece(data, f"midi/{hashlib.sha256(data).hexdigest()[:12]}", UNKNOWN_LICENCE)
                if song is not None:
                    groups[name] = _remember(song, song.group, owner, sizes)
            tick(note=f"{len(groups)} are songs")
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
