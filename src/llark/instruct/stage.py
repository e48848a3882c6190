"""The instruct stage: what is known of clips in, exchanges and drops out, by any teacher.

The replies of a model are bought ahead of the one that is written next, and written in the order of the
clips. What could not be read is repaired first, asked for once more, and then dropped with the reason.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Protocol

from llark.engine import (
    DROP_SHARE,
    Tally,
    Ticker,
    say_what_may_pass,
    stop_if_most_are_dropped,
    too_much,
)
from llark.errors import UserMustAct
from llark.instruct import Source
from llark.instruct.keep import Seen, sift
from llark.instruct.offline import CLIP_NOUNS
from llark.instruct.prompt import Prompt, build, schema, texts
from llark.instruct.reply import ReplyItem, parse
from llark.llm.client import Client, Message, Reply, RequestFailed, Sampling
from llark.llm.ledger import Ledger, Spent
from llark.questions import CAPTIONING, FAMILIES
from llark.questions.grammar import phrases
from llark.records import Dropped
from llark.storage.stages import StageWriter

NAME = "instruct"
AHEAD = 8
"""Prompts that are begun ahead of the one that is written next, for each request at once."""


class Teacher(Protocol):
    """Makes exchanges of what is known of clips: `OfflineTeacher` by grammar, `ModelTeacher` by prompts."""

    @property
    def settings(self) -> dict[str, Any]:
        """What its exchanges depend on beside the facts: where one of these changes, so must the folder."""

    def teach(self, sources: Iterable[Source], writer: StageWriter, *, progress: bool = True) -> Tally:
        """Fills the stage's folder with what it does not have yet, and finishes it.

        Raises `UserMustAct` where too much is dropped or a person has to help; another run goes on.
        """

    def cost(self) -> tuple[Spent | None, dict[str, int]]:
        """What was ever spent for this folder, and how many requests brought nothing, by reason."""


class Replies(Protocol):
    """What has the reply to a prompt: a `ChatModel`, or a `BatchTeacher` after its batches came back."""

    client: Client
    """The way to the server."""

    async def ask(self, messages: Sequence[Message], schema: Mapping[str, Any], /) -> tuple[str, Reply]:
        """(key, reply). Raises `RequestFailed` where there is none."""


@dataclass(frozen=True)
class ModelTeacherConfig:
    """What the exchanges of a model depend on, beside the facts."""

    teacher: str
    """The way to the model and its version: `openai-1`, `batch-1`."""
    model: str
    """Its name at the server."""
    families: tuple[str, ...] = FAMILIES
    seed: int = 0
    few_shot: bool = True
    """Whether the model is shown examples."""
    temperature: float | None = 0.7
    most_tokens: int = 2048
    """Of one reply."""
    prompts: str = ""
    """The version of the prompts; filled in."""

    def __post_init__(self) -> None:
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise UserMustAct(f"--family takes {', '.join(FAMILIES)}; not {', '.join(unknown) or 'nothing'}.")
        object.__setattr__(self, "prompts", texts()["version"])

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.model, self.temperature, self.most_tokens, self.seed)


Prompts = Callable[[], Iterable[Prompt | Dropped]]
"""Every prompt of a run, each time that it is called."""


class ModelTeacher:
    """A language model that is shown the facts of each clip, in one prompt a family.

    `connect` opens the way to it for the time of a run, and may buy all replies at once before it answers.
    """

    def __init__(
        self,
        config: ModelTeacherConfig,
        ledger: Ledger,
        connect: Callable[[Prompts], AbstractAsyncContextManager[Replies]],
        *,
        at_once: int = 16,
        drop_share: float = DROP_SHARE,
        note: Callable[[], str] = lambda: "",
    ) -> None:
        """`note` is shown beside the progress; a share of drops above `drop_share` stops a run."""
        self.config, self.ledger, self._connect = config, ledger, connect
        self._ahead, self._drop_share, self._note = at_once * AHEAD, drop_share, note
        self._failures: Mapping[str, int] = {}

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self.config)

    def cost(self) -> tuple[Spent | None, dict[str, int]]:
        tried = {f"tried again: {reason}": count for reason, count in self._failures.items()}
        return self.ledger.spent(), {**self.ledger.lost(), **tried}

    def teach(self, sources: Iterable[Source], writer: StageWriter, *, progress: bool = True) -> Tally:
        """`sources` may be read more than once.

        Raises `UserMustAct` where most prompts bring nothing, the budget ends, or no request can succeed;
        what was bought is in the ledger, what was written in the folder, and another run goes on from there.
        """
        with writer:
            return Tally() if writer.finished else asyncio.run(self._teach(sources, writer, progress))

    async def _teach(self, sources: Iterable[Source], writer: StageWriter, progress: bool) -> Tally:
        tally, seen, name = Tally(), Seen(self.ledger), self.config.teacher
        before, useless = len(writer.done), set[str]()
        missing = (one for one in prompts(sources, self.config) if one.id not in writer.done)
        async with self._connect(lambda: prompts(sources, self.config)) as replies:
            try:
                with Ticker(name, None, before, show=progress) as tick:
                    async with aclosing(_in_order(missing, replies, self._ahead, useless)) as results:
                        async for prompt, got in results:
                            outputs = self._outputs(prompt, got, seen)
                            writer.write(prompt.id, outputs)
                            tally.add(outputs)
                            tick(note=self._note())
                            stop_if_most_are_dropped(NAME, tally, outputs, self._drop_share)
                if self._drop_share < 1 and tally.lost == tally.inputs + before > 0:
                    raise too_much(NAME, tally, outputs)
            except UserMustAct:
                self.ledger.forget(useless)  # so that the same run, with the server mended, asks again
                raise
            writer.finish()
            if progress:
                say_what_may_pass(NAME, tally)
            self._failures = getattr(replies, "failures", {})
        return tally

    def _outputs(self, prompt: Prompt | Dropped, got: Answered | Dropped, seen: Seen) -> list[object]:
        """The exchanges and drops of one reply."""
        if isinstance(prompt, Dropped) or isinstance(got, Dropped):
            return [got]
        key, reply, items = got
        questions = caption_questions(prompt, items) if prompt.family == CAPTIONING else ()
        with self.ledger.together():
            return list(sift(prompt, items, questions, (self.config.teacher, reply.model, key), seen))


def prompts(sources: Iterable[Source], config: ModelTeacherConfig) -> Iterator[Prompt | Dropped]:
    """Every prompt of a run; a clip of which nothing is known is a drop, one a family."""
    for source in sources:
        for family in config.families:
            prompt = build(source, family, config.seed, config.few_shot)
            detail = "Neither its annotation nor its data set says anything of it."
            yield prompt or Dropped(f"{source.id}#{family}", NAME, "nothing-known", detail)


Answered = tuple[str, Reply, tuple[ReplyItem, ...]]
"""The key of a prompt's reply, the reply, and the items in it."""


async def answer(prompt: Prompt | Dropped, replies: Replies, useless: set[str]) -> Answered | Dropped:
    """What a prompt got, asked once more where the first reply cannot be read; a drop is handed on.

    The key of a reply that nothing comes of goes to `useless`.
    """
    if isinstance(prompt, Dropped):
        return prompt
    messages, address = prompt.messages, replies.client.server.base_url
    for _ in range(2):
        try:
            key, reply = await replies.ask(messages, schema(prompt.family))
        except RequestFailed as failure:
            # An unfinished folder asks again for an `error:`; what may have been paid for it does not.
            passes = failure.again or failure.reason.startswith("status-")
            reason = f"error:{failure.reason}" if passes else failure.reason
            return Dropped(prompt.id, NAME, reason, f"{address}: {failure.detail}")
        if items := parse(reply.text):
            return key, reply, items
        if reply.no_answer:
            break
        messages = prompt.again(reply.text)
    useless.add(key)
    cut = " It was cut off." if reply.finish == "length" else ""
    unread = "unreadable-reply", f"Two replies held no exchanges.{cut} The last: {reply.text[:120]!r}"
    reason, why = reply.no_answer or unread
    return Dropped(prompt.id, NAME, reason, f"{address}: {why}")


def caption_questions(prompt: Prompt, items: tuple[ReplyItem, ...]) -> list[str]:
    """A request for each caption, in the words of the offline teacher's kind of that name."""
    rng, known = Random(f"{prompt.id}\0questions"), phrases()
    kinds = [item.kind if item.kind in known else "caption" for item in items]
    return [known[kind].question({"clip": rng.choice(CLIP_NOUNS)}, rng).text for kind in kinds]


async def _in_order(
    todo: Iterator[Prompt | Dropped], replies: Replies, ahead: int, useless: set[str]
) -> AsyncGenerator[tuple[Prompt | Dropped, Answered | Dropped]]:
    """Each prompt with what it got; so many are begun ahead. Where one stops the run, those begun are ended
    first: a reply that is on its way is paid for, and is stored."""
    waiting: deque[tuple[Prompt | Dropped, asyncio.Task[Answered | Dropped]]] = deque()
    try:
        for one in todo:
            waiting.append((one, asyncio.ensure_future(answer(one, replies, useless))))
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
