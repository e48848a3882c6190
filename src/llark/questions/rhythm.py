"""Tempo, beats, meter and time."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean, pstdev

from llark.music.mentions import Slots
from llark.questions import (
    CLIP,
    UNDERSTANDING,
    Ask,
    Kind,
    Slotted,
    either,
    known,
    need,
    shuffled,
    unknown,
    yes_no,
)
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


WAYS = ("faster", "slower")


def draw_compare(facts: Facts, rng: Random) -> Slots:
    """A round number at least 7 BPM away; half of the answers are yes."""
    way = rng.choice(WAYS)
    if facts.bpm is None:
        return {"bpm": (str(rng.randrange(60, 181, 10)),), "way": (way,)}
    above = (rng.random() < 0.5) == (way == "slower")
    gap = rng.choice((10, 15, 20, 30, 40)) if above or facts.bpm >= 80 else 10
    return {"bpm": (str(5 * round((facts.bpm + (gap if above else -gap)) / 5)),), "way": (way,)}


def tempo_compare(facts: Facts, slots: Slots) -> Ask:
    (than,), (way,) = slots["bpm"], slots["way"]
    bpm = need(facts.bpm, than=than, way=way)
    other = WAYS[way == WAYS[0]]
    truth = bpm > float(than) if way == WAYS[0] else bpm < float(than)
    return yes_no(truth, bpm=str(bpm), than=than, way=way, other=other)


def draw_range(facts: Facts, rng: Random) -> Slots:
    if facts.bpm is None:
        low = rng.randrange(60, 151, 10)
        return {"bpm": (str(low), str(low + 20))}
    truth = rng.random() < 0.5
    width = rng.choice((20, 30))
    low = (facts.bpm - rng.randrange(4, 14)) // 10 * 10
    if not truth:
        low += rng.choice((-50, 40) if low >= 90 else (40, 50))
    return {"bpm": (str(low), str(low + width))}


def tempo_range(facts: Facts, slots: Slots) -> Ask:
    low, high = sorted(slots["bpm"], key=float)
    bpm = need(facts.bpm, low=low, high=high)
    return yes_no(float(low) <= bpm <= float(high), bpm=str(bpm), low=low, high=high)


def draw_choice(facts: Facts, rng: Random) -> Slots:
    """Near the tempo, or about a third off (never an octave)."""
    if facts.bpm is None:
        return {"bpm": (str(rng.randrange(60, 101, 10)), str(rng.randrange(110, 171, 10)))}
    near = 5 * round(facts.bpm / 5)
    far = 5 * round(near * rng.choice((0.67, 0.72, 1.38, 1.5)) / 5)
    return {"bpm": shuffled(rng, str(near), str(far))}


def tempo_choice(facts: Facts, slots: Slots) -> Ask:
    first, second = slots["bpm"]
    bpm = need(facts.tempo_bpm, first=first, second=second)
    nearer = abs(float(first) - bpm) < abs(float(second) - bpm)
    return either(first, second, (nearer, not nearer)).also(bpm=str(facts.bpm))


def draw_is(facts: Facts, rng: Random) -> Slots:
    """The tempo, or a number that is neither near it nor near its half or double."""
    bpm = facts.bpm or rng.randrange(60, 181, 5)
    return {"bpm": (str(bpm if rng.random() < 0.5 else round(bpm * rng.choice((0.75, 0.85, 1.2, 1.35)))),)}


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


def draw_meter(facts: Facts, rng: Random) -> Slots:
    if facts.meter is None:
        return {"meter": (rng.choice(tuple(METER_NAMES.values())),)}
    asked = facts.meter if rng.random() < 0.5 else rng.choice(OTHER_METERS[facts.meter])
    return {"meter": (METER_NAMES[asked],)}


def meter_yesno(facts: Facts, slots: Slots) -> Ask:
    (asked,) = slots["meter"]
    meter = need(facts.meter_name, asked=asked)
    return yes_no(asked == meter, asked=asked, meter=meter)


def draw_meters(facts: Facts, rng: Random) -> Slots:
    if facts.meter is None:
        return {"meter": ("3/4", "4/4")}
    wrong = METER_NAMES[rng.choice(OTHER_METERS[facts.meter])]
    return {"meter": shuffled(rng, METER_NAMES[facts.meter], wrong)}


def meter_choice(facts: Facts, slots: Slots) -> Ask:
    first, second = slots["meter"]
    meter = need(facts.meter_name, first=first, second=second)
    return either(first, second, (first == meter, second == meter), meter)


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
    Kind("tempo-compare", UNDERSTANDING, ("tempo",), Slotted(("bpm", "way"), draw_compare, tempo_compare)),
    Kind(
        "tempo-range", UNDERSTANDING, ("tempo",), Slotted(("bpm", "bpm"), draw_range, tempo_range), weight=0.5
    ),
    Kind(
        "tempo-choice",
        UNDERSTANDING,
        ("tempo",),
        Slotted(("bpm", "bpm"), draw_choice, tempo_choice),
        weight=0.7,
    ),
    Kind("tempo-half", UNDERSTANDING, ("tempo",), tempo, weight=0.3),
    Kind("tempo-double", UNDERSTANDING, ("tempo",), tempo, weight=0.3),
    Kind("tempo-other", UNDERSTANDING, ("tempo",), tempo_other, weight=0.3),
    Kind("tempo-steady", UNDERSTANDING, ("beats", "tempo"), tempo_steady, weight=0.2),
    Kind("beats-heard", UNDERSTANDING, ("beats", *CLIP), beats_heard, weight=0.4),
    Kind("first-downbeat", UNDERSTANDING, ("beats",), first_downbeat, weight=0.3),
    Kind("meter", UNDERSTANDING, ("meter",), meter, core=True),
    Kind("meter-yesno", UNDERSTANDING, ("meter",), Slotted(("meter",), draw_meter, meter_yesno)),
    Kind(
        "meter-choice",
        UNDERSTANDING,
        ("meter",),
        Slotted(("meter", "meter"), draw_meters, meter_choice),
        weight=0.7,
    ),
    Kind("meter-waltz", UNDERSTANDING, ("meter",), meter_waltz, weight=0.5),
    Kind("meter-feel", UNDERSTANDING, ("meter",), meter, weight=0.4),
    Kind("beats-per-bar", UNDERSTANDING, ("meter",), beats_per_bar),
    Kind("bar-seconds", UNDERSTANDING, ("tempo", "meter"), bar_seconds, weight=0.3),
    Kind("beat-seconds", UNDERSTANDING, ("tempo",), beat_seconds, weight=0.3),
    Kind("duration", UNDERSTANDING, CLIP, duration, weight=0.3),
    Kind("bars-heard", UNDERSTANDING, ("tempo", "meter", *CLIP), bars_heard, weight=0.3),
)
