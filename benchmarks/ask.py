"""Seconds from a file to its answer: cold (a new process) and warm (asked again), by stage, and peak memory.

Prints a Markdown table: `python benchmarks/ask.py [RECORDING] [--runs N]`. Medians over the runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

QUESTION = "What is the tempo of this song?"

PROGRAM = """
import json, resource, sys, time
began = time.perf_counter()
from pathlib import Path
from llark.pipeline.ask import MusicLM, demo_recording
rows = []
for _ in range(2):
    rows.append(MusicLM().ask(Path(sys.argv[1]), sys.argv[2]).timings_seconds)
print(json.dumps({"rows": rows, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def measure(recording: Path, runs: int) -> tuple[list[dict[str, float]], list[dict[str, float]], float]:
    """(cold, warm) timings of each run, and the median peak memory in megabytes."""
    cold, warm, peaks = [], [], []
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(recording), QUESTION],
            capture_output=True,
            check=True,
            text=True,
        )
        whole = time.perf_counter() - began
        page = json.loads(done.stdout.splitlines()[-1])
        first, second = page["rows"]
        cold.append({**first, "process, start to end of the first answer": whole - second["total"]})
        warm.append(second)
        peaks.append(page["peak_mb"])
    return cold, warm, statistics.median(peaks)


def main() -> None:
    from llark.pipeline.ask import demo_recording

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="?", default=demo_recording())
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    cold, warm, peak = measure(options.recording, options.runs)
    print("| seconds | cold | warm |\n|---|---|---|")
    for name in cold[0]:
        values = [
            f"{statistics.median(row[name] for row in rows):.1f}" if name in rows[0] else ""
            for rows in (cold, warm)
        ]
        print(f"| {name} | {values[0]} | {values[1]} |")
    print(f"\nPeak memory {peak:.0f} MB; medians of {options.runs} runs.")


if __name__ == "__main__":
    main()
