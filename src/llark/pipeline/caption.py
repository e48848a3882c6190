"""`llark caption`: recordings → a caption, tags and the main facts of each, one line of JSON each.

The facts are kept in a stage's folder beside the file (`OUT.run`), and the file is written from them, so that
a run that was stopped goes on, and another style of caption costs no second listening.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from llark.errors import UserMustAct
from llark.options import AnnotateOptions, CaptionOptions
from llark.pipeline import annotate
from llark.questions.facts import Facts
from llark.questions.grammar import phrases
from llark.questions.kinds import BY_SLUG
from llark.records import Annotation, Tags
from llark.storage import folders, stages

RUN = ".run"
KINDS = {"short": "caption-short", "long": "caption-long", "tags": "tags"}
SUNG = ("voice", "choir")
"""Instruments by which a recording is sung."""


@dataclass(frozen=True)
class CaptionRow:
    """One line of the file. What is not known is null; a confidence is from 0 to 1."""

    path: str
    caption: str
    tags: list[str]
    duration_seconds: float
    bpm: float | None
    bpm_confidence: float
    key: str | None
    key_confidence: float
    meter: str | None
    meter_confidence: float
    sung: bool | None
    sung_confidence: float
    instruments: dict[str, float]
    genres: dict[str, float]
    moods: dict[str, float]
    lufs: float | None


def caption(paths: Sequence[Path], out: Path, options: CaptionOptions | None = None, workers: int = 2) -> str:
    """Captions of recordings and of folders of them, into `out`; returns what was made and lost.

    Raises `UserMustAct` where `out` is no .jsonl file, or where a sidecar would replace another file.
    """
    options = options or CaptionOptions()
    if out.suffix != ".jsonl":
        raise UserMustAct(f"--out {out}: the captions go into a file that ends in .jsonl.")
    run = out.with_name(out.name + RUN)
    if out.exists() and not run.is_dir():
        raise UserMustAct(f"{out} is there already, and not by a run of llark caption; name a new file.")
    path_of = annotate.into_folder(paths, run, AnnotateOptions(drop_share=options.drop_share), workers)
    known = list(stages.read(run, Annotation))
    rows = [row_of(path_of[facts.clip_id], facts, options.style) for facts in known]
    lines = (json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    data = "".join(lines).encode(errors="backslashreplace")  # paths that are no UTF-8
    folders.folder(out.parent).write(out.name, data)
    if options.sidecar:
        _write_beside(rows, known, f".{options.sidecar}")
    dropped = sum(1 for _ in stages.read_dropped(run))
    return f"{out}: {len(rows)} captions, {dropped} dropped\n  facts and drops: {run}"


def _write_beside(rows: Sequence[CaptionRow], known: Sequence[Annotation], suffix: str) -> None:
    """Writes each caption beside its recording, unless another text is there, which is named."""
    written: set[Path] = set()
    taken = []
    for row, annotation in zip(rows, known, strict=True):
        path = Path(row.path).with_suffix(suffix)
        ours = {said(slug, Facts(annotation)) + "\n" for slug in KINDS.values()}
        if path in written or (path.exists() and path.read_text("utf-8", "replace") not in ours):
            taken.append(str(path))
        else:
            path.write_text(row.caption + "\n", encoding="utf-8")
            written.add(path)
    if taken:
        more = f", and so are {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UserMustAct(
            f"{taken[0]} is there already, with another text{more}; move it, or leave out --sidecar. "
            f"The other {len(written)} are written."
        )


def row_of(path: str, annotation: Annotation, style: str = "short") -> CaptionRow:
    """A recording's caption with the facts that it is made of."""
    facts = Facts(annotation)
    tags = said("tags", facts)
    sung = {tag.confidence for tag in annotation.instruments.tags if tag.label in SUNG}
    return CaptionRow(
        path=path,
        caption=said(KINDS[style], facts),
        tags=tags.split(", ") if tags else [],
        duration_seconds=round(facts.seconds, 3),
        bpm=None if facts.tempo_bpm is None else round(facts.tempo_bpm, 2),
        bpm_confidence=round(annotation.tempo.confidence, 3),
        key=annotation.key.name,
        key_confidence=round(annotation.key.confidence, 3),
        meter=facts.meter_name,
        meter_confidence=round(annotation.meter.confidence, 3),
        sung=bool(sung) if annotation.instruments.tags else None,
        sung_confidence=round(max(sung, default=0.0), 3),
        instruments=_shares(annotation.instruments),
        genres=_shares(annotation.genre),
        moods=_shares(annotation.mood),
        lufs=annotation.loudness.integrated_lufs,
    )


def _shares(tags: Tags) -> dict[str, float]:
    return {tag.label: round(tag.confidence, 3) for tag in tags.tags}


DRAFTS = 16
"""Wordings of a caption, of which the first that says most is taken."""


def said(slug: str, facts: Facts) -> str:
    """What a kind of question is answered with; empty where too little is known."""
    kind, rng = BY_SLUG[slug], Random(facts.annotation.clip_id)
    asked = kind.ask(facts, rng)
    if asked is None or asked.form == "unknown":
        return ""
    if "tags" in asked.values:
        return asked.values["tags"]
    values = {"clip": "recording", **asked.values}
    drafts = [phrases()[slug].answer(asked.form, values, rng) for _ in range(DRAFTS)]
    return max(drafts, key=lambda draft: len(draft.used)).text
