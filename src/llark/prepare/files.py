"""Audio files, and the audio files in folders, as tracks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from llark.audio import AUDIO_SUFFIXES
from llark.errors import UserMustAct
from llark.records import Track


def read_tracks(paths: Iterable[str | Path]) -> list[Track]:
    """The recordings that the paths name, sorted by id.

    A file is taken whatever its suffix; of a folder, at any depth, the files whose suffix is known, but no
    hidden ones. The id is the path below the folder without its suffix, made unique where two are the same;
    it names the recording and says nothing else. A file reached twice is one track.

    Raises:
        UserMustAct: A path does not exist, a folder holds no audio, or a name is not text.
    """
    found: dict[Path, str] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(_audio_files(path))
            if not inside:
                raise UserMustAct(f"The folder {path} holds no audio file ({', '.join(AUDIO_SUFFIXES)}).")
            names = [file.relative_to(path) for file in inside]
        elif path.exists():
            inside, names = [path], [Path(path.name)]
        else:
            raise UserMustAct(f"There is no file or folder {path}.")
        for file, name in zip(inside, names, strict=True):
            found.setdefault(Path(os.path.abspath(file)), name.as_posix())
    tracks = [Track(id=id_, path=str(file)) for file, id_ in _unique_ids(found).items()]
    return sorted(tracks, key=lambda track: track.id)


def fingerprint(tracks: Iterable[Track]) -> str:
    """Changes when a track is added, taken away or replaced by a file of another size."""
    digest = hashlib.sha256()
    for track in tracks:
        size = Path(track.path).stat().st_size if Path(track.path).exists() else -1
        digest.update(f"{track.id}\0{size}\n".encode())
    return digest.hexdigest()


def _audio_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(parent, name)


def _unique_ids(names: dict[Path, str]) -> dict[Path, str]:
    """An id for each file: its name without suffix; with suffix, or a number, where that is taken."""
    ids: dict[Path, str] = {}
    taken: set[str] = set()
    for file, name in sorted(names.items(), key=lambda item: (item[1], str(item[0]))):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UserMustAct(
                f"The name of {os.fsencode(file)!r} is not UTF-8 text; rename the file."
            ) from error
        stem = name.removesuffix(Path(name).suffix)
        choices = (stem, name, *(f"{name}#{number}" for number in range(2, len(names) + 2)))
        ids[file] = next(choice for choice in choices if choice not in taken)
        taken.add(ids[file])
    return ids
