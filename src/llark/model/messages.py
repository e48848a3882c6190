"""Conversations as other software writes them: messages with roles and parts, and the chat templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .config import AUDIO_END, AUDIO_PATCH, AUDIO_START
from .conversation import SYSTEM, Turn

_CLIP = AUDIO_START + AUDIO_PATCH + AUDIO_END
_LINE = "{{ '\\n' }}"  # a plain one after a tag would be trimmed

_PARTS = (
    "{% if message['content'] is string %}{{ message['content'].strip() }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'audio' %}" + _CLIP + _LINE + "{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'].strip() }}{% endfor %}"
    "{% endif %}"
)

TEMPLATES = {
    "chatml": (
        "{% for message in messages %}{% if not loop.first %}" + _LINE + "{% endif %}"
        "<|im_start|>{{ message['role'] }}" + _LINE + _PARTS + "<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}" + _LINE + "<|im_start|>assistant" + _LINE + "{% endif %}"
    ),
    "published": (
        SYSTEM + "\n\n### {% for message in messages %}"
        "{% if message['role'] == 'user' %}Human: {% else %}Assistant: {% endif %}" + _PARTS + _LINE + "### "
        "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
    ),
}
"""Jinja. A clip is one `<audio_patch>`: whoever fills it in repeats that for each of the clip's positions."""


def read_messages(
    messages: Sequence[Mapping[str, Any]], positions_of: Callable[[int], int]
) -> tuple[list[Turn], list[Tensor]]:
    """Messages → the turns of a conversation and its clips, [frames, width], in their order.

    Raises `ValueError` where user and assistant do not take turns, or a part is of another kind.
    """
    roles = [str(message["role"]) for message in messages]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2):
        raise ValueError(
            f"found messages of {', '.join(roles) or 'nobody'}; user and assistant take turns, the user first"
        )
    turns: list[Turn] = []
    clips: list[Tensor] = []
    for asked, answered in zip(messages[::2], [*messages[1::2], None], strict=False):
        text, frames = _parts(asked)
        answer = None if answered is None else _parts(answered)[0]
        turns.append(Turn(text, answer, tuple(positions_of(len(clip)) for clip in frames)))
        clips += frames
    return turns, clips


def _parts(message: Mapping[str, Any]) -> tuple[str, list[Tensor]]:
    """A message's text and its clips."""
    content = message["content"]
    if isinstance(content, str):
        return content, []
    clips, texts = [], []
    for part in content:
        if part["type"] == "text":
            texts.append(str(part["text"]).strip())
        elif part["type"] == "audio" and message["role"] == "user":
            clips.append(frames_of(part.get("audio")))
        else:
            kind, who = part["type"], message["role"]
            raise ValueError(
                f"found a part of type {kind!r} from the {who}; it can be text or, from the user, audio"
            )
    return "".join(texts), clips


def frames_of(given: Any) -> Tensor:
    """A clip's frames. Raises `ValueError` where they are not finite numbers, [frames, width]."""
    try:
        frames = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"audio is an array [frames, width] of numbers, found {given!r:.60}") from error
    if frames.ndim != 2 or not len(frames) or frames.is_complex():
        kind = f"{tuple(frames.shape)} of {frames.dtype}"
        raise ValueError(f"audio is numbers [frames, width] with a frame or more, found {kind}")
    if not frames.isfinite().all():
        raise ValueError("audio is finite numbers; these frames hold NaN or infinity")
    return frames
