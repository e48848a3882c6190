"""The MIDI music of Freedoom (Debian: freedoom; BSD-3-Clause), where its tempo is constant and its notes keep
to it."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

from llark.corpus.piece import Piece
from llark.corpus.songs import as_piece, varied
from llark.corpus.unusable import Unusable, draw

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
