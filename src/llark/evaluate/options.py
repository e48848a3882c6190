"""Benchmarks whose questions others wrote, with a list of options: their files, how a question is put, and
which option an answer means.

A letter counts where it cannot be a word ("(B)", "B.", "answer: B",
"option B"), else the option whose text the answer has, less those that it denies. An answer that means two
options, or none, is no answer. `read_bare_option` reads as a program that compares strings: the letter alone,
bracketed or not, or the option's text alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.cases import Case
from llark.evaluate.task import ACCURACY, Constants, Points, Reader, Task, Truth
from llark.music.claims import asserted, plain

LETTERS = "ABCDEFGHIJ"

_ALONE = re.compile(r"^\W*([A-J])\W*$")
_ANSWER_IS = re.compile(
    r"(?i:\b(?:answer|option|choice|letter|choose|chose|pick|select|go\s+(?:with|for)|it\s+is|it's)\b)"
    r"(?i:\s+(?:is|would\s+be|should\s+be|letter|option|choice))*\s*[:=]?\s*[*\"'(\[]*([A-J])(?![\w'])(?!\s+(?:[a-z]|Major\b|Minor\b))"
)
_MARKED = re.compile(r"(?:^|(?<=[\s*\"']))(?:[(\[]([A-Ja-j])[)\]]|([A-Ja-j])\)|([A-J])[.:](?=\s|$|\*))")
_LEADING = re.compile(r"^\W*([A-J])(?:\s*[,;-]|\s+(?=because|since|as\b|is\b))")
_NUMBERED = re.compile(r"(?i)\b(?:option|choice|answer)\s*(?:number|no\.?|#)?\s*[:=]?\s*([1-9])\b(?![.\d])")
_VERDICT = re.compile(
    r"(?i)\b(?:the\s+)?(?:final\s+|correct\s+|right\s+|best\s+)?answer\s*(?:is|:)|\btherefore\b"
)


@dataclass(frozen=True)
class OptionList:
    """The options in the order in which they are shown, and the place of the right one."""

    texts: tuple[str, ...]
    right: int


def prompt(question: str, options: Sequence[str]) -> str:
    """The question with its options, one a line, as they are put to a model."""
    lines = [f"({letter}) {text}" for letter, text in zip(LETTERS, options, strict=False)]
    return "\n".join([question.strip(), *lines, "Answer with a single letter."])


def bare(question: str) -> str:
    """The question of a `prompt`, without its options."""
    return question.split(f"\n({LETTERS[0]}) ")[0]


def longest(truth: OptionList) -> int:
    """The place of the option with the most characters, the first of several."""
    return max(range(len(truth.texts)), key=lambda place: (len(truth.texts[place]), -place))


def shuffled(id_: str, right: str, others: Sequence[str]) -> OptionList:
    """The options in an order that depends on the question's id alone."""
    texts = sorted([right, *others], key=lambda text: hashlib.sha256(f"{id_}:{text}".encode()).hexdigest())
    return OptionList(tuple(texts), texts.index(right))


def read_option(answer: str, truth: OptionList) -> int | None:
    """The place of the option that the answer means."""
    alone = _only_text(answer, truth.texts)
    if alone is not None:
        return alone
    text = plain(answer).strip()
    place = _by_letter(text, truth.texts)
    return place if place is not None else _by_text(text, truth.texts)


def read_bare_option(answer: str, truth: OptionList) -> int | None:
    """The place of the option that the answer consists of."""
    alone = _ALONE.match(plain(answer).strip())
    if alone:
        return _place(alone[1], len(truth.texts))
    return _only_text(answer, truth.texts)


def first_letter(answer: str, truth: OptionList) -> int | None:
    """The first capital letter that is one of the options', wherever it stands: the A of "Answer: D" too.

    Some published numbers are counted so; a person would not read so.
    """
    letter = re.search(f"[{LETTERS[: len(truth.texts)]}]", answer)
    return LETTERS.index(letter[0]) if letter else None


def _place(letter: str, count: int) -> int | None:
    place = LETTERS.index(letter.upper())
    return place if place < count else None


def _only_text(answer: str, texts: Sequence[str]) -> int | None:
    same = [place for place, text in enumerate(texts) if _words(text) == _words(answer)]
    return same[0] if len(same) == 1 and _words(answer) else None


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", plain(text).lower()))


def _by_letter(text: str, texts: Sequence[str]) -> int | None:
    """The option whose letter is given; the A of "the answer is A Minor" is none where that is an option."""
    count = len(texts)
    alone = re.match(r"^\W*([A-Ja-j])\W*$", text)
    if alone:
        return _place(alone[1], count)
    said = asserted(text)
    whole = [match.span() for match in _any_of([one for one in texts if len(_words(one)) > 1]).finditer(text)]
    verdicts = [
        match
        for match in _ANSWER_IS.finditer(said)
        if not any(start <= match.start(1) < end for start, end in whole)
    ]
    if verdicts:
        return _place(verdicts[-1][1], count)
    numbered = _NUMBERED.search(said)
    if numbered:
        return int(numbered[1]) - 1 if int(numbered[1]) <= count else None
    leading = _LEADING.match(said)
    if leading:
        return _place(leading[1], count)
    letters = {next(filter(None, match.groups())).upper() for match in _MARKED.finditer(said)}
    return _place(letters.pop(), count) if len(letters) == 1 else None


def _by_text(text: str, texts: Sequence[str]) -> int | None:
    """The one option that is named and not denied, first in what follows "the answer is"."""
    verdicts = list(_VERDICT.finditer(text))
    for part in [text[match.end() :] for match in verdicts[-1:]] + [text]:
        named = _named(part, texts)
        if len(named) == 1:
            return named.pop()
    return None


def _named(text: str, texts: Sequence[str]) -> set[int]:
    """Each option that the text has is made one word, so that a "no" inside an option denies nothing."""
    by_words = {_words(option): place for place, option in enumerate(texts) if _words(option)}
    marked = _any_of(texts).sub(lambda match: f"qz{by_words[_words(match[0])]}qz", text.lower())
    return {int(place) for place in re.findall(r"qz(\d+)qz", asserted(marked))}


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    """Finds the texts, the longest first, whatever stands between their words."""
    longest_first = sorted({_words(text) for text in texts} - {""}, key=lambda words: (-len(words), words))
    options = "|".join(r"\W+".join(map(re.escape, words.split())) for words in longest_first)
    return re.compile(rf"(?<!\w)(?:{options})(?!\w)" if options else r"(?!)", re.IGNORECASE)


def _constants(truths: Sequence[OptionList]) -> list[int]:
    """The first option every time, the second …"""
    return list(range(max((len(truth.texts) for truth in truths), default=0)))


# --- the benchmarks and their files ------------------------------------------------------------------------

Row = Mapping[str, Any]
"""A question as its authors publish it."""


def listed_options(row: Row) -> OptionList:
    """The options of `choices`, and the right one by its letter or by its text in `answer`.

    Raises `ValueError` where the answer is none of them.
    """
    texts, answer = tuple(str(text) for text in row["choices"]), str(row["answer"])
    if len(answer) == 1 and answer in LETTERS[: len(texts)] and answer not in texts:
        return OptionList(texts, LETTERS.index(answer))
    if answer in texts:
        return OptionList(texts, texts.index(answer))
    raise ValueError(f"the answer {answer!r} is none of {', '.join(texts)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class OptionTask(Task):
    """A benchmark whose questions are a file that others wrote."""

    count: int
    """Questions of the published file that are asked."""
    fields: tuple[str, ...]
    """What each row of the file has; which tell the file from another benchmark's."""
    names: Callable[[Row, int], tuple[str, str, str | None]]
    """(row, its place in the file) → the question's id, its recording, and the track if it is known."""
    options: Callable[[Row], OptionList] = listed_options
    """The options of a row. May raise `ValueError`."""
    is_asked: Callable[[Row], bool] = lambda row: True
    """Whether a row is of the part of the file that is asked."""

    question: str = ""
    headline: str = "accuracy"
    reader: Reader = read_option
    strict_reader: Reader = read_bare_option
    truth: Truth = lambda annotation: None
    points: Points = lambda value, truth: (1, value is not None, value == truth.right)
    rates: bootstrap.Rates = ACCURACY
    constants: Constants = _constants
    default: bool = False

    def read(self, answer: str, truth: Any = None) -> Any | None:
        return self.reader(answer, truth)

    def strict(self, answer: str, truth: Any = None) -> Any | None:
        return self.strict_reader(answer, truth)

    def load(self, path: Path) -> list[Case]:
        """The questions. Raises `UserMustAct` where the file is not that of this benchmark."""
        rows = read_rows(path)
        for number, row in enumerate(rows):
            if lacking := [name for name in self.fields if name not in row]:
                has = ", ".join(sorted(row)[:12])
                what = (
                    f", row {number}, is of another kind" if number else f" is not the file of {self.variant}"
                )
                raise UserMustAct(f"{path}{what}: rows lack {', '.join(lacking)}; they have {has}.")
        return [self._case(path, row, number) for number, row in enumerate(rows) if self.is_asked(row)]

    def _case(self, path: Path, row: Row, number: int) -> Case:
        """A case whose clip is named as the file of its sound is, without folder and suffix."""
        id_, recording, track = self.names(row, number)
        try:
            options = self.options(row)
        except ValueError as error:
            raise UserMustAct(f"{path}, {id_}: {error}.") from error
        stem = PurePosixPath(recording).stem
        return Case(id_, stem, track or stem, prompt(str(row["question"]), options.texts), options)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON or JSON lines file; of an object of objects each with its key as `id`.

    Raises `UserMustAct` where there is no such file, or where it is no JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserMustAct(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserMustAct(f"{path} is no text in UTF-8: {error}.") from error
    try:
        page = json.loads(text)
    except ValueError:
        lines = enumerate(text.split("\n"), 1)
        page = [_line(path, number, line) for number, line in lines if line.strip()]
    if isinstance(page, Mapping) and page and all(isinstance(row, Mapping) for row in page.values()):
        page = [{"id": name, **row} for name, row in page.items()]
    page = page if isinstance(page, list) else [page]
    if not page or not all(isinstance(row, dict) for row in page):
        raise UserMustAct(f"{path} holds no rows: a list of objects, or an object a line, is expected.")
    return page


def _line(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UserMustAct(f"{path}, line {number}, is no JSON: {error}.") from error
