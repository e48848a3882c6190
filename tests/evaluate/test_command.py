"""`llark evaluate` as somebody who types it, with a made-up model in place of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llark import audio, cli
from llark.evaluate import judge, report, score
from llark.evaluate.answers import StoredAnswer
from llark.evaluate.cases import Case, TaskPrompt, TestSet
from llark.evaluate.sounds import Song
from llark.options import EvaluateOptions, ModelOptions
from llark.pipeline import ask, testsets
from llark.pipeline import evaluate as walk
from llark.pipeline.listen import Listened
from llark.records import Clip, Embedding, Track
from llark.storage import stages
from tests.evaluate.evaluate_fakes import annotation, make_items, tell
from tests.evaluate.test_endpoint import Server, server  # noqa: F401


class Hears:
    """Knows a clip by its frames; shown facts, it says them."""

    about: Mapping[str, str] = {"model": "made up"}

    def __init__(self, choice: ModelOptions, embeddings: Mapping[str, Embedding]) -> None:
        self._embeddings = embeddings

    def __call__(self, puts: Sequence[TaskPrompt], /) -> list[str]:
        return [self._say(put) for put in puts]

    def _say(self, put: TaskPrompt) -> str:
        if put.clip_id is None:
            return "I cannot tell."
        number = int(self._embeddings[put.clip_id].frames[0, 0])
        if "(A)" in put.question:
            return "(B)"
        return tell(put.facts or annotation(f"clip-{number}"), put.question)


def prepared(folder: Path, clips: int = 12, captions: tuple[str, ...] = ()) -> Path:
    """A folder as `llark prepare` fills it, with facts and frames beside."""
    song = folder.parent / "song.wav"
    audio.save(song, np.sin(np.arange(16000) / 30).astype(np.float32), 8000)
    items = make_items(clips, 1)

    def write(name: str, rows: list[tuple[str, object]]) -> None:
        with stages.open_stage(folder / name, name) as writer:
            for id_, row in rows:
                writer.write(id_, [row])
            writer.finish()

    tracks = [Track(item.track_id, str(song), split="test", captions=captions) for item in items]
    write("tracks", [(track.id, track) for track in tracks])
    # Each clip begins a little later, so that no two of them are the same request to an endpoint.
    stretches = [Clip(i.clip_id, i.track_id, str(song), n / 100, 2.0, "test") for n, i in enumerate(items)]
    write("clips", [(clip.id, clip) for clip in stretches])
    write("truths", [(i.clip_id, i.truth) for i in items])
    write("annotations", [(i.clip_id, i.facts) for i in items])
    frames = [Embedding(i.clip_id, "fake", np.full((2, 1), n, np.float32), 2.0) for n, i in enumerate(items)]
    write("embeddings", [(one.clip_id, one) for one in frames])
    return folder


def typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """(exit status, standard output, standard error)."""
    monkeypatch.setattr(walk, "LocalModel", Hears)
    monkeypatch.setattr("sys.argv", ["llark", *map(str, words)])
    status = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_prepared_folder_is_evaluated_into_a_page_scores_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = prepared(tmp_path / "data"), tmp_path / "out"
    status, table, _ = typed(
        capsys, monkeypatch, "evaluate", data, "--out", out, "--tasks", "key,tempo", "--samples"
    )
    assert status == 0
    assert "| key | MIREX | +" in table
    assert sorted(p.name for p in out.iterdir()) == [
        "answers.jsonl",
        "lmms-eval",
        "report.html",
        "report.md",
        "said",
        "scores.json",
    ]
    scores = json.loads((out / "scores.json").read_text())
    assert scores["versions"] == {"key": 1, "tempo": 2}
    assert scores["about"]["clips"] == 12
    assert "<audio" in (out / "report.html").read_text()
    assert len(list((out / "lmms-eval" / "mini").iterdir())) == 2


def test_the_model_may_stand_first_and_the_data_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path / "data")
    (tmp_path / "config.json").write_text("{}")
    words = (
        "evaluate",
        tmp_path,
        "--data",
        data,
        "--out",
        tmp_path / "out",
        "--tasks",
        "key",
        "--conditions",
        "audio",
    )
    status, table, _ = typed(capsys, monkeypatch, *words)
    assert status == 0
    assert "**1.00**" in table
    assert report.read(tmp_path / "out").margins == ()


def test_two_runs_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path / "data")
    for name in ("one", "two"):
        typed(capsys, monkeypatch, "evaluate", data, "--out", tmp_path / name, "--tasks", "key")
    status, table, _ = typed(capsys, monkeypatch, "compare", tmp_path / "one", tmp_path / "two")
    assert status == 0
    assert "| key | 1.000 | 1.000 | +0.000 | [+0.000, +0.000] | 1.0000 | 12 | 12 |" in table


def test_questions_without_sound_are_scored_without_audio_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"audio": f"clip-{i}.wav", "question": f"{i}?", "choices": ["a1", "b1"], "answer": "B"}
        for i in range(4)
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    words = ("evaluate", "--questions", f"muchomusic={path}", "--out", tmp_path / "out")
    status, table, _ = typed(capsys, monkeypatch, *words)
    assert status == 0
    assert (
        table.splitlines()[0] == "| task | metric | lead over best control | no audio | majority | constant "
        "| longest option | likeliest option | n |"
    )
    assert "no sound at hand" in (tmp_path / "out" / "report.md").read_text()


def rul_rows(folder: Path, clips: int = 9) -> Path:
    """Three questions on each recording."""
    rows = {
        f"{clip}-{number}": {
            "id": f"{clip}-{number}",
            "audio": f"clip-{clip}.wav",
            "question": f"{clip}, {number}?",
            "correct_answer": "yes",
            "distractors": ["no", "maybe"],
        }
        for clip in range(clips)
        for number in range(3)
    }
    path = folder / "rul.json"
    path.write_text(json.dumps(rows))
    return path


def test_clips_limits_the_recordings_of_a_file_of_questions_to_the_same_ones_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for name in ("one", "two"):
        words = ["evaluate", "--questions", f"rul_muchomusic={rul_rows(tmp_path)}", "--out", tmp_path / name]
        status, _, _ = typed(capsys, monkeypatch, *words, "--clips", "4")
        assert status == 0
        verdicts = [v for v in report.read(tmp_path / name).answers if v.condition == "no audio"]
        asked.append([verdict.case_id for verdict in verdicts])
    assert asked[0] == asked[1] == [f"{clip}-{number}" for clip in (0, 2, 4, 6) for number in range(3)]
    about = json.loads((tmp_path / "two" / "scores.json").read_text())["about"]
    assert about["rul_muchomusic, asked"] == "12 questions on 4 recordings"
    whole = testsets.of_some_clips([Case(str(i), f"c{i // 2}", "t", "?", 0) for i in range(600)], None)
    assert len(whole) == 600


def test_with_sounds_only_recordings_that_are_at_hand_are_chosen_from(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    for clip in (1, 3, 5, 7):
        audio.save(tmp_path / "sounds" / f"clip-{clip}.wav", np.zeros(16000, np.float32), 8000)
    wanted = EvaluateOptions(
        questions=(f"rul_muchomusic={rul_rows(tmp_path)}",), audio=tmp_path / "sounds", clips=2
    )
    material = testsets.gather(None, tmp_path / "out", wanted, embed=False)
    assert sorted(material.clips) == ["clip-1", "clip-5"]
    assert len(material.test_set.questions["rul_muchomusic"]) == 6


def test_an_endpoint_is_asked_only_after_its_cost_was_shown_and_said_yes_to(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    server: Server,  # noqa: F811
) -> None:
    data = prepared(tmp_path / "data")
    words = [
        "evaluate",
        data,
        "--out",
        tmp_path / "out",
        "--tasks",
        "key",
        "--conditions",
        "audio",
        "no-audio",
    ]
    words += ["--endpoint", server.url, "--endpoint-model", "somebody", "--dollars-per-minute", "0.06"]
    status, _, said = typed(capsys, monkeypatch, *words)
    assert status == 2
    assert "13 requests, 0.4 minutes of audio" in said
    assert "about $0.02" in said
    assert "Say --yes" in said
    assert server.bodies == []
    server.tokens = lambda body: 28
    status, table, said = typed(capsys, monkeypatch, *words, "--yes")
    assert status == 0
    assert len(server.bodies) == 2 + 13
    assert "warning: THE SERVER DROPS THE SOUND" in said
    assert "sound: THE SERVER DROPS THE SOUND" in (tmp_path / "out" / "report.md").read_text()
    assert "| key | MIREX |" in table
    typed(capsys, monkeypatch, *words, "--yes")
    assert len(server.bodies) == 2 + 13


def test_a_judge_is_asked_in_both_orders_once_and_its_replies_are_kept(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    server: Server,  # noqa: F811
) -> None:
    data = prepared(tmp_path / "data")
    typed(capsys, monkeypatch, "evaluate", data, "--out", tmp_path / "one", "--tasks", "key")
    words = ["judge", tmp_path / "one", "--task", "key", "--url", server.url, "--model", "judge"]
    status, _, said = typed(capsys, monkeypatch, *words)
    assert (status, server.bodies) == (2, [])
    asked = int(re.search(r"about (\d+) requests", said)[1])  # type: ignore[index]
    assert asked == 2 * len({annotation(f"clip-{i}").key.name for i in range(12)})
    assert "price unknown" in said
    server.reply = lambda body: "A"
    server.codes = [200] * 5 + [400]
    status, _, said = typed(capsys, monkeypatch, *words, "--yes")
    assert (status, "gives no reply (status-400)" in said) == (2, True)
    status, said, told = typed(capsys, monkeypatch, *words, "--yes", "--dollars-per-million", "2")
    assert status == 0
    assert "are answered already; about $0.00" in told
    assert "one against people: win rate 0.500 [0.500, 0.500]: 0 won, 0 lost, 12 tied of 12" in said
    sent = len(server.bodies)
    assert typed(capsys, monkeypatch, *words, "--yes")[1] == said
    assert len(server.bodies) == sent
    found = [json.loads(line) for line in (tmp_path / "one" / "judged.jsonl").read_text().splitlines()]
    assert [(line["how"], line["judge"], line["found"]) for line in found] == [
        ("prefer", "judge", said.strip())
    ]


def test_the_replies_that_a_judge_gave_to_the_release_before_are_not_bought_again(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    server: Server,  # noqa: F811
) -> None:
    words = ["judge", genre_report(tmp_path / "one"), "--task", "gtzan_genre", "--url", server.url]
    words += ["--model", "judge", "--how", "match", "--yes"]
    verdicts = {v.case_id: v for v in report.read(tmp_path / "one").answers if v.condition == "audio"}
    known = {id_: str(v.truth) for id_, v in verdicts.items()}
    asked = judge.match_prompts({id_: v.answer for id_, v in verdicts.items()}, known)
    prompts = [prompt for prompt, _ in asked.values()]
    # Two finished judgements by this judge and one by another; one more of this judge that was stopped.
    for name, model, some, finished in [
        ("match-gtzan_genre-0", "judge", prompts[:2], True),
        ("match-gtzan_genre-1", "other", prompts, True),
        ("match-gtzan_genre-2", "judge", prompts[2:3], False),
    ]:
        about = {"url": server.url, "model": model, "most_tokens": "512"}
        with stages.open_stage(tmp_path / "one" / "judged" / name, "judge", about) as writer:
            for number, prompt in enumerate(some):
                writer.write(str(number), [StoredAnswer(str(number), prompt, "A")])
            if finished:
                writer.finish()
    server.reply = lambda body: "A"
    status, _, said = typed(capsys, monkeypatch, *words)
    assert (status, "about 1 requests" in said, "3 are answered already" in said) == (0, True, True)
    assert [body["messages"][0]["content"] for body in server.bodies] == [prompts[3]]


def test_a_judge_counts_the_details_of_answers_and_of_those_to_other_sound(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    server: Server,  # noqa: F811
) -> None:
    data = prepared(tmp_path / "data")
    typed(capsys, monkeypatch, "evaluate", data, "--out", tmp_path / "one", "--tasks", "key")

    def lists(body: dict[str, Any]) -> str:
        said, known = re.findall(r"(?:music|music): (.*)", body["messages"][0]["content"])
        key = re.search(r"[A-G][#b]? m\w+", said)[0]  # type: ignore[index]
        return f"key of {key} | {'supported' if key == known else 'contradicted'}\nit is nice | unknown"

    server.reply = lists
    words = ["judge", tmp_path / "one", "--task", "key", "--how", "details"]
    words += ["--url", server.url, "--model", "judge", "--yes"]
    status, said, _ = typed(capsys, monkeypatch, *words)
    assert status == 0
    heard, other = said.strip().splitlines()
    assert heard.startswith(
        "audio: 2.00 [2.00, 2.00] details an answer, of which 1.00 [1.00, 1.00] supported"
    )
    assert "n = 12, 12 tracks, 0 not judged" in heard
    assert re.match(r"shuffled: 2\.00 \[2\.00, 2\.00\] details an answer, of which 0\.[0-3]", other)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--predictions", "x.json"), "name it with --tasks"),
        (("--questions", "muchomusic"), "takes TASK=FILE"),
        (("--questions", "key=x.json"), "takes no file of questions"),
        (("--endpoint", "http://127.0.0.1:1/v1", "--model", "m"), "name one of them"),
        (("EMPTY",), "neither corpus nor tracks"),
        (("DATA", "--tasks", "mood"), "There is no task 'mood'"),
        (("--clips", "0"), 'Invalid value "0" for --clips. Must be >= 1.'),
        (
            ("--endpoint", "http://127.0.0.1:1/v1", "--conditions", "likeliest-option"),
            "leave out likeliest option",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    says: str,
) -> None:
    (tmp_path / "empty").mkdir()
    data = prepared(tmp_path / "data", 2) if "DATA" in words else tmp_path
    named = {"EMPTY": tmp_path / "empty", "DATA": data}
    status, _, said = typed(
        capsys, monkeypatch, "evaluate", *(named.get(word, word) for word in words), "--out", tmp_path / "out"
    )
    assert status == 2
    assert says in said
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_the_real_songs_are_heard_whole_and_count_once_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llark.evaluate import sounds

    song = tmp_path / "song.wav"
    audio.save(song, np.sin(np.arange(16000) / 30).astype(np.float32), 8000)
    names = [song.id for song in _songs()]
    facts = annotation("clip-3")
    monkeypatch.setattr(sounds, "write_mixes", lambda folder: [Track(name, str(song)) for name in names])
    monkeypatch.setattr(sounds, "songs", _songs)
    listened = Listened(facts, np.full((4, 1), 3, np.float32))
    monkeypatch.setattr(ask.MusicLM, "listen_to", lambda model, path: listened)
    status, table, _ = typed(capsys, monkeypatch, "evaluate", "--real", "--out", tmp_path / "out")
    assert status == 0
    rows = {(row.metric, row.condition): row for row in report.read(tmp_path / "out").rows}
    assert (rows["acc1", "audio"].n, rows["acc1", "audio"].tracks) == (2, 2)
    assert rows["agreement", "facts"].value == 1.0
    assert "| tempo | Acc2 |" in table


def _songs() -> tuple[Song, ...]:
    bpm = annotation("clip-3").tempo.bpm or 0.0
    return tuple(Song(name, name, "x", "MIT", tempo, ()) for name, tempo in (("a", bpm), ("b", bpm * 1.3)))


def genre_report(folder: Path) -> Path:
    """A report on four GTZAN excerpts, answered in other words than the labels."""
    said = {
        "jazz": "bebop, I think",
        "rock": "loud guitars",
        "metal": "very loud guitars",
        "pop": "a catchy song",
    }
    cases = tuple(Case(name, name, name, "Genre?", name) for name in said)
    test_set = TestSet((), {"gtzan_genre": cases})
    result = score.evaluate(test_set, lambda task, condition, puts: {put.id: said[put.id] for put in puts})
    report.write(folder, result)
    return folder


def test_a_judge_matches_answers_to_music_and_an_embedder_to_labels(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    server: Server,  # noqa: F811
) -> None:
    words = ["judge", genre_report(tmp_path / "one"), "--task", "gtzan_genre", "--url", server.url, "--yes"]

    def knows(body: dict[str, Any]) -> str:
        prompt = body["messages"][0]["content"]
        right = {"bebop": "jazz", "very": "metal", "loud": "rock", "a": "pop"}[
            prompt.split("music: ")[1].split()[0].strip(",")
        ]
        return next(line[1] for line in prompt.splitlines() if line.endswith(f") {right}"))

    server.reply = knows
    status, said, _ = typed(capsys, monkeypatch, *words, "--model", "judge", "--how", "match")
    assert (status, said.strip()) == (0, "matched 1.000 [1.000, 1.000] of 4; chance 0.25")
    server.reply = lambda body: "unused"
    status, said, _ = typed(capsys, monkeypatch, *words, "--model", "embedder", "--how", "embed")
    assert status == 0
    assert "gtzan_genre, embedding match by embedder, n = 4: acc@1 " in said
    assert {tuple(body) for body in server.bodies} == {
        ("model", "messages", "max_tokens", "temperature"),
        ("model", "input"),
    }
    words[words.index("gtzan_genre")] = "key"
    status, _, said = typed(capsys, monkeypatch, *words, "--model", "x", "--how", "embed")
    assert (status, "not for key" in said) == (2, True)
