"""How fast embeddings are written and read, and what `mini` takes for a clip and for a long song.

    python benchmarks/embed.py [--clips 200] [--folder /somewhere/on/disk]
    python benchmarks/embed.py --onnx               # mini's networks in ONNX Runtime, too; see embed_onnx.py
    python benchmarks/embed.py --stream 1 5 20      # mini on songs of so many minutes: memory

The store holds `--clips` clips of 250 frames of width 4800 (2.4 MB each, Jukebox's). Every byte is touched.
Beside it, .npy files of the same arrays, as the published code keeps them. `cold`: the system has been told
to forget the files (posix_fadvise), and time is the wall's. All else is time of the processor, so that a busy
machine does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import embed_onnx
import numpy as np

SHAPE = (250, 4800)


def forget(folder: Path) -> None:
    """Asks the system to drop the files of a folder from its memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def megabytes_a_second(read: Callable[[], Iterable[np.ndarray]], clock: Callable[[], float]) -> float:
    began, total = clock(), 0
    for frames in read():
        total += frames.nbytes
        assert np.isfinite(float(frames.astype(np.float32).sum()))
    return total / 1e6 / (clock() - began)


def store_speed(folder: Path, clips: int) -> None:
    from llark.records import Clip, Embedding
    from llark.storage import stages
    from llark.storage.embeddings import Embeddings

    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=SHAPE).astype(np.float16) for _ in range(8)]
    ids = [f"clip {number}" for number in range(clips)]
    order = rng.permutation(clips)
    began = time.process_time()
    with stages.open_stage(folder / "shards", "embed") as writer:
        for number, id_ in enumerate(ids):
            clip = Clip(id_, id_, "x.wav", 0.0, 25.0)
            writer.write(
                id_, [Embedding.of_clip(clip, "x 1", arrays[number % 8], Fraction(10), Fraction(25))]
            )
        writer.finish()
    written = time.process_time() - began
    (folder / "npy").mkdir()
    began = time.process_time()
    for number, id_ in enumerate(ids):
        np.save(folder / "npy" / f"{id_}.npy", arrays[number % 8])
    os.sync()
    written_npy = time.process_time() - began
    total = clips * arrays[0].nbytes / 1e6
    print(f"{clips} clips of {SHAPE[0]} x {SHAPE[1]} float16, {total:.0f} MB; MB a second")
    print("| | write | in order, cold | in order, warm | at random, cold | at random, warm |")
    print("|---|---|---|---|---|---|")
    readers = {
        "shards": (total / written, lambda which: _from_shards(Embeddings(folder / "shards"), which)),
        "npy": (total / written_npy, lambda which: (np.load(folder / "npy" / f"{i}.npy") for i in which)),
    }
    for name, (write, reader) in readers.items():
        cells = [write]
        for which in (ids, [ids[i] for i in order]):
            forget(folder)
            for clock in (time.perf_counter, time.process_time):
                cells.append(megabytes_a_second(lambda w=which, r=reader: r(w), clock))
        print(f"| {name} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")


def _from_shards(shards: object, which: list[str]) -> Iterable[np.ndarray]:
    return (shards[id_].frames for id_ in which)  # type: ignore[index]


def song(seconds: float, rate: int = 22_050) -> np.ndarray:
    """A tone, and a burst of noise every half second."""
    time_ = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(1)
    bursts = 0.1 * rng.normal(size=len(time_)) * (time_ % 0.5 < 0.05)
    return (0.2 * np.sin(2 * np.pi * 220 * time_) + bursts).astype(np.float32)


def mini_speed(rounds: int, onnx: bool) -> None:
    import torch

    from llark.embed import load
    from llark.embed.encoder import Device, EncoderOptions, Sound

    torch.set_num_threads(1)
    samples = song(30.0)
    listen = load(EncoderOptions("mini", rate="native"), Device())
    listen([Sound(samples[:22_050], 22_050)])

    def whole() -> None:
        listen([Sound(samples, 22_050)])

    if onnx:
        embed_onnx.compare(samples, 22_050, rounds, whole)
        return
    median = statistics.median(embed_onnx.seconds(whole) for _ in range(rounds))
    print(f"mini: {median:.2f} s of one core for 30 s, the median of {rounds}")


def streaming(minutes: list[float]) -> None:
    """Prints the peak memory of a process that hears a song of so many minutes as `llark embed` does."""
    print("| song | samples MB | frames MB | CPU s | peak MB | peak MB, samples held |")
    print("|---|---|---|---|---|---|")
    for one in minutes:
        rows = [_in_own_process("--hear", str(one), *held) for held in ([], ["--held"])]
        samples, frames, seconds, peak = rows[0]
        print(
            f"| {one:g} min | {samples / 1e6:.0f} | {frames / 1e6:.0f} | {seconds:.1f} | {peak / 1e6:.0f} | "
            f"{rows[1][3] / 1e6:.0f} |"
        )


def _in_own_process(*words: str) -> list[float]:
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    numbers: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return numbers


def hear(minutes: float, held: bool) -> None:
    """In a process of its own: bytes of samples and frames, CPU seconds and peak memory, as JSON."""
    from llark import audio
    from llark.embed import load, step
    from llark.embed.encoder import Device, EncoderOptions
    from llark.records import Clip
    from llark.storage import stages
    from llark.storage.embeddings import Embeddings

    step.LONG_SECONDS = 1e9 if held else step.LONG_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.wav"
        _write_song(path, minutes)
        seconds = audio.probe(path).duration_seconds
        clip = Clip("song@0", "song", str(path), 0.0, seconds)
        listen = load(EncoderOptions("mini", rate="native"), Device(batch=1))
        began = time.process_time()
        with stages.open_stage(Path(folder) / "out", "embed") as writer:
            for outcome in step.outcomes(listen, [clip], (), 1):
                writer.write(outcome.clip.id, outcome.outputs)
            writer.finish()
        spent = time.process_time() - began
        shape = Embeddings(Path(folder) / "out").shape("song@0")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([seconds * 44_100 * 4, shape[0] * shape[1] * 2, spent, peak]))


def _write_song(path: Path, minutes: float) -> None:
    """At 44.1 kHz, a minute at a time, so that writing it takes no memory that is counted."""
    import soundfile

    minute = song(60.0, 44_100)
    with soundfile.SoundFile(path, "w", 44_100, 1, "PCM_16") as file:
        for at in range(0, round(minutes * 60), 60):
            file.write(minute[: round(min(60.0, minutes * 60 - at) * 44_100)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--onnx", action="store_true", help="mini's networks in PyTorch and in ONNX Runtime")
    parser.add_argument("--stream", type=float, nargs="+", metavar="MINUTES", help="mini on long songs")
    parser.add_argument("--hear", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--held", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.hear:
        hear(args.hear, args.held)
    elif args.stream:
        streaming(args.stream)
    elif args.onnx:
        mini_speed(args.rounds, onnx=True)
    else:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            store_speed(Path(folder), args.clips)
        mini_speed(args.rounds, onnx=False)


if __name__ == "__main__":
    main()
