"""Every damaged and odd file is read rightly or dropped with a right reason, and every loss is counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llark import audio, engine
from llark.errors import BadAudio
from llark.prepare import stage
from llark.prepare.crop import Crop
from llark.records import Clip, Dropped, Track
from llark.storage import stages
from tests.damage import encode, judge, make
from tests.damage.make import Case

pytestmark = pytest.mark.slow


@dataclass
class Outcome:
    """What `Crop` made of the corpus. Tracks are numbered like the cases."""

    folder: Path
    cases: list[Case]
    about: dict[str, Any]
    clips: dict[int, list[Clip]]
    drops: dict[int, list[Dropped]]

    def complaint(self, number: int) -> str | None:
        """What is wrong with what became of a case, up to the samples that the next stage hears."""
        case, clips, drops = self.cases[number], self.clips[number], self.drops[number]
        if not clips:
            return judge.complaint(case, None, 0, drops[0].reason)
        heard, rate = [], 0
        try:
            for clip in clips:
                samples, rate = audio.load(
                    clip.path, start_seconds=clip.start_seconds, end_seconds=clip.end_seconds
                )
                heard.append(samples)
        except BadAudio as error:
            return judge.complaint(case, None, 0, error.reason)
        whole = np.concatenate(heard)
        if np.abs(whole).max() > audio.LOUDEST_SAMPLE:
            return "a sample is too loud"
        return judge.complaint(case, whole, rate, None)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("damage") / "files"
    cases = make.corpus(folder)
    tracks = [Track(f"{number:04}", str(folder / case.name)) for number, case in enumerate(cases)]
    writer = stages.open_stage(folder.parent / "clips", "prepare")
    engine.run(Crop(), tracks, writer, workers=1, timeout_seconds=120.0, progress=False, drop_share=1.0)
    clips: dict[int, list[Clip]] = {number: [] for number in range(len(cases))}
    drops: dict[int, list[Dropped]] = {number: [] for number in range(len(cases))}
    for clip in stages.read(folder.parent / "clips", Clip):
        clips[int(clip.track_id)].append(clip)
    for drop in stages.read_dropped(folder.parent / "clips"):
        drops[int(drop.id.partition("@")[0])].append(drop)
    return Outcome(folder, cases, stages.about(folder.parent / "clips"), clips, drops)


def test_the_corpus_holds_more_than_two_hundred_different_files(outcome: Outcome) -> None:
    names = {case.name for case in outcome.cases}
    assert len(names) == len(outcome.cases) > 400


def test_what_goes_in_comes_out_or_is_counted_as_dropped(outcome: Outcome) -> None:
    counts = outcome.about["counts"]
    assert counts["in"] == len(outcome.cases)
    assert counts["out"] == sum(map(len, outcome.clips.values()))
    assert sum(counts["dropped"].values()) == sum(map(len, outcome.drops.values()))
    lost = [n for n in range(len(outcome.cases)) if not outcome.clips[n] and len(outcome.drops[n]) != 1]
    assert lost == []


def test_prepare_accounts_for_every_recording_of_the_folder(outcome: Outcome, tmp_path: Path) -> None:
    """The whole stage, with the reader of folders and the tags: links that lead nowhere are losses too."""
    found = stage.run(
        stage.PrepareConfig(str(outcome.folder)), str(tmp_path), workers=1, progress=False, drop_share=1.0
    )
    files = [path for path in outcome.folder.iterdir() if not path.is_dir()]
    given = [path for path in files if path.suffix.lower() in audio.AUDIO_SUFFIXES]
    assert sorted(path.name for path in {*files} - {*given}) == ["PCM_16.wavex", "mp3 as.txt", "no suffix"]
    given += [outcome.folder / "PCM_16.wavex", outcome.folder / "no suffix"]
    paths = {track.path for track in stages.read(tmp_path / "tracks", Track)}
    assert len(paths) == found.whole.tracks > 250
    assert found.whole.tracks + sum(found.lost.values()) == len(given) > 380
    assert found.lost["missing"] >= 4
    kinds = {"empty", "not-audio", "no-audio", "damaged", "too-short", "missing"}
    assert set(found.dropped) == kinds


def test_no_file_crashes_hangs_or_surprises(outcome: Outcome) -> None:
    known = {"empty", "not-audio", "no-audio", "damaged", "too-short", "missing", "folder"}
    assert set(outcome.about["counts"]["dropped"]) == known
    details = [drop.detail for drops in outcome.drops.values() for drop in drops]
    assert [detail for detail in details if "\n" in detail.replace("line\nbreak", "")] == []


@pytest.mark.parametrize("damage", ["cut", "flip", "hole", "odd"])
def test_a_file_is_read_rightly_or_dropped_with_a_right_reason(outcome: Outcome, damage: str) -> None:
    kinds = ("cut", "flip", "hole")
    numbers = [
        number
        for number, case in enumerate(outcome.cases)
        if (case.name.startswith(damage + " ") if damage in kinds else case.name.split()[0] not in kinds)
    ]
    assert len(numbers) > 10
    complaints = {outcome.cases[number].name: outcome.complaint(number) for number in numbers}
    assert {name: words for name, words in complaints.items() if words} == {}


def test_most_files_with_one_flipped_bit_are_still_read(outcome: Outcome) -> None:
    flipped = [
        n for n, case in enumerate(outcome.cases) if case.name.startswith("flip") and " 1 " in case.name
    ]
    assert sum(bool(outcome.clips[number]) for number in flipped) > 0.7 * len(flipped) > 14


def test_a_wrong_result_would_be_noticed() -> None:
    sound = encode.mono()
    case = Case("x.wav", sound, reasons=frozenset({"damaged"}))
    assert judge.complaint(case, sound, encode.RATE, None) is None
    assert judge.complaint(case, None, 0, "damaged") is None
    for heard in (sound[: len(sound) // 2], np.roll(sound, 4096), sound[::-1], np.zeros_like(sound)):
        assert judge.complaint(case, heard, encode.RATE, None) is not None
    assert judge.complaint(case, None, 0, "empty") is not None
    assert judge.complaint(Case("x.wav", reasons=frozenset({"empty"})), sound, encode.RATE, None) is not None
