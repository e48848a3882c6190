"""The walk of `llark embed --compare`: encoders side by side on the open corpus, by linear probes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from llark import engine, files, store
from llark.errors import UserMustAct
from llark.records import Annotation, Clip, Track

if TYPE_CHECKING:
    from llark.embed.encoder import Device
    from llark.embed.probe import Result
    from llark.embed.settings import Settings

LEAST_CLIPS = 40


def table(encoders: Sequence[Settings], corpus: str, device: Device, clips: int, out: str) -> str:
    """Embeds the same clips with each encoder into `out`, probes them, and returns the table.

    `corpus` is a folder that `llark corpus` has rendered. Clips of its test split are tested on, all others
    trained on; they share no piece, no style and (with FluidSynth) no sound font.

    Raises:
        UserMustAct: There is no corpus, or it is too small; or an encoder cannot be loaded.
    """
    from llark.embed import probe
    from llark.embed.shards import Shards
    from llark.walks import embed as embedding

    if clips < LEAST_CLIPS:
        raise UserMustAct(f"--clips {clips} is too few to compare encoders by; take {LEAST_CLIPS} or more.")
    chosen, truths = _chosen(corpus, clips)
    _write_clips(chosen, out)
    rows: list[tuple[str, list[Result]]] = []
    for settings in encoders:
        name = settings.encoder if settings.layer is None else f"{settings.encoder}, layer {settings.layer}"
        key = json.dumps(asdict(replace(settings, dtype=device.dtype)), sort_keys=True)
        folder = str(files.join(out, f"encoder-{hashlib.sha256(key.encode()).hexdigest()[:12]}"))
        embedding.run(out, folder, settings, device)
        found = Shards(folder)
        heard = [
            probe.Heard(found[clip.id], truths[clip.id], clip.split == "test")
            for clip in chosen
            if clip.id in found
        ]
        rows.append((name, probe.probe(heard)))
    text = as_table(rows)
    page = [
        {"encoder": settings.encoder, "settings": asdict(settings), "results": [asdict(r) for r in results]}
        for settings, (_, results) in zip(encoders, rows, strict=True)
    ]
    files.folder(out).write("comparison.json", (json.dumps(page, indent=1) + "\n").encode())
    files.folder(out).write("comparison.md", (text + "\n").encode())
    return text


def _chosen(corpus: str, clips: int) -> tuple[list[Clip], dict[str, Annotation]]:
    """Clips evenly over the corpus, a quarter of them of the test split, and their truths."""
    from pathlib import Path

    from llark import corpus as corpora

    pairs = list(corpora.read(Path(corpus)))
    tests = [pair for pair in pairs if pair[0].split == "test"]
    others = [pair for pair in pairs if pair[0].split != "test"]
    if len(tests) < LEAST_CLIPS // 4 or len(others) < LEAST_CLIPS * 3 // 4:
        raise UserMustAct(
            f"{corpus} has {len(others)} clips to train on and {len(tests)} to test on; "
            f"{LEAST_CLIPS * 3 // 4} and {LEAST_CLIPS // 4} are needed. llark corpus renders more."
        )
    taken = [*_spread(others, clips - clips // 4), *_spread(tests, clips // 4)]
    chosen = [_whole(track, truth) for track, truth in taken]
    return chosen, {clip.id: truth for clip, (_, truth) in zip(chosen, taken, strict=True)}


def _spread(pairs: list[tuple[Track, Annotation]], most: int) -> list[tuple[Track, Annotation]]:
    if len(pairs) <= most:
        return pairs
    return [pairs[i * len(pairs) // most] for i in range(most)]


def _whole(track: Track, truth: Annotation) -> Clip:
    return Clip(track.id, track.id, track.path, truth.start_seconds, truth.end_seconds, track.split)


def _write_clips(clips: Sequence[Clip], out: str) -> None:
    """The clips as a finished folder, which the embed stage reads."""
    folder = files.join(out, "clips")
    writer = store.open_stage(folder, "prepare", {"tracks": [clip.id for clip in clips]})
    with writer, engine.Ticker("clips", show=False):
        if not writer.finished:
            for clip in clips:
                if clip.id not in writer.done:
                    writer.write(clip.id, [clip])
            writer.finish()


def as_table(rows: Sequence[tuple[str, list[Result]]]) -> str:
    """A Markdown table: an encoder a row, the best of each task marked."""
    heads = [f"{result.task} ({result.metric})" for result in rows[0][1]]
    best = [
        max((value for _, results in rows if (value := results[k].value) is not None), default=None)
        for k in range(len(heads))
    ]
    lines = [
        "| encoder | " + " | ".join(heads) + " |",
        "|" + "---|" * (len(heads) + 1),
        *(
            f"| {name} | " + " | ".join(_cell(r, best[k]) for k, r in enumerate(results)) + " |"
            for name, results in rows
        ),
    ]
    counts = ", ".join(f"{r.task} {r.n}" for r in rows[0][1])
    return "\n".join([*lines, "", f"Tested on: {counts}. The best of each column is **bold**."])


def _cell(result: Result, best: float | None) -> str:
    if result.value is None:
        return "–"
    text = f"{result.value:.3f}"
    return f"**{text}**" if result.value == best else text
