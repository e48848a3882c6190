"""What a finished folder of exchanges holds: its counts, how varied it is, its report page and data card.

It is counted in one pass, in memory that does not grow with the folder.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llark.instruct.keep import words
from llark.instruct.prompt import page
from llark.llm.ledger import Spent
from llark.records import Dropped, Exchange
from llark.report.page import render

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
    sample: list[tuple[int, str, Exchange]] = field(default_factory=list)

    def add(self, one: Exchange) -> None:
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
    def shown(self) -> list[Exchange]:
        return [one for _, _, one in sorted(self.sample, reverse=True, key=lambda entry: entry[0])[:SAMPLES]]

    def diversity(self) -> dict[str, float]:
        answers = [one.answer for _, _, one in self.sample]
        shares = {f"distinct-{n}": distinct(answers, n) for n in (1, 2, 3)}
        return shares | ({"self-BLEU": self_bleu(answers)} if len(answers) > 1 else {})


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


def summarise(exchanges: Iterable[Exchange], drops: Iterable[Dropped]) -> Summary:
    summary, last = Summary(), ""
    for one in exchanges:
        summary.exchanges += 1
        summary.clips += one.clip_id != last  # the exchanges of a clip lie together
        last = one.clip_id
        summary.families.setdefault(one.task, Family()).add(one)
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
            counts = summary.by.setdefault(name, Counter())
            counts.update(value if value in counts or len(counts) < MOST_VALUES else "…" for value in values)
        summary.vocabulary.update(words(one.answer))
    for drop in drops:
        summary.dropped[drop.reason] += 1
        summary.examples.setdefault(drop.reason, drop)
    return summary


# --- how varied texts are ---------------------------------------------------------------------------------
#
# Distinct-n is the share of n-grams that are different ones (Li et al. 2016); it falls with the amount of
# text, so only equal amounts compare. Self-BLEU is the mean BLEU-4 of each text against all others of a
# sample (Zhu et al. 2018), one added to the counts of n-grams longer than one (Lin and Och 2004). Lower is
# more varied.

Gram = tuple[str, ...]
MOST_N = 4


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams as a share of all; 0 where there is none."""
    counts: Counter[Gram] = Counter()
    for text in texts:
        counts.update(grams(words(text), n))
    return len(counts) / counts.total() if counts else 0.0


def grams(text: Sequence[str], n: int) -> list[Gram]:
    return [tuple(text[at : at + n]) for at in range(len(text) - n + 1)]


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
    highest: dict[Gram, tuple[int, int]] = {}
    for one in split:
        for gram, count in Counter(grams(one, n)).items():
            first, second = highest.get(gram, (0, 0))
            highest[gram] = (count, first) if count > first else (first, max(second, count))
    return highest


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


# --- the report page --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class About:
    """What the page says beside the counts: how the folder was made, and what it cost."""

    title: str
    settings: Mapping[str, Any]
    spent: Spent | None = None
    lost: Mapping[str, int] | None = None


def report(summary: Summary, about: About) -> str:
    """The whole page, as text."""
    counted = (
        f"{summary.exchanges:,} exchanges about {summary.clips:,} clips; {summary.dropped.total():,} dropped"
        f" ({summary.share_dropped:.1%}); {len(summary.vocabulary):,} different words"
    )
    return render(
        "instruct",
        title=about.title,
        counted=counted,
        exchanges=summary.exchanges,
        families=[_family(name, family) for name, family in summary.families.items()],
        columns=summary.by,
        lengths={name: _lengths(family) for name, family in summary.families.items()},
        dropped=summary.dropped,
        drops=[summary.examples[reason] for reason, _ in summary.dropped.most_common()],
        samples={name: family.shown for name, family in summary.families.items()},
        settings=_settings(about),
    )


def _family(name: str, family: Family) -> tuple[str, ...]:
    """A row of the table of families."""
    diversity = family.diversity()
    words = f"{family.words / max(1, family.exchanges):.1f}"
    shown = ("distinct-1", "distinct-2", "self-BLEU")
    values = [f"{diversity[key]:.3f}" if key in diversity else "" for key in shown]
    return name, f"{family.exchanges:,}", words, *values


def _lengths(family: Family) -> list[tuple[str, int]]:
    """(`≤ 5`, answers of so many words) and so on, the shortest first."""
    return sorted(family.lengths.items(), key=lambda item: (item[0][0] == ">", int(item[0][2:])))


def _settings(about: About) -> list[tuple[str, str]]:
    rows = [(str(name), str(value)) for name, value in about.settings.items()]
    if about.spent is not None and about.spent.replies:
        spent = about.spent
        rows.append(("replies bought", f"{spent.replies:,}"))
        rows.append(("tokens", f"{spent.prompt_tokens:,} in prompts, {spent.reply_tokens:,} in replies"))
        rows.append(("US dollars, by the prices given", f"{spent.usd:.4f}"))
        rows += [(f"lost: {reason}", str(count)) for reason, count in (about.lost or {}).items()]
    return rows


# --- the data card ----------------------------------------------------------------------------------------


def card(summary: Summary, about: About) -> str:
    """What is in the folder, where it comes from, and what it cannot be used for."""
    text = page("card")
    asked = bool(summary.by.get("prompt"))
    drops = {"count": f"{summary.dropped.total():,}", "share": f"{summary.share_dropped:.1%}"}
    families = (
        (name, f"{family.exchanges:,}", f"{family.words / max(1, family.exchanges):.1f}")
        for name, family in summary.families.items()
    )
    return text["card"].format(
        title=cell(about.title),
        exchanges=f"{summary.exchanges:,}",
        clips=f"{summary.clips:,}",
        families=_table(("family", "exchanges", "words an answer"), families),
        teachers=_listed(summary, "teacher"),
        measured_by=_listed(summary, "measured by"),
        datasets=_counts(summary.by.get("data set", {}), "data set"),
        licences=_counts(summary.by.get("licence", {}), "licence of the recording"),
        checked=text["by_model" if asked else "by_grammar"].format(**drops),
        drops=_counts(summary.dropped, "reason") if summary.dropped else "",
        settings="\n".join(f"- {name}: {cell(value)}" for name, value in about.settings.items()),
    )


def cell(value: object) -> str:
    """Text that cannot break out of a Markdown table or become a link."""
    text = " ".join(str(value).split())
    return "".join(f"\\{letter}" if letter in "|`*[]<>#\\" else letter for letter in text)


def _listed(summary: Summary, column: str) -> str:
    return cell(", ".join(summary.by.get(column, {}))) or "nobody"


def _counts(counts: Mapping[str, int], name: str) -> str:
    return _table((name, "exchanges"), ((cell(value), f"{count:,}") for value, count in counts.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
