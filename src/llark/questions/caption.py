"""Descriptions, which say what is known and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from llark.questions import CAPTIONING, CLIP, Ask, Kind
from llark.questions.facts import Facts, counted, listed, plain_number
from llark.questions.rhythm import marking, pace
from llark.questions.sound import genre_phrase, with_article

ALL = ("tempo", "meter", "key", "chords", "instruments", "genre", "mood")
MOST_INSTRUMENTS = 6
LEAST_FACTS = 2
NOUNS = ("piece", "track", "recording")
PACES = {"slow": "slow", "moderate": "mid-tempo", "fast": "fast"}
FACTS_OF = {
    "bpm": ("tempo",), "pace": ("tempo",), "marking": ("tempo",), "tempo_word": ("tempo",),
    "meter": ("meter",), "key": ("key",), "mode": ("key",), "colour": ("key",), "chords": ("chords",),
    "piece": ("genre",), "genre": ("genre",), "music": ("genre",), "mood": ("mood",),
    "instruments": ("instruments",), "several": ("instruments",), "alone": ("instruments",),
    "players": ("instruments",), "instruments_all": ("instruments",), "seconds": CLIP,
    "slower": ("tempo",), "place": ("tempo",), "count": ("meter",), "spot": ("genre",),
}  # fmt: skip
"""The fields of the annotation that each value of a caption, or of advice, rests on."""

COLOURS = {"major": "bright", "minor": "dark"}


def described(facts: Facts, rng: Random) -> dict[str, str]:
    """Every value that a caption may use; unknown facts have no entry."""
    values = {"seconds": plain_number(facts.seconds)}
    if facts.bpm is not None:
        values |= {"bpm": str(facts.bpm), "pace": PACES[pace(facts.bpm)], "marking": marking(facts.bpm)}
        values["tempo_word"] = pace(facts.bpm)
    if facts.meter_name is not None:
        values["meter"] = facts.meter_name
    if facts.scale is not None:
        values |= {"key": facts.scale.name, "mode": facts.scale.mode}
    if facts.scale is not None and not facts.moods:
        values["colour"] = COLOURS[facts.scale.mode]
    if len(facts.common) > 1:
        values["chords"] = listed(tuple(chord.name for chord in facts.common))
    return values | _sounds(facts, rng)


def _sounds(facts: Facts, rng: Random) -> dict[str, str]:
    values = {"piece": rng.choice(NOUNS)}
    if facts.genres:
        name = facts.genres[0]
        values |= {"genre": name, "music": genre_phrase(name)}
        values["piece"] = name if name in ("march", "waltz") else f"{name} {rng.choice(NOUNS)}"
    if facts.instruments:
        names = facts.instruments[:MOST_INSTRUMENTS]
        values |= {"instruments": listed(names), "players": counted(len(facts.instruments))}
        if len(names) == 1:
            values["alone"] = with_article(names[0])
        else:
            values["several"] = listed(names)
            if len(names) == len(facts.instruments):
                values["instruments_all"] = values["several"]
    if facts.moods:
        values["mood"] = listed(facts.moods[:2])
    return values


def description(
    *sayable: str, of: Callable[[Facts, Random], dict[str, str]] = described
) -> Callable[[Facts, Random], Ask]:
    """Any description; `unknown` where fewer than two of the values it could use are known."""

    def asks(facts: Facts, rng: Random) -> Ask:
        values = of(facts, rng)
        return Ask("known" if len(values.keys() & {*sayable}) >= LEAST_FACTS else "unknown", values)

    return asks


caption = description("bpm", "meter", "key", "chords", "instruments", "genre", "mood")
short_caption = description("bpm", "meter", "key", "instruments", "genre")
listener_caption = description("pace", "colour", "mood", "instruments", "genre")
"""What needs no theory: key and mood as colour, tempo as pace."""


def basics(facts: Facts, rng: Random) -> Ask:
    """Tempo, meter and key; the form is `partial` where not all are known."""
    values = described(facts, rng)
    count = len({"bpm", "meter", "key"} & values.keys())
    return Ask(("unknown", "partial", "partial", "known")[count], values)


KINDS = (
    Kind("caption", CAPTIONING, ALL, caption, weight=1.4, core=True),
    Kind("caption-short", CAPTIONING, ALL, short_caption, weight=1.5),
    Kind("caption-long", CAPTIONING, (*ALL, *CLIP), caption, weight=1.5),
    Kind("caption-list", CAPTIONING, ALL, caption),
    Kind("caption-musician", CAPTIONING, ALL, caption),
    Kind("caption-listener", CAPTIONING, ALL, listener_caption),
    Kind("caption-basics", CAPTIONING, ("tempo", "meter", "key"), basics),
)
