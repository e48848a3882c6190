"""The judge of damaged files finds what is planted and passes what is right; a seed makes one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import hostile
import hostile_files
import numpy as np
import pytest
from hostile_files import KINDS, Damage

from llark.errors import BadAudio

Change = Callable[[np.ndarray, int], np.ndarray]
"""What becomes of samples at a rate."""


@pytest.fixture(autouse=True)
def short_recordings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hostile_files, "SECONDS", 6.0)
    monkeypatch.setattr(hostile_files, "OTHER_SECONDS", 4.0)
    hostile_files.whole.cache_clear()
    yield
    hostile_files.whole.cache_clear()


class Altered(hostile.Reader):
    """What llark reads, and then something happens to it."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def load(
        self, path: str, start_seconds: float = 0.0, end_seconds: float | None = None
    ) -> tuple[np.ndarray, int]:
        samples, rate = super().load(path, start_seconds, end_seconds)
        return self.change(samples, rate), rate


def late(seconds: float) -> Change:
    return lambda samples, rate: np.pad(samples, (round(seconds * rate), 0))[: len(samples)]


def hole(seconds: float) -> Change:
    return lambda samples, rate: np.where(
        np.abs(np.arange(len(samples)) / rate - 2) < seconds / 2, 0, samples
    )


def short(seconds: float) -> Change:
    return lambda samples, rate: samples[: len(samples) - round(seconds * rate)]


def refused(samples: np.ndarray, rate: int) -> np.ndarray:
    raise BadAudio("damaged", "It is damaged.")


def broken(samples: np.ndarray, rate: int) -> np.ndarray:
    raise ZeroDivisionError("a rate of 0")


def verdict(folder: Path, change: Change, kind: str = "none") -> str:
    damage = Damage("flac", kind, 0)
    return hostile.judge([damage], str(folder), 0, Altered(change)).of[damage.id].verdict


@pytest.mark.parametrize("change", [late(0.03), hole(0.3), short(1.5)], ids=["late", "hole", "short"])
def test_a_planted_loss_is_found(tmp_path: Path, change: Change) -> None:
    assert verdict(tmp_path, change) == "SILENT LOSS"


@pytest.mark.parametrize("change", [late(0.005), hole(0.06), short(0.005)], ids=["late", "hole", "short"])
def test_what_is_within_the_tolerance_is_right(tmp_path: Path, change: Change) -> None:
    assert verdict(tmp_path, change) == "right"


def test_a_reader_that_refuses_good_files_or_breaks_is_found(tmp_path: Path) -> None:
    assert verdict(tmp_path, refused) == "WRONG REASON"
    assert verdict(tmp_path, refused, "junk-after") == "intact"
    assert verdict(tmp_path, refused, "flip") == "refused"
    assert verdict(tmp_path, broken) == "CRASH"


@pytest.mark.slow
def test_files_of_every_kind_are_read_right_or_refused(tmp_path: Path) -> None:
    damages = [Damage(name, kind, 0) for name in ("wav-u8", "m4a") for kind in KINDS if kind != "chain"]
    verdicts = hostile.judge(damages, str(tmp_path), 0).of
    assert len(verdicts) > 24
    assert {verdict.verdict for verdict in verdicts.values()} == {"right", "refused", "intact"}
    assert hostile.unaccounted(tmp_path, 0) == []


def test_a_seed_makes_the_same_file_again() -> None:
    made = [hostile_files.make(Damage("wav-u8", "flip", seed)) for seed in (4, 4, 6)]
    first, again, other = (data for _, data, _ in filter(None, made))
    assert first == again != other


def test_the_table_counts_by_format_and_damage() -> None:
    verdicts = [
        hostile.Verdict("ogg flip 0", "right"),
        hostile.Verdict("ogg flip 1", "SILENT LOSS"),
        hostile.Verdict("ogg cut 0", "intact"),
    ]
    assert hostile.table(verdicts).splitlines()[-1].endswith("| 1/0/1 **!1** |")
