"""What one data set's reader takes beside its folder, from words such as `version=1`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from llark.errors import UserMustAct
from llark.records import Dropped, Track

ReadTracks = Callable[..., Iterator[Track | Dropped]]
"""A data set's reader: what it takes beside its folder and split is keyword-only."""


def pairs(words: Sequence[str], flag: str, example: str) -> dict[str, str]:
    """`path=file title=name` as {path: file, title: name}. Raises `UserMustAct` for a word without `=`."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name and value) or name in found:
            raise UserMustAct(f"{flag} takes {example}, each once; not {word!r}.")
        found[name] = value
    return found


def known(read: ReadTracks) -> dict[str, tuple[Any, ...]]:
    """Option → the values it may have, the usual one first; `(25, int)` stands for any whole number."""
    kinds = get_type_hints(read)
    found: dict[str, tuple[Any, ...]] = {}
    for name, parameter in inspect.signature(read).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            usual, kind = parameter.default, kinds[name]
            choices = {bool: (True, False)}.get(
                kind, get_args(kind) if get_origin(kind) is Literal else (kind,)
            )
            found[name] = (usual, *(value for value in choices if value is not usual))
    return found


def typed(dataset: str, read: ReadTracks, given: Mapping[str, str]) -> dict[str, Any]:
    """The options as the reader takes them. Raises `UserMustAct` for another name or value."""
    allowed, found = known(read), dict[str, Any]()
    for name, text in given.items():
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            some = ", ".join(allowed) or "none"
            raise UserMustAct(f"{dataset} has no option {name!r}.{hint} It has {some}.")
        if allowed[name][1] is int and text.isdecimal():
            found[name] = int(text)
            continue
        matching = [value for value in allowed[name] if str(value).lower() == text.lower()]
        if not matching:
            raise UserMustAct(f"{dataset} takes {name}={described(allowed[name])}; not {text!r}.")
        found[name] = matching[0]
    return found


def described(values: tuple[Any, ...]) -> str:
    """`2 or 1`, `true or false`, or `a whole number (4)`."""
    if values[1] is int:
        return f"a whole number ({values[0]})"
    return " or ".join(str(value).lower() for value in values)
