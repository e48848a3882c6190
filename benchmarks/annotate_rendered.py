"""Clips that `benchmarks/annotate.py` renders itself, because a corpus has too few or none of their kind.

They are made by the corpus's own machinery from held-out pieces and styles, with the held-out sound font:
tempo swaying by 3 %, clips of 5 to 10 s, a change of key on the way, melodies alone, drums alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from annotate_clips import Case, read_sidecar, write_sidecar

from llark import audio, engine
from llark.corpus import abc, builtin, clips, mma
from llark.corpus.audible import truth
from llark.corpus.harmony import merged
from llark.corpus.piece import MOST_SWAY, SWAY_PERIOD_SECONDS, Part, Piece, ScoreNote, Unusable, transpose
from llark.corpus.synth import SAMPLE_RATE, Fluid, Portable, Synth, finish_mix
from llark.corpus.take import Take, choose, mix, perform
from llark.records import KEYS, Annotation, Key, LocalKeys, Span

SEED = 404
ATTEMPTS = 60
SONG_SECONDS = 100.0
KEY_CHANGES = (1, 2, 3, 5, 7, 9, 10)
"""Semitones up, from the first key to the second."""


@dataclass(frozen=True)
class Manner:
    """How one kind of clip is made: its length in seconds, where its pieces come from, what is done to them.

    `changes_at` is the share of the clip, from and to, where its key changes.
    """

    condition: str
    seconds: tuple[float, float] = (12.0, 25.0)
    sources: tuple[str, ...] = ("mma", "builtin")
    sway: float = 0.0
    changes_at: tuple[float, float] | None = None
    alone: str = ""
    """The role that plays alone; all of them if empty."""


MANNERS = {
    "rubato": Manner("rubato ±3 %", sources=("mma", "builtin", "abc"), sway=MOST_SWAY),
    "short": Manner("clips of 5–10 s", (5.0, 10.0), ("mma", "builtin", "abc")),
    "modulating": Manner("modulations", (18.0, 25.0), changes_at=(0.6, 0.72)),
    "solo": Manner("solo melodies", (8.0, 25.0), ("abc",), alone="melody"),
    "drums": Manner("drums only", (8.0, 25.0), alone="drums"),
}
SONGS = Manner("songs that modulate", (SONG_SECONDS, SONG_SECONDS), changes_at=(0.4, 0.6))


def rendered(name: str, manner: Manner, count: int, folder: Path) -> Iterator[Case]:
    """`count` clips of a manner as files in `folder`; one that is there is not made again.

    Raises `UserMustAct` naming the Debian packages that are missing.
    """
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    paths = [target / f"{name}-{number:04d}.ogg" for number in range(count)]
    missing = [path for path in paths if not path.with_suffix(".json").exists()]
    if missing:
        clips.require_packages([s for s in manner.sources if s == "mma"], "fluidsynth")
        synth = Fluid(clips.HELD_OUT_FONT)
        with engine.Ticker(f"render {name}", len(paths), len(paths) - len(missing)) as tick:
            for path in missing:
                make(path, manner, synth)
                tick()
    yield from (read_sidecar(path, manner.condition) for path in paths)


def make(path: Path, manner: Manner, synth: Synth | Portable) -> None:
    """One clip and its truth, drawn by its name. Raises the last `Unusable` where no piece could be used."""
    trouble = Unusable("no-attempt", "")
    for attempt in range(ATTEMPTS):
        seed = f"{SEED}:{path.stem}:{attempt}"
        try:
            samples, facts, group = _perform(path.stem, manner, synth, seed)
        except Unusable as error:
            trouble = error
            continue
        audio.save(path, samples, SAMPLE_RATE)
        write_sidecar(path, facts, group, {"seed": seed})
        return
    raise trouble


def _perform(id_: str, manner: Manner, synth: Synth, seed: str) -> tuple[np.ndarray, Annotation, str]:
    rng = Random(f"{seed}:piece")
    wanted = rng.uniform(*manner.seconds)
    piece = _alone(_piece(manner, rng, max(wanted, 10.0) * 220 / 60), manner.alone)
    take = choose(piece, max(wanted, 10.0), Random(f"{seed}:take"))
    take = replace(take, seconds=min(wanted, take.seconds), sway=_sway(manner, rng))
    second_key = None
    if manner.changes_at:
        take, second_key = _modulating(take, rng.uniform(*manner.changes_at), rng)
    dry, words = mix(perform(take, Random(f"{seed}:perform")), take.seconds, synth, Random(f"{seed}:mix"))
    draw = np.random.default_rng(list(hashlib.sha256(f"{seed}:effects".encode()).digest()))
    facts = truth(take.piece, id_, take.timing, take.seconds, words)
    if second_key is not None:
        facts = _with_keys(facts, take, second_key)
    if not (facts.key.name or facts.tempo.bpm):
        raise Unusable("nothing-known", "neither key nor beats can be heard")
    return finish_mix(dry, draw), facts, piece.group


def _piece(manner: Manner, rng: Random, beats: float) -> Piece:
    makers: dict[str, Callable[..., Piece]] = {"mma": mma.piece, "builtin": builtin.piece, "abc": abc.piece}
    source = rng.choice(manner.sources)
    return makers[source](rng, beats, lambda group: clips.split_of(group) == "test")


def _alone(piece: Piece, role: str) -> Piece:
    """One role of the piece, and no more of key and harmony than that tells."""
    if not role:
        return piece
    parts = tuple(part for part in piece.parts if part.role == role)
    if not parts or (role == "melody" and piece.harmony):
        raise Unusable("no-such-part", f"no {role} alone")
    return replace(piece, parts=parts, harmony=(), key=None if role == "drums" else piece.key)


def _sway(manner: Manner, rng: Random) -> tuple[float, float, float]:
    return manner.sway, rng.uniform(*SWAY_PERIOD_SECONDS), rng.random()


def _modulating(take: Take, share: float, rng: Random) -> tuple[Take, tuple[int, float]]:
    """The take in another key from a bar line on, near `share` of it; that key, and the beat it begins at."""
    piece, bar = take.piece, take.piece.beats_per_bar or 4
    if piece.key is None or not piece.harmony:
        raise Unusable("no-key", "nothing to modulate from")
    start = take.start_beat + share * (take.end_beat - take.start_beat)
    change = bar * round(start / bar)
    moved = transpose(piece, rng.choice(KEY_CHANGES))
    assert moved.key is not None
    parts = tuple(
        replace(before, notes=_joined(before, after, change), controls=before.controls)
        for before, after in zip(piece.parts, moved.parts, strict=True)
    )
    harmony = merged(
        [
            replace(span, start=max(span.start, low), end=min(span.end, high))
            for spans, low, high in ((piece.harmony, 0.0, change), (moved.harmony, change, 1e9))
            for span in spans
            if min(span.end, high) - max(span.start, low) > 1e-6
        ]
    )
    return replace(take, piece=replace(piece, parts=parts, harmony=harmony)), (moved.key, float(change))


def _joined(before: Part, after: Part, change: float) -> tuple[ScoreNote, ...]:
    """The notes of one part until the change, cut there, and those of the other from then on."""
    first = (replace(n, end=min(n.end, change)) for n in before.notes if n.start < change)
    return (*first, *(n for n in after.notes if n.start >= change))


def _with_keys(facts: Annotation, take: Take, second: tuple[int, float]) -> Annotation:
    """The truth with the key that holds longer as that of the whole, and both as local keys."""
    assert take.piece.key is not None
    key, beat = second
    at = take.timing.seconds(beat)
    names = KEYS[take.piece.key], KEYS[key]
    spans = (Span(0.0, at, names[0], 1.0), Span(at, facts.end_seconds, names[1], 1.0))
    longer = names[0] if at >= facts.end_seconds / 2 else names[1]
    return replace(facts, key=Key(longer, 1.0, "truth"), local_keys=LocalKeys(spans, 1.0, "truth"))
