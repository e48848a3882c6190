"""Encoders side by side on the open corpus, by linear probes: which one lays most of the music open?

    llark corpus corpus --clips 3200 --seed 7
    python benchmarks/embed_compare.py corpus mini mel hub:m-a-p/MERT-v1-95M#7 --take 400 --out compared

NAME=WEIGHTS and NAME#LAYER say what belongs to one encoder alone. See `embed_probes` for the probes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import embed_probes as probe
from embed_probes import Result

from llark import engine
from llark.embed import encoder as encoders
from llark.embed.encoder import NATIVE, Device, EncoderOptions
from llark.errors import UserMustAct
from llark.pipeline import embed as embedding
from llark.records import Annotation, Clip, Track
from llark.storage import folders, stages
from llark.storage.embeddings import Embeddings

LEAST_CLIPS = 40


def table(encoders: Sequence[EncoderOptions], corpus: str, device: Device, clips: int, out: str) -> str:
    """Embeds the same clips with each encoder into `out`, probes them, and returns the table.

    `corpus` is a folder that `llark corpus` has rendered. Clips of its test split are tested on, all others
    trained on; they share no piece, no style and (with FluidSynth) no sound font. The first row of the table
    is of one who hears nothing and knows how often each answer is right.

    Raises:
        UserMustAct: There is no corpus, or it is too small, or a piece is in both splits; or an encoder
            cannot be loaded.
    """
    if clips < LEAST_CLIPS:
        raise UserMustAct(f"--take {clips} is too few to compare encoders by; take {LEAST_CLIPS} or more.")
    chosen = _chosen(corpus, clips)
    _write_clips([_whole(*pair) for pair in chosen], out)
    found = [_embedded(settings, device, out) for settings in encoders]
    heard_by_all = [pair for pair in chosen if all(pair[0].id in shards for shards in found)]
    heards = [
        [
            probe.Heard(shards[track.id], truth, track.split == "test", track.group or track.id)
            for track, truth in heard_by_all
        ]
        for shards in found
    ]
    rows = [("nothing heard", probe.probe(probe.deaf(heards[0])))] if heards else []
    with engine.Ticker("probe", len(heards)) as tick:
        for settings, heard in zip(encoders, heards, strict=True):
            rows.append((_named(settings), probe.probe(heard)))
            tick()
    text = as_table(rows)
    said = [None, *map(asdict, encoders)] if rows else []
    page = [
        {"encoder": name, "settings": settings, "results": [asdict(r) for r in results]}
        for settings, (name, results) in zip(said, rows, strict=True)
    ]
    folders.folder(out).write("comparison.json", (json.dumps(page, indent=1) + "\n").encode())
    folders.folder(out).write("comparison.md", (text + "\n").encode())
    return text


def _named(settings: EncoderOptions) -> str:
    return settings.encoder if settings.layer is None else f"{settings.encoder}, layer {settings.layer}"


def _embedded(settings: EncoderOptions, device: Device, out: str) -> Embeddings:
    """The clips of `out` as an encoder hears them, in a folder of its own."""
    key = json.dumps(asdict(replace(settings, dtype=device.dtype)), sort_keys=True)
    folder = str(folders.join(out, f"encoder-{hashlib.sha256(key.encode()).hexdigest()[:12]}"))
    embedding.run(out, folder, settings, device)
    return Embeddings(folder)


def _chosen(corpus: str, clips: int) -> list[tuple[Track, Annotation]]:
    """Clips of the corpus, a quarter of them of the test split, with their truths. Which ones are taken hangs
    on their ids alone; fewer are some of more."""
    from llark import corpus as corpora

    pairs = sorted(corpora.read(Path(corpus)), key=lambda pair: _order(pair[0].id))
    tests = [pair for pair in pairs if pair[0].split == "test"]
    others = [pair for pair in pairs if pair[0].split != "test"]
    if len(tests) < LEAST_CLIPS // 4 or len(others) < LEAST_CLIPS * 3 // 4:
        raise UserMustAct(
            f"{corpus} has {len(others)} clips to train on and {len(tests)} to test on; "
            f"{LEAST_CLIPS * 3 // 4} and {LEAST_CLIPS // 4} are needed. llark corpus renders more."
        )
    both = {track.group for track, _ in tests if track.group} & {track.group for track, _ in others}
    if both:
        raise UserMustAct(
            f"{corpus}: clips of {len(both)} pieces are in the test split and in another one, "
            f"{min(map(str, both))} among them; a comparison on them would tell nothing."
        )
    return [*others[: clips - clips // 4], *tests[: clips // 4]]


def _order(clip_id: str) -> bytes:
    return hashlib.sha256(f"compare:{clip_id}".encode()).digest()


def _whole(track: Track, truth: Annotation) -> Clip:
    return Clip(track.id, track.id, track.path, truth.start_seconds, truth.end_seconds, track.split)


def _write_clips(clips: Sequence[Clip], out: str) -> None:
    """The clips as a finished folder, which the embed stage reads."""
    folder = folders.join(out, "clips")
    writer = stages.open_stage(folder, "prepare", {"tracks": [clip.id for clip in clips]})
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
    counts = ", ".join(
        f"{r.task} {max(results[k].n for _, results in rows)}" for k, r in enumerate(rows[0][1])
    )
    return "\n".join(
        [*lines, "", f"Tested on: {counts}. ± is one standard error. The best of each column is **bold**."]
    )


def _cell(result: Result, best: float | None) -> str:
    if result.value is None:
        return "–"
    text = f"{result.value:.3f}" if result.error is None else f"{result.value:.3f} ± {result.error:.3f}"
    return f"**{text}**" if result.value == best else text


def options_of(name: str) -> EncoderOptions:
    """One of several encoders, from its name: NAME, NAME=WEIGHTS, hub:NAME or hub:NAME#LAYER."""
    name, _, layer = name.partition("#")
    weights = ""
    if not name.startswith("hub:"):
        name, _, weights = name.partition("=")
    if layer and not layer.lstrip("-").isdigit():
        raise UserMustAct(f"{layer} is no layer of {name}; write it as {name}#6.")
    return EncoderOptions(
        name,
        weights or None,
        layer=int(layer) if layer else None,
        rate=NATIVE if name == "mini" else "10",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", help="a folder that `llark corpus` has rendered")
    parser.add_argument("encoders", nargs="+", help="as llark embed --encoder names them")
    parser.add_argument("--take", type=int, default=400, help="how many clips")
    parser.add_argument("--out", required=True, help="folder for everything that is made")
    parser.add_argument("--device", help="cpu, cuda …; a GPU if there is one")
    asked = parser.parse_args()
    device = encoders.device(asked.device)
    print(table([options_of(name) for name in asked.encoders], asked.corpus, device, asked.take, asked.out))


if __name__ == "__main__":
    main()
