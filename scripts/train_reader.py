"""Trains the reader of questions (`src/llark/weights/reader.safetensors`), in minutes of one core.

    python scripts/train_reader.py OUT.safetensors

It learns from the grammar's own questions about made-up facts, and from the everyday wordings of
`questions/wordings.yaml`, both with slips of typing and of politeness. A fifth of each kind's everyday
wordings is never trained on: the share of those that is read rightly is printed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from random import Random

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from llark.generate.answers import SCOPED
from llark.generate.reader import BUCKETS, Reader, features
from llark.instruct.offline import CLIP_NOUNS
from llark.music.lexicon import GENRE_PHRASES, TERMS
from llark.music.mentions import mentions
from llark.music.theory import INTERVAL_NAMES, Chord
from llark.questions import Kind
from llark.questions.facts import Facts
from llark.questions.form import ORDINALS
from llark.questions.grammar import compile_line, phrases, say
from llark.questions.kinds import ALL_KINDS
from llark.questions.sound import FAMILIES, with_article
from llark.records import (
    CONTOURS,
    GENRES,
    INSTRUMENTS,
    KEYS,
    METER_NAMES,
    PITCH_CLASSES,
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    IsolatedChord,
    Key,
    LocalKeys,
    Loudness,
    Melody,
    Meter,
    Sections,
    Span,
    Tag,
    Tags,
    Tempo,
)

WIDTH = 96
EPOCHS = 14
BATCH = 256
RATE = 1e-2
LEFT_OUT = 0.25
"""Share of a question's rows that are left out, each time others."""
SMOOTHING = 0.05
GIBBERISH = 300
OF_GRAMMAR = 80
"""Questions of a kind by the grammar."""
OF_WORDINGS = 16
"""Variants of one everyday wording."""
HELD_OUT = 5
"""Every so many-th everyday wording is kept for judging."""
WORDING_WEIGHT = 3.0
"""Of an everyday wording in the loss, against a question of the grammar."""


def made_up(rng: Random) -> Facts:
    """Facts of no recording."""
    bpm, meter = rng.uniform(50, 190), rng.choice(tuple(METER_NAMES))
    times = tuple(float(t) for t in np.arange(0.3, 60, 60 / bpm))
    labels = [
        Chord(rng.randrange(12), rng.choice(("maj", "min", "7"))).label for _ in range(rng.randint(2, 6))
    ]
    chords = tuple(ChordSpan(5.0 * i, 5.0 * i + 5, rng.choice(labels)) for i in range(12))
    parts = tuple(Span(10.0 * i, 10.0 * i + 10, rng.choice("ABC")) for i in range(6))
    keys = (Span(0, 30, rng.choice(KEYS)), Span(30, 60, rng.choice(KEYS)))
    loud = tuple(rng.uniform(-30, -10) for _ in range(60))
    dynamics = (Span(0, 20, "quiet"), Span(20, 60, "loud"))

    def tags(words: tuple[str, ...], most: int) -> Tags:
        return Tags(tuple(Tag(word, 0.8) for word in rng.sample(words, rng.randint(1, most))))

    return Facts(
        Annotation(
            "made-up", 0.0, 60.0,
            tempo=Tempo(bpm, 0.9, "", 2 * bpm),
            beats=Beats(times, tuple(i % meter + 1 for i in range(len(times)))),
            meter=Meter(meter), key=Key(rng.choice(KEYS)), chords=Chords(chords),
            instruments=tags(INSTRUMENTS, 6), genre=tags(GENRES, 2), mood=tags(("happy", "sad", "calm"), 2),
            loudness=Loudness(-14.0, 6.0, -1.0, loud, dynamics), local_keys=LocalKeys(keys),
            sections=Sections(parts), melody=Melody(rng.choice(CONTOURS), 60, 72),
            isolated_chord=IsolatedChord("C:maj"),
        )
    )  # fmt: skip


def of_grammar(kind: Kind, rng: Random) -> Iterator[str]:
    """Questions of a kind in the words of the grammar."""
    wording = phrases("all")[kind.slug]
    for _ in range(OF_GRAMMAR):
        asked = kind.ask(made_up(rng), rng)
        if asked is not None:
            yield wording.question({"clip": rng.choice(CLIP_NOUNS), **asked.values}, rng).text


def values(rng: Random) -> dict[str, str]:
    """A value of every sort, in the spellings in which people write it."""
    key, other = rng.sample(KEYS, 2)
    chord = Chord(rng.randrange(12), rng.choice(("maj", "min", "7", "maj7", "min7"))).name
    names = rng.sample((*INSTRUMENTS, "guitar", "banjo", "sax", "singer", "vocals", "fiddle"), 3)
    genres = rng.sample((*GENRES, *rng.sample(_GENRE_NAMES, len(GENRES))), 2)
    low = rng.randrange(60, 170)
    return {
        "key": rng.choice((key, key.lower(), key.replace(" minor", "m").replace(" major", ""))),
        "key2": other,
        "chord": rng.choice((chord, chord.replace(" minor", "m").replace(" major", ""))),
        "bpm": str(low), "bpm2": str(low + rng.choice((10, 20, 40))), "note": rng.choice(PITCH_CLASSES),
        "note2": rng.choice(PITCH_CLASSES), "meter": rng.choice(tuple(METER_NAMES.values())),
        "meter2": rng.choice(("3/4", "6/8", "4/4", "5/4", "7/8")), "mode": rng.choice(("major", "minor")),
        "instrument": names[0], "instrument2": names[1], "instrument3": names[2],
        "an_instrument": with_article(names[0]), "an_instrument2": with_article(names[1]),
        "family": rng.choice(tuple(FAMILIES)), "genre": genres[0], "genre2": genres[1],
        "seconds": f"{rng.randrange(4)}:{rng.randrange(60):02}" if low % 2 else f"{low // 2} seconds",
        "percent": f"{rng.randrange(50, 100, 5)}{rng.choice((' percent', '%', ' %'))}",
        "bars": f"{rng.choice((2, 4, 8, 12, 16, 32))} bars",
        "interval": rng.choice((*INTERVAL_NAMES[1:], "2 semitones", "three half steps", "whole step")),
        "ordinal": rng.choice(ORDINALS), "faster": rng.choice(("faster", "slower")),
        "up": rng.choice(("up", "down")),
        "term": rng.choice(tuple(TERMS)), "clip": rng.choice(CLIP_NOUNS),
    }  # fmt: skip


_GENRE_NAMES = [name for name in GENRE_PHRASES.words if [one.sort for one in mentions(name)] == ["genre"]]
"""What styles are called beside the words of the records."""

BEFORE = (
    "hey, ", "ok so ", "please, ", "hi, ", "um ", "quick question: ",
    "could you tell me, ", "i wonder, ", "so, ", "and ", "tell me: ", "sorry, but ", "well, ",
)  # fmt: skip
AFTER = (
    " please",
    " thanks",
    " in this song",
    " here",
    " in this track",
    " in it",
    ", do you know",
    " exactly",
    " then",
    " bro",
    ", mate",
)


PARTS_AFTER = (
    " between 0:20 and 1:10", " at 1:05", " around 45 seconds", " in the second half", " at the beginning",
    " in the first half", " at the end", " from 0:30 to 0:50", " in the middle",
    " in the first 20 seconds", " in the last 10 seconds",
)  # fmt: skip


def varied(text: str, kind: Kind, rng: Random) -> str:
    """The text as another person would have typed it."""
    if "seconds" not in kind.slots and set(kind.facts) & SCOPED and rng.random() < 0.12:
        part, text = rng.choice(PARTS_AFTER), re.sub(r"[?.!]*$", "", text)
        text = f"{text}{part}?" if rng.random() < 0.7 else f"{part.strip()}, {text}?"
    if rng.random() < 0.25:
        text = rng.choice(BEFORE) + text[:1].lower() + text[1:]
    if rng.random() < 0.2:
        text = re.sub(r"[?.!]*$", "", text) + rng.choice(AFTER) + rng.choice(("?", "", "."))
    if rng.random() < 0.35:
        text = text.rstrip("?.! ")
    if rng.random() < 0.35:
        text = text.lower()
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        text = _slip(text, rng)
    return text


def _slip(text: str, rng: Random) -> str:
    """A letter left out, doubled, or swapped with the next, inside a longer word."""
    places = [m.start() + rng.randrange(1, len(m[0]) - 1) for m in re.finditer(r"[A-Za-z]{4,}", text)]
    if not places:
        return text
    i = rng.choice(places)
    return rng.choice(
        (
            text[:i] + text[i + 1 :],
            text[:i] + text[i] + text[i:],
            text[:i] + text[i + 1] + text[i] + text[i + 2 :],
        )
    )


def gibberish(rng: Random) -> str:
    """Letters in no order, or one of them again and again."""
    if rng.random() < 0.3:
        return rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") * rng.randrange(2, 60)
    words = ("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(2, 11))) for _ in range(4))
    return " ".join(list(words)[: rng.randrange(1, 5)])


def rows(hold_out: bool) -> tuple[list[tuple[str, str, float]], list[tuple[str, str]]]:
    """(text, kind, weight) to train on, and (text, kind) that are held out."""
    page = yaml.safe_load((resources.files("llark.questions") / "wordings.yaml").read_text("utf-8"))
    training: list[tuple[str, str, float]] = []
    held: list[tuple[str, str]] = []
    rng = Random("reader:nonsense")
    training += [(gibberish(rng), "nonsense", 1.0) for _ in range(GIBBERISH)]
    for kind in ALL_KINDS:
        rng = Random(f"reader:{kind.slug}")
        training += [(varied(text, kind, rng), kind.slug, 1.0) for text in of_grammar(kind, rng)]
        for place, line in enumerate(page.get(kind.slug, ())):
            node = compile_line(line, {})
            for number in range(OF_WORDINGS):
                sentence = say(node, values(rng), rng)
                if sentence is None:
                    raise ValueError(f"{kind.slug}: {line} names what is no sort")
                if hold_out and place % HELD_OUT == HELD_OUT - 1:
                    if number < 2:
                        held.append((sentence.text, kind.slug))
                else:
                    training.append((varied(sentence.text, kind, rng), kind.slug, WORDING_WEIGHT))
    return training, held


class Net(nn.Module):
    """The mean of the rows of a question, and one linear layer."""

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean")
        nn.init.normal_(self.table.weight, std=0.02)
        self.out = nn.Linear(WIDTH, kinds)

    def forward(self, ids: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out(self.table(ids, offsets))
        return logits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true", help="hold nothing out: for the file that ships")
    given = parser.parse_args()
    training, held = rows(hold_out=not given.all)
    kinds = [kind.slug for kind in ALL_KINDS]
    place = {slug: number for number, slug in enumerate(kinds)}
    ids = [np.array(features(text, mentions(text)) or [0]) for text, _, _ in training]
    labels = torch.tensor([place[kind] for _, kind, _ in training])
    weights = torch.tensor([weight for _, _, weight in training])
    torch.manual_seed(0)
    net, rng = Net(len(kinds)), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-4)
    batches = -(-len(ids) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in np.array_split(rng.permutation(len(ids)), batches):
            kept = [one[rng.random(len(one)) > LEFT_OUT] for one in (ids[i] for i in batch)]
            kept = [one if len(one) else ids[i] for one, i in zip(kept, batch, strict=True)]
            offsets = torch.tensor(np.cumsum([0, *map(len, kept)])[:-1])
            chosen = torch.tensor(batch)
            logits = net(torch.tensor(np.concatenate(kept)), offsets)
            losses = nn.functional.cross_entropy(
                logits, labels[chosen], reduction="none", label_smoothing=SMOOTHING
            )
            loss = (losses * weights[chosen]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch}: loss {total / len(ids):.3f}", flush=True)
    unseen = np.setdiff1d(np.arange(BUCKETS), np.concatenate(ids))
    with torch.no_grad():  # what was never learned says nothing
        net.table.weight[torch.tensor(unseen)] = 0.0
    tensors = tensors_of(net)
    save_file(tensors, given.out, metadata={"kinds": " ".join(kinds)})
    judge(Reader({name: value.numpy() for name, value in tensors.items()}, kinds), held)


def tensors_of(net: Net) -> dict[str, torch.Tensor]:
    """The tensors of the file: the table in 8 bits, each row with its scale."""
    table = net.table.weight.detach()
    scale = table.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
    return {
        "table": (table / scale).round().to(torch.int8),
        "scale": scale.half(),
        "weight": net.out.weight.detach().T.contiguous().half(),
        "bias": net.out.bias.detach().half(),
    }


def judge(reader: Reader, held: list[tuple[str, str]]) -> None:
    """Prints how many of the held-out wordings are read rightly, and which are not."""
    read = [(reader.read(text), kind) for text, kind in held]
    wrong = [(query, kind) for query, kind in read if query.kind != kind]
    surely = [query for query, kind in wrong if query.sure >= 0.5]
    print(f"held-out wordings: {len(read) - len(wrong)} of {len(read)} right; {len(surely)} surely wrong")
    for query, kind in wrong:
        print(f"  {kind:18} read as {query.kind:18} {query.sure:.2f}  {query.text}")


if __name__ == "__main__":
    main()
