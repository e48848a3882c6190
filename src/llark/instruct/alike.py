"""Near-duplicates: the same question about a clip twice, and long answers that say the same.

Short answers repeat by nature ("120 BPM."); a long one that is given to several clips says nothing of any.
Answers are compared by MinHash over word triples; what was seen lies in the ledger, so that a run that goes
on still knows it.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

from llark.llm.ledger import Ledger

LONG_WORDS = 14
"""Answers of fewer words are never compared across clips."""

HASHES, BANDS = 32, 8
ALIKE = 0.8
"""Share of equal hashes, an estimate of the Jaccard similarity of the word triples."""

_RANDOM = np.random.default_rng(20)
_FACTORS = _RANDOM.integers(0, 1 << 63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 1 << 63, HASHES, dtype=np.uint64)
_WORD = re.compile(r"[a-z0-9#/]+")


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def signature(text: str) -> np.ndarray:
    """[hashes], uint32: the smallest hash of the word triples under each of so many functions."""
    found = words(text)
    triples = {" ".join(found[at : at + 3]) for at in range(max(1, len(found) - 2))}
    digests = [hashlib.blake2b(one.encode(), digest_size=8).digest() for one in triples]
    values = np.frombuffer(b"".join(digests), dtype="<u8")
    mixed = (values[:, None] * _FACTORS + _OFFSETS) >> np.uint64(32)  # multiply-shift, modulo 2**64
    lowest: np.ndarray = mixed.min(axis=0).astype(np.uint32)
    return lowest


def bands(found: np.ndarray) -> list[int]:
    """One key for each group of hashes: texts that are alike share one with near certainty."""
    rows = found.reshape(BANDS, -1)
    return [
        int.from_bytes(hashlib.blake2b(bytes([place]) + row.tobytes(), digest_size=8).digest(), "big") >> 1
        for place, row in enumerate(rows)
    ]


class Seen:
    """The long answers that were kept so far, in the file of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        ledger.run(
            "CREATE TABLE IF NOT EXISTS seen "
            "(band INTEGER PRIMARY KEY, signature BLOB NOT NULL, owner TEXT NOT NULL)"
        )

    def alike(self, owner: str, answer: str) -> str | None:
        """Who gave a long answer like this one before; else remembers it. The owner itself does not count."""
        if len(words(answer)) < LONG_WORDS:
            return None
        mine = signature(answer)
        keys = bands(mine)
        for band in keys:
            row = self._ledger.run("SELECT signature, owner FROM seen WHERE band=?", (band,)).fetchone()
            if row is None or row[1] == owner:
                continue
            if float(np.mean(np.frombuffer(row[0], dtype=np.uint32) == mine)) >= ALIKE:
                return str(row[1])
        for band in keys:
            self._ledger.run("INSERT OR IGNORE INTO seen VALUES (?,?,?)", (band, mine.tobytes(), owner))
        return None


def same_question(one: str, other: str) -> bool:
    """Whether two questions are the same but for case, stops and filling words."""
    return _core(one) == _core(other)


_FILLING = frozenset(
    [
        *("the", "a", "an", "this", "that", "it", "please", "can", "could", "you", "tell", "me"),
        *("clip", "song", "piece", "track", "music", "recording", "excerpt", "here"),
    ]
)


def _core(question: str) -> tuple[str, ...]:
    return tuple(word for word in words(question) if word not in _FILLING)
