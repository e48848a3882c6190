"""Accompaniments from the groove library of MMA (Debian: mma), over our own progressions."""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml

from llark.corpus import midi
from llark.corpus.builtin import STYLES, Style, accompany
from llark.corpus.harmony import harmonise, melody, random_key
from llark.corpus.piece import Harmony, Part, Piece, Unusable, draw, recast, style_tempi
from llark.corpus.programs import some_lead, some_program
from llark.records import PITCH_CLASSES

LICENCE = "generated with MMA grooves (GPL-2.0-or-later)"
LIBRARY = Path("/usr/share/mma/lib")
TIMEOUT_SECONDS = 60

METER_SHARES = {4: 0.64, 3: 0.20, 6: 0.09, 2: 0.07}
"""How often each meter is played; most grooves are in four."""

CHORD_NAMES = {
    "maj": "", "min": "m", "7": "7", "maj7": "M7", "min7": "m7", "dim": "dim3", "aug": "aug", "sus4": "sus4",
}  # fmt: skip
"""Chord quality → what MMA writes behind the root."""

_SKIPPED = re.compile(r"intro|end|fill|break|metronome|none|fade|-44$", re.IGNORECASE)


@dataclass(frozen=True)
class Groove:
    """A groove by its full name (`stdlib/waltz:Waltz1`), with the meter that listeners tap.

    `library_beats` of MMA's beats make one of ours: three in most 6/8, where MMA counts eighths.
    """

    file: str
    name: str
    meter: int
    library_beats: int
    genres: tuple[str, ...]

    @property
    def beats_per_bar(self) -> int:
        return 2 if self.meter == 6 else self.meter

    @property
    def group(self) -> str:
        """All grooves of one file are of one style, and go to one split."""
        return f"mma/{self.file}"


def find_grooves(library: Path = LIBRARY) -> tuple[Groove, ...]:
    """Every usable groove of an installed library, in a fixed order."""
    paths = {file: library / f"{file}.mma" for file in sorted(GENRES_OF)}
    present = {file: path.read_text(errors="replace") for file, path in paths.items() if path.exists()}
    return tuple(groove for file, text in present.items() for groove in read_grooves(file, text))


def read_grooves(file: str, text: str) -> list[Groove]:
    """The grooves that one library file defines. `file` is `folder/name`, without `.mma`."""
    if file in EXCLUDED:
        return []
    grooves, time, signature, in_doc = [], "4", "", False
    for raw in text.splitlines():
        line = raw.split("//")[0].strip()
        lowered = line.lower()
        if in_doc or lowered.startswith("begin doc"):
            in_doc = lowered != "end"
        elif match := re.match(r"time\s+(\d+(?:/\d+)?)", lowered):
            time = match[1]
        elif match := re.match(r"timesig\s+(\d+)[\s/]+(\d+)", lowered):
            signature = f"{match[1]}/{match[2]}"
        elif (match := re.match(r"defgroove\s+(\S+)", line, re.IGNORECASE)) and not _SKIPPED.search(match[1]):
            meter = _meter(file, time, signature)
            if meter is not None:
                grooves.append(Groove(file, match[1], *meter, GENRES_OF.get(file, ())))
    return grooves


def _meter(file: str, time: str, signature: str) -> tuple[int, int] | None:
    """Meter, and library beats in one of its beats; `None` for meters that have no word here."""
    beats = int(time.split("/")[0])
    if file in TWO_FOUR:
        return (2, 2) if beats == 4 else None
    if file in SLOW_SIX_EIGHT:
        return 6, 2
    if beats == 6:
        return 6, 3
    if beats == 2 and signature == "6/8":
        return 6, 1
    return (beats, 1) if beats in (2, 3, 4) else None


@functools.cache
def _by_meter() -> dict[int, dict[str, list[Groove]]]:
    """Meter → file → grooves."""
    table: dict[int, dict[str, list[Groove]]] = {}
    for groove in find_grooves():
        table.setdefault(groove.meter, {}).setdefault(groove.file, []).append(groove)
    return table


def choose(rng: Random) -> Groove:
    """A groove: first the meter, then the genre, then the file, so that rare ones come often enough."""
    table = _by_meter()
    meters = [meter for meter in METER_SHARES if meter in table]
    files = table[rng.choices(meters, [METER_SHARES[m] for m in meters])[0]]
    genres = sorted({genre for file in files for genre in GENRES_OF[file]})
    # Nearly the same for every genre, whatever its files; less for those that other sources play.
    weights = [
        sum(genre in GENRES_OF[file] for file in files) ** 0.3 * (0.4 if genre in ("folk", "waltz") else 1.0)
        for genre in genres
    ]
    genre = rng.choices(genres, weights)[0]
    return rng.choice(files[rng.choice(sorted(f for f in files if genre in GENRES_OF[f]))])


def script(groove: Groove, harmony: Sequence[Harmony], bars: int, seed: int) -> str:
    """The MMA input file: one line a bar, a chord or `/` for each library beat."""
    slots = groove.beats_per_bar * groove.library_beats
    rows = [["/"] * slots for _ in range(bars)]
    for span in harmony:
        place = round(span.start * groove.library_beats)
        if place < bars * slots:
            rows[place // slots][place % slots] = PITCH_CLASSES[span.root] + CHORD_NAMES[span.quality]
    last, lines = "", []
    for number, row in enumerate(rows, start=1):
        row[0] = last if row[0] == "/" else row[0]
        last = next(chord for chord in reversed(row) if chord != "/")
        lines.append(f"{number} " + " ".join(row).rstrip(" /"))
    head = [f"RndSeed {seed}", "Tempo 120", f"Groove {groove.file}:{groove.name}"]
    return "\n".join([*head, *lines, ""])


def run(text: str) -> bytes:
    """The MIDI file that MMA makes of a script. Raises `Unusable` with MMA's own message."""
    with tempfile.TemporaryDirectory(prefix="llark-mma-") as folder:
        (Path(folder) / "song.mma").write_text(text)
        command = ["mma", "-f", "song.mid", "song.mma"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unusable("mma-too-slow", f"MMA took over {TIMEOUT_SECONDS} s") from error
        made = Path(folder) / "song.mid"
        if done.returncode or not made.exists():
            raise Unusable("mma-refused", " ".join((done.stdout + done.stderr).split())[-300:])
        return made.read_bytes()


def in_our_beats(parts: Sequence[Part], library_beats: int) -> tuple[Part, ...]:
    """Parts whose times count MMA's beats (MIDI quarters), in the beats of the meter."""
    return tuple(part.retimed(lambda time: time / library_beats) for part in parts)


def piece(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    """A groove played over a progression in a random key, at least `beats` long, often with a tune on top.

    Grooves for drums alone get bass and chords from our own patterns. Raises `Unusable` where MMA refuses.
    """
    groove = draw(lambda: choose(rng), lambda groove: admits(groove.group))
    bars = int(beats // groove.beats_per_bar) + 2
    key = random_key(rng)
    sevenths = rng.choice((0.2, 0.6, 1.0) if "jazz" in groove.genres else (0.0, 0.0, 0.0, 0.25, 0.8))
    harmony = harmonise(key, bars, groove.beats_per_bar, rng, sevenths)
    parts, _ = midi.read(run(script(groove, harmony, bars, rng.randrange(1 << 30))))
    if not parts:
        raise Unusable("mma-silent", f"the groove {groove.file}:{groove.name} plays nothing")
    band = [recast(part, rng) for part in in_our_beats(parts, groove.library_beats)]
    swing = bool({"jazz", "blues"} & set(groove.genres)) and groove.meter != 6 and rng.random() < 0.8
    if all(part.is_drums for part in band):
        band += accompany(_style_for(groove, rng), harmony, bars, rng, drums=False)
    if rng.random() < 0.7:
        word = some_lead(rng)
        tune = melody(harmony, key, groove.meter, word, rng, swing)
        band.append(Part("melody", some_program(word, rng), tune))
    return Piece(
        parts=tuple(band), length_beats=float(bars * groove.beats_per_bar), group=groove.group,
        meter=groove.meter, key=key, harmony=harmony, genres=groove.genres, licence=LICENCE,
        slowest_bpm=40.0 if groove.meter == 6 else 45.0, fastest_bpm={6: 150.0, 2: 170.0}.get(groove.meter,
        220.0), usual_bpm=style_tempi(groove.group, groove.genres),
        about={"style": groove.file, "groove": groove.name},
    )  # fmt: skip


def _style_for(groove: Groove, rng: Random) -> Style:
    fitting = [s for s in STYLES.values() if s.meter == groove.meter]
    same = [s for s in fitting if set(s.genres) & set(groove.genres)]
    return rng.choice(same or fitting)


# --- What the groove library of MMA sounds like: genre words and meter of each of its files.


TWO_FOUR = frozenset(
    {"stdlib/polka", "stdlib/march", "stdlib/bwmarch", "stdlib/dixiemarch"}
    | {"casio/germanmarch", "casio/march1", "casio/polka", "casio/poppolka"}
)
"""Files that count four to the bar for music that is written, and tapped, in 2/4: two of their beats are
one."""

SLOW_SIX_EIGHT = frozenset({"stdlib/ballad68"})
"""6/8 counted four to the bar: two of their beats are a dotted quarter."""

EXCLUDED = frozenset({"stdlib/afro-cuban", "stdlib/jazz-54", "stdlib/68swing"})
"""A 6/8 over 3/4 that is honestly both, five to the bar, and a swing that is written in 6/8 but counted in
four."""


def _genres() -> dict[str, tuple[str, ...]]:
    page = yaml.safe_load(Path(__file__).with_name("mma.yaml").read_text(encoding="utf-8"))
    words: dict[str, dict[str, None]] = {}
    for genre, folders in page.items():
        for folder, names in folders.items():
            for name in names.split():
                words.setdefault(f"{folder}/{name}", {})[genre] = None
    return {file: tuple(genres) for file, genres in words.items()}


GENRES_OF: Mapping[str, tuple[str, ...]] = _genres()
"""`folder/file` of the library (without `.mma`) → genre words. Files that are not named here are not used."""
