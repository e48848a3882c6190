"""Every reply that was bought, and what it cost: cache, account and memory of a run, in one SQLite file.

A reply is stored when it arrives, before anything is made of it; a process that is killed loses the requests
that are on their way, and nothing else. The file holds no key and no header.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llark.errors import UserMustAct

FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL, model TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL, usd REAL NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (
  key TEXT NOT NULL, reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL,
  usd REAL NOT NULL, at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS seen (band INTEGER PRIMARY KEY, signature BLOB NOT NULL, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
  digest TEXT PRIMARY KEY, state TEXT NOT NULL, batch_id TEXT NOT NULL, count INTEGER NOT NULL,
  held TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Reply:
    """What a model said. `finish`: `stop`, `length` (cut off), or what the server calls it."""

    text: str
    finish: str
    model: str
    prompt_tokens: int
    reply_tokens: int


@dataclass(frozen=True)
class Spent:
    """Tokens and US dollars; of `lost` requests the most that they can have cost."""

    replies: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.reply_tokens


@dataclass(frozen=True)
class Batch:
    """A batch at a server, with its worst case. `state`: `submitting`, `waiting`, `merged` or `failed`."""

    digest: str
    state: str
    batch_id: str
    count: int
    prompt_tokens: int = 0
    reply_tokens: int = 0
    usd: float = 0.0


class Ledger:
    """Opened for one process; a context manager. Raises `UserMustAct` for a file that is none of ours."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        try:
            if self.path != ":memory:":
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            (found,) = self._db.execute("PRAGMA user_version").fetchone()
            self._db.execute(f"PRAGMA user_version={FORMAT}")
        except (sqlite3.Error, OSError) as error:
            raise UserMustAct(f"{self.path} cannot be used for the replies: {error}.") from error
        if found not in (0, FORMAT):
            raise UserMustAct(
                f"{self.path} was written by another version of llark ({found}); name a new file."
            )

    def get(self, key: str) -> Reply | None:
        row = self._db.execute(
            "SELECT text, finish, model, prompt_tokens, reply_tokens FROM replies WHERE key=?", (key,)
        ).fetchone()
        return None if row is None else Reply(*row)

    def has(self, key: str) -> bool:
        return self._db.execute("SELECT 1 FROM replies WHERE key=?", (key,)).fetchone() is not None

    def put(self, key: str, reply: Reply, usd: float) -> None:
        """Stores a reply. A second one for the same key leaves the first, and its cost still counts."""
        values = (
            key,
            reply.text,
            reply.finish,
            reply.model,
            reply.prompt_tokens,
            reply.reply_tokens,
            usd,
            time.time(),
        )
        try:
            self._store("INSERT INTO replies VALUES (?,?,?,?,?,?,?,?)", values)
        except sqlite3.IntegrityError:
            self.lose(key, "bought-twice", reply.prompt_tokens, reply.reply_tokens, usd)

    def _store(self, statement: str, values: tuple[object, ...]) -> None:
        """Raises `UserMustAct` where the disk is full, or another process holds the file."""
        try:
            self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise UserMustAct(f"{self.path} cannot be written: {error}.") from error

    def lose(self, key: str, reason: str, prompt_tokens: int, reply_tokens: int, usd: float) -> None:
        """Notes a request that may have been charged and brought nothing."""
        values = (key, reason, prompt_tokens, reply_tokens, usd, time.time())
        self._store("INSERT INTO lost VALUES (?,?,?,?,?,?)", values)

    def spent(self) -> Spent:
        """All that was ever bought with this file; lost requests and waiting batches count at their worst."""
        sums = "COALESCE(SUM(prompt_tokens),0), COALESCE(SUM(reply_tokens),0), COALESCE(SUM(usd),0.0)"
        replies, *bought = self._db.execute(f"SELECT COUNT(*), {sums} FROM replies").fetchone()
        lost = self._db.execute(f"SELECT {sums} FROM lost").fetchone()
        waiting = [batch for batch in self.batches() if batch.state in ("submitting", "waiting")]
        held = [(batch.prompt_tokens, batch.reply_tokens, batch.usd) for batch in waiting]
        prompt, reply, usd = (sum(column) for column in zip(bought, lost, *held, strict=True))
        return Spent(replies, int(prompt), int(reply), float(usd))

    def lost(self) -> dict[str, int]:
        """How many requests were lost, by reason."""
        return dict(self._db.execute("SELECT reason, COUNT(*) FROM lost GROUP BY reason ORDER BY reason"))

    # --- near-duplicates ----------------------------------------------------------------------------------

    def neighbours(self, bands: Iterable[int]) -> Iterator[tuple[bytes, str]]:
        """(signature, owner) of what was seen with one of these keys."""
        for band in bands:
            row = self._db.execute("SELECT signature, owner FROM seen WHERE band=?", (band,)).fetchone()
            if row is not None:
                yield row

    def see(self, bands: Iterable[int], signature: bytes, owner: str) -> None:
        rows = [(band, signature, owner) for band in bands]
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?,?,?)", rows)

    def begin(self) -> None:
        """What follows until `commit` is written as one."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    # --- batches ------------------------------------------------------------------------------------------

    def batches(self) -> list[Batch]:
        rows = self._db.execute(
            "SELECT digest, state, batch_id, count, held FROM batches ORDER BY rowid"
        ).fetchall()
        return [
            Batch(digest, state, id_, count, *json.loads(held)) for digest, state, id_, count, held in rows
        ]

    def keep_batch(self, batch: Batch) -> None:
        held = json.dumps([batch.prompt_tokens, batch.reply_tokens, batch.usd])
        self._store(
            "INSERT INTO batches VALUES (?,?,?,?,?) ON CONFLICT(digest) DO UPDATE SET state=excluded.state, "
            "batch_id=excluded.batch_id, count=excluded.count, held=excluded.held",
            (batch.digest, batch.state, batch.batch_id, batch.count, held),
        )

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
