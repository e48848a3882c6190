"""BERTScore: how near the words of a caption are to those that people wrote, in a text encoder's eyes.

Zhang et al. 2020, as the package `bert_score` computes it without idf and without a rescaled baseline: each
token takes its nearest by cosine in the other text, the first and the last mark take part but count nothing,
and of several references the best counts. It measures fluency and topic, as word overlap does: a caption of
other music scores nearly as well, so that it stands beside its controls and leads nothing.

`transformers` reads the encoder: a folder, or a name that is fetched if it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llark import engine
from llark.errors import UserMustAct
from llark.evaluate import pool
from llark.evaluate.cases import CONSTANT, Item
from llark.evaluate.outcome import Absent, Evaluation, ScoreRow, Verdict
from llark.evaluate.tasks import TASKS

TASK, METRIC = "captions", "bertscore"

LAYERS: Mapping[str, int] = {
    "bert-base-uncased": 9,
    "bert-large-uncased": 18,
    "bert-base-multilingual-cased": 9,
    "distilbert-base-uncased": 5,
    "distilroberta-base": 5,
    "roberta-base": 10,
    "roberta-large": 17,
    "xlm-roberta-base": 9,
    "deberta-base": 9,
    "deberta-large": 16,
    "deberta-large-mnli": 18,
    "deberta-xlarge-mnli": 40,
}
"""The layer that agrees best with people, by encoder, as chosen by the reference (bert_score 0.3.13, MIT)."""

BATCH = 32
NO_ENCODER = "no encoder; name one with --bert-score, such as roberta-large or its folder"
SPACED = ("roberta", "gpt2")
"""Kinds of encoders to which a word after a space is another word: the first one is given its space."""


@dataclass(frozen=True, eq=False)
class Words:
    """A text as the encoder reads it: `vectors` [tokens, width] of length 1, and what each token counts."""

    vectors: np.ndarray
    counts: np.ndarray


class Encoder:
    """A text encoder of `transformers`, cut after a layer.

    Args:
        name: Folder, or name on a hub.
        layer: How many layers are run; those of `LAYERS` where the name is known, else all.

    Raises:
        UserMustAct: It cannot be had, or has no such layer.
    """

    def __init__(self, name: str, layer: int | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
            self._model = AutoModel.from_pretrained(name).eval()
        except (OSError, ValueError) as error:
            raise UserMustAct(f"The encoder {name} cannot be had: {str(error).splitlines()[0]}") from error
        self.name, whole = name, int(self._model.config.num_hidden_layers)
        self.layer = LAYERS.get(Path(name).name, whole) if layer is None else layer
        if not 1 <= self.layer <= whole:
            raise UserMustAct(f"{name} has layers 1 to {whole}, not {self.layer}.")
        kind = self._model.config.model_type
        most = int(getattr(self._model.config, "max_position_embeddings", 512)) - 2 * ("roberta" in kind)
        self._longest = min(int(self._tokenizer.model_max_length), most)
        self._space = " " if kind in SPACED else ""

    def words(self, texts: Sequence[str]) -> list[Words]:
        """Each text as the encoder reads it."""
        import torch

        read = self._tokenizer(
            [self._space * bool(text.strip()) + text.strip() for text in texts],
            max_length=self._longest,
            truncation=True,
            padding=True,
            return_tensors="pt",
        )
        inputs = {name: read[name] for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            layers = self._model(**inputs, output_hidden_states=True).hidden_states
        vectors = torch.nn.functional.normalize(layers[self.layer].float(), dim=-1).numpy()
        there = inputs["attention_mask"].bool().numpy()
        marks = [self._tokenizer.cls_token_id, self._tokenizer.sep_token_id]
        counts = ~np.isin(inputs["input_ids"].numpy(), [mark for mark in marks if mark is not None])
        return [Words(v[t], c[t].astype(np.float32)) for v, t, c in zip(vectors, there, counts, strict=True)]


def match(said: Words, written: Words) -> tuple[float, float, float]:
    """(precision, recall, F1) of one text against another; zeros where either is empty."""
    if not said.counts.any() or not written.counts.any():
        return 0.0, 0.0, 0.0
    near = said.vectors @ written.vectors.T
    precision = float(np.average(near.max(axis=1), weights=said.counts))
    recall = float(np.average(near.max(axis=0), weights=written.counts))
    whole = precision + recall
    return precision, recall, 2 * precision * recall / whole if whole else 0.0


class Scorer:
    """Scores answers against what people wrote, which is read once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Words] = {}

    def scores(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """[answers, 3]: precision, recall and F1, each the best over the answer's references."""
        self._know(text for texts in references for text in texts)
        said = dict(self._read(sorted(set(answers), key=len)))
        found = [
            np.max([match(said[answer], self._known[text]) for text in texts], axis=0)
            for answer, texts in zip(answers, references, strict=True)
        ]
        return np.asarray(found).reshape(len(found), 3)

    def _know(self, texts: Iterable[str]) -> None:
        self._known.update(self._read(sorted(set(texts) - self._known.keys(), key=len)))

    def _read(self, texts: Sequence[str]) -> Iterator[tuple[str, Words]]:
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            yield from zip(batch, self._encoder.words(batch), strict=True)


def add(
    evaluation: Evaluation, encoder: str | None, layer: int | None = None, training: Sequence[Item] = ()
) -> Evaluation:
    """The evaluation with a row of BERTScore F1 for each condition, or with the reason why there is none."""
    answers = [v for v in evaluation.answers if v.task == TASK and v.truth is not None]
    if not answers:
        return evaluation
    try:
        if encoder is None:
            raise UserMustAct(NO_ENCODER)
        scorer = Scorer(Encoder(encoder, layer))
    except UserMustAct as why:
        return replace(evaluation, absent=(*evaluation.absent, Absent(TASK, METRIC, str(why))))
    rows = _rows(answers, scorer, evaluation, training)
    return replace(evaluation, rows=(*evaluation.rows, *rows))


def _rows(
    answers: Sequence[Verdict], scorer: Scorer, evaluation: Evaluation, training: Sequence[Item]
) -> Iterator[ScoreRow]:
    conditions = list(dict.fromkeys(verdict.condition for verdict in answers))
    asked = [row.condition for row in evaluation.rows if row.task == TASK]
    with engine.Ticker("BERTScore", len(conditions) + (CONSTANT in asked)) as tick:
        for condition in conditions:
            heard = [verdict for verdict in answers if verdict.condition == condition]
            yield _row(condition, heard, [v.answer for v in heard], scorer)
            tick()
        if CONSTANT in asked:
            heard = [verdict for verdict in answers if verdict.condition == conditions[0]]
            best = _best_constant(scorer, [item.captions for item in training], heard)
            yield _row(CONSTANT, heard, [best] * len(heard), scorer)
            tick()


def _best_constant(scorer: Scorer, training: Sequence[tuple[str, ...]], heard: Sequence[Verdict]) -> str:
    """The caption that is nearest to all of the training set's, or of the test set's where there is none."""
    truths = [captions for captions in training if captions] or [tuple(v.truth) for v in heard]
    constants: list[str] = TASKS[TASK].constants(truths)
    means = [scorer.scores([text] * len(truths), truths)[:, 2].mean() for text in constants]
    return constants[int(np.argmax(means))]


def _row(condition: str, heard: Sequence[Verdict], texts: Sequence[str], scorer: Scorer) -> ScoreRow:
    found = scorer.scores(texts, [tuple(verdict.truth) for verdict in heard])[:, 2]
    tallied = pool.tally([verdict.track_id for verdict in heard], np.stack([np.ones_like(found), found], 1))
    rates = pool.means(METRIC)
    redrawn = pool.redrawn(tallied, rates, pool.draws(tallied.tracks, 1000, METRIC))[METRIC]
    low, high = pool.interval(redrawn, tallied.tracks, (0.0, 1.0))
    value = pool.rates_of(tallied, rates)[METRIC]
    return ScoreRow(TASK, METRIC, condition, value, low, high, tallied.n, tallied.tracks)
