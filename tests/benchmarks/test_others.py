"""Other people's annotators behind our interface: spelling, what is missing, a process that answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import others
import pytest
from others import OTHERS, essentia_facts, madmom_facts

from llark.errors import BadAudio, UserMustAct
from llark.records import ChordSpan

RATE = 22_050

FAKE_MADMOM = """#!{python}
import json, sys
print("ready", flush=True)
for number, line in enumerate(sys.stdin):
    import soundfile
    samples, rate = soundfile.read(line.strip())
    if number == 1:
        print(json.dumps({{"error": "ValueError: too short"}}), flush=True)
        continue
    if number == 2:
        sys.exit(1)
    print(json.dumps({{
        "tempo": 119.987, "strength": 0.6, "beats": [[0.5, 2], [1.0, 3], [1.5, 1]], "key": "Db major",
        "key_probability": 0.7, "chords": [[0.0, 1.0, "N"], [1.0, len(samples) / rate, "G#:min"]],
        "seconds": 1.5,
    }}), flush=True)
"""


def clicks(seconds: float = 10.0) -> np.ndarray:
    """A chord of A major struck twice a second."""
    time = np.arange(round(RATE * seconds)) / RATE
    struck = np.exp(-6 * (time % 0.5)) * np.minimum(1, (time % 0.5) * 400)
    sound = sum(np.sin(2 * np.pi * hertz * time) for hertz in (110.0, 220.0, 277.18, 329.63))
    return (0.1 * struck * sound).astype(np.float32)


@pytest.fixture
def fake_madmom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An interpreter that answers as madmom's process does: once well, once with a refusal, then no more."""
    python = tmp_path / "python"
    python.write_text(FAKE_MADMOM.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setenv(madmom_facts.PYTHON, str(python))
    madmom_facts._process.cache_clear()
    yield
    madmom_facts._process().kill()
    madmom_facts._process().wait()
    madmom_facts._process.cache_clear()


def test_chords_are_spelled_as_ours() -> None:
    assert others.chord_label("G#", "min") == "Ab:min"
    assert others.chord_label("N", "") == "N"


def test_a_label_a_frame_becomes_spans_that_end_with_the_clip() -> None:
    found = essentia_facts.as_chords(["A", "A", "C#m", "C#m", "A"], 0.5, 2.2)
    assert found.spans == (
        ChordSpan(0.0, 1.0, "A:maj"), ChordSpan(1.0, 2.0, "C#:min"), ChordSpan(2.0, 2.2, "A:maj"),
    )  # fmt: skip


def test_madmoms_process_is_asked_over_a_pipe_and_its_refusals_are_bad_audio(fake_madmom: None) -> None:
    annotate = OTHERS["madmom"].load()
    found = annotate(clicks(2.0), RATE, "a")
    assert (found.tempo.bpm, found.meter.beats_per_bar, found.key.name) == (119.99, 3, "C# major")
    assert found.beats.downbeats_seconds == (1.5,)
    assert found.chords.spans == (ChordSpan(0.0, 1.0, "N"), ChordSpan(1.0, 2.0, "Ab:min"))
    with pytest.raises(BadAudio, match="too short"):
        annotate(clicks(2.0), RATE, "b")
    with pytest.raises(BadAudio, match="its process ended"):
        annotate(clicks(2.0), RATE, "c")


def test_what_is_missing_is_told_with_its_licence_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    madmom_facts._process.cache_clear()
    monkeypatch.setenv(madmom_facts.PYTHON, "/no/such/python")
    with pytest.raises(UserMustAct, match=r"CC-BY-NC-SA.*docs/annotate-accuracy\.md"):
        OTHERS["madmom"].load()
    monkeypatch.setitem(sys.modules, "essentia", None)
    with pytest.raises(UserMustAct, match=r"AGPL.*pip install 'llark\[essentia\]'"):
        OTHERS["essentia"].load()


@pytest.mark.parametrize("name", ["essentia", "librosa"])
def test_the_real_library_hears_the_tempo_of_struck_chords(name: str) -> None:
    pytest.importorskip(name)
    found = OTHERS[name].load()(clicks(), RATE, "a")
    assert found.tempo.bpm == pytest.approx(120, rel=0.03)
    assert np.diff(found.beats.times_seconds) == pytest.approx(0.5, abs=0.05)
    if "key" in OTHERS[name].facts:
        assert found.key.name == "A major"
        assert max(found.chords.spans, key=lambda s: s.end_seconds - s.start_seconds).label == "A:maj"
