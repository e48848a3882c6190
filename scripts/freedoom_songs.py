"""Writes every MIDI file that Freedoom ever had, from a clone of its repository: music for `llark corpus`.

    git clone https://github.com/freedoom/freedoom
    python scripts/freedoom_songs.py freedoom SONGS
    llark corpus CORPUS --midi SONGS

Songs were replaced over twenty years: the history has about three times those of the last release. All are
under Freedoom's licence (BSD-3-Clause). Files are named by git's hash of what is in them.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

LINE = "--format= --raw --no-abbrev --no-renames"


def blobs(repository: Path) -> list[str]:
    """The hashes of all contents that any file *.mid had on any branch."""
    said = _git(repository, "log", "--all", *LINE.split(), "--", "*.mid", "*.MID").decode()
    found = {field for line in said.splitlines() for field in line.split()[2:4]}
    return sorted(name for name in found if name.strip("0"))


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(("git", "-C", str(repository), *arguments), check=True, capture_output=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = blobs(options.repository)
    for name in names:
        data = _git(options.repository, "cat-file", "blob", name)
        (options.out / f"{name}.mid").write_bytes(data)
    print(f"{len(names)} files")


if __name__ == "__main__":
    main()
