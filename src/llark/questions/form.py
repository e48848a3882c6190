"""What happens when: parts, keys and loudness in their order; and recordings of one line or one chord.

These kinds are asked only where the annotation knows of such things.
"""

from __future__ import annotations

from itertools import groupby
from random import Random

from llark.music.mentions import Slots
from llark.music.names import chord_name, note_name
from llark.questions import UNDERSTANDING, Ask, Kind, Slotted, known, need, yes_no
from llark.questions.facts import Facts, counted, listed, plain_number
from llark.records import Span

MOST_SPANS = 6


def sections(facts: Facts, rng: Random) -> Ask | None:
    """The letters of the parts in order."""
    spans = inside(facts, facts.annotation.sections.spans)
    if len(spans) < 2:
        return None
    letters = [span.label for span in spans]
    return known(
        form=listed(letters[:12], last="and then"),
        count=counted(len(letters)),
        kinds=counted(len(set(letters))),
    )


def draw_section(facts: Facts, rng: Random) -> Slots | None:
    """A part after the first."""
    spans = inside(facts, facts.annotation.sections.spans)
    if len(spans) < 2:
        return None
    at = rng.randrange(1, len(spans))
    return {"ordinal": (ORDINALS[at],)} if at < len(ORDINALS) else None


def section_begins(facts: Facts, slots: Slots) -> Ask:
    """When a part begins; the form is `none` where there are not so many."""
    (which,) = slots["ordinal"]
    spans, at = tuple(inside(facts, facts.annotation.sections.spans)), ORDINALS.index(which)
    need(spans, which=which)
    if at >= len(spans):
        return Ask("none", {"which": which, "count": counted(len(spans))})
    return known(which=which, letter=spans[at].label, at=_moment(facts, spans[at]))


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def key_changes(facts: Facts, rng: Random) -> Ask | None:
    """Whether and when the key changes."""
    spans = inside(facts, facts.annotation.local_keys.spans)
    if not spans:
        return None
    names = [span.label for span in spans]
    if len(set(names)) == 1:
        return Ask("no", {"key": names[0]})
    changes = [f"{after.label} at {_moment(facts, after)} seconds" for after in spans[1:MOST_SPANS]]
    return Ask("yes", {"first": names[0], "changes": listed(changes, last="and then")})


def dynamics(facts: Facts, rng: Random) -> Ask | None:
    spans = inside(facts, facts.annotation.loudness.dynamics)
    if len(spans) < 2:
        return None
    passages = [
        f"{DYNAMIC_WORDS.get(span.label, span.label)} from {_moment(facts, span)} seconds"
        for span in spans[1:MOST_SPANS]
    ]
    first = DYNAMIC_WORDS.get(spans[0].label, spans[0].label)
    return known(first=first, rest=listed(passages, last="and then"))


DYNAMIC_WORDS = {
    "medium": "moderately loud", "crescendo": "growing louder", "decrescendo": "growing softer",
    "silence": "silent",
}  # fmt: skip


def loud_at(facts: Facts, rng: Random) -> Ask | None:
    """When it is first loud, where it is not so from the start."""
    spans = inside(facts, facts.annotation.loudness.dynamics)
    loud = [span for span in spans[1:] if span.label == "loud"]
    if not loud or spans[0].label == "loud":
        return None
    return known(at=_moment(facts, loud[0]))


def melody_shape(facts: Facts, rng: Random) -> Ask | None:
    contour = facts.annotation.melody.contour
    return None if contour is None else known(shape=SHAPES[contour])


SHAPES = {
    "rising": "rises", "falling": "falls", "arch": "rises to a peak and falls again",
    "wave": "moves up and down in waves", "static": "stays around the same notes",
}  # fmt: skip


def melody_range(facts: Facts, rng: Random) -> Ask | None:
    melody = facts.annotation.melody
    if melody.lowest_midi is None or melody.highest_midi is None:
        return None
    semitones = melody.highest_midi - melody.lowest_midi
    return known(
        low=note_name(melody.lowest_midi),
        high=note_name(melody.highest_midi),
        width=f"{semitones} semitone{'' if semitones == 1 else 's'}",
    )


def melody_wide(facts: Facts, rng: Random) -> Ask | None:
    """Whether the line spans an octave or more."""
    melody = facts.annotation.melody
    if melody.lowest_midi is None or melody.highest_midi is None:
        return None
    low, high = note_name(melody.lowest_midi), note_name(melody.highest_midi)
    return yes_no(melody.highest_midi - melody.lowest_midi >= 12, low=low, high=high)


def lone_chord(facts: Facts, rng: Random) -> Ask | None:
    label = facts.annotation.isolated_chord.label
    return None if label in (None, "N", "X") else known(chord=chord_name(str(label)))


def inside(facts: Facts, spans: tuple[Span, ...]) -> list[Span]:
    """The spans that overlap the clip; neighbours of one label are one."""
    start, end = facts.annotation.start_seconds, facts.annotation.end_seconds
    inside = (span for span in spans if span.end_seconds > start and span.start_seconds < end)
    return [next(group) for _, group in groupby(inside, key=lambda span: span.label)]


def _moment(facts: Facts, span: Span) -> str:
    return plain_number(max(0.0, span.start_seconds - facts.annotation.start_seconds))


KINDS = (
    Kind("sections", UNDERSTANDING, ("sections",), sections, weight=0.8),
    Kind(
        "section-begins",
        UNDERSTANDING,
        ("sections",),
        Slotted(("ordinal",), draw_section, section_begins),
        weight=0.6,
    ),
    Kind("key-changes", UNDERSTANDING, ("local_keys",), key_changes, weight=0.8),
    Kind("dynamics", UNDERSTANDING, ("loudness",), dynamics, weight=0.8),
    Kind("loud-at", UNDERSTANDING, ("loudness",), loud_at, weight=0.6),
    Kind("melody-shape", UNDERSTANDING, ("melody",), melody_shape),
    Kind("melody-range", UNDERSTANDING, ("melody",), melody_range),
    Kind("melody-wide", UNDERSTANDING, ("melody",), melody_wide, weight=0.6),
    Kind("lone-chord", UNDERSTANDING, ("isolated_chord",), lone_chord),
)
