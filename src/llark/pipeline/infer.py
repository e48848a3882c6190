"""`llark infer`: stored embeddings and questions → a file of answers.

Finished folders of this package are read (embeddings, and exchanges and clips of the same ids), folders of
`.npy`, and WebDataset tars whose samples hold a `.npy` and a `.json`. Only their heads are read to begin
with; each clip's frames are read when they are needed.

The answers are kept, a batch at a time, in a stage's folder beside the file (`OUT.run`), and the file is
written from it in the end. What is in a batch follows from the data alone, so a run that was stopped anywhere
gives the same file as one that was not.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llark import engine
from llark.embed import layouts, record
from llark.errors import StoreMismatch, UserMustAct, one_line
from llark.options import InferOptions, ModelOptions, require, require_text
from llark.pipeline.ask import fingerprint, load_answerer
from llark.records import Clip, Dropped, Exchange
from llark.storage import artifacts, folders, stages
from llark.storage.embeddings import Embeddings
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.generate.answerer import Answerer, ModelQuestion

STAGE = "infer"

RUN = ".run"
"""The ending of the folder beside the file of answers."""

FORMATS = (".csv", ".jsonl")

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With these the text of a cell begins that a program for tables runs."""

_IN_WORDS = {
    "model": "the model",
    "base": "the base language model",
    "precision": "the precision (float32 on a CPU, bfloat16 on a GPU)",
    "puts": "the questions, or the frames that they are about",
}
"""What a plan calls its parts; the others are named after their options."""


@dataclass(frozen=True)
class AnswerRow:
    """One line of the file. The first four columns are those of the published scripts."""

    example_id: str
    prompt_text: str
    original_completion_text: str | None
    model_completion_text: str
    clip_id: str
    task: str | None
    frames: int
    start_seconds: float | None
    end_seconds: float | None


@dataclass(frozen=True)
class KeptAnswer:
    """A row as it is kept, with its place in the file."""

    number: int
    row: AnswerRow


@dataclass(frozen=True, eq=False)
class AskedQuestion:
    """One question about one clip, with its place in the file."""

    number: int
    encoded: ReadyClip
    question: DataQuestion

    @property
    def name(self) -> str:
        return f"{self.number:08d}"


def infer(choice: ModelOptions, data: Sequence[str], out: Path, options: InferOptions) -> str:
    """Asks a model about stored embeddings; writes `out` and returns what was made and lost.

    Raises:
        UserMustAct: There is nothing to ask, the frames are of another encoder than the model's, or too much
            would be dropped.
        StoreMismatch: There are answers already, of another model or base, to other data or settings.
    """
    require(tuple[str, ...], data=data)
    require(Path, out=out)
    _refuse(out, options)
    material = read_data(data)
    _refuse_other_encoder(choice.folder, material)
    asked, dropped = _asked(material, options)
    width = int(record.config_of(choice.folder)["audio_width"])
    asked, dropped = _of_width(asked, dropped, width)
    _refuse_loss(asked, dropped, options.drop_share)
    plan = _plan(choice, asked, options)
    stages.forget_begun(run_folder(out))
    _refuse_other_run(out, plan)
    with stages.open_stage(run_folder(out), STAGE, plan, flush_seconds=20.0) as writer:
        if not writer.finished:
            for number, drop in enumerate(dropped):
                if f"drop-{number}" not in writer.done:
                    writer.write(f"drop-{number}", [drop])
            _ask(asked, choice, options, writer)
            writer.finish()
    return _write(out)


def run_folder(out: Path) -> Path:
    """Where the answers are kept while there are not all of them."""
    return out.with_name(out.name + RUN)


def _refuse(out: Path, options: InferOptions) -> None:
    if out.suffix not in FORMATS:
        raise UserMustAct(f"--out {out}: the answers go into a file that ends in {' or '.join(FORMATS)}.")
    if out.exists() and not run_folder(out).is_dir():
        raise UserMustAct(f"{out} is there already, and not by a run of llark infer; name a new file.")
    if options.prompt is not None and not options.prompt.strip():
        raise UserMustAct("--prompt is empty; leave it out to ask what the data ask.")
    require_text(options.prompt or "")


def _refuse_other_run(out: Path, plan: Mapping[str, object]) -> None:
    """Where there are answers, they must be of the same run."""
    run = run_folder(out)
    page = stages.plan_of(run)
    if page is None or page["stage"] != STAGE:
        return
    there = page["config"]
    others = [name for name in {**there, **plan} if there.get(name) != plan.get(name)]
    if others:
        differing = ", ".join(_IN_WORDS.get(name, "--" + name.replace("_", "-")) for name in others)
        raise StoreMismatch(
            f"{out} has answers of another run already; what differs: {differing}. Name another file, or "
            f"begin anew by deleting {run}{f' and {out}' if out.exists() else ''}."
        )


def _refuse_other_encoder(model: Path, data: InferData) -> None:
    """Where both say what encoder they are of, it must be the same."""
    if not record.config_of(model).get("audio_encoder"):
        return
    of_model = record.of_model(model)
    for place in data.places:
        of_data = record.of_embeddings(place)
        if of_data is not None and (why := record.difference(of_model, of_data)):
            raise UserMustAct(
                f"{place} holds other frames than those that the model was trained on: {why} (the first is "
                "the model's)."
            )


# --- data -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataQuestion:
    """What the data ask about a clip, and the answer that they give."""

    text: str
    answer: str | None = None
    task: str | None = None


@dataclass(frozen=True, eq=False)
class ReadyClip:
    """One clip whose frames are ready. `read` gives [frames, width]; raises `BadFrames`.

    `example_id` is what the published scripts call it: the path of a `.npy` without its ending, the key of a
    sample in a tar. `written` tells its frames from others: their SHA-256, where their folder says it; of
    files made elsewhere the size and the time of the last change.
    """

    example_id: str
    clip_id: str
    frames: int
    width: int
    read: Callable[[], np.ndarray]
    questions: tuple[DataQuestion, ...] = ()
    start_seconds: float | None = None
    end_seconds: float | None = None
    written: str = ""

    @property
    def known(self) -> tuple[object, ...]:
        """All that a row of answers says of it, and which frames they are."""
        span = (self.start_seconds, self.end_seconds)
        return (self.example_id, self.clip_id, self.frames, self.width, *span, self.written)


@dataclass
class InferData:
    """Stored embeddings, and the questions about them."""

    clips: list[ReadyClip] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    """Arrays that hold no frames."""
    questions: dict[str, list[DataQuestion]] = field(default_factory=dict)
    """Those of exchanges, by clip."""
    splits: dict[str, str] = field(default_factory=dict)
    """By clip."""
    places: list[Place] = field(default_factory=list)
    """The folders of embeddings."""

    def add(self, array: layouts.ForeignFrames) -> None:
        """A `.npy`, or a sample of a tar, with the questions of published shards: its `response`."""
        of_file = array.path.suffix == ".npy"
        example = str(array.path.with_suffix("")) if of_file else array.name
        page = array.beside
        try:
            shape = array.shape()
        except layouts.BadFrames as error:
            self.dropped.append(Dropped(example, STAGE, error.reason, f"{error}."))
            return
        response = page.get("response")
        questions = tuple(
            DataQuestion(str(one["question"]), None if one.get("answer") is None else str(one["answer"]))
            for one in (response if isinstance(response, list) else ())
            if isinstance(one, Mapping) and one.get("question")
        )
        clip = str(page.get("clip_id") or page.get("uri") or example.rpartition("/")[2])
        span = (page.get("start_seconds"), page.get("end_seconds"))
        self.clips.append(ReadyClip(example, clip, *shape, array.read, questions, *span, array.written))


def read_data(places: Sequence[str]) -> InferData:
    """Everything in these places.

    Raises `UserMustAct` where one holds nothing of use, a stage is not finished, or frames lie in pickles.
    """
    data = InferData()
    ours = [place for place in places if _is_ours(place)]
    kinds = ("exchanges", "embeddings", "clips")
    finished = artifacts.find(ours, kinds, "frames are in those of embed, questions in those of instruct")
    for place in places:
        if place not in ours:
            for array in layouts.read_foreign(Path(place), strict=False):
                data.add(array)
    data.places = list(finished.embeddings)
    for folder in finished.embeddings:
        data.clips += _shards(folder)
    for folder in finished.exchanges:
        for one in stages.read(folder, Exchange):
            question = DataQuestion(one.question, one.answer, one.task)
            data.questions.setdefault(one.clip_id, []).append(question)
    for folder in finished.clips:
        data.splits |= {clip.id: clip.split for clip in stages.read(folder, Clip)}
    if not data.clips and not data.dropped:
        raise UserMustAct(f"There are no frames in {', '.join(places)}: make them with llark embed.")
    return data


def _is_ours(place: str) -> bool:
    """Whether a place is a stage's folder, or has one inside."""
    if folders.is_url(place) or artifacts.look(place).all:
        return True
    return stages.plan_of(place) is not None


def _shards(folder: Place) -> Iterator[ReadyClip]:
    shards = Embeddings(folder)
    for clip in shards:
        entry, (frames, width) = shards.entry(clip), shards.shape(clip)
        yield ReadyClip(
            clip,
            clip,
            frames,
            width,
            lambda clip=clip: shards[clip].frames,  # type: ignore[misc]
            start_seconds=entry.get("start_seconds"),
            end_seconds=entry.get("end_seconds"),
            written=entry["sha256"],
        )


# --- what is asked ----------------------------------------------------------------------------------------


def _asked(data: InferData, options: InferOptions) -> tuple[list[AskedQuestion], list[Dropped]]:
    """Every question about every clip in the order of the data, and what cannot be asked."""
    asked: list[AskedQuestion] = []
    dropped = list(data.dropped)
    if options.split is not None and options.split not in data.splits.values():
        raise UserMustAct(
            f"No clip is of the split {options.split}: name their folder among the data; found: "
            f"{', '.join(sorted(set(data.splits.values()))) or 'no clips'}."
        )
    with_frames: set[str] = set()
    for encoded in data.clips:
        with_frames.add(encoded.clip_id)
        if options.split is not None and data.splits.get(encoded.clip_id) != options.split:
            continue
        questions = _questions(encoded, data, options.prompt)
        if not questions:
            detail = "The data ask nothing about it; say what to ask with --prompt."
            dropped.append(Dropped(encoded.example_id, STAGE, "no-question", detail))
        asked += [AskedQuestion(len(asked) + n, encoded, question) for n, question in enumerate(questions)]
    for clip in data.questions if options.prompt is None else ():
        if clip not in with_frames and (options.split is None or data.splits.get(clip) == options.split):
            detail = "There are exchanges about it, but no frames."
            dropped.append(Dropped(clip, STAGE, "no-frames", detail))
    return asked[: options.limit], dropped


def _questions(encoded: ReadyClip, data: InferData, prompt: str | None) -> Sequence[DataQuestion]:
    """The prompt, or those of the exchanges, or those beside the frames. If those have one answer in all, it
    goes with the prompt."""
    own = data.questions.get(encoded.clip_id) or encoded.questions
    if prompt is None:
        return own
    if len(own) == 1:
        return [replace(own[0], text=prompt.strip())]
    return [DataQuestion(prompt.strip())]


def _of_width(
    asked: list[AskedQuestion], dropped: list[Dropped], width: int
) -> tuple[list[AskedQuestion], list[Dropped]]:
    """Those whose frames the model can read; a model of another width altogether is refused."""
    others = {item.encoded.width for item in asked} - {width}
    if asked and all(item.encoded.width != width for item in asked):
        raise UserMustAct(
            f"The model reads frames of width {width}; these have {', '.join(map(str, sorted(others)))}. "
            "Name the frames of the encoder that it was trained with."
        )
    lost = {item.encoded.example_id: item.encoded.width for item in asked if item.encoded.width != width}
    dropped = dropped + [
        Dropped(name, STAGE, "other-width", f"Its frames are {other_width} wide; the model reads {width}.")
        for name, other_width in lost.items()
    ]
    return [item for item in asked if item.encoded.width == width], dropped


def _refuse_loss(asked: Sequence[AskedQuestion], dropped: Sequence[Dropped], share: float) -> None:
    reasons = ", ".join(f"{n} {count}" for n, count in Counter(one.reason for one in dropped).most_common())
    if not asked:
        first = f" The first: {dropped[0].id}: {dropped[0].detail}" if dropped else ""
        raise UserMustAct(f"There is nothing to ask ({reasons or 'no clip has frames'}).{first}")
    if len(dropped) > share * (len(asked) + len(dropped)):
        raise UserMustAct(
            f"{len(dropped)} of {len(asked) + len(dropped)} would be dropped ({reasons}). The first: "
            f"{dropped[0].id}: {dropped[0].detail} Go on all the same with --drop-share 1."
        )


def _plan(choice: ModelOptions, asked: Sequence[AskedQuestion], options: InferOptions) -> dict[str, object]:
    """What the answers depend on."""
    from llark.embed import encoder as encoders

    lines = (json.dumps([*item.encoded.known, *astuple(item.question)]) for item in asked)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    settings = asdict(options)
    del settings["drop_share"]
    precision = encoders.device(choice.device).dtype
    return {**fingerprint(choice), "puts": digest, "precision": precision, **settings}


# --- asking -----------------------------------------------------------------------------------------------


def batches(asked: Sequence[AskedQuestion], size: int, positions: int) -> Iterator[list[AskedQuestion]]:
    """Questions that are answered together: of like length, the shortest first, always the same ones.

    `positions`: the most that a clip takes in the text.
    """

    def length(item: AskedQuestion) -> tuple[int, int, int]:
        return min(item.encoded.frames, positions), len(item.question.text), item.number

    order = sorted(asked, key=length)
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _ask(
    asked: Sequence[AskedQuestion], choice: ModelOptions, options: InferOptions, writer: stages.StageWriter
) -> None:
    """Answers what is not done, whole batches at a time: what is beside a question may move its answer."""
    positions = int(record.config_of(choice.folder)["max_audio_positions"])
    done = sum(item.name in writer.done for item in asked)
    answerer: Answerer | None = None
    tally = engine.Tally()
    with engine.Ticker("infer", len(asked), done) as tick:
        for group in batches(asked, options.batch, positions):
            missing = [item for item in group if item.name not in writer.done]
            if not missing:
                continue
            if answerer is None:
                answerer = load_answerer(choice, most_tokens=options.most_tokens, batch=options.batch)
            answered = dict(zip((item.name for item in group), _answers(group, answerer), strict=True))
            for item in missing:
                output: list[object] = [answered[item.name]]
                writer.write(item.name, output)
                tally.add(output)
                engine.stop_if_most_are_dropped(STAGE, tally, output, options.drop_share)
                done += 1
            tick(done)
    if tally.lost > options.drop_share * tally.inputs:
        raise engine.too_much(STAGE, tally, output)
    engine.say_what_may_pass(STAGE, tally)


def _answers(group: Sequence[AskedQuestion], answerer: Answerer) -> list[KeptAnswer | Dropped]:
    """What each question of a batch becomes."""
    from llark.generate.answerer import ModelQuestion

    queries: dict[str, ModelQuestion] = {}
    outcomes: dict[str, KeptAnswer | Dropped] = {}
    for item in group:
        try:
            frames = item.encoded.read()
            if not np.isfinite(frames).all():
                raise layouts.BadFrames("not-finite", "its frames hold numbers that are none")
            queries[item.name] = ModelQuestion(item.question.text, frames)
        except layouts.BadFrames as error:
            drop_id = f"{item.encoded.example_id} ({item.name})"
            outcomes[item.name] = Dropped(drop_id, STAGE, error.reason, f"{error}.")
    texts = _texts(queries, answerer)
    for item in group:
        if isinstance(failure := texts.get(item.name), Exception):
            reason, detail = f"error:{type(failure).__name__}", one_line(failure)[:500]
            drop_id = f"{item.encoded.example_id} ({item.name})"
            outcomes[item.name] = Dropped(drop_id, STAGE, reason, detail)
    return [outcomes.get(item.name) or _kept(item, str(texts[item.name])) for item in group]


def _texts(queries: Mapping[str, ModelQuestion], answerer: Answerer) -> dict[str, str | Exception]:
    """The answer to each; where a batch fails each is asked alone, so that one costs no other."""
    try:
        return dict(zip(queries, answerer(list(queries.values())) if queries else (), strict=True))
    except (
        ValueError,
        RuntimeError,
        IndexError,
    ) as error:  # of the processor, of PyTorch (memory), of a lookup
        if len(queries) == 1:
            return dict.fromkeys(queries, error)
    return {name: text for one in queries for name, text in _texts({one: queries[one]}, answerer).items()}


def _kept(item: AskedQuestion, text: str) -> KeptAnswer:
    encoded, question = item.encoded, item.question
    return KeptAnswer(
        item.number,
        AnswerRow(
            example_id=encoded.example_id,
            prompt_text=question.text,
            original_completion_text=question.answer,
            model_completion_text=text,
            clip_id=encoded.clip_id,
            task=question.task,
            frames=encoded.frames,
            start_seconds=encoded.start_seconds,
            end_seconds=encoded.end_seconds,
        ),
    )


# --- the file ---------------------------------------------------------------------------------------------


def _write(out: Path) -> str:
    """The file of answers, from what is kept; returns what was made and lost."""
    folder = run_folder(out)
    rows = [kept.row for kept in sorted(stages.read(folder, KeptAnswer), key=lambda kept: kept.number)]
    as_text: Callable[[Sequence[AnswerRow]], str] = _csv if out.suffix == ".csv" else _jsonl
    text = as_text(rows).encode(errors="backslashreplace")  # names that are no UTF-8
    folders.folder(out.parent).write(out.name, text)
    counts = stages.about(folder)["counts"]["dropped"]
    dropped = ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "none"
    return f"{out}: {len(rows)} answers; dropped: {dropped}\n  drops and settings: {folder}"


def _csv(rows: Sequence[AnswerRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(AnswerRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in asdict(row).items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """A value as a table's program shows it: text that it would compute is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _jsonl(rows: Sequence[AnswerRow]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
