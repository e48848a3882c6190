"""What a request can cost, and the limit that is never passed.

Before a request is sent its worst case is reserved: a prompt has no more tokens than bytes, a reply no more
than it is allowed. When the reply is there, what it really took is counted instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from llark.errors import UserMustAct
from llark.instruct.ledger import Spent

TOKENS_A_TURN = 16
"""More than any chat format puts around a turn."""

BYTES_A_TOKEN = 4.0
"""Of English text and JSON, for estimates: between 3.5 and 4.5 in common vocabularies."""


class OutOfBudget(UserMustAct):
    """The next request might pass the limit. What was bought is kept."""


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens."""

    prompt_usd: float = 0.0
    reply_usd: float = 0.0

    def usd(self, prompt_tokens: float, reply_tokens: float) -> float:
        return (prompt_tokens * self.prompt_usd + reply_tokens * self.reply_usd) / 1e6


@dataclass(frozen=True)
class Limits:
    """The most that may be spent in all; `None` is no limit."""

    usd: float | None = None
    tokens: int | None = None


def most_prompt_tokens(texts: list[str]) -> int:
    """No tokenizer makes more tokens of these turns."""
    return sum(len(text.encode("utf-8", "replace")) + TOKENS_A_TURN for text in texts)


def likely_tokens(texts: list[str]) -> int:
    return round(
        sum(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN + TOKENS_A_TURN / 4 for text in texts)
    )


class Budget:
    """Counts what is spent and what is on its way."""

    def __init__(self, limits: Limits, prices: Prices, spent: Spent) -> None:
        self.limits, self.prices = limits, prices
        self.usd, self.tokens = spent.usd, spent.tokens
        if limits.usd is not None and prices == Prices():
            raise UserMustAct("A budget in dollars needs prices: name --price-in and --price-out.")

    def reserve(self, prompt_tokens: int, reply_tokens: int) -> None:
        """Takes a request's worst case out of the budget. Raises `OutOfBudget` where there is not enough."""
        usd, tokens = self.prices.usd(prompt_tokens, reply_tokens), prompt_tokens + reply_tokens
        if self.limits.usd is not None and self.usd + usd > self.limits.usd + 1e-9:
            raise OutOfBudget(_stopped(f"{self.limits.usd:g} USD", f"{self.usd:.4f}", f"{usd:.4f}", "budget"))
        if self.limits.tokens is not None and self.tokens + tokens > self.limits.tokens:
            limit = f"{self.limits.tokens} tokens"
            raise OutOfBudget(_stopped(limit, str(self.tokens), str(tokens), "budget-tokens"))
        self.usd += usd
        self.tokens += tokens

    def settle(self, reserved: tuple[int, int], taken: tuple[int, int]) -> float:
        """Replaces a reservation (prompt, reply tokens) by what was taken; returns its dollars."""
        usd = self.prices.usd(*taken)
        self.usd += usd - self.prices.usd(*reserved)
        self.tokens += sum(taken) - sum(reserved)
        return usd


def _stopped(limit: str, spent: str, needed: str, option: str) -> str:
    return (
        f"The budget of {limit} stops here: {spent} are spent or on their way, and the next request may take "
        f"{needed}. Run again with a larger --{option} to go on; no reply is bought twice."
    )
