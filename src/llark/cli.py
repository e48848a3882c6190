"""The command line: parsing, and printing what the line returns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

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
    facts: bool | None = None,
    json: bool = False,
    model: Path | None = None,
    base: Path | None = None,
    encoder_weights: str | None = None,
    device: str | None = None,
) -> None:
    """Answer questions about a recording (wav, mp3, ogg, flac, m4a, opus …) of any length.

    Parameters
    ----------
    audio
        The recording.
    question
        One or more questions, each in quotes.
    facts
        Show the model the facts measured in this recording; with --no-facts it answers from sound alone. If
        neither is said, models are shown them that were trained to read them, as `mini` was.
    json
        Print answers, facts, model and timings as JSON.
    model
        Folder of a trained model, of any encoder; the bundled `mini` if not given.
    base
        Folder of the base language model, if the model does not say where that is.
    encoder_weights
        Folder or hub name of the encoder's weights, if they lie elsewhere than when the model was trained.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    """
    from llark.pipeline.ask import Choice, MusicLM
    from llark.report import text as show

    choice = Choice(model, base, encoder_weights, device)
    result = MusicLM(choice).ask(audio, *question, facts=facts)
    print(show.as_json(result) if json else show.as_text(result))


@app.command
def demo(*, json: bool = False) -> None:
    """Ask the bundled model three questions about the bundled recording."""
    from llark.pipeline.ask import MusicLM, demo_recording
    from llark.report import text as show

    result = MusicLM().ask(demo_recording(), *DEMO_QUESTIONS)
    print(show.as_json(result) if json else show.as_text(result))


@app.command
def fetch() -> None:
    """Get the base language model into the cache, if it is not there, so that all else works offline."""
    from llark.model.base import base_folder

    print(base_folder())


@app.command
def datasets(name: str | None = None) -> None:
    """List the data sets that `llark prepare` reads, or say of one what must lie where.

    Parameters
    ----------
    name
        A data set's name.
    """
    from llark.prepare import datasets as listing

    listing.show(name)


@app.command
def prepare(
    source: str,
    *,
    out: str,
    dataset: str = "folder",
    split: str | None = None,
    columns: list[str] | None = None,
    options: list[str] | None = None,
    crop: Literal["every", "first", "middle", "random", "published", "published-multi"] = "every",
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    seed: int = 0,
    convert: Literal["wav", "flac"] | None = None,
    sample_rate: int | None = None,
    limit: int | None = None,
    workers: int = 2,
    drop_share: float = 0.5,
    report: bool = False,
) -> None:
    """Turn recordings into tracks and clips for the next stage; what is lost is counted. Run again to go on.

    Parameters
    ----------
    source
        A folder of music, a data set's folder, or a csv or jsonl table; or an fsspec URL of one.
    out
        Folder for tracks, clips and, where the data set labels anything, truths.
    dataset
        How the source is laid out: one of `llark datasets`.
    split
        Take this split only.
    columns
        For csv and jsonl: field=column, as in path=file title=name tempo_bpm=bpm.
    options
        For some data sets: name=value, as in version=1; `llark datasets NAME` lists them.
    crop
        every: windows side by side; first, middle or random: one window; published: 30 s, the first or the
        second; published-multi: every full 30 s.
    window_seconds
        How long a clip is; 25, and 30 for the published ones, if not given.
    hop_seconds
        For every: from one clip's start to the next.
    seed
        For random and published.
    convert
        Write each clip into a mono file of its own; without it nothing is copied.
    sample_rate
        Samples a second of those files; the recording's own if not given.
    limit
        Take so many tracks.
    workers
        Local processes; 0 works in this one.
    drop_share
        Stop when more than this share of the recordings is lost; 1 never stops.
    report
        Also write report.html, a page that shows what is there and what was lost.
    """
    from llark.pipeline import prepare as walk
    from llark.prepare import crop as cropping
    from llark.prepare import stage
    from llark.prepare.datasets import pairs

    settings = stage.PrepareOptions(
        source=source,
        dataset=dataset,
        split=split,
        columns=pairs(columns or [], "--columns", "field=column, as path=file"),
        options=pairs(options or [], "--options", "name=value, as version=1"),
        crop=cropping.named(crop, window_seconds, hop_seconds, seed),
        convert=convert,
        sample_rate=sample_rate,
        limit=limit,
    )
    print(walk.prepare(settings, out, workers=workers, drop_share=drop_share, report=report))


@app.command
def annotate(
    songs: Annotated[list[Path], Parameter(negative=())],
    *,
    json: bool = False,
    jams: Path | None = None,
    plot: Path | None = None,
    notes: bool = False,
    out: Path | None = None,
    workers: int = 2,
) -> None:
    """Print the musical facts of recordings with a timeline, draw them, or write them as JAMS.

    Parameters
    ----------
    songs
        Recordings; with --out also folders of them, or a folder that `llark prepare` has filled.
    json
        Print one line of JSON a recording.
    jams
        Write a JAMS file for each recording into this folder.
    plot
        Draw each recording: a .png, .svg or .pdf file for one, a folder for several.
    notes
        Transcribe the notes, too.
    out
        Keep the facts in this folder, and print a table. Run again to go on.
    workers
        Local processes, with --out; 0 works in this one.
    """
    from llark.pipeline import facts

    for text in facts.annotate(songs, out, json=json, jams=jams, plot=plot, notes=notes, workers=workers):
        print(text)


@app.command
def corpus(
    out: Path,
    *,
    clips: int = 3000,
    seed: int = 7,
    source: list[str] | None = None,
    midi: Path | None = None,
    groove_midi: Path | None = None,
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
        Any of mma, music21, freedoom (these need Debian packages) and builtin (needs none). Others are
        only rendered where asked for: tunes, folk tunes without accompaniment; grooves, made-up rhythms;
        midi, the songs of a folder of MIDI files; groove_midi, the drummers of the Groove MIDI Dataset.
    midi
        The folder of the source midi, which is the only one if no other is named. Songs of one tempo are
        taken; beats and, where the file says it, the meter are their truth.
    groove_midi
        The folder of the Groove MIDI Dataset as downloaded, with info.csv: drummers playing to a click,
        alone or under our own bass and chords.
    renderer
        fluidsynth, or midirenderer, which needs no Debian package.
    workers
        Local processes.
    """
    from llark.corpus.clips import render

    render(
        out,
        clips=clips,
        seed=seed,
        sources=source,
        renderer=renderer,
        workers=workers,
        midi=midi,
        groove_midi_folder=groove_midi,
    )


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
    from llark.pipeline.build import build as build_all

    if said := build_all(recipe, out, overrides=overrides, limit=limit, workers=workers):
        print(said)


app.command("llark.commands.evaluate:evaluate")
app.command("llark.commands.evaluate:compare")
app.command("llark.commands.evaluate:judge")
app.command("llark.commands.instruct:instruct")
app.command("llark.commands.embed:embed")
app.command("llark.commands.train:train")
app.command("llark.commands.train:import_checkpoint")
app.command("llark.commands.infer:infer")
app.command("llark.commands.embed:convert_jukebox")
app.command("llark.commands.embed:export_embeddings")
app.command("llark.commands.embed:import_embeddings")


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
