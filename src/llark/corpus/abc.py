"""Folk tunes in ABC from the corpus that comes with music21: Ryan's Mammoth Collection, Aird's Airs,
O'Neill's 1850.

Key and mode are those of the tune's own `K:` line; modes other than major and minor are left out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from llark.corpus.builtin import STYLES, accompany
from llark.corpus.harmony import merged
from llark.corpus.piece import (
    Harmony,
    Part,
    Piece,
    ScoreNote,
    Unusable,
    draw,
    music21_corpus,
    onsets_per_beat,
    transpose,
    tune_tempi,
)
from llark.corpus.programs import into_range, some_lead, some_program
from llark.music.names import key_name
from llark.music.theory import TONES
from llark.records import KEYS

LICENCE = "traditional (public domain); encoding from the music21 corpus"
FOLDERS = ("airdsAirs", "oneills1850", "ryansMammoth")
METERS = {"2/4": 2, "3/4": 3, "4/4": 4, "C": 4, "C|": 4, "6/8": 6}
METER_SHARES = {2: 0.2, 3: 0.2, 4: 0.28, 6: 0.32}


@dataclass(frozen=True)
class Tune:
    """The text of one tune, with its title, meter and key (an index into `records.KEYS`)."""

    folder: str
    text: str
    title: str
    meter: int
    key: int

    @property
    def group(self) -> str:
        """The title's letters: the same tune in two books is one group."""
        words = re.sub(r"[^a-z ]", "", self.title.lower()).split()
        kinds = {"reel", "jig", "hornpipe", "the", "a", "air", "march", "waltz", "strathspey", "clog"}
        return "abc/" + ("".join(word for word in words if word not in kinds) or "".join(words))


def read_tunes(folder: str, text: str) -> list[Tune]:
    """The tunes of one ABC file whose meter and key this room has words for."""
    tunes = []
    for part in re.split(r"(?m)^(?=X: *\d+)", text)[1:]:
        keys, meters = re.findall(r"(?m)^K: *(.*)$", part), re.findall(r"(?m)^M: *(\S+)", part)
        key = parse_key(keys[0]) if len(keys) == 1 else None
        meter = METERS.get(meters[0]) if len(meters) == 1 else None
        if key is None or meter is None or re.search(r"\[[KM]:", part):
            continue
        title = re.search(r"(?m)^T: *(.*)$", part)
        tunes.append(Tune(folder, part, title[1].strip() if title else "", meter, key))
    return tunes


def parse_key(text: str) -> int | None:
    """`Am`, `E Minor`, `Bb` → an index into KEYS; `None` for other modes and for remarks that doubt the
    key."""
    name = key_name(text) or key_name(f"{text.strip()} major")
    return KEYS.index(name) if name and text.strip()[0].isupper() else None


@functools.cache
def _tunes() -> dict[int, tuple[list[Tune], list[Tune]]]:
    """Meter → tunes in major, tunes in minor."""
    table: dict[int, tuple[list[Tune], list[Tune]]] = {m: ([], []) for m in METER_SHARES}
    for folder in FOLDERS:
        for path in sorted((music21_corpus() / folder).glob("*.abc")):
            for tune in read_tunes(folder, path.read_text(errors="replace")):
                table[tune.meter][tune.key >= 12].append(tune)
    return table


def choose(rng: Random) -> Tune:
    """A tune: first the meter, then the mode, so that rare ones come often enough."""
    meter = rng.choices(list(METER_SHARES), list(METER_SHARES.values()))[0]
    major, minor = _tunes()[meter]
    return rng.choice(minor if rng.random() < 0.5 else major)


def as_notes(tune: Tune) -> tuple[list[ScoreNote], int]:
    """The melody in beats from its first downbeat (a pick-up is before 0), and its length in whole bars.

    Raises `Unusable` where the bars are irregular or music21 cannot read the tune.
    """
    from music21 import abcFormat, converter, exceptions21

    try:
        score = converter.parseData(tune.text, format="abc")
        measures = list(score.recurse().getElementsByClass("Measure"))
        places = [(float(m.offset), float(m.duration.quarterLength)) for m in measures]
        pitched = [
            (start + float(n.offset), float(n.quarterLength), max(p.midi for p in n.pitches))
            for m, (start, _) in zip(measures, places, strict=True)
            for n in m.flatten().notes
            if n.quarterLength > 0
        ]
    except (exceptions21.Music21Exception, abcFormat.ABCHandlerException, ValueError, LookupError) as error:
        raise Unusable("unreadable-tune", f"{tune.title}: {error}") from error
    beat = 1.5 if tune.meter == 6 else 1.0
    bar = beat * (2 if tune.meter == 6 else tune.meter)
    full = [start for start, length in places if abs(length - bar) < 1e-6]
    if len(full) < 4 or not pitched:
        raise Unusable("irregular-bars", f"{tune.title}: {len(full)} full bars")
    first = full[0]
    regular = sum(abs((start - first) / bar - round((start - first) / bar)) < 1e-6 for start in full)
    if first > bar or regular < len(full):
        raise Unusable(
            "irregular-bars", f"{tune.title}: {regular} of {len(full)} full bars are where they should be"
        )
    notes = [
        ScoreNote((s - first) / beat, (s - first + q * 0.95) / beat, pitch, 88) for s, q, pitch in pitched
    ]
    end = max(start + length for start, length in places) - first
    return notes, max(1, round((end + min(first, bar)) / bar - 1e-6 + 0.499))


def harmony_for(notes: Sequence[ScoreNote], key: int, per_bar: int, bars: int) -> tuple[Harmony, ...]:
    """The plain chord of the key that fits each bar best, changing no more than it must."""
    degrees = ((0, "min"), (5, "min"), (7, "maj"), (8, "maj"), (10, "maj"), (3, "maj")) if key >= 12 else (
        (0, "maj"), (5, "maj"), (7, "maj"), (2, "min"), (9, "min"))  # fmt: skip
    chords = [((key + degree) % 12, quality) for degree, quality in degrees]
    best: list[tuple[float, list[int]]] = [(0.0 if k == 0 else -1.0, [k]) for k in range(len(chords))]
    for bar in range(bars):
        inside = [n for n in notes if bar * per_bar <= n.start < (bar + 1) * per_bar]
        step = []
        for k, (root, quality) in enumerate(chords):
            score, path = max((score - 0.25 * (path[-1] != k), path) for score, path in best)
            fit = _fit(inside, root, quality, bar * per_bar) - 0.1 * (k > 2)
            step.append((score + fit, [*path, k]))
        best = step
    path = max(best)[1][1:]
    path[-1] = 0
    return merged([Harmony(b * per_bar, (b + 1) * per_bar, *chords[k]) for b, k in enumerate(path)])


def _fit(notes: Sequence[ScoreNote], root: int, quality: str, start: float) -> float:
    tones = {(root + step) % 12 for step in TONES[quality]}
    total = inside = 0.0
    for note in notes:
        weight = (note.end - note.start) * (1.5 if abs(note.start - round(note.start)) < 1e-3 else 1.0)
        weight *= 1.5 if abs(note.start - start) < 1e-3 else 1.0
        total += weight
        inside += weight * (note.pitch % 12 in tones)
    return inside / total if total else 0.0


def looped(notes: Sequence[ScoreNote], bars: int, per_bar: int, beats: float) -> tuple[list[ScoreNote], int]:
    """The tune again and again until it lasts `beats`; notes and bars."""
    times = max(1, -(-int(beats + per_bar) // (bars * per_bar)))
    shifts = [k * bars * per_bar for k in range(times)]
    return [
        ScoreNote(n.start + s, n.end + s, n.pitch, n.velocity) for s in shifts for n in notes
    ], bars * times


def alone(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A tune by itself: nothing but the tune tells its beat."""
    return _piece(rng, beats, admits, lambda: 0.3)


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A tune alone, doubled, or over chords of our own, in any key and on any instruments.

    Whether a tune alone is in 2/4 or in 4/4 is a matter of notation (the same reel stands in both in these
    books), so its meter is unknown; that of one in 3/4 or 6/8 is not.
    """
    return _piece(rng, beats, admits, rng.random)


def _piece(
    rng: Random, beats: float, admits: Callable[[str], bool], arrangement_of: Callable[[], float]
) -> Piece:
    """`arrangement_of` gives under .25 for a tune that is doubled, over .5 for one over chords."""
    tune = draw(lambda: choose(rng), lambda tune: admits(tune.group))
    meter = tune.meter
    notes, bars = as_notes(tune)
    per_bar = 2 if meter == 6 else meter
    harmony = harmony_for(notes, tune.key, per_bar, bars)
    notes, whole = looped(notes, bars, per_bar, beats)
    word = some_lead(rng)
    parts = [Part("melody", some_program(word, rng), tuple(_in_register(notes, word)))]
    arrangement = arrangement_of()
    if arrangement < 0.25:
        other = some_lead(rng)
        parts.append(Part("melody", some_program(other, rng), tuple(_in_register(notes, other))))
    accompanied = arrangement > 0.5
    if accompanied:
        spans = tuple(h.later(k * bars * per_bar) for k in range(whole // bars) for h in harmony)
        folk = {"folk", "march", "waltz", "country", "pop"}
        style = rng.choice([s for s in STYLES.values() if s.meter == meter and set(s.genres) & folk])
        parts += accompany(style, spans, whole, rng, drums=rng.random() < 0.4)
        harmony = merged(spans)
    known = meter if accompanied or meter in (3, 6) else None
    # Everything is a bar later, so that a pick-up is not before the beginning.
    later = tuple(part.retimed(lambda time: time + per_bar) for part in parts)
    song = Piece(
        parts=later, length_beats=float((whole + 1) * per_bar), group=tune.group,
        meter=known, key=tune.key, harmony=tuple(h.later(per_bar) for h in harmony) if accompanied else (),
        genres=_genres(tune), slowest_bpm=45.0, fastest_bpm={6: 150.0, 2: 160.0}.get(meter, 220.0),
        usual_bpm=tune_tempi(meter, onsets_per_beat(parts[:1], whole * per_bar)),
        title=tune.title, licence=LICENCE, about={"piece": f"{tune.folder}/{tune.title}"},
    )  # fmt: skip
    return transpose(song, rng.randint(-5, 6))


def _genres(tune: Tune) -> tuple[str, ...]:
    head = f"{tune.title} {tune.text[:300]}"
    words = [word for word in ("waltz", "march") if re.search(rf"\b{word}", head, re.I)]
    return ("folk", *words[:1])


def _in_register(notes: Sequence[ScoreNote], word: str) -> list[ScoreNote]:
    """The whole tune moved by octaves so that its middle is comfortable for the instrument."""
    middle = sorted(n.pitch for n in notes)[len(notes) // 2]
    move = into_range(middle, word) - middle
    return [ScoreNote(n.start, n.end, n.pitch + move, n.velocity) for n in notes]
