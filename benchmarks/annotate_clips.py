"""Clips of known truth for `benchmarks/annotate.py`: those of a corpus as they are, and others made harder.

A corpus's held-out clips fall under conditions by what their truth says (meter, tempo, mode, swing, …). Some
of them are also damaged here: noise, reverberation, mp3, detuning, a fade. What is done to a clip is drawn by
its id and the condition, so that every run makes the same samples.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llark import audio, corpus
from llark.corpus import synth
from llark.corpus.builtin import STYLES
from llark.corpus.synth import SAMPLE_RATE
from llark.records import Annotation, Beats, Chords, Tempo, Track, from_json, to_dict

HELD_OUT = "held-out clips"
TEMPO_BANDS = ((45, 70), (70, 100), (100, 140), (140, 180), (180, 221))
MP3_BITS_A_SECOND = 64_000
MP3_RATE = 44_100
DETUNED_CENTS = 40.0
SWAY_FROM = 0.015
"""A held-out clip whose beats go this far from even, as a share, counts as rubato, too."""
OFF_BAR_SHARE = 0.3
"""A clip whose chords change off the bar line this often counts as such."""
LEAST_MEMBERS = 5
"""Conditions of fewer clips are not printed."""

_SWINGS = re.compile("swing|shuffle|jazz|blues|bebop|bigband|dixieland|foxtrot|quickstep|charleston|boggie")
_NO_SWING = re.compile("jazzrock|jazzbossa|blues68|blues128|jazzrhumba|zoom/jazz04")


@dataclass(frozen=True)
class Case:
    """One clip to annotate, `path` from `start_seconds` to `end_seconds`, with its truth in seconds of that.

    `conditions` are the rows that it counts for; `group` is the piece or style that it comes from.
    """

    id: str
    path: str
    truth: Annotation
    group: str
    conditions: tuple[str, ...]
    start_seconds: float = 0.0
    end_seconds: float | None = None


def held_out(folder: Path) -> list[Case]:
    """The test clips of a corpus, in an order that its ids' hash gives: a share of them is a fair one."""
    tests = [(track, truth) for track, truth in corpus.read(folder) if track.split == "test"]
    cases = [
        Case(track.id, track.path, truth, track.group, (HELD_OUT, *conditions_of(track, truth)))
        for track, truth in tests
    ]
    return sorted(cases, key=lambda case: order_of(case.id))


def conditions_of(track: Track, truth: Annotation) -> Iterator[str]:
    """The rows that a clip belongs to by its truth."""
    words, key, bpm = truth.instruments.labels, truth.key.name or "", truth.tempo.bpm
    if track.group.startswith("abc/") and not truth.chords.spans and len(words) <= 2:
        yield "solo melodies"
    if words == ("drums",):
        yield "drums only"
    if truth.meter.beats_per_bar:
        yield {2: "2/4", 3: "3/4", 4: "4/4", 6: "6/8"}[truth.meter.beats_per_bar]
    if swings(track.group) and truth.meter.beats_per_bar != 6:
        yield "swing"
    if uneven(truth.beats) >= SWAY_FROM:
        yield "rubato ±3 %"
    for low, high in TEMPO_BANDS:
        if bpm and low <= bpm < high:
            yield f"tempo {low}–{high - (high == 221)}"
    if off_bar_share(truth) >= OFF_BAR_SHARE:
        yield "chords off the bar line"
    if key.endswith("minor"):
        yield "minor keys"


def swings(group: str) -> bool:
    """Whether the style swings: our own say so, the library's by their names."""
    folder, _, name = group.partition("/")
    if folder == "builtin":
        style = STYLES.get(name.rpartition(" ")[0])
        return style is not None and style.swing
    return bool(folder == "mma" and _SWINGS.search(name) and not _NO_SWING.search(name))


def uneven(beats: Beats) -> float:
    """How far the longest beat is from the shortest, halved, as a share of their mean."""
    steps = np.diff(beats.times_seconds)[1:-1]
    return float(np.ptp(steps) / 2 / steps.mean()) if len(steps) > 3 else 0.0


def off_bar_share(truth: Annotation) -> float:
    """The share of chord changes that fall on no downbeat; 0 where bars or changes are unknown."""
    downbeats = np.array(truth.beats.downbeats_seconds)
    changes = np.array([span.start_seconds for span in truth.chords.spans[1:]])
    if not len(downbeats) or not len(changes):
        return 0.0
    apart = np.abs(changes[:, None] - downbeats[None, :]).min(axis=1)
    return float((apart > 0.06).mean())


# --- made harder ------------------------------------------------------------------------------------------


def _noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return samples + synth.noise(samples, rng.uniform(5, 15), rng)


def _reverb(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return synth.room(samples, rng.uniform(1.8, 3.0), rng.uniform(-9, -3), rng)


def _fade(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """From 40 dB less to full over half of the clip, or the other way round."""
    count = len(samples) // 2
    ramp = np.ones(len(samples))
    ramp[:count] = 10 ** (-2 * (1 - np.arange(count) / max(count, 1)))
    return samples * (ramp if rng.random() < 0.5 else ramp[::-1])


def _detuned(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Played faster or slower by as much as `detuning` says."""
    return audio.resample(samples.astype(np.float32), round(SAMPLE_RATE * detuning(rng)), SAMPLE_RATE)


def detuning(rng: np.random.Generator) -> float:
    """How many times as fast: 40 cents up or down."""
    return float(2 ** ((DETUNED_CENTS if rng.random() < 0.5 else -DETUNED_CENTS) / 1200))


def _as_it_is(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return samples


DAMAGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise 5–15 dB": _noise,
    "reverb 2–3 s": _reverb,
    "mp3 64 kbit/s": _as_it_is,
    "detuned ±40 cents": _detuned,
    "fades": _fade,
}


def damaged(cases: Sequence[Case], condition: str, folder: Path) -> Iterator[Case]:
    """The cases under one of `DAMAGES`, as files in `folder`; a file that is there is not made again."""
    slug = re.sub(r"[^a-z0-9]+", "-", condition.lower()).strip("-")
    target = folder / slug
    target.mkdir(parents=True, exist_ok=True)
    for case in cases:
        new_id = f"{slug}.{case.id}"
        suffix = ".mp3" if condition.startswith("mp3") else ".flac"
        path = target / f"{case.id}{suffix}"
        if not path.exists():
            samples, rate = audio.load(case.path, sample_rate=SAMPLE_RATE)
            changed = DAMAGES[condition](samples.astype(np.float64), _draw(condition, case.id))
            _write(path, (changed / max(1.0, np.abs(changed).max() / 0.98)).astype(np.float32), rate)
        truth = case.truth
        if condition.startswith("detuned"):
            truth = faster(truth, round(SAMPLE_RATE * detuning(_draw(condition, case.id))) / SAMPLE_RATE)
        yield Case(new_id, str(path), replace(truth, clip_id=new_id), case.group, (condition,))


def _draw(condition: str, id_: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(f"{condition}:{id_}".encode()).digest()))


def order_of(id_: str) -> str:
    """What held-out clips are sorted by, so that the first of them are a fair sample."""
    return hashlib.sha256(f"benchmark:{id_}".encode()).hexdigest()


def faster(truth: Annotation, times: float) -> Annotation:
    """The truth of a clip that is played `times` as fast."""
    spans = tuple(
        replace(span, start_seconds=span.start_seconds / times, end_seconds=span.end_seconds / times)
        for span in truth.chords.spans
    )
    return replace(
        truth,
        end_seconds=truth.end_seconds / times,
        tempo=Tempo(truth.tempo.bpm * times, 1.0, truth.tempo.source) if truth.tempo.bpm else Tempo(),
        beats=replace(truth.beats, times_seconds=tuple(t / times for t in truth.beats.times_seconds)),
        chords=replace(truth.chords, spans=spans) if spans else Chords(),
    )


def _write(path: Path, samples: np.ndarray, rate: int) -> None:
    scratch = path.with_name(f"unfinished-{path.name}")
    if path.suffix == ".mp3":
        write_mp3(scratch, samples, rate)
    else:
        audio.save(scratch, samples, rate)
    scratch.replace(path)


def write_mp3(path: Path, samples: np.ndarray, rate: int) -> None:
    """Stereo with two equal channels at 44.1 kHz and 64 kbit/s, by LAME."""
    import av

    heard = audio.resample(samples, rate, MP3_RATE)
    both = np.ascontiguousarray(np.repeat(np.clip(heard, -1, 1)[None], 2, axis=0), np.float32)
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=MP3_RATE, layout="stereo")
        stream.bit_rate = MP3_BITS_A_SECOND
        size = 1152
        for start in range(0, both.shape[1], size):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(both[:, start : start + size]), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = MP3_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


# --- files with their truth beside ------------------------------------------------------------------------


def write_sidecar(path: Path, truth: Annotation, group: str, more: dict[str, Any]) -> None:
    """`path`.json beside a clip that has been written; the JSON is the last thing there."""
    scratch = path.with_suffix(".json.tmp")
    page = {"truth": to_dict(truth), "group": group, **more}
    scratch.write_text(json.dumps(page, ensure_ascii=False) + "\n", encoding="utf-8")
    scratch.replace(path.with_suffix(".json"))


def read_sidecar(path: Path, condition: str) -> Case:
    """The case that `write_sidecar` wrote beside the clip at `path`."""
    page = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    truth = from_json(Annotation, json.dumps(page["truth"]))
    return Case(truth.clip_id, str(path), truth, page["group"], (condition,))
