"""`llark evaluate`, `compare` and `judge`: scores with controls, two side by side, and others' opinion."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from llark.errors import UserMustAct


def evaluate(
    source: Path | None = None,
    *,
    out: Path,
    data: Path | None = None,
    model: Path | None = None,
    base: Path | None = None,
    encoder_weights: str | None = None,
    device: str | None = None,
    tasks: list[str] | None = None,
    clips: int | None = None,
    split: str = "test",
    conditions: list[str] | None = None,
    questions: list[str] | None = None,
    audio: Path | None = None,
    predictions: Path | None = None,
    endpoint: str | None = None,
    endpoint_model: str = "",
    key_variable: str = "OPENAI_API_KEY",
    dollars_per_minute: float | None = None,
    yes: bool = False,
    samples: bool = False,
    real: bool = False,
    workers: int = 2,
) -> None:
    """Score a model, an endpoint or stored predictions, with controls beside it, and print the table.

    Writes report.html, report.md, scores.json and answers.jsonl. Run again to go on.

    Parameters
    ----------
    source
        A folder that `llark build` or `llark prepare` has filled; or, with --data, the model's folder.
        Without either the open corpus is rendered.
    out
        Folder for answers, scores and report.
    data
        The folder of data, where `source` is a model.
    model
        Folder of a trained model; the bundled `mini` if not given.
    base
        Folder of its base language model, if the model does not say where that is.
    encoder_weights
        Folder or hub name of its encoder's weights, if they lie elsewhere than when it was trained.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    tasks
        Names of benchmarks, divided by spaces or commas; all that fit the data if not given.
    clips
        At most so many recordings of each task, spread evenly, so that a trial is quick. If not given: 200
        labelled clips, and files of questions whole. Of the open corpus so many are rendered, all splits
        together, and those of the split are asked about: of `test` 3 in 25.
    split
        The split that they are taken from; all, where there is none of it.
    conditions
        Of audio, facts, wrong-facts, shuffled, silence, noise, no-audio, majority and constant; all if not
        given.
    questions
        Files of questions with options, as muchomusic=FILE; also rul_muchomusic, mmau_music and
        mmar_music.
    audio
        Folder of the recordings that the questions are about; without it only answers without audio are
        scored.
    predictions
        Score the answers in this JSON or JSON lines file instead of asking a model; name one task.
    endpoint
        Ask the model behind this OpenAI-compatible address, such as http://localhost:8000/v1.
    endpoint_model
        Its name there.
    key_variable
        The environment variable that holds its key.
    dollars_per_minute
        Its price for a minute of audio, for the cost that is shown first.
    yes
        Send, after the cost was shown.
    samples
        Also write the answers in the sample format of lmms-eval.
    real
        Score the eight labelled real songs of the Debian packages fretsonfire-songs-* instead.
    workers
        Local processes for hearing.
    """
    from llark.pipeline import evaluate as walk
    from llark.pipeline.ask import Choice

    if data is not None and source is not None:
        if model is not None:
            raise UserMustAct(f"{source} and {model} are both models; name one.")
        model = source
    source = data or source
    if real:
        print(walk.evaluate_real(out, Choice(model, base, encoder_weights, device)))
        return
    wanted = walk.Wanted(
        model=model,
        base=base,
        encoder_weights=encoder_weights,
        device=device,
        tasks=split_names(tasks),
        clips=clips,
        split=split,
        questions=question_files(questions),
        audio=audio,
        conditions=tuple(name.replace("-", " ") for name in split_names(conditions)),
        predictions=predictions,
        endpoint=endpoint,
        endpoint_model=endpoint_model,
        key_variable=key_variable,
        dollars_per_minute=dollars_per_minute,
        yes=yes,
        samples=samples,
        workers=workers,
    )
    print(walk.evaluate(source, out, wanted))


def compare(first: Path, second: Path) -> None:
    """Compare two reports question by question: the difference, its interval, and whether it could be chance.

    Parameters
    ----------
    first
        Folder that `llark evaluate` has written.
    second
        Another one, on the same questions.
    """
    from llark.pipeline import evaluate as walk

    print(walk.compare(first, second))


def split_names(names: list[str] | None) -> tuple[str, ...]:
    """Names given apart or with commas between them."""
    return tuple(name for text in names or () for name in text.split(",") if name)


def question_files(named: list[str] | None) -> dict[str, Path] | None:
    """`TASK=FILE` words by task. Raises `UserMustAct` for others."""
    found = {}
    for text in named or ():
        task, equals, path = text.partition("=")
        if not equals or not path:
            raise UserMustAct(
                f"--questions takes TASK=FILE, as muchomusic=questions.jsonl; this is {text!r}."
            )
        found[task] = Path(path)
    return found or None


def judge(
    report: Path,
    *,
    url: str,
    model: str,
    against: Path | None = None,
    how: Literal["prefer", "match", "details", "embed"] = "prefer",
    task: str = "captions",
    key_variable: str = "OPENAI_API_KEY",
    dollars_per_million: float | None = None,
    yes: bool = False,
) -> None:
    """Have another model judge the answers of a report: win rate, matching, details, or embedding match.

    Its replies are kept in the report's folder; run again to go on.

    Parameters
    ----------
    report
        Folder that `llark evaluate` has written.
    url
        An OpenAI-compatible address, such as http://localhost:8000/v1.
    model
        The judge's name there.
    against
        Another report, whose answers these are compared with; what people wrote, if not given.
    how
        prefer: which answer is better, asked in both orders. match: which of four descriptions is of the same
        music. details: how many musical details an answer states, and how many of them are so. embed: which
        genre's embedding is nearest, for gtzan_genre and medleydb_genre.
    task
        The task whose answers are judged.
    key_variable
        The environment variable that holds the key.
    dollars_per_million
        The judge's price for a million tokens of question, for the cost that is shown first.
    yes
        Send, after it was said what it takes.
    """
    from llark.evaluate.judge import JudgeOptions
    from llark.evaluate.judge import judge as judging

    options = JudgeOptions(url, model, key_variable, task, yes, dollars_per_million)
    print(judging(report, options, how, against))
