"""`llark instruct`: the command line of the instruct stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def instruct(
    annotations: Annotated[list[str], Parameter(negative=())],
    *,
    out: str,
    teacher: Literal["offline", "openai", "batch"] = "offline",
    family: list[Literal["understanding", "captioning", "reasoning"]] | None = None,
    most: int = 12,
    say_unknown: bool = False,
    base_url: str = "https://api.openai.com/v1",
    model: str | None = None,
    key_variable: str = "OPENAI_API_KEY",
    price_in: float = 0.0,
    price_out: float = 0.0,
    budget: float | None = None,
    budget_tokens: int | None = None,
    dry_run: bool = False,
    at_once: int = 16,
    requests_a_minute: float | None = None,
    tokens_a_minute: float | None = None,
    timeout_seconds: float = 120.0,
    retries: int = 6,
    temperature: float = 0.7,
    most_tokens: int = 2048,
    few_shot: bool = True,
    structured: Literal["schema", "json", "off"] = "schema",
    batch_requests: int = 2000,
    poll_seconds: float = 60.0,
    replies: Path | None = None,
    export: list[Literal["parquet", "chat", "webdataset"]] | None = None,
    embeddings: str | None = None,
    published: bool = False,
    seed: int = 0,
    limit: int | None = None,
    workers: int = 0,
) -> None:
    """Make questions and answers about clips from what is known of them. Run again to go on.

    Parameters
    ----------
    annotations
        Folders that annotate --out, prepare, build or corpus have filled; several are joined by clip.
    out
        Folder for the exchanges, their report, data card and, of a model, its replies.
    teacher
        offline: our grammar, no model. openai: any OpenAI-compatible server. batch: its batch interface.
    family
        understanding, captioning, reasoning; all three if not given.
    most
        Of the offline teacher: exchanges a clip.
    say_unknown
        Of the offline teacher: also ask what is not known, and answer that it cannot be told.
    base_url
        Of the server, with its /v1. On this machine vLLM listens at http://localhost:8000/v1, llama.cpp at
        8080, Ollama at 11434.
    model
        Its name at the server.
    key_variable
        The environment variable that holds the key; '' sends none.
    price_in
        US dollars for a million tokens of prompts.
    price_out
        US dollars for a million tokens of replies.
    budget
        US dollars that are never passed, all runs with these replies together.
    budget_tokens
        The same in tokens.
    dry_run
        Say how many requests there are and what they cost; send nothing.
    at_once
        Requests that run at the same time.
    requests_a_minute
        Rate limit.
    tokens_a_minute
        Rate limit.
    timeout_seconds
        Of one request.
    retries
        After failures that may pass; four times as often where the server says that it is too much at once.
    temperature
        Of the model.
    most_tokens
        Of one reply.
    few_shot
        Show the model examples.
    structured
        Hold the model to JSON by schema, as JSON, or by words alone; weaker ones are tried by themselves.
    batch_requests
        Requests of one batch.
    poll_seconds
        Between two looks at the batches.
    replies
        The file that keeps what was bought; replies.sqlite in the folder if not given.
    export
        Also write parquet, chat (JSON lines) or webdataset (tars with .npy and .json) into OUT/export.
    embeddings
        For webdataset: the folder of the embed stage.
    published
        For webdataset: write the pickles (.pyd) that the published training code reads. This package refuses
        to read them.
    seed
        The same seed gives the same exchanges, or prompts.
    limit
        Take so many clips.
    workers
        Local processes of the offline teacher; 0 works in this one.
    """
    from llark.pipeline.instruct import InstructOptions
    from llark.pipeline.instruct import instruct as run

    options = InstructOptions(
        teacher,
        family,
        most,
        say_unknown,
        base_url,
        model,
        key_variable,
        price_in,
        price_out,
        budget,
        budget_tokens,
        dry_run,
        at_once,
        requests_a_minute,
        tokens_a_minute,
        timeout_seconds,
        retries,
        temperature,
        most_tokens,
        few_shot,
        structured,
        batch_requests,
        poll_seconds,
        replies,
        export,
        embeddings,
        published,
        seed,
        limit,
        workers,
    )
    print(run(annotations, out, options))
