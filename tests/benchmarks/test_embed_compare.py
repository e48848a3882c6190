"""`benchmarks/embed_compare.py`: encoders side by side on a corpus with truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import embed_compare as compare
import numpy as np
import pytest
from embed_probes import Result

from llark import audio, corpus
from llark.embed.encoder import Device, EncoderOptions
from llark.errors import UserMustAct
from llark.records import KEYS, Annotation, Beats, Chords, ChordSpan, Key, Tag, Tags, Tempo, Track
from tests.embed import tiny_hub

RATE = 16_000
SECONDS = 0.8


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Track, Annotation]]:
    """Sixty short tones; whether one is low or high is their key, chord and instrument."""
    folder = tmp_path_factory.mktemp("corpus")
    made = []
    for number in range(60):
        high = number % 2
        time = np.arange(round(SECONDS * RATE)) / RATE
        path = folder / f"{number}.wav"
        pitch = (200.0, 3000.0)[high] * (1 + number / 600)
        audio.save(path, (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), RATE)
        split = "test" if number % 3 == 2 else "train"
        truth = Annotation(
            f"{number}",
            0.0,
            SECONDS,
            key=Key(KEYS[high], 1.0),
            tempo=Tempo((80.0, 150.0)[high], 1.0),
            beats=Beats((0.1, 0.5), (), 1.0),
            chords=Chords((ChordSpan(0.0, SECONDS, ("C:maj", "A:min")[high]),), 1.0),
            instruments=Tags((Tag(("bass", "flute")[high], 1.0),), 1.0),
        )
        made.append((Track(f"{number}", str(path), split=split, group=f"piece {number // 6}{split}"), truth))
    return made


def test_the_table_shows_which_encoder_hears_the_truth(
    pairs: list[tuple[Track, Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "read", lambda _: iter(pairs))
    network = EncoderOptions(f"hub:{tiny_hub.dasheng(tmp_path / 'dasheng')}", rate="10")
    out = tmp_path / "out"
    text = compare.table(
        [network, EncoderOptions(network.encoder, layer=1)], "corpus", Device(), 60, str(out)
    )
    lines = text.splitlines()
    assert lines[0].startswith("| encoder | key (accuracy of 24) | chord (frames right of 25)")
    assert lines[2].startswith("| nothing heard | 0.")
    assert lines[3].startswith(f"| {network.encoder} | **1.000 ± 0.000** |")
    assert lines[4].startswith(f"| {network.encoder}, layer 1 |")
    assert "Tested on: key 15, chord 120, tempo 15" in text
    assert (out / "comparison.md").read_text() == text + "\n"
    page = json.loads((out / "comparison.json").read_text())
    assert page[0]["encoder"] == "nothing heard"
    best = {"task": "key", "metric": "accuracy of 24", "value": 1.0, "n": 15, "error": 0.0}
    assert page[1]["results"][0] == best
    shards = [path for path in out.rglob("part-00000.safetensors") if "encoder-" in str(path)]
    assert len(shards) == 2
    before = [path.stat().st_mtime_ns for path in shards]
    assert compare.table([network], "corpus", Device(), 60, str(out)).splitlines()[3] == lines[3]
    assert [path.stat().st_mtime_ns for path in shards] == before


def test_a_corpus_that_is_too_small_is_refused(
    pairs: list[tuple[Track, Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "read", lambda _: iter(pairs[:20]))
    with pytest.raises(UserMustAct, match=r"has 14 clips to train on and 6 to test on.*llark corpus"):
        compare.table([], "corpus", Device(), 60, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_piece_in_two_splits_is_refused(
    pairs: list[tuple[Track, Annotation]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = [(replace(track, group=f"piece {int(track.id) // 6}"), truth) for track, truth in pairs]
    monkeypatch.setattr(corpus, "read", lambda _: iter(mixed))
    with pytest.raises(
        UserMustAct, match="clips of 10 pieces are in the test split and in another one, piece 0"
    ):
        compare.table([], "corpus", Device(), 60, str(tmp_path / "out"))


def test_fewer_clips_are_some_of_more_whatever_their_order(
    pairs: list[tuple[Track, Annotation]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "read", lambda _: iter(pairs))
    many = {track.id for track, _ in compare._chosen("corpus", 56)}
    monkeypatch.setattr(corpus, "read", lambda _: reversed(pairs))
    few = [track for track, _ in compare._chosen("corpus", 40)]
    assert {track.id for track in few} < many
    assert [track.split for track in few] == ["train"] * 30 + ["test"] * 10


def test_the_best_of_each_column_is_marked_and_what_is_open_is_a_dash() -> None:
    rows = [
        ("a", [Result("key", "x", 0.5, 9), Result("beat", "y", None, 0)]),
        ("b", [Result("key", "x", 0.7, 9), Result("beat", "y", None, 0)]),
    ]
    lines = compare.as_table(rows).splitlines()
    assert lines[2:4] == ["| a | 0.500 | – |", "| b | **0.700** | – |"]
    assert compare._cell(Result("key", "x", 0.5, 9, 0.0312), None) == "0.500 ± 0.031"


def test_too_few_clips_and_a_layer_that_is_none_are_refused_in_one_sentence() -> None:
    with pytest.raises(UserMustAct, match="too few to compare"):
        compare.table([], "corpus", Device(), 3, "out")
    with pytest.raises(UserMustAct, match="b is no layer of hub:a; write it as hub:a#6"):
        compare.options_of("hub:a#b")
    assert compare.options_of("hub:a/b#7") == EncoderOptions("hub:a/b", layer=7, rate="10")
    assert compare.options_of("clap=folder") == EncoderOptions("clap", "folder", rate="10")
    assert compare.options_of("mini").rate == "native"
