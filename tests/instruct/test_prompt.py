"""Prompts describe themselves: the fields that a record has, and no others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from llark.instruct import FACTS, Source, join, with_truth
from llark.instruct.prompt import LONGEST_VALUE, build, fields_of, glossary, names_of, schema, texts, version
from llark.instruct.reply import parse
from llark.llm.ledger import key_of
from llark.questions import FAMILIES
from llark.records import (
    Annotation,
    Clip,
    IsolatedChord,
    Key,
    LocalKeys,
    Loudness,
    Melody,
    Note,
    Notes,
    Sections,
    Span,
    Tempo,
    Track,
)


def everything(waltz: Annotation) -> Annotation:
    return replace(
        waltz,
        tempo=replace(waltz.tempo, alternative_bpm=45.0),
        mood=waltz.genre,
        notes=Notes(
            (
                Note(51.0, 52.0, 60, "Violin"),
                Note(52.0, 53.0, 76, "Violin"),
                Note(52, 53, 36, "Kit", is_drum=True),
            )
        ),
        loudness=Loudness(dynamics=(Span(50.0, 62.0, "quiet"), Span(62.0, 75.0, "loud"))),
        local_keys=LocalKeys((Span(50.0, 60.0, "F# minor"), Span(60.0, 75.0, "A major"))),
        sections=Sections((Span(50.0, 60.0, "A"), Span(60.0, 75.0, "B"))),
        melody=Melody("arch", 60, 76),
        isolated_chord=IsolatedChord("C:maj7"),
    )


def test_every_fact_of_an_annotation_has_its_field_and_its_sentence(waltz: Annotation) -> None:
    fields = {field.name: field.value for field in fields_of(Source(everything(waltz)))}
    assert set(fields) == {"length", *FACTS}
    assert fields["tempo"] == "90 BPM (or 45 BPM)"
    assert fields["chords"] == "0 s F# minor, 5 s B minor, 10 s C#7, 15 s F# minor"
    assert fields["loudness"] == "0 s quiet, 12 s loud"
    assert fields["local_keys"] == "0 s F# minor, 10 s A major"
    assert fields["notes"] == "Violin: 2 notes from C4 to E5"
    assert fields["melody"] == "arch, from C4 to E5"
    assert fields["isolated_chord"] == "Cmaj7"
    assert fields["beats"].startswith("37 beats; bars begin at 0.2, 2.2")
    assert set(glossary()["facts"]) == {"length", *FACTS}


def test_a_prompt_shows_the_fields_that_are_known_and_no_others(waltz: Annotation) -> None:
    prompt = build(Source(replace(waltz, key=Key())), "understanding")
    assert prompt is not None
    record = prompt.messages[-1]["content"]
    assert "- tempo: Beats per minute" in record
    assert "key" not in json.loads(record.splitlines()[-1])
    assert "- key:" not in record


def test_a_publishers_columns_are_shown_with_a_sentence_each_but_for_what_cannot_be_heard(
    waltz: Annotation,
) -> None:
    metadata = {
        "track.genre_top": "Folk", "my column": "sunny", "url": "https://x", "track.listens": 12,
        "album.date_released": "2001", "audio.sample_rate": 44100, "mood/theme": ("calm", "dark"),
        "artist_id": "9", "license": "x", "composer": "Anna Quill", "flag": True, "id": "7",
    }  # fmt: skip
    source = Source(waltz, Track("t", "x", title="Song", captions=("A waltz.", "Old."), metadata=metadata))
    shown = {field.name: (field.value, field.meaning) for field in fields_of(source)}
    assert {name for name in shown if "." in name} == {
        "metadata.track.genre_top", "metadata.my column", "metadata.mood/theme", "metadata.flag",
        "metadata.composer",
    }  # fmt: skip
    assert shown["metadata.my column"] == ("sunny", glossary()["other"])
    assert shown["metadata.mood/theme"][0] == "calm, dark"
    assert shown["metadata.flag"][0] == "yes"
    assert shown["captions"][0] == "A waltz. / Old."
    assert names_of(source) == ("Song", "Anna Quill")


def test_a_clip_of_which_nothing_is_known_has_no_prompt(silent: Annotation) -> None:
    assert build(Source(silent), "captioning") is None
    captioned = Source(silent, Track("t", "x", captions=("A waltz.",)))
    assert build(captioned, "captioning") is not None


def test_what_publishers_write_is_one_line_of_limited_length(waltz: Annotation) -> None:
    source = Source(
        waltz, Track("t", "x", title="a\r\n\x1b[31m\u202eb " * 400, metadata={"n\nn" * 40: "x\ny"})
    )
    for field in fields_of(source):
        assert len(field.value) <= LONGEST_VALUE + 2
        assert len(field.name) <= 60
        assert field.value.isprintable()
        assert field.name.isprintable()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_system_turn_is_the_same_for_every_record_of_a_family(waltz: Annotation, family: str) -> None:
    one = build(Source(waltz), family)
    other = build(Source(Annotation("b", 0, 9, tempo=Tempo(100.0))), family, seed=4)
    assert one is not None
    assert other is not None
    assert one.messages[:-1] == other.messages[:-1]
    assert one.messages[-1] != other.messages[-1]
    assert [turn["role"] for turn in one.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert len(build(Source(waltz), family, few_shot=False).messages) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("family", FAMILIES)
def test_few_shot_replies_are_what_is_asked_for(waltz: Annotation, family: str) -> None:
    prompt = build(Source(waltz), family)
    assert prompt is not None
    known = schema(family)["schema"]["properties"]["exchanges"]["items"]["properties"]
    for turn in prompt.messages:
        if turn["role"] == "assistant":
            assert len(parse(turn["content"])) == len(json.loads(turn["content"])["exchanges"])
            for item in json.loads(turn["content"])["exchanges"]:
                assert set(item) == set(known)
                assert item["kind"] in known["kind"]["enum"]


def test_reasoning_asks_for_other_kinds_of_other_clips_and_names_all_nine(waltz: Annotation) -> None:
    wanted = set()
    for number in range(40):
        prompt = build(Source(replace(waltz, clip_id=f"c{number}")), "reasoning")
        assert prompt is not None
        assert len(prompt.kinds) == 4
        wanted |= set(prompt.kinds)
    kinds = {
        "learn",
        "produce",
        "change",
        "compare",
        "order",
        "culture",
        "scenario",
        "professor",
        "generator",
    }
    assert wanted == set(texts()["families"]["reasoning"]["kinds"]) == kinds


def test_a_key_is_of_the_words_and_settings_and_nothing_else(waltz: Annotation) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}], "temperature": 0.7}
    assert key_of(body) == key_of(dict(reversed(body.items())))
    assert key_of(body) != key_of({**body, "temperature": 0.8})
    assert version("captioning") == "captioning-1"


def test_labels_count_more_than_measurements_where_they_know(waltz: Annotation) -> None:
    measured = replace(waltz, key=Key("A major", 0.4, "net"), tempo=Tempo(88.0, 0.9, "net"))
    truth = Annotation("w", 50.0, 75.0, key=Key("F# minor", 1.0, "truth"))
    found = with_truth(measured, truth)
    assert (found.key.name, found.tempo.bpm, found.clip_id) == ("F# minor", 88.0, "waltz-2")


def test_annotations_clips_labels_and_tracks_are_joined_by_clip(waltz: Annotation) -> None:
    clips = {name: Clip(name, "t", "x.ogg", 0.0, 25.0, "test", "set") for name in ("waltz-2", "b")}
    track = Track("t", "x.ogg", dataset="set", licence="CC0")
    truth = Annotation("b", 0.0, 25.0, key=Key("C major", 1.0, "set"))
    measured = [waltz, Annotation("b", 0.0, 25.0, tempo=Tempo(99.0, 0.5, "net"))]
    one, other = join(measured, clips, {"b": truth}, {"t": track})
    assert (one.id, one.licence, one.split, one.dataset) == ("waltz-2", "CC0", "test", "set")
    assert (other.annotation.key.name, other.annotation.tempo.bpm) == ("C major", 99.0)
    assert [other.measured_by(fact) for fact in ("key", "tempo", "captions", "start_seconds")] == [
        "set",
        "net",
        "set",
        "file",
    ]
    assert [source.id for source in join(None, clips, {"b": truth}, {"t": track})] == ["waltz-2", "b"]
    (alone,) = join([waltz], {}, {}, {})
    assert (alone.licence, alone.dataset, alone.track) == ("unknown", "unknown", None)
