"""Every option of every command, given what nobody means: one sentence comes out, or it works.

The commands and their options are those of the command line itself; a new one is tried without a word here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from llark import audio, cli
from llark.embed import record
from llark.options import EmbedOptions, PrepareOptions, bundled_model
from llark.pipeline import ask, embed, infer, listen, prepare
from llark.pipeline.listen import Listened
from llark.records import Annotation, Dropped, Embedding, Key, Tempo
from llark.storage import stages

ALONE = ("demo", "fetch")
"""These take nothing that could be hostile."""

NUMBERS = ("nan", "inf", "-inf", "-1", "0", "1e308", "1e999999999", "-0.0", "9" * 5000, "0x10", "many", "")
LONG = "x" * 100_000
WORDS = (
    "",
    LONG,
    "caf\udce9",
    "\x1b[31mred\u202e",
    "-",
    "[",
    "{",
    "=",
    "xyz://a/b",
    "http://127.0.0.1:1/a",
    "..",
)
WORDS += ("1/0", "nan", "a=b", "a=")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands are given: a recording, what stages make of it, and nothing of the kind."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("songs", "empty", "npy"):
        (folder / name).mkdir()
    (folder / "list.txt").write_text("this is a shopping list\n")
    tone = np.sin(np.arange(3 * 8000, dtype=np.float32) / 10)
    audio.save(folder / "songs" / "song.wav", tone, 8000)
    np.save(folder / "npy" / "a.npy", np.ones((4, 6), np.float32))
    prepare.prepare(
        str(folder / "songs"), str(folder / "prepared"), PrepareOptions(), workers=0, report=False
    )
    embed.embed(str(folder / "prepared"), str(folder / "mel"), EmbedOptions("mel", device="cpu"))
    width = int(record.config_of(bundled_model())["audio_width"])
    frames = Embedding("song.wav@0", "mini", np.ones((6, width), np.float16), 2.0)
    for name, made in (("frames", frames), ("facts", FACTS)):
        with stages.open_stage(folder / name, "embed" if name == "frames" else "annotate", {}) as writer:
            writer.write("song.wav@0", [made])
            writer.finish()
    (folder / "x.yaml").write_text(f"name: x\nprepare: {{source: {folder / 'empty'}}}\n")
    return folder


FACTS = Annotation("song.wav@0", 0.0, 3.0, Tempo(95.0, 0.9, "beats"), key=Key("E minor", 0.9, "chords"))


class EchoAnswerer:
    """A model that repeats the question."""

    def __call__(self, asked: Sequence[Any], tick: object = None) -> list[str]:
        return [query.question for query in asked]

    def refuse_long(self, questions: Sequence[str]) -> None:
        """It reads all of them."""


def typed_nothing(prompt: str = "") -> str:
    """The end of what is typed."""
    raise EOFError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the networks nor the language model run; commands work in a folder of their own."""
    monkeypatch.setattr(listen, "to_recording", lambda *_, **__: Listened(FACTS, np.ones((6, 4), np.float32)))
    heard = lambda it: it if isinstance(it, Dropped) else replace(FACTS, clip_id=it.id)  # noqa: E731
    monkeypatch.setattr(listen.Listen, "__call__", lambda _, it: [heard(it)])
    for module in (ask, infer):
        monkeypatch.setattr(module, "load_answerer", lambda *_, **__: EchoAnswerer())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("builtins.input", typed_nothing)


def usual(command: str, shelf: Path, out: str) -> dict[str, tuple[str, ...]]:
    """What each option that a command needs is given, so that it works or comes far."""
    file, to = (f"{shelf}/list.txt",), {"--out": (out,)}
    nothing, song, clips = (f"{shelf}/empty",), (f"{shelf}/songs/song.wav",), (f"{shelf}/prepared",)
    recipe, alone, cpu = {"--recipe": (f"{shelf}/x.yaml",)}, {"--workers": ("0",)}, {"--device": ("cpu",)}
    asked = {"--prompt": ("Which key?",), **cpu, "--out": (f"{out}.csv",)}
    midi = {"--source": ("midi",), "--midi": nothing, "--renderer": ("midirenderer",)}
    return {
        "annotate": {"--songs": song, **alone},
        "ask": {"--audio": song, "--question": ("Which key?",)},
        "build": {**recipe, **to, **alone},
        "caption": {"--songs": song, "--out": (f"{out}.jsonl",), **alone},
        "chat": {"--audio": song},
        "compare": {"--first": nothing, "--second": nothing},
        "convert-jukebox": {"--vqvae": file, "--prior": file, **to},
        "corpus": {**midi, **to, **alone},
        "datasets": {},
        "embed": {"--clips": clips, "--encoder": ("mel",), **cpu, **to},
        "evaluate": {"--source": nothing, **to, **alone},
        "export-embeddings": {"--folder": (f"{shelf}/mel",), **to},
        "import-checkpoint": {"--folder": nothing, **to},
        "import-embeddings": {"--source": (f"{shelf}/npy",), **to, "--encoder": ("e",), "--rate": ("10",)},
        "infer": {"--model": ("mini",), "--data": (f"{shelf}/frames",), **asked},
        "instruct": {"--annotations": (f"{shelf}/facts",), **to},
        "judge": {"--report": nothing, "--url": ("http://127.0.0.1:1/v1",), "--model": ("m",)},
        "prepare": {"--source": (f"{shelf}/songs",), **to, **alone},
        "train": {**recipe, **to, "--data": (f"{shelf}/mel",)},
    }[command]


def places(shelf: Path) -> tuple[str, ...]:
    """Paths that are there and are not what is meant, and such as cannot be."""
    file = shelf / "list.txt"
    below = (file / "below", Path("/dev/null"), Path("/dev/null/below"), Path("/proc/below"))
    return tuple(map(str, (shelf / "empty", file, shelf / "mel", shelf / "no" / "such", *below)))


def options_of(command: str) -> dict[str, Any]:
    """Option → its argument, those of a flattened class among them; `*` for those that have no name."""
    arguments = cli.app[command].assemble_argument_collection()
    return {argument.names[0]: argument for argument in arguments if argument.name != "*"}


Patch, Captured = pytest.MonkeyPatch, pytest.CaptureFixture[str]


def run(words: list[str], monkeypatch: Patch, capsys: Captured) -> tuple[int, str]:
    """Exit status and what was written to standard error."""
    monkeypatch.setattr("sys.argv", ["llark", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0), capsys.readouterr().err


def is_number(hint: Any) -> bool:
    return bool({int, float} & {hint, *get_args(hint)})


def values_for(argument: Any, shelf: Path) -> Sequence[str]:
    if bool in {argument.hint, *get_args(argument.hint)}:
        return ()
    return NUMBERS if is_number(argument.hint) else (*WORDS, *places(shelf))


def words_of(command: str, given: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The words of a command; an option without a name of its own stands alone."""
    words = [command]
    for name, values in given.items():
        words += [*values] if name == "OVERRIDES" else [f"{name}={value}" for value in values]
    return words


COMMANDS = [name for name in cli.app if not name.startswith("-") and name not in ALONE]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_commands_are_given_here_comes_far(
    command: str, shelf: Path, monkeypatch: Patch, capsys: Captured
) -> None:
    """Else the test below would see the same refusal each time."""
    status, said = run(words_of(command, usual(command, shelf, "out")), monkeypatch, capsys)
    ends = {
        "build": "holds no audio file",
        "compare": "There is no scores.json",
        "convert-jukebox": "list.txt",
        "corpus": "none of which is a song",
        "evaluate": "neither corpus nor tracks",
        "import-checkpoint": "config.json",
        "judge": "There is no scores.json",
        "train": "exchanges",
    }
    assert (status, ends.get(command, "") in said) == (2 if command in ends else 0, True), said


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_what_nobody_means_is_one_sentence(
    command: str, shelf: Path, monkeypatch: Patch, capsys: Captured
) -> None:
    numbers = itertools.count()
    for name, argument in options_of(command).items():
        for value in values_for(argument, shelf):
            out = f"out{next(numbers)}"
            words = words_of(command, {**usual(command, shelf, out), name: (value,)})
            status, said = run(words, monkeypatch, capsys)
            what = f"{command} {name} {value[:60]!r}: {status} {said[:500]!r}"
            assert status in (0, 2), what
            lines = said.splitlines()
            assert sum(line.startswith("llark: ") for line in lines) == (status == 2), what
            assert status == 0 or lines[-1].startswith("llark: "), what
            assert len(said) < 2000, what
            assert said.replace("\n", "").isprintable(), what
    assert next(numbers) > 10


@pytest.mark.parametrize("command", COMMANDS)
def test_a_number_that_is_none_is_refused_by_the_name_of_its_option(
    command: str, shelf: Path, monkeypatch: Patch, capsys: Captured
) -> None:
    for name, argument in options_of(command).items():
        if is_number(argument.hint):
            for value in ("nan", "inf", "1e999999999", "9" * 5000, *(() if name == "--layer" else ("-1",))):
                words = words_of(command, {**usual(command, shelf, "out"), name: (value,)})
                status, said = run(words, monkeypatch, capsys)
                assert (status, name in said) == (2, True), f"{name} {value[:20]}: {said[:300]}"
