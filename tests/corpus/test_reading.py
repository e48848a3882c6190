"""A rendered corpus is read without the libraries that render one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROBE = """
import sys
for name in ("mido", "pretty_midi", "music21", "midirenderer"):
    sys.modules[name] = None
from llark import corpus
print([(track.id, truth.key.name) for track, truth in corpus.read(sys.argv[1])])
"""


def test_a_corpus_is_read_where_no_midi_library_is_installed(rendered: Path) -> None:
    from llark import corpus

    expected = [(track.id, truth.key.name) for track, truth in corpus.read(rendered)]
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(rendered)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(expected)
    assert len(expected) > 3
