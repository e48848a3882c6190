"""The embed stage as a user runs it: clips in, shards out, and back."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import uuid
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from llark import audio, cli
from llark.embed import layouts, step
from llark.embed.encoder import Device, EncoderOptions, Sound
from llark.errors import BadAudio, StoreMismatch, UserMustAct
from llark.pipeline import embed as walk
from llark.records import Clip, Embedding
from llark.storage import folders, stages
from llark.storage.embeddings import Embeddings
from tests.embed import tiny_hub

RATE = 16_000


def make_clips(folder: Path, seconds: tuple[float, ...] = (1.0, 0.4, 2.3)) -> Path:
    """A prepared folder of short recordings, and one file that is no sound."""
    clips = []
    for number, length in enumerate(seconds):
        path = folder / f"song {number}.wav"
        time = np.arange(round(length * RATE)) / RATE
        audio.save(path, (0.2 * np.sin(2 * np.pi * 220 * (number + 1) * time)).astype(np.float32), RATE)
        clips.append(Clip(f"rock/song {number}@0", f"song {number}", str(path), 0.0, length))
    (folder / "text.wav").write_text("a shopping list")
    clips.append(Clip("text@0", "text", str(folder / "text.wav"), 0.0, 1.0))
    with stages.open_stage(folder / "prepared" / "clips", "prepare", {"x": 1}) as writer:
        for clip in clips:
            writer.write(clip.id, [clip])
        writer.finish()
    return folder / "prepared"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clips(tmp_path_factory.mktemp("songs"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> EncoderOptions:
    return EncoderOptions(f"hub:{tiny_hub.dasheng(tmp_path_factory.mktemp('dasheng'))}", rate="10")


@pytest.fixture(scope="module")
def embedded(prepared: Path, model: EncoderOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "embeddings"
    walk.run(str(prepared), str(out), model, Device(batch=2))
    return out


def test_every_clip_says_what_it_covers_and_what_is_lost_has_a_reason(embedded: Path) -> None:
    found = Embeddings(embedded)
    assert list(found) == ["rock/song 0@0", "rock/song 1@0", "rock/song 2@0"]
    third = found["rock/song 2@0"]
    assert third.frames.shape == (23, 16)
    assert third.frames.dtype == np.float16
    assert third.exact_rate == 10
    assert (third.start_seconds, third.end_seconds) == (0.0, 2.3)
    assert found.entry("rock/song 1@0")["shape"] == (4, 16)
    assert [(drop.id, drop.reason) for drop in stages.read_dropped(embedded)] == [("text@0", "not-audio")]
    page = stages.about(embedded)
    assert page["config"]["frames_per_second"] == "10"
    assert page["config"]["licence"] == "Apache-2.0"
    assert page["inputs"][0]["stage"] == "prepare"


def test_a_worker_makes_the_same_frames_as_a_batch_here(
    embedded: Path, prepared: Path, model: EncoderOptions, tmp_path: Path
) -> None:
    walk.run(str(prepared), str(tmp_path / "other"), model, Device(), workers=1)
    here, there = Embeddings(embedded), Embeddings(tmp_path / "other")
    for clip_id, embedding in here.items():
        np.testing.assert_allclose(there[clip_id].frames, embedding.frames, atol=2e-3)
    assert stages.about(tmp_path / "other")["counts"] == stages.about(embedded)["counts"]


def test_a_stopped_stage_goes_on_and_other_settings_are_refused(
    prepared: Path, model: EncoderOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "out")
    heard: list[int] = []

    class Stops:
        """Hears one batch, and then somebody pulls the plug."""

        def __init__(self, inner: object) -> None:
            self.card = inner.card  # type: ignore[attr-defined]
            self.inner = inner

        def __call__(self, sounds: list[Sound]) -> list[np.ndarray]:
            if heard:
                raise KeyboardInterrupt
            heard.append(len(sounds))
            return self.inner(sounds)  # type: ignore[operator,no-any-return]

    from llark import embed

    plain = embed.load
    monkeypatch.setattr(embed, "load", lambda *given: Stops(plain(*given)))
    with pytest.raises(KeyboardInterrupt):
        walk.run(str(prepared), out, model, Device(batch=2))
    monkeypatch.setattr(embed, "load", plain)
    assert heard == [2]
    said = walk.run(str(prepared), out, model, Device(batch=2))
    assert "3 of 4 clips embedded" in said
    assert "dropped: not-audio 1" in said
    with pytest.raises(StoreMismatch, match=r"frames_per_second: \"10\" there"):
        walk.run(str(prepared), out, EncoderOptions(model.encoder, rate="5"), Device())


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(BadAudio("too-short", "It is too short."), "too-short"), (ValueError("odd"), "error:ValueError")],
)
def test_a_clip_that_breaks_a_batch_costs_no_other(prepared: Path, trouble: Exception, reason: str) -> None:
    class Picky:
        card = step.embed.load(EncoderOptions("mini", rate="native"), Device()).card

        def __call__(self, sounds: list[Sound]) -> list[np.ndarray]:
            if any(len(sound.samples) < RATE / 2 for sound in sounds):
                raise trouble
            return [np.ones((2, 3), np.float32) for _ in sounds]

    clips = list(stages.read(prepared / "clips", Clip))
    found = [o.outputs[0] for o in step.outcomes(Picky(), clips, {clips[0].id}, batch=4)]  # type: ignore[arg-type]
    assert [getattr(one, "reason", "frames") for one in found] == [reason, "frames", "not-audio"]


def test_a_long_clip_is_heard_from_its_file_and_gives_the_same_frames(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = EncoderOptions("mini", rate="native")
    monkeypatch.setattr(step, "LONG_SECONDS", 2.0)
    walk.run(str(prepared), str(tmp_path / "streamed"), mini, Device(batch=2))
    monkeypatch.setattr(step, "LONG_SECONDS", 60.0)
    streamed, held = Embeddings(tmp_path / "streamed"), step.embed.load(mini, Device())
    for clip in stages.read(prepared / "clips", Clip):
        if clip.id in streamed:
            frames = held([step.read(clip)])[0].astype(np.float16)
            np.testing.assert_array_equal(streamed[clip.id].frames, frames)
    assert list(streamed) == ["rock/song 0@0", "rock/song 1@0", "rock/song 2@0"]
    assert streamed["rock/song 2@0"].end_seconds == 2.3
    assert [drop.id for drop in stages.read_dropped(tmp_path / "streamed")] == ["text@0"]


def test_changed_bytes_are_found(prepared: Path, model: EncoderOptions, tmp_path: Path) -> None:
    walk.run(str(prepared), str(tmp_path / "out"), model, Device())
    assert "3 clips, all as they were written" in walk.verify(str(tmp_path / "out"))
    shard = tmp_path / "out" / "part-00000.safetensors"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(UserMustAct, match="the frames of 1 clips are damaged, rock/song"):
        walk.verify(str(tmp_path / "out"))
    shard.write_bytes(data[:-20])
    with pytest.raises(UserMustAct, match="the frames of 3 clips are damaged, rock/song 0@0 among them"):
        walk.verify(str(tmp_path / "out"))
    shard.unlink()
    with pytest.raises(UserMustAct, match="the frames of 3 clips are damaged"):
        walk.verify(str(tmp_path / "out"))


def test_below_a_url_one_clip_is_one_ranged_read() -> None:
    place = f"memory://{uuid.uuid4().hex}"
    clips = [Clip(f"{n}@0", str(n), f"{n}.wav", 2.0 * n, 2.0 * n + 2) for n in range(50)]
    with stages.open_stage(place, "embed") as writer:
        for clip in clips:
            frames = np.full((20, 100), float(clip.start_seconds), np.float16)
            writer.write(clip.id, [Embedding.of_clip(clip, "x 1", frames, Fraction(10), Fraction(2))])
        writer.finish()
    found = Embeddings(place)
    read: list[int] = []
    system, _ = folders.filesystem(place)
    plain = type(system).cat_file

    def spy(self: object, path: str, start: int | None = None, end: int | None = None) -> bytes:
        data: bytes = plain(self, path, start=start, end=end)
        read.append(len(data))
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(system), "cat_file", spy)
        assert found["31@0"].frames[3, 5] == 62.0
        read.clear()
        assert found["7@0"].start_seconds == 14.0
    assert read == [20 * 100 * 2]


def test_an_object_store_holds_the_same_frames_and_finds_what_was_changed(
    bucket: str, prepared: Path, model: EncoderOptions, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{bucket}/{uuid.uuid4().hex}"
    walk.run(str(prepared), place, model, Device(batch=2))
    there = Embeddings(place)
    for clip_id, embedding in Embeddings(embedded).items():
        np.testing.assert_array_equal(there[clip_id].frames, embedding.frames)
        assert there[clip_id].exact_rate == 10
    assert "3 clips, all as they were written" in walk.verify(place)
    whole = folders.folder(place).read("part-00000.safetensors")
    folders.folder(place).write("part-00000.safetensors", whole[:-3] + b"abc")
    with pytest.raises(UserMustAct, match="the frames of 1 clips are damaged, rock/song 2@0"):
        walk.verify(place)
    folders.folder(place).write("part-00000.safetensors", whole[:-20])
    with pytest.raises(UserMustAct, match="the frames of 1 clips are damaged, rock/song 2@0"):
        walk.verify(place)


# --- published layouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_an_export_comes_back_as_it_was(layout: str, embedded: Path, tmp_path: Path) -> None:
    assert walk.export(str(embedded), tmp_path / "out", layout).startswith("3 clips in")
    walk.import_(tmp_path / "out", str(tmp_path / "back"), "dasheng", "10")
    there, back = Embeddings(embedded), Embeddings(tmp_path / "back")
    assert sorted(back) == sorted(there)
    for clip_id, embedding in there.items():
        np.testing.assert_array_equal(back[clip_id].frames, embedding.frames)
        assert back[clip_id].exact_rate == 10
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    if layout == "npy":
        assert names == ["index.jsonl", "rock_song_0@0.npy", "rock_song_1@0.npy", "rock_song_2@0.npy"]
        assert np.load(tmp_path / "out" / names[1]).shape == (10, 16)
    else:
        assert names == ["embeddings-000000.tar", "index.jsonl"]
        with tarfile.open(tmp_path / "out" / names[0]) as tar:
            first = tar.extractfile("rock_song_0@0.audio_encoding.npy")
            assert first is not None
            assert np.load(io.BytesIO(first.read())).shape == (1, 10, 16)
    with pytest.raises(StoreMismatch, match="is not empty"):
        walk.export(str(embedded), tmp_path / "out", layout)


def test_the_published_files_are_read_whether_they_are_1_n_d_or_n_d(tmp_path: Path) -> None:
    source = tmp_path / "npy"
    source.mkdir()
    frames = np.random.default_rng(0).normal(size=(240, 6)).astype(np.float32)
    np.save(source / "one-start30.000-end60.000.npy", frames)
    np.save(source / "two.npy", frames[None])
    np.save(source / "vector.npy", frames[0])
    np.save(source / "text.npy", np.array(["a"]))
    np.save(source / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    walk.import_(source, str(tmp_path / "out"), "jukebox-llark", "44100/4352")
    found = Embeddings(tmp_path / "out")
    assert found["one-start30.000-end60.000"].frames.shape == (240, 6)
    np.testing.assert_array_equal(found["two"].frames, frames.astype(np.float16))
    assert found["vector"].frames.shape == (1, 6)
    assert found["two"].end_seconds == pytest.approx(23.684, abs=1e-3)
    assert found["two"].exact_rate == Fraction(44_100, 4352)
    drops = {drop.id: drop.reason for drop in stages.read_dropped(tmp_path / "out")}
    assert drops == {"text": "not-frames", "objects": "not-npy"}


def test_what_an_export_says_of_each_clip_holds_over_what_is_said_of_all(tmp_path: Path) -> None:
    place = tmp_path / "vectors"
    with stages.open_stage(place, "embed") as writer:
        for n in (1, 2):
            clip = Clip(f"s{n}@5", f"s{n}", "x.wav", 5.0, 5.0 + n)
            frames = np.full((1, 3), n, np.float16)
            writer.write(clip.id, [Embedding.of_clip(clip, "x 1", frames, Fraction(1, n), Fraction(n))])
        writer.finish()
    for layout in layouts.LAYOUTS:
        walk.export(str(place), tmp_path / layout, layout)
        walk.import_(tmp_path / layout, str(tmp_path / f"back {layout}"), "x", "10")
        back = Embeddings(tmp_path / f"back {layout}")
        assert [one.exact_rate for one in back.values()] == [1, Fraction(1, 2)]
        assert [(one.start_seconds, one.end_seconds) for one in back.values()] == [(5.0, 6.0), (5.0, 7.0)]


def test_two_samples_of_one_id_are_counted_and_folders_tell_them_apart(tmp_path: Path) -> None:
    frames = np.ones((2, 3), np.float32)
    for folder in ("a", "b"):
        (tmp_path / "npy" / folder).mkdir(parents=True)
        np.save(tmp_path / "npy" / folder / "same.npy", frames)
    walk.import_(tmp_path / "npy", str(tmp_path / "out"), "x", "10")
    assert list(Embeddings(tmp_path / "out")) == ["a/same", "b/same"]
    (tmp_path / "tars").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "tars" / f"{number}.tar", "w") as tar:
            data = io.BytesIO()
            np.save(data, frames + number)
            for name in ("one", f"own {number}"):
                layouts._add(tar, f"{name}.audio_encoding.npy", data.getvalue())
                layouts._add(tar, f"{name}.json", json.dumps({"clip_id": name}).encode())
    walk.import_(tmp_path / "tars", str(tmp_path / "two"), "x", "10")
    found = Embeddings(tmp_path / "two")
    assert list(found) == ["one", "own 0", "own 1"]
    assert found["one"].frames.max() == 1.0
    drops = [(drop.id, drop.reason) for drop in stages.read_dropped(tmp_path / "two")]
    assert drops == [("one (2)", "same-id")]


def test_of_a_tar_one_sample_is_in_memory_at_a_time(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "plain.tar", "w") as tar:
        for number in range(3):
            data = io.BytesIO()
            np.save(data, np.ones((2, 3), np.float32))
            layouts._add(tar, f"{number}.npy", data.getvalue())
    with tarfile.open(tmp_path / "plain.tar") as tar:
        first = next(layouts._of_tar(tar, tmp_path, strict=True))
        assert (first.name, tar.offset < 3 * 2048) == ("0", True)


def test_what_is_no_json_or_no_time_is_said(tmp_path: Path) -> None:
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "x.npy", np.ones((2, 3), np.float32))
    index = tmp_path / "npy" / "index.jsonl"
    index.write_text("{\n")
    with pytest.raises(UserMustAct, match=r"index\.jsonl, line 1, is no JSON"):
        walk.import_(tmp_path / "npy", str(tmp_path / "out"), "x", "10")
    index.write_text('{"file": "x.npy", "rate": "often"}\n{"file": "y.npy"}\n')
    walk.import_(tmp_path / "npy", str(tmp_path / "other"), "x", "10")
    drops = [(drop.id, drop.reason) for drop in stages.read_dropped(tmp_path / "other")]
    assert drops == [("x", "not-times")]


def test_pickles_are_refused_unread_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("it was unpickled"))
    data = b"cos\nsystem\n(S'touch trapped'\ntR."
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for name, content in (("a.json", b"{}"), ("a.audio_encoding.pyd", data)):
            layouts._add(tar, name, content)
    (tmp_path / "b.audio_encoding.pyd").write_bytes(data)
    for source in (tmp_path / "shard.tar", tmp_path):
        with pytest.raises(UserMustAct, match=r"It is a pickle.*numpy\.save"):
            walk.import_(source, str(tmp_path / "out"), "jukebox", "10")
    with pytest.raises(UserMustAct, match="no number of frames"):
        walk.import_(tmp_path / "shard.tar", str(tmp_path / "out"), "jukebox", "often")
    with pytest.raises(UserMustAct, match="There is no"):
        walk.import_(tmp_path / "nothing", str(tmp_path / "out"), "jukebox", "10")


def test_names_of_files_are_never_alike_and_hold_no_dot() -> None:
    names = layouts._names(["a/b.c", "a b.c", "A/B c", "..", "x@1.5"])
    assert len({name.lower() for name in names.values()}) == 5
    assert not [name for name in names.values() if "." in name or "/" in name]


# --- the command line -------------------------------------------------------------------------------------


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str]:
    """Exit status, and what was printed."""
    monkeypatch.setattr("sys.argv", ["llark", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out + said.err


def test_a_user_embeds_verifies_and_exports(
    prepared: Path,
    model: EncoderOptions,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("embed", prepared, "--encoder", model.encoder, "--rate", "25", "--out", tmp_path / "out")
    status, said = run(capsys, monkeypatch, *words)
    assert status == 0
    assert "3 of 4 clips embedded" in said
    assert "frames a second 25" in said
    assert run(capsys, monkeypatch, "embed", tmp_path / "out", "--verify")[0] == 0
    words = ("embed", prepared, "--encoder", "mini", "--layer", "3", "--out", tmp_path / "none")
    status, said = run(capsys, monkeypatch, *words)
    assert (status, said) == (2, "llark: mini has no use for --layer 3.\n")
    status, said = run(
        capsys,
        monkeypatch,
        "export-embeddings",
        tmp_path / "out",
        "--out",
        tmp_path / "tars",
        "--layout",
        "webdataset",
    )
    assert (status, said.count("3 clips in")) == (0, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("embed",), "There are no clips"),
        (("embed", "nowhere"), "Say with --out"),
        (("embed", "nowhere", "--out", "x"), "nowhere holds no clips: make them with llark prepare"),
        (("embed", "x", "--out", "y", "--encoder", "hub:a#b"), "b is no layer of hub:a; write it as hub:a#6"),
        (("convert-jukebox", "a", "b", "--out", "x"), "There is no checkpoint b"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = run(capsys, monkeypatch, *words)
    assert status == 2
    assert said.startswith("llark: ")
    assert says in said
    assert list(tmp_path.iterdir()) == []


def test_the_cost_of_the_full_model_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = run(capsys, monkeypatch, "embed", "--cost")
    assert status == 0
    assert "2.49 G weights, 5.19 GB on disk" in said
    assert "Not measured" in said


def test_the_exact_rate_is_in_the_index(embedded: Path) -> None:
    assert Embeddings(embedded)["rock/song 0@0"].frames_per_second == 10.0
    line = (embedded / "part-00000.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["rate"] == "10"


@pytest.mark.parametrize("rate", ["1e999999999", "-1", "1/0", "nan", "inf", "0", "9" * 5000])
def test_a_rate_that_is_no_number_is_refused_at_once(tmp_path: Path, rate: str) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    with pytest.raises(UserMustAct, match="is no number of frames a second"):
        layouts.import_(tmp_path, tmp_path / "out", "x", rate)


LYING = {
    "a shape of more than there is": b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000, 4096), }",
    "objects": b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
    "no end": b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3",
    "depth": b"(" * 5000,
}


@pytest.mark.parametrize("head", LYING)
def test_a_npy_whose_head_lies_is_a_drop(tmp_path: Path, head: str) -> None:
    text = LYING[head] + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.npy").write_bytes(data)
    (tmp_path / "in" / "b.npy").write_bytes(b"PK\x03\x04" + bytes(100))
    layouts.import_(tmp_path / "in", tmp_path / "out", "x", "2")
    assert {drop.id: drop.reason for drop in stages.read_dropped(tmp_path / "out")} == dict.fromkeys(
        "ab", "not-npy"
    )


def test_verify_finds_a_line_that_is_there_twice_and_a_drop_that_was_changed(
    prepared: Path, model: EncoderOptions, tmp_path: Path
) -> None:
    walk.run(str(prepared), str(tmp_path / "out"), model, Device())
    for name in ("part-00000.jsonl", "dropped.jsonl"):
        path = tmp_path / "out" / name
        whole = path.read_bytes()
        path.write_bytes(whole + whole.splitlines(keepends=True)[0])
        with pytest.raises(UserMustAct, match=r"not those that were written|not as it was written"):
            walk.verify(str(tmp_path / "out"))
        path.write_bytes(whole)
    assert "all as they were written" in walk.verify(str(tmp_path / "out"))
