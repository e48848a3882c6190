"""Captioning: how near a description is to what people wrote (MusicCaps, MusicNet, FMA and other captions).

`rouge_l` and `meteor` are means over clips; `bleu` is BLEU-4 of the whole set (Papineni et al. 2002), as
sacrebleu smooths it. METEOR here matches words and stems, without punctuation and without WordNet's synonyms,
so that it is a little lower than NLTK's own. All of them measure fluency and shared words: a model that has
no sound scores well (Lin, Freeman and Thickstun 2025), so compare with the controls and with `details`,
the mean number of musical facts that a reader finds in an answer, and ask a judge (`llark judge`).

The metrics are those of sacrebleu, rouge-score and NLTK: `pip install 'llark[evaluate]'`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from llark.errors import UserMustAct
from llark.evaluate import bootstrap
from llark.evaluate.task import Task
from llark.music import readers

ORDER = 4
"""BLEU counts sequences of one to so many words."""


class _NoSynonyms:
    """In WordNet's place, which is fetched from elsewhere: no word has a synonym."""

    @staticmethod
    def synsets(word: str) -> list[Any]:
        return []


@cache
def _of_extra(module: str, name: str) -> Any:
    """What a library of the extra defines."""
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        library = module.partition(".")[0].replace("_", "-")
        raise UserMustAct(
            f"{library} is not installed; captions are scored with: pip install 'llark[evaluate]'"
        ) from error


@cache
def _rouge() -> Any:
    return _of_extra("rouge_score.rouge_scorer", "RougeScorer")(["rougeL"], use_stemmer=True)


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """ROUGE-L F1 with the best of the references, words stemmed: 0 to 1."""
    return max((float(_rouge().score(one, answer)["rougeL"].fmeasure) for one in references), default=0.0)


def meteor(answer: str, references: Sequence[str]) -> float:
    """METEOR with the best of the references, by words and stems: 0 to 1."""
    score, said = _of_extra("nltk.translate.meteor_score", "single_meteor_score"), _words(answer)
    scores = (float(score(_words(one), said, wordnet=_NoSynonyms)) for one in references)
    return max(scores, default=0.0)


def _words(text: str) -> list[str]:
    """The words alone, as ROUGE's: a full stop does not make another word of the last one."""
    return re.findall(r"\w+", text.lower())


def bleu_counts(answer: str, references: Sequence[str]) -> tuple[float, ...]:
    """Length of the answer and of the nearest reference, then matches and totals of 1 to 4 words."""
    bleu = _of_extra("sacrebleu.metrics", "BLEU")
    one = bleu(effective_order=True).sentence_score(answer, list(references))
    return (float(one.sys_len), float(one.ref_len), *map(float, one.counts), *map(float, one.totals))


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU of added counts [..., 10]: [...], 0 to 1."""
    scores = [_bleu(row.tolist()) for row in sums.reshape(-1, sums.shape[-1])]
    return np.asarray(scores).reshape(sums.shape[:-1])


def _bleu(counts: Sequence[float]) -> float:
    whole = [round(count) for count in counts]
    lengths, matches, totals = whole[:2], whole[2 : 2 + ORDER], whole[2 + ORDER :]
    if not lengths[0]:
        return 0.0
    score = _of_extra("sacrebleu.metrics", "BLEU").compute_bleu(
        correct=matches, total=totals, sys_len=lengths[0], ref_len=lengths[1], smooth_method="exp"
    )
    return float(score.score) / 100


def details(answer: str) -> int:
    """How many musical facts the readers find: tempo, key, meter, style, chords, and each instrument."""
    single = (readers.read_tempo, readers.read_key, readers.read_meter, readers.read_genre)
    values = sum(read(answer) is not None for read in single)
    chords = readers.read_chords(answer) or ()
    return values + len(readers.read_instruments(answer) or ()) + (len(chords) > 1)


@lru_cache(maxsize=65536)  # the same constants are said of every clip, for each metric anew
def _points(value: str | None, truth: tuple[str, ...]) -> tuple[float, ...]:
    """1, answered, ROUGE-L, METEOR, details; then the counts that BLEU adds up."""
    answer = value or ""
    scores = rouge_l(answer, truth), meteor(answer, truth), details(answer)
    return (1, value is not None, *scores, *bleu_counts(answer, truth))


def _rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    means = bootstrap.means("coverage", "rouge_l", "meteor", "details")(sums)
    return {**means, "bleu": bleu(sums[..., 5:])}


def _constants(truths: Sequence[tuple[str, ...]]) -> list[str]:
    """Captions of the training set, said of every clip: at most twenty, evenly over it."""
    captions = sorted({caption for truth in truths for caption in truth})
    return captions[:: max(1, len(captions) // 20)][:20]


def _read(answer: str) -> str | None:
    return answer.strip() or None


TASK = Task(
    about=__doc__,
    version=3,
    question="Describe this music.",
    headline="rouge_l",
    reader=_read,
    strict_reader=_read,
    truth=lambda annotation: None,
    from_captions=True,
    points=_points,
    rates=_rates,
    constants=_constants,
)
