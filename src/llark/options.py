"""The options of the commands that have many, each written once: `cli.py` flattens these classes, and the
text under a field is its help.

They stand apart from the stages that take them because the command line reads all of them before it knows
which command runs: this file imports nothing heavy, and `llark --help` need not load PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cyclopts import Parameter
from cyclopts.validators import Number

from llark.errors import UserMustAct
from llark.report.terminal import shortened

Strategy = Literal["every", "first", "middle", "random", "published", "published-multi"]
"""Which stretches of a track become clips."""

ClipFormat = Literal["wav", "flac"]
"""What a clip with a file of its own is written as."""

Family = Literal["understanding", "captioning", "reasoning"]
"""A kind of exchanges."""


LARGEST = 10**15
NOT_NEGATIVE = Parameter(validator=Number(gte=0, lte=LARGEST))
AT_LEAST_1 = Parameter(validator=Number(gte=1, lte=LARGEST))
ABOVE_0 = Parameter(validator=Number(gt=0, lte=LARGEST))
SHARE = Parameter(validator=Number(gte=0, lte=1))
WORKERS = Parameter(validator=Number(gte=0, lte=1024))
"""Which numbers an option takes: the command line and `Options` look at the same."""


class Options:
    """Options of a command. Raises `TypeError` or `ValueError` for a value that the command line refuses."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
            value = getattr(self, name)
            require(kind, **{name: value})
            for check in (check for mark in marks for check in mark.validator):
                try:
                    check(kind, value)
                except ValueError as error:
                    raise ValueError(f"{name} is {value}: {error}") from error


def require(kind: Any, **named: object) -> None:
    """Raises `TypeError` for the first value that is not of the kind, such as one string for several."""
    for name, value in named.items():
        if not _is_of(value, kind):
            raise TypeError(f"{name} is {shortened(repr(value), 60)}, which is not {_named(kind)}")


def require_text(*questions: str) -> None:
    """Raises `UserMustAct` for a question that holds bytes which are no text."""
    if any(question.encode(errors="ignore").decode() != question for question in questions):
        raise UserMustAct("The question is no UTF-8 text; type it anew.")


def _is_of(value: object, kind: Any) -> bool:
    """Whether a value is of the kind that an annotation names."""
    inner = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_is_of(value, one) for one in inner)
    if get_origin(kind) is Literal:
        return value in inner
    if get_origin(kind) is tuple:
        return isinstance(value, tuple | list) and all(_is_of(one, inner[0]) for one in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _named(kind: Any) -> str:
    """An annotation as people read it."""
    return (
        kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
    )


BUNDLED = "mini"
"""The name of the model in the package."""


def bundled_model() -> Path:
    """The folder of the model that ships with the package."""
    return Path(str(files("llark") / "weights" / BUNDLED))


@dataclass(frozen=True)
class ModelOptions(Options):
    """Which model answers, and where its parts are, if not where it says."""

    model: Path | None = None
    """Folder of a trained model, of any encoder; the bundled `mini` if not given."""
    base: Path | None = None
    """Folder of its base language model, if the model does not say where that is."""
    encoder_weights: str | None = None
    """Folder or hub name of its encoder's weights, if they are elsewhere than when the model was trained."""
    device: str | None = None
    """cpu, cuda, cuda:1 …; a GPU if there is one."""

    @property
    def folder(self) -> Path:
        """The model's folder; a folder of the name `mini` goes before the bundled model."""
        is_named = self.model is None or (str(self.model) == BUNDLED and not self.model.is_dir())
        return bundled_model() if is_named else self.model or bundled_model()

    @property
    def name(self) -> str:
        return BUNDLED if self.model is None else str(self.model)


@dataclass(frozen=True)
class TalkerOptions(Options):
    """A language model that words the answers, which stay those of the facts."""

    talker: str | None = None
    """Address of an OpenAI-compatible server (Ollama, llama.cpp, vLLM …): http://localhost:11434/v1."""
    talker_model: str = ""
    """The model's name there."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the server's key, if it needs one."""


@dataclass(frozen=True)
class AnnotateOptions(Options):
    """What is made of each recording beside its facts."""

    json: bool = False
    """Print one line of JSON a recording."""
    jams: Path | None = None
    """Write a JAMS file for each recording into this folder."""
    plot: Path | None = None
    """Draw each recording: a .png, .svg or .pdf file for one, a folder for several."""
    notes: bool = False
    """Transcribe the notes, too."""
    drop_share: Annotated[float, SHARE] = 0.5
    """With --out: stop when more than this share of the recordings is lost; 1 never stops."""


@dataclass(frozen=True)
class CaptionOptions(Options):
    """What is written of each recording."""

    style: Literal["short", "long", "tags"] = "short"
    """A sentence or two, all that is known in prose, or words divided by commas."""
    sidecar: Literal["txt", "caption"] | None = None
    """Also write each caption into a file of this ending beside its recording, as trainers of generators read
    them."""
    drop_share: Annotated[float, SHARE] = 0.5
    """Stop when more than this share of the recordings is lost; 1 never stops."""


@dataclass(frozen=True)
class InferOptions(Options):
    """What a model is asked about clips, and how."""

    prompt: str | None = None
    """One question for every clip. Without it the data's own are asked: exchanges, or those in the tars."""
    split: str | None = None
    """Only clips of this split; their folder is among the data then."""
    limit: Annotated[int | None, AT_LEAST_1] = None
    """So many questions, from the first on."""
    most_tokens: Annotated[int, AT_LEAST_1] = 512
    """Of one answer."""
    batch: Annotated[int, AT_LEAST_1] = 16
    """Questions that are answered at once."""
    drop_share: Annotated[float, SHARE] = 0.5
    """Stop when more than this share would be lost; 1 never stops."""


@dataclass(frozen=True)
class EvaluateOptions(ModelOptions):
    """What is evaluated, on what, and how."""

    tasks: tuple[str, ...] = ()
    """Names of benchmarks, divided by spaces or commas; all that fit the data if not given."""
    clips: Annotated[int | None, AT_LEAST_1] = None
    """At most so many recordings of each task, spread evenly, so that a trial is quick. If not given: 200
    labelled clips, and files of questions whole. Of the open corpus so many are rendered, all splits
    together, and those of the split are asked about: of `test` 3 in 25."""
    split: str = "test"
    """The split that they are taken from; all, where there is none of it."""
    conditions: tuple[str, ...] = ()
    """Of audio, facts, wrong-facts, shuffled, silence, noise, no-audio, majority and constant; all if not
    given."""
    questions: tuple[str, ...] = ()
    """Files of questions with options, as muchomusic=FILE; also rul_muchomusic, mmau_music and mmar_music."""
    audio: Path | None = None
    """Folder of the recordings that the questions are about; without it only answers without audio are
    scored."""
    predictions: Path | None = None
    """Score the answers in this JSON or JSON lines file instead of asking a model; name one task."""
    endpoint: str | None = None
    """Ask the model behind this OpenAI-compatible address, such as http://localhost:8000/v1."""
    endpoint_model: str = ""
    """Its name there."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds its key."""
    dollars_per_minute: Annotated[float | None, NOT_NEGATIVE] = None
    """Its price for a minute of audio, for the cost that is shown first."""
    yes: bool = False
    """Send, after the cost was shown."""
    samples: bool = False
    """Also write the answers in the sample format of lmms-eval."""
    workers: Annotated[int, WORKERS] = 2
    """Local processes that listen."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tasks", _names(self.tasks))
        conditions = tuple(name.replace("-", " ") for name in _names(self.conditions))
        object.__setattr__(self, "conditions", conditions)
        for words in self.questions:
            if not all(words.partition("=")[1:]):
                raise UserMustAct(
                    f"--questions takes TASK=FILE, as muchomusic=questions.jsonl; this is {words!r}."
                )

    @property
    def question_files(self) -> dict[str, Path]:
        """Files of questions by task."""
        named = (words.partition("=") for words in self.questions)
        return {task: Path(path) for task, _, path in named}


def _names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Names that were given apart or with commas between them."""
    return tuple(name for word in words for name in word.split(",") if name)


@dataclass(frozen=True)
class PrepareOptions(Options):
    """What is read of a data set, and how it is cut. Another folder is needed where one of these changes."""

    dataset: str = "folder"
    """How the source is laid out: one of `llark datasets`."""
    split: str | None = None
    """Take this split only."""
    columns: tuple[str, ...] = ()
    """For csv and jsonl: field=column, as in path=file title=name tempo_bpm=bpm."""
    options: tuple[str, ...] = ()
    """For some data sets: name=value, as in version=1; `llark datasets NAME` lists them."""
    crop: Strategy = "every"
    """every: windows side by side; first, middle or random: one window; published: 30 s, the first or the
    second; published-multi: every full 30 s."""
    window_seconds: Annotated[float | None, ABOVE_0] = None
    """How long a clip is; 25, and 30 for the published ones, if not given."""
    hop_seconds: Annotated[float | None, ABOVE_0] = None
    """For every: from one clip's start to the next."""
    seed: Annotated[int, NOT_NEGATIVE] = 0
    """For random and published."""
    convert: ClipFormat | None = None
    """Write each clip into a mono file of its own; without it nothing is copied."""
    sample_rate: Annotated[int | None, AT_LEAST_1] = None
    """Samples a second of those files; the recording's own if not given."""
    limit: Annotated[int | None, AT_LEAST_1] = None
    """Take so many tracks."""


@dataclass(frozen=True)
class EmbedOptions(Options):
    """Which encoder embeds, and how it is run."""

    encoder: str = "mini"
    """mini, jukebox, clap, mel (64 bands of the spectrum as they are), or hub:NAME with a model's name on the
    hub or a folder: MERT, MuQ, Whisper, Dasheng, EnCodec, or any that transformers knows."""
    weights: str | None = None
    """jukebox: the folder that `llark convert-jukebox` wrote. clap: a name on the hub, a folder, or a .pt."""
    compat: Literal["llark"] | None = None
    """llark: Jukebox as the published extraction runs it, quirks included."""
    layer: int | None = None
    """Of a hub encoder's transformer: 0 is its input, -1 its last layer."""
    rate: str | None = None
    """Frames a second, as 10 or 75/2; native: the encoder's own; clip: one vector a clip. 10 if not given,
    and for mini and clap their own."""
    device: str | None = None
    """cpu, cuda, cuda:1 …; a GPU if there is one."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """float32 or bfloat16; bfloat16 on a GPU if not given."""
    batch: Annotated[int, AT_LEAST_1] = 8
    """Windows that are embedded at once."""
    workers: Annotated[int, WORKERS] = 0
    """Local processes, each with its own encoder; 0 works in this one, in batches."""
    drop_share: Annotated[float, SHARE] = 0.5
    """Stop when more than this share of the clips is lost; 1 never stops."""


@dataclass(frozen=True)
class InstructOptions(Options):
    """The options of `llark instruct`."""

    teacher: Literal["offline", "openai", "batch"] = "offline"
    """offline: our grammar, no model. openai: any OpenAI-compatible server. batch: its batch interface."""
    family: tuple[Family, ...] | None = None
    """understanding, captioning, reasoning; all three if not given."""
    most: Annotated[int, AT_LEAST_1] = 12
    """Of the offline teacher: exchanges a clip."""
    say_unknown: bool = False
    """Of the offline teacher: also ask what is not known, and answer that it cannot be told."""
    base_url: str = "https://api.openai.com/v1"
    """Of the server, with its /v1. On this machine vLLM listens at http://localhost:8000/v1, llama.cpp at
    8080, Ollama at 11434."""
    model: str | None = None
    """Its name at the server."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; '' sends none."""
    price_in: Annotated[float, NOT_NEGATIVE] = 0.0
    """US dollars for a million tokens of prompts."""
    price_out: Annotated[float, NOT_NEGATIVE] = 0.0
    """US dollars for a million tokens of replies."""
    budget: Annotated[float | None, NOT_NEGATIVE] = None
    """US dollars that are never passed, all runs with these replies together."""
    budget_tokens: Annotated[int | None, NOT_NEGATIVE] = None
    """The same in tokens."""
    dry_run: bool = False
    """Say how many requests there are and what they cost; send nothing."""
    at_once: Annotated[int, AT_LEAST_1] = 16
    """Requests that run at the same time."""
    requests_a_minute: Annotated[float | None, ABOVE_0] = None
    """Rate limit."""
    tokens_a_minute: Annotated[float | None, ABOVE_0] = None
    """Rate limit."""
    timeout_seconds: Annotated[float, ABOVE_0] = 120.0
    """Of one request."""
    retries: Annotated[int, NOT_NEGATIVE] = 6
    """After failures that may pass; four times as often where the server says that it is too much at once."""
    temperature: Annotated[float, NOT_NEGATIVE] = 0.7
    """Of the model."""
    most_tokens: Annotated[int, AT_LEAST_1] = 2048
    """Of one reply."""
    few_shot: bool = True
    """Show the model examples."""
    structured: Literal["schema", "json", "off"] = "schema"
    """Hold the model to JSON by schema, as JSON, or by words alone; weaker ones are tried by themselves."""
    batch_requests: Annotated[int, AT_LEAST_1] = 2000
    """Requests of one batch."""
    poll_seconds: Annotated[float, ABOVE_0] = 60.0
    """Between two looks at the batches."""
    replies: Path | None = None
    """The file that keeps what was bought; replies.sqlite in the folder if not given."""
    export: tuple[Literal["parquet", "chat", "webdataset"], ...] = ()
    """Also write parquet, chat (JSON lines) or webdataset (tars with .npy and .json) into OUT/export."""
    embeddings: str | None = None
    """For webdataset: the folder of the embed stage."""
    published: bool = False
    """For webdataset: write the pickles (.pyd) that the published training code reads. This package refuses
    to read them."""
    seed: Annotated[int, NOT_NEGATIVE] = 0
    """The same seed gives the same exchanges, or prompts."""
    limit: Annotated[int | None, AT_LEAST_1] = None
    """Take so many clips."""
    workers: Annotated[int, WORKERS] = 0
    """Local processes of the offline teacher; 0 works in this one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher != "offline" and not self.model:
            raise UserMustAct(f"--teacher {self.teacher} needs the name of a model: --model.")
        if "webdataset" not in self.export:
            if self.published:
                raise UserMustAct("--published is a layout of --export webdataset; name that, too.")
        elif self.embeddings is None:
            raise UserMustAct(
                "The WebDataset layout holds an encoder's frames: name the folder of the embed stage with "
                "--embeddings."
            )

    @property
    def families(self) -> tuple[str, ...]:
        """Those that are made, in their usual order."""
        return tuple(name for name in get_args(Family) if self.family is None or name in self.family)


@dataclass(frozen=True)
class JudgeOptions(Options):
    """Who judges, and what."""

    url: str
    """An OpenAI-compatible address, such as http://localhost:8000/v1."""
    model: str
    """The judge's name there."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    task: str = "captions"
    """The task whose answers are judged."""
    yes: bool = False
    """Send, after the cost was shown."""
    dollars_per_million: Annotated[float | None, NOT_NEGATIVE] = None
    """The judge's price for a million tokens of question."""
