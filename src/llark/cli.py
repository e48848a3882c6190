"""The command line: one function a command, which prints what a stage of the pipeline returns.

A command's options are its own parameters and, where it has many, those of a class in `options.py`.
"""

from __future__ import annotations

import contextlib
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter

from llark import __version__
from llark.errors import LlarkError, UserMustAct, system_sentence
from llark.options import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    SHARE,
    WORKERS,
    AnnotateOptions,
    CaptionOptions,
    EmbedOptions,
    EvaluateOptions,
    InferOptions,
    InstructOptions,
    JudgeOptions,
    ModelOptions,
    PrepareOptions,
    TalkerOptions,
)
from llark.report import terminal

app = App(
    name="llark",
    help="Software that listens to music and can talk about it.",
    version=__version__,
    group_commands=Group("Other", sort_key=4),
    suppress_keyboard_interrupt=False,  # it is `main` that says how to go on
    default_parameter=Parameter(
        consume_multiple=True,
        # A path may begin with [ or {, as in "[2019] Album": no word of the command line is read as JSON.
        json_list=False,
        json_dict=False,
        # "default: False" beside every switch says nothing.
        show_default=lambda value: None if value in (None, (), "") or value is False else str(value),
    ),
)

LISTEN = Group("Listen to music", sort_key=1)
DATA = Group("Data", sort_key=2)
MODELS = Group("Train and evaluate", sort_key=3)

FLAT = Parameter(name="*")
"""Each field of the class is an option of its own."""

EMPTY = r"(--[a-z-]+=)?"
"""A word of the command line that says nothing: a path of no letters would be the working folder."""
KEYLESS = "--key-variable"
"""The only option that may be empty: no key is sent then."""

DEMO_QUESTIONS = (
    "What is the tempo of this song?",
    "What key is it in?",
    "Describe this recording.",
)


@app.command(group=LISTEN)
def ask(
    audio: Path,
    question: Annotated[list[str], Parameter(negative=())],
    *,
    other: Annotated[Path | None, Parameter(name="--and")] = None,
    raw: bool = False,
    facts: bool | None = None,
    json: bool = False,
    talker: Annotated[TalkerOptions, FLAT] = TalkerOptions(),
    options: Annotated[ModelOptions, FLAT] = ModelOptions(),
) -> None:
    """Answer questions about a recording (wav, mp3, ogg, flac, m4a, opus …) of any length.

    A question is read and answered from what is measured in the recording; what is not measured is not said.

    Parameters
    ----------
    audio
        The recording.
    question
        One or more questions, each in quotes.
    other
        A second recording, for questions that compare: "Which is faster?"
    raw
        Let the model answer in its own words, unchecked, as it does where a model or --facts is named.
    facts
        With --raw: show the model the facts measured in this recording; with --no-facts it answers from the
        audio alone. By default, only models that were trained to read facts, such as `mini`, are shown them.
    json
        Print answers, facts, model and timings as JSON.
    """
    from llark.pipeline.ask import MusicLM
    from llark.report import text

    result = MusicLM(options).ask(audio, *question, other=other, raw=raw or None, facts=facts, talker=talker)
    terminal.show(text.as_json(result) if json else text.as_text(result))


@app.command(group=LISTEN)
def chat(audio: Path, *, talker: Annotated[TalkerOptions, FLAT] = TalkerOptions()) -> None:
    """Talk about a recording: later questions may refer to earlier ones. /help lists what else can be typed.

    Parameters
    ----------
    audio
        The recording.
    """
    from llark.pipeline.chat import Chat, talk

    talk(Chat(audio, talker))


@app.command(group=LISTEN)
def demo(*, json: bool = False) -> None:
    """Ask the bundled model three questions about the bundled recording.

    Parameters
    ----------
    json
        Print answers, facts, model and timings as JSON.
    """
    from llark.pipeline.ask import MusicLM, demo_recording
    from llark.report import text

    result = MusicLM().ask(demo_recording(), *DEMO_QUESTIONS)
    terminal.show(text.as_json(result) if json else text.as_text(result))


@app.command(group=LISTEN)
def annotate(
    songs: Annotated[list[Path], Parameter(negative=())],
    *,
    out: Path | None = None,
    workers: Annotated[int, WORKERS] = 2,
    options: Annotated[AnnotateOptions, FLAT] = AnnotateOptions(),
) -> None:
    """Print the musical facts of recordings with a timeline, draw them, or write them as JAMS.

    Parameters
    ----------
    songs
        Recordings; with --out also folders of them, or a folder that `llark prepare` has filled.
    out
        Keep the facts in this folder, and print a table. Run again to go on.
    workers
        Local processes, with --out; 0 works in this one.
    """
    from llark.pipeline import annotate as pipeline

    for page in pipeline.annotate(songs, out, options, workers):
        terminal.show(page)


@app.command(group=LISTEN)
def caption(
    songs: Annotated[list[Path], Parameter(negative=())],
    *,
    out: Path,
    workers: Annotated[int, WORKERS] = 2,
    options: Annotated[CaptionOptions, FLAT] = CaptionOptions(),
) -> None:
    """Write a caption, tags and the main facts of each recording, one line of JSON each. Run again to go on.

    Parameters
    ----------
    songs
        Recordings, and folders of them.
    out
        The file: captions.jsonl. OUT.run beside it keeps the facts.
    workers
        Local processes; 0 works in this one.
    """
    from llark.pipeline import caption as pipeline

    terminal.show(pipeline.caption(songs, out, options, workers))


@app.command(group=LISTEN)
def infer(
    model: Path,
    *,
    data: Annotated[list[str], Parameter(negative=())],
    out: Path,
    device: str | None = None,
    base: Path | None = None,
    options: Annotated[InferOptions, FLAT] = InferOptions(),
) -> None:
    """Ask a model about clips that are embedded, and write a table of its answers. Run again to go on.

    Parameters
    ----------
    model
        Folder of a trained model, or `mini` for the one in the package.
    data
        Where the embeddings are: folders that embed, instruct, prepare or build have filled, folders of
        .npy, or WebDataset tars with .npy and .json.
    out
        The table: a .csv or a .jsonl file. OUT.run beside it keeps drops, settings, and an unfinished run.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    base
        Folder of the base language model, if the model does not say where that is.
    """
    from llark.pipeline import infer as pipeline

    terminal.show(pipeline.infer(ModelOptions(model, base=base, device=device), data, out, options))


@app.command(group=LISTEN)
def fetch() -> None:
    """Get the base language model into the cache, if it is not there, so that all else works offline."""
    from llark.model.base import base_folder

    terminal.show(base_folder())


@app.command(group=DATA)
def datasets(name: str | None = None) -> None:
    """List the data sets that `llark prepare` reads, or say of one what must lie where.

    Parameters
    ----------
    name
        A data set's name.
    """
    from llark.prepare import datasets as listing

    listing.show(name)


@app.command(group=DATA)
def prepare(
    source: str,
    *,
    out: str,
    workers: Annotated[int, WORKERS] = 2,
    drop_share: Annotated[float, SHARE] = 0.5,
    report: bool = False,
    options: Annotated[PrepareOptions, FLAT] = PrepareOptions(),
) -> None:
    """Turn recordings into tracks and clips for the next stage; what is lost is counted. Run again to go on.

    Parameters
    ----------
    source
        A folder of music, a data set's folder, or a csv or jsonl table; or an fsspec URL of one.
    out
        Folder for tracks, clips and, where the data set labels anything, truths.
    workers
        Local processes; 0 works in this one.
    drop_share
        Stop when more than this share of the recordings is lost; 1 never stops.
    report
        Also write report.html, a page that shows what is there and what was lost.
    """
    from llark.pipeline import prepare as pipeline

    terminal.show(
        pipeline.prepare(source, out, options, workers=workers, drop_share=drop_share, report=report)
    )


@app.command(group=DATA)
def corpus(
    out: Path,
    *,
    clips: Annotated[int, AT_LEAST_1] = 3000,
    seed: Annotated[int, NOT_NEGATIVE] = 7,
    source: list[str] | None = None,
    midi: Path | None = None,
    groove_midi: Path | None = None,
    renderer: str = "fluidsynth",
    workers: Annotated[int, WORKERS] = 2,
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


@app.command(group=DATA)
def instruct(
    annotations: Annotated[list[str], Parameter(negative=())],
    *,
    out: str,
    options: Annotated[InstructOptions, FLAT] = InstructOptions(),
) -> None:
    """Make questions and answers about clips from what is known of them. Run again to go on.

    Parameters
    ----------
    annotations
        Folders that annotate --out, prepare, build or corpus have filled; several are joined by clip.
    out
        Folder for the exchanges, their report, data card and, of a model, its replies.
    """
    from llark.pipeline import instruct as pipeline

    terminal.show(pipeline.instruct(annotations, out, options))


@app.command(group=DATA)
def embed(
    clips: str | None = None,
    *,
    out: str | None = None,
    verify: bool = False,
    cost: bool = False,
    options: Annotated[EmbedOptions, FLAT] = EmbedOptions(),
) -> None:
    """Turn clips into frames that a model reads, into sharded safetensors. Run again to go on.

    Parameters
    ----------
    clips
        A folder that `llark prepare` has filled; with --verify a folder of embeddings.
    out
        Folder for the embeddings.
    verify
        Check that the frames in a folder of embeddings are those that were written.
    cost
        With --encoder jukebox: print what the full model costs on several machines, and stop.
    """
    from llark.pipeline import embed as pipeline

    if cost:
        from llark.embed.jukebox import sizes

        terminal.show(sizes.table())
        return
    if clips is None:
        raise UserMustAct("There are no clips: name a folder that llark prepare has filled.")
    if verify:
        terminal.show(pipeline.verify(clips))
        return
    if out is None:
        raise UserMustAct("Say with --out where the embeddings go.")
    terminal.show(pipeline.embed(clips, out, options))


@app.command(group=DATA)
def export_embeddings(folder: str, *, out: Path, layout: Literal["npy", "webdataset"] = "npy") -> None:
    """Write a folder of embeddings as .npy files or as WebDataset tars.

    Parameters
    ----------
    folder
        What `llark embed` wrote.
    out
        A new folder.
    layout
        npy: one [frames, width] a clip; webdataset: tars of [1, frames, width].
    """
    from llark.pipeline import embed as pipeline

    terminal.show(pipeline.export(folder, out, layout))


@app.command(group=DATA)
def import_embeddings(source: Path, *, out: str, encoder: str, rate: str) -> None:
    """Read .npy files or WebDataset tars of embeddings; pickles are refused. Run again to go on.

    Parameters
    ----------
    source
        A folder of .npy, a .tar, or a folder of them.
    out
        Folder for the embeddings.
    encoder
        What made them.
    rate
        Their frames a second: 44100/4352 for the published Jukebox frames.
    """
    from llark.pipeline import embed as pipeline

    terminal.show(pipeline.import_(source, out, encoder, rate))


@app.command(group=DATA)
def convert_jukebox(vqvae: Path, prior: Path, *, out: Path) -> None:
    """Convert OpenAI's Jukebox 5b once: 10.3 GB of .pth.tar become 5.2 GB of safetensors.

    Parameters
    ----------
    vqvae
        vqvae.pth.tar.
    prior
        prior_level_2.pth.tar of 5b.
    out
        Folder for what `--encoder jukebox --weights` reads.
    """
    from llark.pipeline import embed as pipeline

    terminal.show(pipeline.convert_jukebox(vqvae, prior, out))


@app.command(group=MODELS)
def build(
    recipe: Path,
    *overrides: str,
    out: Path,
    limit: Annotated[int | None, AT_LEAST_1] = None,
    workers: Annotated[int, WORKERS] = 2,
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
        Local processes that render and listen.
    """
    from llark.pipeline.build import build as build_all

    if said := build_all(recipe, out, overrides=overrides, limit=limit, workers=workers):
        terminal.show(said)


@app.command(group=MODELS)
def train(
    recipe: Path,
    *overrides: str,
    data: Annotated[list[str] | None, Parameter(negative=())] = None,
    out: Path | None = None,
    base: Path | None = None,
    device: str | None = None,
    plan: Annotated[bool, Parameter(negative=())] = False,
    smoke: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train the model of a recipe. Run again to go on; start it with torchrun for several GPUs or nodes.

    Parameters
    ----------
    recipe
        A YAML file such as recipes/llark-7b.yaml.
    overrides
        Values of the recipe to change, each as dotted.key=value.
    data
        Folders with exchanges and embeddings, and clips with their splits: what instruct, embed, prepare or
        build have filled.
    out
        Folder for checkpoints, log and, in the end, OUT/model.
    base
        A folder with the base language model, in place of the recipe's.
    device
        cpu, cuda, cuda:1 …; a GPU if there is one.
    plan
        Only say what it takes: parameters, memory, hours, money. --data makes it more exact.
    smoke
        Only ten steps, with a tiny base and tiny random frames.
    """
    from llark.pipeline import train as pipeline

    if plan:
        terminal.show(pipeline.plan(recipe, data or (), overrides=overrides))
        return
    if out is None:
        raise UserMustAct("Say where the model is to be made: --out DIR.")
    if smoke:
        said = pipeline.smoke(recipe, out, overrides=overrides, device=device)
    elif data:
        said = pipeline.train(recipe, data, out, overrides=overrides, base=base, device=device)
    else:
        raise UserMustAct("Say what to train on: --data DIR … with exchanges and embeddings; or try --smoke.")
    if said:
        terminal.show(said)


@app.command(group=MODELS)
def import_checkpoint(
    folder: Path,
    *,
    out: Path,
    tokenizer: Path | None = None,
    dtype: Literal["float16", "bfloat16", "float32"] = "float16",
) -> None:
    """Turn a checkpoint of the published training code into a model folder. No code in it is run.

    Parameters
    ----------
    folder
        A checkpoint-… folder: config.json, tokenizer, and pytorch_model*.bin or model*.safetensors.
    out
        Folder for the model; llark ask --model and from_pretrained read it.
    tokenizer
        Folder of the tokenizer, where it is not beside the weights.
    dtype
        Of the weights.
    """
    from llark.pipeline import train as pipeline

    terminal.show(pipeline.import_checkpoint(folder, out, tokenizer, dtype))


@app.command(group=MODELS)
def evaluate(
    source: Path | None = None,
    *,
    out: Path,
    data: Path | None = None,
    real: bool = False,
    options: Annotated[EvaluateOptions, FLAT] = EvaluateOptions(),
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
    real
        Score the eight labelled real songs of the Debian packages fretsonfire-songs-* instead.
    """
    from llark.pipeline import evaluate as pipeline

    if data is not None and source is not None:
        if options.model is not None:
            raise UserMustAct(f"{source} and {options.model} are both models; name one.")
        options = replace(options, model=source)
    terminal.show(
        pipeline.evaluate_real(out, options) if real else pipeline.evaluate(data or source, out, options)
    )


@app.command(group=MODELS)
def compare(first: Path, second: Path) -> None:
    """Compare two reports question by question: the difference, its interval, and whether it could be chance.

    Parameters
    ----------
    first
        Folder that `llark evaluate` has written.
    second
        Another one, on the same questions.
    """
    from llark.pipeline import evaluate as pipeline

    terminal.show(pipeline.compare(first, second))


@app.command(group=MODELS)
def judge(
    report: Path,
    *,
    against: Path | None = None,
    how: Literal["prefer", "match", "details", "embed"] = "prefer",
    options: Annotated[JudgeOptions, FLAT],
) -> None:
    """Have another model judge the answers of a report: win rate, matching, details, or embedding match.

    Its replies are kept in the report's folder; run again to go on.

    Parameters
    ----------
    report
        Folder that `llark evaluate` has written.
    against
        Another report, whose answers these are compared with; what people wrote, if not given.
    how
        prefer: which answer is better, asked in both orders. match: which of four descriptions is of the same
        music. details: how many musical details an answer states, and how many of them are so. embed: which
        genre's embedding is nearest, for gtzan_genre and medleydb_genre.
    """
    from llark.evaluate import judge as judging

    terminal.show(judging.judge(report, options, how, against))


class Terminated(KeyboardInterrupt):
    """SIGTERM: what is done is kept, as after Ctrl-C."""


def _terminate(*_: Any) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut off the keeping
    raise Terminated


def _goes_on() -> bool:
    """Whether the command's help says that it is run again to go on."""
    command = app[sys.argv[1]].default_command if sys.argv[1:] and sys.argv[1] in app else None
    return "un again to go on" in (command.__doc__ or "")


def main() -> None:
    """Runs the command line; an error that a person can mend is one sentence and exit status 2."""
    signal.signal(signal.SIGTERM, _terminate)
    terminal.accept_any_character()
    sentence = ""
    try:
        words = sys.argv[1:]
        for before, word in zip(["", *words], words, strict=False):
            if re.fullmatch(EMPTY, word) and KEYLESS not in (before, word[:-1]):
                raise UserMustAct("A word of the command is empty; is one of its variables not set?")
        app(words, print_error=False, exit_on_error=False, result_action="return_value")
        terminal.flush()
        status = 0
    except KeyboardInterrupt as error:
        status = 143 if isinstance(error, Terminated) else 130
        sentence = "stopped, run again to go on" if _goes_on() else "stopped"
    except BrokenPipeError:  # whoever read the output has enough
        status = 141
    except (LlarkError, CycloptsError) as error:
        status, sentence = 2, str(error)
    except OSError as error:  # a disk that is full, a name that no file can have, a place that is forbidden
        status, sentence = 2, system_sentence(error)
    if status:
        with contextlib.suppress(OSError):
            terminal.flush()
    if sentence:
        terminal.note(terminal.shortened(terminal.printable_line(f"llark: {sentence}")))
    sys.exit(status)
