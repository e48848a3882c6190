"""Composed scores from the corpus that comes with music21: Bach's chorales, madrigals, quartets, songs, piano
pieces.

Only folders with works in the public domain and no restriction on the encoding are read. The mode that these
files state is not to be trusted: a key is taken from the key signature *and* the final bass note, or stays
unknown.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from llark.corpus.piece import SCORE_TEMPI, Part, Piece, ScoreNote, Unusable, draw, music21_corpus, transpose
from llark.corpus.programs import into_range, some_program, word_of

LICENCE = "public domain work; encoding from the music21 corpus"
COMPOSERS = {
    "bach": "Johann Sebastian Bach", "monteverdi": "Claudio Monteverdi", "beethoven": "Ludwig van Beethoven",
    "haydn": "Joseph Haydn", "mozart": "Wolfgang Amadeus Mozart", "schumann_robert": "Robert Schumann",
    "schumann_clara": "Clara Schumann", "schubert": "Franz Schubert", "chopin": "Frédéric Chopin",
    "joplin": "Scott Joplin", "corelli": "Arcangelo Corelli", "cpebach": "Carl Philipp Emanuel Bach",
    "handel": "George Frideric Handel", "verdi": "Giuseppe Verdi", "weber": "Carl Maria von Weber",
}  # fmt: skip
"""Folder of the corpus → whose works it holds."""
OFTEN = {"bach": 24, "monteverdi": 3, "beethoven": 2, "haydn": 2, "mozart": 3}
"""Folders that are chosen so many times as often as each of the others."""
EXCLUDED = frozenset({"monteverdi/madrigal.5.4", "monteverdi/madrigal.5.5"})
"""Encodings whose publisher reserves its rights; the Humdrum files (`.krn`) do so, too."""
ENDINGS = (".mxl", ".xml", ".musicxml")

ENSEMBLES = (
    ("violin", "violin", "violin", "cello"), ("strings",), ("piano",), ("organ",), ("choir",),
    ("harpsichord",), ("flute", "clarinet", "clarinet", "saxophone"), ("trumpet", "trumpet", "brass",
    "brass"), ("brass",), ("saxophone",), ("acoustic guitar",), ("mallets",), ("harp",), ("accordion",),
    ("synth",), ("clarinet",), ("flute", "violin", "harp", "cello"), ("electric piano",), ("choir", "choir",
        "organ", "organ"),
)  # fmt: skip
"""Instruments from the top part down; the last one plays the parts below it."""


@functools.cache
def _works() -> dict[str, tuple[Path, ...]]:
    root = music21_corpus()
    works: dict[str, tuple[Path, ...]] = {}
    for folder in COMPOSERS:
        scores = (path for path in sorted((root / folder).rglob("*")) if path.suffix in ENDINGS)
        if allowed := tuple(path for path in scores if _name(folder, path) not in EXCLUDED):
            works[folder] = allowed
    return works


def choose(rng: Random) -> tuple[str, Path]:
    """A folder by its weight, and one of its scores."""
    works = _works()
    folder = rng.choices(list(works), [OFTEN.get(folder, 1) for folder in works])[0]
    return folder, rng.choice(works[folder])


def _name(folder: str, path: Path) -> str:
    between = "" if path.parent.name == folder else f"{path.parent.name}/"
    return f"{folder}/{between}{path.stem}"


def _group(folder: str, path: Path) -> str:
    return f"scores/{_name(folder, path)}"


def final_key(sharps: int, bass: int) -> int | None:
    """The key (index into KEYS) of a signature whose piece ends on bass pitch class `bass`; `None` if on
    neither the major tonic nor the minor one."""
    tonic = sharps * 7 % 12
    if bass == tonic:
        return tonic
    return bass + 12 if bass == (tonic + 9) % 12 else None


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A stretch of a score with one meter and key signature, transposed, on an ensemble of our choice.

    Raises `Unusable` for scores that have no such stretch or that music21 cannot read.
    """
    from music21 import corpus, exceptions21

    folder, path = draw(lambda: choose(rng), lambda item: admits(_group(*item)))
    name = _name(folder, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            score = corpus.parse(str(path))
        if not getattr(score, "parts", None):
            raise Unusable("no-parts", f"{name} is no score in parts")
        return _from_score(score, name, COMPOSERS[folder], rng, beats)
    except (exceptions21.Music21Exception, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise Unusable("unreadable-score", f"{name}: {error}") from error


def _from_score(score: Any, name: str, composer: str, rng: Random, beats: float) -> Piece:
    parts = list(score.parts)
    lead = list(parts[0].getElementsByClass("Measure"))
    first, last, meter = _regular_stretch(lead, rng, beats)
    signature = score.recurse().getElementsByClass("KeySignature").first()
    key = final_key(signature.sharps, _final_bass(parts)) if signature is not None else None
    beat = 1.5 if meter == 6 else 1.0
    begin = float(lead[first].offset)
    ensemble = rng.choice(ENSEMBLES)
    made: list[Part] = []
    for index, part in enumerate(parts):
        notes = tuple(_notes(part, begin, float(lead[last].offset), beat, rng))
        word = ensemble[min(index, len(ensemble) - 1)]
        if notes:
            made.append(_playable(notes, some_program(word, rng)))
    if not made:
        raise Unusable("empty-stretch", f"{name}: no notes between its bars {first} and {last}")
    length = (float(lead[last].offset) - begin) / beat
    song = Piece(
        parts=tuple(made), length_beats=length, group=f"scores/{name}", meter=meter, key=key, modulates=True,
        genres=("classical",), slowest_bpm=45.0, fastest_bpm=120.0 if meter == 6 else 170.0,
        usual_bpm=SCORE_TEMPI[meter],
        title=name.split("/")[-1], artist=composer, licence=LICENCE, about={"piece": name},
    )  # fmt: skip
    return transpose(song, rng.randint(-5, 6))


def _regular_stretch(lead: list[Any], rng: Random, beats: float) -> tuple[int, int, int]:
    """First measure, last measure (not included) and meter of a run of full bars in one signature.

    A score's last bar, often held, is never played.
    """
    runs: list[tuple[int, int, int]] = []
    start, current, ratio = 0, None, None
    for index, measure in enumerate(lead):
        ratio = measure.timeSignature.ratioString if measure.timeSignature else ratio
        meter = {"4/4": 4, "2/2": 4, "3/4": 3, "2/4": 2, "6/8": 6}.get(ratio or "")
        bar = {2: 2.0, 3: 3.0, 4: 4.0, 6: 3.0}.get(meter or 0)
        full = bar is not None and abs(float(measure.duration.quarterLength) - bar) < 1e-6
        if not full or meter != current or (measure.keySignature is not None and index > start):
            start, current = index, meter if full else None
        elif index - start >= 5:
            if runs and runs[-1][0] == start:
                runs.pop()
            runs.append((start, index, meter or 0))
    if not runs:
        raise Unusable("irregular-bars", "no five full bars in one meter")
    first, last, meter = rng.choice(runs)
    need = int(beats / (2 if meter == 6 else meter)) + 3
    begin = first + rng.randrange(max(1, last - first - need + 1))
    return begin, min(last, begin + need), meter


def _final_bass(parts: list[Any]) -> int:
    """Pitch class of the lowest note that sounds last."""
    ends = [n for part in parts for n in list(part.recurse().notes)[-1:]]
    return int(min(min(p.midi for p in n.pitches) for n in ends)) % 12


def _notes(part: Any, begin: float, end: float, beat: float, rng: Random) -> Iterator[ScoreNote]:
    """Notes of the measures between two offsets, ties joined, in beats from `begin`."""
    tied: dict[int, tuple[float, float, int]] = {}
    loudness = rng.randint(70, 96)
    for measure in part.getElementsByClass("Measure"):
        offset = float(measure.offset)
        if not begin - 1e-6 <= offset < end - 1e-6:
            continue
        for note in measure.flatten().notes:
            if note.quarterLength <= 0 or not hasattr(note, "pitches"):
                continue
            start = (offset + float(note.offset) - begin) / beat
            stop = start + float(note.quarterLength) / beat
            for pitch in note.pitches:
                velocity = loudness + rng.randint(-5, 5)
                kind = note.tie.type if note.tie else None
                if kind in ("stop", "continue") and pitch.midi in tied:
                    start_, _, velocity = tied.pop(pitch.midi)
                    held = (start_, stop, velocity)
                else:
                    held = (start, stop, velocity)
                if kind in ("start", "continue"):
                    tied[pitch.midi] = held
                else:
                    yield ScoreNote(held[0], held[1] - 0.02, pitch.midi, held[2])
    for pitch_midi, (start, stop, velocity) in tied.items():
        yield ScoreNote(start, stop, pitch_midi, velocity)


def _playable(notes: tuple[ScoreNote, ...], program: int) -> Part:
    """A part on `program`, the whole of it moved by octaves where its middle is out of the instrument's
    reach."""
    middle = sorted(n.pitch for n in notes)[len(notes) // 2]
    move = into_range(middle, word_of(program)) - middle
    ordered = sorted(notes, key=lambda n: (n.start, n.pitch))
    return Part(
        "chords", program, tuple(ScoreNote(n.start, n.end, n.pitch + move, n.velocity) for n in ordered)
    )
