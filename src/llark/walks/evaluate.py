"""The walk of `llark evaluate`: clips or questions → answers → scores → report."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark import wording
from llark.errors import UserMustAct
from llark.records import Embedding
from llark.walks import ears, testsets

if TYPE_CHECKING:
    import numpy as np

    from llark.answer import Answerer
    from llark.evaluate.cases import Answer, Put
    from llark.evaluate.endpoint import Endpoint
    from llark.evaluate.outcome import Evaluation, Settings

OWN_ANSWERS = "said"
"""The folder of kept answers in that of a report."""


@dataclass(frozen=True)
class Wanted:
    """What is evaluated, on what, and how.

    Attributes:
        model: Folder of a trained model; the bundled one if `None`.
        tasks: Names of tasks; all that fit the data, if empty.
        clips: At most so many recordings of each task; 200 labelled clips, and whole files of questions,
            if `None`.
        questions: Files of questions by task; `audio` is the folder of their sounds, if they are at hand.
        conditions: Of `cases.CONDITIONS`; all that can be had, if empty.
        predictions: File of answers that are scored in place of a model's.
        endpoint: An API in place of a model of ours, with `endpoint_model`, asked only after `yes`.
        bert_score: Folder or name of a text encoder for the BERTScore of captions, cut after `bert_layer`.
        samples: Also write the answers in the sample format of lmms-eval.
    """

    model: Path | None = None
    tasks: tuple[str, ...] = ()
    clips: int | None = None
    split: str = "test"
    questions: Mapping[str, Path] | None = None
    audio: Path | None = None
    conditions: tuple[str, ...] = ()
    predictions: Path | None = None
    endpoint: str | None = None
    endpoint_model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    dollars_per_minute: float | None = None
    yes: bool = False
    bert_score: str | None = None
    bert_layer: int | None = None
    samples: bool = False
    workers: int = 2


def evaluate(data: Path | None, out: Path, wanted: Wanted) -> str:
    """Scores a model, an endpoint or stored predictions; writes a report to `out` and returns its table."""
    from llark.evaluate import score
    from llark.evaluate.outcome import Settings

    _refuse(wanted)
    if wanted.predictions is not None:
        return _evaluate_predictions(data, out, wanted)
    material = testsets.gather(data, out, wanted)
    if wanted.endpoint is None:
        model = wanted.model or bundled_model()
        frames = ears.for_model(model, material.embeddings, material.clips, out / testsets.HEARD / "model")
        material = replace(material, embeddings=frames)
    conditions = wanted.conditions or _possible(material, wanted)
    settings = Settings(conditions, wanted.tasks)
    answer, about = _answerer(material, settings, out, wanted)
    result = score.evaluate(material.test_set, answer, settings, training=material.training)
    return _report(out, result, material, wanted, about)


def _refuse(wanted: Wanted) -> None:
    from llark.evaluate import score
    from llark.evaluate.cases import LIKELIEST
    from llark.evaluate.outcome import Settings

    if wanted.clips is not None and wanted.clips < 1:
        raise UserMustAct(f"--clips {wanted.clips} leaves nothing to ask about; it is at least 1.")
    if wanted.endpoint and LIKELIEST in wanted.conditions:
        raise UserMustAct(f"An endpoint does not say how likely an option is: leave out {LIKELIEST}.")
    if wanted.endpoint and wanted.model:
        raise UserMustAct("There is a model and an endpoint; name one of them.")
    if wanted.predictions and (wanted.endpoint or wanted.model):
        raise UserMustAct("Predictions are scored as they are; no model and no endpoint is asked.")
    score.refuse_unknown(Settings(wanted.conditions, wanted.tasks))


def _possible(material: testsets.Material, wanted: Wanted) -> tuple[str, ...]:
    """All conditions, less those that need sounds where there are none, or a model of ours.

    Silence and noise can be heard here by the `mini` encoder alone, and by an endpoint.
    """
    from llark.evaluate.cases import (
        CONDITIONS,
        CONSTANT,
        LIKELIEST,
        LONGEST,
        MAJORITY,
        NO_AUDIO,
        STAND_INS,
    )

    if not material.clips:
        own = () if wanted.endpoint else (LIKELIEST,)
        return (NO_AUDIO, MAJORITY, CONSTANT, LONGEST, *own)
    if wanted.endpoint:
        return tuple(name for name in CONDITIONS if name != LIKELIEST)
    if _is_mini(material.embeddings):
        return CONDITIONS
    print(f"{', '.join(STAND_INS)}: left out, the frames are not those of mini", file=sys.stderr)
    return tuple(name for name in CONDITIONS if name not in STAND_INS)


def _is_mini(embeddings: Mapping[str, Embedding]) -> bool:
    from llark.embed import mini

    return _encoder(embeddings) == mini.VERSION


def _answerer(
    material: testsets.Material, settings: Settings, out: Path, wanted: Wanted
) -> tuple[Answer, dict[str, str]]:
    """Who answers, and what a report says of it. Stops with the cost of an endpoint where there is no yes."""
    from llark.evaluate import answers, score
    from llark.evaluate.cases import ANSWERED

    if wanted.endpoint is None:
        folder = wanted.model or bundled_model()
        local = LocalModel(folder, material.embeddings)
        kept = answers.Kept(out / OWN_ANSWERS, local, running_score(material, settings))
        asked = any(name in ANSWERED for name in settings.conditions)
        return kept, {"model": str(wanted.model or "mini") if asked else "nobody was asked"}
    model = _endpoint(wanted, material)
    puts = [put for _, _, puts in score.plan(material.test_set, settings) for put in puts]
    _show_cost(puts, model, wanted)
    kept = answers.Kept(out / OWN_ANSWERS, model, running_score(material, settings), chunk=16)
    about = {"model": f"{wanted.endpoint_model} at {wanted.endpoint}"}
    if any(model.sounds.seconds(put) for put in puts):
        about["sound"] = _takes_sound(model, out / OWN_ANSWERS / "sound.json")
    return kept, about


def _takes_sound(model: Endpoint, path: Path) -> str:
    """Whether the server takes sound, asked once a model and kept; a warning where it does not."""
    from llark.evaluate.endpoint import DROPPED, takes_sound
    from llark.evaluate.report import replace_file

    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("about") != dict(model.about):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"about": dict(model.about), "found": takes_sound(model.api)}
        replace_file(path, json.dumps(known, indent=1) + "\n")
    if known["found"].startswith(DROPPED):
        print(f"warning: {known['found']}; its answers are those of a text model", file=sys.stderr)
    return str(known["found"])


def _endpoint(wanted: Wanted, material: testsets.Material) -> Endpoint:
    from llark.evaluate.endpoint import Api, Endpoint
    from llark.evaluate.sounds import Sounds

    api = Api(str(wanted.endpoint), wanted.endpoint_model, wanted.key_variable)
    about = {"endpoint": api.url, "model": api.model, "most_tokens": str(api.most_tokens)}
    return Endpoint(api, Sounds(material.clips), about=about)


def _show_cost(puts: Sequence[Put], model: Endpoint, wanted: Wanted) -> None:
    from llark.evaluate.endpoint import cost

    said = str(cost(puts, model.sounds, wanted.dollars_per_minute))
    if not wanted.yes:
        raise UserMustAct(f"Nothing was sent. It takes {said}. Say --yes to go on.")
    print(f"{model.api.model}: {said}", file=sys.stderr)


def running_score(material: testsets.Material, settings: Settings) -> Callable[[str, Mapping[str, str]], str]:
    """How it goes, for the progress bar: the mean credit of the answers so far."""
    from llark.evaluate.score import item_truth
    from llark.evaluate.tasks import TASKS

    test_set = material.test_set

    def grade(task: str, said: Mapping[str, str]) -> str:
        known = {case.id: case.truth for case in test_set.questions.get(task, ())}
        if not known:
            known = {item.clip_id: item_truth(TASKS[task], item) for item in test_set.items}
        scored = [id_ for id_ in said if known.get(id_) is not None]
        if not scored:
            return ""
        credits = [TASKS[task].credit(TASKS[task].read(said[id_], known[id_]), known[id_]) for id_ in scored]
        return f"{100 * sum(credits) / len(credits):.0f} % right"

    return grade


def _report(
    out: Path, result: Evaluation, material: testsets.Material, wanted: Wanted, about: Mapping[str, Any]
) -> str:
    from llark.evaluate import bertscore, lmms, page, report

    result = bertscore.add(result, wanted.bert_score, wanted.bert_layer, material.training)
    page_about = {**about, "data": material.name, **material.counts}
    report.write(out, result, page_about)
    page.write(out, result, page_about, page.Media(material.clips, material.test_set.facts))
    if wanted.samples:
        lmms.write(out / "lmms-eval", result, str(about.get("model", "model")))
    return report.table(result)


def _evaluate_predictions(data: Path | None, out: Path, wanted: Wanted) -> str:
    from llark.evaluate import predictions, score
    from llark.evaluate.cases import AUDIO, CONSTANT, LONGEST, MAJORITY
    from llark.evaluate.outcome import Settings

    if len(wanted.tasks) != 1:
        raise UserMustAct("Predictions are answers to one task: name it with --tasks.")
    material = testsets.gather(data, out, replace(wanted, predictions=None), hear=False, needed=False)
    path = Path(str(wanted.predictions))
    stored = predictions.load(wanted.tasks[0], path, material.test_set)
    settings = Settings((AUDIO, MAJORITY, CONSTANT, LONGEST), wanted.tasks)
    result = score.evaluate(stored.test_set, stored.answer, settings, training=material.training)
    material = replace(material, test_set=stored.test_set)
    return _report(out, result, material, wanted, {"predictions": str(path), "model": stored.model})


# --- models of ours ---------------------------------------------------------------------------------------


class LocalModel:
    """A trained model of ours, as `answers` asks it; loaded when it is first asked."""

    def __init__(self, folder: Path, embeddings: Mapping[str, Embedding]) -> None:
        self.about = {"model": fingerprint(folder), "encoder": _encoder(embeddings)}
        self._folder = folder
        self._answerer: Answerer | None = None
        self._embeddings = embeddings
        self._stand_ins: dict[str, np.ndarray] = {}

    def __call__(self, puts: Sequence[Put]) -> list[str]:
        from llark.answer import Answerer, Asked

        if self._answerer is None:
            self._answerer = Answerer.load(self._folder)
        if any(put.options for put in puts):
            return [_likeliest(self._answerer, put) for put in puts]
        return self._answerer(
            [
                Asked(
                    put.question,
                    self._frames(put),
                    None if put.facts is None else wording.describe_facts(put.facts),
                )
                for put in puts
            ]
        )

    def _frames(self, put: Put) -> np.ndarray | None:
        """[frames, width] of what is heard; `None` for nothing."""
        if put.stand_in is not None:
            if put.stand_in not in self._stand_ins:
                if not _is_mini(self._embeddings):
                    raise UserMustAct(f"{put.stand_in} can be heard by the mini encoder alone.")
                self._stand_ins[put.stand_in] = heard_stand_in(put.stand_in)
            return self._stand_ins[put.stand_in]
        return None if put.clip_id is None else self._embeddings[put.clip_id].frames


def _likeliest(answerer: Answerer, put: Put) -> str:
    """The letter of the option that the language model expects most after the bare question."""
    from llark.evaluate import choices
    from llark.walks.likelihood import likeliest

    return f"({choices.LETTERS[likeliest(answerer, choices.bare(put.question), put.options)]})"


def heard_stand_in(name: str) -> np.ndarray:
    """Twenty-five seconds of silence or noise as the encoder hears them, [frames, width]."""
    from llark.embed import mini
    from llark.evaluate.sounds import stand_in
    from llark.nets.hearing import Hearing

    return mini.embed(Hearing(stand_in(name, 22050), 22050))


def _encoder(embeddings: Mapping[str, Embedding]) -> str:
    return next((embeddings[id_].encoder for id_ in embeddings), "none")


def fingerprint(folder: Path) -> str:
    """Tells a model's files from any other's."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.glob("*") if path.suffix in (".json", ".safetensors")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def bundled_model() -> Path:
    """The folder of the model that ships with the package."""
    from llark import line

    return line.bundled_model()


# --- what line.py calls -----------------------------------------------------------------------------------


def evaluate_model(data: Path, out: Path, model: Path | None = None, clips: int = 200) -> str:
    """A model on the held-out clips of a built corpus with controls; writes a report, returns its table."""
    return evaluate(data, out, Wanted(model=model, clips=clips))


def evaluate_real(out: Path, model: Path | None = None) -> str:
    """A model and the annotators on the tempo of eight labelled real songs, whole; returns the table."""
    from llark.evaluate import answers, score
    from llark.evaluate.cases import AUDIO, FACTS
    from llark.evaluate.outcome import Settings

    material = testsets.real_songs(out)
    local = LocalModel(model or bundled_model(), material.embeddings)
    settings = Settings((AUDIO, FACTS), ("tempo",), equal_tracks=True)
    result = score.evaluate(material.test_set, answers.Kept(out / OWN_ANSWERS, local), settings)
    return _report(out, result, material, Wanted(), {"model": str(model or "mini")})


def compare(first: Path, second: Path) -> str:
    """Two reports on the same questions, paired; returns a table."""
    from llark.evaluate import compare as comparing
    from llark.evaluate import report

    return comparing.table(report.read(first), report.read(second), first.name, second.name)
