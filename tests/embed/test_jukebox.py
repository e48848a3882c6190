"""Jukebox against openai/jukebox and against the published extraction, on small random models."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llark.embed.checkpoint import Checkpoint
from llark.embed.encoder import TOLERANCE, Device, EncoderOptions, Sound
from llark.embed.jukebox import convert, encoder, sizes
from llark.embed.jukebox.net import Jukebox
from llark.embed.jukebox.sizes import SAMPLE_RATE, Sizes
from llark.errors import BadAudio, UserMustAct
from llark.pipeline import embed as walk
from tests.embed.jukebox_goldens import GOLDENS, MODELS, sound
from tests.embed.tiny_jukebox import checkpoint, converted, sizes_of


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(GOLDENS) as found:
        return dict(found)


@pytest.fixture(scope="module")
def folders(goldens: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each model converted from files in the format of the released ones."""
    return {name: converted(goldens, name, tmp_path_factory.mktemp("jukebox")) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_codes_are_the_references_exactly(
    name: str, folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    net = Jukebox(folders[name], Device(), in_memory=False)
    context = MODELS[name]["context"]
    codes = net.codes(sound(context * 128), context, context * 128)
    np.testing.assert_array_equal(codes, goldens[f"{name}/codes"])
    assert len(np.unique(codes)) > 20


@pytest.mark.parametrize("name", MODELS)
def test_the_place_in_time_is_the_references(
    name: str, folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    net = Jukebox(folders[name], Device(), in_memory=False)
    timed = net.places - net.prior.positions
    np.testing.assert_allclose(timed, goldens[f"{name}/places"], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_the_references(
    name: str, folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    net = Jukebox(folders[name], Device(), in_memory=False)
    codes = torch.from_numpy(goldens[f"{name}/codes"].astype(np.int64))[None]
    wanted = goldens[f"{name}/layers"]
    assert len(wanted) == MODELS[name]["depth"]
    with torch.inference_mode():
        x = net.prior.begin(codes, net.places, torch.float32)
        for depth, layer in enumerate(net._read()):
            x = layer(x)
            np.testing.assert_allclose(x[0], wanted[depth], atol=1e-4)
    assert wanted.std() > 0.1
    np.testing.assert_array_equal(net.activations([codes[0]])[0], x[0])


@pytest.mark.parametrize("name", MODELS)
def test_the_first_activations_need_their_own_codes_alone(
    name: str, folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    net = Jukebox(folders[name], Device(batch=3), in_memory=True)
    codes = torch.from_numpy(goldens[f"{name}/codes"].astype(np.int64))
    lengths = (1, 7, 33, len(codes) - 5, len(codes))
    for length, found in zip(lengths, net.activations([codes[:n] for n in lengths]), strict=True):
        np.testing.assert_allclose(found, goldens[f"{name}/layers"][-1][:length], atol=1e-4)


def test_the_published_extraction_is_reproduced_for_every_length(
    folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    listen = encoder.load(EncoderOptions("jukebox", weights=str(folders["whole"]), compat="llark"), Device())
    context = MODELS["whole"]["context"]
    lengths = [int(share * context * 128) for share in (0.31, 0.7321, 1.0, 1.4)]
    heard = listen([Sound(0.4 * sound(length), SAMPLE_RATE) for length in lengths])
    for length, found in zip(lengths, heard, strict=True):
        wanted = goldens[f"whole/published/{length}"]
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert heard[-1].shape == (context // 34, 32)
    assert listen.card.frames_per_second == Fraction(SAMPLE_RATE, 128 * 34)
    with pytest.raises(BadAudio, match="too short for compat llark"):
        listen([Sound(sound(4000), SAMPLE_RATE)])


# --- the corrected mode -----------------------------------------------------------------------------------


def listener(folder: Path, **said: Any) -> encoder.JukeboxEncoder:
    return encoder.load(EncoderOptions("jukebox", weights=str(folder), **said), Device(batch=2))


@pytest.mark.parametrize("windows", [0.2, 1.0, 1.37, 3.1])
def test_every_second_of_a_clip_is_heard_on_an_exact_grid(windows: float, folders: dict[str, Path]) -> None:
    samples = int(windows * MODELS["whole"]["context"] * 128)
    heard = listener(folders["whole"])([Sound(sound(samples), SAMPLE_RATE)])[0]
    assert heard.shape == (-(-samples * 10 // SAMPLE_RATE), 32)
    assert np.isfinite(heard).all()
    assert heard.std() > 0.1


def test_the_first_window_is_the_references_averaged_by_overlap(
    folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    context = MODELS["whole"]["context"]
    samples = sound(context * 128)
    net = Jukebox(folders["whole"], Device(), in_memory=False)
    wanted = net.activations([net.codes(samples, context)])[0]
    heard = listener(folders["whole"], rate="native")([Sound(samples, SAMPLE_RATE)])[0]
    np.testing.assert_allclose(heard, wanted, atol=1e-5)
    in_memory = context - 40  # the clip's last codes hear silence after it, the reference's hear zeros
    np.testing.assert_allclose(heard[:in_memory], goldens["whole/layers"][-1][:in_memory], atol=1e-4)


def test_what_comes_after_the_first_window_changes_with_the_sound_there(folders: dict[str, Path]) -> None:
    context = MODELS["whole"]["context"] * 128
    long = sound(int(2.2 * context))
    listen = listener(folders["whole"])
    whole = listen([Sound(long, SAMPLE_RATE)])[0]
    quiet = long.copy()
    quiet[int(1.5 * context) :] = 0.0
    changed = np.abs(listen([Sound(quiet, SAMPLE_RATE)])[0] - whole).max(axis=1) > 1e-3
    first = int(1.5 * context / SAMPLE_RATE * 10)
    assert not changed[: first - 1].any()
    assert changed[first + 1 :].mean() > 0.8


def test_one_vector_a_clip_is_the_mean_and_the_level_is_left_as_it_is(folders: dict[str, Path]) -> None:
    samples = sound(9000)
    native = listener(folders["whole"], rate="native")([Sound(samples, SAMPLE_RATE)])[0]
    one = listener(folders["whole"], rate="clip")([Sound(samples, SAMPLE_RATE)])[0]
    share = np.minimum(128, 9000 - 128 * np.arange(len(native)))[:, None] / 9000
    np.testing.assert_allclose(one, (native * share).sum(0, keepdims=True), atol=1e-5)
    louder = listener(folders["whole"], rate="clip")([Sound(3 * samples, SAMPLE_RATE)])[0]
    assert np.abs(louder - one).max() > 1e-3


def test_bfloat16_moves_frames_by_less_than_is_stated(folders: dict[str, Path]) -> None:
    settings = EncoderOptions("jukebox", weights=str(folders["whole"]))
    heard = [
        encoder.load(settings, Device(dtype=dtype))([Sound(sound(40_000), SAMPLE_RATE)])[0]
        for dtype in ("float32", "bfloat16")
    ]
    moved = np.sqrt(np.mean((heard[0] - heard[1]) ** 2)) / heard[0].std()
    assert 0.0 < moved < TOLERANCE["bfloat16"]


# --- conversion -------------------------------------------------------------------------------------------


def test_both_formats_of_a_checkpoint_give_what_torch_gives(
    goldens: dict[str, np.ndarray], tmp_path: Path
) -> None:
    tensors = checkpoint(goldens, "square", "prior")
    tensors = {f"module.{name}": value for name, value in tensors.items()}
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth.tar"
        page = {"model": OrderedDict(tensors), "hps": {"a": (1, 2.0, None, "x")}, "opt": [1], "step": 7}
        torch.save(page, path, _use_new_zipfile_serialization=zipped)
        theirs = torch.load(path, weights_only=True)["model"]
        found = Checkpoint(path)
        assert set(found) == {name.removeprefix("module.") for name in theirs}
        for name, value in theirs.items():
            own = found[name.removeprefix("module.")]
            assert own.dtype == value.dtype
            torch.testing.assert_close(own, value, rtol=0, atol=0)


def test_views_and_shared_numbers_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).view(4, 6)
    model = {"all": base, "turned": base.t(), "row": base[2], "half": base[:, 1::2], "none": torch.zeros(0)}
    torch.save({"model": model}, tmp_path / "views.pth.tar", _use_new_zipfile_serialization=False)
    found = Checkpoint(tmp_path / "views.pth.tar")
    for name in ("all", "turned", "row", "half"):
        torch.testing.assert_close(found[name], model[name], rtol=0, atol=0)


class Trap:
    """What a hostile checkpoint would run."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.system, ("touch trapped",))


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for zipped in (True, False):
        page = {"model": {"a": torch.ones(2)}, "hps": Trap()}
        torch.save(page, tmp_path / "hostile.pth.tar", _use_new_zipfile_serialization=zipped)
        if zipped:
            with pytest.raises(UserMustAct, match="no checkpoint that can be read safely"):
                Checkpoint(tmp_path / "hostile.pth.tar")
        else:
            torch.testing.assert_close(Checkpoint(tmp_path / "hostile.pth.tar")["a"], torch.ones(2))
        assert not (tmp_path / "trapped").exists()


def test_only_what_is_used_is_written_and_the_matrices_take_two_bytes(
    folders: dict[str, Path], goldens: dict[str, np.ndarray]
) -> None:
    folder = folders["square"]
    first = convert.state(folder, convert.FIRST)
    assert not [name for name in first if "decoder" in name or "artist" in name]
    layer = convert.state(folder, convert.layer_file(0))
    assert layer["mlp_in.weight"].dtype == torch.float16
    np.testing.assert_array_equal(
        layer["mlp_in.weight"], goldens["square/prior/prior.transformer._attn_mods.0.mlp.c_fc.w"].T
    )
    parts = [convert.state(folder, path.name) for path in folder.glob("*.safetensors")]
    prior = [value for part in parts for name, value in part.items() if not name.startswith("vq.")]
    assert sum(value.nbytes for value in prior) == sizes.disk_bytes(sizes_of("square"))
    assert "non-commercial" in json.loads((folder / convert.CONFIG).read_text())["licence"]


def test_a_converted_model_says_what_it_was_made_from_and_its_frames_too(folders: dict[str, Path]) -> None:
    versions = []
    for folder in folders.values():
        made_from = convert.about(folder)["made_from"]
        assert list(made_from) == ["vqvae", "prior"]
        for name, said in made_from.items():
            data = (folder.parent / f"{name}.pth.tar").read_bytes()
            assert said == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        versions.append(encoder.load(EncoderOptions("jukebox", weights=str(folder)), Device()).card.version)
        printed = walk.convert_jukebox(
            folder.parent / "vqvae.pth.tar", folder.parent / "prior.pth.tar", folder
        )
        assert f"from prior: {len(data):,} bytes, SHA-256 {made_from['prior']['sha256']}" in printed
    assert len(set(versions)) == len(folders)
    assert all(version.startswith("1-") for version in versions)


def test_layers_beyond_those_that_are_kept_are_never_read(
    goldens: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("vqvae", "prior"):
        page = {"model": checkpoint(goldens, "whole", part)}
        torch.save(page, tmp_path / f"{part}.pth.tar", _use_new_zipfile_serialization=False)
    read: list[str] = []
    plain = Checkpoint.__getitem__

    def spy(self: Checkpoint, name: str) -> torch.Tensor:
        read.append(name)
        return plain(self, name)

    monkeypatch.setattr(Checkpoint, "__getitem__", spy)
    sizes = replace(sizes_of("whole"), prior=replace(sizes_of("whole").prior, depth=2))
    convert.convert(tmp_path / "vqvae.pth.tar", tmp_path / "prior.pth.tar", tmp_path / "out", sizes)
    assert [name for name in read if "_attn_mods.1." in name]
    assert not [name for name in read if "_attn_mods.2." in name or "x_out" in name]
    net = Jukebox(tmp_path / "out", Device(), in_memory=False)
    heard = net.activations([torch.from_numpy(goldens["whole/codes"].astype(np.int64))])[0]
    np.testing.assert_allclose(heard, goldens["whole/layers"][1], atol=1e-4)


def test_the_wrong_file_is_refused_and_no_folder_says_how_to_get_one(
    goldens: dict[str, np.ndarray], tmp_path: Path
) -> None:
    torch.save({"model": checkpoint(goldens, "square", "prior")}, tmp_path / "prior.pth.tar")
    (tmp_path / "text.pth.tar").write_text("a shopping list")
    wrong = sizes_of("whole")
    with pytest.raises(UserMustAct, match="is it the other file, or of another model"):
        convert.convert(tmp_path / "prior.pth.tar", tmp_path / "prior.pth.tar", tmp_path / "out", wrong)
    with pytest.raises(UserMustAct, match="no checkpoint that can be read safely"):
        convert.convert(tmp_path / "text.pth.tar", tmp_path / "prior.pth.tar", tmp_path / "out", wrong)
    with pytest.raises(UserMustAct, match="There is no checkpoint"):
        convert.convert(tmp_path / "none", tmp_path / "prior.pth.tar", tmp_path / "out", wrong)
    with pytest.raises(UserMustAct, match=r"holds no converted Jukebox\. Get vqvae\.pth\.tar"):
        encoder.load(EncoderOptions("jukebox", weights=str(tmp_path)), Device())
    with pytest.raises(UserMustAct, match="jukebox needs --weights FOLDER"):
        encoder.load(EncoderOptions("jukebox"), Device())


def test_the_full_models_counted_cost_is_what_its_sizes_say() -> None:
    full = Sizes()
    assert full.window_samples == 1_048_576
    assert sizes.prior_weights(full.prior) == 36 * (4800 * 3600 + 1200 * 4800 + 2 * 4800**2)
    assert sizes.disk_bytes(full) == pytest.approx(5.2e9, rel=0.01)
    assert sizes.memory_bytes(full, "bfloat16", 8) < 24e9 / 2
    assert encoder.published_rate(full) == Fraction(44_100, 4352)
    assert "| 24 GB GPU (GeForce RTX 4090) | bfloat16 |" in sizes.table()
