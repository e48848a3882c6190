"""`llark ask`: a model of this package answers questions about a recording, and says what was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.music import facts_line
from llark.options import ModelOptions, TalkerOptions, require, require_text
from llark.pipeline import listen
from llark.records import Annotation, Answer, Track
from llark.report.text import AskResult, Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from llark.embed.encoder import Encoder
    from llark.generate.answerer import Answerer
    from llark.pipeline.chat import Chat
    from llark.pipeline.listen import Listened

LONG_LETTERS = 4000
"""Questions longer than this are measured in tokens before the recording is listened to."""


class MusicLM:
    """A model with its encoder, for questions about recordings. Both are loaded once: the encoder when it is
    needed, the model while the first recording is listened to.

    Raises `UserMustAct` where it is no model of this package.
    """

    def __init__(self, choice: ModelOptions | None = None) -> None:
        require(ModelOptions | None, choice=choice)
        self.choice = choice or ModelOptions()
        from llark.embed import record

        self.encoder_record = record.of_model(self.choice.folder)
        self.reads_facts = bool(record.config_of(self.choice.folder).get("concepts"))
        self._encoder: Encoder | None = None
        self._loading: Future[Answerer] | None = None

    def ask(
        self,
        song: Path | str,
        *questions: str,
        other: Path | str | None = None,
        talker: TalkerOptions | None = None,
        raw: bool | None = None,
        facts: bool | None = None,
    ) -> AskResult:
        """Answers to questions about a recording of any length, with the facts measured in it.

        A question is solved from the facts. `other`: a second recording, for questions that compare.
        `talker`: a language model behind a server that words the answers.
        `raw`: the model answers in its own words instead, as it does where a model or `facts` is named;
        `facts`: whether it is shown them; by default, only models that were trained to read them are.
        Raises `BadAudio` or `UserMustAct` with one clear sentence.
        """
        require(str | Path, song=song)
        require(tuple[str, ...], questions=questions)
        require(Path | str | None, other=other)
        require(bool | None, facts=facts, raw=raw)
        if not questions or not all(question.strip() for question in questions):
            raise UserMustAct("There is no question. Give one in quotes after the recording.")
        require_text(*questions)
        path = Path(song)
        listen.windows_of(_track(path))  # a recording that cannot be read is refused before the model loads
        if not (facts is not None or self.choice != ModelOptions() if raw is None else raw):
            return from_facts(path, questions, None if other is None else Path(other), talker)
        if other is not None or (talker is not None and talker.talker is not None):
            raise UserMustAct("With --raw the model answers by itself, about one recording: leave it out.")
        shown = self.reads_facts if facts is None else facts
        with Stopwatch() as watch, ThreadPoolExecutor(1) as beside:
            loading = self._load(beside)
            if max(map(len, questions)) > LONG_LETTERS:
                loading.result().refuse_long(questions)
            with watch("hear"):
                listened = self.listen_to(path)
            with watch("wait for the model"):
                loading.result()
            with watch("answer"):
                texts = self.answer(questions, listened.frames, listened.facts if shown else None)
        answers = tuple(
            Answer(question, text, self.choice.name, listened.facts if shown else None)
            for question, text in zip(questions, texts, strict=True)
        )
        return AskResult(str(path), answers, listened.facts, watch.seconds)

    @staticmethod
    def chat(song: Path | str) -> Chat:
        """A conversation about a recording, which is listened to once; its `ask` gives the answers."""
        from llark.pipeline.chat import Chat

        return Chat(song)

    def listen_to(self, path: Path) -> Listened:
        """The facts of a recording, and its frames from this model's encoder."""
        bundled = self.encoder_record.is_bundled
        listened = listen.to_recording(_track(path), frames=bundled, progress="listen")
        return listened if bundled else replace(listened, frames=self.embed(path))

    @property
    def encoder_version(self) -> str:
        """The encoder and its version, as frames name it; exact once the encoder is loaded."""
        if self.encoder_record.is_bundled:
            return self.encoder_record.version
        version = self.encoder_record.version if self._encoder is None else self._encoder.card.version
        return f"{self.encoder_record.name} {version}"

    def embed(self, song: Path | str) -> np.ndarray:
        """A recording's frames from this model's encoder: [frames, width]."""
        require(str | Path, song=song)
        from llark.embed import record

        if self._encoder is None:
            options = self.choice
            self._encoder = record.load(self.encoder_record, options.encoder_weights, options.device)
        return listen.frames_of(self._encoder, self.encoder_record.window_seconds, song)

    def answer(
        self, questions: Sequence[str], frames: np.ndarray | None, facts: Annotation | None = None
    ) -> list[str]:
        """The answers to questions about [frames, width], or without audio.

        Raises `TypeError` or `ValueError` where these are something else.
        """
        require(tuple[str, ...], questions=questions)
        require(Annotation | None, facts=facts)
        from llark.generate.answerer import ModelQuestion

        line = None if facts is None else facts_line.describe_facts(facts)
        with ThreadPoolExecutor(1) as beside:
            answerer = self._load(beside).result()
        return answerer([ModelQuestion(question, frames, line) for question in questions])

    def _load(self, beside: ThreadPoolExecutor) -> Future[Answerer]:
        """The model, or that it is being loaded; a load that failed is tried again."""
        failed = self._loading is not None and self._loading.done() and self._loading.exception()
        if self._loading is None or failed:
            self._loading = beside.submit(load_answerer, self.choice)
        return self._loading


def from_facts(
    path: Path, questions: Sequence[str], other: Path | None = None, talker: TalkerOptions | None = None
) -> AskResult:
    """Answers from what is measured in a recording; no language model is loaded.

    `other`: a second recording, for questions that compare. `talker`: who words the answers.
    Raises `BadAudio` as `listen.to_recording` does.
    """
    from llark.generate.answers import Conversation, refuse_long
    from llark.generate.talker import Talker

    for question in questions:
        refuse_long(question)

    worder = Talker.of(talker)
    with Stopwatch() as watch:
        with watch("hear"):
            facts = listen.to_recording(_track(path), progress="listen").facts
            second = None if other is None else listen.to_recording(_track(other), progress="listen").facts
        with watch("answer"):
            conversation = Conversation(facts, other=second)
            solutions = [conversation.ask(question) for question in questions]
            if worder is not None:
                solutions = [worder.word(q, one, facts) for q, one in zip(questions, solutions, strict=True)]
    answers = tuple(
        Answer(question, one.text, FACTS, facts, tuple(query.kind for query in one.queries), one.facts)
        for question, one in zip(questions, solutions, strict=True)
    )
    return AskResult(str(path), answers, facts, watch.seconds)


FACTS = "facts"
"""In a model's place, where answers come from the facts by code."""


def _track(path: Path) -> Track:
    return Track(path.stem, str(path))


def load_answerer(choice: ModelOptions, **config: int) -> Answerer:
    """The model itself, on its device: float32 on a CPU, bfloat16 on a GPU. `config`: of `AnswerConfig`."""
    from llark.embed import encoder as encoders
    from llark.generate.answerer import AnswerConfig, Answerer

    where = encoders.device(choice.device)
    return Answerer.load(
        choice.folder, AnswerConfig(**config), base=choice.base, device=where.name, dtype=where.dtype
    )


def demo_recording() -> Path:
    """The recording that ships with the package."""
    return Path(str(files("llark") / "weights" / "demo" / "feelings.ogg"))


# --- what a model's answers depend on: its files, those of its base, and the precision --------------------

MODEL_FILES = (".json", ".safetensors")
BASE_FILES = (*MODEL_FILES, ".bin", ".model", ".txt", ".jinja")
"""Of a foreign language model also its tokenizer's files and older kinds of weights."""


def fingerprint(choice: ModelOptions) -> dict[str, str]:
    """The part of a stage's plan that tells this model from any other.

    `model` is of the files in its folder, which hold the name of its base. `base` stands there where they do
    not settle it: where the base is a folder (then it is of that folder's files, wherever it lies), and where
    another one is named. `precision` stands there where it is not float32.
    """
    from llark.embed import encoder as encoders

    parts = {"model": _digest_of(choice.folder, MODEL_FILES)}
    if base := _base(choice):
        parts["base"] = base
    precision = encoders.device(choice.device).dtype
    return parts if precision == "float32" else {**parts, "precision": precision}


def _base(choice: ModelOptions) -> str:
    from llark.embed import record
    from llark.model.checkpoint import is_whole

    recorded = record.config_of(choice.folder).get("base_name")
    named = choice.base or recorded
    if not named or is_whole(choice.folder):
        return ""
    folder = Path(named).expanduser()
    if folder.is_dir():
        return _digest_of(folder, BASE_FILES)
    return "" if str(named) == recorded else str(named)


def _digest_of(folder: Path, endings: Iterable[str]) -> str:
    """SHA-256 of the names and bytes of a folder's files of these kinds."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.glob("*") if path.suffix in endings):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
