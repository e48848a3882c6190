"""Reading a question: which kind it is of, how surely, and what it names.

A small trained net, by the letters and words of the text and by what the words mean; the values that it names
stand as their sorts (`is it in {key}`), so that the reading does not depend on them. No word of any question
is written in the code.
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

from llark.music import claims
from llark.music.mentions import Mention, by_sort, mentions, with_sorts
from llark.questions import Kind, Slots
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
    return [zlib.crc32(piece.encode()) % BUCKETS for piece in _pieces(plain, sorts)]


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
    """The trained net: one score a kind, by the mean of the table's rows and by what the words mean."""

    def __init__(self, tensors: dict[str, np.ndarray], kinds: Sequence[str], words: Sequence[str]) -> None:
        self.table = tensors["table"].astype(np.float32) * tensors["table_scale"].astype(np.float32)
        self.meanings = tensors["meanings"].astype(np.float32) * tensors["meanings_scale"].astype(np.float32)
        names = ("weight", "bias", "hidden_weight", "hidden_bias", "meaning_weight")
        self.nets = {name: tensors[name].astype(np.float32) for name in names}
        self.kinds, self.place = tuple(kinds), {word: row for row, word in enumerate(words)}

    @classmethod
    @functools.cache
    def shipped(cls) -> Reader:
        from safetensors import safe_open

        with (
            resources.as_file(resources.files("llark") / "weights" / WEIGHTS) as path,
            safe_open(path, "numpy") as page,
        ):
            tensors = {name: page.get_tensor(name) for name in page.keys()}  # noqa: SIM118
            return cls(tensors, page.metadata()["kinds"].split(), page.metadata()["words"].split())

    def probabilities(self, text: str, found: Sequence[Mention]) -> np.ndarray:
        """Of each of `kinds`, [kinds]."""
        rows, nets = features(text, found), self.nets
        hidden = np.maximum(self.meaning(text) @ nets["hidden_weight"] + nets["hidden_bias"], 0.0)
        scores = nets["bias"] + hidden @ nets["meaning_weight"]
        if rows:
            scores = scores + self.table[rows].mean(0) @ nets["weight"]
        powers = np.exp(scores - scores.max())
        return np.asarray(powers / powers.sum())

    def meaning(self, text: str) -> np.ndarray:
        """Mean, highest and lowest of the meanings of the words that are known, [3 × width]."""
        rows = [self.place[word] for word in _words(claims.plain(text)) if word in self.place]
        if not rows:
            return np.zeros(3 * self.meanings.shape[1], np.float32)
        known = self.meanings[rows]
        return np.concatenate([known.mean(0), known.max(0), known.min(0)])

    def read(self, text: str) -> Query:
        """The likeliest kind whose slots the text fills."""
        found = mentions(text)
        slots, shares = by_sort(found), self.probabilities(text, found)
        for place in np.argsort(-shares, kind="stable"):
            kind = BY_SLUG.get(self.kinds[place])
            if kind is not None and (filled := fill(kind, slots)) is not None:
                return Query(text, kind.slug, float(shares[place]), filled)
        raise AssertionError("kinds without slots are always left")


def fill(kind: Kind, slots: Slots) -> Slots | None:
    """The values that a kind needs, of those that a text names; `None` where they are not all there."""
    filled: dict[str, tuple[str, ...]] = {}
    for sort in dict.fromkeys(kind.slots):
        values = slots.get(sort, ()) or (slots.get("number", ()) if sort in NUMBERS else ())
        if len(values) < kind.slots.count(sort):
            return None
        filled[sort] = values[: kind.slots.count(sort)]
    return filled


NUMBERS = ("bpm", "percent", "bars")
"""Sorts of which people leave out the unit."""
