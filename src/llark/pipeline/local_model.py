"""A model of ours as `llark evaluate` asks it: about clips, about stand-ins for them, and about options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.music import facts_line
from llark.options import ModelOptions
from llark.pipeline.ask import fingerprint, load_answerer
from llark.records import Embedding

if TYPE_CHECKING:
    import numpy as np

    from llark.evaluate.cases import TaskPrompt
    from llark.generate import Answerer


class LocalModel:
    """A trained model of ours, as `answers` asks it; loaded when it is first asked."""

    def __init__(self, choice: ModelOptions, embeddings: Mapping[str, Embedding]) -> None:
        self.about = {**fingerprint(choice), "encoder": encoder_of(embeddings)}
        self._choice = choice
        self._answerer: Answerer | None = None
        self._embeddings = embeddings
        self._stand_ins: dict[str, np.ndarray] = {}

    def __call__(self, prompts: Sequence[TaskPrompt]) -> list[str]:
        from llark.generate import Query

        if self._answerer is None:
            self._answerer = load_answerer(self._choice)
        if any(prompt.options for prompt in prompts):
            return [_likeliest(self._answerer, prompt) for prompt in prompts]
        return self._answerer(
            [
                Query(
                    prompt.question,
                    self._frames(prompt),
                    None if prompt.facts is None else facts_line.describe_facts(prompt.facts),
                )
                for prompt in prompts
            ]
        )

    def _frames(self, prompt: TaskPrompt) -> np.ndarray | None:
        """[frames, width] of what is heard; `None` for nothing."""
        if prompt.stand_in is not None:
            if prompt.stand_in not in self._stand_ins:
                if not is_mini(self._embeddings):
                    raise UserMustAct(f"{prompt.stand_in} can be heard by the mini encoder alone.")
                self._stand_ins[prompt.stand_in] = heard_stand_in(prompt.stand_in)
            return self._stand_ins[prompt.stand_in]
        return None if prompt.clip_id is None else self._embeddings[prompt.clip_id].frames


def _likeliest(answerer: Answerer, prompt: TaskPrompt) -> str:
    """The letter of the option that the language model expects most after the bare question."""
    from llark.evaluate import options
    from llark.pipeline.likelihood import likeliest

    return f"({options.LETTERS[likeliest(answerer, options.bare(prompt.question), prompt.options)]})"


def heard_stand_in(name: str) -> np.ndarray:
    """Twenty-five seconds of silence or noise as the encoder hears them, [frames, width]."""
    from llark.embed import mini
    from llark.evaluate.sounds import stand_in
    from llark.networks.features import AudioFeatures

    return mini.embed(AudioFeatures(stand_in(name, 22050), 22050))


def is_mini(embeddings: Mapping[str, Embedding]) -> bool:
    """Whether they are those of the package's own encoder."""
    from llark.embed import mini

    return encoder_of(embeddings) == mini.VERSION


def encoder_of(embeddings: Mapping[str, Embedding]) -> str:
    """The encoder and its version, as the first of them says."""
    return next((embeddings[id_].encoder for id_ in embeddings), "none")
