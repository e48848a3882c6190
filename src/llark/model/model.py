"""The model: audio frames become embeddings of a language model and are read in their place in the text.

Axes: batch, clips, frames, width (of an audio frame), hidden (of the language model), tokens, vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.generation import StoppingCriteria
from transformers.utils import ModelOutput

from .config import LlarkConfig, positions_of

IGNORE_INDEX = -100
"""Label of a token that the loss does not look at."""

_AUDIO_INPUTS = ("audio_frames", "audio_mask", "concept_posteriors")


@dataclass
class LlarkOutput(ModelOutput):  # type: ignore[misc]
    """`logits`: [batch, tokens, vocabulary], or [kept, vocabulary] where a boolean mask chose positions."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Any | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


def build_projector(config: LlarkConfig) -> nn.Module:
    """[..., width] → [..., hidden]."""
    if config.projector == "linear":
        return nn.Linear(config.audio_width, config.hidden_size)
    return nn.Sequential(
        nn.Linear(config.audio_width, config.hidden_size),
        nn.GELU(),
        nn.Linear(config.hidden_size, config.hidden_size),
    )


def build_concepts(config: LlarkConfig) -> nn.Module | None:
    """The concept heads that the configuration describes, or `None`."""
    if not config.concepts:
        return None
    from .concepts import Concepts

    return Concepts(config.concepts, config.audio_width, config.hidden_size)


def pool_frames(frames: Tensor, lengths: Tensor, limit: int) -> Tensor:
    """Average each clip's first `lengths` frames in time into at most `limit` equal spans.

    frames: [clips, frames, width]; lengths: [clips]. A clip with no more frames than `limit` keeps them.
    A frame across the border of two spans counts in both, by its share. Returns [clips, spans, width], in
    which spans after a clip's own are zero.
    """
    longest = int(lengths.max())
    most = min(longest, limit)
    if longest <= limit:
        valid = torch.arange(most, device=frames.device) < lengths[:, None]
        return frames[:, :most] * valid[..., None].to(frames.dtype)
    spans = lengths.clamp(max=limit)
    step = (lengths / spans.clamp(min=1)).to(torch.float32)[:, None, None]
    start = torch.arange(most, device=frames.device, dtype=torch.float32)[None, :, None] * step
    frame = torch.arange(frames.shape[1], device=frames.device, dtype=torch.float32)[None, None]
    share = (torch.minimum(frame + 1, start + step) - torch.maximum(frame, start)).clamp(min=0)
    span = torch.arange(most, device=frames.device)[None, :, None]
    inside = (frame < lengths[:, None, None]) & (span < spans[:, None, None])
    share = share * inside / step.clamp(min=1)
    return torch.bmm(share.to(frames.dtype), frames)


class LlarkForConditionalGeneration(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """Any causal language model that also reads audio frames.

    `language_model` may be handed in ready; else it is built from the configuration, with random weights.
    """

    config_class = LlarkConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _keep_in_fp32_modules_strict = ("concepts", "frame_mean", "frame_std")

    projector: nn.Module
    concepts: Any
    language_model: Any
    frame_mean: Tensor
    frame_std: Tensor

    def __init__(self, config: LlarkConfig, language_model: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.projector = build_projector(config)
        self.markers = nn.Embedding(2, config.hidden_size)
        self.concepts = build_concepts(config)
        self.register_buffer("frame_mean", torch.zeros(config.audio_width))
        self.register_buffer("frame_std", torch.ones(config.audio_width))
        if language_model is None:
            self.language_model = AutoModelForCausalLM.from_config(config.text_config)
            self.post_init()
        else:  # post_init would draw the ready weights anew, so it comes first
            self.post_init()
            self.language_model = language_model
            config.text_config = language_model.config
            tied = getattr(language_model, "all_tied_weights_keys", None) or {}
            self.all_tied_weights_keys |= {
                f"language_model.{key}": f"language_model.{value}" for key, value in tied.items()
            }
        self._accepted = frozenset(inspect.signature(self.language_model.forward).parameters)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self:
            with torch.no_grad():
                self.frame_mean.zero_()
                self.frame_std.fill_(1.0)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """The whole model, base included. LoRA layers must be merged (or use `checkpoint.save_adapter`)."""
        if self.config.lora:
            raise ValueError("merge the LoRA layers before saving the whole model, or save the adapter alone")
        super().save_pretrained(save_directory, **kwargs)

    def get_input_embeddings(self) -> Any:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> Any:
        return self.language_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.language_model.set_output_embeddings(new_embeddings)

    @property
    def concept_positions(self) -> int:
        """Positions that come before the frames of every clip."""
        return int(self.concepts.positions_count) if self.concepts is not None else 0

    def positions_of(self, n_frames: int) -> int:
        """How many positions a clip of `n_frames` frames takes in the text."""
        return positions_of(n_frames, self.config.max_audio_positions, self.concept_positions)

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Frames become (frame - mean) / std. mean, std: [width]; a deviation under 1e-6 is taken as 1."""
        with torch.no_grad():
            self.frame_mean.copy_(mean)
            self.frame_std.copy_(torch.where(std < 1e-6, torch.ones_like(std), std))

    def normalise(self, audio_frames: Tensor) -> Tensor:
        """[clips, frames, width] of the encoder → float32, each dimension with mean 0 and deviation 1."""
        if audio_frames.ndim != 3 or audio_frames.shape[-1] != self.config.audio_width:
            raise ValueError(
                f"audio_frames has shape {tuple(audio_frames.shape)}, expected "
                f"[clips, frames, {self.config.audio_width}]"
            )
        return (audio_frames.float() - self.frame_mean.float()) / self.frame_std.float()

    def audio_positions(
        self, audio_frames: Tensor, audio_mask: Tensor | None = None, concept_posteriors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the language model reads for each clip: [clips, concept positions + frame positions, hidden];
        and how many of the positions are the clip's own, [clips]: the first ones, the rest is padding.

        audio_frames: [clips, frames, width]. audio_mask: [clips, frames], true where a frame is valid; valid
        frames come first. concept_posteriors: [clips, P]; heads compute them from the frames if none are
        given.
        """
        frames = self.normalise(audio_frames)
        if audio_mask is None:
            audio_mask = torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device)
        mask = audio_mask.bool()
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("audio_mask must mark a clip's first frames as valid; padding comes after them")
        frames = frames.masked_fill(~mask[..., None], 0.0)
        lengths = mask.sum(dim=1)
        limit = self.config.max_audio_positions - self.concept_positions
        dtype = self.markers.weight.dtype
        positions: Tensor = self.projector(pool_frames(frames, lengths, limit).to(dtype))
        if self.concepts is not None:
            if concept_posteriors is None:
                concept_posteriors = self.concepts.posteriors(frames, mask)
            concepts = self.concepts.positions(concept_posteriors.to(positions.device))
            positions = torch.cat([concepts.to(positions.dtype), positions], dim=1)
        return positions, lengths.clamp(max=limit) + self.concept_positions

    def embed(
        self,
        input_ids: Tensor | None,
        audio_frames: Tensor | None = None,
        audio_mask: Tensor | None = None,
        concept_posteriors: Tensor | None = None,
    ) -> Tensor:
        """input_ids [batch, tokens] → embeddings [batch, tokens, hidden] with the clips in their places.

        Clips are placed in the order of their `<audio_start>` tokens, row by row. Raises `ValueError` where
        the text leaves another number of places than a clip has positions.
        """
        if input_ids is None:
            raise ValueError("give input_ids or inputs_embeds")
        table = self.language_model.get_input_embeddings()
        embeds: Tensor = table(input_ids.clamp(max=table.weight.shape[0] - 1))
        starts, ends, patches = (
            input_ids == token
            for token in (self.config.audio_start_id, self.config.audio_end_id, self.config.audio_patch_id)
        )
        if audio_frames is None:
            if bool(patches.any()):
                raise ValueError(f"the text has {int(patches.sum())} audio places, but no audio was given")
            return embeds
        positions, counts = self.audio_positions(audio_frames, audio_mask, concept_posteriors)
        _check_places(starts, patches, counts)
        flat = positions[torch.arange(positions.shape[1], device=counts.device) < counts[:, None]]
        embeds = embeds.masked_scatter(patches[..., None], flat.to(embeds.dtype))
        markers = self.markers.weight.to(embeds.dtype)
        embeds = torch.where(starts[..., None], markers[0], embeds)
        return torch.where(ends[..., None], markers[1], embeds)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any | None = None,
        inputs_embeds: Tensor | None = None,
        audio_frames: Tensor | None = None,
        audio_mask: Tensor | None = None,
        concept_posteriors: Tensor | None = None,
        labels: Tensor | None = None,
        loss_only: bool = False,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: int | Tensor | None = None,
        **kwargs: Any,
    ) -> LlarkOutput:
        """One pass.

        attention_mask: [batch, tokens], or [batch, 1, tokens, keys], boolean (true: may see) or additive, for
        packed training. labels: [batch, tokens], shifted in here, -100 where a token is not supervised. The
        loss is the mean over supervised tokens (or the sum over `num_items_in_batch`). `loss_only` computes
        logits where a label is, and returns none. logits_to_keep: the last n, or a boolean mask
        [batch, tokens].
        """
        if inputs_embeds is None:
            inputs_embeds = self.embed(input_ids, audio_frames, audio_mask, concept_posteriors)
        supervised = _supervised_positions(labels) if labels is not None else None
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=_additive(attention_mask, inputs_embeds.dtype),
            past_key_values=past_key_values,
            use_cache=False if use_cache is None and supervised is not None else use_cache,
            logits_to_keep=supervised if loss_only and supervised is not None else logits_to_keep,
            **self._place(position_ids, attention_mask, inputs_embeds.shape[1]),
            **kwargs,
        )
        logits, loss = outputs.logits, None
        if labels is not None and supervised is not None:
            targets = labels[:, 1:][supervised[:, :-1]]
            loss = _loss(logits if loss_only else logits[supervised], targets, num_items_in_batch)
        return LlarkOutput(
            loss=loss,
            logits=None if loss_only and loss is not None else logits,
            past_key_values=outputs.past_key_values,
            hidden_states=getattr(outputs, "hidden_states", None),
            attentions=getattr(outputs, "attentions", None),
        )

    def _place(self, position_ids: Tensor | None, mask: Tensor | None, tokens: int) -> dict[str, Tensor]:
        """Position ids for the language model: those given, or counted from the mask, padding left out."""
        if "position_ids" not in self._accepted:
            return {}
        if position_ids is None and mask is not None and mask.ndim == 2:
            position_ids = (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -tokens:]
        return {} if position_ids is None else {"position_ids": position_ids}

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        """The audio goes in with the prompt; afterwards it is in the cache."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, **kwargs)
        if not kwargs.get("is_first_iteration", False) and kwargs.get("use_cache", True):
            for name in _AUDIO_INPUTS:
                inputs.pop(name, None)
        return inputs

    def _get_stopping_criteria(self, *args: Any, **kwargs: Any) -> Any:
        """Also stops where the way of writing ends an answer without a token for it."""
        criteria = super()._get_stopping_criteria(*args, **kwargs)
        if self.config.stop_sequences:
            criteria.append(EndsWith(self.config.stop_sequences))
        return criteria

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, input_ids: Tensor | None = None, **model_kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Several answers a prompt: clips are repeated with their rows, so each row must have one."""
        frames = model_kwargs.get("audio_frames")
        if expand_size > 1 and frames is not None and input_ids is not None and len(frames) != len(input_ids):
            raise ValueError(
                f"beams and several answers a prompt need one clip a prompt; "
                f"found {len(frames)} clips for {len(input_ids)} prompts"
            )
        return super()._expand_inputs_for_generation(
            expand_size=expand_size, input_ids=input_ids, **model_kwargs
        )


class EndsWith(StoppingCriteria):  # type: ignore[misc]
    """Done is each row [tokens] that ends with one of some sequences of ids."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.sequences = [torch.tensor(sequence) for sequence in sequences]

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        for sequence in self.sequences:
            tail = input_ids[:, -len(sequence) :]
            if tail.shape[1] == len(sequence):
                done |= (tail == sequence.to(tail.device)).all(dim=1)
        return done


def _check_places(starts: Tensor, patches: Tensor, counts: Tensor) -> None:
    """Raise unless the run of patches after the i-th `<audio_start>` is as long as clip i has positions."""
    clips = len(counts)
    clip_of = starts.flatten().long().cumsum(0) - 1
    places = torch.bincount(clip_of[patches.flatten()].clamp(min=0), minlength=clips)
    if len(places) != clips or int(starts.sum()) != clips:
        raise ValueError(
            f"the text has {int(starts.sum())} <audio_start> tokens, but {clips} clips were given"
        )
    if not torch.equal(places, counts.to(places.device)):
        raise ValueError(
            f"the text has {places.tolist()} places for audio, but the clips have {counts.tolist()} positions"
        )


def _loss(logits: Tensor, targets: Tensor, items: int | Tensor | None) -> Tensor:
    """Cross-entropy of [supervised, vocabulary] against [supervised]: the mean, or the sum over `items`."""
    total = nn.functional.cross_entropy(logits.float(), targets.to(logits.device), reduction="sum")
    return total / (items if items is not None else max(len(targets), 1))


def _supervised_positions(labels: Tensor) -> Tensor:
    """[batch, tokens], true where the *next* token is supervised."""
    supervised = torch.zeros_like(labels, dtype=torch.bool)
    supervised[:, :-1] = labels[:, 1:] != IGNORE_INDEX
    return supervised


def _additive(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """A boolean [batch, 1, tokens, keys] mask as one to add to attention scores; others unchanged."""
    if mask is None or mask.ndim != 4 or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)
