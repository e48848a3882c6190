"""What people ask most and no exercise does: how it moves over time, what to play, what mixes with it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from statistics import mean

from llark.music import fingering
from llark.music.mentions import Slots
from llark.music.names import note_name
from llark.music.theory import INTERVAL_NAMES, Scale, camelot, mixes_with
from llark.questions import CAPTIONING, REASONING, UNDERSTANDING, Ask, Kind, Slotted, known, need
from llark.questions.advice import relation
from llark.questions.facts import Facts, counted, listed, plain_number, several
from llark.questions.form import inside
from llark.questions.harmony import draw_key
from llark.questions.rhythm import draw_is, draw_meter, pace
from llark.questions.sound import draw_instrument, plays, with_article
from llark.questions.timing import PITCH_SHIFT
from llark.records import METER_NAMES
from llark.report.timeline import clock

# --- tempo --------------------------------------------------------------------------------------------------

IS_WITHIN = 0.025
"""Share of a tempo within which another number is the same to a listener."""


def tempo_is(facts: Facts, slots: Slots) -> Ask:
    """Whether the tempo is the number that the question names; `octave`: it is its half or double."""
    (asked,) = slots["bpm"]
    bpm = need(facts.tempo_bpm, asked=asked)
    others = (facts.annotation.tempo.alternative_bpm, 2 * bpm, bpm / 2)
    near = [other is not None and _near(float(asked), other) for other in (bpm, *others)]
    form = "yes" if near[0] else "octave" if any(near) else "no"
    return Ask(form, {"asked": asked, "bpm": str(facts.bpm)})


def _near(asked: float, bpm: float) -> bool:
    return abs(asked - bpm) <= IS_WITHIN * bpm


# --- what happens when --------------------------------------------------------------------------------------

SMOOTHED_SECONDS = 3
LOUDER_LU = 2.5
"""By so much one stretch must differ from another for anybody to call it louder."""

FADES_LU = 8.0
ENDING_SECONDS = 6


def loudness(facts: Facts, rng: Random) -> Ask:
    loud = facts.annotation.loudness
    values = {"lufs": f"{need(loud.integrated_lufs):.1f}"}
    if loud.range_lu is not None:
        values["range"] = f"{loud.range_lu:.1f}"
    if loud.peak_dbfs is not None:
        values["peak"] = f"{loud.peak_dbfs:.1f}"
    return known(**values)


def loudest(facts: Facts, rng: Random) -> Ask:
    """The loudest and the softest few seconds: each kind says the one that it asks for."""
    seconds = need(_smoothed(facts))
    at = {name: f(seconds, key=lambda one: one[1])[0] for name, f in (("loudest", max), ("softest", min))}
    return known(**{name: clock(start) for name, start in at.items()})


def _smoothed(facts: Facts) -> tuple[tuple[float, float], ...]:
    """(second, loudness in LUFS around it) of each second that sounds."""
    every = facts.annotation.loudness.each_second_lufs
    stretches = (every[at : at + SMOOTHED_SECONDS] for at in range(len(every) - SMOOTHED_SECONDS + 1))
    means = ((at, [one for one in some if one is not None]) for at, some in enumerate(stretches))
    return tuple((float(at), mean(some)) for at, some in means if len(some) == SMOOTHED_SECONDS)


def builds(facts: Facts, rng: Random) -> Ask:
    """Whether it grows louder from the first third to the last."""
    seconds = need(_smoothed(facts))
    third = len(seconds) // 3
    need(third or None)
    change = mean(lufs for _, lufs in seconds[-third:]) - mean(lufs for _, lufs in seconds[:third])
    form = "level" if abs(change) < LOUDER_LU else "up" if change > 0 else "down"
    return Ask(form, {"change": plain_number(abs(change)), "loudest": clock(max(seconds, key=_second)[0])})


def _second(pair: tuple[float, float]) -> float:
    return pair[1]


def ends(facts: Facts, rng: Random) -> Ask:
    """Whether it fades out: the last seconds are each softer than those before, and much softer in all."""
    every = [one for one in facts.annotation.loudness.each_second_lufs if one is not None]
    need(every[2 * ENDING_SECONDS :] or None)
    last = every[-ENDING_SECONDS:]
    steps = sum(after < before + 0.5 for before, after in pairwise(last))
    fades = mean(every) - last[-1] > FADES_LU and steps >= ENDING_SECONDS - 2
    return Ask("fade" if fades else "stop")


def intro(facts: Facts, rng: Random) -> Ask:
    """The length of the first part, which need not be what its makers call the introduction."""
    spans = inside(facts, facts.annotation.sections.spans)
    need(spans[1:] or None)
    return known(at=clock(spans[1].start_seconds - facts.annotation.start_seconds), letter=spans[0].label)


def chorus(facts: Facts, rng: Random) -> Ask:
    """The part that comes most often; the form is `none` where no part comes back."""
    spans = inside(facts, facts.annotation.sections.spans)
    need(spans[1:] or None)
    label, count = Counter(span.label for span in spans).most_common(1)[0]
    if count < 2:
        return Ask("none", {"count": counted(len(spans))})
    start = facts.annotation.start_seconds
    times = [clock(max(0.0, span.start_seconds - start)) for span in spans if span.label == label]
    return known(letter=label, times=listed(times[:5]), count=counted(count))


def halves(facts: Facts, rng: Random) -> Ask:
    """The second half beside the first: louder or softer, and other chords."""
    seconds = need(_smoothed(facts))
    half = need(len(seconds) // 2 or None)
    change = mean(lufs for _, lufs in seconds[half:]) - mean(lufs for _, lufs in seconds[:half])
    values = {"louder": "louder" if change > 0 else "softer", "change": plain_number(abs(change))}
    if abs(change) < LOUDER_LU:
        values = {"level": "about as loud"}
    early, late = (
        {span.chord.name for span in facts.chords if (span.start_seconds >= facts.seconds / 2) is second}
        for second in (False, True)
    )
    if early and late:
        new = sorted(late - early)
        values |= {"new": listed(new[:4])} if new else {"same": "the same chords"}
    return known(**values)


def enters(facts: Facts, slots: Slots) -> Ask:
    """Nothing says when a single instrument enters; but whether it plays is known."""
    (name,) = slots["instrument"]
    values = {"an_asked": with_article(name), "asked": name}
    there = plays(name, need(facts.instruments, **values))
    return Ask("there" if there else "gone", values)


def instrumental(facts: Facts, rng: Random) -> Ask:
    """Whether nobody sings."""
    return Ask("no" if {"voice", "choir"} & {*need(facts.instruments)} else "yes")


# --- mixing, moving, listening ----------------------------------------------------------------------------


def camelot_code(facts: Facts, rng: Random) -> Ask:
    scale = need(facts.scale)
    near = listed([camelot(other) for other in mixes_with(scale)])
    return known(key=scale.name, code=camelot(scale), near=near)


def mix_bpm(facts: Facts, slots: Slots) -> Ask:
    """Whether a track of another tempo can be mixed with it, at its own tempo or at half or double."""
    (than,) = slots["bpm"]
    bpm = need(facts.tempo_bpm, than=than)
    other = float(than)
    shifts = {factor: factor * bpm / other - 1 for factor in (1.0, 2.0, 0.5)}
    factor = min(shifts, key=lambda one: abs(shifts[one]))
    values = {"than": than, "bpm": str(facts.bpm), "percent": plain_number(100 * abs(shifts[factor]))}
    values |= {} if factor == 1 else {"counted": "double" if factor == 2 else "half"}
    return Ask("yes" if abs(shifts[factor]) <= PITCH_SHIFT else "no", values)


def mix_named_key(facts: Facts, slots: Slots) -> Ask:
    """Whether another key blends with it: the same, its relative, or a fifth away."""
    (name,) = slots["key"]
    scale, other = need(facts.scale, other=name), Scale.of(name)
    fits = other in (scale, *mixes_with(scale))
    values = {"other": name, "key": scale.name, "relation": relation(scale, other)}
    values |= {"code": camelot(scale), "other_code": camelot(other)}
    return Ask("yes" if fits else "no", values)


STEPS = ((150, 185), (75, 92.5))
"""Steps a minute of a runner, and a beat on each or on every other of them."""


def running(facts: Facts, rng: Random) -> Ask:
    bpm = need(facts.tempo_bpm)
    each = [low <= bpm <= high for low, high in STEPS]
    form = "each" if each[0] else "other" if each[1] else "slow" if bpm < STEPS[0][0] else "fast"
    return Ask(form, {"bpm": str(facts.bpm), "double": str(2 * (facts.bpm or 0))})


ENERGY = {"slow": "calm", "moderate": "moderate", "fast": "high"}
DRIVING = ("drums", "distorted guitar")


def energy(facts: Facts, rng: Random) -> Ask:
    """By its pace, and by what drives it."""
    word = pace(need(facts.bpm))
    driving = [name for name in DRIVING if name in facts.instruments]
    values = {"bpm": str(facts.bpm), "energy": ENERGY[word], "pace": word}
    return known(**values, **({"driving": listed(driving)} if driving else {}))


def tags(facts: Facts, rng: Random) -> Ask:
    words = [*facts.genres, *facts.moods, *facts.instruments]
    if facts.bpm is not None:
        words += [f"{facts.bpm} BPM", pace(facts.bpm)]
    if facts.scale is not None:
        words.append(facts.scale.name)
    need(tuple(words[2:]))
    return known(tags=", ".join(dict.fromkeys(words)))


# --- playing it ---------------------------------------------------------------------------------------------


def on_guitar(facts: Facts, rng: Random) -> Ask:
    """Fingerings of the main chords."""
    chords = need(facts.common)
    shapes = [(chord.name, fingering.guitar(chord)) for chord in chords]
    return known(shapes=listed([f"{name} {frets}" for name, frets in shapes if frets]))


def on_piano(facts: Facts, rng: Random) -> Ask:
    """Notes of the main chords."""
    chords = need(facts.common)
    return known(notes=listed([f"{chord.name} ({' '.join(fingering.notes(chord))})" for chord in chords]))


def to_key(facts: Facts, slots: Slots) -> Ask:
    """How far another key is, the shorter way."""
    (name,) = slots["key"]
    scale, other = need(facts.scale, other=name), Scale.of(name)
    if name == scale.name:
        return Ask("none", {"key": scale.name, "other": name})
    if scale.mode != other.mode:  # moving keeps the mode: the notes are those of the relative key
        name = f"{other.relative.name} (the relative of {name})"
        other = other.relative
    up = (other.tonic - scale.tonic) % 12
    if not up:
        return Ask("relative", {"key": scale.name, "other": slots["key"][0]})
    way, steps = ("up", up) if up <= 6 else ("down", 12 - up)
    chords = [chord.moved(up) for chord in facts.common]
    values = {"key": scale.name, "other": name, "way": way, "steps": several(steps, "semitone")}
    values["interval"] = with_article(INTERVAL_NAMES[steps])
    return known(**values, **({"chords": listed([chord.name for chord in chords])} if chords else {}))


def easier_to_sing(facts: Facts, rng: Random) -> Ask:
    """A whole tone and a minor third down and up, as singers try them first."""
    scale = need(facts.scale)
    lower, higher = listed([scale.moved(-2).name, scale.moved(-3).name], "or"), scale.moved(2).name
    return known(key=scale.name, lower=lower, higher=higher)


def melody_notes(facts: Facts, rng: Random) -> Ask:
    """The first notes of a single line."""
    notes = need(facts.annotation.melody.notes)
    return known(notes=listed([note_name(note.pitch_midi) for note in notes[:12]], "and then"))


# --- corrections ------------------------------------------------------------------------------------------


def corrected(facts: Facts, slots: Slots) -> Ask:
    """Somebody knows better; what follows agrees with it, if it is a tempo or meter that can be."""
    bpm, meter = float(slots.get("bpm", ["60"])[0]), slots.get("meter", ["4/4"])[0]
    if not 10 <= bpm <= 600 or meter not in METER_NAMES.values():
        return Ask("no")
    return known(**{sort: value for sort, (value, *_) in slots.items()})


LOUDNESS, SECTIONS = ("loudness",), ("sections",)

KINDS = (
    Kind("tempo-is", UNDERSTANDING, ("tempo",), Slotted(("bpm",), draw_is, tempo_is)),
    Kind("loudness", UNDERSTANDING, LOUDNESS, loudness),
    Kind("loudest", UNDERSTANDING, LOUDNESS, loudest),
    Kind("softest", UNDERSTANDING, LOUDNESS, loudest),
    Kind("builds", UNDERSTANDING, LOUDNESS, builds),
    Kind("ends", UNDERSTANDING, LOUDNESS, ends),
    Kind("intro", UNDERSTANDING, SECTIONS, intro),
    Kind("chorus", UNDERSTANDING, SECTIONS, chorus),
    Kind("halves", UNDERSTANDING, ("loudness", "chords"), halves),
    Kind("enters", UNDERSTANDING, ("instruments",), Slotted(("instrument",), draw_instrument, enters)),
    Kind("instrumental", UNDERSTANDING, ("instruments",), instrumental),
    Kind("camelot", REASONING, ("key",), camelot_code),
    Kind("mix-bpm", REASONING, ("tempo",), Slotted(("bpm",), draw_is, mix_bpm)),
    Kind("mix-named-key", REASONING, ("key",), Slotted(("key",), draw_key, mix_named_key)),
    Kind("running", REASONING, ("tempo",), running),
    Kind("energy", REASONING, ("tempo", "instruments"), energy),
    Kind("tags", CAPTIONING, ("tempo", "key", "instruments", "genre", "mood"), tags),
    Kind("guitar", REASONING, ("chords",), on_guitar),
    Kind("piano", REASONING, ("chords",), on_piano),
    Kind("to-key", REASONING, ("key", "chords"), Slotted(("key",), draw_key, to_key)),
    Kind("easier-to-sing", REASONING, ("key",), easier_to_sing),
    Kind("melody-notes", UNDERSTANDING, ("melody",), melody_notes),
    Kind("correct-tempo", UNDERSTANDING, (), Slotted(("bpm",), draw_is, corrected)),
    Kind("correct-key", UNDERSTANDING, (), Slotted(("key",), draw_key, corrected)),
    Kind("correct-meter", UNDERSTANDING, (), Slotted(("meter",), draw_meter, corrected)),
)
