"""`llark evaluate`: clips or questions → answers → scores → report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llark.embed import record
from llark.errors import UserMustAct
from llark.evaluate import answers, page, report, score
from llark.evaluate.cases import (
    ANSWERED,
    ASKED,
    AUDIO,
    CONDITIONS,
    CONSTANT,
    FACTS,
    LIKELIEST,
    LONGEST,
    MAJORITY,
    NO_AUDIO,
    STAND_INS,
    AnswerPrompts,
    TaskPrompt,
    TestSet,
)
from llark.evaluate.endpoint import DROPPED, EndpointModel, cost, takes_sound
from llark.evaluate.options import LETTERS, bare
from llark.evaluate.report import Evaluation
from llark.evaluate.score import EvaluateConfig
from llark.evaluate.sounds import Sounds, stand_in
from llark.evaluate.tasks import TASKS
from llark.music import facts_line
from llark.options import EvaluateOptions, ModelOptions, require
from llark.pipeline import listen, testsets
from llark.pipeline.ask import MusicLM, fingerprint, load_answerer
from llark.pipeline.testsets import TestMaterial
from llark.records import Embedding
from llark.report import terminal
from llark.storage import stages

if TYPE_CHECKING:
    import numpy as np

    from llark.generate.answerer import Answerer

OWN_ANSWERS = "said"
"""The folder of stored answers in that of a report."""


def evaluate(data: Path | None, out: Path, options: EvaluateOptions) -> str:
    """Scores a model, an endpoint or stored predictions; writes a report to `out` and returns its table."""
    require(EvaluateOptions, options=options)
    require(Path | None, data=data)
    _refuse(options)
    if options.predictions is not None:
        return _evaluate_predictions(data, out, options, options.predictions)
    material = testsets.gather(data, out, options)
    if options.endpoint is None:
        # The frames of the encoder that the model was trained with.
        embeddings = listen.for_model(
            options.folder,
            material.embeddings,
            material.clips,
            out / testsets.FEATURES / "model",
            weights=options.encoder_weights,
            device=options.device,
        )
        material = replace(material, embeddings=embeddings)
    config = EvaluateConfig(options.conditions or _possible(material, options), options.tasks)
    if options.endpoint is None:
        answer, about = _local(material, config, out / OWN_ANSWERS, options)
    else:
        answer, about = _endpoint(material, config, out / OWN_ANSWERS, options)
    result = score.evaluate(material.test_set, answer, config, training=material.training)
    return _report(out, result, material, about, samples=options.samples)


def _refuse(options: EvaluateOptions) -> None:
    """What is wrong with the options before anything is rendered, embedded or sent."""
    if options.endpoint and LIKELIEST in options.conditions:
        raise UserMustAct(f"An endpoint does not say how likely an option is: leave out {LIKELIEST}.")
    ours = options.model or options.base or options.encoder_weights
    if options.endpoint and ours:
        raise UserMustAct("There is a model and an endpoint; name one of them.")
    if options.predictions and (options.endpoint or ours):
        raise UserMustAct("Predictions are scored as they are; no model and no endpoint is asked.")
    score.refuse_unknown(EvaluateConfig(options.conditions, options.tasks))
    if options.predictions:
        return
    if not options.endpoint:
        record.config_of(options.folder)
    if not options.questions or options.audio is not None:
        return
    # Of questions whose recordings are not at hand the model is asked without sound. An endpoint is sent
    # silence and noise all the same: they need no recording.
    free = (NO_AUDIO, *(STAND_INS if options.endpoint else ()))
    if with_sound := [name for name in options.conditions if name in ASKED and name not in free]:
        raise UserMustAct(
            f"There is no sound for {', '.join(with_sound)}: name the folder of the recordings with --audio, "
            f"or leave {'it' if len(with_sound) == 1 else 'them'} out of --conditions."
        )


def _possible(material: TestMaterial, options: EvaluateOptions) -> tuple[str, ...]:
    """All conditions, less those that need sounds where there are none, or a model of ours.

    Silence and noise are embedded here by the `mini` encoder alone, or sent to an endpoint.
    """
    if not material.clips:
        own = () if options.endpoint else (LIKELIEST,)
        return (NO_AUDIO, MAJORITY, CONSTANT, LONGEST, *own)
    if options.endpoint:
        return tuple(name for name in CONDITIONS if name != LIKELIEST)
    if is_mini(material.embeddings):
        return CONDITIONS
    terminal.note(f"{', '.join(STAND_INS)}: left out, the frames are not those of mini")
    return tuple(name for name in CONDITIONS if name not in STAND_INS)


def _local(
    material: TestMaterial, config: EvaluateConfig, folder: Path, choice: ModelOptions
) -> tuple[AnswerPrompts, dict[str, str]]:
    """A model of ours, and what a report states of it and of its parts."""
    local = LocalModel(choice, material.embeddings)
    for place in folder.glob("*/*"):
        # A run that failed before its first answer may be tried again with another base.
        stages.forget_begun(place)
    cached = answers.CachedAnswers(folder, local, running_score(material.test_set))
    if not any(name in ANSWERED for name in config.conditions):
        return cached, {"model": "nobody was asked"}
    parts = {"base": choice.base, "encoder weights": choice.encoder_weights}
    named = {name: str(value) for name, value in parts.items() if value is not None}
    return cached, {"model": choice.name, **named}


def _endpoint(
    material: TestMaterial, config: EvaluateConfig, folder: Path, options: EvaluateOptions
) -> tuple[AnswerPrompts, dict[str, str]]:
    """A model behind an API, and what a report states of it. Stops with the cost where there is no yes."""
    url, name = str(options.endpoint), options.endpoint_model
    model = EndpointModel(url, name, Sounds(material.clips), options.key_variable)
    prompts = [prompt for _, _, prompts in score.plan(material.test_set, config) for prompt in prompts]
    price = cost(prompts, model.sounds, options.dollars_per_minute)
    if not options.yes:
        raise UserMustAct(f"Nothing was sent. It takes {price}. Say --yes to go on.")
    terminal.note(f"{name}: {price}")
    cached = answers.CachedAnswers(folder, model, running_score(material.test_set), chunk=16)
    about = {"model": f"{name} at {url}"}
    if any(model.sounds.seconds(prompt) for prompt in prompts):
        about["sound"] = _takes_sound(model, folder / "sound.json")
    return cached, about


def _takes_sound(model: EndpointModel, path: Path) -> str:
    """Whether the server takes sound, asked once for each model and stored; a warning where it does not."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("about") != dict(model.about):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"about": dict(model.about), "found": takes_sound(model)}
        report.replace_file(path, json.dumps(known, indent=1) + "\n")
    if known["found"].startswith(DROPPED):
        terminal.note(f"warning: {known['found']}; its answers are those of a text model")
    return str(known["found"])


def running_score(test_set: TestSet) -> Callable[[str, Mapping[str, str]], str]:
    """The mean credit of the answers so far, for the progress bar."""

    def grade(name: str, texts: Mapping[str, str]) -> str:
        task = TASKS[name]
        truths = {case.id: case.truth for case in test_set.questions.get(name, ())}
        if not truths:
            truths = {item.clip_id: score.item_truth(task, item) for item in test_set.items}
        scored = [(text, truths[id_]) for id_, text in texts.items() if truths.get(id_) is not None]
        if not scored:
            return ""
        credits = [task.credit(task.read(text, truth), truth) for text, truth in scored]
        return f"{100 * sum(credits) / len(credits):.0f} % right"

    return grade


def _report(
    out: Path, result: Evaluation, material: TestMaterial, about: Mapping[str, Any], *, samples: bool = False
) -> str:
    page_about = {**about, "data": material.name, **material.counts}
    report.write(out, result, page_about)
    page.write(out, result, page_about, page.Media(material.clips, material.test_set.facts))
    if samples:
        report.write_samples(out / "lmms-eval", result, str(about.get("model", "model")))
    return report.table(result)


def _evaluate_predictions(data: Path | None, out: Path, options: EvaluateOptions, path: Path) -> str:
    if len(options.tasks) != 1:
        raise UserMustAct("Predictions are answers to one task: name it with --tasks.")
    material = testsets.gather(data, out, options, embed=False, needed=False)
    stored = answers.load_predictions(options.tasks[0], path, material.test_set)
    config = EvaluateConfig((AUDIO, MAJORITY, CONSTANT, LONGEST), options.tasks)
    result = score.evaluate(stored.test_set, stored.answer, config, training=material.training)
    material = replace(material, test_set=stored.test_set)
    about = {"predictions": str(path), "model": stored.model}
    return _report(out, result, material, about, samples=options.samples)


# --- a model of ours ---------------------------------------------------------------------------------------


class LocalModel:
    """A trained model of ours, as `answers` asks it; loaded when it is first asked."""

    def __init__(self, choice: ModelOptions, embeddings: Mapping[str, Embedding]) -> None:
        self.about = {**fingerprint(choice), "encoder": encoder_of(embeddings)}
        self._choice = choice
        self._answerer: Answerer | None = None
        self._embeddings = embeddings
        self._stand_ins: dict[str, np.ndarray] = {}

    def __call__(self, prompts: Sequence[TaskPrompt]) -> list[str]:
        from llark.generate.answerer import ModelQuestion

        if self._answerer is None:
            self._answerer = load_answerer(self._choice)
        if any(prompt.options for prompt in prompts):
            return [_likeliest(self._answerer, prompt) for prompt in prompts]
        return self._answerer(
            [
                ModelQuestion(
                    prompt.question,
                    self._frames(prompt),
                    None if prompt.facts is None else facts_line.describe_facts(prompt.facts),
                )
                for prompt in prompts
            ]
        )

    def _frames(self, prompt: TaskPrompt) -> np.ndarray | None:
        """[frames, width] of the sound that the question is about; `None` where it is put without one."""
        if prompt.stand_in is not None:
            if prompt.stand_in not in self._stand_ins:
                if not is_mini(self._embeddings):
                    raise UserMustAct(f"{prompt.stand_in} can be heard by the mini encoder alone.")
                self._stand_ins[prompt.stand_in] = frames_of_stand_in(prompt.stand_in)
            return self._stand_ins[prompt.stand_in]
        return None if prompt.clip_id is None else self._embeddings[prompt.clip_id].frames


def _likeliest(answerer: Answerer, prompt: TaskPrompt) -> str:
    """The letter of the option that the language model expects most after the bare question."""
    from llark.generate.likelihood import likeliest

    return f"({LETTERS[likeliest(answerer, bare(prompt.question), prompt.options)]})"


def frames_of_stand_in(name: str) -> np.ndarray:
    """Twenty-five seconds of silence or noise in the frames of `mini`, [frames, width]."""
    from llark.embed import mini
    from llark.networks.features import AudioFeatures

    return mini.embed(AudioFeatures(stand_in(name, 22050), 22050))


def is_mini(embeddings: Mapping[str, Embedding]) -> bool:
    """Whether they are those of the package's own encoder."""
    from llark.embed import mini

    return encoder_of(embeddings) == mini.VERSION


def encoder_of(embeddings: Mapping[str, Embedding]) -> str:
    """The encoder and its version, as the first of them says."""
    return next((embeddings[id_].encoder for id_ in embeddings), "none")


# --- what builds and commands call ----------------------------------------------------------------------


def evaluate_model(data: Path, out: Path, model: Path | None = None, clips: int = 200) -> str:
    """A model on the held-out clips of a built corpus with controls; writes a report, returns its table."""
    return evaluate(data, out, EvaluateOptions(model=model, clips=clips))


def evaluate_real(out: Path, choice: ModelOptions) -> str:
    """A model and the annotators on the tempo of eight labelled real songs, whole; returns the table."""
    material = testsets.real_songs(out, MusicLM(choice))
    config = EvaluateConfig((AUDIO, FACTS), ("tempo",), equal_tracks=True)
    answer, about = _local(material, config, out / OWN_ANSWERS, choice)
    return _report(out, score.evaluate(material.test_set, answer, config), material, about)


def compare(first: Path, second: Path) -> str:
    """Two reports on the same questions, paired; returns a table."""
    return report.comparison(report.read(first), report.read(second), *report.told_apart(first, second))
