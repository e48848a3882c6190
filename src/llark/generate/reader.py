"""Reading a question: which kind it is of, how surely, and what it names.

A small trained net, by the letters and words of the text; the values that it names stand as their sorts
(`is it in {key}`), so that the reading does not depend on them. No word of any question is in the code.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise

import numpy as np

from llark.music.mentions import Mention, Slots, by_sort, mentions, with_sorts
from llark.questions import Kind
from llark.questions.kinds import BY_SLUG

WEIGHTS = "reader.safetensors"
BUCKETS = 1 << 15
"""Rows of the table that letters and words are hashed into."""

_WORD = re.compile(r"\{\w+\}|[a-z0-9#']+|[^\sa-z0-9#'?.!,;:]")


@dataclass(frozen=True)
class Query:
    """What somebody asks, as it was read."""

    text: str
    kind: str
    """The slug of a kind of `questions`."""
    sure: float
    """The probability of the kind, 0 to 1."""
    slots: Slots = field(default_factory=dict)
    """What the question names, by its sort."""


def features(text: str, found: Sequence[Mention] = ()) -> list[int]:
    """Rows of the table: those of words, pairs of words and runs of letters, as written and with sorts."""
    plain, sorts = _words(with_sorts(text, [])), _words(with_sorts(text, list(found)))
    return [zlib.crc32(piece.encode(errors="replace")) % BUCKETS for piece in _pieces(plain, sorts)]


def _words(text: str) -> list[str]:
    """Lower-case words; sorts, which stand in capitals, keep them."""
    return [
        word if word.isupper() and len(word) > 2 else word.lower() for word in _WORD.findall(_folded(text))
    ]


def _folded(text: str) -> str:
    return "".join(c if c.isupper() else c.lower() for c in text)


def _pieces(plain: Sequence[str], sorts: Sequence[str]) -> Iterator[str]:
    yield from (f"w {word}" for word in plain)
    yield from (f"s {word}" for word in sorts)
    for name, words in (("p", plain), ("q", sorts)):
        padded = ["<", *words, ">"]
        yield from (f"{name} {a} {b}" for a, b in pairwise(padded))
        yield from (f"{name}3 {a} {b} {c}" for a, b, c in zip(padded, padded[1:], padded[2:], strict=False))
    for word in plain:
        padded_word = f"<{word}>"
        for size in (3, 4, 5):
            yield from (f"c {padded_word[i : i + size]}" for i in range(len(padded_word) - size + 1))


class Reader:
    """The trained net: the mean of the table's rows, and one score a kind."""

    def __init__(self, tensors: dict[str, np.ndarray], kinds: Sequence[str]) -> None:
        self.table = tensors["table"].astype(np.float32) * tensors["scale"].astype(np.float32)
        self.weight, self.bias = tensors["weight"].astype(np.float32), tensors["bias"].astype(np.float32)
        self.kinds = tuple(kinds)

    @classmethod
    @functools.cache
    def shipped(cls) -> Reader:
        from safetensors import safe_open

        with (
            resources.as_file(resources.files("llark") / "weights" / WEIGHTS) as path,
            safe_open(path, "numpy") as page,
        ):
            tensors = {name: page.get_tensor(name) for name in page.keys()}  # noqa: SIM118
            return cls(tensors, page.metadata()["kinds"].split())

    def probabilities(self, text: str, found: Sequence[Mention]) -> np.ndarray:
        """Of each of `kinds`, [kinds]."""
        rows = features(text, found)
        scores = self.table[rows].mean(0) @ self.weight + self.bias if rows else self.bias
        powers = np.exp(scores - scores.max())
        return np.asarray(powers / powers.sum())

    def read(self, text: str) -> Query:
        """The likeliest kind whose slots the text fills."""
        found = mentions(text)
        slots, shares = by_sort(found), self.probabilities(text, found)
        for place in np.argsort(-shares, kind="stable"):
            kind = BY_SLUG.get(self.kinds[place])
            if kind is not None and (filled := fill(kind, slots)) is not None:
                return Query(text, kind.slug, float(shares[place]), filled)
        raise AssertionError(text)  # kinds without slots are always left


def fill(kind: Kind, slots: Slots) -> Slots | None:
    """The values that a kind needs, of those that a text names; `None` where they are not all there."""
    filled: dict[str, tuple[str, ...]] = {}
    for sort in dict.fromkeys(kind.slots):
        values = slots.get(sort, ())
        if sort in NUMBERS and len(values) < kind.slots.count(sort):
            values = (*slots.get("number", ()), *values)
        if len(values) < kind.slots.count(sort):
            return None
        filled[sort] = values[: kind.slots.count(sort)]
    return filled


NUMBERS = ("bpm", "percent", "bars")
"""Sorts of which people leave out the unit."""
