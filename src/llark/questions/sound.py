"""Instruments, genre and mood."""

from __future__ import annotations

from random import Random

from llark.questions import UNDERSTANDING, Ask, Kind, either, known, need, unknown, weighted, yes_no
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


def instrument_yesno(facts: Facts, rng: Random) -> Ask | None:
    if not facts.instruments:
        return unknown(**_asked(rng.choice(INSTRUMENTS)))
    if rng.random() < 0.5:
        return yes_no(True, **_asked(rng.choice(facts.instruments)))
    name = absent(facts.instruments, rng)
    if name is None:
        return None
    return yes_no(False, **_asked(name), instruments=listed(facts.instruments[:4]))


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


def instrument_choice(facts: Facts, rng: Random) -> Ask | None:
    if not facts.instruments:
        first, second = rng.sample(("a piano", "a flute", "drums", "an organ", "a violin", "a trumpet"), 2)
        return unknown(first=first, second=second)
    wrong = absent(facts.instruments, rng)
    if wrong is None:
        return None
    return known(**either(rng, with_article(rng.choice(facts.instruments)), with_article(wrong)))


def instrument_odd(facts: Facts, rng: Random) -> Ask | None:
    """Which of three does not play."""
    if len(facts.instruments) < 2:
        return None
    wrong = absent(facts.instruments, rng)
    if wrong is None:
        return None
    names = [*rng.sample(facts.instruments, 2), wrong]
    rng.shuffle(names)
    plural = wrong in UNCOUNTED
    return known(choices=listed(names, last="or"), wrong=wrong, is_odd="are" if plural else "is")


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


def instrument_family(facts: Facts, rng: Random) -> Ask | None:
    """A family that is there, or one of which nothing sounds alike; half and half."""
    if not facts.instruments:
        return unknown(family=rng.choice(tuple(FAMILIES)))
    present = set(facts.instruments)
    near = present.union(*(group for group in ALIKE if group & present))
    there = [family for family, names in FAMILIES.items() if names & present]
    near |= {"electric guitar"} if "bass" in present else set()  # a bass may be a guitar
    gone = [family for family, names in FAMILIES.items() if not names & near]
    choices = there if rng.random() < 0.5 else gone
    if not choices:
        return None
    family = rng.choice(choices)
    members = tuple(with_article(name) for name in facts.instruments if name in FAMILIES[family])
    return yes_no(choices is there, family=family, members=listed(members))


def genre(facts: Facts, rng: Random) -> Ask:
    genres = need(facts.genres)
    values = {"genre": genres[0], "music": genre_phrase(genres[0])}
    if len(genres) > 1:
        values["second"] = genres[1]
    return Ask("two" if len(genres) > 1 else "known", values)


def genre_yesno(facts: Facts, rng: Random) -> Ask:
    if not facts.genres:
        asked = rng.choice(GENRES)
        return unknown(asked=asked, asked_music=genre_phrase(asked))
    truth = rng.random() < 0.5
    asked = facts.genres[0] if truth else other_genre(facts.genres, rng)
    values = {"asked": asked, "asked_music": genre_phrase(asked)}
    return yes_no(truth, genre=facts.genres[0], music=genre_phrase(facts.genres[0]), **values)


def genre_choice(facts: Facts, rng: Random) -> Ask:
    if not facts.genres:
        first, second = rng.sample(GENRES, 2)
        return unknown(first=genre_phrase(first), second=genre_phrase(second))
    return known(**either(rng, genre_phrase(facts.genres[0]), genre_phrase(other_genre(facts.genres, rng))))


def mood(facts: Facts, rng: Random) -> Ask:
    return known(mood=listed(need(facts.moods)))


KINDS = (
    Kind("instruments", UNDERSTANDING, ("instruments",), instruments, weight=1.3, core=True),
    Kind("instrument-yesno", UNDERSTANDING, ("instruments",), instrument_yesno, weight=2.0),
    Kind("instrument-choice", UNDERSTANDING, ("instruments",), instrument_choice, weight=0.7),
    Kind("instrument-odd", UNDERSTANDING, ("instruments",), instrument_odd, weight=0.4),
    Kind("drums", UNDERSTANDING, ("instruments",), drums, weight=0.5),
    Kind("voice", UNDERSTANDING, ("instruments",), voice, weight=0.5),
    Kind("ensemble", UNDERSTANDING, ("instruments",), ensemble, weight=0.6),
    Kind("instrument-count", UNDERSTANDING, ("instruments",), instruments, weight=0.4),
    Kind("instrument-family", UNDERSTANDING, ("instruments",), instrument_family, weight=0.6),
    Kind("genre", UNDERSTANDING, ("genre",), genre, weight=0.9, core=True),
    Kind("genre-yesno", UNDERSTANDING, ("genre",), genre_yesno, weight=0.8),
    Kind("genre-choice", UNDERSTANDING, ("genre",), genre_choice, weight=0.6),
    Kind("mood", UNDERSTANDING, ("mood",), mood, weight=0.4),
)
