"""Seconds of one core that annotation takes, by network and by fact for a clip, in all for a song; memory.

    python benchmarks/annotate_speed.py [RECORDING] [--runs N] [--minutes M]

Prints two Markdown tables, medians over the runs. The clip is the first 25 s of the recording; the song is
the recording over and over. Melody and isolated chord ask the note network where a recording may be such a
one, and are then dearer. Each measurement is a process of its own, on one thread, with everything loaded
before the clock runs; the clock is that of the process, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CLIP_PROGRAM = """
import json, sys, time
from llark import annotate, audio
from llark.annotate import (
    beats, chords, key, loudness, melody, meter, notes, sections, tags, tempo
)
from llark.networks import rhythm
from llark.networks.features import AudioFeatures, Networks

path, runs = sys.argv[1], int(sys.argv[2])
rows = []
for run in range(runs + 1):
    seconds = {}
    def timed(name, work):
        began = time.process_time()
        made = work()
        seconds[name] = time.process_time() - began
        return made
    samples, rate = timed("decode", lambda: audio.load(path, end_seconds=25.0))
    features = AudioFeatures(samples, rate)
    timed("resample", lambda: (features.samples_22050, features.samples_16000))
    for name in ("beat", "chord", "tag", "speech", "rhythm", "harmony", "timbre"):
        timed(f"network: {name}", lambda: getattr(features, name))
    timed("chords", lambda: chords.decode(features.chord, features.harmony))
    likeliest = timed("tempo", lambda: tempo.likeliest(features.rhythm, rhythm.BPM))
    tracked = timed("beats", lambda: beats.track(
        features.rhythm.activations, likeliest.bpm, meter.beats_per_bar(features.rhythm)))
    timed("key", lambda: key.find(features.harmony))
    timed("instruments", lambda: tags.find_instruments(features, features.timbre.instruments))
    timed("genre", lambda: tags.find_genre(features, features.timbre.genre))
    timed("loudness, dynamics", lambda: loudness.find(features))
    timed("melody", lambda: melody.find(features))
    timed("isolated chord", lambda: chords.find_isolated(features))
    timed("sections (observing)", lambda: sections.observe(features))
    timed("network: note", lambda: features.note)
    timed("notes", lambda: notes.find(features.note))
    rows.append(seconds)
print(json.dumps(rows[1:]))
"""

SONG_PROGRAM = """
import json, resource, sys, time
from llark.networks.features import Networks
from llark.pipeline.listen import Listen
from llark.records import Track

path, notes = sys.argv[1], sys.argv[2] == "notes"
step = Listen(frames=False, notes=notes)
step.open()
for network in ("beat", "chord", "tag", "speech", "rhythm", "harmony", "timbre", "note"):
    getattr(Networks.shared(), network)
began = time.process_time()
list(step(Track("song", path)))
seconds = time.process_time() - began
print(json.dumps({"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

OPTIONAL = ("network: note", "notes")


def run(program: str, *words: object) -> list[dict[str, float]] | dict[str, float]:
    """What a measuring process prints, on one thread."""
    one = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, check=True, text=True, env=one
    )
    page: list[dict[str, float]] | dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return page


def print_clip(recording: Path, runs: int) -> None:
    rows = run(CLIP_PROGRAM, recording, runs)
    assert isinstance(rows, list)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print("| a clip of 25 s | seconds |\n|---|---|")
    for name, seconds in medians.items():
        print(f"| {name}{' (only with --notes)' if name in OPTIONAL else ''} | {seconds:.3f} |")
    default = sum(seconds for name, seconds in medians.items() if name not in OPTIONAL)
    print(f"| default set | {default:.2f}, {25 / default:.0f}× real time |")
    print(f"| with notes | {sum(medians.values()):.2f}, {25 / sum(medians.values()):.0f}× real time |")


def print_song(recording: Path, runs: int, minutes: float) -> None:
    import numpy as np

    from llark import audio

    samples, rate = audio.load(recording)
    with tempfile.TemporaryDirectory() as folder:
        for length in (1.0, minutes):
            song = Path(folder) / f"{length:g}.wav"
            audio.save(song, np.resize(samples, round(length * 60 * rate)), rate)
            for kind in ("default set", "notes"):
                pages = [run(SONG_PROGRAM, song, kind.split()[0]) for _ in range(runs)]
                seconds = statistics.median(page["seconds"] for page in pages)  # type: ignore[call-overload]
                peak = statistics.median(page["peak_mb"] for page in pages)  # type: ignore[call-overload]
                ratio = length * 60 / seconds
                print(f"| {length:g} min, {kind} | {seconds:.1f} | {ratio:.0f}× | {peak:.0f} |", flush=True)


def main() -> None:
    from llark.pipeline.ask import demo_recording

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="?", default=demo_recording())
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    print_clip(options.recording, options.runs)
    print("\n| a song | seconds | real time | peak memory, MB |\n|---|---|---|---|")
    print_song(options.recording, options.runs, options.minutes)


if __name__ == "__main__":
    main()
