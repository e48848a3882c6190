"""A track becomes clips: windows side by side over all of it, or one window, by a rule that is written down.

All strategies keep inside the segment that the data set names (`Track.start_seconds` to `end_seconds`), and
what is random depends on the seed and the track's id alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from llark.audio import SHORTEST_SECONDS, WINDOW_SECONDS, Span, probe, windows
from llark.errors import UserMustAct
from llark.records import Clip, Dropped, Track

Strategy = Literal["every", "first", "middle", "random", "published", "published-multi"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

PUBLISHED_WINDOW_SECONDS = 30.0
"""How long the clips of the published system are."""

PUBLISHED_FIRST_PROBABILITY = 0.2
"""How often `published` takes the first window of a track that has two."""

_UNHEARD_SECONDS = 0.05
"""A rest shorter than this is the padding of an encoder, and no loss worth a line."""

_SHORTEST_HOP_SECONDS = 0.01
"""Clip ids tell hundredths of a second apart."""


@dataclass(frozen=True)
class Crop:
    """Step: `Track` → `Clip`s. Raises `BadAudio` as `audio.probe` does.

    A clip's id is the track's and the second it starts at. What is too short to be a clip is a `Dropped`.

    Args:
        window_seconds: How long a clip is. A shorter track is one clip, if it has 1 s (or a whole window).
        strategy: `every` window side by side, the last one shorter; the `first`; the `middle` one; one at
            `random`; `published`, the first window with `first_probability`, or where the track holds less
            than two, else the second; `published-multi`, every full window.
        hop_seconds: From one window's start to the next, for `every`; `None` is `window_seconds`.
        seed: Of `random` and `published`.
    """

    window_seconds: float = WINDOW_SECONDS
    strategy: Strategy = "every"
    hop_seconds: float | None = None
    seed: int = 0
    first_probability: float = PUBLISHED_FIRST_PROBABILITY
    name: str = "prepare"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"there is no strategy {self.strategy!r}; there are {', '.join(STRATEGIES)}")
        if not 0 < self.window_seconds < float("inf"):
            raise ValueError(f"a window of {self.window_seconds} s is no window")
        if self.hop_seconds is not None and self.strategy != "every":
            raise ValueError(f"a hop goes with the strategy every, not with {self.strategy}")
        if self.hop_seconds is not None and not _SHORTEST_HOP_SECONDS <= self.hop_seconds < float("inf"):
            raise ValueError(f"a hop of {self.hop_seconds} s is under {_SHORTEST_HOP_SECONDS} s")
        if not 0 <= self.first_probability <= 1:
            raise ValueError(f"a probability of {self.first_probability} is not between 0 and 1")

    def id_of(self, record: Track) -> str:
        return record.id

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, record: Track) -> Iterator[Clip | Dropped]:
        yield from self.cut(record, probe(record.path).duration_seconds)

    def cut(self, track: Track, file_seconds: float) -> Iterator[Clip | Dropped]:
        """The clips of a track whose file is so long, and what of it is lost."""
        first = track.start_seconds
        last = file_seconds if track.end_seconds is None else min(track.end_seconds, file_seconds)
        if last <= first:
            detail = f"The segment starts at {first:g} s; {track.path} ends at {file_seconds:.2f} s."
            yield Dropped(clip_id(track.id, first), self.name, "outside", detail)
            return
        spans = self.spans(last - first, track.id)
        for start, end in spans:
            yield Clip(
                id=clip_id(track.id, first + start),
                track_id=track.id,
                path=track.path,
                start_seconds=_tidy(first + start),
                end_seconds=_tidy(first + end),
                split=track.split,
                dataset=track.dataset,
            )
        yield from self._rest(track, first, last - first, spans)

    def spans(self, seconds: float, track_id: str) -> list[Span]:
        """(start, end) of each clip in a track that is so long, from its start."""
        window = self.window_seconds
        if self.strategy == "published-multi":
            return [(n * window, (n + 1) * window) for n in range(int(seconds / window + 1e-9))]
        if self.strategy == "every":
            return windows(seconds, window, self.hop_seconds)
        if seconds < self._shortest():
            return []
        start = self._one_start(seconds, track_id)
        return [(start, min(start + window, seconds))]

    def _one_start(self, seconds: float, track_id: str) -> float:
        """Where the only clip starts; a hundredth of a second is as fine as it gets."""
        spare = max(0.0, seconds - self.window_seconds)
        if self.strategy == "middle":
            return int(spare * 50) / 100
        if self.strategy == "random":
            return int(Random(f"{self.seed}:crop:{track_id}").random() * (spare * 100 + 1)) / 100
        if self.strategy == "published" and seconds >= 2 * self.window_seconds:
            first = Random(f"{self.seed}:published-crop:{track_id}").random() < self.first_probability
            return 0.0 if first else self.window_seconds
        return 0.0

    def _shortest(self) -> float:
        full = self.strategy == "published-multi"
        return self.window_seconds if full else min(SHORTEST_SECONDS, self.window_seconds)

    def _rest(self, track: Track, first: float, seconds: float, spans: list[Span]) -> Iterator[Dropped]:
        """What should have been a clip and is too short. A strategy that picks one window has no rest."""
        if spans and self.strategy not in ("every", "published-multi"):
            return
        covered = spans[-1][1] if spans else 0.0
        begins = max(covered, len(spans) * (self.hop_seconds or self.window_seconds))
        if spans and seconds - begins <= _UNHEARD_SECONDS:
            return
        where = f" after {first + begins:g} s" if spans else ""
        long = f"{track.path} is {seconds - begins:.2f} s long{where}"
        detail = f"{long}; a clip needs {self._shortest():g} s."
        yield Dropped(clip_id(track.id, first + begins), self.name, "too-short", detail)


def named(
    strategy: Strategy, window_seconds: float | None = None, hop_seconds: float | None = None, seed: int = 0
) -> Crop:
    """A strategy with the window that goes with it. Raises `UserMustAct` for values that contradict."""
    usual = PUBLISHED_WINDOW_SECONDS if strategy.startswith("published") else WINDOW_SECONDS
    try:
        return Crop(usual if window_seconds is None else window_seconds, strategy, hop_seconds, seed)
    except ValueError as error:
        raise UserMustAct(f"This cropping cannot be: {error}.") from error


def _tidy(seconds: float) -> float:
    """Without the last digits of a sum, so that the same second is written the same way."""
    return round(seconds, 9)


def clip_id(track_id: str, start_seconds: float) -> str:
    """Opaque: nothing reads the start back out of it."""
    return f"{track_id}@{start_seconds:.2f}"
