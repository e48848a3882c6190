"""CLAP against LAION's own audio branch and preprocessing, on small random weights."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from llark.embed import clap, load
from llark.embed.checkpoint import Checkpoint
from llark.embed.encoder import Device, EncoderOptions, Sound
from llark.errors import UserMustAct
from tests.embed import tiny_hub
from tests.embed.hub_goldens import CLAP_JOINT, GOLDENS, sound


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(GOLDENS) as found:
        return dict(found)


@pytest.fixture(scope="module")
def published(goldens: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The publisher's weights as its training code saves them."""
    prefix = "clap/weights/"
    tensors = {k.removeprefix(prefix): torch.tensor(v) for k, v in goldens.items() if k.startswith(prefix)}
    tensors["module.text_branch.embeddings.word_embeddings.weight"] = torch.zeros(3, 2)
    path = tmp_path_factory.mktemp("clap") / "music_audioset.pt"
    torch.save({"epoch": 15, "name": "x", "state_dict": tensors}, path)
    return path


@pytest.mark.parametrize("seconds", [3.3, 10.0])
def test_what_is_heard_is_what_the_publishers_preprocessing_gives(
    seconds: float, goldens: dict[str, np.ndarray]
) -> None:
    cut = clap.windows(sound(seconds, 48_000))
    assert len(cut.pieces) == 1
    np.testing.assert_array_equal(cut.pieces[0][::97], goldens[f"clap/filled {seconds}"])
    mel = clap.spectrogram(clap.feature_extractor(), cut.pieces)
    assert mel.shape == (1, 1, 1001, 64)
    np.testing.assert_allclose(mel[0, 0, ::10], goldens[f"clap/mel {seconds}"], atol=2e-2)
    assert np.abs(mel[0, 0, ::10].numpy() - goldens[f"clap/mel {seconds}"]).mean() < 1e-4


@pytest.mark.parametrize("seconds", [3.3, 10.0])
def test_the_vector_of_a_published_file_is_the_publishers(
    seconds: float, published: Path, goldens: dict[str, np.ndarray]
) -> None:
    listen = load(EncoderOptions("clap", weights=str(published), rate="clip"), Device())
    heard = listen([Sound(sound(seconds, 48_000), 48_000)])[0]
    wanted = goldens[f"clap/vector {seconds}"]
    assert heard.shape == (1, CLAP_JOINT)
    np.testing.assert_allclose(heard, wanted, atol=1e-4)
    model = clap.from_published(published).eval()
    with torch.inference_mode():
        mel = clap.spectrogram(clap.feature_extractor(), clap.windows(sound(seconds, 48_000)).pieces)
        pooled = model.audio_model(input_features=mel).pooler_output
    np.testing.assert_allclose(pooled, goldens[f"clap/pooled {seconds}"], atol=1e-4)


def test_a_published_file_may_hold_plain_numbers_of_either_numpy(published: Path, tmp_path: Path) -> None:
    """LAION's files hold one; PyTorch refuses them as they are."""
    page = torch.load(published, weights_only=True) | {"best": np.float64(0.9), "epoch": np.int64(15)}
    torch.save(page, tmp_path / "new.pt")
    with zipfile.ZipFile(tmp_path / "new.pt") as new, zipfile.ZipFile(tmp_path / "old.pt", "w") as old:
        for name in new.namelist():
            data = new.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in data
                data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            old.writestr(name, data)
    for path in (tmp_path / "new.pt", tmp_path / "old.pt"):
        found = Checkpoint(path, "state_dict")
        assert found["audio_branch.norm.weight"].shape == (64,)


def test_windows_cover_a_long_clip_and_are_the_same_every_time(published: Path) -> None:
    samples = sound(25.0, 48_000)
    cut = clap.windows(samples)
    assert cut.spans == [(0, 32), (24, 56), (48, 80)]
    assert all(len(piece) == 480_000 for piece in cut.pieces)
    np.testing.assert_allclose(cut.pieces[2], samples[-480_000:], atol=1 / 32767)
    listen = load(EncoderOptions("clap", weights=str(published)), Device())
    heard = listen([Sound(samples, 48_000)])[0]
    assert listen.card.frames_per_second == clap.RATE
    assert heard.shape == (80, CLAP_JOINT)
    np.testing.assert_allclose(np.linalg.norm(heard, axis=1), 1.0, atol=1e-3)
    again = listen([Sound(samples[:240_000], 48_000), Sound(samples, 48_000)])[1]
    np.testing.assert_allclose(again, heard, atol=1e-5)


def test_a_folder_in_the_hubs_format_is_heard_too_and_another_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_hub.clap(tmp_path / "clap")
    listen = load(EncoderOptions("clap", weights=str(folder)), Device())
    assert listen([Sound(sound(1.0, 22_050), 22_050)])[0].shape == (4, 12)
    with pytest.raises(UserMustAct, match="is no CLAP"):
        load(EncoderOptions("clap", weights=str(tiny_hub.hubert(tmp_path / "hubert"))), Device())


def test_a_clap_without_weights_or_of_another_network_says_what_is_needed(
    tmp_path: Path, published: Path
) -> None:
    with pytest.raises(UserMustAct, match=r"clap needs --weights.*music_audioset_epoch_15_esc_90\.14\.pt"):
        load(EncoderOptions("clap"), Device())
    with pytest.raises(UserMustAct, match="There is no checkpoint"):
        load(EncoderOptions("clap", weights=str(tmp_path / "nowhere.pt")), Device())
    found = torch.load(published, weights_only=True)
    del found["state_dict"]["module.audio_branch.norm.weight"]
    torch.save(found, tmp_path / "half.pt")
    with pytest.raises(UserMustAct, match="does not fit"):
        load(EncoderOptions("clap", weights=str(tmp_path / "half.pt")), Device())
