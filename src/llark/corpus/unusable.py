"""What a source raises for an item that cannot become a clip, and how it draws items of one split."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from llark.errors import LlarkError

Item = TypeVar("Item")

DRAWS = 400


class Unusable(LlarkError):
    """`reason` is a short slug that drops are counted by; `detail` one sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def draw(choose: Callable[[], Item], admitted: Callable[[Item], bool]) -> Item:
    """The first item that is admitted. Raises `Unusable` when DRAWS of them are not."""
    for _ in range(DRAWS):
        item = choose()
        if admitted(item):
            return item
    raise Unusable("no-such-group", f"none of {DRAWS} draws was of the split that is wanted")
