"""Ways of writing: the published one to the letter, what is learnt of it, and where an answer ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from llark.model import LlarkProcessor, conversation
from llark.model.checkpoint import new_model
from llark.model.conversation import SYSTEM, Turn, compose, fit, stop_sequences
from llark.model.messages import TEMPLATES
from tests.tiny import WIDTH, clip, tiny_tokenizer


def _tokenizer(bos: bool = False) -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    if bos:  # as Llama's tokenizer does: every text begins with a token of its own
        from tokenizers.processors import TemplateProcessing

        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
        )
    conversation.add_audio_tokens(tokenizer)
    return tokenizer


def test_the_published_format_is_kept_to_the_letter() -> None:
    tokenizer = _tokenizer()
    written = compose(tokenizer, [Turn("Fast?", "No.", (2,))], "published")
    assert tokenizer.decode(written.ids) == (
        f"{SYSTEM}\n\n### Human: <audio_start><audio_patch><audio_patch><audio_end>\nFast?\n"
        "### Assistant: No.\n### "
    )
    later = compose(tokenizer, [Turn("Fast?", "No.", (1,), clips_last=True), Turn("Key?")], "published")
    assert tokenizer.decode(later.ids) == (
        f"{SYSTEM}\n\n### Human: Fast?\n<audio_start><audio_patch><audio_end>\n### Assistant: No.\n"
        "### Human: Key?\n### Assistant:"
    )


def test_a_sequence_begins_once_however_many_clips_are_in_it() -> None:
    tokenizer = _tokenizer(bos=True)
    for style in ("chatml", "published"):
        ids = compose(tokenizer, [Turn("A?", "B", (1, 1)), Turn("C?", "D", (2,))], style).ids  # type: ignore[arg-type]
        assert ids[0] == 1
        assert ids[: 1 + (style == "chatml")].count(1) == 1 + (style == "chatml")
        assert style == "chatml" or ids.count(1) == 1


def test_published_answers_stop_at_their_mark(tmp_path: Path, base: Path) -> None:
    model, processor = new_model(base, audio_width=WIDTH, frames_per_second=2.0, conversation="published")
    assert processor.conversation == "published"
    inputs = processor("A?", clip(3))
    length = inputs["input_ids"].shape[1]
    free = model.generate(**inputs, max_new_tokens=12, min_new_tokens=12, do_sample=False)[
        0, length:
    ].tolist()
    model.config.stop_sequences = [free[3:5]]
    stopped = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, length:].tolist()
    assert stopped == free[:5]
    ids = processor.tokenizer.encode("Yes, it is.\n### Human: and", add_special_tokens=False)
    assert processor.decode_answers(torch.tensor([[0, *ids]]), 1) == ["Yes, it is."]


def test_the_stop_sequence_is_what_training_wrote() -> None:
    tokenizer = _tokenizer()
    written = compose(tokenizer, [Turn("A?", "No.")], "published")
    learnt = [i for i, learn in zip(written.ids, written.learn, strict=True) if learn]
    (stop,) = stop_sequences(tokenizer, "published")
    assert learnt[-len(stop) :] == stop
    assert stop_sequences(tokenizer, "chatml") == []


@pytest.mark.parametrize("style", ["chatml", "published"])
def test_the_chat_template_renders_what_the_ids_say(style: str) -> None:
    processor = LlarkProcessor(tiny_tokenizer(), max_audio_positions=1, conversation=style)  # type: ignore[arg-type]
    assert processor.chat_template == TEMPLATES[style]
    talk = [
        {
            "role": "user",
            "content": [{"type": "audio", "audio": clip(4)}, {"type": "text", "text": " Fast? "}],
        },
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Key?"},
    ]
    ids = processor.apply_chat_template(talk)["input_ids"][0]
    assert processor.apply_chat_template(talk, tokenize=False) == processor.tokenizer.decode(ids)


def test_messages_out_of_turn_and_strange_parts_are_refused() -> None:
    processor = LlarkProcessor(tiny_tokenizer())
    with pytest.raises(ValueError, match="found messages of user, user; user and assistant take turns"):
        processor.apply_chat_template([{"role": "user", "content": "a"}] * 2)
    with pytest.raises(ValueError, match="of type 'image' from the user"):
        processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}])
    with pytest.raises(ValueError, match=r"a frame or more, found \(0, 6\)"):
        processor.apply_chat_template([{"role": "user", "content": [{"type": "audio", "audio": clip(0)}]}])


# --- any conversation, tokenizer and length ---------------------------------------------------------------

PIECES = st.sampled_from([*"ab ct\n#é音<|>_:", "<|im_end|>", "<audio_start>", "### Human: "])
WORDS = st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces).strip() or "x")
TURNS = st.lists(
    st.builds(Turn, WORDS, WORDS, st.lists(st.integers(1, 4), max_size=2).map(tuple), st.booleans()),
    min_size=1,
    max_size=3,
)
TOKENIZERS = {bos: _tokenizer(bos) for bos in (False, True)}


@settings(max_examples=120, deadline=None)
@given(TURNS, st.sampled_from(["chatml", "published"]), st.booleans(), st.integers(1, 260), WORDS | st.none())
def test_only_answers_are_learnt_and_no_clip_is_ever_cut(
    talk: list[Turn], style: str, bos: bool, most: int, facts: str | None
) -> None:
    tokenizer = TOKENIZERS[bos]
    written = compose(tokenizer, talk, style, facts)  # type: ignore[arg-type]
    start, patch, end = conversation.add_audio_tokens(tokenizer)
    assert len(written.ids) == len(written.learn)
    assert _runs(written.ids, start, patch, end) == [n for said in talk for n in said.clips]
    mark = tokenizer.eos_token if style == "chatml" else "\n###"
    learnt = tokenizer.decode([i for i, flag in zip(written.ids, written.learn, strict=True) if flag])
    space = "" if style == "chatml" else " "
    assert learnt == "".join(f"{space}{said.answer}{mark}" for said in talk)
    cut = fit(tokenizer, written, most)
    if isinstance(cut, str):
        assert cut in ("audio-cut", "answer-cut")
        assert len(written) > most
        after = written.ids[most:]
        assert (end in after) is (cut == "audio-cut") or start in after
    else:
        assert len(cut) == min(len(written), most)
        assert any(cut.learn)
        assert cut.ids == written.ids[: len(cut)]
        assert cut.learn == written.learn[: len(cut)]
        assert _runs(cut.ids, start, patch, end) == [n for said in talk for n in said.clips]
    last = Turn(talk[-1].question, None, talk[-1].clips, talk[-1].clips_last)
    asked = compose(tokenizer, [*talk[:-1], last], style, facts)  # type: ignore[arg-type]
    assert written.ids[: len(asked)] == asked.ids


def _runs(ids: list[int], start: int, patch: int, end: int) -> list[int]:
    """The positions of each clip. Raises where one does not run from its start to its end."""
    found, place = [], 0
    while place < len(ids):
        if ids[place] == start:
            stop = ids.index(end, place)
            assert ids[place + 1 : stop] == [patch] * (stop - place - 1)
            found.append(stop - place - 1)
            place = stop
        else:
            assert ids[place] not in (patch, end)
        place += 1
    return found


def test_an_example_without_an_answer_teaches_nothing() -> None:
    tokenizer = _tokenizer()
    assert fit(tokenizer, compose(tokenizer, [Turn("A?")]), 99) == "no-answer"
