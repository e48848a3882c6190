"""The open corpus: clips rendered from open symbolic music, with the truth beside each.

Sources: `mma` (accompaniment grooves under our own progressions and tunes), `music21` (folk tunes in ABC,
chorales, quartets), `freedoom` (game music as MIDI) and `builtin` (our own styles; needs no Debian package).
Pieces and styles, not clips, are divided into training (80 %), validation (8 %) and test (12 %); with
FluidSynth, test clips are played with a sound font that no other clip has heard: FluidR3 GM for training and
validation, MuseScore General for test.
"""

from __future__ import annotations

from llark.corpus.clips import read, render

__all__ = ["read", "render"]
