"""The music theory that the offline teacher reasons with.

Keys and chord roots are spelled as in `records.PITCH_CLASSES`; the notes of a scale are spelled by letter
(F# major has an E#), since that is how a musician reads them. Pitch classes are 0–11 with C = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from llark.music.names import chord_name, pitch_class
from llark.records import PITCH_CLASSES

LETTERS = "CDEFGAB"
MAJOR_STEPS = (0, 2, 4, 5, 7, 9, 11)
MINOR_STEPS = (0, 2, 3, 5, 7, 8, 10)
MAJOR_NUMERALS = ("I", "ii", "iii", "IV", "V", "vi", "vii°")
MINOR_NUMERALS = ("i", "ii°", "III", "iv", "v", "VI", "VII")
DEGREE_WORDS = (
    "tonic", "supertonic", "mediant", "subdominant", "dominant", "submediant", "leading-tone chord",
)  # fmt: skip

INTERVALS = ("semitone", "whole tone", "minor third", "major third", "fourth", "fifth")
"""Intervals that people transpose by most."""

INTERVAL_NAMES = (
    "unison", "semitone", "whole tone", "minor third", "major third", "fourth", "tritone", "fifth",
    "minor sixth", "major sixth", "minor seventh", "major seventh", "octave",
)  # fmt: skip
"""The name of an interval of so many semitones."""

CAPO_SHAPES = {"major": (7, 0, 2, 9, 4), "minor": (9, 4, 2)}
"""Pitch classes of the keys whose open chords a guitarist knows, by mode."""

TONES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7),
    "sus4": (0, 5, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10), "minmaj7": (0, 3, 7, 11), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2), "maj9": (0, 4, 7, 11, 2), "min9": (0, 3, 7, 10, 2), "5": (0, 7), "1": (0,),
}  # fmt: skip
"""Notes of a chord by quality, in semitones above its root."""

NUMERAL_SUFFIXES = {"7": "7", "min7": "7", "maj7": "maj7"}
SEVENTHS = ("7", "9", "11", "13")


@dataclass(frozen=True)
class Scale:
    """A key: its tonic's pitch class and its mode, `major` or `minor`."""

    tonic: int
    mode: str

    @staticmethod
    def of(key_name: str) -> Scale:
        """`F# minor` → Scale(6, "minor"). Raises `ValueError` for what is no key."""
        tonic, _, mode = key_name.partition(" ")
        if mode not in ("major", "minor"):
            raise ValueError(f"{key_name!r} is no key: expected a name such as 'F# minor'")
        return Scale(pitch_class(tonic), mode)

    @property
    def tonic_name(self) -> str:
        return PITCH_CLASSES[self.tonic]

    @property
    def name(self) -> str:
        return f"{self.tonic_name} {self.mode}"

    @property
    def steps(self) -> tuple[int, ...]:
        return MAJOR_STEPS if self.mode == "major" else MINOR_STEPS

    @property
    def sharps(self) -> int:
        """Sharps of the key signature; negative for flats."""
        return _signature(self.tonic_name, self.mode)

    @property
    def relative(self) -> Scale:
        if self.mode == "major":
            return Scale((self.tonic + 9) % 12, "minor")
        return Scale((self.tonic + 3) % 12, "major")

    @property
    def parallel(self) -> Scale:
        return Scale(self.tonic, "minor" if self.mode == "major" else "major")

    def moved(self, semitones: int) -> Scale:
        return Scale((self.tonic + semitones) % 12, self.mode)

    @property
    def notes(self) -> tuple[str, ...]:
        """The seven notes, one for each letter: E major → E F# G# A B C# D#."""
        first = LETTERS.index(self.tonic_name[0])
        return tuple(spelled(first + i, self.tonic + step) for i, step in enumerate(self.steps))

    @property
    def pentatonic(self) -> tuple[str, ...]:
        """The five notes of the major or minor pentatonic scale on the tonic."""
        degrees = (0, 1, 2, 4, 5) if self.mode == "major" else (0, 2, 3, 4, 6)
        return tuple(self.notes[degree] for degree in degrees)

    def chord(self, degree: int) -> Chord:
        """The triad on a degree, 0–6."""
        root, third, fifth = (self.steps[(degree + skip) % 7] for skip in (0, 2, 4))
        shape = ((third - root) % 12, (fifth - root) % 12)
        return Chord((self.tonic + root) % 12, {(4, 7): "maj", (3, 7): "min", (3, 6): "dim"}[shape])

    def spells(self, chord: Chord) -> bool:
        """Whether this package's one spelling of the chord's root is what a musician writes in this key."""
        in_key = [note for note in self.notes if pitch_class(note) == chord.root]
        return not in_key or in_key[0] == PITCH_CLASSES[chord.root]

    def numeral(self, chord: Chord) -> str | None:
        """Roman numeral of a diatonic chord, or of the major dominant in minor: `V7`; None for all others."""
        interval = (chord.root - self.tonic) % 12
        if interval not in self.steps:
            return None
        degree = self.steps.index(interval)
        suffix = NUMERAL_SUFFIXES.get(chord.quality, "")
        if self.chord(degree).triad == chord.triad and self.holds(chord):
            return (MAJOR_NUMERALS if self.mode == "major" else MINOR_NUMERALS)[degree] + suffix
        return "V" + suffix if self.mode == "minor" and degree == 4 and self.holds(chord) else None

    def holds(self, chord: Chord) -> bool:
        """Whether the chord's notes are of the key; in minor, a dominant may have the raised leading tone."""
        tones = {(chord.root + tone - self.tonic) % 12 for tone in chord.tones}
        if tones <= set(self.steps):
            return True
        dominant = (chord.root - self.tonic) % 12 in (7, 11)
        return self.mode == "minor" and dominant and tones <= {*self.steps, 11} - {10}

    def role(self, chord: Chord) -> str | None:
        """`tonic`, `dominant`, …; None for a chord that `numeral` does not know."""
        if self.numeral(chord) is None:
            return None
        degree = self.steps.index((chord.root - self.tonic) % 12)
        return "subtonic" if degree == 6 and self.mode == "minor" else DEGREE_WORDS[degree]


@dataclass(frozen=True)
class Chord:
    """A chord without its bass note: root pitch class and mir_eval quality."""

    root: int
    quality: str

    @staticmethod
    def of(label: str) -> Chord | None:
        """`Db:maj7/3` → Chord(1, "maj7"); None for no chord (`N`, `X`) and for what is no chord label."""
        root, _, quality = label.partition("/")[0].partition(":")
        try:
            pitch = pitch_class(root)
        except ValueError:
            return None
        return Chord(pitch, quality.partition("(")[0] or "maj")

    @property
    def label(self) -> str:
        return f"{PITCH_CLASSES[self.root]}:{self.quality}"

    @property
    def name(self) -> str:
        return chord_name(self.label)

    @property
    def triad(self) -> str:
        """The quality's family: `maj`, `min`, `dim`, `aug`, `sus2`, `sus4`, or `5` and `1` (no third)."""
        for start, family in (("min", "min"), ("hdim", "dim"), ("dim", "dim"), ("aug", "aug")):
            if self.quality.startswith(start):
                return family
        if self.quality.startswith("sus"):
            return self.quality[:4]
        return self.quality if self.quality in ("5", "1") else "maj"

    @property
    def major_or_minor(self) -> str:
        """`F#:min7` → `F#:min`, `G:7` → `G:maj`: diminished counts as minor, all else as major."""
        return f"{PITCH_CLASSES[self.root]}:{'min' if self.triad in ('min', 'dim') else 'maj'}"

    @property
    def tones(self) -> tuple[int, ...]:
        """Semitones above the root; those of the triad for a quality that is not in the table."""
        return TONES.get(self.quality, TONES.get(self.triad, (0,)))

    @property
    def has_seventh(self) -> bool:
        return self.quality.endswith(SEVENTHS)

    def moved(self, semitones: int) -> Chord:
        return Chord((self.root + semitones) % 12, self.quality)


def capo(scale: Scale) -> tuple[int, Scale]:
    """The lowest fret (0–11) for a capo, and the key of the open shapes to play there."""
    fret = min((scale.tonic - shape) % 12 for shape in CAPO_SHAPES[scale.mode])
    return fret, scale.moved(-fret)


def mixes_with(scale: Scale) -> tuple[Scale, ...]:
    """Keys that a DJ blends with this one: its relative, and a fifth up and down."""
    return (scale.relative, scale.moved(7), scale.moved(5))


def conventional_name(scale: Scale, sharps: int) -> str:
    """The key's name in a key signature of so many sharps (negative: flats), as in `Db major`."""
    for spelling in (letter + sign for letter in LETTERS for sign in ("", "#", "b")):
        if pitch_class(spelling) == scale.tonic and _signature(spelling, scale.mode) == sharps:
            return f"{spelling} {scale.mode}"
    return scale.name


def _signature(tonic: str, mode: str) -> int:
    """Sharps of the key on any spelling of its tonic, by its place in the circle of fifths."""
    place = (0, 2, 4, -1, 1, 3, 5)[LETTERS.index(tonic[0])] + 7 * (tonic.count("#") - tonic[1:].count("b"))
    return place if mode == "major" else place - 3


def spelled(letter_index: int, pitch: int) -> str:
    """The name of a pitch class as a sharpened or flattened letter of `LETTERS`."""
    letter = letter_index % 7
    offset = (pitch - MAJOR_STEPS[letter] + 6) % 12 - 6  # the letters themselves are C major
    return LETTERS[letter] + ("#" * offset if offset > 0 else "b" * -offset)


def camelot(scale: Scale) -> str:
    """The key's place on the wheel that DJs mix by: C major is `8B`, A minor `8A`."""
    major = scale if scale.mode == "major" else scale.relative
    return f"{(7 * major.tonic + 7) % 12 + 1}{'B' if scale.mode == 'major' else 'A'}"
