"""Text encoders with random weights, as folders that `transformers` opens: what BERTScore is tried on."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel, RobertaTokenizer

LAYER = 2
"""Of three, so that the last is not taken by accident."""

PEOPLE = [
    ("A mellow piano melody over soft drums and a warm bass.",),
    ("Fast rock with distorted guitars and loud drums at 160 BPM.", "Loud rock song with guitars."),
    ("A solo violin plays a sad tune in A minor.",),
    ("A solo violin plays a sad tune in A minor.",),
]
SAID = [
    "A soft piano melody over drums and bass.",
    "Loud rock with distorted guitars and drums at about 160 BPM in E minor.",
    "An orchestra plays.",
    "",
]
_SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
    "initializer_range": 0.5,
}


def write_encoder(folder: Path, kind: str, *, spaced: bool = False) -> Path:
    """A BERT with a vocabulary of letters, or a RoBERTa of bytes, whose tokenizer may put a space first."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    if kind == "bert":
        letters = "abcdefghijklmnopqrstuvwxyz0123456789."
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{one}" for one in letters)]
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
        tokenizer = BertTokenizer(str(folder / "vocab.txt"), model_max_length=64)
        model = BertModel(BertConfig(vocab_size=len(words), **_SIZES))
    else:
        words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
        vocabulary = {word: number for number, word in enumerate(words)}
        tokenizer = RobertaTokenizer(
            vocab=vocabulary, merges=[], model_max_length=64, add_prefix_space=spaced
        )
        model = RobertaModel(RobertaConfig(vocab_size=len(words), **_SIZES, pad_token_id=1))
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
