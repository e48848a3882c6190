"""Somebody else's model behind an OpenAI-compatible chat API, to be evaluated: audio in, text out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from llark import llm
from llark.errors import UserMustAct
from llark.evaluate.cases import NOISE, TaskPrompt
from llark.evaluate.sounds import SENT_RATE, Sounds, stand_in, to_wav
from llark.llm.client import LlmServer, Message, Sampling
from llark.llm.ledger import Ledger, likely_tokens
from llark.music import facts_line

REPLY_TOKENS = 256
TIMEOUT_SECONDS = 600.0

DROPPED = "THE SERVER DROPS THE SOUND"
"""How the sentence of `takes_sound` begins where it does."""


@dataclass(frozen=True)
class EndpointModel:
    """A `Model` of `answers` that is asked over the network, several questions at a time."""

    url: str
    """The base of the API, such as https://…/v1."""

    model: str
    """The model's name there."""

    sounds: Sounds
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key, if one is needed."""

    pace: llm.Pace = field(default_factory=lambda: llm.Pace(at_once=4))

    def __post_init__(self) -> None:
        LlmServer(self.url)  # raises where that is no address
        if not self.model:
            raise UserMustAct("The endpoint needs the name of a model: --endpoint-model NAME.")

    @property
    def about(self) -> Mapping[str, str]:
        return {"endpoint": self.url, "model": self.model, "most_tokens": str(REPLY_TOKENS)}

    @cached_property
    def server(self) -> LlmServer:
        """One for all questions: it remembers what it does not take."""
        return LlmServer.from_environment(self.url, self.key_variable, TIMEOUT_SECONDS)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.model, 0.0, REPLY_TOKENS)

    def __call__(self, prompts: Sequence[TaskPrompt]) -> list[str]:
        with Ledger() as ledger:  # `answers` keeps the replies
            replies = llm.ask_all(self.server, self.sampling, map(self._chat, prompts), ledger, self.pace)
        return [reply.text for reply in replies]

    def _chat(self, prompt: TaskPrompt) -> list[Message]:
        question = prompt.question
        if prompt.facts is not None:
            question = f"Measured facts: {facts_line.describe_facts(prompt.facts)}\n{question}"
        return _user_turn(question, self.sounds.wav(prompt))


def _user_turn(question: str, wav: bytes | None) -> list[Message]:
    """A chat of one turn, with a sound if there is one."""
    if wav is None:
        return [{"role": "user", "content": question}]
    sound: dict[str, Any] = {"data": base64.b64encode(wav).decode(), "format": "wav"}
    content = [{"type": "text", "text": question}, {"type": "input_audio", "input_audio": sound}]
    return [{"role": "user", "content": content}]


def takes_sound(model: EndpointModel) -> str:
    """What becomes of a second of noise, by the tokens that the server counts with it and without.

    Servers are known to leave out a part of a message that their model cannot read, and to answer all the
    same. Two requests.
    """

    def prompt_tokens(wav: bytes | None) -> int:
        body = model.sampling.body(_user_turn("What do you hear?", wav))
        return llm.request(model.server, lambda client: client.chat(body), model.pace.retry).prompt_tokens

    without = prompt_tokens(None)
    with_sound = prompt_tokens(to_wav(stand_in(NOISE, SENT_RATE, 1.0), SENT_RATE))
    if with_sound < 0 or without < 0:
        return "the server does not say how many tokens it reads, so that a dropped sound would not show"
    if with_sound <= without:
        return f"{DROPPED}: it reads {with_sound} tokens with a second of sound and {without} without"
    return f"the server reads {with_sound} tokens with a second of sound and {without} without"


def cost(prompts: Iterable[TaskPrompt], sounds: Sounds, dollars_per_minute: float | None = None) -> str:
    """What it takes to ask all of `prompts`, in words, those that are alike once."""
    alike = list({prompt.same: prompt for prompt in prompts}.values())
    minutes = sum(sounds.seconds(prompt) for prompt in alike) / 60
    tokens = likely_tokens(prompt.question for prompt in alike)
    price = "price unknown: name --dollars-per-minute"
    if dollars_per_minute is not None:
        price = f"about ${minutes * dollars_per_minute:.2f}"
    return (
        f"{len(alike):,} requests, {minutes:,.1f} minutes of audio, "
        f"about {tokens:,} tokens of questions; {price}"
    )
