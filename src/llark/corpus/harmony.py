"""Chord progressions in all 24 keys, and melodies over them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from llark.corpus.piece import Harmony, ScoreNote
from llark.corpus.programs import into_range
from llark.music.theory import MAJOR_STEPS, MINOR_STEPS, TONES

DEGREES = {
    "I": (0, "maj"), "ii": (2, "min"), "iii": (4, "min"), "IV": (5, "maj"), "V": (7, "maj"), "vi": (9, "min"),
    "bVII": (10, "maj"), "iv": (5, "min"), "V/V": (2, "7"), "V/ii": (9, "7"), "V/vi": (4, "7"), "Vsus": (7,
    "sus4"), "I7": (0, "7"), "IV7": (5, "7"), "V7": (7, "7"), "i": (0, "min"), "v": (7, "min"), "VI": (8,
    "maj"), "VII": (10, "maj"), "III": (3, "maj"), "iidim": (2, "dim"), "bII": (1, "maj"),
}  # fmt: skip
"""Degree → semitones over the tonic and plain quality. Minor degrees count from the minor tonic."""

MAJOR_FORMS = (
    "I V vi IV", "I vi IV V", "I IV V I", "I IV I V", "I vi ii V", "ii V I I", "I I IV V", "I iii IV V",
    "I bVII IV I", "I V IV I", "I IV ii V", "I V/vi vi IV", "I V/ii ii V", "I V/V V I", "I IV iv I",
    "I ii IV V", "I Vsus V I", "I V vi iii IV I IV V", "I vi IV ii V V I I", "I I IV I V IV I V",
    "I V I V IV I V I", "I IV I I IV I V I", "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
    "I I7 IV iv I V/V V I",
)  # fmt: skip
MINOR_FORMS = (
    "i VI III VII", "i VII VI V", "i iv V i", "i iv i V", "i VI iv V", "i VII i V", "i v VI VII", "i v iv i",
    "i VI VII i", "i iv VII III", "i III VII iv", "i i iv V", "i iidim V i", "i bII V i", "i VII VI VII",
    "i v i iv", "i iv VII III VI iidim V i", "i i iv i VI V i V", "i III VI V i VI V i", "i V i V iv i V i",
)  # fmt: skip
"""Progressions, a chord a bar. All begin on the tonic or reach it by a cadence."""

_NEXT_MAJOR = {
    "I": "IV IV V V vi vi ii iii bVII V/V V/ii V/vi", "ii": "V V V IV iv", "iii": "vi IV",
    "IV": "V V I I ii iv", "V": "I I I I vi IV", "vi": "ii IV IV V", "bVII": "IV I", "iv": "I V", "V/V": "V",
    "V/ii": "ii", "V/vi": "vi",
}  # fmt: skip
_NEXT_MINOR = {
    "i": "iv iv V v VI VI VII VII III iidim bII", "iv": "V V i i VII", "V": "i i i i VI", "v": "i VI iv",
    "VI": "VII VII V iv III iidim", "VII": "i i III VI", "III": "VI VII iv", "iidim": "V", "bII": "V",
}  # fmt: skip


def random_key(rng: Random) -> int:
    """An index into `records.KEYS`: any tonic; minor a little more often, as it is left unsaid more often."""
    return rng.randrange(12) + (12 if rng.random() < 0.55 else 0)


def progression(minor: bool, bars: int, rng: Random) -> list[str]:
    """`bars` degrees that begin on the tonic: half well-worn forms, half random steps that end V."""
    if rng.random() < 0.5:
        form = rng.choice(MINOR_FORMS if minor else MAJOR_FORMS).split()
        return [form[k % len(form)] for k in range(max(bars, len(form)))]
    follow, home = (_NEXT_MINOR, "i") if minor else (_NEXT_MAJOR, "I")
    degrees = [home]
    while len(degrees) < bars - 1:
        degrees.append(rng.choice(follow[degrees[-1]].split()))
    return [*degrees, "V"]


def coloured(quality: str, degree: str, sevenths: float, rng: Random) -> str:
    """The quality with its seventh, in `sevenths` of the cases."""
    if rng.random() >= sevenths:
        return quality
    if quality == "maj":
        return "7" if degree in ("V", "VII", "bVII") else "maj7"
    return {"min": "min7"}.get(quality, quality)


def harmonise(key: int, bars: int, beats_per_bar: int, rng: Random, sevenths: float) -> tuple[Harmony, ...]:
    """Chords for `bars` bars in `key` (an index into KEYS): mostly one a bar, sometimes two, sometimes half
    as many; now and then a change comes a beat early."""
    loop = progression(key >= 12, rng.choice((4, 8, 8)), rng)
    pace = rng.choices((1, 2), (4, 1))[0]
    split_chance = rng.choice((0.0, 0.0, 0.12, 0.3)) if pace == 1 and beats_per_bar > 1 else 0.0
    chords = [(key % 12 + DEGREES[d][0], coloured(DEGREES[d][1], d, sevenths, rng)) for d in loop]
    splits = [rng.random() < split_chance for _ in chords]
    spans: list[Harmony] = []
    middle = -(-beats_per_bar // 2)
    for bar in range(bars):
        place = (bar // pace) % len(chords)
        (root, quality), start = chords[place], bar * beats_per_bar
        cut = start + (middle if splits[place] else beats_per_bar)
        spans.append(Harmony(start, cut, root % 12, quality))
        if splits[place]:
            root, quality = chords[(place + 1) % len(chords)]
            spans.append(Harmony(cut, start + beats_per_bar, root % 12, quality))
    return merged(_early(spans, rng) if beats_per_bar > 2 else spans)


def _early(spans: Sequence[Harmony], rng: Random) -> list[Harmony]:
    """In one piece of six, some of the changes a beat before their bar line."""
    chance = rng.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.4))
    starts = [span.start - (rng.random() < chance) * (number > 0) for number, span in enumerate(spans)]
    ends = [*starts[1:], spans[-1].end]
    return [Harmony(start, end, s.root, s.quality) for s, start, end in zip(spans, starts, ends, strict=True)]


def merged(spans: Sequence[Harmony]) -> tuple[Harmony, ...]:
    """Neighbours with the same chord joined."""
    joined: list[Harmony] = []
    for span in spans:
        last = joined[-1] if joined else None
        alike = last and (last.root, last.quality) == (span.root, span.quality)
        if last and alike and abs(last.end - span.start) < 1e-6:
            joined[-1] = Harmony(last.start, span.end, span.root, span.quality)
        else:
            joined.append(span)
    return tuple(joined)


def chord_at(harmony: Sequence[Harmony], beat: float) -> Harmony:
    """The chord that sounds at `beat`; the last one after the end."""
    for span in harmony:
        if span.start - 1e-6 <= beat < span.end - 1e-6:
            return span
    return harmony[-1]


def voicing(chord: Harmony, low: int) -> tuple[int, ...]:
    """Pitches of the chord, each at or above `low` and within the octave over it."""
    return tuple(sorted(low + (chord.root + step - low) % 12 for step in TONES[chord.quality]))


RHYTHMS = {
    2: ("0 1", "0 .5 1 1.5", "0 1 1.5", "0 .5 1", "0 .75 1 1.5", "0 .25 .5 .75 1 1.5"),
    3: ("0 1 2", "0 2", "0 1 1.5 2", "0 .5 1 1.5 2 2.5", "0 1.5 2", "0"),
    4: ("0 1 2 3", "0 1.5 2 3", "0 .5 1 2 3", "0 2 3", "0 .5 1.5 2.5 3", "0 1 1.5 2 2.5 3",
        "0 .5 1 1.5 2 2.5 3 3.5", "0 2", ".5 1 1.5 2.5 3.5"),
    6: ("0 .3333 .6667 1 1.3333 1.6667", "0 .6667 1 1.6667", "0 1 1.6667", "0 .6667 1", "0 .3333 .6667 1"),
}  # fmt: skip
"""Meter → where a bar's notes begin, in beats (6/8: in dotted quarters)."""


def melody(
    harmony: Sequence[Harmony], key: int, meter: int, word: str, rng: Random, swing: bool = False
) -> tuple[ScoreNote, ...]:
    """A tune over `harmony`: chord tones on the beats, steps between, and four bars that come back."""
    per_bar = 2 if meter == 6 else meter
    bars = int(harmony[-1].end / per_bar + 1e-6)
    motifs = [rng.choice(RHYTHMS[meter]).split() for _ in range(4)]
    scale = [(key % 12 + step) % 12 for step in (MINOR_STEPS if key >= 12 else MAJOR_STEPS)]
    loudness, legato = rng.randint(76, 104), rng.uniform(0.6, 1.0)
    pitch = into_range(60 + key % 12, word)
    notes: list[ScoreNote] = []
    for bar in range(bars):
        if rng.random() < 0.08:
            continue
        starts = [float(text) for text in motifs[bar % 4]]
        ends = [*starts[1:], float(per_bar)]
        for start, end in zip(starts, ends, strict=True):
            chord = chord_at(harmony, bar * per_bar + start)
            tones = [(chord.root + step) % 12 for step in TONES[chord.quality]]
            strong = abs(start - round(start)) < 1e-3
            pitch = _step(pitch, tones if strong or rng.random() < 0.4 else scale, word, rng)
            begin = bar * per_bar + swung(start, swing)
            length = (bar * per_bar + swung(end, swing) - begin) * legato
            velocity = loudness + rng.randint(-8, 8) + (5 if strong else 0)
            notes.append(ScoreNote(begin, begin + length, pitch, velocity))
    return tuple(notes)


def _step(pitch: int, classes: Sequence[int], word: str, rng: Random) -> int:
    near = [p for p in range(pitch - 7, pitch + 8) if p % 12 in classes and p != pitch] or [pitch]
    weights = [1.0 / (1 + abs(p - pitch)) for p in near]
    return into_range(rng.choices(near, weights)[0], word)


def swung(beat: float, swing: bool) -> float:
    """A place in the bar with its off-beat eighths moved to the last third of the beat."""
    whole = int(beat + 1e-6)
    return whole + 2 / 3 if swing and abs(beat - whole - 0.5) < 1e-3 else beat
