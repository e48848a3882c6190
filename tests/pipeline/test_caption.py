"""`llark caption`: a folder of recordings → one line of JSON each, and a text beside each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llark.errors import UserMustAct
from llark.options import CaptionOptions
from llark.pipeline.caption import caption
from tests.pipeline.test_ask import clicks

pytestmark = pytest.mark.slow


def test_captions_and_facts_of_a_folder_are_written_and_no_text_of_others_is_replaced(tmp_path: Path) -> None:
    songs, out = tmp_path / "songs", tmp_path / "captions.jsonl"
    songs.mkdir()
    clicks(songs / "one.wav", 120)
    shutil.copy(songs / "one.wav", songs / "two.wav")
    (songs / "broken.wav").write_bytes(b"RIFF")
    (songs / "one.txt").write_text("mine\n", encoding="utf-8")
    with pytest.raises(UserMustAct, match=r"one\.txt is there already.* The other 1 are written"):
        caption([songs], out, CaptionOptions(sidecar="txt"), workers=1)
    rows = {Path(row["path"]).name: row for row in map(json.loads, out.read_text("utf-8").splitlines())}
    assert set(rows) == {"one.wav", "two.wav"}
    assert rows["one.wav"]["bpm"] == pytest.approx(120, abs=2)
    assert rows["one.wav"]["duration_seconds"] == pytest.approx(12.0, abs=0.01)
    assert (songs / "two.txt").read_text("utf-8").strip() == rows["two.wav"]["caption"] != ""
    assert (songs / "one.txt").read_text("utf-8") == "mine\n"

    (songs / "one.txt").unlink()
    told = caption([songs], out, CaptionOptions(style="tags", sidecar="txt"), workers=1)
    assert "2 captions, 1 dropped" in told
    row = json.loads(out.read_text("utf-8").splitlines()[0])
    assert (songs / "two.txt").read_text("utf-8").strip() == row["caption"] == ", ".join(row["tags"])


def test_a_file_that_no_run_made_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "notes.jsonl"
    out.write_text("mine\n", encoding="utf-8")
    with pytest.raises(UserMustAct, match="not by a run of llark caption"):
        caption([tmp_path], out)
    assert out.read_text("utf-8") == "mine\n"
