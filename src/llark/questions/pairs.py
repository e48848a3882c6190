"""What can be asked of two recordings side by side."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import pairwise
from random import Random
from statistics import median

from llark.music.theory import INTERVAL_NAMES, camelot, mixes_with
from llark.questions import UNDERSTANDING, Ask, Kind, known, need, unknown
from llark.questions.advice import relation
from llark.questions.everyday import IS_WITHIN, LOUDER_LU
from llark.questions.facts import Facts, listed, plain_number
from llark.questions.sound import with_article
from llark.questions.timing import PITCH_SHIFT

FIRST, SECOND = "the first", "the second"
Compare = Callable[[Facts, Facts], Ask]


def _more(first: float, second: float, least: float, **values: str) -> Ask:
    """Which of two has more of something; `same` where they differ by less than `least`."""
    if abs(first - second) < least:
        return Ask("same", values)
    return known(more=FIRST if first > second else SECOND, **values)


def tempo(one: Facts, other: Facts) -> Ask:
    first, second = need(one.tempo_bpm), need(other.tempo_bpm)
    return _more(first, second, IS_WITHIN * first, bpm=str(one.bpm), other=str(other.bpm))


def loud(one: Facts, other: Facts) -> Ask:
    first, second = (need(each.annotation.loudness.integrated_lufs) for each in (one, other))
    return _more(first, second, LOUDER_LU / 2, lufs=f"{first:.1f}", other=f"{second:.1f}")


def length(one: Facts, other: Facts) -> Ask:
    values = {"seconds": plain_number(one.seconds), "other": plain_number(other.seconds)}
    return _more(one.seconds, other.seconds, 1.0, **values)


def key(one: Facts, other: Facts) -> Ask:
    first, second = need(one.scale), need(other.scale)
    values = {"key": first.name, "other": second.name, "relation": relation(first, second)}
    return Ask("same" if first == second else "known", values)


def meter(one: Facts, other: Facts) -> Ask:
    first, second = need(one.meter_name), need(other.meter_name)
    return Ask("same" if first == second else "known", {"meter": first, "other": second})


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> Ask:
    """What both have, and what one has alone."""
    both = [name for name in one if name in other]
    values = {"both": listed(both)} if both else {}
    for name, mine, theirs in (("only", one, other), ("other", other, one)):
        if alone := [label for label in mine if label not in theirs]:
            values[name] = listed(alone)
    return known(**values)


def instruments(one: Facts, other: Facts) -> Ask:
    return _shared(need(one.instruments), need(other.instruments))


def chords(one: Facts, other: Facts) -> Ask:
    first, second = (tuple(chord.name for chord in need(each.common)) for each in (one, other))
    return _shared(first, second)


def mix(one: Facts, other: Facts) -> Ask:
    """By tempo, at its own or at half or double, and by key."""
    first, second = need(one.tempo_bpm), need(other.tempo_bpm)
    mine, theirs = need(one.scale), need(other.scale)
    shift = min(abs(factor * second / first - 1) for factor in (0.5, 1.0, 2.0))
    blends = theirs in (mine, *mixes_with(mine))
    values = {
        "bpm": str(one.bpm),
        "other": str(other.bpm),
        "code": camelot(mine),
        "other_code": camelot(theirs),
    }
    values |= {"key": mine.name, "other_key": theirs.name, "percent": plain_number(100 * shift)}
    form = ("clash", "tempo", "key", "yes")[(shift <= PITCH_SHIFT) + 2 * blends]
    return Ask(form, values)


ALIKE = 0.7
"""Share of a line's steps that two recordings of one melody have in common."""


def melody(one: Facts, other: Facts) -> Ask:
    """Whether two single lines are the same melody, and how far it is moved."""
    pitches = [[note.pitch_midi for note in need(each.annotation.melody.notes)] for each in (one, other)]
    steps = [[after - before for before, after in pairwise(p)] for p in pitches]
    matcher = SequenceMatcher(None, steps[0], steps[1], autojunk=False)
    if not all(steps) or matcher.ratio() < ALIKE:
        return Ask("other")
    shifts = [
        pitches[1][block.b + at] - pitches[0][block.a + at]
        for block in matcher.get_matching_blocks()
        for at in range(block.size)
    ]
    moved = round(median(shifts))
    if not moved:
        return Ask("same")
    octaves, steps_left = divmod(abs(moved), 12)
    name = INTERVAL_NAMES[steps_left] if not octaves else "octave" if not steps_left else ""
    words = with_article(name) if name else f"{abs(moved)} semitones"
    return known(way="up" if moved > 0 else "down", interval=words)


def overall(one: Facts, other: Facts) -> Ask:
    """Tempo, key and meter side by side, as far as both are known."""
    values = {}
    if one.bpm is not None and other.bpm is not None:
        values["tempi"] = _beside(f"{one.bpm} BPM", f"{other.bpm} BPM")
    if one.scale is not None and other.scale is not None:
        values["keys"] = _beside(one.scale.name, other.scale.name)
    if one.meter_name and other.meter_name:
        values["meters"] = _beside(one.meter_name, other.meter_name)
    return known(**values) if values else unknown()


def _beside(one: str, other: str) -> str:
    return f"{one} in both" if one == other else f"{one} against {other}"


PAIRS: dict[str, tuple[tuple[str, ...], Compare]] = {
    "pair-tempo": (("tempo",), tempo),
    "pair-loud": (("loudness",), loud),
    "pair-length": ((), length),
    "pair-key": (("key",), key),
    "pair-meter": (("meter",), meter),
    "pair-instruments": (("instruments",), instruments),
    "pair-chords": (("chords",), chords),
    "pair-mix": (("tempo", "key"), mix),
    "pair-melody": (("melody",), melody),
    "pair-compare": (("tempo", "key", "meter"), overall),
}
"""By the name of a kind: the facts that it rests on, and how it compares."""


def _alone(facts: Facts, rng: Random) -> Ask:
    """With one recording there is nothing to compare."""
    return Ask("alone")


KINDS = tuple(Kind(slug, UNDERSTANDING, facts, _alone) for slug, (facts, _) in PAIRS.items())
