"""The error tree: what a person has to do something about, and what a bad input looks like."""

from __future__ import annotations

import errno


def one_line(error: Exception) -> str:
    """The message of another library's error, on one line."""
    return " ".join(str(error).split())


def system_sentence(error: OSError) -> str:
    """What the operating system refused, and of which file, where it says that."""
    why = error.strerror or one_line(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Cannot write {error.filename or 'the output'}: {why}."
    return f"{error.filename}: {why}." if error.filename else f"{why}."


class LlarkError(Exception):
    """Base of every error that this package raises on purpose."""


class UserMustAct(LlarkError):
    """A person has to do something: install an extra, name a file that exists, mend a recipe.

    The command line prints it as one sentence, without a traceback, and exits with status 2.
    """


class Refused(LlarkError):
    """An input that cannot be used. `reason`: a slug that drops are counted by; `detail`: a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class BadAudio(Refused):
    """A recording that cannot be used."""


class QuestionTooLong(UserMustAct, ValueError):
    """A question has more tokens than the model reads."""


class StoreMismatch(UserMustAct):
    """A folder holds the output of another configuration or input; nothing is mixed."""
