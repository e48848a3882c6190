"""Other people's annotators behind the interface of ours: samples in, an `Annotation` out.

None is imported by default, none is installed with the package, and no fact of ours rests on them: they are
here to be measured against (`benchmarks/annotate.py --against`). Each file names its library, its licence,
the version it was written for, and the facts that it has.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from llark.errors import UserMustAct
from llark.music.names import pitch_class
from llark.records import PITCH_CLASSES, Annotation

Annotates = Callable[[np.ndarray, int, str], Annotation]
"""(mono samples [samples], samples a second, clip id) → the facts of the clip, in its own seconds."""


@dataclass(frozen=True)
class Other:
    """One alternative: `facts` are the fields of `Annotation` it fills; `licence` is what binds its user."""

    name: str
    licence: str
    facts: tuple[str, ...]
    install: str

    def load(self) -> Annotates:
        """Its function on samples. Raises `UserMustAct` where its library is missing."""
        try:
            module = importlib.import_module(f"others.{self.name}_facts")
            module.ready()
        except ImportError as error:
            raise UserMustAct(
                f"{self.name} is not installed ({error}). Its licence: {self.licence}. {self.install}"
            ) from error
        found: Annotates = module.annotate
        return found


OTHERS: Mapping[str, Other] = {
    other.name: other
    for other in (
        Other(
            "madmom",
            "code BSD-2-Clause, weights CC-BY-NC-SA-4.0: not for commercial use",
            ("tempo", "beats", "meter", "key", "chords"),
            "It needs a Python of its own, 3.9 at most: see docs/annotate-accuracy.md.",
        ),
        Other(
            "essentia",
            "AGPL-3.0-or-later",
            ("tempo", "beats", "key", "chords"),
            "pip install 'llark[essentia]'",
        ),
        Other("librosa", "ISC", ("tempo", "beats"), "pip install 'llark[librosa]'"),
    )
}


def chord_label(root: str, quality: str) -> str:
    """A root in any spelling and a quality → `C#:min`; `N` where there is no root."""
    try:
        return f"{PITCH_CLASSES[pitch_class(root)]}:{quality}"
    except ValueError:
        return "N"
