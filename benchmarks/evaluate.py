"""Acceptance of the scorer on answers and questions that others published.

`python benchmarks/evaluate.py --data DIR` reads, from DIR,

- muchomusic.midashenglm.jsonl: 848 of 1,187 of MiDashengLM's stored answers must be right by the published
  rule (the first capital letter), and 847 as people read them (of "Answer: D" the rule takes the A);
- nsynth-instrument.midashenglm.jsonl: 3,298 of 4,096 must be exact;
- rul-muchomusic.json, mmau-test-mini.json, mmar.jsonl: 1,187 items, 334 music of 1,000, 206 music of 1,000;

prints what it found beside what must be there, and exits with 1 where they differ. The files are those of
xiaomi-research/dasheng-lm, yongyizang/AreYouReallyListening, Sakshi113/MMAU and ddlBoJack/MMAR.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llark.evaluate import predictions, questions
from llark.evaluate.cases import TestSet
from llark.evaluate.tasks import QUESTION_TASKS, TASKS

STORED = (
    ("muchomusic", "muchomusic.midashenglm.jsonl", "published", 848, 1187),
    ("muchomusic", "muchomusic.midashenglm.jsonl", "read", 847, 1187),
    ("nsynth_instrument", "nsynth-instrument.midashenglm.jsonl", "strict", 3298, 4096),
    ("nsynth_instrument", "nsynth-instrument.midashenglm.jsonl", "read", 3298, 4096),
)
"""(task, file, how answers are read, right, all)."""

QUESTIONS = (
    ("rul_muchomusic", "rul-muchomusic.json", 1187, 1187),
    ("mmau_music", "mmau-test-mini.json", 334, 1000),
    ("mmar_music", "mmar.jsonl", 206, 1000),
)
"""(task, file, music items, all rows)."""


def right(task_name: str, path: Path, reading: str) -> tuple[int, int]:
    """(right, all) of the stored answers in a file."""
    task = TASKS[task_name]
    stored = predictions.load(task_name, path, TestSet())
    cases = stored.test_set.questions[task_name]
    read = getattr(task, reading)
    return sum(task.credit(read(stored.texts[c.id], c.truth), c.truth) == 1.0 for c in cases), len(cases)


def items(task_name: str, path: Path) -> tuple[int, int]:
    """(questions of the task, rows of the file)."""
    return len(QUESTION_TASKS[task_name].load(path)), len(questions.rows(path))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data
    rows = [
        (f"{task}, {reading}", right(task, folder / name, reading), (want, whole))
        for task, name, reading, want, whole in STORED
    ]
    rows += [
        (f"{task}, items", items(task, folder / name), (want, whole)) for task, name, want, whole in QUESTIONS
    ]
    print("| what | found | must be |\n|---|---|---|")
    for what, found, must in rows:
        print(f"| {what} | {found[0]:,} of {found[1]:,} | {must[0]:,} of {must[1]:,} |")
    sys.exit(0 if all(found == must for _, found, must in rows) else 1)


if __name__ == "__main__":
    main()
