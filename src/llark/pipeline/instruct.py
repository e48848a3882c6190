"""`llark instruct`: facts → exchanges by a teacher, their report and data card, and exports."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llark.errors import UserMustAct
from llark.options import InstructOptions, require
from llark.records import Annotation, Clip, Dropped, Exchange, Track
from llark.report.terminal import printable
from llark.storage import artifacts, stages
from llark.storage import folders as files
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark import recipe
    from llark.instruct import Source
    from llark.instruct.stage import ModelTeacher, ModelTeacherConfig, Prompts, Replies
    from llark.llm.ledger import Ledger, Spent

EXCHANGES, REPLIES, BATCHES, EXPORT = "exchanges", "replies.sqlite", "batches", "export"
REPORT, CARD, SUMMARY = "report.html", "card.md", "summary.json"


def instruct(places: Sequence[Place], out: Place, options: InstructOptions | None = None) -> str:
    """Runs the stage, or goes on with it; writes summary, report, card and exports.

    `places` are folders of annotate, prepare, build and corpus; the facts are joined by clip. Returns what
    was made and lost.
    """
    from llark.instruct.offline import OfflineConfig, OfflineTeacher
    from llark.instruct.stage import NAME, Teacher

    require(tuple[str | Path, ...], places=places)
    options = InstructOptions() if options is None else options
    sources = Sources(places, options.limit)
    place = str(files.url(out) if files.is_url(out) else files.local_path(out)).rstrip("/")
    if options.dry_run:
        return _estimate(sources, place, options)
    with contextlib.ExitStack() as stack:
        teacher: Teacher
        if options.teacher == "offline":
            say = options.say_unknown
            config = OfflineConfig(options.most, options.seed, say_unknown=say, families=options.families)
            teacher = OfflineTeacher(config, options.workers)
        else:
            teacher = _model_teacher(stack.enter_context(_ledger(place, options)), options)
        plan: dict[str, Any] = {"settings": teacher.settings, "limit": options.limit}
        folder = f"{place}/{EXCHANGES}"
        stages.forget_begun(folder)  # a run that brought nothing binds nobody, and asks again
        teacher.teach(sources, stages.open_stage(folder, NAME, plan, sources.folders, flush_records=2000))
        lines = _sum_up(place, {**teacher.settings, "from": ", ".join(map(_name, places))}, *teacher.cost())
    return "\n".join([*lines, *_export(place, sources, options)])


FACTS_APART: dict[str, tuple[Literal["labels", "measured"], Literal["drums", True]]] = {
    "heard": ("labels", "drums"),
    "measured": ("measured", True),
}
"""The folders of exchanges of a recipe with `instruct.measured`: the facts that the answers in each are taken
from, and when questions are asked too whose answer is unknown (see `OfflineConfig.say_unknown`)."""


def instruct_recipe(config: recipe.Instruct, out: Path) -> None:
    """The exchanges of a recipe, from the labels and annotations of the build in `out`.

    With `instruct.measured` they are short, and there are two folders of them: what the labels answer in
    exchanges/heard, what the measurements answer in exchanges/measured. Otherwise a label counts, and a
    measurement where there is no label. Raises `UserMustAct` for a teacher that is a model.
    """
    from llark.instruct.offline import OfflineConfig, OfflineTeacher
    from llark.instruct.stage import NAME

    if config.teacher != "offline":
        raise UserMustAct(
            f"instruct.teacher {config.teacher}: a build asks no endpoint. Run llark instruct {out} "
            f"--teacher … --out DIR, and then llark train with --data {out} DIR."
        )
    most, seed = config.exchanges_per_clip, config.seed
    if not config.measured:
        instruct([str(out)], str(out), InstructOptions(most=most, seed=seed))
        return
    for name, (facts, say_unknown) in FACTS_APART.items():
        plan = {**config.model_dump(), "purpose": name}
        writer = stages.open_stage(out / EXCHANGES / name, NAME, plan, [out / "clips"])
        questions = OfflineConfig(most, seed, say_unknown=say_unknown, kinds="basic")
        OfflineTeacher(questions).teach(list(Sources([out], facts=facts)), writer)


# --- facts ------------------------------------------------------------------------------------------------


class Sources:
    """What is known of clips, from all places joined by the clips' ids. May be read more than once.

    `facts`: labels and measurements joined, or the one or the other alone. Raises `UserMustAct` for a place
    that holds no facts, or is not finished.
    """

    def __init__(
        self,
        places: Sequence[Place],
        limit: int | None = None,
        facts: Literal["joined", "labels", "measured"] = "joined",
    ) -> None:
        kinds = ("annotations", "clips", "truths", "tracks", "corpora")
        hint = "facts are in what annotate, prepare, build or corpus have filled"
        self._limit, self._facts, self._artifacts = limit, facts, artifacts.find(places, kinds, hint)
        self.folders = [folder for kind in kinds for folder in getattr(self._artifacts, kind)]

    def __iter__(self) -> Iterator[Source]:
        """One source a clip."""
        from llark.instruct import join

        folders = self._artifacts
        tracks = {track.id: track for folder in folders.tracks for track in stages.read(folder, Track)}
        truths = {one.clip_id: one for folder in folders.truths for one in stages.read(folder, Annotation)}
        clips = self.clips(truths, tracks)
        measured = (one for folder in folders.annotations for one in stages.read(folder, Annotation))
        if self._facts == "joined":
            sources = join(measured if folders.annotations else None, clips, truths, tracks)
        else:
            sources = join(truths.values() if self._facts == "labels" else measured, clips, {}, tracks)
        yield from itertools.islice(sources, self._limit)

    def clips(self, truths: dict[str, Annotation], tracks: dict[str, Track]) -> dict[str, Clip]:
        """The clips by id, as far as they are known; what corpora say of them is added to the arguments.

        Where there are no clips, the tracks of a corpus are the clips.
        """
        from llark import corpus

        clips = {clip.id: clip for folder in self._artifacts.clips for clip in stages.read(folder, Clip)}
        by_track: dict[str, list[Clip]] = {}
        for clip in clips.values():
            by_track.setdefault(clip.track_id, []).append(clip)
        for folder in self._artifacts.corpora:
            for track, truth in corpus.read(files.local_path(folder)):
                tracks[track.id] = track
                span = truth.start_seconds, truth.end_seconds
                whole = Clip(track.id, track.id, track.path, *span, track.split, track.dataset)
                for clip in by_track.get(track.id, [] if by_track else [whole]):
                    clips[clip.id] = clip
                    truths[clip.id] = replace(truth, clip_id=clip.id)
        return clips


# --- a model as the teacher -------------------------------------------------------------------------------


def _ledger(place: str, options: InstructOptions) -> Ledger:
    from llark.llm.ledger import Ledger

    if options.replies is None and files.is_url(place):
        raise UserMustAct(
            f"{place} is no local folder: say with --replies which local file keeps the replies."
        )
    return Ledger(options.replies or Path(place) / REPLIES)


def _config(options: InstructOptions) -> ModelTeacherConfig:
    from llark.instruct.stage import ModelTeacherConfig

    return ModelTeacherConfig(
        f"{options.teacher}-1",
        str(options.model),
        options.families,
        options.seed,
        options.few_shot,
        options.temperature,
        options.most_tokens,
    )


def _model_teacher(ledger: Ledger, options: InstructOptions) -> ModelTeacher:
    """The model behind the server that the options name; its replies are bought one by one, or in batches."""
    from llark.instruct.batch import BatchConfig, BatchTeacher
    from llark.instruct.stage import ModelTeacher
    from llark.llm import ChatModel, Pace, Retry
    from llark.llm.client import Client, LlmServer
    from llark.llm.ledger import Budget, Prices, SpendingLimits

    server = LlmServer.from_environment(
        options.base_url, options.key_variable, options.timeout_seconds, connections=options.at_once
    )
    prices = Prices(options.price_in, options.price_out)
    budget = Budget(SpendingLimits(options.budget, options.budget_tokens), prices, ledger.spent())
    config, retry = _config(options), Retry(options.retries)

    @contextlib.asynccontextmanager
    async def connect(prompts: Prompts) -> AsyncGenerator[Replies]:
        async with Client(server) as client:
            if options.teacher == "batch":
                sizes = options.batch_requests, options.poll_seconds
                batching = BatchConfig(*sizes, structured=options.structured, retry=retry)
                folder = Path(ledger.path).parent / BATCHES
                batches = BatchTeacher(client, ledger, budget, config.sampling, folder, batching)
                await batches.fill(prompts)
                yield batches
            else:
                pace = Pace(options.at_once, options.requests_a_minute, options.tokens_a_minute, retry)
                yield ChatModel(client, ledger, budget, config.sampling, pace, options.structured)

    def note() -> str:
        priced = options.price_in or options.price_out
        return f"{budget.usd:.4f} USD" if priced else f"{budget.tokens:,} tokens"

    return ModelTeacher(config, ledger, connect, at_once=options.at_once, note=note)


REPLY_TOKENS = {"understanding": 60, "captioning": 110, "reasoning": 120}
"""Of one exchange of each family as JSON, for estimates."""


def _estimate(sources: Sources, place: str, options: InstructOptions) -> str:
    """What a run would ask and cost; nothing is sent and nothing written."""
    from llark.instruct import stage
    from llark.instruct.prompt import texts
    from llark.llm.ledger import Prices, key_of, likely_tokens, most_prompt_tokens

    if options.teacher == "offline":
        return "The offline teacher costs nothing."
    config, prices = _config(options), Prices(options.price_in, options.price_out)
    requests = known = dropped = prompt = most_prompt = likely_reply = 0
    path = options.replies or (None if files.is_url(place) else Path(place) / REPLIES)
    has_replies = path is not None and path.is_file()
    with _ledger(place, options) if has_replies else contextlib.nullcontext() as ledger:
        for one in stage.prompts(sources, config):
            if isinstance(one, Dropped):
                dropped += 1
                continue
            if ledger is not None and ledger.has(key_of(config.sampling.body(one.messages))):
                known += 1
                continue
            turns = [message["content"] for message in one.messages]
            requests += 1
            prompt += likely_tokens(turns)
            most_prompt += most_prompt_tokens(turns)
            likely_reply += REPLY_TOKENS[one.family] * int(texts()["families"][one.family]["count"])
    most_reply = requests * options.most_tokens
    lines = [f"{requests:,} requests to {options.model}; {known:,} more have their reply already"]
    if dropped:
        lines.append(f"{dropped:,} prompts have nothing to ask about")
    lines += [
        f"tokens, estimated:   {prompt:>13,} in prompts, {likely_reply:,} in replies",
        f"tokens, at the most: {most_prompt:>13,} in prompts, {most_reply:,} in replies (each once)",
        f"cost, estimated:     {prices.usd(prompt, likely_reply):>13,.2f} USD",
        f"cost, at the most:   {prices.usd(most_prompt, most_reply):>13,.2f} USD",
    ]
    if not (options.price_in or options.price_out):
        lines.append("(name --price-in and --price-out, USD a million tokens, for the cost)")
    return "\n".join(lines)


# --- what was made ----------------------------------------------------------------------------------------


def _sum_up(
    place: str, settings: Mapping[str, Any], spent: Spent | None, lost: Mapping[str, int]
) -> Iterator[str]:
    """Writes the summary, the report and the data card; yields what they say in short."""
    from llark.instruct.summary import About, card, report, summarise

    exchanges = f"{place}/{EXCHANGES}"
    summary = summarise(stages.read(exchanges, Exchange), stages.read_dropped(exchanges))
    about = About(f"Exchanges in {_name(place)}", settings, spent, lost)
    folder = files.folder(place)
    with files.clear_errors(place):
        text = json.dumps(summary.as_json(), indent=1, ensure_ascii=False) + "\n"
        folder.write(SUMMARY, text.encode(errors="backslashreplace"))
        folder.write(REPORT, report(summary, about).encode())
        folder.write(CARD, printable(card(summary, about)).encode())
    families = ", ".join(f"{name} {family.exchanges:,}" for name, family in summary.families.items())
    yield f"{summary.exchanges:,} exchanges about {summary.clips:,} clips ({families or 'none'})"
    if summary.dropped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in summary.dropped.most_common(8))
        yield f"{summary.dropped.total():,} dropped ({summary.share_dropped:.1%}): {reasons}"
    if spent is not None:
        yield f"{spent.replies:,} replies bought in all, {spent.tokens:,} tokens, {spent.usd:.4f} USD"
    yield f"report: {place}/{REPORT}; data card: {place}/{CARD}"


def _name(place: Place) -> str:
    return str(place).rstrip("/").rpartition("/")[2] or str(place)


def _export(place: str, sources: Sources, options: InstructOptions) -> Iterator[str]:
    """Writes the exchanges in the other formats that are wanted; yields where."""
    from llark.instruct import export
    from llark.storage.embeddings import Embeddings

    folder = (Path("export") if files.is_url(place) else Path(place) / EXPORT).absolute()
    for name in options.export:
        folder.mkdir(parents=True, exist_ok=True)
        exchanges = stages.read(f"{place}/{EXCHANGES}", Exchange)
        if name == "parquet":
            paths = [export.parquet(exchanges, folder)]
        elif name == "chat":
            paths = [export.chat(exchanges, folder, sources.clips({}, {}))]
        else:
            shards = Embeddings(str(options.embeddings))
            paths = export.webdataset(exchanges, folder, shards, published=options.published)
        yield from (f"exported: {path}" for path in paths)
