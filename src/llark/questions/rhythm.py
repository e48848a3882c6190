"""Tempo, beats, meter and time."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean, pstdev

from llark.questions import CLIP, UNDERSTANDING, Ask, Kind, either, known, need, unknown, yes_no
from llark.questions.facts import Facts, counted, in_seconds, plain_number
from llark.records import METER_NAMES

SLOW_BELOW_BPM = 80
FAST_FROM_BPM = 120
STEADY_BELOW = 0.06
UNSTEADY_ABOVE = 0.12
"""Spread of the beat intervals, as a share of their mean."""

MARKINGS = (
    (45, "grave"), (60, "largo"), (76, "adagio"), (108, "andante"), (120, "moderato"), (160, "allegro"),
    (176, "vivace"), (200, "presto"),
)  # fmt: skip
"""Italian tempo words, each up to (not including) its BPM."""

OTHER_METERS = {2: (3,), 3: (2, 4), 4: (3, 6), 6: (3, 4)}
"""For each meter, those that a listener would not call it."""

METER_FEELS = {2: "duple", 3: "triple", 4: "quadruple", 6: "compound duple"}


def pace(bpm: float) -> str:
    """`slow`, `moderate` or `fast`."""
    return "slow" if bpm < SLOW_BELOW_BPM else "moderate" if bpm < FAST_FROM_BPM else "fast"


def marking(bpm: float) -> str:
    """The Italian word, from `grave` to `prestissimo`."""
    return next((word for below, word in MARKINGS if bpm < below), "prestissimo")


def tempo(facts: Facts, rng: Random) -> Ask:
    """The tempo, in words too, and its half and double: each kind says those that it asks for."""
    bpm = need(facts.bpm)
    more = {"half": plain_number(bpm / 2), "double": str(2 * bpm)}
    if facts.meter == 6:  # the beat is no plain quarter note
        more["dotted"] = "dotted quarter"
    return known(bpm=str(bpm), pace=pace(bpm), marking=marking(bpm), **more)


def tempo_compare(facts: Facts, rng: Random) -> Ask:
    """Faster or slower than a round number at least 7 BPM away; half of the answers are yes."""
    way = rng.choice(("faster", "slower"))
    if facts.bpm is None:
        return unknown(than=str(rng.randrange(60, 181, 10)), way=way)
    truth = rng.random() < 0.5
    above = truth == (way == "slower")
    gap = rng.choice((10, 15, 20, 30, 40)) if above or facts.bpm >= 80 else 10
    than = 5 * round((facts.bpm + (gap if above else -gap)) / 5)
    other = "slower" if way == "faster" else "faster"
    return yes_no(truth, bpm=str(facts.bpm), than=str(than), way=way, other=other)


def tempo_range(facts: Facts, rng: Random) -> Ask:
    if facts.bpm is None:
        low = rng.randrange(60, 151, 10)
        return unknown(low=str(low), high=str(low + 20))
    truth = rng.random() < 0.5
    width = rng.choice((20, 30))
    low = (facts.bpm - rng.randrange(4, 14)) // 10 * 10
    if not truth:
        low += rng.choice((-50, 40) if low >= 90 else (40, 50))
    return yes_no(low <= facts.bpm <= low + width, bpm=str(facts.bpm), low=str(low), high=str(low + width))


def tempo_choice(facts: Facts, rng: Random) -> Ask:
    """Near the tempo, or about a third off (never an octave)."""
    if facts.bpm is None:
        return unknown(first=str(rng.randrange(60, 101, 10)), second=str(rng.randrange(110, 171, 10)))
    near = 5 * round(facts.bpm / 5)
    far = 5 * round(near * rng.choice((0.67, 0.72, 1.38, 1.5)) / 5)
    return known(bpm=str(facts.bpm), **either(rng, str(near), str(far)))


def tempo_other(facts: Facts, rng: Random) -> Ask | None:
    """The other octave that a listener might tap, where the annotation names one."""
    bpm, other = need(facts.bpm), facts.annotation.tempo.alternative_bpm
    return None if not other else known(bpm=str(bpm), other=f"{other:.0f}")


def tempo_steady(facts: Facts, rng: Random) -> Ask | None:
    beats = facts.beats_seconds
    if len(beats) < 8:
        return unknown()
    gaps = [after - before for before, after in pairwise(beats)]
    spread = pstdev(gaps) / mean(gaps)
    if STEADY_BELOW <= spread <= UNSTEADY_ABOVE:
        return None
    values = {} if facts.bpm is None else {"bpm": str(facts.bpm)}
    return yes_no(spread < STEADY_BELOW, **values)


def beats_heard(facts: Facts, rng: Random) -> Ask:
    return known(count=str(len(need(facts.beats_seconds))), seconds=plain_number(facts.seconds))


def first_downbeat(facts: Facts, rng: Random) -> Ask:
    return known(at=in_seconds(need(facts.downbeats_seconds)[0]))


def meter(facts: Facts, rng: Random) -> Ask:
    return known(meter=need(facts.meter_name), feel=METER_FEELS[facts.meter or 4])


def meter_yesno(facts: Facts, rng: Random) -> Ask:
    if facts.meter is None:
        return unknown(asked=rng.choice(tuple(METER_NAMES.values())))
    truth = rng.random() < 0.5
    asked = facts.meter if truth else rng.choice(OTHER_METERS[facts.meter])
    return yes_no(truth, asked=METER_NAMES[asked], meter=METER_NAMES[facts.meter])


def meter_choice(facts: Facts, rng: Random) -> Ask:
    name = need(facts.meter_name, first="3/4", second="4/4")
    return known(**either(rng, name, METER_NAMES[rng.choice(OTHER_METERS[facts.meter or 4])]))


def meter_waltz(facts: Facts, rng: Random) -> Ask:
    return yes_no(facts.meter == 3, meter=need(facts.meter_name))


def beats_per_bar(facts: Facts, rng: Random) -> Ask:
    values = {"count": counted(need(facts.beats_in_bar)), "meter": need(facts.meter_name)}
    return Ask("compound" if facts.meter == 6 else "known", values)


def bar_seconds(facts: Facts, rng: Random) -> Ask:
    bar, name = need(facts.bar_seconds), need(facts.meter_name)
    return known(bar=in_seconds(bar), bpm=str(facts.bpm), meter=name)


def beat_seconds(facts: Facts, rng: Random) -> Ask:
    return known(beat=f"{60 / need(facts.tempo_bpm):.2f}", bpm=str(facts.bpm))


def duration(facts: Facts, rng: Random) -> Ask:
    return known(seconds=in_seconds(facts.seconds))


def bars_heard(facts: Facts, rng: Random) -> Ask | None:
    bars, name = round(facts.seconds / need(facts.bar_seconds)), need(facts.meter_name)
    if bars < 2:
        return None
    return known(bars=str(bars), bpm=str(facts.bpm), meter=name, seconds=plain_number(facts.seconds))


KINDS = (
    Kind("tempo", UNDERSTANDING, ("tempo",), tempo, weight=1.3, core=True),
    Kind("tempo-words", UNDERSTANDING, ("tempo",), tempo),
    Kind("tempo-marking", UNDERSTANDING, ("tempo",), tempo, weight=0.5),
    Kind("tempo-compare", UNDERSTANDING, ("tempo",), tempo_compare),
    Kind("tempo-range", UNDERSTANDING, ("tempo",), tempo_range, weight=0.5),
    Kind("tempo-choice", UNDERSTANDING, ("tempo",), tempo_choice, weight=0.7),
    Kind("tempo-half", UNDERSTANDING, ("tempo",), tempo, weight=0.3),
    Kind("tempo-double", UNDERSTANDING, ("tempo",), tempo, weight=0.3),
    Kind("tempo-other", UNDERSTANDING, ("tempo",), tempo_other, weight=0.3),
    Kind("tempo-steady", UNDERSTANDING, ("beats", "tempo"), tempo_steady, weight=0.2),
    Kind("beats-heard", UNDERSTANDING, ("beats", *CLIP), beats_heard, weight=0.4),
    Kind("first-downbeat", UNDERSTANDING, ("beats",), first_downbeat, weight=0.3),
    Kind("meter", UNDERSTANDING, ("meter",), meter, core=True),
    Kind("meter-yesno", UNDERSTANDING, ("meter",), meter_yesno),
    Kind("meter-choice", UNDERSTANDING, ("meter",), meter_choice, weight=0.7),
    Kind("meter-waltz", UNDERSTANDING, ("meter",), meter_waltz, weight=0.5),
    Kind("meter-feel", UNDERSTANDING, ("meter",), meter, weight=0.4),
    Kind("beats-per-bar", UNDERSTANDING, ("meter",), beats_per_bar),
    Kind("bar-seconds", UNDERSTANDING, ("tempo", "meter"), bar_seconds, weight=0.3),
    Kind("beat-seconds", UNDERSTANDING, ("tempo",), beat_seconds, weight=0.3),
    Kind("duration", UNDERSTANDING, CLIP, duration, weight=0.3),
    Kind("bars-heard", UNDERSTANDING, ("tempo", "meter", *CLIP), bars_heard, weight=0.3),
)
