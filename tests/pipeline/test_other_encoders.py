"""Models that were trained on another encoder's frames: from songs to an answer, and what can be missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llark
from llark import audio, cli, recipe
from llark.embed import record as records
from llark.embed.encoder import EncoderOptions
from llark.errors import StoreMismatch, UserMustAct
from llark.options import ModelOptions, bundled_model
from llark.pipeline import listen
from llark.records import Annotation, Clip, Embedding, Key
from llark.storage import stages
from llark.storage.embeddings import Embeddings
from llark.train import smoke
from tests.embed import tiny_hub

RECIPE = """
name: tiny
prepare: {{source: {songs}, window_seconds: 5.0}}
instruct: {{exchanges_per_clip: 4}}
embed: {{encoder: "hub:{encoder}", layer: 1, rate: 5}}
model: {{base: {base}, audio_positions: 16, lora_rank: 4, lora_targets: [q_proj, v_proj]}}
train: {{weights: lora, steps: 2, batch: 2, micro_batch: 2, most_tokens: 512, precision: float32,
  evaluate_examples: 0, sample_answers: 0}}
"""


def song(path: Path, seconds: float, pitch: float = 220.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    times = np.arange(round(seconds * 16_000)) / 16_000
    audio.save(path, (0.4 * np.sin(2 * np.pi * pitch * times * (1 + 0.1 * times))).astype(np.float32), 16_000)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `llark build` makes of two songs, with a tiny encoder and a tiny base of chance."""
    folder = tmp_path_factory.mktemp("built")
    song(folder / "songs" / "a.flac", 7.0)
    song(folder / "songs" / "b.flac", 5.0, 330.0)
    places = {"songs": folder / "songs", "encoder": folder / "encoder", "base": folder / "base"}
    tiny_hub.hubert(places["encoder"])
    smoke.write_base("llama", places["base"])
    (folder / "r.yaml").write_text(RECIPE.format(**places))
    words = ["build", folder / "r.yaml", "--out", folder / "out", "--workers", 0]
    cli.app([str(word) for word in words], exit_on_error=False, result_action="return_value")
    return folder


def test_a_build_of_songs_records_what_its_model_hears_with(built: Path) -> None:
    said = json.loads((built / "out" / "model" / "config.json").read_text())
    record = said["audio_encoder"]
    settings = {"encoder": f"hub:{built / 'encoder'}", "layer": 1, "rate": "5", "dtype": "float32"}
    assert record["settings"] == settings | {"weights": None, "compat": None}
    assert (record["width"], record["frames_per_second"], record["window_seconds"]) == (16, "5", 5.0)
    assert record["version"] == stages.about(built / "out" / "embeddings")["config"]["version"]
    assert said["base_name"] == str(built / "base")


def test_a_song_is_heard_in_the_frames_that_its_clips_were_trained_on(built: Path) -> None:
    trained = Embeddings(built / "out" / "embeddings")
    assert list(trained) == ["a@0.00", "a@5.00", "b@0.00"]
    heard = llark.load(built / "out" / "model").embed(built / "songs" / "a.flac")
    assert heard.shape == (35, 16)
    joined = np.concatenate([trained["a@0.00"].frames, trained["a@5.00"].frames]).astype(np.float32)
    np.testing.assert_allclose(heard, joined, atol=2e-3, rtol=2e-3)


def test_the_built_model_is_asked_like_any_other_and_is_shown_no_facts(
    built: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built / "songs")
    words = ["ask", "a.flac", "Which key?", "How fast?", "--model", built / "out" / "model", "--json"]
    cli.app([*map(str, words), "--device", "cpu"], exit_on_error=False, result_action="return_value")
    page = json.loads(capsys.readouterr().out)
    assert [one["question"] for one in page["answers"]] == ["Which key?", "How fast?"]
    assert [one["saw_facts"] for one in page["answers"]] == [False, False]
    assert page["facts"]["end_seconds"] == pytest.approx(7.0, abs=0.01)


def test_answers_are_those_of_the_model_to_its_encoders_frames(built: Path) -> None:
    listener = llark.load(built / "out" / "model", device="cpu")
    result = listener.ask(built / "songs" / "b.flac", "Which key?")
    frames = listener.embed(built / "songs" / "b.flac")
    assert [one.text for one in result.answers] == listener.answer(["Which key?"], frames)
    forced = listener.ask(built / "songs" / "b.flac", "Which key?", facts=True)
    assert forced.answers[0].facts == forced.facts


def test_weights_that_moved_are_named_and_others_are_refused(built: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in (built / "out" / "model").iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    moved = tmp_path / "moved"
    tiny_hub.hubert(moved)
    page = json.loads((model / "config.json").read_text())
    page["audio_encoder"]["settings"]["encoder"] = "hub:/nowhere/encoder"
    (model / "config.json").write_text(json.dumps(page))
    asked = built / "songs" / "b.flac"
    with pytest.raises(
        UserMustAct, match=r"needs the encoder hub:/nowhere/encoder.* cannot be loaded.*--encoder-weights"
    ):
        llark.load(model).embed(asked)
    heard = llark.load(model, encoder_weights=str(moved)).embed(asked)
    assert np.array_equal(heard, llark.load(built / "out" / "model").embed(asked))
    other = tiny_hub.whisper(tmp_path / "other")
    with pytest.raises(UserMustAct, match=r"does not give: .*first is the model's"):
        llark.load(model, encoder_weights=str(other)).embed(asked)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"width": 20}, "width: 20 and 16"),
        ({"version": "0"}, "version: 0 and "),
        ({"frames_per_second": "4"}, "frames a second: 4 and 5"),
    ],
)
def test_frames_that_would_be_others_than_in_training_are_refused(
    built: Path, changed: dict[str, Any], said: str
) -> None:
    mine = records.of_model(built / "out" / "model")
    with pytest.raises(UserMustAct, match=f"does not give: {said}"):
        records.load(replace(mine, **changed))


def test_a_model_that_does_not_say_what_it_hears_with_can_still_be_given_frames(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"audio_width": 7}')
    with pytest.raises(UserMustAct, match=r"frames of width 7 .*llark infer"):
        llark.load(tmp_path)
    (tmp_path / "config.json").write_text('{"audio_width": 7, "audio_encoder": {"settings": {"who": 1}}}')
    with pytest.raises(UserMustAct, match="audio_encoder is not as this release writes it"):
        llark.load(tmp_path)


def test_the_model_in_the_package_hears_with_mini() -> None:
    bundled = records.of_model(bundled_model())
    assert (bundled.settings.encoder, bundled.width, bundled.is_bundled) == ("mini", 2436, True)
    assert ModelOptions(Path("mini")).folder == ModelOptions().folder == bundled_model()


def stage(folder: Path, name: str, records: list[object], config: object = None) -> None:
    with stages.open_stage(folder, name, config) as writer:
        for number, record in enumerate(records):
            writer.write(str(number), [record])
        writer.finish()


def embeddings(folder: Path, config: dict[str, Any], width: int = 4) -> Path:
    with stages.open_stage(folder, "embed", config) as writer:
        writer.write("c", [Embedding("c", "x", np.ones((10, width), np.float16), 2.0)])
        writer.finish()
    return folder


def test_every_kind_of_embeddings_folder_says_what_made_it(tmp_path: Path) -> None:
    by_build = records.record_of([embeddings(tmp_path / "a", {"encoder": "mini-3"})])
    assert (by_build["settings"]["encoder"], by_build["version"], by_build["frames_per_second"]) == (
        "mini", "mini-3", "2",
    )  # fmt: skip
    assert by_build["window_seconds"] == 5.0
    published = {
        "settings": {"encoder": "jukebox-llark"},
        "version": "imported",
        "frames_per_second": "11025/1088",
    }
    imported = records.record_of([embeddings(tmp_path / "b", published)])
    assert imported["settings"] == EncoderOptions("jukebox", compat="llark").__dict__
    assert imported["frames_per_second"] == "11025/1088"
    assert records.record_of([embeddings(tmp_path / "c", {})]) == {}
    with pytest.raises(UserMustAct, match=r"different encoders .encoder: mini and jukebox"):
        records.record_of([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize(("width", "encoder", "rate"), [(4800, "jukebox", "11025/1088"), (512, "clap", "")])
def test_published_checkpoints_hear_with_the_encoders_of_their_paper(
    width: int, encoder: str, rate: str
) -> None:
    record = records.of_published(width)
    assert (record["settings"]["encoder"], record["frames_per_second"]) == (encoder, rate)
    assert records.of_published(7) == {}


def test_answers_to_frames_of_another_encoder_are_refused(built: Path, tmp_path: Path) -> None:
    place = embeddings(tmp_path / "e", {"encoder": "mini-3"}, 16)
    words = ["infer", built / "out" / "model", "--data", place, "--prompt", "?", "--out", tmp_path / "a.csv"]
    with pytest.raises(UserMustAct, match=r"other frames than those .*encoder: hub"):
        cli.app([str(word) for word in words], exit_on_error=False, result_action="return_value")


def test_clips_are_heard_again_for_a_model_of_other_ears_and_once_only(built: Path, tmp_path: Path) -> None:
    model = built / "out" / "model"
    clips = {clip.id: clip for clip in stages.read(built / "out" / "clips", Clip)}
    own = Embeddings(built / "out" / "embeddings")
    assert listen.for_model(model, own, clips, tmp_path / "again") is own
    foreign = Embeddings(embeddings(tmp_path / "e", {"encoder": "mini-3"}, 16))
    heard = listen.for_model(model, foreign, clips, tmp_path / "again")
    for clip in clips:
        np.testing.assert_allclose(heard[clip].frames, own[clip].frames, atol=2e-3)
    with pytest.raises(StoreMismatch):
        listen.for_model(model, foreign, {"a@0.00": clips["a@0.00"]}, tmp_path / "again")


def test_an_evaluation_takes_the_encoder_from_where_its_weights_have_moved(
    built: Path, tmp_path: Path
) -> None:
    data, model = tmp_path / "data", tmp_path / "model"
    shutil.copytree(built / "out", data)
    shutil.rmtree(data / "embeddings")
    shutil.copytree(built / "out" / "model", model)
    clips = list(stages.read(data / "clips", Clip))
    stage(
        data / "truths", "prepare", [Annotation(clip.id, 0, 5, key=Key("C major", 1, "t")) for clip in clips]
    )
    foreign = [Embedding(clip.id, "x", np.ones((10, 16), np.float16), 2.0) for clip in clips]
    stage(data / "embeddings", "embed", list(foreign), {"encoder": "mini-3"})
    page = json.loads((model / "config.json").read_text())
    page["audio_encoder"]["settings"]["encoder"] = "hub:/nowhere/encoder"
    (model / "config.json").write_text(json.dumps(page))
    words = ["evaluate", model, "--data", data, "--out", tmp_path / "out", "--tasks", "key"]
    words += ["--conditions", "audio", "--device", "cpu"]

    def run(*more: object) -> None:
        said = [str(word) for word in (*words, *more)]
        cli.app(said, exit_on_error=False, result_action="return_value")

    with pytest.raises(UserMustAct, match=r"cannot be loaded.*--encoder-weights"):
        run()
    with pytest.raises(UserMustAct, match="does not give"):
        run("--encoder-weights", tiny_hub.whisper(tmp_path / "whisper"))
    run("--encoder-weights", tiny_hub.hubert(tmp_path / "moved"))
    heard = Embeddings(tmp_path / "out" / "heard" / "model")
    own = Embeddings(built / "out" / "embeddings")
    assert heard[clips[0].id].frames.shape == own[clips[0].id].frames.shape
    np.testing.assert_allclose(heard[clips[0].id].frames, own[clips[0].id].frames, atol=2e-3)
    about = json.loads((tmp_path / "out" / "scores.json").read_text())["about"]
    assert about["encoder weights"] == str(tmp_path / "moved")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nprepare: {source: music}\ntrain: {heads: {}}", "write them null with prepare.source"),
        (
            "name: x\nprepare: {source: music}\ncorpus: {clips: 9}",
            "renders no corpus",
        ),
    ],
)
def test_recipes_of_songs_that_contradict_themselves_are_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserMustAct, match=said):
        recipe.load(tmp_path / "r.yaml")
