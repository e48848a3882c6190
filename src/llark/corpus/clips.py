"""Renders the open corpus: a folder of clips with the truth beside each."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from llark import engine
from llark.audio import save
from llark.corpus import abc, builtin, groove_midi, grooves, mma, read_sidecar, scores, songs
from llark.corpus.audible import truth
from llark.corpus.piece import Piece, Unusable, music21_corpus, some_sway
from llark.corpus.songs import catalogue
from llark.corpus.synth import SAMPLE_RATE, Fluid, Portable, Synth, finish_mix
from llark.corpus.take import choose, clip_seconds, mix, perform, reduced
from llark.errors import BadAudio, UserMustAct
from llark.records import Track, to_dict
from llark.storage import stages

VERSION = 5
"""Raised whenever the same seed would give other clips."""

SOURCES = {"mma": 60, "music21": 28, "freedoom": 12, "builtin": 10}
"""Source → its share among those that are asked for."""

EXTRA_SOURCES = {"tunes": 10, "grooves": 10, "midi": 10, "groove_midi": 10}
"""Those that are rendered only where asked for: folk tunes without accompaniment, made-up rhythms, the
songs of a folder of MIDI files, the drummers of the Groove MIDI Dataset."""

RENDERERS = ("fluidsynth", "midirenderer")
SPLIT_CYCLE = "TTHTTTVTTTHTTTVTTTHTTTTTT"
"""Of every 25 clips 20 are for training, 2 for validation and 3 held out."""
SPLITS = {"T": "train", "V": "validation", "H": "test"}

TRAINING_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
HELD_OUT_FONT = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
PACKAGES = {
    "mma": ("mma",),
    "freedoom": ("freedoom",),
    "fluidsynth": ("fluidsynth", "fluid-soundfont-gm", "musescore-general-soundfont-small"),
}
"""What needs which Debian packages."""

ATTEMPTS = 6
"""Pieces tried for one clip before it is given up."""

CLIP_TIMEOUT_SECONDS = 240.0

SONGS = "songs.json"
"""Which files of a folder are songs, beside the clips that were drawn from them."""

MakesPiece = Callable[[Random, float, Callable[[str], bool]], Piece]


@dataclass(frozen=True)
class ClipOrder:
    """One clip to make. Everything in it follows from `seed` and `index`."""

    id: str
    seed: int
    index: int
    source: str
    split: str


def plan(clips: int, seed: int, sources: Sequence[str]) -> Iterator[ClipOrder]:
    """The orders of a corpus, in index order. More clips never change the ones before."""
    shares = SOURCES | EXTRA_SOURCES
    weights = [shares[name] for name in sources]
    for index in range(clips):
        source = Random(f"{seed}:{index}:source").choices(list(sources), weights)[0]
        split = SPLITS[SPLIT_CYCLE[index % len(SPLIT_CYCLE)]]
        yield ClipOrder(f"{source}-{seed}-{index:05d}", seed, index, source, split)


def split_of(group: str) -> str:
    """The split that a piece or style belongs to: 80, 8 and 12 in a hundred, by a hash of its name."""
    place = int.from_bytes(hashlib.sha256(f"split:{group}".encode()).digest()[:4], "big") % 100
    return "train" if place < 80 else "validation" if place < 88 else "test"


@dataclass
class Render:
    """The step: an `Order` becomes `audio/ID.ogg` and, once that is whole, `audio/ID.json`, in `folder`.

    A clip whose JSON is there is not made again. Held-out clips are played with a sound font that no other
    clip uses; the portable renderer knows one font only.
    """

    folder: Path
    renderer: str = "fluidsynth"
    own: Mapping[str, MakesPiece] = field(default_factory=dict)
    """The sources that draw from a folder of the user's."""
    name: str = "corpus"

    def id_of(self, order: ClipOrder) -> str:
        return order.id

    def open(self) -> None:
        """Loads the sound fonts. Raises `UserMustAct` where one is missing."""
        if self.renderer == "midirenderer":
            portable = Portable()
            self._synths: dict[str, Synth] = dict.fromkeys(SPLITS.values(), portable)
        else:
            train = Fluid(TRAINING_FONT)
            self._synths = {"train": train, "validation": train, "test": Fluid(HELD_OUT_FONT)}

    def __call__(self, record: ClipOrder) -> Iterable[object]:
        """The track, once its files are in place. Raises `BadAudio` when no piece could be made for it."""
        sidecar = self.folder / "audio" / f"{record.id}.json"
        if not sidecar.exists():
            _write(sidecar, *self._made(record))
        track, _ = read_sidecar(sidecar)
        return (track,)

    def _made(self, order: ClipOrder) -> tuple[np.ndarray, dict[str, Any]]:
        trouble: list[Unusable] = []
        for attempt in range(ATTEMPTS):
            try:
                return make(order, attempt, self._synths[order.split], self.own)
            except Unusable as error:
                trouble.append(error)
        raise BadAudio(trouble[-1].reason, trouble[-1].detail) from trouble[-1]


def make(
    order: ClipOrder, attempt: int, synth: Synth, own: Mapping[str, MakesPiece] | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """[samples] float32 and the sidecar of one clip. Raises `Unusable`; another attempt draws another
    piece."""
    seed = f"{order.seed}:{order.index}:{attempt}"
    seconds = clip_seconds(Random(f"{seed}:seconds"))
    fastest = seconds * 220 / 60
    made = (MAKERS | dict(own or {}))[order.source]
    piece = made(Random(f"{seed}:piece"), fastest, lambda group: split_of(group) == order.split)
    piece = reduced(piece, Random(f"{seed}:reduced"))
    take = replace(choose(piece, seconds, Random(f"{seed}:take")), sway=some_sway(Random(f"{seed}:sway")))
    parts = perform(take, Random(f"{seed}:perform"))
    dry, words = mix(parts, take.seconds, synth, Random(f"{seed}:mix"))
    digest = hashlib.sha256(f"{seed}:effects".encode()).digest()
    audio = finish_mix(dry, np.random.default_rng(list(digest)))
    facts = truth(piece, order.id, take.timing, take.seconds, words)
    track = Track(
        id=order.id, path=f"{order.id}.ogg", dataset=f"corpus-{order.source}", split=order.split,
        licence=piece.licence, title=piece.title, artist=piece.artist, duration_seconds=take.seconds,
        group=piece.group,
    )  # fmt: skip
    sidecar = {"track": to_dict(track), "truth": to_dict(facts), "split": order.split, "source": order.source}
    return audio, {**sidecar, **piece.about, "group": piece.group, "soundfont": synth.name}


def _notated(rng: Random, beats: float, admits: Callable[[str], bool]) -> Piece:
    return (abc.piece if rng.random() < 0.68 else scores.piece)(rng, beats, admits)


MAKERS: dict[str, MakesPiece] = {
    "mma": mma.piece, "music21": _notated, "freedoom": songs.piece, "builtin": builtin.piece,
    "tunes": abc.alone, "grooves": grooves.piece,
}  # fmt: skip
"""The sources that need no folder."""


def _write(sidecar: Path, samples: np.ndarray, facts: dict[str, Any]) -> None:
    """Both files, each under a temporary name first, the JSON last."""
    sidecar.parent.mkdir(parents=True, exist_ok=True)
    sound, page = sidecar.with_suffix(".part.ogg"), sidecar.with_suffix(".json.tmp")
    save(sound, samples, SAMPLE_RATE)
    os.replace(sound, sidecar.with_suffix(".ogg"))
    page.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(page, sidecar)


def render(
    folder: str | Path,
    *,
    clips: int,
    seed: int,
    sources: Sequence[str] | None = None,
    workers: int = 2,
    renderer: str = "fluidsynth",
    midi: str | Path | None = None,
    groove_midi_folder: str | Path | None = None,
    progress: bool = True,
) -> engine.Tally:
    """Renders `clips` clips of 8 to 25 s (mono, 22,050 Hz, Ogg Vorbis) with the truth beside each.

    `folder/audio/ID.ogg` and `folder/audio/ID.json`, which holds `track` and `truth` (the fields of
    `records.Track` and `records.Annotation`), `split`, `source`, `style` or `piece`, `group` and `soundfont`.
    Run again, it goes on where it stopped. Clips that cannot be made are in `folder/dropped.jsonl`, with the
    reason. The path in `track` is the name of the file beside; `read` makes it whole.

    Args:
        clips: How many, all splits together.
        seed: The same seed, sources and renderer give the same samples and truth, whatever the number
            of workers; only the serial number in the Ogg stream is drawn anew.
        sources: Any of `SOURCES` and `EXTRA_SOURCES`; all of the former by default, `midi` or `groove_midi`
            alone where their folder is given. `builtin`, `grooves` and these need no Debian package.
        workers: Local processes; 0 works in this one.
        renderer: `fluidsynth`: training and validation clips with FluidR3 GM (MIT), held-out clips with
            MuseScore General (MIT), a sound font that training never uses. `midirenderer`: TimGM6mb for
            all of them.
        midi: A folder of MIDI files for the source `midi`. Those of one tempo, at most one meter (2/4, 3/4
            or 4/4) and notes on the beat's grid are songs; which they are is kept in `folder`/songs.json.
        groove_midi_folder: The folder of the Groove MIDI Dataset for the source `groove_midi`.

    Raises:
        UserMustAct: A Debian package is missing, a source or renderer has no such name, no MIDI file is a
            song, or a folder is not what it should be.
        StoreMismatch: The folder holds a corpus made otherwise.
    """
    folders = {"midi": midi, "groove_midi": groove_midi_folder}
    chosen = tuple(sources or [name for name, given in folders.items() if given is not None] or SOURCES)
    _refuse_unknown(chosen, renderer)
    require_packages(chosen, renderer)
    _refuse_lone("midi" in chosen, midi, "source midi and a folder of MIDI files (--midi)")
    both = "source groove_midi and the folder of the Groove MIDI Dataset (--groove-midi)"
    _refuse_lone("groove_midi" in chosen, groove_midi_folder, both)
    own: dict[str, MakesPiece] = {}
    config = {"version": VERSION, "clips": clips, "seed": seed, "sources": list(chosen), "renderer": renderer}
    if midi is not None:  # its songs that are Freedoom's are in the split that they have there
        own_songs = catalogue(Path(midi).absolute(), Path(folder) / SONGS, songs.songs())
        own["midi"], config["midi"] = own_songs.piece, _digest(own_songs.groups)
    if groove_midi_folder is not None:
        players = groove_midi.drummers(Path(groove_midi_folder).absolute())
        own["groove_midi"], config["groove_midi"] = players.piece, _digest(players.performances)
    writer = stages.open_stage(folder, "corpus", config, flush_seconds=30.0)
    if midi is not None:
        own_songs.keep(Path(folder) / SONGS)
    timeout = CLIP_TIMEOUT_SECONDS if workers else None
    return engine.run(
        Render(Path(folder), renderer, own), plan(clips, seed, chosen), writer, workers=workers,
        timeout_seconds=timeout, total=clips, progress=progress,
    )  # fmt: skip


def _refuse_unknown(sources: Sequence[str], renderer: str) -> None:
    known = {"source": (*SOURCES, *EXTRA_SOURCES), "renderer": RENDERERS}
    for what, name in [*(("source", source) for source in sources), ("renderer", renderer)]:
        if name not in known[what]:
            raise UserMustAct(f"There is no {what} {name!r}; choose from {', '.join(known[what])}.")


def _digest(items: object) -> str:
    return hashlib.sha256(repr(items).encode()).hexdigest()[:16]


def _refuse_lone(named: bool, folder: str | Path | None, both: str) -> None:
    if named != (folder is not None):
        raise UserMustAct(f"The {both} go together: give both.")
    if folder is not None and not Path(folder).is_dir():
        raise UserMustAct(f"{folder} is no folder.")


def require_packages(sources: Sequence[str], renderer: str) -> None:
    """Raises `UserMustAct` naming every Debian package that is missing, and what works without."""
    present = {
        "mma": shutil.which("mma") is not None and mma.LIBRARY.is_dir(),
        "freedoom": any((songs.FOLDER / wad).exists() for wad in songs.WADS),
        "fluidsynth": shutil.which("fluidsynth") is not None,
        "fluid-soundfont-gm": TRAINING_FONT.exists(),
        "musescore-general-soundfont-small": HELD_OUT_FONT.exists(),
    }
    if {"music21", "tunes"} & set(sources):
        music21_corpus()
    needed = [package for need in (*sources, renderer) for package in PACKAGES.get(need, ())]
    missing = [package for package in needed if not present[package]]
    if missing:
        raise UserMustAct(
            f"The open corpus needs Debian packages that are missing: apt-get install {' '.join(missing)}. "
            "Without them: sources builtin (and music21), renderer midirenderer."
        )
