"""`llark instruct` as a user runs it, on folders that other stages fill, down to its exports."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llark.cli import app
from llark.errors import UserMustAct
from llark.instruct import export
from llark.pipeline import infer
from llark.pipeline.instruct import Sources
from llark.records import Annotation, Clip, Embedding, Exchange, Key, Tempo, Track, to_dict
from llark.storage import stages
from llark.storage.embeddings import Embeddings
from tests.instruct.hostile import raw, says, status
from tests.instruct.teaching_server import Behaviour, Server, scholar

SECRET = "sk-walk-0123456789abcdef"


def write(folder: Path, stage: str, records: Sequence[object]) -> None:
    with stages.open_stage(folder, stage, {"test": True}) as writer:
        for number, record in enumerate(records):
            writer.write(str(number), [record])
        writer.finish()


@pytest.fixture
def annotations(tmp_path: Path, many: tuple[Annotation, ...]) -> Path:
    write(tmp_path / "facts", "annotate", many[:6])
    return tmp_path / "facts"


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Two tracks with a clip each: one labelled by its data set, one only described."""
    tracks = [
        Track("t1", "a.ogg", dataset="set", licence="CC0-1.0", title="A Very Long Title"),
        Track("t2", "b.ogg", dataset="set", licence="CC-BY-4.0", captions=("A calm piano piece.",)),
    ]
    clips = [Clip(f"t{n}@0", f"t{n}", f"{n}.ogg", 0.0, 20.0, "test", "set") for n in (1, 2)]
    truth = Annotation("t1@0", 0.0, 20.0, key=Key("C major", 1.0, "set"), tempo=Tempo(90.0, 1.0, "set"))
    for name, records in (("tracks", tracks), ("clips", clips), ("truths", [truth])):
        write(tmp_path / "prepared" / name, "prepare", records)
    return tmp_path / "prepared"


def llark(*words: str | Path) -> None:
    app([str(word) for word in words], exit_on_error=False, result_action="return_value")


def test_the_offline_teacher_makes_exchanges_a_report_and_a_card(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    llark("instruct", annotations, "--out", out, "--most", "5", "--export", "parquet", "chat")
    said = capsys.readouterr().out
    exchanges = list(stages.read(out / "exchanges", Exchange))
    assert f"{len(exchanges)} exchanges about" in said
    assert len(exchanges) > 20
    assert all(one.facts and len(one.measured_by) == len(one.facts) for one in exchanges)
    assert {one.teacher for one in exchanges} == {"offline-2"}
    assert next(stages.read(out / "exchanges", Exchange)).question == exchanges[0].question
    report, card = (out / "report.html").read_text(), (out / "card.md").read_text()
    assert exchanges[0].kind in report
    assert "http" not in report.replace("http-equiv", "")
    assert f"{len(exchanges)} questions with answers" in card
    summary = json.loads((out / "summary.json").read_text())
    assert summary["exchanges"] == len(exchanges)
    assert sum(summary["by"]["kind"].values()) == len(exchanges)
    _check_exports(out, exchanges)


def _check_exports(out: Path, exchanges: list[Exchange]) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(out / "export" / "exchanges.parquet")
    assert table.column_names == list(Exchange.__dataclass_fields__)
    assert table.to_pylist()[3]["answer"] == exchanges[3].answer
    assert table.to_pylist()[3]["facts"] == list(exchanges[3].facts)
    talks = [json.loads(line) for line in (out / "export" / "chat.jsonl").read_text().splitlines()]
    assert len(talks) == len(exchanges)
    user, assistant = talks[0]["messages"]
    assert user["content"][0] == {"type": "audio", "audio": exchanges[0].clip_id}
    assert user["content"][1] == {"type": "text", "text": exchanges[0].question}
    assert assistant == {"role": "assistant", "content": [{"type": "text", "text": exchanges[0].answer}]}


def test_one_family_is_made_when_one_is_asked_for(annotations: Path, tmp_path: Path) -> None:
    llark("instruct", annotations, "--out", tmp_path / "out", "--family", "reasoning")
    assert {one.task for one in stages.read(tmp_path / "out" / "exchanges", Exchange)} == {"reasoning"}


def test_a_prepared_folder_and_measured_facts_are_joined_and_sent_to_a_server(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = Annotation("t2@0", 0.0, 20.0, key=Key("D minor", 0.8, "net"), tempo=Tempo(100.0, 0.9, "net"))
    write(tmp_path / "facts", "annotate", [Annotation("t1@0", 0.0, 20.0), measured])
    monkeypatch.setenv("MY_KEY", SECRET)
    out = tmp_path / "out"
    with Server() as server:
        options = [
            "--teacher",
            "openai",
            "--base-url",
            server.url,
            "--model",
            "fake",
            "--key-variable",
            "MY_KEY",
        ]
        llark("instruct", prepared, tmp_path / "facts", "--out", out, *options, "--dry-run")
        assert server.bodies == []
        assert "6 requests to fake" in capsys.readouterr().out
        llark("instruct", prepared, tmp_path / "facts", "--out", out, *options, "--export", "chat")
        sent = json.dumps(server.bodies)
    exchanges = list(stages.read(out / "exchanges", Exchange))
    assert {(one.clip_id, one.licence, one.split) for one in exchanges} == {
        ("t1@0", "CC0-1.0", "test"),
        ("t2@0", "CC-BY-4.0", "test"),
    }
    assert {one.measured_by for one in exchanges if one.kind == "tempo"} == {("set",), ("net",)}
    assert "A calm piano piece." in sent
    said = capsys.readouterr()
    assert "6 replies bought in all" in said.out
    assert SECRET not in said.out + said.err + (out / "report.html").read_text()
    talk = json.loads((out / "export" / "chat.jsonl").read_text().splitlines()[0])
    assert talk["messages"][0]["content"][0] == {
        "type": "audio",
        "audio": "1.ogg",
        "start_seconds": 0.0,
        "end_seconds": 20.0,
    }


def test_a_prepared_folder_alone_has_its_labels_and_captions(prepared: Path, tmp_path: Path) -> None:
    llark("instruct", prepared, "--out", tmp_path / "out")
    exchanges = list(stages.read(tmp_path / "out" / "exchanges", Exchange))
    assert {one.clip_id for one in exchanges if "tempo" in one.facts} == {"t1@0"}


def test_sources_are_labels_or_measurements_alone_or_both_joined(tmp_path: Path) -> None:
    clip = Clip("a", "a", "a.wav", 0.0, 9.0)
    label = Annotation("a", 0.0, 9.0, key=Key("C major", 1.0, "people"))
    measured = Annotation("a", 0.0, 9.0, Tempo(120.0, 0.9, "ours"), key=Key("A minor", 0.8, "ours"))
    for name, stage, record in (
        ("clips", "prepare", clip), ("truths", "prepare", label), ("annotations", "annotate", measured)
    ):  # fmt: skip
        write(tmp_path / name, stage, [record])
    facts = {
        each: [(one.annotation.tempo.bpm, one.annotation.key.name) for one in Sources([tmp_path], facts=each)]
        for each in ("labels", "measured", "joined")
    }
    assert facts == {
        "labels": [(None, "C major")], "measured": [(120.0, "A minor")], "joined": [(120.0, "C major")]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (says("I am a teapot."), "unreadable-reply 2×"),
        (status(400, "no"), "error:status-400 2×"),
        (raw("<html><title>Hello</title>"), "error:not-json 2×"),
        (says("", "length"), "out-of-tokens 2×"),
    ],
)
def test_a_run_that_brought_nothing_is_no_success_and_asks_again_when_the_server_is_mended(
    prepared: Path, tmp_path: Path, bad: Behaviour, said: str
) -> None:
    with Server(bad) as server:
        words = ["--out", tmp_path / "out", "--teacher", "openai", "--base-url", server.url, "--model", "m"]
        words += ["--family", "understanding", "--retries", "0"]
        with pytest.raises(UserMustAct, match="instruct stopped: 2 of 2 records") as caught:
            llark("instruct", prepared, *words)
        assert said in str(caught.value)
        assert f"{server.url}: " in str(caught.value)
        assert "<html>" not in str(caught.value)
        assert not (tmp_path / "out" / "summary.json").exists()
        server.behaviour = scholar
        llark("instruct", prepared, *words)
    assert len(list(stages.read(tmp_path / "out" / "exchanges", Exchange))) == 2


def test_the_batch_teacher_runs_from_the_command_line(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Server() as server:
        options = [
            "--teacher",
            "batch",
            "--base-url",
            server.url,
            "--model",
            "fake",
            "--poll-seconds",
            "0.01",
        ]
        llark("instruct", prepared, "--out", tmp_path / "out", *options)
    exchanges = list(stages.read(tmp_path / "out" / "exchanges", Exchange))
    assert {one.teacher for one in exchanges} == {"batch-1"}
    assert len(list((tmp_path / "out" / "batches").glob("*.jsonl"))) == len(server.batches) > 0


def heard(folder: Path, many: tuple[Annotation, ...]) -> Path:
    """Frames of five clips; of each another number of frames."""
    frames = [np.arange(4 * n + 4, dtype=np.float16).reshape(n + 1, 4) for n in range(5)]
    placed = [
        Embedding(one.clip_id, "mini-2", frames[n], 10.0, 2.0 * n, 2.0 * n + 1.5, "10")
        for n, one in enumerate(many[:5])
    ]
    write(folder, "embed", list(placed))
    return folder


def test_the_published_layout_holds_what_the_published_reader_wants(
    annotations: Path, tmp_path: Path, many: tuple[Annotation, ...]
) -> None:
    out, place = tmp_path / "out", heard(tmp_path / "heard", many)
    llark(
        "instruct", annotations, "--out", out, "--export", "webdataset", "--embeddings", place, "--published"
    )
    tars = sorted((out / "export" / "webdataset-published").iterdir())
    assert [path.name for path in tars] == [
        f"unknown-all-mini_2-{family}-000000.tar" for family in ("captioning", "mir", "reasoning")
    ]
    with tarfile.open(tars[1]) as tar:
        names = tar.getnames()
        page = json.load(tar.extractfile(names[0]))  # type: ignore[arg-type]
        array = pickle.loads(tar.extractfile(names[5]).read())  # type: ignore[union-attr]
    assert names[:2] == ["clip-0.json", "clip-0.audio_encoding.pyd"]
    assert len(names) <= 10
    assert set(page["response"][0]) == {"question", "answer"}
    assert (array.dtype, array.shape, array[2, 3]) == (np.float32, (3, 4), 11.0)
    assert not (out / "export" / "webdataset").exists()
    with pytest.raises(UserMustAct, match="It is a pickle"):
        infer.read_data([str(tars[1])])


def test_tars_that_are_exported_are_read_by_infer_with_every_question_and_frame(
    annotations: Path, tmp_path: Path, many: tuple[Annotation, ...]
) -> None:
    out, place = tmp_path / "out", heard(tmp_path / "heard", many)
    llark("instruct", annotations, "--out", out, "--export", "webdataset", "--embeddings", place)
    tars = sorted((out / "export" / "webdataset").iterdir())
    assert len(tars) == 3
    with tarfile.open(tars[0]) as tar:
        assert {Path(name).suffix for name in tar.getnames()} == {".json", ".npy"}
    data, own = infer.read_data([str(tars[0].parent)]), Embeddings(place)
    assert data.dropped == []
    exchanges = list(stages.read(out / "exchanges", Exchange))
    asked = sorted((one.clip_id, one.question, one.answer) for one in exchanges if one.clip_id in own)
    found = [(one.clip_id, q.text, q.answer) for one in data.clips for q in one.questions]
    assert sorted(found) == asked
    assert {one.clip_id for one in data.clips} == set(own)
    for one in data.clips:
        np.testing.assert_array_equal(one.read(), own[one.clip_id].frames)
        start = own[one.clip_id].start_seconds
        assert (one.start_seconds, one.end_seconds) == (start, start + 1.5)


def test_tars_that_are_exported_are_imported_as_the_embeddings_that_they_were_made_of(
    annotations: Path, tmp_path: Path, many: tuple[Annotation, ...]
) -> None:
    out, place = tmp_path / "out", heard(tmp_path / "heard", many)
    words = ("--export", "webdataset", "--embeddings", place, "--family", "captioning")
    llark("instruct", annotations, "--out", out, *words)
    source = out / "export" / "webdataset"
    llark("import-embeddings", source, "--out", tmp_path / "in", "--encoder", "mini-2", "--rate", "99")
    own, again = Embeddings(place), Embeddings(tmp_path / "in")
    assert set(own) == set(again)
    for clip, mine in own.items():
        np.testing.assert_array_equal(again[clip].frames, mine.frames)
        theirs = again[clip]
        assert (theirs.rate, theirs.start_seconds, theirs.end_seconds) == (
            "10",
            mine.start_seconds,
            mine.end_seconds,
        )


def test_ids_that_differ_in_dots_alone_are_two_samples(tmp_path: Path) -> None:
    ids = ("a.b", "a_b", "a b")
    exchanges = [Exchange(id_, f"{id_}?", "Yes.", "captioning", "x", "t") for id_ in ids]
    frames = {id_: Embedding(id_, "e", np.full((1, 2), n, np.float16), 1.0) for n, id_ in enumerate(ids)}
    (tar,) = export.webdataset(exchanges, tmp_path, frames)
    data = infer.read_data([str(tar)])
    assert [one.example_id for one in data.clips] == ["a_b", "a_b-2", "a_b-3"]
    assert [(one.clip_id, one.questions[0].text) for one in data.clips] == [(id_, f"{id_}?") for id_ in ids]
    assert [int(one.read()[0, 0]) for one in data.clips] == [0, 1, 2]


def test_an_open_corpus_is_taught_from_its_truth(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    (folder / "audio").mkdir(parents=True)
    tracks = [Track(f"c{n}", "x.ogg", dataset="corpus", split="train", licence="CC0-1.0") for n in range(2)]
    for track in tracks:
        truth = Annotation(
            track.id, 0.0, 12.0, tempo=Tempo(90.0, 1.0, "truth"), key=Key("C major", 1.0, "truth")
        )
        page = {"track": to_dict(track), "truth": to_dict(truth)}
        (folder / "audio" / f"{track.id}.json").write_text(json.dumps(page))
    # a corpus is a stage folder with its recordings in it
    write(tmp_path / "stage", "corpus", tracks)
    for path in (tmp_path / "stage").iterdir():
        path.rename(folder / path.name)
    llark("instruct", folder, "--out", tmp_path / "out", "--most", "4")
    exchanges = list(stages.read(tmp_path / "out" / "exchanges", Exchange))
    assert {one.measured_by for one in exchanges if one.kind == "key"} <= {("truth",)}
    assert {one.licence for one in exchanges} == {"CC0-1.0"}
    assert len(exchanges) == 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--teacher", "openai"], "needs the name of a model"),
        (
            ["--teacher", "openai", "--model", "m", "--budget", "3", "--base-url", "http://localhost:1/v1"],
            "--price-in",
        ),
        (["--teacher", "openai", "--model", "m", "--base-url", "localhost"], "is no address"),
        (["--teacher", "openai", "--model", "m"], "OPENAI_API_KEY"),
        (["--export", "webdataset"], "--embeddings"),
        (["--published"], "--published is a layout of --export webdataset"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_sent(
    annotations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserMustAct, match=said):
        llark("instruct", annotations, "--out", tmp_path / "out", *options)


def test_a_folder_without_facts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match=r"has no about\.json"):
        llark("instruct", tmp_path, "--out", tmp_path / "out")
    write(tmp_path / "model", "embed", [])
    with pytest.raises(UserMustAct, match="stage embed"):
        llark("instruct", tmp_path / "model", "--out", tmp_path / "out")


def test_other_settings_are_refused_in_the_same_folder(annotations: Path, tmp_path: Path) -> None:
    llark("instruct", annotations, "--out", tmp_path / "out", "--most", "2")
    with pytest.raises(UserMustAct, match="most"):
        llark("instruct", annotations, "--out", tmp_path / "out", "--most", "3")


def test_names_from_a_data_set_cannot_break_the_report_or_the_card(tmp_path: Path) -> None:
    track = Track("t", "a.ogg", dataset="<script>alert(1)</script>|x", licence="[a](http://evil)")
    clip = Clip("<img src=x>", "t", "a.ogg", 0.0, 20.0, "all", track.dataset)
    truth = Annotation(clip.id, 0.0, 20.0, tempo=Tempo(90.0, 1.0, "set"), key=Key("C major", 1.0, "set"))
    for name, record in (("tracks", track), ("clips", clip), ("truths", truth)):
        write(tmp_path / "p" / name, "prepare", [record])
    llark("instruct", tmp_path / "p", "--out", tmp_path / "out")
    report, card = (tmp_path / "out" / "report.html").read_text(), (tmp_path / "out" / "card.md").read_text()
    assert "<script" not in report
    assert "<img" not in report
    assert "default-src 'none'" in report
    assert "](http" not in card.replace("\\]", "")
    assert "\\|x" in card
