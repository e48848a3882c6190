"""A model of ours as `llark evaluate` asks it: about clips, about stand-ins for them, and about options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llark.errors import UserMustAct
from llark.music import facts_line
from llark.pipeline.ask import Choice, fingerprint, load_answerer
from llark.records import Embedding

if TYPE_CHECKING:
    import numpy as np

    from llark.evaluate.cases import Put
    from llark.generate import Answerer


class LocalModel:
    """A trained model of ours, as `answers` asks it; loaded when it is first asked."""

    def __init__(self, choice: Choice, embeddings: Mapping[str, Embedding]) -> None:
        self.about = {**fingerprint(choice), "encoder": encoder_of(embeddings)}
        self._choice = choice
        self._answerer: Answerer | None = None
        self._embeddings = embeddings
        self._stand_ins: dict[str, np.ndarray] = {}

    def __call__(self, puts: Sequence[Put]) -> list[str]:
        from llark.generate import Query

        if self._answerer is None:
            self._answerer = load_answerer(self._choice)
        if any(put.options for put in puts):
            return [_likeliest(self._answerer, put) for put in puts]
        return self._answerer(
            [
                Query(
                    put.question,
                    self._frames(put),
                    None if put.facts is None else facts_line.describe_facts(put.facts),
                )
                for put in puts
            ]
        )

    def _frames(self, put: Put) -> np.ndarray | None:
        """[frames, width] of what is heard; `None` for nothing."""
        if put.stand_in is not None:
            if put.stand_in not in self._stand_ins:
                if not is_mini(self._embeddings):
                    raise UserMustAct(f"{put.stand_in} can be heard by the mini encoder alone.")
                self._stand_ins[put.stand_in] = heard_stand_in(put.stand_in)
            return self._stand_ins[put.stand_in]
        return None if put.clip_id is None else self._embeddings[put.clip_id].frames


def _likeliest(answerer: Answerer, put: Put) -> str:
    """The letter of the option that the language model expects most after the bare question."""
    from llark.evaluate import options
    from llark.pipeline.likelihood import likeliest

    return f"({options.LETTERS[likeliest(answerer, options.bare(put.question), put.options)]})"


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
