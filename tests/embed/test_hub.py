"""Encoders of the hub: the publishers' numbers where their code could be run, and real loading of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_hub
import torch
from hub_goldens import GOLDENS, sound

from llark.embed import load
from llark.embed.encoder import Device, Sound
from llark.embed.hub import dasheng, hidden_layer, muq
from llark.embed.settings import Settings
from llark.embed.spectra import htk_filters
from llark.errors import UserMustAct


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(GOLDENS) as found:
        return dict(found)


def weights(goldens: dict[str, np.ndarray], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in goldens.items() if k.startswith(prefix)}


def settings(folder: Path, **said: Any) -> Settings:
    return Settings(f"hub:{folder}", **{"rate": "native", **said})


@pytest.mark.parametrize("layer", [0, 1, 2, 3, -1])
def test_every_layer_of_muq_is_the_publishers(
    layer: int, goldens: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folder = tiny_hub.save(tmp_path / "muq", tiny_hub.MUQ, weights(goldens, "muq"))
    ears = muq.load(folder, tiny_hub.MUQ, settings(folder, layer=layer), Device())
    with torch.inference_mode():
        heard = ears.hear(torch.from_numpy(sound(3.2, 24_000))[None])[0]
    wanted = goldens["muq"][layer]
    assert wanted.std() > 0.1
    np.testing.assert_allclose(heard, wanted, atol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_every_layer_of_dasheng_is_the_publishers(
    layer: int, goldens: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folder = tiny_hub.save(tmp_path / "dasheng", tiny_hub.DASHENG, weights(goldens, "dasheng"))
    ears = dasheng.load(folder, tiny_hub.DASHENG, settings(folder, layer=layer), Device())
    with torch.inference_mode():
        heard = ears.hear(torch.from_numpy(sound(1.9, 16_000))[None])[0]
    wanted = goldens["dasheng"][layer]
    assert wanted.std() > 0.1
    np.testing.assert_allclose(heard, wanted, atol=1e-4)


def test_mert_is_hubert_without_running_the_code_beside_it(tmp_path: Path) -> None:
    from transformers import HubertModel

    folder = tiny_hub.mert(tmp_path / "mert")
    listen = load(settings(folder, layer=2), Device())
    samples = sound(2.0, 24_000)
    heard = listen([Sound(samples, 24_000)])[0]
    theirs = HubertModel.from_pretrained(tiny_hub.hubert(tmp_path / "hubert")).eval()
    normalised = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    with torch.inference_mode():
        states = theirs(torch.from_numpy(normalised)[None], output_hidden_states=True).hidden_states
    assert heard.shape == (150, 16)
    np.testing.assert_allclose(heard[: len(states[2][0])], states[2][0], atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"feature_extractor_cqt": True}, "feature_extractor_cqt"), ({"deepnorm": True}, "deepnorm")],
)
def test_a_mert_that_hubert_is_not_is_refused(changed: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match=says):
        load(settings(tiny_hub.mert(tmp_path / "mert", **changed)), Device())


def test_whisper_hears_its_middle_layer_as_transformers_does(tmp_path: Path) -> None:
    from transformers import WhisperFeatureExtractor, WhisperModel

    folder = tiny_hub.whisper(tmp_path / "whisper")
    samples = sound(2.0, 16_000)
    heard = load(settings(folder), Device())([Sound(samples, 16_000)])[0]
    mel = WhisperFeatureExtractor(chunk_length=3)(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        encoder = WhisperModel.from_pretrained(folder).encoder
        states = encoder(mel.input_features, output_hidden_states=True).hidden_states
    assert heard.shape == (100, 16)
    np.testing.assert_allclose(heard, states[2][0, :100], atol=1e-5)


def test_encodec_is_heard_before_it_is_quantised(tmp_path: Path) -> None:
    from transformers import EncodecModel

    folder = tiny_hub.encodec(tmp_path / "encodec")
    samples = sound(2.0, 24_000)
    heard = load(settings(folder), Device())([Sound(samples, 24_000)])[0]
    with torch.inference_mode():
        wanted = EncodecModel.from_pretrained(folder).encoder(torch.from_numpy(samples)[None, None])[0]
    np.testing.assert_allclose(heard, wanted.T[: len(heard)], atol=1e-5)


def test_a_model_of_a_fixed_input_gives_the_mean_of_each_stretch(tmp_path: Path) -> None:
    listen = load(settings(tiny_hub.spectrogram_transformer(tmp_path / "ast")), Device())
    assert listen.card.frames_per_second * 10 == 1
    assert listen([Sound(sound(25.0, 16_000), 16_000)])[0].shape == (3, 16)


def test_code_beside_the_weights_of_an_unknown_model_is_never_run(tmp_path: Path) -> None:
    folder = tiny_hub.save(
        tmp_path / "other",
        {"model_type": "own", "auto_map": {"AutoModel": "own.Own", "AutoConfig": "own.OwnConfig"}},
        {"weight": torch.zeros(2)},
    )
    (folder / "own.py").write_text("raise SystemExit('foreign code was run')\n")
    with pytest.raises(UserMustAct, match="needs the code beside its weights; that is never run"):
        load(settings(folder), Device())


@pytest.mark.parametrize("name", ["muq", "dasheng", "whisper", "mert"])
def test_a_layer_that_is_not_there_is_refused_before_anything_is_heard(name: str, tmp_path: Path) -> None:
    folder = tiny_hub.HUB[name](tmp_path / name)
    with pytest.raises(UserMustAct, match="this model has layers 0 to 3"):
        load(settings(folder, layer=9), Device())
    assert hidden_layer((0, 1, 2, 3), -2) == 2


@pytest.mark.parametrize("name", ["muq", "dasheng"])
def test_weights_of_another_network_are_refused_with_the_first_that_differs(
    name: str, tmp_path: Path
) -> None:
    folder = tiny_hub.HUB[name](tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    config["w2v2_config" if name == "muq" else "encoder_kwargs"] |= {"intermediate_size": 40, "embed_dim": 32}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserMustAct, match="are of another network"):
        load(settings(folder), Device())


def test_no_folder_and_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserMustAct, match=r"There is no folder who/knows.*hub:FOLDER"):
        load(Settings("hub:who/knows"), Device())
    with pytest.raises(UserMustAct, match=r"has no config\.json"):
        load(Settings(f"hub:{tmp_path}"), Device())
    with pytest.raises(UserMustAct, match="it is no name of a model"):
        load(Settings("hub:/not/there/at/all"), Device())


def test_filters_have_height_one_and_cover_the_band() -> None:
    filters = htk_filters(64, 2048, 16_000, 0.0, 8000.0)
    assert filters.shape == (1025, 64)
    assert filters.max(0).min() > 0.6
    np.testing.assert_allclose(filters[30:900].sum(1), 1.0, atol=1e-5)
