"""Reasoning from tempo, meter and sound: practice, mixing, dancing, arranging."""

from __future__ import annotations

from random import Random

from llark.music.mentions import Slots
from llark.questions import REASONING, Ask, Kind, Slotted, known, need, unknown
from llark.questions.facts import Facts, counted, in_seconds, plain_number
from llark.questions.sound import with_article

PITCH_SHIFT = 0.06
"""How far a DJ bends a tempo before it is heard."""

COUNTS = {2: "1, 2", 3: "1, 2, 3", 4: "1, 2, 3, 4", 6: "1, 2, 3, 4, 5, 6"}
LOUD = ("drums", "distorted guitar", "brass", "trumpet", "electric guitar", "synth")
"""Instruments to leave out for a calmer sound, the most driving first."""

TO_ADD = (
    ("bass", ("bass", "cello"), "to carry the low end"),
    ("drums", ("drums",), "to drive the beat"),
    ("strings", ("strings", "violin", "cello", "synth"), "to fill in sustained harmony"),
    ("voice", ("voice", "choir"), "to carry a melody"),
    ("flute", ("flute", "clarinet", "saxophone"), "for a lighter melodic colour"),
)
"""What an arrangement may lack: the instrument, those that already do its work, and what it is for."""

DANCES = {
    2: ((100, "a slow march"), (136, "a march or a polka"), (400, "a fast polka or a samba")),
    3: (
        (80, "a slow 3/4 ballad rather than a dance"), (110, "a slow waltz"), (150, "a moderate waltz"),
        (400, "a Viennese waltz"),
    ),
    4: (
        (80, "slow dancing"), (100, "a rumba or a slow groove"), (112, "a slow foxtrot"),
        (128, "a cha-cha, a foxtrot or a disco groove"), (150, "a jive"), (180, "a fast swing"),
        (400, "a quickstep"),
    ),
    6: ((70, "a slow barcarolle"), (100, "a gentle 6/8 sway"), (400, "a jig")),
}  # fmt: skip
"""For each meter, a dance or feel that fits, up to (not including) a tempo in BPM."""


def draw_percent(facts: Facts, rng: Random) -> Slots:
    return {"percent": (str(rng.choice((50, 60, 70, 75, 80, 90))),)}


def practice(facts: Facts, slots: Slots) -> Ask:
    (percent,) = slots["percent"]
    bpm = need(facts.bpm, percent=percent)
    return known(percent=percent, bpm=str(bpm), slower=f"{bpm * float(percent) / 100:.0f}")


def metronome(facts: Facts, rng: Random) -> Ask:
    note = {None: {}, 6: {"note": "dotted quarter"}}.get(facts.meter, {"note": "quarter note"})
    return known(bpm=str(need(facts.bpm)), **note)


def mix_tempo(facts: Facts, rng: Random) -> Ask:
    bpm = need(facts.bpm)
    low, high = bpm * (1 - PITCH_SHIFT), bpm * (1 + PITCH_SHIFT)
    other = bpm * 2 if bpm < 100 else bpm / 2
    return known(bpm=str(bpm), low=f"{low:.0f}", high=f"{high:.0f}", other=plain_number(other))


def calmer(facts: Facts, rng: Random) -> Ask:
    """Slow it down and leave out the most driving instrument, as far as they are known."""
    if facts.bpm is None and not facts.instruments:
        return unknown()
    values: dict[str, str] = {}
    if facts.bpm is not None and facts.bpm >= 70:
        values |= {"bpm": str(facts.bpm), "slower": str(5 * round(facts.bpm * 0.15 / 5))}
    loud = [name for name in LOUD if name in facts.instruments]
    if loud and len(facts.instruments) > 1:
        values["loud"] = loud[0]
    return known(**values)


def livelier(facts: Facts, rng: Random) -> Ask:
    if facts.bpm is None and not facts.instruments:
        return unknown()
    values: dict[str, str] = {}
    if facts.bpm is not None and facts.bpm <= 150:
        values |= {"bpm": str(facts.bpm), "faster": str(5 * round(facts.bpm * 0.2 / 5))}
    if facts.instruments and "drums" not in facts.instruments:
        values["add"] = "drums"
    return known(**values)


def arrange(facts: Facts, rng: Random) -> Ask | None:
    instruments = need(facts.instruments)
    lacking = [(name, why) for name, same, why in TO_ADD if not set(same) & set(instruments)]
    if not lacking:
        return None
    name, why = rng.choice(lacking)
    return known(
        add=with_article(name), no=name, why=why, verb="are" if name in ("drums", "strings") else "is"
    )


def dance(facts: Facts, rng: Random) -> Ask:
    bpm, dances = need(facts.bpm), DANCES[need(facts.meter)]
    fitting = next((name for below, name in dances if bpm < below), dances[-1][1])
    return known(bpm=str(bpm), meter=need(facts.meter_name), dance=fitting)


def count_in(facts: Facts, rng: Random) -> Ask:
    values = {"count": COUNTS[need(facts.meter)], "meter": need(facts.meter_name)}
    if facts.bar_seconds is not None:
        values |= {"bpm": str(facts.bpm), "bar": in_seconds(facts.bar_seconds)}
    return Ask("compound" if facts.meter == 6 else "known", values)


def bars_a_minute(facts: Facts, rng: Random) -> Ask:
    tempo_bpm, beats = need(facts.tempo_bpm), need(facts.beats_in_bar)
    values = {"bpm": str(facts.bpm), "meter": need(facts.meter_name), "beats": counted(beats)}
    return known(bars=plain_number(tempo_bpm / beats), **values)


def draw_bars(facts: Facts, rng: Random) -> Slots:
    return {"bars": (str(rng.choice((4, 8, 12, 16, 32))),)}


def section(facts: Facts, slots: Slots) -> Ask:
    (bars,) = slots["bars"]
    length = in_seconds(round(float(bars) * need(facts.bar_seconds, bars=bars)))
    return known(bars=bars, bpm=str(facts.bpm), meter=need(facts.meter_name), length=length)


def delay(facts: Facts, rng: Random) -> Ask:
    beat = 60_000 / need(facts.tempo_bpm)
    return known(bpm=str(facts.bpm), beat=f"{beat:.0f}", half=f"{beat / 2:.0f}")


KINDS = (
    Kind("practice-tempo", REASONING, ("tempo",), Slotted(("percent",), draw_percent, practice), weight=0.8),
    Kind("metronome", REASONING, ("tempo", "meter"), metronome, weight=0.8),
    Kind("mix-tempo", REASONING, ("tempo",), mix_tempo, weight=0.7),
    Kind("calmer", REASONING, ("tempo", "instruments"), calmer, weight=0.6),
    Kind("livelier", REASONING, ("tempo", "instruments"), livelier, weight=0.5),
    Kind("arrange", REASONING, ("instruments",), arrange, weight=0.5),
    Kind("dance", REASONING, ("tempo", "meter"), dance, weight=0.7),
    Kind("count-in", REASONING, ("tempo", "meter"), count_in, weight=0.5),
    Kind("bars-a-minute", REASONING, ("tempo", "meter"), bars_a_minute, weight=0.4),
    Kind("section-length", REASONING, ("tempo", "meter"), Slotted(("bars",), draw_bars, section), weight=0.4),
    Kind("delay-time", REASONING, ("tempo",), delay, weight=0.3),
)
