"""Which exchanges of a reply are kept, and why the others are not.

The published pipeline listed such rules and called none of them; its substrings dropped "package" for "pack".
Here each is a pattern of whole words, and a drop names its rule.

Near-duplicates go, too: the same question about a clip twice, and long answers that say the same. Short
answers repeat by nature ("120 BPM."); a long one that is given to several clips says nothing of any.
"""

from __future__ import annotations

import functools
import hashlib
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence

from llark.instruct import Source
from llark.instruct.prompt import Prompt, known_of, names_of, page, texts, version
from llark.instruct.reply import ReplyItem
from llark.llm.ledger import Ledger
from llark.music.claims import check
from llark.questions import CAPTIONING, REASONING
from llark.records import Dropped, Exchange

LONGEST_QUESTION, LONGEST_ANSWER, FEWEST_WORDS = 600, 4000, 2
"""Characters, and words of a caption or of a reasoned answer."""


@functools.cache
def rules() -> Mapping[str, re.Pattern[str]]:
    """Patterns of what must not be said, by the reason for the drop."""
    return {
        reason: re.compile(rf"\b(?:{'|'.join(lines)})\b", re.IGNORECASE)
        for reason, lines in page("rules").items()
    }


MARKUP = re.compile(
    r"<\|[^|>]{0,40}\|>|</?[a-z_]{2,20}>|#{2,}\s*(?:human|assistant|system|instruction)|https?://|www\.\w|```"
    r"|\[/?INST\]|\{\s*\"|\\n\\n",
    re.IGNORECASE,
)
"""What belongs to a chat format, a page or a program, and to no talk about music."""

READ_IN = {"hedges": "answer", "asks-for-names": "question"}
"""Rules that look at one side only; all others look at both."""


By = tuple[str, str, str]
"""Who made a reply: the teacher's name, the model, and the key of the reply."""


def sift(
    prompt: Prompt, items: Sequence[ReplyItem], questions: Sequence[str], by: By, seen: Seen
) -> Iterator[Exchange | Dropped]:
    """Each item of a reply as an exchange that passes every rule, or as a drop with the reason.

    `questions` stand in where the family's items have none (captions). An item that passes is remembered in
    `seen`, so that no later one says the same.
    """
    source, record = prompt.source, known_of(prompt.source.annotation, prompt.fields)
    names = _name_patterns(source)
    teacher, model, key = by
    kinds = texts()["families"][prompt.family]["kinds"]
    asked: list[str] = []
    for place, item in enumerate(items):
        question = questions[place] if prompt.family == CAPTIONING else item.question
        used: frozenset[str] = frozenset()
        trouble = _form(prompt.family, question, item.answer) or _said(item, question, names)
        if trouble is None:
            verdict = check(record, question, item.answer, free=prompt.family == REASONING)
            trouble, used = (verdict.reason, verdict.detail) if verdict.reason else None, verdict.used
        facts = _rests_on(prompt, item, used)
        if trouble is None and not facts:
            trouble = "rests-on-nothing", "It names no fact of the clip."
        id_ = f"{prompt.id}#{place}"
        if trouble is not None:
            short = f"{item.question[:100]} → {item.answer[:160]}".strip(" →")
            yield Dropped(id_, "instruct", trouble[0], f"{trouble[1]} ({short})")
            continue
        if prompt.family != CAPTIONING and any(same_question(question, other) for other in asked):
            yield Dropped(id_, "instruct", "same-question", f"Asked twice: {question[:120]}")
            continue
        if other := seen.alike(id_, item.answer):
            detail = f"Nearly the answer of {other}: {item.answer[:120]}"
            yield Dropped(id_, "instruct", "near-duplicate", detail)
            continue
        asked.append(question)
        yield Exchange(
            source.id,
            question,
            item.answer,
            task=prompt.family,
            kind=item.kind if item.kind in kinds else "other",
            teacher=teacher,
            facts=facts,
            model=model,
            prompt=version(prompt.family),
            prompt_sha256=key,
            **source.provenance(facts),
        )


def _form(family: str, question: str, answer: str) -> tuple[str, str] | None:
    if not question:
        return "no-question", "It has an answer and no question."
    if len(question) > LONGEST_QUESTION or len(answer) > LONGEST_ANSWER:
        return "too-long", f"The question has {len(question)} characters, the answer {len(answer)}."
    if family != "understanding" and len(answer.split()) < FEWEST_WORDS:
        return "too-short", f"The answer is {answer!r}."
    return None


def _said(item: ReplyItem, question: str, names: tuple[re.Pattern[str], ...]) -> tuple[str, str] | None:
    both = f"{question}\n{item.answer}"
    sides = {"question": question, "answer": item.answer}
    looks = [("markup", MARKUP, both)]
    looks += [
        (reason, pattern, sides.get(READ_IN.get(reason, ""), both)) for reason, pattern in rules().items()
    ]
    looks += [("names-the-recording", name, both) for name in names]
    for reason, pattern, text in looks:
        if match := pattern.search(text):
            return reason, f"It says {match[0][:80]!r}."
    return None


def _name_patterns(source: Source) -> tuple[re.Pattern[str], ...]:
    """A name of several words is found in any case; one word as it is written, not at a sentence's start."""
    patterns = []
    for name in names_of(source):
        if " " in name and len(name) >= 6:
            patterns.append(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE))
        elif len(name) >= 4 and name[0].isupper():
            patterns.append(re.compile(rf"(?<=[\w,] ){re.escape(name)}(?!\w)"))
    return tuple(patterns)


def _rests_on(prompt: Prompt, item: ReplyItem, used: frozenset[str]) -> tuple[str, ...]:
    """Fields that the teacher names and the record has, that its claims used, or whose words it says."""
    shown = {field.name: field.value for field in prompt.fields}
    named = {name for name in item.facts if name in shown}
    said = f"{item.question} {item.answer}".lower()
    worded = {
        name
        for name in ("genre", "mood", "instruments", "melody", "loudness", "sections", "captions")
        if name in shown and _mentions(said, shown[name])
    }
    names = (named | used | worded) - {"title", "artist", "album"}
    ordered = [name for name in shown if name in names]
    return tuple(
        one for name in ordered for one in (("start_seconds", "end_seconds") if name == "length" else (name,))
    )


def _mentions(said: str, value: str) -> bool:
    parts = [part.strip().lower() for part in re.split(r",|\d+(?:\.\d+)? s ", value)]
    return any(len(part) > 3 and re.search(rf"\b{re.escape(part)}\b", said) for part in parts)


# --- near-duplicates --------------------------------------------------------------------------------------

LONG_WORDS = 14
"""Answers of fewer words are never compared across clips."""

ALIKE = 0.8
"""Jaccard similarity of two answers' word triples from which they say the same."""

HASHES = 32
"""Hashes of an answer that are kept. The similarity of two answers with no more triples together is exact."""

KEYS = 16
"""Hashes of an answer under which it is found again: texts that are alike share one with near certainty."""

_WORD = re.compile(r"[a-z0-9#/]+")
_FILLING = frozenset(
    [
        *("the", "a", "an", "this", "that", "it", "please", "can", "could", "you", "tell", "me"),
        *("clip", "song", "piece", "track", "music", "recording", "excerpt", "here"),
    ]
)


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def same_question(one: str, other: str) -> bool:
    """Whether two questions are the same but for case, stops and filling words."""
    core, other_core = ([word for word in words(text) if word not in _FILLING] for text in (one, other))
    return core == other_core


def signature(text: str) -> list[int]:
    """The smallest hashes (63 bits) of the text's word triples: a sample of them that is the same wherever
    the same triples occur (bottom-k sketch, Broder 1997)."""
    split = words(text)
    triples = {" ".join(split[at : at + 3]) for at in range(max(1, len(split) - 2))}
    hashes = (hashlib.blake2b(triple.encode(), digest_size=8).digest() for triple in triples)
    return sorted(int.from_bytes(digest, "big") >> 1 for digest in hashes)[:HASHES]


def similarity(one: Sequence[int], other: Sequence[int]) -> float:
    """The Jaccard similarity of two texts' word triples, estimated from their signatures: of the smallest
    hashes of both texts together, the share that both have."""
    smallest = sorted({*one, *other})[:HASHES]
    return len({*smallest} & {*one} & {*other}) / len(smallest)


class Seen:
    """The long answers that were kept so far. They lie in the file of the ledger, so that a run that goes on
    still knows them."""

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
        for key in mine[:KEYS]:
            row = self._ledger.run("SELECT signature, owner FROM seen WHERE band=?", (key,)).fetchone()
            if row is None or row[1] == owner:
                continue
            if similarity(mine, array("Q", row[0])) >= ALIKE:
                return str(row[1])
        for key in mine[:KEYS]:
            row = (key, array("Q", mine).tobytes(), owner)
            self._ledger.run("INSERT OR IGNORE INTO seen VALUES (?,?,?)", row)
        return None
