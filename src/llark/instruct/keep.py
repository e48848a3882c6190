"""Which exchanges of a reply are kept, and why the others are not.

The published pipeline listed such rules and called none of them; its substrings dropped "package" for "pack".
Here each is a pattern of whole words, and a drop names its rule.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

from llark.instruct.check import Record, check
from llark.instruct.fields import names_of
from llark.instruct.prompt import Prompt, texts, version
from llark.instruct.reply import Item
from llark.instruct.sources import Source
from llark.instruct.traced import Traced
from llark.questions.kind import CAPTIONING, REASONING

LONGEST_QUESTION, LONGEST_ANSWER, FEWEST_WORDS = 600, 4000, 2
"""Characters, and words of a caption or of a reasoned answer."""


@functools.cache
def rules() -> Mapping[str, re.Pattern[str]]:
    """Patterns of what must not be said, by the reason for the drop."""
    text = (resources.files("llark.instruct") / "prompts" / "rules.yaml").read_text("utf-8")
    found: dict[str, list[str]] = yaml.safe_load(text)
    return {
        reason: re.compile(rf"\b(?:{'|'.join(lines)})\b", re.IGNORECASE) for reason, lines in found.items()
    }


MARKUP = re.compile(
    r"<\|[^|>]{0,40}\|>|</?[a-z_]{2,20}>|#{2,}\s*(?:human|assistant|system|instruction)|https?://|www\.\w|```"
    r"|\[/?INST\]|\{\s*\"|\\n\\n",
    re.IGNORECASE,
)
"""What belongs to a chat format, a page or a program, and to no talk about music."""

READ_IN = {"hedges": "answer", "asks-for-names": "question"}
"""Rules that look at one side only; all others look at both."""


@dataclass(frozen=True)
class Unkept:
    """An item that is not kept. `reason` is a slug."""

    item: Item
    reason: str
    detail: str


def sift(
    prompt: Prompt, items: tuple[Item, ...], questions: tuple[str, ...], model: str, key: str, teacher: str
) -> Iterator[Traced | Unkept]:
    """The exchanges of one reply. `questions` stand in where the family's items have none (captions)."""
    source, record = prompt.source, Record(prompt.source.annotation, prompt.fields)
    names = _name_patterns(source)
    for place, item in enumerate(items):
        question = questions[place] if prompt.family == CAPTIONING else item.question
        trouble = _form(prompt.family, question, item.answer) or _said(item, question, names)
        if trouble:
            yield Unkept(item, *trouble)
            continue
        verdict = check(record, question, item.answer, free=prompt.family == REASONING)
        if verdict.reason:
            yield Unkept(item, verdict.reason, verdict.detail)
            continue
        facts = _rests_on(prompt, item, verdict.used)
        if not facts:
            yield Unkept(item, "rests-on-nothing", "It names no fact of the clip.")
            continue
        yield traced(source, prompt, question, item, facts, (model, key, teacher))


def traced(
    source: Source,
    prompt: Prompt,
    question: str,
    item: Item,
    facts: tuple[str, ...],
    by: tuple[str, str, str],
) -> Traced:
    """`by`: the model, the key of its reply, and the teacher's name."""
    model, key, teacher = by
    kinds = texts()["families"][prompt.family]["kinds"]
    return Traced(
        clip_id=source.id,
        question=question,
        answer=item.answer,
        task=prompt.family,
        kind=item.kind if item.kind in kinds else "other",
        teacher=teacher,
        facts=facts,
        track_id=source.track.id if source.track else source.id,
        dataset=source.dataset,
        split=source.split,
        licence=source.licence,
        model=model,
        prompt=version(prompt.family),
        prompt_sha256=key,
        measured_by=tuple(source.measured_by(fact) for fact in facts),
    )


def _form(family: str, question: str, answer: str) -> tuple[str, str] | None:
    if not question:
        return "no-question", "It has an answer and no question."
    if len(question) > LONGEST_QUESTION or len(answer) > LONGEST_ANSWER:
        return "too-long", f"The question has {len(question)} characters, the answer {len(answer)}."
    if family != "understanding" and len(answer.split()) < FEWEST_WORDS:
        return "too-short", f"The answer is {answer!r}."
    return None


def _said(item: Item, question: str, names: tuple[re.Pattern[str], ...]) -> tuple[str, str] | None:
    both = f"{question}\n{item.answer}"
    sides = {"question": question, "answer": item.answer}
    looks = [("markup", MARKUP, both)]
    looks += [
        (reason, pattern, sides.get(READ_IN.get(reason, ""), both)) for reason, pattern in rules().items()
    ]
    looks += [("names-the-recording", name, both) for name in names]
    for reason, pattern, text in looks:
        found = pattern.search(text)
        if found:
            return reason, f"It says {found[0][:80]!r}."
    return None


def _name_patterns(source: Source) -> tuple[re.Pattern[str], ...]:
    """A name of several words is found in any case; one word as it is written, not at a sentence's start."""
    patterns = []
    for name in names_of(source):
        words = name.split()
        if len(words) > 1 and len(name) >= 6:
            patterns.append(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE))
        elif len(name) >= 4 and name[0].isupper():
            patterns.append(re.compile(rf"(?<=[\w,] ){re.escape(name)}(?!\w)"))
    return tuple(patterns)


def _rests_on(prompt: Prompt, item: Item, used: frozenset[str]) -> tuple[str, ...]:
    """Fields that the teacher names and the record has, that its claims used, or whose words it says."""
    shown = {field.name: field.value for field in prompt.fields}
    named = {name for name in item.facts if name in shown}
    said = f"{item.question} {item.answer}".lower()
    worded = {
        name
        for name in ("genre", "mood", "instruments", "melody", "loudness", "sections", "captions")
        if name in shown and _mentions(said, shown[name])
    }
    found = (named | used | worded) - {"title", "artist", "album"}
    ordered = [name for name in shown if name in found]
    return tuple(
        one for name in ordered for one in (("start_seconds", "end_seconds") if name == "length" else (name,))
    )


def _mentions(said: str, value: str) -> bool:
    words = [word.strip().lower() for word in re.split(r",|\d+(?:\.\d+)? s ", value)]
    return any(len(word) > 3 and re.search(rf"\b{re.escape(word)}\b", said) for word in words)
