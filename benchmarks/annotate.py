"""How right the annotators are: clips of known truth, by condition, with calibration, beside other ones.

    python benchmarks/annotate.py CORPUS [CORPUS …] [--out DIR] [--workers N] [--clips N] [--extra N]
        [--conditions WORDS] [--real] [--against madmom,essentia,librosa] [--madmom-python PATH]

CORPUS is what `llark corpus` rendered. Its held-out clips are heard as they are; some are damaged (noise,
reverberation, mp3, detuning, fades), and others are rendered here from held-out pieces, which needs the
Debian packages of the corpus. What is unknown to us and not so in truth counts as wrong. DIR keeps
everything that was made and heard, so that the same command is quick when only the small nets or the
annotators have changed; there are `report.md`, `scores.json` and `reliability.png`, too.

Do not fit anything on these clips.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import annotate_against
import annotate_clips
import annotate_real
import annotate_rendered
import annotate_report
from annotate_clips import Case
from annotate_heard import OURS, all_facts, timed, version_of
from others import OTHERS
from others.madmom_facts import PYTHON

from llark.errors import UserMustAct

TIMED_CLIPS = 8
UNDAMAGED = "damaged clips, before"
"""The clips that the damaged ones were made of, as they are."""


def gather(options: argparse.Namespace) -> Iterator[Case]:
    """Every case that was asked for. What cannot be made here is told on standard error, and left out."""
    wanted = [word.strip() for word in options.conditions.split(",") if word.strip()]
    known = sorted(
        (case for folder in options.corpus for case in annotate_clips.held_out(folder)),
        key=lambda case: annotate_clips.order_of(case.id),
    )
    if not known:
        raise UserMustAct(f"{options.corpus[0]} holds no held-out clip: render more, at least 30.")
    tonal = [case for case in known if case.truth.key.name and case.truth.tempo.bpm][: options.extra]
    whole = {case.id for case in tonal}
    for case in known[: options.clips or None]:
        same = (UNDAMAGED,) if case.id in whole else ()
        if _wanted(wanted, *case.conditions, *same):
            yield replace(case, conditions=(*case.conditions, *same))
    for condition in annotate_clips.DAMAGES:
        if _wanted(wanted, condition):
            yield from annotate_clips.damaged(tonal, condition, options.out / "clips")
    kinds = {**annotate_rendered.MANNERS, "songs": annotate_rendered.SONGS}
    for name, manner in kinds.items():
        if not _wanted(wanted, manner.condition) or not options.extra:
            continue
        count = max(1, options.extra // 5) if name == "songs" else options.extra
        try:
            yield from annotate_rendered.rendered(name, manner, count, options.out / "clips")
        except UserMustAct as error:
            print(f"left out: {manner.condition}. {error}", file=sys.stderr)


def _wanted(words: list[str], *conditions: str) -> bool:
    return not words or any(word in condition for word in words for condition in conditions)


def arguments() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("runs/annotate"))
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--clips", type=int, default=0, help="held-out clips at most; all if not given")
    parser.add_argument("--extra", type=int, default=40, help="damaged and rendered clips of each condition")
    parser.add_argument("--conditions", default="", help="only these (parts of their names, with commas)")
    parser.add_argument("--real", action="store_true", help="also the eight labelled real songs")
    parser.add_argument("--against", default="", help=f"also {', '.join(OTHERS)}, on the held-out clips")
    parser.add_argument("--against-clips", type=int, default=60, help="held-out clips they are compared on")
    parser.add_argument("--madmom-python", default="", help="the Python (3.9 at most) that has madmom")
    return parser.parse_args()


def others_of(options: argparse.Namespace) -> list[str]:
    """The names that were asked for; each is there, or `UserMustAct` says how to get it."""
    names = [name.strip() for name in options.against.split(",") if name.strip()]
    if options.madmom_python:
        os.environ[PYTHON] = options.madmom_python
    for name in names:
        if name not in OTHERS:
            raise UserMustAct(f"There is no annotator {name!r}; there are {', '.join(OTHERS)}.")
        OTHERS[name].load()
    return names


def run(options: argparse.Namespace) -> None:
    others = others_of(options)
    cases = list(gather(options))
    songs = annotate_real.cases(options.out) if options.real else []
    ours = all_facts(OURS, [*cases, *songs], options.out, options.workers)
    lines = [f"Facts by {version_of(OURS)}, {len(cases)} clips.", ""]
    lines += annotate_report.tables(cases, ours)
    if songs:
        lines += ["", *annotate_real.table(songs, {OURS: ours})]
    if others:
        compared = [c for c in cases if annotate_clips.HELD_OUT in c.conditions][: options.against_clips]
        facts = {OURS: ours}
        for name in others:
            facts[name] = all_facts(name, [*compared, *songs], options.out, min(options.workers, 2))
        seconds = {OURS: statistics.fmean(timed(compared[:TIMED_CLIPS]))}
        for name in others:
            spent = [facts[name][case.id].seconds for case in compared[:TIMED_CLIPS]]
            seconds[name] = statistics.median(spent)
        lines += ["", *annotate_against.table(compared, facts, seconds)]
        if songs:
            lines += ["", *annotate_real.table(songs, facts)]
    annotate_report.plot(cases, ours, options.out / "reliability.png")
    page = annotate_report.as_json(cases, ours)
    (options.out / "scores.json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    (options.out / "report.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        run(options)
    except UserMustAct as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
