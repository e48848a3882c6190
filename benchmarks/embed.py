"""How fast embeddings are written and read, and what `mini` takes for a clip.

    python benchmarks/embed.py [--clips 200] [--folder /somewhere/on/disk]

The store holds `--clips` clips of 250 frames of width 4800 (2.4 MB each, Jukebox's). Every byte is touched.
Beside it, .npy files of the same arrays, as the published code keeps them. `cold`: the system has been told
to forget the files (posix_fadvise), and time is the wall's. All else is time of the processor, so that a busy
machine does not count.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

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
    from llark import store
    from llark.embed.shards import Shards, placed
    from llark.records import Clip

    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=SHAPE).astype(np.float16) for _ in range(8)]
    ids = [f"clip {number}" for number in range(clips)]
    order = rng.permutation(clips)
    began = time.process_time()
    with store.open_stage(folder / "shards", "embed") as writer:
        for number, id_ in enumerate(ids):
            clip = Clip(id_, id_, "x.wav", 0.0, 25.0)
            writer.write(id_, [placed(clip, "x 1", arrays[number % 8], Fraction(10), Fraction(25))])
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
        "shards": (total / written, lambda which: _from_shards(Shards(folder / "shards"), which)),
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


def mini_speed() -> None:
    import torch

    from llark.embed import load
    from llark.embed.encoder import Device, Sound
    from llark.embed.settings import Settings

    torch.set_num_threads(1)
    time_ = np.arange(30 * 22_050) / 22_050
    rng = np.random.default_rng(1)
    samples = 0.2 * np.sin(2 * np.pi * 220 * time_) + 0.1 * rng.normal(size=len(time_)) * (time_ % 0.5 < 0.05)
    listen = load(Settings("mini", rate="native"), Device())
    listen([Sound(samples[:22_050].astype(np.float32), 22_050)])
    began = time.process_time()
    listen([Sound(samples.astype(np.float32), 22_050)])
    print(f"mini: {time.process_time() - began:.2f} s of one core for 30 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        store_speed(Path(folder), args.clips)
    mini_speed()


if __name__ == "__main__":
    main()
