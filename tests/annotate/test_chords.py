"""Chords from made-up posteriors: no network runs here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from llark.annotate import chords
from llark.records import Chords

FPS = 22050 / 512
TRIAD_OF = {"7": "maj", "maj7": "maj", "min7": "min"}


@dataclass
class Posteriors:
    """What the nets would say: `segments` are (seconds, root, quality), root -1 for no chord.

    Of qualities that the harmony nets have no word for, they say `otherwise`.
    """

    segments: list[tuple[float, int, str]]
    certainty: float = 0.95
    loudness: float = 10.0
    otherwise: str = "maj"

    def __post_init__(self) -> None:
        triads, found = [], []
        for seconds, root, quality in self.segments:
            triad, chord = (np.full(73, (1 - self.certainty) / 72) for _ in range(2))
            sound = quality if quality in chords.QUALITIES else self.otherwise
            triad[0 if root < 0 else 1 + 12 * chords.TRIADS.index(TRIAD_OF.get(quality, quality)) + root] = (
                self.certainty
            )
            chord[-1 if root < 0 else 12 * chords.QUALITIES.index(sound) + root] = self.certainty
            triads += [triad] * round(seconds * FPS)
            found += [chord] * round(seconds * FPS)
        self.triad = np.array(triads, np.float32).reshape(-1, 73)
        self.chords = np.array(found, np.float32).reshape(-1, 73)
        self.chroma = np.full((len(triads), 12), self.loudness / 12, np.float32)


def decode(heard: Posteriors) -> Chords:
    return chords.decode(heard, heard)


def labels(decoded: Chords) -> list[str]:
    return [span.label for span in decoded.spans]


def test_chords_come_out_in_order_and_cover_the_clip_without_gaps() -> None:
    decoded = decode(Posteriors([(2, 0, "maj"), (2, 9, "min"), (2, 6, "maj")]))
    assert labels(decoded) == ["C:maj", "A:min", "F#:maj"]
    starts = [span.start_seconds for span in decoded.spans]
    ends = [span.end_seconds for span in decoded.spans]
    assert starts == pytest.approx([0, 2, 4], abs=0.03)
    assert starts[1:] == ends[:-1]
    assert ends[-1] == pytest.approx(6, abs=0.05)
    assert decoded.confidence > 0.9


def test_a_flicker_of_another_chord_is_not_a_chord() -> None:
    decoded = decode(Posteriors([(2, 0, "maj"), (0.05, 5, "maj"), (2, 0, "maj")]))
    assert labels(decoded) == ["C:maj"]


@pytest.mark.parametrize("quality", ["7", "maj7", "min7", "dim", "sus4", "sus2", "aug"])
def test_clear_sevenths_and_rare_triads_are_named(quality: str) -> None:
    decoded = decode(Posteriors([(2, 7, quality), (2, 0, "maj")]))
    assert labels(decoded) == [f"G:{quality}", "C:maj"]


def test_a_seventh_that_is_less_likely_than_not_is_not_named() -> None:
    heard = Posteriors([(4, 7, "7")])
    seventh, plain = 12 * chords.QUALITIES.index("7") + 7, 7
    heard.chords[:, [seventh, plain]] = 0.45, 0.5
    assert labels(decode(heard)) == ["G:maj"]


def test_an_unsure_net_gives_low_confidence() -> None:
    decoded = decode(Posteriors([(4, 0, "maj")], certainty=0.3))
    assert decoded.confidence < 0.5


def test_no_chord_throughout_is_unknown() -> None:
    assert decode(Posteriors([(5, -1, "maj")])) == Chords(source=chords.SOURCE)


def test_what_is_too_quiet_to_hear_is_unknown_whatever_the_net_says() -> None:
    assert decode(Posteriors([(5, 0, "maj")], loudness=1e-4)).spans == ()


def test_a_rest_in_the_middle_is_no_chord() -> None:
    decoded = decode(Posteriors([(2, 0, "maj"), (2, -1, "maj"), (2, 0, "maj")]))
    assert labels(decoded) == ["C:maj", "N", "C:maj"]


def test_nothing_heard_is_unknown() -> None:
    assert decode(Posteriors([])).confidence == 0.0


def test_viterbi_finds_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(6, 3)) * 3
    cost = 2.0

    def total(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in pairwise(path))
        return float(sum(scores[i, s] for i, s in enumerate(path))) - cost * changes

    best = max((tuple(path) for path in np.ndindex(*(3,) * 6)), key=total)
    assert tuple(chords.viterbi(scores, cost)) == best
