"""Acceptance of the scorer on answers and questions that others published; and how long an evaluation takes.

`python benchmarks/evaluate.py --data DIR` reads, from DIR,

- muchomusic.midashenglm.jsonl: 848 of 1,187 of MiDashengLM's stored answers must be right by the published
  rule (the first capital letter), and 847 as people read them (of "Answer: D" the rule takes the A);
- nsynth-instrument.midashenglm.jsonl: 3,298 of 4,096 must be exact;
- rul-muchomusic.json, mmau-test-mini.json, mmar.jsonl: 1,187 items, 334 music of 1,000, 206 music of 1,000;

prints what it found beside what must be there, and exits with 1 where they differ. The files are those of
xiaomi-research/dasheng-lm, yongyizang/AreYouReallyListening, Sakshi113/MMAU and ddlBoJack/MMAR.

`python benchmarks/evaluate.py speed [--built DIR] [--clips 16]` times the parts of an evaluation with the
bundled model on so many clips (of a folder that `llark build` has filled, else rendered), and says what 1,000
questions on 500 clips take at that rate. The bar is 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from llark.evaluate import answers, page, score
from llark.evaluate.cases import AUDIO, Case, TaskPrompt, TestSet
from llark.evaluate.options import read_rows
from llark.evaluate.report import Evaluation
from llark.evaluate.score import EvaluateConfig
from llark.evaluate.tasks import QUESTION_TASKS, TASKS
from llark.options import EvaluateOptions, ModelOptions
from llark.pipeline import testsets
from llark.pipeline.evaluate import LocalModel

STORED = (
    ("muchomusic", "muchomusic.midashenglm.jsonl", "published_reader", 848, 1187),
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
    stored = answers.load_predictions(task_name, path, TestSet())
    cases = stored.test_set.questions[task_name]
    read = getattr(task, reading)
    return sum(task.credit(read(stored.texts[c.id], c.truth), c.truth) == 1.0 for c in cases), len(cases)


def items(task_name: str, path: Path) -> tuple[int, int]:
    """(questions of the task, rows of the file)."""
    return len(QUESTION_TASKS[task_name].load(path)), len(read_rows(path))


def accept(folder: Path) -> bool:
    """Prints what was found beside what must be there; whether they agree."""
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
    return all(found == must for _, found, must in rows)


WHOLE_CLIPS, MOST_MINUTES = 500, 20.0
"""The evaluation that the bar is about: recordings, two questions on each, and minutes on two cores."""

ASKED = ("key", "instruments")
"""A short answer and a long one. Each is asked of every clip, so that 16 clips fill a batch."""


def questions_on(material: testsets.TestMaterial) -> TestSet:
    """Two questions a clip, as files of questions have them, with whatever truth is at hand."""
    return TestSet(
        (),
        {
            name: tuple(
                Case(
                    item.clip_id,
                    item.clip_id,
                    item.track_id,
                    TASKS[name].question,
                    score.item_truth(TASKS[name], item),
                )
                for item in material.test_set.items
            )
            for name in ASKED
        },
    )


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """(seconds on the wall, seconds that cores were busy in this process and its workers)."""

    def worked() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    began, before = time.perf_counter(), worked()
    what()
    return time.perf_counter() - began, worked() - before


def speed(built: Path | None, clips: int, work: Path) -> bool:
    """Prints how long each part takes and what the whole would; whether it would keep to the bar."""
    import torch

    if built is None:
        built = testsets.open_corpus(work / "open", clips, workers=2)
    material = testsets.gather(built, work, EvaluateOptions(clips=clips))
    test_set = questions_on(material)
    asked = sum(map(len, test_set.questions.values()))
    local = LocalModel(ModelOptions(device="cpu"), material.embeddings)
    chosen = list(material.clips.values())
    rows = {
        "load the model": (timed(lambda: local([TaskPrompt("first", "Which key?")])), 1, 1),
        "hear a clip, once": (
            timed(lambda: testsets.listen(chosen, work / "none", work / "heard", 2)),
            len(chosen),
            WHOLE_CLIPS,
        ),
        "answer a question": (
            timed(lambda: ask(test_set, answers.CachedAnswers(work / "said", local), work)),
            asked,
            WHOLE_CLIPS * len(ASKED),
        ),
    }
    print(f"{clips} clips, {asked} questions, {torch.get_num_threads()} threads\n")
    print(f"| part | s each | core s each | for {WHOLE_CLIPS} clips, min |\n|---|---|---|---|")
    minutes, busy = {}, 0.0
    for name, ((wall, cores), count, whole) in rows.items():
        minutes[name] = wall / count * whole / 60
        busy += cores / count * whole / 60
        print(f"| {name} | {wall / count:.2f} | {cores / count:.2f} | {minutes[name]:.1f} |")
    total = sum(minutes.values())
    again = total - minutes["hear a clip, once"]
    print(f"\n{total:.1f} minutes here, {again:.1f} where the clips were heard before")
    print(f"One core is busy for {busy:.1f} minutes of it: the rest was waited for other work on the machine")
    return total <= MOST_MINUTES


def ask(test_set: TestSet, answer: answers.CachedAnswers, work: Path) -> Evaluation:
    """Answers, scores, and the page."""
    result = score.evaluate(test_set, answer, EvaluateConfig((AUDIO,)))
    page.write(work / "report", result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("accept", "speed"), default="accept")
    parser.add_argument("--data", type=Path, help="accept: the folder of published files")
    parser.add_argument("--built", type=Path, help="speed: a folder that `llark build` has filled")
    parser.add_argument("--clips", type=int, default=16, help="speed: how many clips are timed")
    given = parser.parse_args()
    if given.what == "accept":
        if given.data is None:
            parser.error("--data DIR is needed: the folder of published files")
        sys.exit(0 if accept(given.data) else 1)
    with tempfile.TemporaryDirectory() as work:
        sys.exit(0 if speed(given.built, given.clips, Path(work)) else 1)


if __name__ == "__main__":
    main()
