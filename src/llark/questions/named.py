"""Theory about what a question names: a key, a chord, an interval, a term. No recording is needed."""

from __future__ import annotations

from random import Random

from llark.music import fingering
from llark.music.lexicon import TERMS
from llark.music.mentions import Slots
from llark.music.theory import INTERVAL_NAMES, Scale, camelot
from llark.questions import REASONING, Ask, Kind, Slotted, known
from llark.questions.facts import Facts, listed, several
from llark.questions.harmony import glossed, named_chord
from llark.records import KEYS, PITCH_CLASSES


def _any_key(facts: Facts, rng: Random) -> Slots:
    return {"key": (rng.choice(KEYS),)}


def _any_chord(facts: Facts, rng: Random) -> Slots:
    quality = rng.choice(("maj", "min", "7", "maj7", "min7", "dim", "sus4"))
    return {"chord": (f"{rng.choice(PITCH_CLASSES)}:{quality}",)}


def chord_notes(facts: Facts, slots: Slots) -> Ask:
    chord = named_chord(slots)
    return known(chord=chord.name, notes=listed(fingering.notes(chord)))


def chord_fingering(facts: Facts, slots: Slots) -> Ask:
    """On a guitar; its notes, where no fingering is usual."""
    chord = named_chord(slots)
    values = {"chord": chord.name, "notes": listed(fingering.notes(chord))}
    frets = fingering.guitar(chord)
    return known(**values, **({"frets": frets} if frets else {}))


def named_scale(facts: Facts, slots: Slots) -> Ask:
    """Notes, signature, relative, chords and place on the DJs' wheel: each kind says what it asks for."""
    scale = Scale.of(slots["key"][0])
    sharps = scale.sharps
    count = several(abs(sharps), "sharp" if sharps > 0 else "flat")
    return known(
        key=scale.name,
        notes=listed(scale.notes),
        signature=count if sharps else "no sharps and no flats",
        relative=glossed(scale.relative, sharps),
        mode=scale.relative.mode,
        code=camelot(scale),
        chords=listed([scale.chord(degree).name for degree in range(7)]),
    )


def _two_notes(facts: Facts, rng: Random) -> Slots:
    return {"note": tuple(rng.sample(PITCH_CLASSES, 2))}


def between(facts: Facts, slots: Slots) -> Ask:
    """The interval from one note up to the other."""
    low, high = slots["note"]
    steps = (PITCH_CLASSES.index(high) - PITCH_CLASSES.index(low)) % 12
    return known(low=low, high=high, interval=INTERVAL_NAMES[steps], steps=several(steps, "semitone"))


def _an_interval(facts: Facts, rng: Random) -> Slots:
    return {"interval": (rng.choice(INTERVAL_NAMES[1:]),)}


def interval_size(facts: Facts, slots: Slots) -> Ask:
    (name,) = slots["interval"]
    return known(interval=name, steps=several(INTERVAL_NAMES.index(name), "semitone"))


def _chord_and_key(facts: Facts, rng: Random) -> Slots:
    return {**_any_chord(facts, rng), **_any_key(facts, rng)}


def chord_of_key(facts: Facts, slots: Slots) -> Ask:
    """Whether a named chord belongs to a named key, and its place there."""
    chord, scale = named_chord(slots), Scale.of(slots["key"][-1])
    numeral = scale.numeral(chord)
    values = {"chord": chord.name, "key": scale.name}
    return Ask("yes", {**values, "numeral": numeral}) if numeral else Ask("no", values)


def _any_term(facts: Facts, rng: Random) -> Slots:
    return {"term": (rng.choice(tuple(TERMS)),)}


def term(facts: Facts, slots: Slots) -> Ask:
    (name,) = slots["term"]
    return known(term=name, meaning=TERMS[name])


def _any_bpm(facts: Facts, rng: Random) -> Slots:
    return {"bpm": (str(rng.randrange(60, 181)),)}


def beat_length(facts: Facts, slots: Slots) -> Ask:
    """How long a beat of a named tempo lasts."""
    (bpm,) = slots["bpm"]
    return known(bpm=bpm, ms=f"{60_000 / float(bpm):.0f}", half=f"{30_000 / float(bpm):.0f}")


_KEY = Slotted(("key",), _any_key, named_scale)

KINDS = (
    Kind("named-chord", REASONING, (), Slotted(("chord",), _any_chord, chord_notes)),
    Kind("named-fingering", REASONING, (), Slotted(("chord",), _any_chord, chord_fingering)),
    Kind("named-scale", REASONING, (), _KEY),
    Kind("named-signature", REASONING, (), _KEY),
    Kind("named-relative", REASONING, (), _KEY),
    Kind("named-camelot", REASONING, (), _KEY),
    Kind("named-chords", REASONING, (), _KEY),
    Kind("named-interval", REASONING, (), Slotted(("note", "note"), _two_notes, between)),
    Kind("interval-size", REASONING, (), Slotted(("interval",), _an_interval, interval_size)),
    Kind("chord-of-key", REASONING, (), Slotted(("chord", "key"), _chord_and_key, chord_of_key)),
    Kind("term", REASONING, (), Slotted(("term",), _any_term, term)),
    Kind("named-beat", REASONING, (), Slotted(("bpm",), _any_bpm, beat_length)),
)
