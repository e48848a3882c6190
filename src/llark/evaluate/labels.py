"""Reading answers over a closed list of labels that a data set has and this package has not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llark.evaluate.said import plain, said
from llark.music.lexicon import Phrases


class Labels:
    """`table`: each label → other words for it, divided by `|`."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.names = tuple(table)
        self._phrases = Phrases(table)

    def first(self, answer: str) -> str | None:
        """The first label that is named and not denied."""
        found = self._phrases.find(_spaced(said(answer)))
        return found[0][0] if found else None

    def every(self, answer: str) -> frozenset[str] | None:
        """All labels that are named and not denied."""
        return frozenset(word for word, _, _ in self._phrases.find(_spaced(said(answer)))) or None

    def alone(self, answer: str) -> str | None:
        """The label that the answer consists of, as it is written in the data set."""
        text = " ".join(plain(answer).lower().strip(" .\"'*`\n").split())
        return text if text in self.names else None

    def listed(self, answer: str) -> frozenset[str] | None:
        """The labels of an answer that is a list of nothing else."""
        parts = [part.strip(" .\"'*") for part in re.split(r",|;|\band\b|\n", plain(answer).lower())]
        named = {part for part in parts if part}
        return frozenset(named) if named and named <= set(self.names) else None


def _spaced(text: str) -> str:
    return text.lower().replace("_", " ")
