"""Which option of a question the language model expects most, when it is given neither audio nor the options.

What a question gives away by its words alone: a control of benchmarks with options.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llark.model.conversation import spell_out

if TYPE_CHECKING:
    from torch import Tensor

    from llark.generate.answerer import Answerer


def likeliest(answerer: Answerer, question: str, options: Sequence[str]) -> int:
    """The place of the option with the highest likelihood per byte as an answer to the question."""
    scores = [
        likelihood / max(1, len(option.encode()))
        for likelihood, option in zip(likelihoods(answerer, question, options), options, strict=True)
    ]
    return max(range(len(options)), key=lambda place: (scores[place], -place))


def likelihoods(answerer: Answerer, question: str, options: Sequence[str]) -> list[float]:
    """The logarithm of each option's likelihood as an answer; the question is read once for all of them."""
    import torch

    model, processor = answerer.model, answerer.processor
    with torch.inference_mode():
        asked = processor([question], [None], [None]).to(model.device)
        read = model(**asked, use_cache=True, logits_to_keep=1)
        ids, there = _rows([_ids(answerer, option) for option in options], processor.pad_id)
        ids, there = ids.to(model.device), there.to(model.device)
        read.past_key_values.batch_repeat_interleave(len(options))
        mask = torch.cat([asked["attention_mask"].expand(len(options), -1), there], dim=1)
        later = model(input_ids=ids, attention_mask=mask, past_key_values=read.past_key_values)
        first = read.logits[:, -1:].expand(len(options), -1, -1)
        logits = torch.cat([first, later.logits[:, :-1]], dim=1)
        each = logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        return [float(value) for value in (each * there).sum(-1)]


def _ids(answerer: Answerer, option: str) -> list[int]:
    ids = [int(one) for one in spell_out(answerer.processor.tokenizer, option).ids]
    return ids or [answerer.processor.pad_id]


def _rows(ids: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """[options, tokens], filled up on the right, and 1 where a token is the option's."""
    import torch

    longest = max(map(len, ids))
    rows = [[*row, *[pad] * (longest - len(row))] for row in ids]
    there = [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    return torch.tensor(rows), torch.tensor(there)
