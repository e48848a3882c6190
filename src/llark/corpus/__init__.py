"""The open corpus: clips rendered from open symbolic music, with the truth beside each.

Sources: `mma` (accompaniment grooves under our own progressions and tunes), `music21` (folk tunes in ABC,
chorales, quartets), `freedoom` (game music as MIDI) and `builtin` (our own styles; needs no Debian package).
Pieces and styles, not clips, are divided into training (80 %), validation (8 %) and test (12 %); with
FluidSynth, test clips are played with a sound font that no other clip uses: FluidR3 GM for training and
validation, MuseScore General for test.

`clips.render` makes a corpus and needs the extra `corpus`; `read`, here, needs nothing but the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from typing_extensions import TypedDict

from llark.errors import UserMustAct
from llark.records import Annotation, Track
from llark.storage.folders import read_json


def read(folder: str | Path) -> Iterator[tuple[Track, Annotation]]:
    """Every finished clip of a corpus with its truth, by id. Paths are those of the folder as it lies now.

    Raises `UserMustAct` where there is no corpus.
    """
    audio = Path(folder) / "audio"
    if not audio.is_dir():
        raise UserMustAct(f"{folder} holds no corpus: it has no folder audio. Run `llark corpus` first.")
    for sidecar in sorted(audio.glob("*.json")):
        yield read_sidecar(sidecar)


def read_sidecar(sidecar: Path) -> tuple[Track, Annotation]:
    """One clip, from the file of its truth that lies beside its sound."""
    page = read_json(Sidecar, sidecar.read_bytes(), sidecar)
    return replace(page["track"], path=str(sidecar.with_suffix(".ogg"))), page["truth"]


class Sidecar(TypedDict):
    """What is read of the file beside a clip."""

    track: Track
    truth: Annotation
