"""The command line: parsing, and printing what the line returns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from llark import __version__
from llark.errors import LlarkError

app = App(
    name="llark",
    help="Software that hears music and can talk about it.",
    version=__version__,
    default_parameter=Parameter(consume_multiple=True),
)

DEMO_QUESTIONS = (
    "What is the tempo of this song?",
    "What key is it in?",
    "Describe this recording.",
)


@app.command
def ask(
    audio: Path,
    question: Annotated[list[str], Parameter(negative=())],
    *,
    facts: bool = True,
    json: bool = False,
    model: Path | None = None,
) -> None:
    """Answer questions about a recording (wav, mp3, ogg, flac, m4a, opus …) of any length.

    Parameters
    ----------
    audio
        The recording.
    question
        One or more questions, each in quotes.
    facts
        Show the model the facts measured in this recording; with --no-facts it answers from sound alone.
    json
        Print answers, facts, model and timings as JSON.
    model
        Folder of a trained model; the bundled `mini` if not given.
    """
    from llark import line, show

    result = line.ask(audio, question, facts=facts, model=model)
    print(show.as_json(result) if json else show.as_text(result))


@app.command
def demo(*, json: bool = False) -> None:
    """Ask the bundled model three questions about the bundled recording."""
    from llark import line, show

    result = line.ask(line.demo_recording(), DEMO_QUESTIONS)
    print(show.as_json(result) if json else show.as_text(result))


@app.command
def fetch() -> None:
    """Get the base language model into the cache, if it is not there, so that all else works offline."""
    from llark.model.base import base_folder

    print(base_folder())


@app.command
def corpus(
    out: Path,
    *,
    clips: int = 3000,
    seed: int = 7,
    source: list[str] | None = None,
    renderer: str = "fluidsynth",
    workers: int = 2,
) -> None:
    """Render labelled clips from open symbolic music, with the truth beside each.

    Parameters
    ----------
    out
        Folder for audio/ID.ogg and audio/ID.json. Run again to go on.
    clips
        How many.
    seed
        The same seed gives the same clips.
    source
        Any of mma, music21, freedoom (these need Debian packages) and builtin (needs none).
    renderer
        fluidsynth, or midirenderer, which needs no Debian package.
    workers
        Local processes.
    """
    from llark import line

    line.render_corpus(out, clips=clips, seed=seed, sources=source, renderer=renderer, workers=workers)


@app.command
def build(
    recipe: Path,
    *overrides: str,
    out: Path,
    limit: int | None = None,
    workers: int = 2,
) -> None:
    """Make a model: corpus, prepare, annotate, instruct, embed, train, evaluate. Run again to go on.

    Parameters
    ----------
    recipe
        A YAML file such as recipes/mini.yaml.
    overrides
        Values of the recipe to change, each as dotted.key=value.
    out
        Folder for every stage's output.
    limit
        A small trial: so many clips of the built-in corpus, and a few training steps.
    workers
        Local processes for rendering and hearing.
    """
    from llark import line

    print(line.build(recipe, out, overrides=overrides, limit=limit, workers=workers))


@app.command
def evaluate(
    data: Path,
    *,
    out: Path,
    model: Path | None = None,
    clips: int = 200,
    real: bool = False,
) -> None:
    """Score a model on held-out clips, with the controls beside it, and print the table.

    Parameters
    ----------
    data
        A folder that `llark build` has filled.
    out
        Folder for answers, scores and report.
    model
        Folder of a trained model; the bundled `mini` if not given.
    clips
        How many held-out clips to ask about.
    real
        Score the eight labelled real songs of the Debian packages fretsonfire-songs-* instead.
    """
    from llark import line

    print(line.evaluate_real(out, model) if real else line.evaluate_model(data, out, model, clips))


def main() -> None:
    """Runs the command line; an error that a person can mend is one sentence and exit status 2."""
    try:
        app()
    except LlarkError as error:
        print(f"llark: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("llark: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
