"""From the rows of a data set to tracks: what every reader does with a split, a bad row and a lost file."""

from __future__ import annotations

import ast
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llark.errors import LlarkError, UserMustAct
from llark.music.names import key_name
from llark.prepare.datasets._root import Root, Unreadable
from llark.records import Annotation, Dropped, Key, MetadataValue, Tag, Tags, Track

STAGE = "prepare"
TRAIN, VALIDATION, TEST = "train", "validation", "test"

RULE = (
    "made here, for there is no official one: SHA-256 of the id (or of the group that must stay whole) gives "
    "80 % train, 10 % validation, 10 % test; see `split_of`."
)
"""What SPLITS_FROM says of a data set whose publishers name no splits."""


class BadRow(LlarkError):
    """A row that cannot become a track. `reason` is the slug that drops are counted by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Row:
    """A recording whose split is known. `make` gives its track, or raises `BadRow`."""

    id: str
    split: str
    make: Callable[[], Track]


def tracks(
    rows: Iterable[Row | Dropped], split: str | None, splits: Sequence[str]
) -> Iterator[Track | Dropped]:
    """The tracks of one split, or of all: bad rows and second rows of an id are drops.

    A row whose split cannot be known is a drop of every split.

    Raises `UserMustAct` for a split that is not one of `splits`.
    """
    if split is not None and split not in splits:
        raise UserMustAct(f"There is no split {split!r}; this data set has {', '.join(splits)}.")
    seen: set[str] = set()
    for row in rows:
        if isinstance(row, Dropped):
            yield row
            continue
        again = row.id in seen
        seen.add(row.id)
        if split is None or row.split == split:
            yield _again(row) if again else _track(row)


def _again(row: Row) -> Dropped:
    return Dropped(row.id, STAGE, "duplicate-id", f"A second row says {row.id}; the first one counts.")


def _track(row: Row) -> Track | Dropped:
    try:
        return row.make()
    except BadRow as bad:
        return Dropped(row.id, STAGE, bad.reason, bad.detail)
    except Unreadable as error:
        return Dropped(row.id, STAGE, "unreadable", str(error))


def malformed(id_: str, detail: str) -> Dropped:
    """The drop of a row that is not as the publisher writes them."""
    return Dropped(id_, STAGE, "malformed-row", detail)


def split_of(group: str) -> str:
    """The split of a recording whose publisher names none.

    The first 8 hex digits of the SHA-256 of the UTF-8 text `group`, as a number, modulo 100: 0 to 79 is
    `train`, 80 to 89 `validation`, 90 to 99 `test`. `group` is the recording's id, or the name of what must
    not be split apart (its piece, artist or pack), so that the outcome depends on nothing else.
    """
    share = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 100
    return TRAIN if share < 80 else VALIDATION if share < 90 else TEST


def recording(root: Root, *stems: str) -> str:
    """Full path of the first recording there is. `BadRow`, `missing-audio`: there is none."""
    path = root.audio(*stems)
    if path is None:
        raise BadRow(
            "missing-audio", f"{root.where} has no recording {' or '.join(f'{s}.*' for s in stems)}."
        )
    return path


def page_of(root: Root, path: str) -> Mapping[str, Any]:
    """The JSON object that a file holds about one recording. `BadRow`: it holds none; the others stay."""
    try:
        page = json.loads(root.text(path))
    except (ValueError, RecursionError) as error:
        raise BadRow("malformed-row", f"{path} is not JSON: {error}.") from error
    if not isinstance(page, dict):
        raise BadRow("malformed-row", f"{path} holds no object; {type(page).__name__} was found.")
    return page


def number(text: object, what: str) -> float | None:
    """A finite number; `None` for nothing, NaN or None in words. `BadRow`: it is something else."""
    if text is None or str(text).strip().lower() in ("", "nan", "none", "null"):
        return None
    try:
        value = float(str(text).strip())
    except ValueError as error:
        raise BadRow("malformed-row", f"{what} is {text!r}; a number is wanted.") from error
    return value if math.isfinite(value) else None


def whole(text: object, what: str) -> int | None:
    """An integer, also where it is written 3.0. `BadRow`: it is something else."""
    value = number(text, what)
    if value is None:
        return None
    if value != round(value):
        raise BadRow("malformed-row", f"{what} is {text!r}; a whole number is wanted.")
    return round(value)


def known(fields: Mapping[str, Any]) -> dict[str, MetadataValue]:
    """The fields that say something, lists as tuples of text; None, NaN, blank and empty are left out."""
    values = {name: _value(value) for name, value in fields.items()}
    return {name: value for name, value in values.items() if value is not None}


def _value(value: Any) -> MetadataValue | None:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple | set | frozenset):
        parts = sorted(value) if isinstance(value, set | frozenset) else value
        texts = tuple(text for text in (str(part).strip() for part in parts if part is not None) if text)
        return texts or None
    text = "" if value is None else str(value).strip()
    return text or None


def sure(labels: Iterable[str], source: str) -> Tags:
    """Labels that people gave, each once and in their order; nothing is known where there are none."""
    unique = tuple(dict.fromkeys(label for label in labels if label))
    return Tags(tuple(Tag(label, 1.0) for label in unique), 1.0 if unique else 0.0, source if unique else "")


def truth(id_: str, end_seconds: float | None, **facts: Any) -> Annotation:
    """What the publisher labels of the file, from 0 to `end_seconds` (0 where its length is not known)."""
    return Annotation(id_, 0.0, end_seconds or 0.0, **facts)


def literal_list(text: str, what: str) -> tuple[str, ...]:
    """A list as Python writes it, its parts as text; nothing for an empty cell. `BadRow`: it is no list."""
    if text in ("", "[]"):
        return ()
    try:
        parts = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise BadRow("malformed-row", f"{what} is {text[:80]!r}; a list is wanted.") from error
    if not isinstance(parts, list | tuple):
        raise BadRow("malformed-row", f"{what} is {text[:80]!r}; a list is wanted.")
    return tuple(str(part).strip() for part in parts if str(part).strip())


def in_ranges(ranges: str) -> frozenset[int]:
    """`"2-4 7"` → {2, 3, 4, 7}."""
    ends = (part.partition("-") for part in ranges.split())
    return frozenset(n for first, _, last in ends for n in range(int(first), int(last or first) + 1))


def key_of(text: str, source: str) -> Key:
    """`Gb major`, `f# min` or `Am` as one of `records.KEYS`; an unknown `Key` where it is none."""
    name = key_name(text)
    return Key(name, 1.0, source) if name else Key()
