"""The rendered folder: what is in it, what a second run does, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from llark import audio, corpus
from llark.corpus import builtin, clips
from llark.corpus.clips import ClipOrder, Render, make, plan, split_of
from llark.corpus.piece import Piece, Unusable
from llark.corpus.synth import SAMPLE_RATE, Fluid, Portable
from llark.errors import StoreMismatch, UserMustAct
from llark.records import GENRES, INSTRUMENTS, KEYS, Annotation, Dropped, Track
from llark.storage import stages

CLIPS = 5
SEED = 3


def flux(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds, and how much the spectrum grows there (mean 1)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::128] * np.hanning(1024)
    level = np.log1p(50 * np.abs(np.fft.rfft(frames, axis=1)) / 30)
    growth = np.maximum(0, np.diff(level, axis=0)).sum(axis=1)
    return (np.arange(len(growth)) * 128 + 640) / SAMPLE_RATE, growth / growth.mean()


def read(folder: Path) -> list[tuple[Track, Annotation]]:
    return list(corpus.read(folder))


def test_a_clip_is_mono_vorbis_at_22050_hz_and_as_long_as_its_truth_says(rendered: Path) -> None:
    found = read(rendered)
    assert len(found) == CLIPS
    for track, truth in found:
        info = audio.probe(track.path)
        assert (info.sample_rate, info.channels, info.format) == (22_050, 1, "ogg")
        assert 8 <= info.duration_seconds <= 25
        assert truth.end_seconds == pytest.approx(info.duration_seconds, abs=1e-4)
        assert (truth.clip_id, truth.start_seconds) == (track.id, 0.0)


def test_clips_are_read_in_the_order_of_their_ids_with_paths_of_today(rendered: Path) -> None:
    tracks = [track for track, _ in read(rendered)]
    assert [track.id for track in tracks] == [f"builtin-{SEED}-{i:05d}" for i in range(CLIPS)]
    assert all(Path(track.path) == rendered / "audio" / f"{track.id}.ogg" for track in tracks)


def test_truth_uses_the_shared_words_and_names_what_plays(rendered: Path) -> None:
    for track, truth in read(rendered):
        assert set(truth.instruments.labels) <= set(INSTRUMENTS)
        assert len(truth.instruments.labels) >= 1
        assert set(truth.genre.labels) <= set(GENRES)
        assert truth.key.name is None or truth.key.name in KEYS
        assert truth.meter.beats_per_bar in ((None,) if truth.tempo.bpm is None else (2, 3, 4, 6))
        assert track.group.startswith("builtin/")


def test_the_spectrum_grows_at_the_labelled_beats(rendered: Path) -> None:
    checked = 0
    for track, truth in read(rendered):
        if not truth.beats.times_seconds:
            continue
        samples, _ = audio.load(track.path)
        times, growth = flux(samples)
        beats = np.array(truth.beats.times_seconds)
        between = beats[:-1] + 0.37 * np.diff(beats)
        on, off = np.interp(beats[1:], times, growth), np.interp(between, times, growth)
        assert on.mean() > 1.5 * off.mean()
        checked += 1
    assert checked >= 3


def test_beats_are_a_grid_at_the_tempo_with_positions_that_count_the_bar(rendered: Path) -> None:
    for _, truth in read(rendered):
        if truth.tempo.bpm is None or truth.meter.beats_per_bar is None:
            continue
        steps = np.diff(truth.beats.times_seconds)
        assert np.allclose(steps, 60 / truth.tempo.bpm, atol=2e-4)
        bar = 2 if truth.meter.beats_per_bar == 6 else truth.meter.beats_per_bar
        places = truth.beats.positions
        assert set(places) == set(range(1, bar + 1))
        assert all(b == a % bar + 1 for a, b in pairwise(places))


def test_the_sidecar_says_split_source_group_and_soundfont(rendered: Path) -> None:
    for track, _ in read(rendered):
        page = json.loads(Path(track.path).with_suffix(".json").read_text())
        assert page["split"] == track.split == split_of(page["group"])
        assert (page["source"], page["soundfont"]) == ("builtin", "TimGM6mb")
        assert page["style"] == page["group"].removeprefix("builtin/")


def test_the_same_order_makes_the_same_samples_and_truth(portable: Portable, rendered: Path) -> None:
    order = next(plan(1, SEED, ("builtin",)))
    samples, page = make(order, 0, portable)
    again, page_again = make(order, 0, portable)
    assert np.array_equal(samples, again)
    assert page == page_again
    stored = json.loads((rendered / "audio" / f"{order.id}.json").read_text())
    assert stored == json.loads(json.dumps(page))


def test_a_finished_corpus_is_left_alone(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*")}
    tally = clips.render(
        rendered, clips=CLIPS, seed=SEED, sources=("builtin",), workers=0, renderer="midirenderer"
    )
    assert tally.inputs == 0
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before


def test_another_seed_in_the_same_folder_is_refused(rendered: Path) -> None:
    with pytest.raises(StoreMismatch):
        clips.render(rendered, clips=CLIPS, seed=99, sources=("builtin",), workers=0, renderer="midirenderer")


def test_a_clip_with_a_sidecar_is_not_made_again_and_one_without_is(rendered: Path, tmp_path: Path) -> None:
    order = next(plan(1, SEED, ("builtin",)))
    (tmp_path / "audio").mkdir()
    for suffix in (".ogg", ".json"):
        data = (rendered / "audio" / f"{order.id}{suffix}").read_bytes()
        (tmp_path / "audio" / f"{order.id}{suffix}").write_bytes(data)
    step = Render(tmp_path, "midirenderer")
    sound = tmp_path / "audio" / f"{order.id}.ogg"
    whole = sound.read_bytes()
    sound.write_bytes(b"kept")
    (track,) = step(order)  # never opened: there is nothing to render
    assert isinstance(track, Track)
    assert sound.read_bytes() == b"kept"
    sound.with_suffix(".json").unlink()
    step.open()
    step(order)
    assert abs(len(sound.read_bytes()) - len(whole)) < 200
    assert sound.with_suffix(".json").exists()


@pytest.mark.slow
def test_a_piece_that_cannot_be_made_is_dropped_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = builtin.piece

    def piece(rng: Random, beats: float, admits: object) -> Piece:
        made = whole(rng, beats, admits)  # type: ignore[arg-type]
        if "waltz" in made.group or made.meter == 4:
            raise Unusable("out-of-tune", "the band did not come")
        return made

    monkeypatch.setitem(clips.MAKERS, "builtin", piece)
    monkeypatch.setattr(clips, "ATTEMPTS", 1)
    tally = clips.render(
        tmp_path, clips=4, seed=1, sources=("builtin",), workers=0, renderer="midirenderer", progress=False
    )
    drops = list(stages.read_dropped(tmp_path))
    assert tally.dropped == Counter({"out-of-tune": len(drops)})
    assert 1 <= len(drops) <= 3
    assert drops[0] == Dropped(drops[0].id, "corpus", "out-of-tune", "the band did not come")
    assert len(read(tmp_path)) == 4 - len(drops)


def test_a_plan_keeps_its_beginning_when_it_grows() -> None:
    assert list(plan(40, 7, ("mma", "music21")))[:25] == list(plan(25, 7, ("mma", "music21")))


def test_of_every_25_clips_20_train_2_validate_and_3_are_held_out() -> None:
    splits = Counter(order.split for order in plan(50, 7, ("builtin",)))
    assert splits == {"train": 40, "validation": 4, "test": 6}


def test_sources_are_planned_in_their_shares() -> None:
    found = Counter(order.source for order in plan(2000, 7, ("mma", "music21", "freedoom")))
    assert found["mma"] == pytest.approx(1200, abs=80)
    assert found["music21"] == pytest.approx(560, abs=70)


def test_a_group_belongs_to_one_split_for_ever() -> None:
    assert split_of("mma/stdlib/waltz") == split_of("mma/stdlib/waltz")
    shares = Counter(split_of(f"piece {k}") for k in range(4000))
    assert shares["train"] == pytest.approx(3200, abs=100)
    assert shares["test"] == pytest.approx(480, abs=70)


@pytest.mark.parametrize(
    ("sources", "renderer", "word"),
    [(("mm",), "midirenderer", "builtin"), (("builtin",), "fluid", "midirenderer")],
)
def test_an_unknown_source_or_renderer_is_refused_with_the_known_ones(
    tmp_path: Path, sources: tuple[str, ...], renderer: str, word: str
) -> None:
    with pytest.raises(UserMustAct, match=word):
        clips.render(tmp_path, clips=1, seed=1, sources=sources, renderer=renderer)


def test_missing_debian_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(clips, "TRAINING_FONT", tmp_path / "none.sf2")
    monkeypatch.setattr(clips, "HELD_OUT_FONT", tmp_path / "none.sf3")
    monkeypatch.setattr("llark.corpus.songs.FOLDER", tmp_path)
    with pytest.raises(UserMustAct) as caught:
        clips.render(tmp_path / "out", clips=1, seed=1)
    needed = "mma freedoom fluidsynth fluid-soundfont-gm musescore-general-soundfont-small"
    assert f"apt-get install {needed}." in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_corpus_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="no corpus"):
        list(corpus.read(tmp_path))


@pytest.mark.skipif(
    not (clips.TRAINING_FONT.exists() and clips.HELD_OUT_FONT.exists()),
    reason="needs the Debian packages fluidsynth, fluid-soundfont-gm and musescore-general-soundfont-small",
)
def test_held_out_clips_are_played_with_a_soundfont_that_training_never_hears(tmp_path: Path) -> None:
    step = Render(tmp_path)
    step.open()
    for index, split in enumerate(("train", "validation", "test")):
        step(ClipOrder(f"builtin-5-{index:05d}", 5, index, "builtin", split))
    fonts = {}
    for path in (tmp_path / "audio").glob("*.json"):
        page = json.loads(path.read_text())
        fonts[page["split"]] = page["soundfont"]
        assert page["split"] == split_of(page["group"])
    assert fonts == {
        "train": "FluidR3_GM",
        "validation": "FluidR3_GM",
        "test": "MuseScore_General_Lite",
    }


@pytest.mark.skipif(not clips.TRAINING_FONT.exists(), reason="needs fluidsynth and fluid-soundfont-gm")
def test_a_clip_sounds_the_same_whatever_was_played_before_it() -> None:
    first, second, third = plan(3, 5, ("builtin",))
    fresh, used = Fluid(clips.TRAINING_FONT), Fluid(clips.TRAINING_FONT)
    for order in (second, third):
        make(order, 0, used)
    assert np.array_equal(make(first, 0, fresh)[0], make(first, 0, used)[0])
