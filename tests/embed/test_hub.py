"""Encoders of the hub: the publishers' numbers where their code could be run, and real loading of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llark.embed import hub, load
from llark.embed.encoder import Device, EncoderOptions, Sound
from llark.embed.hub import dasheng, hidden_layer, muq
from llark.embed.mel import htk_filters
from llark.errors import UserMustAct
from tests.embed import tiny_hub
from tests.embed.hub_goldens import GOLDENS, sound


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(GOLDENS) as found:
        return dict(found)


def weights(goldens: dict[str, np.ndarray], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in goldens.items() if k.startswith(prefix)}


def settings(folder: Path, **said: Any) -> EncoderOptions:
    return EncoderOptions(f"hub:{folder}", **{"rate": "native", **said})


@pytest.mark.parametrize("layer", [0, 1, 2, 3, -1])
def test_every_layer_of_muq_is_the_publishers(
    layer: int, goldens: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folder = tiny_hub.save(tmp_path / "muq", tiny_hub.MUQ, weights(goldens, "muq"))
    network = muq.load_muq(folder, tiny_hub.MUQ, settings(folder, layer=layer), Device())
    with torch.inference_mode():
        heard = network.run(torch.from_numpy(sound(3.2, 24_000))[None])[0]
    wanted = goldens["muq"][layer]
    assert wanted.std() > 0.1
    np.testing.assert_allclose(heard, wanted, atol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_every_layer_of_dasheng_is_the_publishers(
    layer: int, goldens: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folder = tiny_hub.save(tmp_path / "dasheng", tiny_hub.DASHENG, weights(goldens, "dasheng"))
    network = dasheng.load_dasheng(folder, tiny_hub.DASHENG, settings(folder, layer=layer), Device())
    with torch.inference_mode():
        heard = network.run(torch.from_numpy(sound(1.9, 16_000))[None])[0]
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


def test_the_last_layer_of_a_large_mert_is_normalised_as_its_publishers_is(tmp_path: Path) -> None:
    from transformers import HubertModel

    settings_330 = {"do_stable_layer_norm": True, "attention_relax": 32.0}
    folder = tiny_hub.mert(tmp_path / "mert", **settings_330)
    samples = torch.from_numpy(sound(2.0, 24_000))
    heard = load(settings(folder), Device())([Sound(samples.numpy(), 24_000)])[0]
    theirs = HubertModel.from_pretrained(
        tiny_hub.hubert(tmp_path / "hubert", do_stable_layer_norm=True)
    ).eval()
    inner: list[torch.Tensor] = []
    theirs.encoder.layers[-1].register_forward_hook(lambda *found: inner.append(found[-1]))
    with torch.inference_mode():
        theirs((samples - samples.mean())[None] / torch.sqrt(samples.var(correction=0) + 1e-7))
        wanted = theirs.encoder.layer_norm(inner[0])[0]
    np.testing.assert_allclose(heard[: len(wanted)], wanted, atol=1e-4)
    assert np.abs(heard[: len(wanted)] - inner[0][0].numpy()).max() > 0.1


def test_the_layout_of_older_files_of_mert_is_read(tmp_path: Path) -> None:
    folder = tiny_hub.mert(tmp_path / "mert")
    samples = sound(1.0, 24_000)
    before = load(settings(folder), Device())([Sound(samples, 24_000)])[0]
    tensors = load_file(folder / "model.safetensors")
    older = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in tensors.items()
    }
    assert set(older) != set(tensors)
    torch.save(older, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    np.testing.assert_array_equal(load(settings(folder), Device())([Sound(samples, 24_000)])[0], before)


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


def test_encodec_of_48_khz_hears_chunks_of_a_second_as_its_publisher_does(tmp_path: Path) -> None:
    from transformers import EncodecModel

    folder = tiny_hub.encodec_48(tmp_path / "encodec")
    samples = sound(2.6, 48_000)
    listen = load(settings(folder), Device())
    assert (listen.card.window_seconds, listen.card.frames_per_second, listen.card.licence) == (1, 150, "MIT")
    heard = listen([Sound(samples, 48_000)])[0]
    model = EncodecModel.from_pretrained(folder).eval()
    chunks: list[torch.Tensor] = []
    model.encoder.register_forward_hook(lambda *found: chunks.append(found[-1]))
    with torch.inference_mode():
        model.encode(torch.from_numpy(samples[: 2 * 47_520]).expand(1, 2, -1))
    assert heard.shape == (390, 12)
    np.testing.assert_allclose(heard[:135], chunks[0][0].T[:135], atol=1e-5)


def test_encodec_of_32_khz_gives_50_values_a_second(tmp_path: Path) -> None:
    changed = {"sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4], "use_causal_conv": False}
    card = load(settings(tiny_hub.encodec(tmp_path / "encodec", **changed)), Device()).card
    assert (card.frames_per_second, card.window_seconds, card.licence) == (50, 30, "CC BY-NC 4.0")


def test_dasheng_hears_as_much_at_once_as_its_weights_have_places_for(tmp_path: Path) -> None:
    folder = tiny_hub.dasheng(tmp_path / "dasheng")
    config = json.loads((folder / "config.json").read_text())
    del config["encoder_kwargs"]["target_length"]
    (folder / "config.json").write_text(json.dumps(config))
    assert load(settings(folder), Device()).card.window_seconds == 2


def test_other_weights_under_the_same_name_are_another_encoder(tmp_path: Path) -> None:
    folder = tiny_hub.dasheng(tmp_path / "dasheng")
    first, again = (load(settings(folder), Device()).card.version for _ in range(2))
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.norm.bias"][0] += 0.01
    save_file(tensors, folder / "model.safetensors")
    other = load(settings(folder), Device()).card.version
    assert first == again != other
    assert first.startswith("1-")


def test_a_clap_is_sent_to_its_own_encoder_and_what_hears_nothing_is_one_sentence(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, DacConfig, DacFeatureExtractor, DacModel

    with pytest.raises(UserMustAct, match=r"is a CLAP; --encoder clap --weights .* loads it"):
        load(settings(tiny_hub.clap(tmp_path / "clap")), Device())
    sizes = {"encoder_hidden_size": 8, "decoder_hidden_size": 16, "codebook_size": 8}
    DacModel(DacConfig(**sizes)).save_pretrained(tmp_path / "dac")
    DacFeatureExtractor(sampling_rate=16_000).save_pretrained(tmp_path / "dac")
    with pytest.raises(
        UserMustAct, match=r"dac cannot be loaded by the adapter auto: .*output_hidden_states"
    ):
        load(settings(tmp_path / "dac"), Device())
    words = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    BertModel(words).save_pretrained(tmp_path / "bert")
    with pytest.raises(UserMustAct, match="bert cannot be loaded by the adapter auto"):
        load(settings(tmp_path / "bert"), Device())


@pytest.mark.parametrize("safe", [True, False])
def test_of_a_model_on_the_hub_one_copy_of_the_weights_is_fetched(
    safe: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    (tmp_path / "config.json").write_text("{}")

    def fetched(name: str, allow_patterns: list[str]) -> str:
        assert name == "who/what"
        asked.append(allow_patterns)
        if safe:
            (tmp_path / "model.safetensors").touch()
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    assert hub.fetch("who/what") == tmp_path
    every = ["*.json", "*.safetensors"]
    assert asked == ([every] if safe else [every, [*every, "*.bin"]])


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
        load(EncoderOptions("hub:who/knows"), Device())
    with pytest.raises(UserMustAct, match=r"has no config\.json"):
        load(EncoderOptions(f"hub:{tmp_path}"), Device())
    with pytest.raises(UserMustAct, match="it is no name of a model"):
        load(EncoderOptions("hub:/not/there/at/all"), Device())


def test_filters_have_height_one_and_cover_the_band() -> None:
    filters = htk_filters(64, 2048, 16_000, 0.0, 8000.0)
    assert filters.shape == (1025, 64)
    assert filters.max(0).min() > 0.6
    np.testing.assert_allclose(filters[30:900].sum(1), 1.0, atol=1e-5)
