"""What a finished folder of exchanges holds: counted in one pass, in memory that does not grow with it."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from llark.instruct.alike import words
from llark.instruct.diversity import distinct, self_bleu
from llark.instruct.traced import Traced
from llark.records import Dropped

SAMPLES = 12
"""Exchanges of each family that a page shows."""

DIVERSITY_SAMPLE = 1000
"""Answers of each family that diversity is measured on."""

LENGTHS = (5, 10, 20, 40, 80, 160, 320)
MOST_VALUES = 200
"""Different values of one column that are counted by name."""


@dataclass
class Family:
    """Of one family: counts, the words of its answers, and a sample that is the same in every run."""

    exchanges: int = 0
    words: int = 0
    lengths: Counter[str] = field(default_factory=Counter)
    sample: list[tuple[int, str, Traced]] = field(default_factory=list)

    def add(self, one: Traced) -> None:
        length = len(words(one.answer))
        self.exchanges += 1
        self.words += length
        self.lengths[next((f"≤ {most}" for most in LENGTHS if length <= most), f"> {LENGTHS[-1]}")] += 1
        text = f"{one.clip_id}\0{one.question}\0{one.answer}"
        rank = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        if len(self.sample) < DIVERSITY_SAMPLE:
            heapq.heappush(self.sample, (rank, text, one))
        elif rank > self.sample[0][0]:
            heapq.heapreplace(self.sample, (rank, text, one))

    @property
    def shown(self) -> list[Traced]:
        return [one for _, _, one in sorted(self.sample, reverse=True, key=lambda entry: entry[0])[:SAMPLES]]

    def diversity(self) -> dict[str, float]:
        answers = [one.answer for _, _, one in self.sample]
        found = {f"distinct-{n}": distinct(answers, n) for n in (1, 2, 3)}
        return found | ({"self-BLEU": self_bleu(answers)} if len(answers) > 1 else {})


@dataclass
class Summary:
    """Counts of exchanges by column, and of drops by reason."""

    exchanges: int = 0
    clips: int = 0
    families: dict[str, Family] = field(default_factory=dict)
    by: dict[str, Counter[str]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Dropped] = field(default_factory=dict)
    vocabulary: set[str] = field(default_factory=set)

    @property
    def share_dropped(self) -> float:
        return self.dropped.total() / max(1, self.dropped.total() + self.exchanges)

    def as_json(self) -> dict[str, Any]:
        families = {
            name: {"exchanges": f.exchanges, "words": f.words, "lengths": dict(f.lengths), **f.diversity()}
            for name, f in self.families.items()
        }
        return {
            "exchanges": self.exchanges,
            "clips": self.clips,
            "vocabulary": len(self.vocabulary),
            "families": families,
            "by": {name: dict(counts.most_common()) for name, counts in self.by.items()},
            "dropped": dict(self.dropped.most_common()),
            "examples_dropped": {reason: asdict(drop) for reason, drop in self.examples.items()},
        }


def summarise(exchanges: Iterable[Traced], drops: Iterable[Dropped]) -> Summary:
    found, last = Summary(), ""
    for one in exchanges:
        found.exchanges += 1
        found.clips += one.clip_id != last  # the exchanges of a clip lie together
        last = one.clip_id
        found.families.setdefault(one.task, Family()).add(one)
        columns = {
            "kind": (one.kind,),
            "data set": (one.dataset,),
            "split": (one.split,),
            "licence": (one.licence,),
            "teacher": (f"{one.teacher} {one.model}".strip(),),
            "prompt": (one.prompt,) if one.prompt else (),
            "fact": one.facts,
            "measured by": tuple(dict.fromkeys(one.measured_by)),
        }
        for name, values in columns.items():
            counts = found.by.setdefault(name, Counter())
            counts.update(value if value in counts or len(counts) < MOST_VALUES else "…" for value in values)
        found.vocabulary.update(words(one.answer))
    for drop in drops:
        found.dropped[drop.reason] += 1
        found.examples.setdefault(drop.reason, drop)
    return found
