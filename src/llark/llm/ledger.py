"""What replies cost: the limit that is never passed, and the file that keeps every reply that was bought."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llark.errors import UserMustAct
from llark.llm.client import Reply

TOKENS_A_TURN = 16
"""More than any chat format puts around a turn."""

BYTES_A_TOKEN = 4.0
"""Of English text and JSON, for estimates: between 3.5 and 4.5 in common vocabularies."""


class OutOfBudget(UserMustAct):
    """The next request might pass the limit. What was bought is kept."""


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens."""

    prompt_usd: float = 0.0
    reply_usd: float = 0.0

    def usd(self, prompt_tokens: float, reply_tokens: float) -> float:
        return (prompt_tokens * self.prompt_usd + reply_tokens * self.reply_usd) / 1e6


@dataclass(frozen=True)
class SpendingLimits:
    """The most that may be spent in all; `None` is no limit."""

    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Spent:
    """Tokens and US dollars; of lost requests the most that they can have cost."""

    replies: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.reply_tokens


def most_prompt_tokens(texts: Iterable[str]) -> int:
    """No tokenizer makes more tokens of these turns: each token has at least one byte."""
    return sum(len(text.encode("utf-8", "replace")) + TOKENS_A_TURN for text in texts)


def likely_tokens(texts: Iterable[str]) -> int:
    return round(
        sum(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN + TOKENS_A_TURN / 4 for text in texts)
    )


class Budget:
    """Counts what is spent and what is on its way, so that a limit is never passed.

    Before a request is sent its worst case is reserved: a prompt has no more tokens than bytes, a reply no
    more than it is allowed. When the reply is there, what it really took is counted instead.
    """

    def __init__(
        self, limits: SpendingLimits | None = None, prices: Prices | None = None, spent: Spent | None = None
    ) -> None:
        self.limits, self.prices = limits or SpendingLimits(), prices or Prices()
        spent = spent or Spent()
        self.usd, self.tokens = spent.usd, spent.tokens
        if self.limits.usd is not None and self.prices == Prices():
            raise UserMustAct("A budget in dollars needs prices: name --price-in and --price-out.")

    def reserve(self, prompt_tokens: int, reply_tokens: int) -> None:
        """Takes a request's worst case out of the budget. Raises `OutOfBudget` where there is not enough."""
        usd, tokens = self.prices.usd(prompt_tokens, reply_tokens), prompt_tokens + reply_tokens
        if self.limits.usd is not None and self.usd + usd > self.limits.usd + 1e-9:
            raise OutOfBudget(_stopped(f"{self.limits.usd:g} USD", f"{self.usd:.4f}", f"{usd:.4f}", "budget"))
        if self.limits.tokens is not None and self.tokens + tokens > self.limits.tokens:
            limit = f"{self.limits.tokens} tokens"
            raise OutOfBudget(_stopped(limit, str(self.tokens), str(tokens), "budget-tokens"))
        self.usd += usd
        self.tokens += tokens

    def settle(self, reserved: tuple[int, int], taken: tuple[int, int]) -> float:
        """Replaces a reservation (prompt, reply tokens) by what was taken; returns its dollars."""
        usd = self.prices.usd(*taken)
        self.usd += usd - self.prices.usd(*reserved)
        self.tokens += sum(taken) - sum(reserved)
        return usd


def _stopped(limit: str, spent: str, needed: str, option: str) -> str:
    return (
        f"The budget of {limit} stops here: {spent} are spent or on their way, and the next request may take "
        f"{needed}. Run again with a larger --{option} to go on; no reply is bought twice."
    )


# --- kept replies ------------------------------------------------------------------------------------------

LEDGER_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL, model TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL, usd REAL NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (
  key TEXT NOT NULL, reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL,
  usd REAL NOT NULL, at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS batches (
  digest TEXT PRIMARY KEY, state TEXT NOT NULL, batch_id TEXT NOT NULL, count INTEGER NOT NULL,
  held TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class SentBatch:
    """A file of requests at a server, with its worst case."""

    digest: str
    """Of the file's content."""

    state: str
    """`submitting`, `waiting`, `merged` or `failed`."""

    batch_id: str
    """The server's name for it; empty before it has one."""

    count: int
    """Of requests."""

    prompt_tokens: int = 0
    reply_tokens: int = 0
    usd: float = 0.0


class Ledger:
    """Every reply that was bought, and what it cost: cache, account and memory of a run, in one SQLite file.

    A reply is stored when it arrives, before anything is made of it; a process that is killed loses the
    requests that are on their way, and nothing else. The file holds no key and no header. It is opened for
    one process; a context manager. Raises `UserMustAct` for a file that is none of ours.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.path = str(path)
        try:
            if self.path != ":memory:":
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            self._db.execute(f"PRAGMA user_version={LEDGER_FORMAT}")
        except (sqlite3.Error, OSError) as error:
            raise UserMustAct(f"{self.path} cannot be used for the replies: {error}.") from error
        if version not in (0, LEDGER_FORMAT):
            raise UserMustAct(
                f"{self.path} was written by another version of llark ({version}); name a new file."
            )

    def run(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """One statement of SQL. Raises `UserMustAct` where the disk is full, or another process holds the
        file."""
        try:
            return self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise UserMustAct(f"{self.path} cannot be written: {error}.") from error

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All that is stored in the `with` block is written to the disk at once, at its end."""
        self.run("BEGIN")
        try:
            yield
        finally:
            self.run("COMMIT")

    def get(self, key: str) -> Reply | None:
        row = self.run(
            "SELECT text, finish, model, prompt_tokens, reply_tokens FROM replies WHERE key=?", (key,)
        ).fetchone()
        return None if row is None else Reply(*row)

    def has(self, key: str) -> bool:
        return self.run("SELECT 1 FROM replies WHERE key=?", (key,)).fetchone() is not None

    def put(self, key: str, reply: Reply, usd: float) -> None:
        """Stores a reply. A second one for the same key leaves the first, and its cost still counts."""
        counts = (reply.prompt_tokens, reply.reply_tokens, usd)
        values = (key, reply.text, reply.finish, reply.model, *counts, time.time())
        try:
            self.run("INSERT INTO replies VALUES (?,?,?,?,?,?,?,?)", values)
        except sqlite3.IntegrityError:
            self.lose(key, "bought-twice", *counts)

    def lose(self, key: str, reason: str, prompt_tokens: int, reply_tokens: int, usd: float) -> None:
        """Notes a request that may have been charged and brought nothing."""
        values = (key, reason, prompt_tokens, reply_tokens, usd, time.time())
        self.run("INSERT INTO lost VALUES (?,?,?,?,?,?)", values)

    def forget(self, keys: Iterable[str]) -> None:
        """Takes out replies that were of no use, so that they are asked for again; what they cost stays
        counted."""
        with self.together():
            for key in keys:
                columns = "key, 'of-no-use', prompt_tokens, reply_tokens, usd, at"
                self.run(f"INSERT INTO lost SELECT {columns} FROM replies WHERE key=?", (key,))
                self.run("DELETE FROM replies WHERE key=?", (key,))

    def spent(self) -> Spent:
        """All that was ever bought with this file; lost requests and waiting batches count at their worst."""
        sums = "COALESCE(SUM(prompt_tokens),0), COALESCE(SUM(reply_tokens),0), COALESCE(SUM(usd),0.0)"
        replies, *bought = self.run(f"SELECT COUNT(*), {sums} FROM replies").fetchone()
        lost = self.run(f"SELECT {sums} FROM lost").fetchone()
        waiting = [batch for batch in self.batches() if batch.state in ("submitting", "waiting")]
        held = [(batch.prompt_tokens, batch.reply_tokens, batch.usd) for batch in waiting]
        prompt, reply, usd = (sum(column) for column in zip(bought, lost, *held, strict=True))
        return Spent(replies, int(prompt), int(reply), float(usd))

    def lost(self) -> dict[str, int]:
        """How many requests were lost, by reason."""
        return dict(self.run("SELECT reason, COUNT(*) FROM lost GROUP BY reason ORDER BY reason"))

    def batches(self) -> list[SentBatch]:
        rows = self.run("SELECT digest, state, batch_id, count, held FROM batches ORDER BY rowid").fetchall()
        return [SentBatch(*row, *json.loads(held)) for *row, held in rows]

    def keep_batch(self, batch: SentBatch) -> None:
        held = json.dumps([batch.prompt_tokens, batch.reply_tokens, batch.usd])
        self.run(
            "INSERT INTO batches VALUES (?,?,?,?,?) ON CONFLICT(digest) DO UPDATE SET state=excluded.state, "
            "batch_id=excluded.batch_id, count=excluded.count, held=excluded.held",
            (batch.digest, batch.state, batch.batch_id, batch.count, held),
        )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()


def key_of(body: Mapping[str, Any]) -> str:
    """The SHA-256 of a request: the same words to the same model with the same settings have the same key."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
