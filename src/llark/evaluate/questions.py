"""Files of questions with options, as their authors publish them: reading rows, and what they become."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from llark.errors import UserMustAct
from llark.evaluate import choices
from llark.evaluate.cases import Case

Row = Mapping[str, Any]


def rows(path: Path) -> list[dict[str, Any]]:
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
        raise UserMustAct(f"{path} holds no rows: a list of objects, or an object a line, is wanted.")
    return page


def _line(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UserMustAct(f"{path}, line {number}, is no JSON: {error}.") from error


def need(path: Path, found: Sequence[Row], fields: Sequence[str], benchmark: str) -> None:
    """Raises `UserMustAct` where a row lacks a field that the benchmark's file has."""
    for number, row in enumerate(found):
        lacking = [name for name in fields if name not in row]
        if lacking:
            has = ", ".join(sorted(row)[:12])
            which = f", row {number}, is of another kind" if number else f" is not the file of {benchmark}"
            raise UserMustAct(f"{path}{which}: rows lack {', '.join(lacking)}; they have {has}.")


def case(row_id: str, audio: str, question: str, options: choices.Options, track: str | None = None) -> Case:
    """A case whose clip is named as the file of its sound is, without folder and suffix."""
    stem = PurePosixPath(audio).stem
    return Case(row_id, stem, track or stem, choices.prompt(question, options.texts), options)


def options_of(path: Path, row_id: str, texts: Sequence[str], answer: str) -> choices.Options:
    """The options, and the right one by its letter or by its text.

    Raises `UserMustAct` where the answer is none of them.
    """
    texts = tuple(str(text) for text in texts)
    if len(answer) == 1 and answer in choices.LETTERS[: len(texts)] and answer not in texts:
        return choices.Options(texts, choices.LETTERS.index(answer))
    if answer in texts:
        return choices.Options(texts, texts.index(answer))
    raise UserMustAct(f"{path}, {row_id}: the answer {answer!r} is none of {', '.join(texts)}.")
