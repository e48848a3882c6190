"""Reasoning from key and chords: what to play, how to move it, what belongs together."""

from __future__ import annotations

from random import Random

from llark.music.mentions import Slots
from llark.music.theory import INTERVAL_NAMES, INTERVALS, Chord, Scale, capo, mixes_with
from llark.questions import REASONING, Ask, Kind, Slotted, known, need, unknown, yes_no
from llark.questions.facts import Facts, listed
from llark.questions.harmony import chord_first, key, named_chord, relative_key

TRANSPOSING = {
    "trumpet": ("a trumpet in Bb", 2), "clarinet": ("a clarinet in Bb", 2),
    "tenor saxophone": ("a tenor saxophone", 2), "alto saxophone": ("an alto saxophone", 9),
    "horn": ("a horn in F", 7),
}  # fmt: skip
"""How each is called, and semitones from the sounding key up to the written one, within an octave."""


def scale_notes(facts: Facts, rng: Random) -> Ask:
    """All notes of the scale, and the five of the pentatonic one: each kind says those that it asks for."""
    scale = need(facts.scale)
    notes = {"notes": listed(scale.notes), "five": listed(scale.pentatonic)}
    return Ask(scale.mode, {"key": scale.name, "tonic": scale.tonic_name, **notes})


def draw_interval(facts: Facts, rng: Random) -> Slots:
    return {"interval": (rng.choice(INTERVALS),), "way": (rng.choice(("up", "down")),)}


def transpose(facts: Facts, slots: Slots) -> Ask:
    """Up or down; the chords go along where every one has its usual spelling in the new key."""
    (interval,), (way,) = slots["interval"], slots["way"]
    asked = {"interval": interval, "way": way}
    scale = need(facts.scale, **asked)
    semitones = INTERVAL_NAMES.index(interval) * (1 if way == "up" else -1)
    moved = scale.moved(semitones)
    values = asked | {"key": scale.name, "moved": moved.name}
    chords = [chord.moved(semitones) for chord in facts.common]
    if len(chords) > 1 and all(moved.spells(chord) for chord in chords):
        values |= {"chords": listed([chord.name for chord in facts.common])}
        values |= {"moved_chords": listed([chord.name for chord in chords])}
    return known(**values)


def capo_fret(facts: Facts, rng: Random) -> Ask:
    scale = need(facts.scale)
    fret, shape = capo(scale)
    values = {"key": scale.name, "fret": str(fret), "shape": shape.name}
    return Ask("open" if fret == 0 else "known", values)


def mix_key(facts: Facts, rng: Random) -> Ask:
    scale = need(facts.scale)
    relative, above, below = mixes_with(scale)
    return known(key=scale.name, relative=relative.name, above=above.name, below=below.name)


def draw_function(facts: Facts, rng: Random) -> Slots | None:
    """A chord that sounds and has a place in the key."""
    scale = facts.scale
    if scale is None or not facts.common:
        chord = facts.common[0] if facts.common else Chord(rng.choice((0, 5, 7, 9, 2)), "maj")
        return {"chord": (chord.label,)}
    placed = [chord for chord in facts.common if scale.numeral(chord) and scale.spells(chord)]
    return {"chord": (rng.choice(placed).label,)} if placed else None


def chord_function(facts: Facts, slots: Slots) -> Ask:
    """The place of a chord in the key; the form is `none` where it has none."""
    chord = named_chord(slots)
    scale, _ = need(facts.scale, chord=chord.name), need(facts.common, chord=chord.name)
    numeral, role = scale.numeral(chord), scale.role(chord)
    values = {"chord": chord.name, "key": scale.name}
    return known(**values, numeral=numeral, role=role) if numeral and role else Ask("none", values)


def numerals(facts: Facts, rng: Random) -> Ask | None:
    """Roman numerals of the main chords, where each has one."""
    scale, common = need(facts.scale), need(facts.common)
    placed = {scale.numeral(chord): chord.name for chord in reversed(common)}
    if None in placed or len(placed) < 2 or not all(map(scale.spells, common)):
        return None
    pairs = [f"{name} is {numeral}" for numeral, name in reversed(placed.items())]
    return known(key=scale.name, placed=listed(pairs))


def diatonic(facts: Facts, rng: Random) -> Ask | None:
    scale = need(facts.scale)
    triads = [scale.chord(degree) for degree in range(7)]
    triads = [chord for chord in triads if chord.quality != "dim"]
    if not all(map(scale.spells, triads)):
        return None
    return known(key=scale.name, chords=listed([chord.name for chord in triads]))


def primary(facts: Facts, rng: Random) -> Ask | None:
    """Tonic, subdominant and (major) dominant."""
    scale = need(facts.scale)
    chords = _primary(scale)
    if not all(map(scale.spells, chords)):
        return None
    return known(key=scale.name, chords=listed([chord.name for chord in chords]))


def _primary(scale: Scale) -> tuple[Chord, Chord, Chord]:
    return (scale.chord(0), scale.chord(3), Chord((scale.tonic + 7) % 12, "maj"))


def dominant(facts: Facts, rng: Random) -> Ask | None:
    scale = need(facts.scale)
    chord = _primary(scale)[2]
    if not scale.spells(chord):
        return None
    return known(key=scale.name, chord=chord.name, tonic=scale.chord(0).name)


def outside(facts: Facts, rng: Random) -> Ask:
    """Whether the main chords stay in the key."""
    scale, common = need(facts.scale), need(facts.common)
    strangers = [chord.name for chord in common if not scale.holds(chord)]
    values = {"key": scale.name, "strangers": listed(strangers)}
    values["does"] = "does" if len(strangers) == 1 else "do"
    return yes_no(not strangers, **values)


def draw_player(facts: Facts, rng: Random) -> Slots:
    return {"player": (rng.choice(tuple(TRANSPOSING)),)}


def transposing(facts: Facts, slots: Slots) -> Ask:
    player, steps = TRANSPOSING[slots["player"][0]]
    scale = need(facts.scale, player=player)
    return known(player=player, key=scale.name, written=scale.moved(steps).name)


def mood_reason(facts: Facts, rng: Random) -> Ask | None:
    """Why it may sound bright or dark: its mode, and no more than that."""
    if facts.moods:
        return None
    if facts.scale is None:
        return unknown(colour=rng.choice(("bright", "dark")))
    colour = "bright" if facts.scale.mode == "major" else "dark"
    return known(colour=colour, key=facts.scale.name, mode=facts.scale.mode)


KINDS = (
    Kind("improvise", REASONING, ("key",), scale_notes),
    Kind("scale-notes", REASONING, ("key",), scale_notes, weight=0.6),
    Kind("transpose", REASONING, ("key", "chords"), Slotted(("interval", "way"), draw_interval, transpose)),
    Kind("capo", REASONING, ("key",), capo_fret, weight=0.6),
    Kind("mix-key", REASONING, ("key",), mix_key, weight=0.7),
    Kind(
        "chord-function",
        REASONING,
        ("key", "chords"),
        Slotted(("chord",), draw_function, chord_function),
        weight=0.7,
    ),
    Kind("chord-numerals", REASONING, ("key", "chords"), numerals, weight=0.5),
    Kind("diatonic-chords", REASONING, ("key",), diatonic, weight=0.4),
    Kind("primary-chords", REASONING, ("key",), primary, weight=0.4),
    Kind("dominant-chord", REASONING, ("key",), dominant, weight=0.4),
    Kind("chords-in-key", REASONING, ("key", "chords"), outside, weight=0.4),
    Kind("bass-root", REASONING, ("chords",), chord_first, weight=0.3),
    Kind("final-note", REASONING, ("key",), key, weight=0.3),
    Kind(
        "transposing-instrument",
        REASONING,
        ("key",),
        Slotted(("player",), draw_player, transposing),
        weight=0.4,
    ),
    Kind("mood-reason", REASONING, ("key",), mood_reason, weight=0.4),
    Kind("same-notes", REASONING, ("key",), relative_key, weight=0.3),
)
