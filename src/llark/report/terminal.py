"""What reaches a terminal: text of any origin, in characters that it shows and never obeys.

All that this package prints goes through `show` and `note`.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import sys
import unicodedata
from typing import Any

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and ends of lines, as the ESC that begins what a terminal obeys; those that
turn the direction of what follows; and halves of characters, as in a file's name that is no UTF-8, which
nothing can print."""

_LOOKALIKES = str.maketrans("●○▁▂▃▄▅▆▇█–—−→×’·♯♭", "*.__..::##--->x'.#b")
"""What stands for the characters of our own lanes and sentences where only ASCII can be written."""


def printable(text: str) -> str:
    """Text from outside that a terminal or a page shows as it is, and never obeys."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def printable_line(text: str) -> str:
    """The same on one line, as a name in a row of a table."""
    return printable(" ".join(text.split()))


def shortened(text: str, most: int = 600) -> str:
    """Text of any length as what a person reads of it: its beginning and its end."""
    return text if len(text) <= most else f"{text[: most * 3 // 4]} … {text[-most // 5 :]}"


def printable_json(page: Any, indent: int | None = None) -> str:
    """JSON that is read back as exactly `page`; what the output cannot show is escaped."""
    shows_all = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    text = json.dumps(page, indent=indent, ensure_ascii=not shows_all)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def show(text: object) -> None:
    """Prints a result: a line, or several."""
    print(printable(str(text)))


def note(text: object) -> None:
    """Prints a line to the error stream. One that cannot be written there stops no work."""
    with contextlib.suppress(OSError):
        print(printable(str(text)), file=sys.stderr, flush=True)


# --- the streams of the command line ----------------------------------------------------------------------


def accept_any_character() -> None:
    """From now on a character that the terminal's encoding lacks is written as the nearest in ASCII."""
    codecs.register_error("llark.lookalike", _lookalike)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="llark.lookalike")


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_LOOKALIKES)
    plain = (unicodedata.normalize("NFKD", character).encode("ascii", "ignore") for character in text)
    return "".join(letters.decode() or "?" for letters in plain), error.end


def flush() -> None:
    """Writes what was printed. Where that fails nothing is tried again, as at the end of the process."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
