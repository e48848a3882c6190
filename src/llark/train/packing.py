"""Several examples in one row, none of which sees another: nothing, or little, is padding.

Each example's positions count from 0, and attention is computed example by example, so that what a model says
of an example does not depend on its neighbours. A mask says the same, for models that take nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from llark.errors import UserMustAct

BLOCKS = "llark_blocks"
"""The lengths of the examples in each row, as an input of the model; also the name of the attention."""


def rows_of(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Which examples lie behind each other in one row of at most so many tokens: each, from the longest on,
    into the first row that has room."""
    rows: list[list[int]] = []
    room: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = next((row for row, left in enumerate(room) if left >= lengths[number]), len(rows))
        if fits == len(rows):
            rows.append([])
            room.append(most_tokens)
        rows[fits].append(number)
        room[fits] -= lengths[number]
    return rows


def seen(branch: Sequence[int]) -> Tensor:
    """[tokens, tokens], boolean, row sees column: those before it that all see, or that are of its branch."""
    of = torch.tensor(branch)
    return ((of[:, None] == of[None, :]) | (of[None, :] == 0)).tril()


def make_ready(model: Any) -> None:
    """Lets a model compute attention example by example. Raises `UserMustAct` where it cannot be packed."""
    inner = model.language_model
    accepted = inspect.signature(inner.forward).parameters
    if "position_ids" not in accepted or inner.config._attn_implementation not in ("sdpa", "eager"):
        raise UserMustAct(
            f"train.packed: a {inner.config.model_type} model cannot be told where an example begins; "
            "set it to false."
        )
    takes_more = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in accepted.values())
    if inner.config._attn_implementation == "sdpa" and takes_more:
        from transformers import AttentionInterface
        from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

        AttentionInterface.register(BLOCKS, attend)
        AttentionMaskInterface.register(BLOCKS, sdpa_mask)
        inner.set_attn_implementation(BLOCKS)


def for_model(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs, without the lengths where the model has no use for them."""
    inner = getattr(model, "module", model).language_model
    if BLOCKS in inputs and inner.config._attn_implementation != BLOCKS:
        return {name: value for name, value in inputs.items() if name != BLOCKS}
    return inputs


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention of [rows, heads, tokens, size], example by example where their lengths are given, as
    transformers calls it; the answer is [rows, tokens, heads, size]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    blocks = kwargs.pop(BLOCKS, None)
    if blocks is None:
        answer, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return answer, None
    rows = []
    for row, lengths in enumerate(blocks):
        parts, begin = [], 0
        for length in lengths:
            part = (slice(row, row + 1), slice(None), slice(begin, begin + length))
            mask = _window(length, kwargs.get("sliding_window"), query.device)
            parts.append(
                sdpa_attention_forward(module, query[part], key[part], value[part], mask, **kwargs)[0]
            )
            begin += length
        padding = parts[0].new_zeros(1, query.shape[2] - begin, *parts[0].shape[2:])
        rows.append(torch.cat([*parts, padding], dim=1))
    return torch.cat(rows), None


def _window(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """What an example's tokens see where that is not all before them: [1, 1, tokens, tokens]."""
    if window is None or length <= window:
        return None
    place = torch.arange(length, device=device)
    apart = place[:, None] - place[None, :]
    return ((apart >= 0) & (apart < window))[None, None]
