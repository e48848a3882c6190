from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from llark.model import LlarkConfig, LlarkForConditionalGeneration
from llark.model.model import IGNORE_INDEX, pool_frames
from tests.tiny import WIDTH, Parts, clip


def test_logits_equal_those_of_a_splice_by_hand(parts_with_concepts: Parts) -> None:
    model, processor = parts_with_concepts
    mean, std = torch.arange(WIDTH).float(), torch.full((WIDTH,), 2.0)
    model.set_normalisation(mean, std)
    frames = torch.as_tensor(clip(5)).float()
    inputs = processor("What key?", clip(5), "tempo: 90 BPM")
    normal = (frames - mean) / std
    posteriors = normal[:, :2].mean(dim=0)
    audio = torch.cat([posteriors[:, None] * model.concepts.words, model.projector(normal)])
    ids = inputs["input_ids"][0].tolist()
    table = model.get_input_embeddings().weight
    start = ids.index(model.config.audio_start_id)
    end = ids.index(model.config.audio_end_id)
    assert end - start - 1 == len(audio) == 7
    rows = [
        table[ids[:start]],
        model.markers.weight[:1],
        audio,
        model.markers.weight[1:],
        table[ids[end + 1 :]],
    ]
    expected = model.language_model(inputs_embeds=torch.cat(rows)[None]).logits
    torch.testing.assert_close(model(**inputs).logits, expected)


def test_two_clips_are_placed_in_the_order_of_the_text(parts: Parts) -> None:
    model, processor = parts
    both = processor(["A?", "B?"], [clip(3, 1), clip(6, 2)])
    embeds = model.embed(both["input_ids"], both["audio_frames"], both["audio_mask"])
    for row, frames in enumerate((clip(3, 1), clip(6, 2))):
        places = both["input_ids"][row] == model.config.audio_patch_id
        torch.testing.assert_close(embeds[row][places], model.projector(torch.as_tensor(frames).float()))


def test_more_frames_than_places_are_averaged_in_equal_spans() -> None:
    frames = torch.tensor(
        [[[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]], [[1.0], [3.0], [9.0], [9.0], [9.0], [9.0]]]
    )
    pooled = pool_frames(frames, torch.tensor([6, 2]), limit=4)
    expected = torch.tensor([[(1 + 1) / 1.5, (1 + 3) / 1.5, (4 + 2.5) / 1.5, (2.5 + 6) / 1.5], [1, 3, 0, 0]])
    torch.testing.assert_close(pooled[..., 0], expected)


def test_a_whole_song_fits_and_keeps_its_mean(parts: Parts) -> None:
    model, _ = parts
    song = torch.as_tensor(clip(1001))[None]
    positions, _ = model.audio_positions(song)
    assert positions.shape == (1, 8, 32)
    mean = model.projector(song.float().mean(dim=1))
    torch.testing.assert_close(positions.mean(dim=1), mean, atol=1e-5, rtol=1e-4)


def test_padding_frames_are_not_heard(parts_with_concepts: Parts) -> None:
    model, _ = parts_with_concepts
    frames = torch.as_tensor(clip(9)).float()[None]
    mask = torch.tensor([[True] * 4 + [False] * 5])
    torch.testing.assert_close(
        model.audio_positions(frames, mask)[0][:, :6], model.audio_positions(frames[:, :4])[0]
    )
    with pytest.raises(ValueError, match="first frames"):
        model.audio_positions(frames, ~mask)


def test_given_posteriors_replace_the_heads(parts_with_concepts: Parts) -> None:
    model, _ = parts_with_concepts
    given = torch.tensor([[2.0, -1.0]])
    positions, _ = model.audio_positions(torch.zeros(1, 1, WIDTH), None, given)
    torch.testing.assert_close(positions[0, :2], given[0, :, None] * model.concepts.words)


def test_a_wrong_number_of_places_is_refused_with_both_numbers(parts: Parts) -> None:
    model, processor = parts
    inputs = processor("A?", clip(5))
    inputs["audio_frames"], inputs["audio_mask"] = inputs["audio_frames"][:, :4], inputs["audio_mask"][:, :4]
    with pytest.raises(ValueError, match=r"\[5\] places for audio, but the clips have \[4\] positions"):
        model(**inputs)


def test_rows_whose_places_are_wrong_but_cancel_out_are_refused(parts: Parts) -> None:
    model, processor = parts
    inputs = processor(["A?", "B?"], [clip(3), clip(5)])
    inputs["audio_mask"] = inputs["audio_mask"].flip(0)
    with pytest.raises(ValueError, match=r"\[3, 5\] places for audio, but the clips have \[5, 3\] positions"):
        model(**inputs)


def test_places_without_audio_and_audio_without_places_are_refused(parts: Parts) -> None:
    model, processor = parts
    inputs = processor("A?", clip(5))
    with pytest.raises(ValueError, match="5 audio places, but no audio"):
        model(input_ids=inputs["input_ids"])
    with pytest.raises(ValueError, match="0 <audio_start> tokens, but 1 clips"):
        model(**processor("A?"), audio_frames=inputs["audio_frames"])


def test_frames_of_another_width_are_refused(parts: Parts) -> None:
    model, _ = parts
    with pytest.raises(ValueError, match=r"\(1, 5, 7\), expected \[clips, frames, 6\]"):
        model.audio_positions(torch.zeros(1, 5, 7))


def test_a_dimension_that_never_moves_stays_finite(parts: Parts) -> None:
    model, _ = parts
    model.set_normalisation(torch.ones(WIDTH), torch.zeros(WIDTH))
    assert torch.equal(model.normalise(torch.full((1, 1, WIDTH), 3.0)), torch.full((1, 1, WIDTH), 2.0))


def _answers(model: Any, inputs: Any, **more: Any) -> list[list[int]]:
    out = model.generate(**inputs, max_new_tokens=12, min_new_tokens=12, **more)
    rows: list[list[int]] = out[:, inputs["input_ids"].shape[1] :].tolist()
    return rows


QUESTIONS = ["A?", "What is the tempo of this piece?", "Key"]
CLIPS = [clip(3, 1), clip(20, 2), None]
FACTS = ["tempo: 90 BPM", None, None]


def test_a_batch_answers_as_each_row_alone(parts_with_concepts: Parts) -> None:
    model, processor = parts_with_concepts
    together = _answers(model, processor(QUESTIONS, CLIPS, FACTS), do_sample=False)
    alone = [
        _answers(model, processor(q, None if c is None else [c], f), do_sample=False)[0]
        for q, c, f in zip(QUESTIONS, CLIPS, FACTS, strict=True)
    ]
    assert together == alone
    assert len({tuple(row) for row in together}) == 3


def test_the_cache_changes_no_token(parts_with_concepts: Parts) -> None:
    model, processor = parts_with_concepts
    inputs = processor(QUESTIONS, CLIPS, FACTS)
    cached = _answers(model, inputs, do_sample=False)
    assert _answers(model, inputs, do_sample=False, use_cache=False) == cached


def test_the_answer_depends_on_the_audio(parts: Parts) -> None:
    model, processor = parts
    first = _answers(model, processor("A?", clip(8, 1)), do_sample=False)
    assert _answers(model, processor("A?", clip(8, 2)), do_sample=False) != first


def test_left_and_right_padding_give_the_same_logits(parts: Parts) -> None:
    model, processor = parts
    left = processor(["A?", "Which key is it?"], [clip(3, 1), clip(5, 2)])
    mask = left["attention_mask"].bool()
    right = {name: torch.zeros_like(left[name]) for name in ("input_ids", "attention_mask")}
    for row in range(2):
        n = int(mask[row].sum())
        right["input_ids"][row, :n] = left["input_ids"][row][mask[row]]
        right["attention_mask"][row, :n] = 1
    audio = {name: left[name] for name in ("audio_frames", "audio_mask")}
    there = model(**right, **audio).logits[right["attention_mask"].bool()]
    torch.testing.assert_close(model(**left).logits[mask], there, atol=1e-4, rtol=1e-4)


def test_sampling_is_repeatable_and_several_answers_share_the_clip(parts: Parts) -> None:
    model, processor = parts
    inputs = processor(["A?", "B?"], [clip(4, 1), clip(6, 2)])
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(_answers(model, inputs, do_sample=True, num_return_sequences=2))
    assert runs[0] == runs[1]
    assert len({tuple(row) for row in runs[0]}) == 4


def test_several_answers_for_prompts_without_a_clip_each_are_refused(parts: Parts) -> None:
    model, processor = parts
    inputs = processor(["A?", "B?"], [clip(4), None])
    with pytest.raises(ValueError, match="found 1 clips for 2 prompts"):
        _answers(model, inputs, do_sample=True, num_return_sequences=2)


def test_the_loss_is_the_mean_over_learnt_tokens(parts: Parts) -> None:
    model, processor = parts
    inputs = processor(["A?", "Which?"], [clip(4, 1), clip(6, 2)])
    labels = torch.full_like(inputs["input_ids"], IGNORE_INDEX)
    labels[0, -3:], labels[1, -1] = 7, 9
    whole = model(**inputs, labels=labels)
    chances = whole.logits.log_softmax(-1)
    n = labels.shape[1]
    picked = [chances[0, i - 1, 7] for i in range(n - 3, n)] + [chances[1, n - 2, 9]]
    expected = -torch.stack(picked).mean()
    torch.testing.assert_close(whole.loss, expected)
    quick = model(**inputs, labels=labels, loss_only=True)
    torch.testing.assert_close(quick.loss, expected)
    assert quick.logits is None
    shared = model(**inputs, labels=labels, loss_only=True, num_items_in_batch=8).loss
    torch.testing.assert_close(shared, expected / 2)


def test_nothing_to_learn_is_a_loss_of_zero(parts: Parts) -> None:
    model, processor = parts
    inputs = processor("A?", clip(4))
    labels = torch.full_like(inputs["input_ids"], IGNORE_INDEX)
    assert model(**inputs, labels=labels, loss_only=True).loss.item() == 0.0


def test_logits_are_computed_where_a_mask_says(parts: Parts) -> None:
    model, processor = parts
    inputs = processor(["A?", "B?"], [clip(4, 1), clip(6, 2)])
    keep = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
    keep[0, -1], keep[1, -2:] = True, True
    torch.testing.assert_close(model(**inputs, logits_to_keep=keep).logits, model(**inputs).logits[keep])


def test_gradients_reach_all_of_the_audio_side(parts_with_concepts: Parts) -> None:
    model, processor = parts_with_concepts
    inputs = processor("A?", clip(12))
    labels: Tensor = inputs["input_ids"].clone()
    labels[labels >= model.config.audio_start_id] = IGNORE_INDEX
    model(**inputs, labels=labels).loss.backward()
    reached = {
        name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.abs().any())
    }
    assert {"projector.weight", "projector.bias", "markers.weight", "concepts.words"} <= reached


@pytest.mark.parametrize(
    "text",
    [
        {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2},
        {"model_type": "mpt", "d_model": 16, "n_layers": 1, "n_heads": 2, "expansion_ratio": 2},
        {"model_type": "qwen2", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 1, "intermediate_size": 16},
    ],
    ids=lambda text: str(text["model_type"]),
)  # fmt: skip
@pytest.mark.parametrize("projector", ["linear", "mlp"])
def test_any_causal_language_model_can_be_made_to_hear(text: dict[str, Any], projector: str) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "bos_token_id": 0, "eos_token_id": 0}
    config = LlarkConfig(text_config=text | sizes, audio_width=WIDTH, projector=projector)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert isinstance(model, LlarkForConditionalGeneration)
    ids = torch.tensor([[3, 40, 41, 41, 42, 5]])
    runs = [model(input_ids=ids, audio_frames=torch.randn(1, 2, WIDTH)).logits for _ in range(2)]
    assert runs[0].shape == (1, 6, 40)
    torch.testing.assert_close(runs[0][:, 0], runs[1][:, 0])
    assert all(not torch.equal(runs[0][:, i], runs[1][:, i]) for i in range(2, 6))


def test_every_order_of_rows_gives_the_same_embeddings(parts: Parts) -> None:
    model, processor = parts
    rows = list(zip(["A?", "B?", "C?"], [clip(3, 1), clip(5, 2), clip(8, 3)], strict=True))
    alone = {q: model.embed(**_audio_only(processor(q, c))) for q, c in rows}
    for order in itertools.permutations(rows):
        inputs = processor([q for q, _ in order], [c for _, c in order])
        embeds = model.embed(**_audio_only(inputs))
        for row, (question, _) in enumerate(order):
            n = alone[question].shape[1]
            torch.testing.assert_close(embeds[row, -n:], alone[question][0])


def _audio_only(inputs: Any) -> dict[str, Tensor]:
    return {name: value for name, value in inputs.items() if name != "attention_mask"}


def test_the_model_type_is_known_to_the_auto_classes() -> None:
    assert AutoConfig.for_model("llark", audio_width=3).audio_width == 3
