"""The walk of `llark instruct`: facts → exchanges by a teacher, their report and data card, and exports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark import engine
from llark.errors import UserMustAct
from llark.pipeline.instruct_material import Material, clips, folders, sources
from llark.records import Dropped
from llark.storage import folders as files
from llark.storage import stages
from llark.storage.folders import Place

if TYPE_CHECKING:
    from llark.instruct.prompt import Prompt
    from llark.instruct.stage import Settings
    from llark.instruct.summary import Summary
    from llark.llm import Pace
    from llark.llm.client import Client
    from llark.llm.ledger import Budget, Ledger, Prices, Spent

EXCHANGES, REPLIES, BATCHES, EXPORT = "exchanges", "replies.sqlite", "batches", "export"
REPORT, CARD, SUMMARY = "report.html", "card.md", "summary.json"


@dataclass(frozen=True)
class Endpoint:
    """The server of a model. `key_name` is the environment variable with its key; `patience` and `filing`
    are those of the room."""

    base_url: str
    model: str
    key_name: str = "OPENAI_API_KEY"
    timeout_seconds: float = 120.0
    structured: str = "schema"
    every_seconds: float = 60.0
    batch_requests: int = 2000
    retries: int = 6


@dataclass(frozen=True)
class Cost:
    """Prices in US dollars a million tokens, and the most that may be spent."""

    price_in: float = 0.0
    price_out: float = 0.0
    budget_usd: float | None = None
    budget_tokens: int | None = None

    def prices(self) -> Prices:
        from llark.llm.ledger import Prices

        return Prices(self.price_in, self.price_out)


@dataclass(frozen=True)
class Offline:
    """How the grammar teaches: exchanges a clip, and whether it also asks what is not known."""

    most: int = 12
    say_unknown: bool = False
    workers: int = 0


@dataclass(frozen=True)
class Task:
    """One run of the stage."""

    material: Material
    out: str
    settings: Settings
    offline: Offline = field(default_factory=Offline)
    endpoint: Endpoint | None = None
    cost: Cost = field(default_factory=Cost)
    speed: Pace | None = None
    replies: Path | None = None
    progress: bool = True


def instruct(task: Task) -> str:
    """Runs the stage, or goes on with it; writes summary, report and card; returns what was made and lost."""
    if task.endpoint is None:
        _offline(task)
        return _sum_up(task, None, {})
    with _ledger(task) as ledger:
        failures = asyncio.run(_by_model(task, ledger))
        return _sum_up(task, ledger.spent(), {**ledger.lost(), **failures})


# --- teachers ---------------------------------------------------------------------------------------------


def _writer(task: Task) -> stages.StageWriter:
    from llark.instruct.stage import NAME

    plan: dict[str, Any] = {"settings": _plain(task), "limit": task.material.limit}
    return stages.open_stage(
        f"{_out(task)}/{EXCHANGES}", NAME, plan, folders(task.material).all, flush_records=2000
    )


def _plain(task: Task) -> dict[str, Any]:
    """The settings that matter to a teacher."""
    settings = asdict(task.settings)
    if task.endpoint is None:
        settings = {name: settings[name] for name in ("teacher", "families", "seed")}
        settings |= {"most": task.offline.most, "say_unknown": task.offline.say_unknown}
    return settings


def _out(task: Task) -> str:
    return str(files.url(task.out) if files.is_url(task.out) else files.local_path(task.out)).rstrip("/")


def _offline(task: Task) -> None:
    from llark.instruct.step import InstructConfig, TracedStep

    offline, settings = task.offline, task.settings
    config = InstructConfig(
        offline.most, settings.seed, "train", offline.say_unknown, settings.families, grown=True
    )
    step = TracedStep(config)
    engine.run(
        step,
        sources(task.material),
        _writer(task),
        workers=offline.workers,
        timeout_seconds=60 if offline.workers else None,
        progress=task.progress,
    )


def _ledger(task: Task) -> Ledger:
    from llark.llm.ledger import Ledger

    if task.replies is not None:
        return Ledger(task.replies)
    if files.is_url(task.out):
        raise UserMustAct(
            f"{task.out} is no local folder: say with --replies which local file keeps the replies."
        )
    return Ledger(files.local_path(task.out) / REPLIES)


async def _by_model(task: Task, ledger: Ledger) -> dict[str, int]:
    """Asks, batched or at once; returns failed tries by reason."""
    from llark.instruct import stage
    from llark.llm import ChatModel, Pace, Retry
    from llark.llm.client import Client, LlmServer
    from llark.llm.ledger import Budget, SpendingLimits

    server = task.endpoint
    assert server is not None
    pace = replace(task.speed or Pace(), retry=Retry(server.retries))
    address = LlmServer.from_environment(
        server.base_url, server.key_name, server.timeout_seconds, connections=pace.at_once
    )
    limits = SpendingLimits(task.cost.budget_usd, task.cost.budget_tokens)
    budget = Budget(limits, task.cost.prices(), ledger.spent())
    async with contextlib.AsyncExitStack() as stack:
        writer = _writer(task)
        stack.callback(writer.close)
        if writer.finished:
            return {}
        client = await stack.enter_async_context(Client(address))
        if task.settings.teacher == "batch-1":
            teacher: stage.Asks = await _batched(task, client, ledger, budget)
        else:
            sampling = sampling_of(task.settings)
            teacher = ChatModel(client, ledger, budget, sampling, pace, server.structured)
        await stage.run(
            _prompts(task)(),
            teacher,
            writer,
            ledger,
            task.settings,
            stage.Manner(
                pace.at_once, task.progress, note=lambda: _note(budget.usd, budget.tokens, task.cost)
            ),
        )
    return dict(_failures(teacher))


def _failures(teacher: object) -> Mapping[str, int]:
    return {f"tried again: {name}": n for name, n in getattr(teacher, "failures", {}).items()}


def _note(usd: float, tokens: int, cost: Cost) -> str:
    return f"{usd:.4f} USD" if cost.price_in or cost.price_out else f"{tokens:,} tokens"


async def _batched(task: Task, client: Client, ledger: Ledger, budget: Budget) -> Any:
    from llark.instruct.batch import BatchConfig, BatchTeacher
    from llark.llm import Retry

    server = task.endpoint
    assert server is not None
    folder = Path(ledger.path).parent / BATCHES
    config = BatchConfig(
        server.batch_requests,
        server.every_seconds,
        structured=server.structured,
        retry=Retry(server.retries),
    )
    teacher = BatchTeacher(client, ledger, budget, sampling_of(task.settings), folder, config)
    await teacher.fill(_prompts(task), progress=task.progress)
    return teacher


def _prompts(task: Task) -> Callable[[], Iterable[Prompt | Dropped]]:
    from llark.instruct import stage

    return lambda: stage.prompts(sources(task.material), task.settings)


def sampling_of(settings: Settings) -> Any:
    from llark.llm.client import Sampling

    return Sampling(settings.model, settings.temperature, settings.most_tokens, settings.seed)


def dry_run(task: Task) -> str:
    """What a run would ask and cost; nothing is sent and nothing written."""
    from llark.llm.ledger import key_of, likely_tokens, most_prompt_tokens

    sampling, cost = sampling_of(task.settings), task.cost.prices()
    requests = known = dropped = prompt = most_prompt = likely_reply = 0
    path = None if files.is_url(task.out) else files.local_path(task.out) / REPLIES
    place = task.replies or path
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(_ledger(task)) if place is not None and Path(place).is_file() else None
        for one in _prompts(task)():
            if isinstance(one, Dropped):
                dropped += 1
                continue
            if ledger is not None and ledger.has(key_of(sampling.body(one.messages))):
                known += 1
                continue
            said = [message["content"] for message in one.messages]
            requests += 1
            prompt += likely_tokens(said)
            most_prompt += most_prompt_tokens(said)
            likely_reply += _likely_reply(one)
    most_reply = requests * task.settings.most_tokens
    return "\n".join(
        [
            f"{requests:,} requests to {task.settings.model}; {known:,} more have their reply already",
            *([f"{dropped:,} prompts have nothing to ask about"] if dropped else []),
            f"tokens, estimated:   {prompt:>13,} in prompts, {likely_reply:,} in replies",
            f"tokens, at the most: {most_prompt:>13,} in prompts, {most_reply:,} in replies (each once)",
            f"cost, estimated:     {cost.usd(prompt, likely_reply):>13,.2f} USD",
            f"cost, at the most:   {cost.usd(most_prompt, most_reply):>13,.2f} USD",
            *(
                []
                if task.cost.price_in or task.cost.price_out
                else ["(name --price-in and --price-out, USD a million tokens, for the cost)"]
            ),
        ]
    )


REPLY_TOKENS = {"understanding": 60, "captioning": 110, "reasoning": 120}
"""Of one exchange of each family as JSON, for estimates."""


def _likely_reply(prompt: Prompt) -> int:
    from llark.instruct.prompt import texts

    count: int = texts()["families"][prompt.family]["count"]
    return REPLY_TOKENS[prompt.family] * count


# --- what was made ----------------------------------------------------------------------------------------


def _sum_up(task: Task, spent: Spent | None, lost: Mapping[str, int]) -> str:
    import json

    from llark.instruct.card import card
    from llark.instruct.report import About, page
    from llark.instruct.summary import summarise
    from llark.instruct.traced import Traced

    folder = f"{_out(task)}/{EXCHANGES}"
    found = summarise(stages.read(folder, Traced), stages.read_dropped(folder))
    shown = {**_plain(task), "from": ", ".join(_name(place) for place in task.material.places)}
    about = About(f"Exchanges in {_name(task.out)}", shown, spent, lost)
    place = files.folder(task.out)
    with files.clear_errors(task.out):
        place.write(SUMMARY, (json.dumps(found.as_json(), indent=1, ensure_ascii=False) + "\n").encode())
        place.write(REPORT, page(found, about).encode())
        place.write(CARD, card(found, about).encode())
    return _said(found, spent, _out(task))


def _name(place: Place) -> str:
    return str(place).rstrip("/").rpartition("/")[2] or str(place)


def _said(found: Summary, spent: Spent | None, out: str) -> str:
    families = ", ".join(f"{name} {family.exchanges:,}" for name, family in found.families.items())
    lines = [f"{found.exchanges:,} exchanges about {found.clips:,} clips ({families or 'none'})"]
    if found.dropped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.dropped.most_common(8))
        lines.append(f"{found.dropped.total():,} dropped ({found.share_dropped:.1%}): {reasons}")
    if spent is not None:
        lines.append(f"{spent.replies:,} replies bought in all, {spent.tokens:,} tokens, {spent.usd:.4f} USD")
    lines.append(f"report: {out}/{REPORT}; data card: {out}/{CARD}")
    return "\n".join(lines)


def export(
    task: Task, formats: Sequence[str], embeddings: Place | None = None, *, published: bool = False
) -> str:
    """Writes a finished folder of exchanges in other formats; returns where.

    `published`: WebDataset tars with the pickles that the published code reads.
    """
    from llark.instruct import export as exporting
    from llark.instruct.traced import Traced
    from llark.storage.embeddings import Shards

    unknown = [name for name in formats if name not in exporting.FORMATS]
    if unknown:
        raise UserMustAct(f"--export takes {', '.join(exporting.FORMATS)}; not {unknown[0]}.")
    if published and "webdataset" not in formats:
        raise UserMustAct("--published is a layout of --export webdataset; name that, too.")
    folder = f"{_out(task)}/{EXCHANGES}"
    target = (Path("export") if files.is_url(task.out) else files.local_path(task.out) / EXPORT).absolute()
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name in formats:
        exchanges = stages.read(folder, Traced)
        if name == "parquet":
            written.append(exporting.parquet(exchanges, target))
        elif name == "chat":
            written.append(exporting.chat(exchanges, target, clips(task.material)))
        elif embeddings is None:
            raise UserMustAct(
                "The WebDataset layout holds what an encoder heard: name its folder with --embeddings."
            )
        else:
            written += exporting.webdataset(exchanges, target, Shards(embeddings), published=published)
    return "\n".join(f"exported: {path}" for path in written)
