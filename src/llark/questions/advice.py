"""Reasoning at length: how to learn, make, change, compare and place the music, by facts and by theory."""

from __future__ import annotations

from importlib import resources
from random import Random

import yaml

from llark.music.mentions import Slots
from llark.music.theory import INTERVAL_NAMES, Chord, Scale
from llark.questions import CAPTIONING, REASONING, Ask, Kind, Slotted, known, need, unknown
from llark.questions.caption import ALL, PACES, described, description, short_caption
from llark.questions.facts import Facts, listed, plain_number
from llark.questions.rhythm import pace
from llark.questions.sound import genre_phrase, other_genre, with_article
from llark.questions.timing import COUNTS
from llark.records import GENRES, KEYS

PLACES = {
    "slow": ("a quiet evening", "a late drive home", "falling asleep", "a rainy afternoon"),
    "moderate": ("a walk", "cooking with friends", "a long train ride", "a café"),
    "fast": ("a workout", "a party", "cleaning the house", "the start of a road trip"),
}
STYLES = yaml.safe_load((resources.files("llark.questions") / "styles.yaml").read_text("utf-8"))
"""What is said of each of `records.GENRES`: its `place`, `origin` and `recipe`."""


def _values(facts: Facts, rng: Random) -> dict[str, str]:
    """What captions say, and what advice needs beside it."""
    values = described(facts, rng)
    if facts.bpm is not None:
        values["slower"] = str(5 * round(facts.bpm * rng.choice((0.6, 0.65, 0.7)) / 5))
    if facts.meter is not None:
        values["count"] = COUNTS[facts.meter]
    return values


def professor(facts: Facts, rng: Random) -> Ask | None:
    """The pull from dominant to tonic, with what else a class could hear."""
    scale = need(facts.scale)
    dominant, tonic = Chord((scale.tonic + 7) % 12, "maj"), scale.chord(0)
    if not (scale.spells(dominant) and scale.spells(tonic)):
        return None
    values = _values(facts, rng)
    return known(**values, dominant=dominant.name, home=tonic.name)


def scenario(facts: Facts, rng: Random) -> Ask:
    if facts.bpm is None and not facts.genres:
        return unknown()
    values: dict[str, str] = {}
    if facts.bpm is not None:
        word = pace(facts.bpm)
        values |= {"bpm": str(facts.bpm), "pace": PACES[word], "place": rng.choice(PLACES[word])}
    if facts.genres and facts.genres[0] in STYLES:
        values |= {"music": genre_phrase(facts.genres[0]), "spot": STYLES[facts.genres[0]]["place"]}
    return known(**values) if values else unknown()


def draw_other(facts: Facts, rng: Random) -> Slots:
    """Another tempo, and another key."""
    other = Scale.of(rng.choice(KEYS))
    if facts.bpm is None or facts.scale is None:
        return {"bpm": (str(rng.randrange(70, 171, 5)),), "key": (other.name,)}
    than = max(40, facts.bpm + rng.choice((-40, -25, -15, 15, 25, 40)))
    if rng.random() < 0.4:
        other = rng.choice(
            (facts.scale.relative, facts.scale.parallel, facts.scale.moved(7), facts.scale.moved(5))
        )
    return {"bpm": (str(than),), "key": (other.name,)}


def compare(facts: Facts, slots: Slots) -> Ask:
    """With a track of another tempo and key that the question names."""
    (than,), (name,) = slots["bpm"], slots["key"]
    asked = {"than": than, "other": name}
    bpm, scale = need(facts.bpm, **asked), need(facts.scale, **asked)
    return known(
        **asked,
        bpm=str(bpm),
        key=scale.name,
        faster="faster" if bpm > float(than) else "slower",
        difference=plain_number(abs(bpm - float(than))),
        relation=relation(scale, Scale.of(name)),
    )


def relation(key: Scale, other: Scale) -> str:
    """How near two keys are, in words."""
    if key == other:
        return "the same key"
    if key == other.relative:
        return "its relative key, with the same notes"
    if key == other.parallel:
        return "its parallel key, on the same tonic"
    apart = (key.tonic - other.tonic) % 12
    if key.mode == other.mode and apart in (5, 7):
        return "a close key, one sharp or flat away"
    return "a more distant key"


def half_time(facts: Facts, rng: Random) -> Ask | None:
    bpm, meter = need(facts.bpm), need(facts.meter)
    return known(bpm=str(bpm), half=plain_number(bpm / 2)) if meter == 4 else None


def double_time(facts: Facts, rng: Random) -> Ask | None:
    bpm, meter = need(facts.bpm), need(facts.meter)
    return known(bpm=str(bpm), double=str(2 * bpm)) if meter == 4 and bpm <= 140 else None


def substitute(facts: Facts, rng: Random) -> Ask | None:
    """A chord that shares two notes with one that sounds: the relative one."""
    common = need(facts.common)
    plain = [chord for chord in common if chord.quality in ("maj", "min")]
    if not plain:
        return None
    chord = rng.choice(plain)
    new = chord.moved(9 if chord.quality == "maj" else 3)
    new = Chord(new.root, "min" if chord.quality == "maj" else "maj")
    if facts.scale is not None and not (facts.scale.spells(chord) and facts.scale.spells(new)):
        return None
    return known(chord=chord.name, new=new.name)


def borrow(facts: Facts, rng: Random) -> Ask | None:
    """The minor subdominant in a major key; the major subdominant in a minor one."""
    scale = need(facts.scale)
    chord = Chord((scale.tonic + 5) % 12, "min" if scale.mode == "major" else "maj")
    if not (scale.parallel.spells(chord) and scale.spells(chord)):
        return None
    colour = "darker" if scale.mode == "major" else "brighter"
    return known(key=scale.name, parallel=scale.parallel.name, chord=chord.name, colour=colour)


def secondary(facts: Facts, rng: Random) -> Ask | None:
    """The dominant of the dominant."""
    scale = need(facts.scale)
    first, second = Chord((scale.tonic + 2) % 12, "7"), Chord((scale.tonic + 7) % 12, "maj")
    if not (scale.spells(first) and scale.spells(second)):
        return None
    return known(key=scale.name, first=first.name, second=second.name)


def draw_step(facts: Facts, rng: Random) -> Slots:
    return {"interval": (rng.choice(("semitone", "whole tone", "minor third")),)}


def modulate(facts: Facts, slots: Slots) -> Ask | None:
    """Into a near key by its dominant seventh."""
    (interval,) = slots["interval"]
    name = with_article(interval)
    scale = need(facts.scale, step=name)
    target = scale.moved(INTERVAL_NAMES.index(interval))
    dominant = Chord((target.tonic + 7) % 12, "7")
    if not target.spells(dominant):
        return None
    return known(step=name, key=scale.name, target=target.name, dominant=dominant.name)


def second_voice(facts: Facts, rng: Random) -> Ask:
    """Thirds above the first three notes of the scale."""
    scale = need(facts.scale)
    return known(key=scale.name, low=listed(scale.notes[:3]), high=listed(scale.notes[2:5]))


def origin(facts: Facts, rng: Random) -> Ask | None:
    name = need(facts.genres)[0]
    return known(music=genre_phrase(name), origin=STYLES[name]["origin"]) if name in STYLES else None


def draw_style(facts: Facts, rng: Random) -> Slots:
    return {"genre": (other_genre(facts.genres, rng) if facts.genres else rng.choice(GENRES),)}


def restyle(facts: Facts, slots: Slots) -> Ask | None:
    """What to change for another style; nothing for one that `STYLES` lacks."""
    (style,) = slots["genre"]
    genres = need(facts.genres, style=style)
    if style not in STYLES:
        return None
    return known(style=style, recipe=STYLES[style]["recipe"], music=genre_phrase(genres[0]))


LEARN = ("tempo", "meter", "key", "chords")
PRODUCE = (*LEARN, "instruments", "genre")
GENERATE = ("tempo", "meter", "key", "instruments", "genre", "mood")
PRODUCED = ("bpm", "key", "instruments")

KINDS = (
    Kind("learn", REASONING, LEARN, description("bpm", "key", "chords", "meter", of=_values), weight=0.9),
    Kind("produce", REASONING, PRODUCE, description(*PRODUCED, "meter", of=_values), weight=0.9),
    Kind("generator", REASONING, GENERATE, description(*PRODUCED, "genre", "meter", of=_values), weight=0.9),
    Kind("professor", REASONING, ("key", "meter", "chords"), professor, weight=0.8),
    Kind("scenario", REASONING, ("tempo", "genre"), scenario, weight=0.7),
    Kind("compare", REASONING, ("tempo", "key"), Slotted(("bpm", "key"), draw_other, compare), weight=0.9),
    Kind("half-time", REASONING, ("tempo", "meter"), half_time, weight=0.4),
    Kind("double-time", REASONING, ("tempo", "meter"), double_time, weight=0.4),
    Kind("substitute", REASONING, ("chords",), substitute, weight=0.6),
    Kind("borrowed-chord", REASONING, ("key",), borrow, weight=0.5),
    Kind("secondary-dominant", REASONING, ("key",), secondary, weight=0.4),
    Kind("modulate", REASONING, ("key",), Slotted(("interval",), draw_step, modulate), weight=0.5),
    Kind("second-voice", REASONING, ("key",), second_voice, weight=0.5),
    Kind("style-origin", REASONING, ("genre",), origin, weight=0.5),
    Kind("restyle", REASONING, ("genre",), Slotted(("genre",), draw_style, restyle), weight=0.8),
    Kind("caption-radio", CAPTIONING, ALL, short_caption, weight=0.9),
    Kind("caption-review", CAPTIONING, ALL, short_caption, weight=0.9),
    Kind("caption-story", CAPTIONING, ALL, short_caption, weight=0.9),
)
