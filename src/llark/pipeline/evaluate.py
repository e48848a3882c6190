"""The walk of `llark evaluate`: clips or questions → answers → scores → report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark.embed import record
from llark.errors import UserMustAct
from llark.options import EvaluateOptions, ModelOptions
from llark.pipeline import listen, testsets
from llark.pipeline.ask import MusicLM
from llark.pipeline.local_model import LocalModel, is_mini
from llark.storage import stages

if TYPE_CHECKING:
    from llark.evaluate.cases import AnswerPrompts, TaskPrompt
    from llark.evaluate.endpoint import EndpointModel
    from llark.evaluate.report import Evaluation
    from llark.evaluate.score import EvaluateConfig
    from llark.records import Embedding

OWN_ANSWERS = "said"
"""The folder of kept answers in that of a report."""


def evaluate(data: Path | None, out: Path, wanted: EvaluateOptions) -> str:
    """Scores a model, an endpoint or stored predictions; writes a report to `out` and returns its table."""
    from llark.evaluate import score
    from llark.evaluate.score import EvaluateConfig

    _refuse(wanted)
    if wanted.predictions is not None:
        return _evaluate_predictions(data, out, wanted)
    material = testsets.gather(data, out, wanted)
    if wanted.endpoint is None:
        material = replace(material, embeddings=_as_it_hears(material, out, wanted))
    conditions = wanted.conditions or _possible(material, wanted)
    settings = EvaluateConfig(conditions, wanted.tasks)
    answer, about = _answerer(material, settings, out, wanted)
    result = score.evaluate(material.test_set, answer, settings, training=material.training)
    return _report(out, result, material, wanted, about)


def _as_it_hears(
    material: testsets.TestMaterial, out: Path, wanted: EvaluateOptions
) -> Mapping[str, Embedding]:
    """The frames of the encoder that the model was trained with."""
    folder = out / testsets.HEARD / "model"
    return listen.for_model(
        wanted.folder,
        material.embeddings,
        material.clips,
        folder,
        weights=wanted.encoder_weights,
        device=wanted.device,
    )


def _refuse(wanted: EvaluateOptions) -> None:
    """What can be told before anything is rendered, heard or sent."""
    from llark.evaluate import score
    from llark.evaluate.cases import LIKELIEST
    from llark.evaluate.score import EvaluateConfig

    if wanted.clips is not None and wanted.clips < 1:
        raise UserMustAct(f"--clips {wanted.clips} leaves nothing to ask about; it is at least 1.")
    if wanted.endpoint and LIKELIEST in wanted.conditions:
        raise UserMustAct(f"An endpoint does not say how likely an option is: leave out {LIKELIEST}.")
    ours = wanted.model or wanted.base or wanted.encoder_weights
    if wanted.endpoint and ours:
        raise UserMustAct("There is a model and an endpoint; name one of them.")
    if wanted.predictions and (wanted.endpoint or ours):
        raise UserMustAct("Predictions are scored as they are; no model and no endpoint is asked.")
    score.refuse_unknown(EvaluateConfig(wanted.conditions, wanted.tasks))
    if wanted.predictions:
        return
    if not wanted.endpoint:
        record.config_of(wanted.folder)
    if wanted.questions and wanted.audio is None:
        _refuse_sound(wanted)


def _refuse_sound(wanted: EvaluateOptions) -> None:
    """Conditions in which something is heard are not for questions whose recordings are not at hand.

    An endpoint is sent silence and noise all the same: they need no recording.
    """
    from llark.evaluate.cases import HEARD, NO_AUDIO, STAND_INS

    free = (NO_AUDIO, *(STAND_INS if wanted.endpoint else ()))
    if heard := [name for name in wanted.conditions if name in HEARD and name not in free]:
        raise UserMustAct(
            f"There is no sound for {', '.join(heard)}: name the folder of the recordings with --audio, or "
            f"leave {'it' if len(heard) == 1 else 'them'} out of --conditions."
        )


def _possible(material: testsets.TestMaterial, wanted: EvaluateOptions) -> tuple[str, ...]:
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
    if is_mini(material.embeddings):
        return CONDITIONS
    print(f"{', '.join(STAND_INS)}: left out, the frames are not those of mini", file=sys.stderr)
    return tuple(name for name in CONDITIONS if name not in STAND_INS)


def _answerer(
    material: testsets.TestMaterial, settings: EvaluateConfig, out: Path, wanted: EvaluateOptions
) -> tuple[AnswerPrompts, dict[str, str]]:
    """Who answers, and what a report says of it. Stops with the cost of an endpoint where there is no yes."""
    from llark.evaluate import answers, score
    from llark.evaluate.cases import ANSWERED

    if wanted.endpoint is None:
        local = LocalModel(wanted, material.embeddings)
        _forget_unanswered(out / OWN_ANSWERS)
        kept = answers.CachedAnswers(out / OWN_ANSWERS, local, running_score(material, settings))
        asked = any(name in ANSWERED for name in settings.conditions)
        return kept, _named(wanted) if asked else {"model": "nobody was asked"}
    model = _endpoint(wanted, material)
    prompts = [prompt for _, _, prompts in score.plan(material.test_set, settings) for prompt in prompts]
    _show_cost(prompts, model, wanted)
    kept = answers.CachedAnswers(out / OWN_ANSWERS, model, running_score(material, settings), chunk=16)
    about = {"model": f"{wanted.endpoint_model} at {wanted.endpoint}"}
    if any(model.sounds.seconds(prompt) for prompt in prompts):
        about["sound"] = _takes_sound(model, out / OWN_ANSWERS / "sound.json")
    return kept, about


def _forget_unanswered(folder: Path) -> None:
    """A run that failed before its first answer may be tried again with another base."""
    for answers in folder.glob("*/*"):
        stages.forget_begun(answers)


def _named(choice: ModelOptions) -> dict[str, str]:
    """A model and what was said of its parts, for the head of a report."""
    parts = {"base": choice.base, "encoder weights": choice.encoder_weights}
    return {"model": choice.name, **{name: str(value) for name, value in parts.items() if value is not None}}


def _takes_sound(model: EndpointModel, path: Path) -> str:
    """Whether the server takes sound, asked once a model and kept; a warning where it does not."""
    from llark.evaluate.endpoint import DROPPED, takes_sound
    from llark.evaluate.report import replace_file

    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("about") != dict(model.about):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"about": dict(model.about), "found": takes_sound(model)}
        replace_file(path, json.dumps(known, indent=1) + "\n")
    if known["found"].startswith(DROPPED):
        print(f"warning: {known['found']}; its answers are those of a text model", file=sys.stderr)
    return str(known["found"])


def _endpoint(wanted: EvaluateOptions, material: testsets.TestMaterial) -> EndpointModel:
    from llark.evaluate.endpoint import EndpointModel
    from llark.evaluate.sounds import Sounds

    sounds = Sounds(material.clips)
    return EndpointModel(str(wanted.endpoint), wanted.endpoint_model, sounds, wanted.key_variable)


def _show_cost(prompts: Sequence[TaskPrompt], model: EndpointModel, wanted: EvaluateOptions) -> None:
    from llark.evaluate.endpoint import cost

    said = cost(prompts, model.sounds, wanted.dollars_per_minute)
    if not wanted.yes:
        raise UserMustAct(f"Nothing was sent. It takes {said}. Say --yes to go on.")
    print(f"{model.model}: {said}", file=sys.stderr)


def running_score(
    material: testsets.TestMaterial, settings: EvaluateConfig
) -> Callable[[str, Mapping[str, str]], str]:
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
    out: Path,
    result: Evaluation,
    material: testsets.TestMaterial,
    wanted: EvaluateOptions,
    about: Mapping[str, Any],
) -> str:
    from llark.evaluate import page, report

    page_about = {**about, "data": material.name, **material.counts}
    report.write(out, result, page_about)
    page.write(out, result, page_about, page.Media(material.clips, material.test_set.facts))
    if wanted.samples:
        report.write_samples(out / "lmms-eval", result, str(about.get("model", "model")))
    return report.table(result)


def _evaluate_predictions(data: Path | None, out: Path, wanted: EvaluateOptions) -> str:
    from llark.evaluate import answers, score
    from llark.evaluate.cases import AUDIO, CONSTANT, LONGEST, MAJORITY
    from llark.evaluate.score import EvaluateConfig

    if len(wanted.tasks) != 1:
        raise UserMustAct("Predictions are answers to one task: name it with --tasks.")
    material = testsets.gather(data, out, replace(wanted, predictions=None), hear=False, needed=False)
    path = Path(str(wanted.predictions))
    stored = answers.load_predictions(wanted.tasks[0], path, material.test_set)
    settings = EvaluateConfig((AUDIO, MAJORITY, CONSTANT, LONGEST), wanted.tasks)
    result = score.evaluate(stored.test_set, stored.answer, settings, training=material.training)
    material = replace(material, test_set=stored.test_set)
    return _report(out, result, material, wanted, {"predictions": str(path), "model": stored.model})


# --- what builds and commands call ----------------------------------------------------------------------


def evaluate_model(data: Path, out: Path, model: Path | None = None, clips: int = 200) -> str:
    """A model on the held-out clips of a built corpus with controls; writes a report, returns its table."""
    return evaluate(data, out, EvaluateOptions(model=model, clips=clips))


def evaluate_real(out: Path, choice: ModelOptions) -> str:
    """A model and the annotators on the tempo of eight labelled real songs, whole; returns the table."""
    from llark.evaluate import answers, score
    from llark.evaluate.cases import AUDIO, FACTS
    from llark.evaluate.score import EvaluateConfig

    material = testsets.real_songs(out, MusicLM(choice))
    local = LocalModel(choice, material.embeddings)
    _forget_unanswered(out / OWN_ANSWERS)
    settings = EvaluateConfig((AUDIO, FACTS), ("tempo",), equal_tracks=True)
    result = score.evaluate(material.test_set, answers.CachedAnswers(out / OWN_ANSWERS, local), settings)
    return _report(out, result, material, EvaluateOptions(), _named(choice))


def compare(first: Path, second: Path) -> str:
    """Two reports on the same questions, paired; returns a table."""
    from llark.evaluate import report

    return report.comparison(report.read(first), report.read(second), *report.told_apart(first, second))
