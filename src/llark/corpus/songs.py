"""Songs as MIDI files, such as game music: whole arrangements at one tempo, written on a grid."""

from __future__ import annotations

import functools
import hashlib
import itertools
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from llark.corpus import midi
from llark.corpus.piece import Control, Note, Part, Piece, Unusable, draw, transpose
from llark.corpus.programs import vary

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
    parts = tuple(
        part
        if part.is_drums or rng.random() < 0.5
        else replace(part, program=vary(part.program, part.role, rng))
        for part in moved.parts
    )
    return _without_lead_in(replace(moved, parts=parts), start)


def first_note(song: Piece) -> float:
    """The bar line before the first note, in beats."""
    bar = song.beats_per_bar or 1
    first = min(note.start for part in song.parts for note in part.notes)
    return float(int(first // bar) * bar)


def _without_lead_in(song: Piece, start: float) -> Piece:
    parts = tuple(
        replace(
            part,
            notes=tuple(Note(n.start - start, n.end - start, n.pitch, n.velocity) for n in part.notes),
            controls=tuple(Control(max(0.0, c.start - start), c.number, c.value) for c in part.controls),
        )
        for part in song.parts
    )
    return replace(song, parts=parts, length_beats=song.length_beats - start)


def phrases(song: Piece) -> frozenset[int]:
    """What a song is known again by in another key, file or mix: a hash of each nine notes in a row of a
    part, by their intervals in semitones and in quarters of a beat. Drums say nothing."""
    found: set[int] = set()
    for part in song.parts:
        if part.is_drums:
            continue
        notes = sorted((round(note.start * 4), note.pitch) for note in part.notes)
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(notes)]
        width = PHRASE_NOTES - 1
        found.update(hash(tuple(steps[i : i + width])) for i in range(len(steps) - width + 1))
    return frozenset(found)


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
    found: dict[str, bytes] = {}
    for index in range(count):
        start, size, name = struct.unpack_from("<ii8s", wad, directory + 16 * index)
        found[name.rstrip(b"\0").decode("latin1")] = wad[start : start + size]
    return found


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
    found = songs()
    if not found:
        raise Unusable("no-songs", f"no steady MIDI song in {FOLDER}")
    return varied(*draw(lambda: rng.choice(found), lambda item: admits(item[1].group)), rng)
