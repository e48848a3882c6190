"""Key and chords."""

from __future__ import annotations

from random import Random

from llark.music.mentions import Slots
from llark.music.theory import Chord, Scale, conventional_name
from llark.questions import (
    UNDERSTANDING,
    Ask,
    Kind,
    Slotted,
    either,
    known,
    need,
    shuffled,
    yes_no,
)
from llark.questions.facts import Facts, SoundingChord, counted, listed, plain_number, several
from llark.records import KEYS

CHORD_MARGIN_SECONDS = 0.3
"""A chord is asked for at a moment at least this far from its ends."""

PROGRESSION = 6
FIFTH, FOURTH = 7, 5


def wrong_key(scale: Scale, rng: Random) -> Scale:
    """Another key: one that is easily confused with this one as often as any other."""
    if rng.random() < 0.5:
        return rng.choice((scale.relative, scale.parallel, scale.moved(FIFTH), scale.moved(FOURTH)))
    others = [name for name in KEYS if name != scale.name]
    return Scale.of(rng.choice(others))


def glossed(scale: Scale, sharps: int) -> str:
    """The key in this package's spelling, with the one of that signature beside it where they differ."""
    usual = conventional_name(scale, sharps)
    return scale.name if usual == scale.name else f"{scale.name} ({usual})"


def key(facts: Facts, rng: Random) -> Ask:
    """The key with its mode, tonic and parallel key: each kind says the one that it asks for."""
    scale = need(facts.scale)
    return known(key=scale.name, mode=scale.mode, tonic=scale.tonic_name, parallel=scale.parallel.name)


def draw_key(facts: Facts, rng: Random) -> Slots:
    if facts.scale is None:
        return {"key": (rng.choice(KEYS),)}
    return {"key": ((facts.scale if rng.random() < 0.5 else wrong_key(facts.scale, rng)).name,)}


def key_yesno(facts: Facts, slots: Slots) -> Ask:
    (asked,) = slots["key"]
    scale = need(facts.scale, asked=asked)
    return yes_no(asked == scale.name, asked=asked, key=scale.name)


def draw_keys(facts: Facts, rng: Random) -> Slots:
    if facts.scale is None:
        return {"key": tuple(rng.sample(KEYS, 2))}
    return {"key": shuffled(rng, facts.scale.name, wrong_key(facts.scale, rng).name)}


def key_choice(facts: Facts, slots: Slots) -> Ask:
    first, second = slots["key"]
    key = need(facts.scale, first=first, second=second).name
    return either(first, second, (first == key, second == key), key)


def draw_mode(facts: Facts, rng: Random) -> Slots:
    return {"mode": (rng.choice(("major", "minor")),)}


def mode_yesno(facts: Facts, slots: Slots) -> Ask:
    (asked,) = slots["mode"]
    scale = need(facts.scale, asked=asked)
    return yes_no(asked == scale.mode, asked=asked, mode=scale.mode, key=scale.name)


def key_signature(facts: Facts, rng: Random) -> Ask:
    scale = need(facts.scale)
    sharps = scale.sharps
    if sharps == 0:
        return Ask("none", {"key": scale.name})
    return known(key=scale.name, count=several(abs(sharps), "sharp" if sharps > 0 else "flat"))


def relative_key(facts: Facts, rng: Random) -> Ask:
    scale = need(facts.scale)
    relative = glossed(scale.relative, scale.sharps)
    return known(key=scale.name, mode=scale.relative.mode, relative=relative)


def chords(facts: Facts, rng: Random) -> Ask:
    common = need(facts.common)
    names = tuple(chord.name for chord in common)
    form = "one" if len(names) == 1 else "known" if len(facts.different) == len(names) else "many"
    return Ask(form, {"chords": listed(names)})


def chord_most(facts: Facts, rng: Random) -> Ask:
    return known(chord=need(facts.common)[0].name)


def chord_first(facts: Facts, rng: Random) -> Ask:
    name = need(facts.chords)[0].chord.name
    return known(chord=name, root=name.partition(" ")[0])


def chord_last(facts: Facts, rng: Random) -> Ask:
    return known(chord=need(facts.chords)[-1].chord.name)


def draw_moment(facts: Facts, rng: Random) -> Slots | None:
    """A whole or half second that lies well inside a chord."""
    if not facts.chords:
        return {"seconds": (str(rng.randrange(1, max(2, int(facts.seconds)))),)}
    moments = [at for span in facts.chords for at in _moments(span)]
    return {"seconds": (plain_number(rng.choice(moments)),)} if moments else None


def chord_at(facts: Facts, slots: Slots) -> Ask:
    (at,) = slots["seconds"]
    need(facts.chords, at=at)
    chord = next((c for c in facts.chords if c.start_seconds <= float(at) < c.end_seconds), None)
    return Ask("none", {"at": at}) if chord is None else known(at=at, chord=chord.chord.name)


def _moments(span: SoundingChord) -> list[float]:
    """Whole seconds well inside the chord; where there are none, half seconds."""
    first, last = span.start_seconds + CHORD_MARGIN_SECONDS, span.end_seconds - CHORD_MARGIN_SECONDS
    halves = [half / 2 for half in range(2, int(last * 2) + 1) if first <= half / 2 <= last]
    return [at for at in halves if at == int(at)] or halves


def draw_chord(facts: Facts, rng: Random) -> Slots | None:
    """A common chord, or one that would fit but is not there under any seventh."""
    if not facts.common:
        return {"chord": (Chord(rng.randrange(12), rng.choice(("maj", "min"))).label,)}
    if rng.random() < 0.5:
        return {"chord": (rng.choice(facts.common).label,)}
    near = (chord.moved(step) for chord in facts.common for step in (2, 3, 5, 7, 9))
    absent = sorted({chord.label for chord in near if not _sounds(facts, chord)})
    return {"chord": (rng.choice(absent),)} if absent else None


def _sounds(facts: Facts, chord: Chord) -> bool:
    """Whether a chord is there, with or without a seventh."""
    return (chord.root, chord.triad) in {(one.root, one.triad) for one in facts.different}


def chord_yesno(facts: Facts, slots: Slots) -> Ask:
    asked = named_chord(slots)
    chords = listed(tuple(chord.name for chord in need(facts.common, asked=asked.name)))
    return yes_no(True, asked=asked.name) if _sounds(facts, asked) else (
        yes_no(False, asked=asked.name, chords=chords)
    )  # fmt: skip


def named_chord(slots: Slots) -> Chord:
    """The chord that a question names."""
    chord = Chord.of(slots["chord"][0])
    assert chord is not None, slots
    return chord


def chord_count(facts: Facts, rng: Random) -> Ask:
    need(facts.chords)
    count = len(facts.different)
    names = listed([chord.name for chord in facts.common])
    values = {"count": counted(count), "all" if count == len(facts.common) else "some": names}
    return Ask("one" if count == 1 else "known", values)


def chord_progression(facts: Facts, rng: Random) -> Ask | None:
    chords = need(facts.chords)
    names = [span.chord.name for span in chords[:PROGRESSION]]
    return None if len(set(names)) < 2 else known(chords=listed(names, last="and then"))


def chord_changes(facts: Facts, rng: Random) -> Ask | None:
    """How often the harmony moves, in bars where they are known."""
    chords, bar = need(facts.chords), need(facts.bar_seconds)
    if len(chords) < 3:
        return None
    length = sum(span.end_seconds - span.start_seconds for span in chords) / len(chords)
    bars = length / bar
    steps = ((0.35, "several times a bar"), (0.75, "about twice a bar"), (1.4, "about once a bar"))
    often = next((words for below, words in steps if bars < below), None)
    return known(often=often or f"about every {counted(max(2, round(bars)))} bars")


def chord_sevenths(facts: Facts, rng: Random) -> Ask:
    need(facts.chords)
    names = sorted({chord.name for chord in facts.different if chord.has_seventh})
    return yes_no(bool(names), sevenths=listed(names[:3]))


KINDS = (
    Kind("key", UNDERSTANDING, ("key",), key, weight=1.3, core=True),
    Kind("key-yesno", UNDERSTANDING, ("key",), Slotted(("key",), draw_key, key_yesno)),
    Kind("key-choice", UNDERSTANDING, ("key",), Slotted(("key", "key"), draw_keys, key_choice), weight=0.7),
    Kind("mode", UNDERSTANDING, ("key",), key),
    Kind("mode-yesno", UNDERSTANDING, ("key",), Slotted(("mode",), draw_mode, mode_yesno), weight=0.7),
    Kind("tonic", UNDERSTANDING, ("key",), key, weight=0.8),
    Kind("key-signature", UNDERSTANDING, ("key",), key_signature, weight=0.5),
    Kind("relative-key", UNDERSTANDING, ("key",), relative_key, weight=0.5),
    Kind("parallel-key", UNDERSTANDING, ("key",), key, weight=0.3),
    Kind("chords", UNDERSTANDING, ("chords",), chords, weight=0.9, core=True),
    Kind("chord-most", UNDERSTANDING, ("chords",), chord_most, weight=0.6),
    Kind("chord-first", UNDERSTANDING, ("chords",), chord_first, weight=0.6),
    Kind("chord-last", UNDERSTANDING, ("chords",), chord_last, weight=0.5),
    Kind("chord-at", UNDERSTANDING, ("chords",), Slotted(("seconds",), draw_moment, chord_at), weight=0.6),
    Kind("chord-yesno", UNDERSTANDING, ("chords",), Slotted(("chord",), draw_chord, chord_yesno), weight=0.8),
    Kind("chord-count", UNDERSTANDING, ("chords",), chord_count, weight=0.4),
    Kind("chord-progression", UNDERSTANDING, ("chords",), chord_progression, weight=0.5),
    Kind("chord-changes", UNDERSTANDING, ("chords", "tempo", "meter"), chord_changes, weight=0.3),
    Kind("chord-sevenths", UNDERSTANDING, ("chords",), chord_sevenths, weight=0.3),
)
