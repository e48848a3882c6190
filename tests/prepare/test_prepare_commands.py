"""What the page on preparing tells people to type, and the list of data sets."""

from __future__ import annotations

import inspect
import io
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from rich.console import Console

from llark import cli
from llark.errors import UserMustAct
from llark.options import PrepareOptions
from llark.prepare import crop, datasets
from llark.records import Annotation, Clip, Track
from llark.storage import stages

PAGE = Path(__file__).parents[2] / "docs" / "prepare.md"


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    commands = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(commands) >= 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eu"],
        input="\n".join(commands).replace("llark prepare", "llark prepare --workers 0"),
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    prepared = tmp_path / "prepared"
    assert (prepared / "music" / "report.html").stat().st_size > 5000
    (song,) = stages.read(prepared / "songs" / "tracks", Track)
    assert (song.id, song.title, song.split) == ("1", "Feelings", "test")
    assert {truth.tempo.bpm for truth in stages.read(prepared / "songs" / "truths", Annotation)} == {96.0}
    (blues,) = stages.read(prepared / "gtzan" / "clips", Clip)
    assert (blues.start_seconds, blues.end_seconds) == (10.0, 20.0)
    (file,) = stages.read(prepared / "files" / "clips", Clip)
    assert Path(file.path).suffix == ".flac"
    assert stages.about(prepared / "gtzan" / "tracks")["counts"]["dropped"].keys() <= {"missing-audio"}


def test_the_page_names_every_option_and_every_way_to_crop() -> None:
    text = PAGE.read_text()
    own = [name for name in inspect.signature(cli.prepare).parameters if name not in ("source", "options")]
    options = [name.replace("_", "-") for name in (*own, *(field.name for field in fields(PrepareOptions)))]
    assert len(options) > 12
    assert [name for name in options if f"--{name}" not in text] == []
    assert [name for name in crop.STRATEGIES if f"`{name}`" not in text] == []


def test_the_command_line_offers_every_way_to_crop() -> None:
    assert get_args(get_type_hints(PrepareOptions)["crop"]) == crop.STRATEGIES


@pytest.mark.parametrize("width", [60, 100])
def test_the_list_says_of_each_data_set_its_licence_and_splits(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    datasets.show(console=console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(name in printed for name in datasets.names())
    assert len(datasets.names()) >= 3
    assert max(map(len, printed.splitlines())) <= width
    assert "all: title, artist, album" in printed


def test_one_data_set_is_shown_with_all_that_is_needed_to_get_it() -> None:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    datasets.show("gtzan", console)
    printed = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    gtzan = datasets.load("gtzan")
    for text in (gtzan.about, gtzan.licence, gtzan.where, *gtzan.files, *gtzan.splits, gtzan.citation):
        assert " ".join(text.split()) in printed
    with pytest.raises(UserMustAct, match="Did you mean gtzan"):
        datasets.show("gtzna")
