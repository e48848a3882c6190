"""Tiny models with random weights, saved in the hub's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def whisper(folder: Path) -> Path:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_source_positions=150,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=3).save_pretrained(folder)
    return folder


HUBERT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "feat_proj_layer_norm": True,
}


def hubert(folder: Path, **changed: Any) -> Path:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(1)
    HubertModel(HubertConfig(**HUBERT, **changed)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(folder)
    return folder


def mert(folder: Path, **changed: Any) -> Path:
    """HuBERT's weights with MERT's configuration, which asks for code beside them to be run."""
    hubert(folder, do_stable_layer_norm=changed.get("do_stable_layer_norm", False))
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mert_model",
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel", "AutoConfig": "configuration_MERT.MERTConfig"},
        "sample_rate": 24_000,
        "feature_extractor_cqt": False,
        "deepnorm": False,
        "attention_relax": -1.0,
        **changed,
    }
    (folder / "config.json").write_text(json.dumps(config))
    features = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**features, "sampling_rate": 24_000}))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('foreign code was run')\n")
    (folder / "configuration_MERT.py").write_text("raise SystemExit('foreign code was run')\n")
    return folder


def encodec(folder: Path, **changed: Any) -> Path:
    from transformers import EncodecConfig, EncodecFeatureExtractor, EncodecModel

    torch.manual_seed(2)
    said: dict[str, Any] = {"sampling_rate": 24_000, **changed}
    config = EncodecConfig(
        num_filters=4, hidden_size=12, codebook_size=16, codebook_dim=12, num_lstm_layers=1, **said
    )
    EncodecModel(config).save_pretrained(folder)
    EncodecFeatureExtractor().save_pretrained(folder)
    return folder


def encodec_48(folder: Path) -> Path:
    """With what the published model of 48 kHz has otherwise."""
    return encodec(
        folder,
        sampling_rate=48_000,
        audio_channels=2,
        chunk_length_s=1.0,
        overlap=0.01,
        normalize=True,
        norm_type="time_group_norm",
        use_causal_conv=False,
    )


def spectrogram_transformer(folder: Path) -> Path:
    """A model of a fixed input, whose values stand for no times."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    torch.manual_seed(3)
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_length=128
    )
    ASTModel(config).save_pretrained(folder)
    ASTFeatureExtractor(max_length=128).save_pretrained(folder)
    return folder


def save(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        {name: value.contiguous().clone() for name, value in tensors.items()}, folder / "model.safetensors"
    )
    return folder


MUQ: dict[str, Any] = {
    "label_rate": 25,
    "hop_length": 240,
    "n_mels": 128,
    "conv_dim": 4,
    "encoder_dim": 16,
    "encoder_depth": 3,
    "is_flash": False,
    "stat": {"melspec_2048_mean": 6.77, "melspec_2048_std": 18.42},
    "w2v2_config": {
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "position_embeddings_type": "rotary",
        "conv_depthwise_kernel_size": 5,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    },
}


def randomised(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Weights under which every part matters, running statistics too."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand_like(value))
            elif value.is_floating_point():
                spread = 0.3 if value.ndim > 1 else 0.1
                value.copy_(spread * torch.randn_like(value) + float("norm" in name and "weight" in name))
    return module.eval()


def muq(folder: Path) -> Path:
    from llark.embed.hub.muq import MuQ

    model = randomised(MuQ(MUQ), 4)
    return save(folder, MUQ, {f"model.{name}": value for name, value in model.state_dict().items()})


DASHENG: dict[str, Any] = {
    "model_type": "dasheng",
    "name": "dasheng-base",
    "encoder_kwargs": {"embed_dim": 16, "depth": 3, "num_heads": 2, "target_length": 200, "n_mels": 64},
    "auto_map": {"AutoModel": "modeling_dasheng.DashengModel"},
}


def dasheng(folder: Path) -> Path:
    from llark.embed.hub.dasheng import Dasheng

    model = randomised(Dasheng(16, 3, 2, 64, 200), 5)
    return save(folder, DASHENG, {f"encoder.{name}": value for name, value in model.state_dict().items()})


def clap(folder: Path) -> Path:
    """The whole model, its text half too."""
    from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig

    torch.manual_seed(6)
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=8,
        hidden_size=64,
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 2, 2],
        num_hidden_layers=4,
        projection_dim=12,
        enable_fusion=False,
    )
    text = ClapTextConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        projection_dim=12,
    )
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12)
    ClapModel(config).save_pretrained(folder)
    return folder


HUB = {
    "whisper": whisper,
    "mert": mert,
    "muq": muq,
    "dasheng": dasheng,
    "encodec": encodec,
    "encodec-48": encodec_48,
    "hubert": hubert,
    "ast": spectrogram_transformer,
}
"""What `hub:` loads, by the names of these tests."""
