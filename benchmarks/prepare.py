"""Clips a second and core: `llark prepare` beside whole-file decoding with librosa, and how memory grows.

`python benchmarks/prepare.py [--tracks 500] [--runs 5] [--librosa PYTHON]`. Makes real mp3, ogg and flac
tracks of 60 to 240 s in build/bench-prepare (kept for the next time), crops each to the published 30 s and
prints a Markdown table. `--librosa` names a Python that has librosa, numpy and scipy; without one that row
is left out.

The other side does the published way's work: a whole file through `librosa.load` (44,100 Hz, mono), 30 s of
it written as a float WAV. Ours is measured twice: as clips that copy nothing, and with `--convert wav` at the
same rate. Each run is a process of its own with one thread; a core's seconds are user and system time
together, imports left out on both sides. The sides take turns, and the order turns round in every run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np

FOLDER = Path("build/bench-prepare")
RATES = (44_100, 48_000, 44_100, 22_050)
SUFFIXES = (".mp3", ".ogg", ".mp3", ".ogg", ".mp3", ".flac", ".mp3", ".ogg", ".mp3", ".mp3")
PIECE_SECONDS = 60

OURS = """
import json, sys, time
from pathlib import Path
from llark.prepare import crop, stage, datasets
datasets.load("folder")
import mutagen, pydantic, fsspec, soundfile
source, out, convert, limit = sys.argv[1:5]
settings = stage.PrepareConfig(
    source, crop=crop.named("published"), convert=convert or None, sample_rate=44100 if convert else None,
    limit=int(limit),
)
began, used = time.perf_counter(), time.process_time()
found = stage.run(settings, out, progress=False)
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"clips": found.whole.clips, "wall": time.perf_counter() - began,
    "core": time.process_time() - used, "peak_mb": peak}))
"""

THEIRS = """
import json, os, sys, time
from pathlib import Path
import librosa, numpy as np, scipy.io.wavfile, soundfile, soxr
source, out, _, limit = sys.argv[1:5]
os.makedirs(out)
paths = sorted(p for p in Path(source).rglob("*") if p.suffix in (".mp3", ".ogg", ".flac"))[: int(limit)]
librosa.resample(np.zeros(48000, np.float32), orig_sr=48000, target_sr=44100)
rng = np.random.default_rng(0)
began, used = time.perf_counter(), time.process_time()
for path in paths:
    samples, rate = librosa.load(path, sr=44100)
    start = 0 if len(samples) < 60 * rate or rng.uniform() < 0.2 else 30 * rate
    scipy.io.wavfile.write(f"{out}/{path.stem}.wav", rate, samples[start : start + 30 * rate])
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"clips": len(paths), "wall": time.perf_counter() - began,
    "core": time.process_time() - used, "peak_mb": peak}))
"""


def music(seconds: float, rate: int, name: str) -> np.ndarray:
    """float32 [samples, 2]: chords, a bass, noise on the beats and a slow swell, all from the name."""
    rng, notes = Random(name), (0, 3, 5, 7, 10)
    count = round(seconds * rate)
    time = np.arange(count, dtype=np.float32) / rate
    beat = 60 / rng.uniform(70, 170)
    bars = np.minimum((time / (4 * beat)).astype(int), 10_000)
    roots = np.array([notes[rng.randrange(5)] for _ in range(10_001)], np.float32)[bars]
    pitch = 110 * rng.uniform(0.8, 1.6) * 2 ** (roots / 12)
    phase = 2 * math.pi * np.cumsum(pitch / rate, dtype=np.float64)
    left = sum(np.sin(phase * ratio) / (k + 2) for k, ratio in enumerate((0.5, 1, 1.25, 1.5, 2, 3, 4.02)))
    right = sum(np.sin(phase * ratio + 1) / (k + 2) for k, ratio in enumerate((0.5, 1, 1.2, 1.5, 2.01, 3)))
    noise = np.random.default_rng(rng.getrandbits(32)).normal(size=count).astype(np.float32)
    drums = noise * np.exp(-12 * (time % beat)) * 0.6
    swell = 0.75 + 0.25 * np.sin(time / rng.uniform(3, 9))
    return (0.22 * np.stack([left + drums, right + drums], axis=1) * swell[:, None]).astype(np.float32)


def make_tracks(folder: Path, number: int) -> None:
    """So many stereo files of 60 to 240 s; those that are there are kept.

    Encoding 500 would take an hour: four pieces are encoded in each format, and a track is one of them (of
    mp3 a minute, over and over), cut between two packets. One in ten is flac, encoded. Each decodes like any.
    """
    from llark import audio

    folder.mkdir(parents=True, exist_ok=True)
    pieces: dict[int, np.ndarray] = {}
    for index in range(number):
        path = folder / f"track-{index:03d}{SUFFIXES[index % len(SUFFIXES)]}"
        seconds, kind = 60 + 180 * Random(index).random(), index // len(SUFFIXES) % len(RATES)
        whole = FOLDER / "whole" / f"{kind}{path.suffix}"
        if path.exists():
            continue
        if path.suffix == ".flac" or not whole.exists():
            pieces.setdefault(kind, music(PIECE_SECONDS, RATES[kind], f"piece {kind}"))
        if path.suffix == ".flac":
            samples = np.tile(pieces[kind], (4, 1))[: round(seconds * RATES[kind])]
            audio.save(path, samples, RATES[kind])
            continue
        if not whole.exists():
            whole.parent.mkdir(exist_ok=True)
            audio.save(whole, np.tile(pieces[kind], (1 if path.suffix == ".mp3" else 4, 1)), RATES[kind])
        cut(whole, path, seconds)


def cut(whole: Path, path: Path, seconds: float) -> None:
    """So many seconds of an encoded file, over and over, without encoding it again."""
    import av

    temporary = path.with_stem(f"unfinished-{path.stem}")
    with av.open(str(temporary), "w") as written:
        stream, begins, last, enough = None, 0, -(1 << 62), False
        while not enough:
            with av.open(str(whole)) as source:
                stream = stream or written.add_stream_from_template(source.streams.audio[0])
                ends = begins
                for packet in source.demux(audio=0):
                    if packet.pts is None:
                        continue
                    last = packet.pts = packet.dts = max(packet.pts + begins, last + 1)
                    ends, packet.stream = packet.pts + packet.duration, stream
                    if enough := packet.pts * packet.time_base > seconds:
                        break
                    written.mux(packet)
                begins = ends
    temporary.rename(path)


def make_long_file(path: Path) -> None:
    """Two hours of mp3: a minute, over and over."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        cut(FOLDER / "whole" / "0.mp3", path, 7200)


def measure(python: str, program: str, source: Path, convert: str, limit: int) -> dict[str, float]:
    """One run in a new process with one thread."""
    out = FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    alone = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    done = subprocess.run(
        [python, "-c", program, str(source), str(out), convert, str(limit)],
        env=os.environ | alone,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(out, ignore_errors=True)
    if done.returncode:
        sys.exit(done.stderr)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def has_librosa(python: str) -> bool:
    return subprocess.run([python, "-c", "import librosa, scipy"], capture_output=True).returncode == 0


def speed(source: Path, tracks: int, runs: int, librosa: str) -> None:
    """Prints clips a second and core, medians over the runs, and the ratios."""
    ours = {
        "ours, nothing copied": (sys.executable, OURS, ""),
        "ours, 30 s WAV": (sys.executable, OURS, "wav"),
    }
    theirs = {"librosa.load + 30 s WAV": (librosa, THEIRS, "")} if has_librosa(librosa) else {}
    sides = {**ours, **theirs}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for run in range(runs):
        for name in list(sides) if run % 2 else reversed(list(sides)):
            python, program, convert = sides[name]
            row = measure(python, program, source, convert, tracks)
            print(f"run {run + 1}, {name}: {row['core']:.1f} s of a core", file=sys.stderr)
            rows[name].append(row)
    print(f"{tracks} tracks of 60 to 240 s, mp3, ogg and flac; medians of {runs} runs in alternating order\n")
    print("| | clips/s/core | range | wall s | peak MB |\n|---|---|---|---|---|")
    median = {}
    for name, found in rows.items():
        each = [row["clips"] / row["core"] for row in found]
        median[name] = statistics.median(each)
        wall, peak = (statistics.median(row[what] for row in found) for what in ("wall", "peak_mb"))
        print(f"| {name} | {median[name]:.1f} | {min(each):.1f}–{max(each):.1f} | {wall:.1f} | {peak:.0f} |")
    if not theirs:
        print(f"\nThe other side was left out: {librosa} has no librosa; --librosa names a Python that has.")
        return
    base = median["librosa.load + 30 s WAV"]
    print("\n" + "; ".join(f"{name}: {median[name] / base:.1f}× librosa" for name in ours))


def memory(source: Path, tracks: int) -> None:
    """Prints the peak of the process for few tracks, many, and one of two hours."""
    few = max(1, tracks // 10)
    make_long_file(FOLDER / "long" / "two-hours.mp3")
    print("\n| peak MB | nothing copied | WAV |\n|---|---|---|")
    for name, folder, limit in (
        (f"{few} tracks", source, few),
        (f"{tracks} tracks", source, tracks),
        ("one of 2 h", FOLDER / "long", 1),
    ):
        peaks = [measure(sys.executable, OURS, folder, convert, limit)["peak_mb"] for convert in ("", "wav")]
        print(f"| {name} | {peaks[0]:.0f} | {peaks[1]:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tracks", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--librosa", default=sys.executable, help="a Python that has librosa")
    options = parser.parse_args()
    source = FOLDER / "music"
    make_tracks(source, options.tracks)
    speed(source, options.tracks, options.runs, options.librosa)
    memory(source, options.tracks)


if __name__ == "__main__":
    main()
