"""How varied a set of texts is: distinct-n, and self-BLEU on a sample.

Distinct-n is the share of n-grams that are different ones (Li et al. 2016); it falls with the amount of text,
so only equal amounts compare. Self-BLEU is the mean BLEU-4 of each text against all others of a sample (Zhu
et al. 2018), one added to the counts of n-grams longer than one (Lin and Och 2004). Lower is more varied.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from llark.instruct.alike import words

Gram = tuple[str, ...]
MOST_N = 4


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams as a share of all; 0 where there is none."""
    counts: Counter[Gram] = Counter()
    for text in texts:
        counts.update(grams(words(text), n))
    return len(counts) / counts.total() if counts else 0.0


def grams(found: Sequence[str], n: int) -> list[Gram]:
    return [tuple(found[at : at + n]) for at in range(len(found) - n + 1)]


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU-4 of each text against the others, 0 to 1. Raises `ValueError` for fewer than two texts."""
    if len(texts) < 2:
        raise ValueError(f"self-BLEU compares texts with each other; there are {len(texts)}")
    split = [words(text) for text in texts]
    highest = [_two_highest(split, n) for n in range(1, MOST_N + 1)]
    lengths = sorted(len(one) for one in split)
    return sum(_bleu(one, highest, lengths) for one in split) / len(split)


def _two_highest(split: Sequence[Sequence[str]], n: int) -> dict[Gram, tuple[int, int]]:
    """For each n-gram its two highest counts in a text: the second is the most that the others have."""
    found: dict[Gram, tuple[int, int]] = {}
    for one in split:
        for gram, count in Counter(grams(one, n)).items():
            first, second = found.get(gram, (0, 0))
            found[gram] = (count, first) if count > first else (first, max(second, count))
    return found


def _bleu(
    one: Sequence[str], highest: Sequence[dict[Gram, tuple[int, int]]], lengths: Sequence[int]
) -> float:
    logs = 0.0
    for n, counts in enumerate(highest, start=1):
        mine = Counter(grams(one, n))
        matched = 0
        for gram, count in mine.items():
            first, second = counts[gram]
            matched += min(count, second if count == first else first)
        more = int(n > 1)
        if matched + more == 0 or mine.total() + more == 0:
            return 0.0
        logs += math.log((matched + more) / (mine.total() + more))
    return math.exp(logs / MOST_N) * _brevity(len(one), lengths)


def _brevity(length: int, lengths: Sequence[int]) -> float:
    """The penalty against the closest length among the others."""
    others = list(lengths)
    others.remove(length)
    closest = min(others, key=lambda other: (abs(other - length), other))
    return 1.0 if length > closest or not length else math.exp(min(0.0, 1 - closest / length))
