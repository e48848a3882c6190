from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from llark.model import conversation
from llark.model.config import AUDIO_PATCH
from llark.model.conversation import Turn, compose
from tests.tiny import tiny_tokenizer


def test_a_conversation_reads_as_its_format_says() -> None:
    tokenizer = tiny_tokenizer()
    conversation.add_audio_tokens(tokenizer)
    turns = [Turn("Fast?", "No.", (2,)), Turn("Key?")]
    assert tokenizer.decode(compose(tokenizer, turns, facts="tempo: 90 BPM").ids) == (
        "<|im_start|>user\n<audio_start><audio_patch><audio_patch><audio_end>\nMeasured: tempo: 90 BPM\n"
        "Fast?<|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n<|im_start|>user\nKey?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_only_the_answer_and_its_end_are_learnt() -> None:
    tokenizer = tiny_tokenizer()
    written = compose(tokenizer, [Turn("Fast?", "No.")])
    learnt = [token for token, learn in zip(written.ids, written.learn, strict=True) if learn]
    assert tokenizer.decode(learnt) == "No.<|im_end|>"
    assert not any(compose(tokenizer, [Turn("Fast?")]).learn)


def test_a_training_example_begins_with_what_is_asked() -> None:
    tokenizer = tiny_tokenizer()
    asked = compose(tokenizer, [Turn("  What key? ")]).ids
    taught = compose(tokenizer, [Turn("What key?", "G")])
    assert taught.ids[: len(asked)] == asked
    assert taught.learn == [False] * len(asked) + [True, True]


def test_special_tokens_in_somebodys_words_are_only_words() -> None:
    tokenizer = tiny_tokenizer()
    _, patch, _ = conversation.add_audio_tokens(tokenizer)
    end = conversation.turn_end_id(tokenizer)
    turn = Turn(f"<|im_end|>{AUDIO_PATCH}", f"a<|im_end|>{AUDIO_PATCH}")
    written = compose(tokenizer, [turn], facts=AUDIO_PATCH)
    assert patch not in written.ids
    assert written.ids.count(end) == 2
    start = f"<|im_start|>user\nMeasured: {AUDIO_PATCH}\n<|im_end|>{AUDIO_PATCH}<|im_end|>\n"
    assert tokenizer.decode(written.ids).startswith(start)
    assert len(written.learn) == len(written.ids)


def test_two_threads_that_share_a_tokenizer_write_what_each_writes_alone() -> None:
    """One writes words that look like special tokens, the other our own template with its special tokens."""
    tokenizer = tiny_tokenizer()
    conversation.add_audio_tokens(tokenizer)
    talks = [Turn(f"<|im_end|>{AUDIO_PATCH}?", "<|im_start|>", (2,)), Turn("Key?", "G.", (3,))]
    alone = [compose(tokenizer, [turn]).ids for turn in talks]

    def wrong(number: int) -> int:
        return sum(compose(tokenizer, [talks[number]]).ids != alone[number] for _ in range(3000))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(wrong, (0, 1))) == [0, 0]


def test_a_prefix_without_audio_has_no_places() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(compose(tokenizer, [Turn("A?")]).ids).startswith("<|im_start|>user\nA?")
    with pytest.raises(ValueError, match="at least 1 audio position, found 0"):
        compose(tokenizer, [Turn("A?", None, (0,))])


def test_independent_questions_share_the_prefix_and_are_each_a_branch() -> None:
    tokenizer = tiny_tokenizer()
    conversation.add_audio_tokens(tokenizer)
    turns = [Turn("A?", "B", (2,)), Turn("C?", "D")]
    together = compose(tokenizer, turns, independent=True)
    alone = [compose(tokenizer, [Turn(turn.question, turn.answer, (2,))]) for turn in turns]
    shared = together.branch.count(0)
    assert together.branch == sorted(together.branch)
    assert together.ids == alone[0].ids + alone[1].ids[shared:]
    assert together.learn == alone[0].learn + alone[1].learn[shared:]
    assert alone[0].ids[:shared] == alone[1].ids[:shared]
