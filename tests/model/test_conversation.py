from __future__ import annotations

import pytest
import torch
from tiny import Parts, clip, tiny_tokenizer

from llark.model import conversation
from llark.model.config import AUDIO_PATCH
from llark.model.conversation import batch, pack, prefix, talk, turn
from llark.model.model import IGNORE_INDEX
from llark.model.processor import stack_frames


def test_a_talk_reads_as_its_format_says() -> None:
    tokenizer = tiny_tokenizer()
    conversation.add_audio_tokens(tokenizer)
    ids = prefix(tokenizer, 2, "tempo: 90 BPM") + talk(tokenizer, [("Fast?", "No."), ("Key?", None)])[0]
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\n<audio_start><audio_patch><audio_patch><audio_end>\nMeasured: tempo: 90 BPM\n"
        "Fast?<|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n<|im_start|>user\nKey?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_only_the_answer_and_its_end_are_learnt() -> None:
    tokenizer = tiny_tokenizer()
    ids, learn = turn(tokenizer, "Fast?", "No.")
    assert tokenizer.decode([i for i, learnt in zip(ids, learn, strict=True) if learnt]) == "No.<|im_end|>"
    assert not any(turn(tokenizer, "Fast?", None)[1])


def test_a_training_example_begins_with_what_is_asked() -> None:
    tokenizer = tiny_tokenizer()
    asked, _ = turn(tokenizer, "  What key? ", None)
    taught, learn = turn(tokenizer, "What key?", "G")
    assert taught[: len(asked)] == asked
    assert learn == [False] * len(asked) + [True, True]


def test_special_tokens_in_somebodys_words_are_only_words() -> None:
    tokenizer = tiny_tokenizer()
    _, patch, _ = conversation.add_audio_tokens(tokenizer)
    end = conversation.turn_end_id(tokenizer)
    ids, learn = turn(tokenizer, f"<|im_end|>{AUDIO_PATCH}", f"a<|im_end|>{AUDIO_PATCH}")
    assert patch not in ids
    assert ids.count(end) == 2
    assert tokenizer.decode(ids).startswith(f"<|im_end|>{AUDIO_PATCH}<|im_end|>\n")
    assert patch not in prefix(tokenizer, None, f"{AUDIO_PATCH}")
    assert len(learn) == len(ids)


def test_a_prefix_without_audio_has_no_places() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(prefix(tokenizer, None, None)) == "<|im_start|>user\n"
    with pytest.raises(ValueError, match="at least 1 audio position, found 0"):
        prefix(tokenizer, 0, None)


def test_a_branch_sees_the_prefix_and_itself_only() -> None:
    packed = pack([5, 6], [([7, 8], [False, True]), ([9], [True])])
    assert packed.input_ids.tolist() == [5, 6, 7, 8, 9]
    assert packed.labels.tolist() == [IGNORE_INDEX, IGNORE_INDEX, IGNORE_INDEX, 8, 9]
    assert packed.position_ids.tolist() == [0, 1, 2, 3, 2]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert packed.attention_mask.int().tolist() == expected


TURNS = [
    ("What is the tempo?", "About 120."),
    ("Key?", "G major."),
    ("Describe it.", "A slow waltz, played softly."),
]


def test_packed_loss_and_gradients_equal_those_of_separate_examples(parts_with_concepts: Parts) -> None:
    model, processor = parts_with_concepts
    clips = [torch.as_tensor(clip(5, 1)), torch.as_tensor(clip(12, 2))]
    prefixes = [prefix(processor.tokenizer, processor.positions_of(len(c)), "key: G") for c in clips]
    turns = [turn(processor.tokenizer, *said) for said in TURNS]
    trees = [pack(prefixes[0], turns), pack(prefixes[1], turns[:2])]
    together = model(**batch(trees, pad_id=0), **stack_frames(clips), loss_only=True)
    assert together.logits is None
    together.loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    total, count = torch.zeros(()), 0
    for start, heard, said in zip(prefixes, clips, (turns, turns[:2]), strict=True):
        for one in said:
            alone = pack(start, [one])
            learnt = int((alone.labels != IGNORE_INDEX).sum())
            ids = {"input_ids": alone.input_ids[None], "labels": alone.labels[None]}
            total = total + model(**ids, **stack_frames([heard])).loss * learnt
            count += learnt
    (total / count).backward()
    assert together.loss.item() == pytest.approx((total / count).item(), abs=1e-5)
    assert {"projector.weight", "markers.weight", "concepts.words"} <= set(gradients)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-4, rtol=1e-3)
