"""The instruct stage over any teacher: what is known of clips in, exchanges and drops out.

Replies are bought ahead of the one that is written next, and written in the order of the clips. What could
not be read is repaired first, asked for once more, and then dropped with the reason.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from llark.engine import DROP_SHARE, DROP_SHARE_FROM, Tally, Ticker
from llark.errors import UserMustAct
from llark.instruct.alike import Seen, same_question
from llark.instruct.keep import Unkept, sift
from llark.instruct.prompt import FAMILIES, Prompt, build, schema, texts
from llark.instruct.reply import Item, parse
from llark.instruct.sources import Source
from llark.instruct.teacher import CLIP_NOUNS
from llark.instruct.traced import Traced
from llark.llm.client import Message, Reply, RequestFailed
from llark.llm.ledger import Ledger
from llark.questions.kind import CAPTIONING
from llark.questions.phrasing import phrases
from llark.records import Dropped
from llark.storage.stages import StageWriter

NAME = "instruct"
AHEAD = 8
"""Prompts that are begun ahead of the one that is written next, for each request at once."""


@dataclass(frozen=True)
class Settings:
    """What the exchanges of a model depend on; another folder is needed where one of these changes."""

    teacher: str
    model: str
    families: tuple[str, ...] = FAMILIES
    seed: int = 0
    few_shot: bool = True
    temperature: float | None = 0.7
    most_tokens: int = 2048
    prompts: str = ""
    """The version of the prompts; filled in."""

    def __post_init__(self) -> None:
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise UserMustAct(f"--family takes {', '.join(FAMILIES)}; not {', '.join(unknown) or 'nothing'}.")
        object.__setattr__(self, "prompts", texts()["version"])


@dataclass(frozen=True)
class Manner:
    """How a run goes, which changes nothing in its outcome. `note` is told beside the progress."""

    at_once: int = 16
    progress: bool = True
    drop_share: float = DROP_SHARE
    note: Callable[[], str] = lambda: ""


class Asks(Protocol):
    """A teacher: a `ChatModel`, or the ledger alone."""

    async def ask(self, messages: Sequence[Message], schema: Mapping[str, Any], /) -> tuple[str, Reply]: ...


def prompts(sources: Iterable[Source], settings: Settings) -> Iterator[Prompt | Dropped]:
    """Every prompt of a run; a clip of which nothing is known is a drop, one a family."""
    for source in sources:
        for family in settings.families:
            prompt = build(source, family, settings.seed, settings.few_shot)
            detail = "Neither its annotation nor its data set says anything of it."
            yield prompt or Dropped(f"{source.id}#{family}", NAME, "nothing-known", detail)


async def answer(prompt: Prompt, teacher: Asks) -> tuple[str, Reply, tuple[Item, ...]] | Dropped:
    """(key, reply, items) of a prompt, asked once more where the first reply cannot be read."""
    messages = prompt.messages
    for _ in range(2):
        try:
            key, reply = await teacher.ask(messages, schema(prompt.family))
        except RequestFailed as failure:
            reason = f"error:{failure.reason}" if failure.again else failure.reason
            return Dropped(prompt.id, NAME, reason, failure.detail)
        found = parse(reply.text)
        if found.items:
            return key, reply, found.items
        messages = prompt.again(reply.text)
    cut = " It was cut off." if reply.finish == "length" else ""
    return Dropped(
        prompt.id,
        NAME,
        "unreadable-reply",
        f"Two replies held no exchanges.{cut} The last: {reply.text[:120]!r}",
    )


def kept(
    prompt: Prompt, key: str, reply: Reply, items: tuple[Item, ...], seen: Seen, teacher: str
) -> Iterator[Traced | Dropped]:
    """The exchanges of a reply that pass every rule, and a drop for each that does not."""
    questions = _caption_questions(prompt, items) if prompt.family == CAPTIONING else ()
    asked: list[str] = []
    for place, one in enumerate(sift(prompt, items, questions, reply.model, key, teacher)):
        id_ = f"{prompt.id}#{place}"
        if isinstance(one, Unkept):
            yield Dropped(id_, NAME, one.reason, f"{one.detail} ({_short(one.item)})")
        elif prompt.family != CAPTIONING and any(same_question(one.question, other) for other in asked):
            yield Dropped(id_, NAME, "same-question", f"Asked twice: {one.question[:120]}")
        elif other := seen.alike(id_, one.answer):
            yield Dropped(id_, NAME, "near-duplicate", f"Nearly the answer of {other}: {one.answer[:120]}")
        else:
            asked.append(one.question)
            yield one


def _short(item: Item) -> str:
    return f"{item.question[:100]} → {item.answer[:160]}".strip(" →")


def _caption_questions(prompt: Prompt, items: tuple[Item, ...]) -> tuple[str, ...]:
    """A request for each caption, in the words of the offline teacher's kind of that name."""
    rng = Random(f"{prompt.id}\0questions")
    known = phrases()
    return tuple(
        known[item.kind if item.kind in known else "caption"]
        .question({"clip": rng.choice(CLIP_NOUNS)}, rng)
        .text
        for item in items
    )


async def run(
    todo: Iterable[Prompt | Dropped],
    teacher: Asks,
    writer: StageWriter,
    ledger: Ledger,
    settings: Settings,
    manner: Manner | None = None,
) -> Tally:
    """Asks and writes what is missing, and finishes the folder.

    Raises `UserMustAct` where most prompts come to nothing, the budget ends, or no request can succeed; what
    was bought is in the ledger, what was written in the folder, and another run goes on from there.
    """
    manner = Manner() if manner is None else manner
    tally, seen = Tally(), Seen(ledger)
    if writer.finished:
        return tally
    missing = (one for one in todo if one.id not in writer.done)
    with writer, Ticker(settings.teacher, None, len(writer.done), show=manner.progress) as tick:
        async with aclosing(_in_order(missing, teacher, manner.at_once * AHEAD)) as results:
            async for one, got in results:
                outputs = _outputs(one, got, seen, ledger, settings.teacher)
                writer.write(one.id, outputs)
                tally.add(outputs)
                tick(note=manner.note())
                _stop_if_most_are_lost(tally, outputs, manner.drop_share)
        writer.finish()
    return tally


Got = tuple[str, Reply, tuple[Item, ...]] | Dropped


def _outputs(one: Prompt | Dropped, got: Got, seen: Seen, ledger: Ledger, teacher: str) -> list[object]:
    if isinstance(one, Dropped) or isinstance(got, Dropped):
        return [got]
    with ledger.together():
        return list(kept(one, *got, seen, teacher))


async def _in_order(
    todo: Iterator[Prompt | Dropped], teacher: Asks, ahead: int
) -> AsyncGenerator[tuple[Prompt | Dropped, Got]]:
    """Each prompt with what it got; so many are begun ahead. Where one stops the run, those begun are ended
    first: a reply that is on its way is paid for, and is stored."""
    waiting: deque[tuple[Prompt | Dropped, asyncio.Task[Got]]] = deque()

    async def passed(drop: Dropped) -> Got:
        return drop

    async def begin(one: Prompt | Dropped) -> None:
        work = passed(one) if isinstance(one, Dropped) else answer(one, teacher)
        waiting.append((one, asyncio.ensure_future(work)))

    try:
        for one in todo:
            await begin(one)
            if len(waiting) >= ahead:
                first, task = waiting.popleft()
                yield first, await task
        while waiting:
            first, task = waiting.popleft()
            yield first, await task
    except (asyncio.CancelledError, GeneratorExit):
        for _, task in waiting:
            task.cancel()
        raise
    finally:
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


def _stop_if_most_are_lost(tally: Tally, outputs: list[object], drop_share: float) -> None:
    if tally.inputs >= DROP_SHARE_FROM and tally.lost > drop_share * tally.inputs:
        reasons = ", ".join(f"{reason} {n}×" for reason, n in tally.dropped.most_common(4))
        last = next((one.detail for one in reversed(outputs) if isinstance(one, Dropped)), "")
        what = f"{tally.lost} of {tally.inputs} prompts came to nothing ({reasons})"
        raise UserMustAct(f"{NAME} stopped: {what}. The last: {last}")
