"""Captioning: how near a description is to what people wrote (MusicCaps, MusicNet, FMA and other captions).

`rouge_l` and `meteor` are means over clips; `bleu` is BLEU-4 of the whole set (Papineni et al. 2002), as
sacrebleu smooths it. METEOR here matches words and stems, without punctuation and without WordNet's synonyms,
so that it is a little lower than NLTK's own. All of them measure fluency and shared words: a model that has
heard nothing scores well (Lin, Freeman and Thickstun 2025), so compare with the controls and with `details`,
the mean number of musical facts that a reader finds in an answer, and ask a judge (`llark judge`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llark.evaluate import captioning, pool
from llark.records import Annotation, Score

VERSION = 2
QUESTION = "Describe this music."
HEADLINE = "rouge_l"
DEFAULT = True

References = tuple[str, ...]


def read(answer: str, truth: object = None) -> str | None:
    return answer.strip() or None


strict = read


def truth(annotation: Annotation) -> None:
    """Captions are no annotation: see `of_captions`."""
    return None


def of_captions(captions: References) -> References | None:
    return captions or None


def points(value: str | None, truth: References) -> tuple[float, ...]:
    """1, answered, ROUGE-L, METEOR, details; then the counts that BLEU adds up."""
    said = value or ""
    scores = captioning.rouge_l(said, truth), captioning.meteor(said, truth), captioning.details(said)
    return (1, value is not None, *scores, *captioning.bleu_counts(said, truth))


def rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    means = pool.means("coverage", "rouge_l", "meteor", "details")(sums)
    return {**means, "bleu": captioning.bleu(sums[..., 5:])}


def credit(value: str | None, truth: References) -> float:
    return captioning.rouge_l(value or "", truth)


def constants(truths: Sequence[References]) -> list[str]:
    """Captions of the training set, said of every clip: at most twenty, evenly over it."""
    captions = sorted({caption for truth in truths for caption in truth})
    return captions[:: max(1, len(captions) // 20)][:20]


def score(pairs: Sequence[tuple[str | None, References]]) -> list[Score]:
    return pool.scores("captions", [points(value, truth) for value, truth in pairs], rates)
