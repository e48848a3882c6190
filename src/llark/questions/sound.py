"""Instruments, genre and mood."""

from __future__ import annotations

from random import Random

from llark.music import lexicon
from llark.music.mentions import Slots
from llark.questions import (
    UNDERSTANDING,
    Ask,
    Kind,
    Slotted,
    either,
    known,
    need,
    shuffled,
    weighted,
    yes_no,
)
from llark.questions.facts import Facts, counted, listed
from llark.records import GENRES, INSTRUMENTS

COMMON = {
    "piano": 3.0, "drums": 3.0, "bass": 3.0, "acoustic guitar": 2.0, "electric guitar": 2.0, "strings": 2.0,
    "voice": 2.0,
}  # fmt: skip
"""How often an absent instrument is asked for (others: 1): a common one should get a no as often as a yes."""

ALIKE = (
    {"piano", "electric piano", "harpsichord"}, {"organ", "accordion"}, {"brass", "trumpet"},
    {"acoustic guitar", "electric guitar", "harp"}, {"electric guitar", "distorted guitar"},
    {"bass", "cello"}, {"choir", "voice"}, {"strings", "violin", "cello"}, {"saxophone", "clarinet", "flute"},
    {"synth", "organ", "electric piano", "strings"},
)  # fmt: skip
"""Instruments that may be taken for each other: none is asked for as absent where another one plays."""

UNCOUNTED = ("strings", "drums", "mallets", "brass")
SECTIONS = (*UNCOUNTED, "choir")
"""One label, several players or pieces."""

FAMILIES = {
    "keyboard instruments": {"piano", "electric piano", "harpsichord", "organ"},
    "guitars": {"acoustic guitar", "electric guitar", "distorted guitar"},
    "bowed strings": {"strings", "violin", "cello"},
    "brass instruments": {"brass", "trumpet"},
    "woodwinds": {"saxophone", "clarinet", "flute"},
    "percussion instruments": {"drums", "mallets"},
    "singers": {"choir", "voice"},
}  # fmt: skip

GENRES_ALIKE = (
    {"rock", "metal", "pop", "blues"}, {"jazz", "blues", "funk", "soul", "latin"},
    {"waltz", "country", "jazz"}, {"country", "folk", "pop", "blues"}, {"pop", "dance", "soul", "funk"},
    {"reggae", "latin", "dance"}, {"classical", "waltz", "march", "ambient", "folk"},
    {"ambient", "dance"}, {"country", "rock"},
)  # fmt: skip

GENRE_NOUNS = {"march": "a march", "waltz": "a waltz"}
GENRE_ADJECTIVES = ("classical", "latin", "ambient", "dance", "country", "folk", "pop")


def with_article(instrument: str) -> str:
    """`a piano`, `an organ`, `strings`."""
    if instrument in UNCOUNTED:
        return instrument
    return f"{'an' if instrument[0] in 'aeio' else 'a'} {instrument}"


def genre_phrase(genre: str) -> str:
    """`a march`, `jazz`, `latin music`."""
    return GENRE_NOUNS.get(genre) or (f"{genre} music" if genre in GENRE_ADJECTIVES else genre)


def absent(present: tuple[str, ...], rng: Random) -> str | None:
    """An instrument that is surely not one of those present; None where every other one is alike."""
    near = set(present).union(*(group for group in ALIKE if group & set(present)))
    rest = [(name, COMMON.get(name, 1.0)) for name in INSTRUMENTS if name not in near]
    return weighted(rng, rest) if rest else None


def other_genre(genres: tuple[str, ...], rng: Random) -> str:
    """A genre that nobody would hear in music of these."""
    near = set(genres).union(*(group for group in GENRES_ALIKE if group & set(genres)))
    rest = [genre for genre in GENRES if genre not in near] or [g for g in GENRES if g not in genres]
    return rng.choice(rest)


def instruments(facts: Facts, rng: Random) -> Ask:
    """Their names and how many there are: each kind says what it asks for."""
    instruments = need(facts.instruments)
    values = {"instruments": listed(instruments), "an": with_article(instruments[0])}
    values["count"] = counted(len(instruments))
    return Ask("one" if len(instruments) == 1 else "known", values)


def draw_instrument(facts: Facts, rng: Random) -> Slots | None:
    if not facts.instruments:
        return {"instrument": (rng.choice(INSTRUMENTS),)}
    if rng.random() < 0.5:
        return {"instrument": (rng.choice(facts.instruments),)}
    name = absent(facts.instruments, rng)
    return None if name is None else {"instrument": (name,)}


def instrument_yesno(facts: Facts, slots: Slots) -> Ask:
    """Yes or no; `alike` for an instrument that is easily taken for one that plays."""
    (name,) = slots["instrument"]
    values = _asked(name)
    instruments = need(facts.instruments, **values)
    if plays(name, instruments):
        return Ask("yes", values)
    alike = [other for other in instruments if any({name, other} <= group for group in ALIKE)]
    values["instruments"] = listed(instruments[:4])
    return Ask("alike", {**values, "an_alike": with_article(alike[0])}) if alike else Ask("no", values)


def plays(name: str, instruments: tuple[str, ...]) -> bool:
    """Whether one of these is the instrument, or is of the family that is named."""
    return bool({name, *lexicon.FAMILIES.get(name, ())} & set(instruments))


def _asked(name: str) -> dict[str, str]:
    """`{asked}`, with its article, with its verb, and with the pronoun that answers for it."""
    plural = name in ("strings", "drums", "mallets")
    verb = "are" if plural else "is"
    return {
        "asked": name,
        "an_asked": with_article(name),
        "is_there": f"{verb} there {with_article(name)}",
        "there_is": f"there {verb} {with_article(name)}",
        "there_is_no": f"there {verb} no {name}",
    }


def draw_instruments(facts: Facts, rng: Random) -> Slots | None:
    if not facts.instruments:
        return {"instrument": tuple(rng.sample(("piano", "flute", "drums", "organ", "violin", "trumpet"), 2))}
    wrong = absent(facts.instruments, rng)
    return wrong and {"instrument": shuffled(rng, rng.choice(facts.instruments), wrong)}  # type: ignore[return-value]


def instrument_choice(facts: Facts, slots: Slots) -> Ask:
    first, second = slots["instrument"]
    instruments = need(facts.instruments, first=with_article(first), second=with_article(second))
    right = plays(first, instruments), plays(second, instruments)
    if first == second:  # two names for what the facts call by one
        return yes_no(right[0], first=with_article(first), actual=listed(instruments[:4]))
    return either(first, second, right, listed(instruments[:4]), say=with_article)


def draw_odd(facts: Facts, rng: Random) -> Slots | None:
    """Three, of which one does not play."""
    wrong = absent(facts.instruments, rng) if len(facts.instruments) > 1 else None
    if wrong is None:
        return None
    names = [*rng.sample(facts.instruments, 2), wrong]
    rng.shuffle(names)
    return {"instrument": tuple(names)}


def instrument_odd(facts: Facts, slots: Slots) -> Ask:
    """Which of several does not play; the form is `no` where all do, `none` where none does."""
    names, instruments = slots["instrument"], facts.instruments
    choices = listed(names, last="or")
    need(instruments, choices=choices)
    wrong = tuple(name for name in names if not plays(name, instruments))
    form = "no" if not wrong else "none" if len(wrong) == len(names) > 1 else "known"
    plural = len(wrong) > 1 or bool({*wrong} & {*UNCOUNTED})
    is_odd = "are" if plural else "is"
    return Ask(form, {"choices": choices, "wrong": listed(wrong, last="or"), "is_odd": is_odd})


def drums(facts: Facts, rng: Random) -> Ask:
    return yes_no("drums" in need(facts.instruments))


def voice(facts: Facts, rng: Random) -> Ask:
    instruments = need(facts.instruments)
    if "choir" in instruments:
        return Ask("choir")
    return yes_no("voice" in instruments)


def ensemble(facts: Facts, rng: Random) -> Ask:
    names = need(facts.instruments)
    if len(names) == 1:
        form = "section" if names[0] in SECTIONS else "solo"
        return Ask(form, {"an": with_article(names[0]), "one": names[0]})
    return Ask("ensemble", {"instruments": listed(names), "count": counted(len(names))})


def draw_family(facts: Facts, rng: Random) -> Slots | None:
    """A family that is there, or one of which nothing sounds alike; half and half."""
    if not facts.instruments:
        return {"family": (rng.choice(tuple(FAMILIES)),)}
    present = set(facts.instruments)
    near = present.union(*(group for group in ALIKE if group & present))
    there = [family for family, names in FAMILIES.items() if names & present]
    near |= {"electric guitar"} if "bass" in present else set()  # a bass may be a guitar
    gone = [family for family, names in FAMILIES.items() if not names & near]
    choices = there if rng.random() < 0.5 else gone
    return {"family": (rng.choice(choices),)} if choices else None


def instrument_family(facts: Facts, slots: Slots) -> Ask:
    (family,) = slots["family"]
    instruments = need(facts.instruments, family=family)
    members = tuple(with_article(name) for name in instruments if name in FAMILIES[family])
    return yes_no(bool(members), family=family, members=listed(members))


def genre(facts: Facts, rng: Random) -> Ask:
    genres = need(facts.genres)
    values = {"genre": genres[0], "music": genre_phrase(genres[0])}
    if len(genres) > 1:
        values["second"] = genres[1]
    return Ask("two" if len(genres) > 1 else "known", values)


def draw_genre(facts: Facts, rng: Random) -> Slots:
    if not facts.genres:
        return {"genre": (rng.choice(GENRES),)}
    return {"genre": (facts.genres[0] if rng.random() < 0.5 else other_genre(facts.genres, rng),)}


def genre_yesno(facts: Facts, slots: Slots) -> Ask:
    (asked,) = slots["genre"]
    values = {"asked": asked, "asked_music": genre_phrase(asked)}
    genres = need(facts.genres, **values)
    return yes_no(asked in genres, genre=genres[0], music=genre_phrase(genres[0]), **values)


def draw_genres(facts: Facts, rng: Random) -> Slots:
    if not facts.genres:
        return {"genre": tuple(rng.sample(GENRES, 2))}
    return {"genre": shuffled(rng, facts.genres[0], other_genre(facts.genres, rng))}


def genre_choice(facts: Facts, slots: Slots) -> Ask:
    first, second = slots["genre"]
    genres = need(facts.genres, first=genre_phrase(first), second=genre_phrase(second))
    right = first == genres[0], second == genres[0]
    return either(first, second, right, genre_phrase(genres[0]), say=genre_phrase)


def mood(facts: Facts, rng: Random) -> Ask:
    return known(mood=listed(need(facts.moods)))


KINDS = (
    Kind("instruments", UNDERSTANDING, ("instruments",), instruments, weight=1.3, core=True),
    Kind(
        "instrument-yesno",
        UNDERSTANDING,
        ("instruments",),
        Slotted(("instrument",), draw_instrument, instrument_yesno),
        weight=2.0,
    ),
    Kind(
        "instrument-choice",
        UNDERSTANDING,
        ("instruments",),
        Slotted(("instrument", "instrument"), draw_instruments, instrument_choice),
        weight=0.7,
    ),
    Kind(
        "instrument-odd",
        UNDERSTANDING,
        ("instruments",),
        Slotted(("instrument", "instrument", "instrument"), draw_odd, instrument_odd),
        weight=0.4,
    ),
    Kind("drums", UNDERSTANDING, ("instruments",), drums, weight=0.5),
    Kind("voice", UNDERSTANDING, ("instruments",), voice, weight=0.5),
    Kind("ensemble", UNDERSTANDING, ("instruments",), ensemble, weight=0.6),
    Kind("instrument-count", UNDERSTANDING, ("instruments",), instruments, weight=0.4),
    Kind(
        "instrument-family",
        UNDERSTANDING,
        ("instruments",),
        Slotted(("family",), draw_family, instrument_family),
        weight=0.6,
    ),
    Kind("genre", UNDERSTANDING, ("genre",), genre, weight=0.9, core=True),
    Kind("genre-yesno", UNDERSTANDING, ("genre",), Slotted(("genre",), draw_genre, genre_yesno), weight=0.8),
    Kind(
        "genre-choice",
        UNDERSTANDING,
        ("genre",),
        Slotted(("genre", "genre"), draw_genres, genre_choice),
        weight=0.6,
    ),
    Kind("mood", UNDERSTANDING, ("mood",), mood, weight=0.4),
)
