"""Reasoning at length: how to learn, make, change, compare and place the music, by facts and by theory."""

from __future__ import annotations

from random import Random

from llark.music.mentions import Slots
from llark.music.theory import INTERVALS, Chord, Scale
from llark.questions import CAPTIONING, REASONING, Ask, Kind, Slotted, known, need, unknown
from llark.questions.caption import ALL, PACES, described, description, short_caption
from llark.questions.facts import Facts, listed, plain_number
from llark.questions.rhythm import pace
from llark.questions.sound import genre_phrase, other_genre
from llark.questions.timing import COUNTS
from llark.records import GENRES, KEYS

PLACES = {
    "slow": ("a quiet evening", "a late drive home", "falling asleep", "a rainy afternoon"),
    "moderate": ("a walk", "cooking with friends", "a long train ride", "a café"),
    "fast": ("a workout", "a party", "cleaning the house", "the start of a road trip"),
}
GENRE_PLACES = {
    "rock": "a live club", "pop": "a radio show at noon", "jazz": "a small jazz bar", "blues": "a late bar",
    "country": "an open-air barbecue", "folk": "a session in a pub", "latin": "a dance floor",
    "funk": "a block party", "soul": "a slow dance", "reggae": "a beach", "dance": "a club",
    "classical": "a concert hall", "metal": "a festival", "ambient": "meditation", "march": "a parade",
    "waltz": "a ball",
}  # fmt: skip

ORIGINS = {
    "rock": "grew out of rhythm and blues and country in the United States of the 1950s",
    "pop": "took its present shape in the United States and Britain of the 1950s and 1960s",
    "jazz": "began among African American musicians in New Orleans early in the twentieth century",
    "blues": "comes from African American communities in the Deep South of the United States, before 1900",
    "country": "comes from the rural South of the United States and was first recorded in the 1920s",
    "folk": "is handed down by ear from one generation to the next",
    "latin": "joins dance rhythms of Latin America and the Caribbean, such as son, samba and bolero",
    "funk": "grew out of soul and jazz in the United States of the mid-1960s",
    "soul": "joined gospel with rhythm and blues in the United States of the late 1950s",
    "reggae": "comes from Jamaica, where it followed ska and rocksteady in the late 1960s",
    "dance": "descends from disco, house and techno, which were made for clubs",
    "classical": "stands in the tradition of European art music, which is written down in scores",
    "metal": "grew out of blues rock and hard rock in Britain around 1970",
    "ambient": "got its name in the late 1970s and puts sound and space before beat and tune",
    "march": "comes from military bands, which kept soldiers in step",
    "waltz": "spread from Austria and southern Germany in the late eighteenth century as a dance for couples",
}
"""Where each style is commonly said to come from."""

RECIPES = {
    "rock": "put a backbeat on two and four and let guitars carry the chords",
    "pop": "keep the verses thin and save every layer for the chorus",
    "jazz": "swing the eighth notes and turn the chords into sevenths and ninths",
    "blues": "turn the main chords into seventh chords and bend the thirds and sevenths of the melody",
    "country": "strum an acoustic guitar and let the bass alternate between root and fifth",
    "folk": "play it on acoustic instruments and keep the tune plain enough to sing along",
    "latin": "build the rhythm section on a clave and shift the bass ahead of the beat",
    "funk": "stress the first beat, cut the guitar into short sixteenth notes and let the bass syncopate",
    "soul": "add a gospel organ and answering voices behind the tune",
    "reggae": "move the chords to the off-beats, leave the first beat light and let the bass sing",
    "dance": "put a bass drum on every beat and build up and drop out in blocks of eight bars",
    "classical": "write the parts out for strings and winds and let the dynamics shape the phrases",
    "metal": "double the riffs on distorted guitars and fill the beat with a double bass drum",
    "ambient": "take the drums away, stretch each chord over many bars and add a long reverb",
    "march": "count it in two, with the bass drum on the beats and a snare between them",
    "waltz": "count it in three, with the bass on one and the chords on two and three",
}
"""What a musician changes first to get to each style."""


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
    if facts.genres and facts.genres[0] in GENRE_PLACES:
        values |= {"music": genre_phrase(facts.genres[0]), "spot": GENRE_PLACES[facts.genres[0]]}
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
    name = f"a {interval}"
    scale = need(facts.scale, step=name)
    target = scale.moved(INTERVALS[interval])
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
    return known(music=genre_phrase(name), origin=ORIGINS[name]) if name in ORIGINS else None


def draw_style(facts: Facts, rng: Random) -> Slots:
    return {"genre": (other_genre(facts.genres, rng) if facts.genres else rng.choice(GENRES),)}


def restyle(facts: Facts, slots: Slots) -> Ask:
    (style,) = slots["genre"]
    genres = need(facts.genres, style=style)
    return known(style=style, recipe=RECIPES[style], music=genre_phrase(genres[0]))


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
