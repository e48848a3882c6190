"""A synthesizer of PyPI parts and a folder of clips, made once for the whole room."""

from __future__ import annotations

from pathlib import Path

import pytest

from llark.corpus import clips
from llark.corpus.synth import Portable

CLIPS = 5
SEED = 3


@pytest.fixture(scope="session")
def portable() -> Portable:
    return Portable()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIPS clips of the built-in source, played by the renderer that needs no Debian package."""
    folder = tmp_path_factory.mktemp("corpus")
    clips.render(
        folder,
        clips=CLIPS,
        seed=SEED,
        sources=("builtin",),
        workers=0,
        renderer="midirenderer",
        progress=False,
    )
    return folder
