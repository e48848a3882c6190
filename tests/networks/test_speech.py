import numpy as np
import pytest
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from llark.networks import speech
from llark.networks.mels import speech_mel
from tests.networks.timbre_goldens import signal


@pytest.fixture(scope="module")
def net():
    return speech.SpeechNet.load()


def as_theirs(net: speech.SpeechNet, frames: int) -> WhisperEncoder:
    """The encoder of transformers with our weights, for input of exactly so many frames."""
    config = WhisperConfig(
        d_model=512, encoder_layers=3, encoder_attention_heads=8, encoder_ffn_dim=2048, num_mel_bins=80,
        max_source_positions=frames, attn_implementation="eager",
    )  # fmt: skip
    theirs = WhisperEncoder(config).eval()
    own = net.encoder.state_dict()
    weights = {"embed_positions.weight": own["positions"][:frames]}
    for kind in ("weight", "bias"):
        weights[f"conv1.{kind}"] = own[f"conv_in.{kind}"]
        weights[f"conv2.{kind}"] = own[f"conv_down.{kind}"]
        for i in range(3):
            for name, layer in (
                ("self_attn_layer_norm", "attention_norm"), ("self_attn.out_proj", "attention_out"),
                ("final_layer_norm", "feed_norm"), ("fc1", "feed_in"), ("fc2", "feed_out"),
            ):  # fmt: skip
                weights[f"layers.{i}.{name}.{kind}"] = own[f"layers.{i}.{layer}.{kind}"]
            thirds = own[f"layers.{i}.attention_in.{kind}"].chunk(3)
            for name, third in zip("qkv", thirds, strict=True):
                if (name, kind) == ("k", "bias"):
                    assert third.abs().max() == 0.0
                else:
                    weights[f"layers.{i}.self_attn.{name}_proj.{kind}"] = third
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert sorted(missing) == ["layer_norm.bias", "layer_norm.weight"]
    theirs.layer_norm = torch.nn.Identity()
    return theirs


def test_three_layers_hear_what_transformers_hears(net):
    mel = speech_mel(signal())
    ours = net.encode(mel)
    assert ours.shape == (150, 512)
    with torch.inference_mode():
        theirs = as_theirs(net, 150)(mel.T[None]).last_hidden_state[0].numpy()
    assert np.abs(ours - theirs).max() < 1e-3
    assert np.abs(ours).max() > 2


def test_the_network_gives_fifty_frames_a_second_without_padding(net):
    for samples in (16000, 16320, 40000):
        assert net(signal()[:samples]).shape == (-(-(samples // 160) // 2), 512)


def test_input_beyond_thirty_seconds_is_heard_in_equal_stretches(net):
    mel = speech_mel(np.tile(signal(), 11))
    whole = net.encode(mel)
    assert whole.shape == (1650, 512)
    np.testing.assert_allclose(whole[:825], net.encode(mel[:1650]), atol=2e-4)
    np.testing.assert_allclose(whole[825:], net.encode(mel[1650:]), atol=2e-4)


def test_silence_and_a_blink_are_finite(net):
    assert np.isfinite(net(np.zeros(16000, np.float32))).all()
    assert np.isfinite(net(np.zeros(7, np.float32))).all()
