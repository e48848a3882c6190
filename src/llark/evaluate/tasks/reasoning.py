"""Reasoning: an open question whose answer rests on what is heard, and how much of it is so.

The paper has people and a judge match such answers to the music (section 6.4): `llark judge --how match`, and
which of two answers is better: `llark judge --how prefer`. Here, without a judge: the facts that the readers
find in the answer (tempo, key, meter, style, instruments) against those that are known of the clip, as
precision, recall and F1 over all clips. A tempo is right within 4 % or at an octave. What the readers cannot
find is not scored, so that an eloquent answer that names nothing scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from llark.evaluate import labels, readers
from llark.evaluate.tasks import genre, instruments, tempo
from llark.music.lexicon import OTHER_INSTRUMENT
from llark.records import METER_NAMES, Annotation, Score

VERSION = 1
QUESTION = (
    "How would you recreate this music in a studio? Say which style, tempo, key, meter and instruments it"
    " takes, and why."
)
HEADLINE = "f1"
DEFAULT = False

Facts = frozenset[str]
INSTRUMENT = "instrument: "


def read(answer: str, truth: object = None) -> Facts | None:
    """Each fact as "kind: value"."""
    meter = readers.read_meter(answer)
    found = {
        "tempo": _bpm(readers.read_tempo(answer)),
        "key": readers.read_key(answer),
        "meter": METER_NAMES.get(meter) if meter else None,
        "style": readers.read_genre(answer),
    }
    named = {f"{kind}: {value}" for kind, value in found.items() if value}
    return frozenset(named | _instruments(readers.read_instruments(answer) or frozenset())) or None


def strict(answer: str, truth: object = None) -> Facts | None:
    """Open answers have no stricter form."""
    return read(answer)


def truth(annotation: Annotation) -> Facts | None:
    """What is known; a clip of which fewer than three facts are known is not scored."""
    meter = annotation.meter.beats_per_bar
    found = {
        "tempo": _bpm(annotation.tempo.bpm),
        "key": annotation.key.name,
        "meter": METER_NAMES.get(meter) if meter else None,
    }
    known = {f"{kind}: {value}" for kind, value in found.items() if value}
    known |= {f"style: {style}" for style in genre.truth(annotation) or ()}
    known |= _instruments(instruments.truth(annotation) or frozenset())
    return frozenset(known) if len(known) > 2 else None


def _bpm(bpm: float | None) -> str | None:
    return None if bpm is None else f"{bpm:.0f} BPM"


def _instruments(names: Set[str] | Sequence[str]) -> set[str]:
    return {f"{INSTRUMENT}{name}" for name in names}


def _as_known(value: Facts | None, truth: Facts) -> Facts | None:
    """The answer's facts in the words of the truth, where they mean the same: a near tempo, a family word."""
    if value is None:
        return None
    heard = instruments.resolve(_names(value) - {OTHER_INSTRUMENT}, _names(truth))
    rest = {fact for fact in value if not fact.startswith(INSTRUMENT)} | _instruments(heard)
    known = next((fact for fact in truth if fact.startswith("tempo: ")), None)
    said = next((fact for fact in rest if fact.startswith("tempo: ")), None)
    if known and said and tempo.points(_number(said), _number(known))[3]:
        rest = rest - {said} | {known}
    return frozenset(rest)


def _names(facts: Facts) -> frozenset[str]:
    return frozenset(fact.removeprefix(INSTRUMENT) for fact in facts if fact.startswith(INSTRUMENT))


def _number(fact: str) -> float:
    return float(fact.split()[1])


def points(value: Facts | None, truth: Facts) -> tuple[float, ...]:
    return labels.set_points(_as_known(value, truth), truth)


rates = labels.set_rates


def credit(value: Facts | None, truth: Facts) -> float:
    return labels.set_credit(_as_known(value, truth), truth)


constants = labels.set_constants


def score(pairs: Sequence[tuple[Facts | None, Facts]]) -> list[Score]:
    return labels.scores("reasoning", [points(value, truth) for value, truth in pairs], rates)
