"""Reasoning: an open question whose answer rests on the music, and how much of it holds.

The paper has people and a judge match such answers to the music (section 6.4): `llark judge --how match`, and
which of two answers is better: `llark judge --how prefer`. Here, without a judge: the facts that the readers
find in the answer (tempo, key, meter, style, instruments) against those that are known of the clip, as
precision, recall and F1 over all clips. A tempo is right within 4 % or at an octave. What the readers cannot
find is not scored, so that an eloquent answer that names nothing scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from llark.evaluate.task import SetTask, set_points
from llark.evaluate.tasks import genre, instruments, tempo
from llark.music import readers
from llark.records import METER_NAMES, Annotation

Facts = frozenset[str]
INSTRUMENT = "instrument: "


def _facts(
    bpm: float | None,
    key: str | None,
    beats_per_bar: int | None,
    styles: Iterable[str],
    played: Iterable[str],
) -> Facts:
    """Each fact that is known as "kind: value"."""
    named = {f"style: {style}" for style in styles} | _instruments(played)
    if bpm is not None:
        named.add(f"tempo: {bpm:.0f} BPM")
    if key is not None:
        named.add(f"key: {key}")
    if beats_per_bar in METER_NAMES:
        named.add(f"meter: {METER_NAMES[beats_per_bar]}")
    return frozenset(named)


def _instruments(names: Iterable[str]) -> set[str]:
    return {f"{INSTRUMENT}{name}" for name in names}


def _read(answer: str) -> Facts | None:
    style = readers.read_genre(answer)
    named = _facts(
        readers.read_tempo(answer),
        readers.read_key(answer),
        readers.read_meter(answer),
        () if style is None else (style,),
        readers.read_instruments(answer) or (),
    )
    return named or None


def _truth(annotation: Annotation) -> Facts | None:
    """What is known; a clip of which fewer than three facts are known is not scored."""
    known = _facts(
        annotation.tempo.bpm,
        annotation.key.name,
        annotation.meter.beats_per_bar,
        genre.TASK.truth(annotation) or (),
        instruments.TASK.truth(annotation) or (),
    )
    return known if len(known) > 2 else None


def _as_known(value: Facts | None, truth: Facts) -> Facts | None:
    """The answer's facts in the words of the truth, where they mean the same: a near tempo, a family word."""
    if value is None:
        return None
    played = instruments.resolve(_names(value), _names(truth))
    rest = {fact for fact in value if not fact.startswith(INSTRUMENT)} | _instruments(played)
    known = next((fact for fact in truth if fact.startswith("tempo: ")), None)
    said = next((fact for fact in rest if fact.startswith("tempo: ")), None)
    if known and said and tempo.TASK.points(_number(said), _number(known))[3]:
        rest = rest - {said} | {known}
    return frozenset(rest)


def _names(facts: Facts) -> frozenset[str]:
    return frozenset(fact.removeprefix(INSTRUMENT) for fact in facts if fact.startswith(INSTRUMENT))


def _number(fact: str) -> float:
    return float(fact.split()[1])


TASK = SetTask(
    about=__doc__,
    version=2,
    question=(
        "How would you recreate this music in a studio? Say which style, tempo, key, meter and instruments it"
        " takes, and why."
    ),
    reader=_read,
    strict_reader=_read,
    truth=_truth,
    points=lambda value, truth: set_points(_as_known(value, truth), truth),
    default=False,
)
