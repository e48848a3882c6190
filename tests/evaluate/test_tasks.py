"""The metrics, against mir_eval and against counts done by hand."""

from __future__ import annotations

import itertools
import random
from dataclasses import FrozenInstanceError

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llark.evaluate.options import OptionList
from llark.evaluate.task import PUBLISHED
from llark.evaluate.tasks import QUESTION_TASKS, TASKS
from llark.evaluate.tasks.instruments import resolve
from llark.records import (
    INSTRUMENTS,
    KEYS,
    Annotation,
    Beats,
    Chords,
    ChordSpan,
    Key,
    Meter,
    Note,
    Notes,
    Tag,
    Tags,
    Tempo,
)

TRUTHS: dict[str, tuple[object, object]] = {
    "tempo": (120.0, 120.0),
    "key": ("C major", "C major"),
    "meter": (4, 4),
    "instruments": (frozenset({"piano"}), frozenset({"piano"})),
    "genre": (("rock",), "rock"),
    "gtzan_genre": ("rock", "rock"),
    "medleydb_genre": ("rock", "rock"),
    "nsynth_instrument": ("reed", "reed"),
    "nsynth_pitch": (60, 60),
    "medley_solos_instrument": ("flute", "flute"),
    "musicnet_instruments": (frozenset({"piano"}), frozenset({"piano"})),
    "medleydb_instruments": (frozenset({"piano"}), frozenset({"piano"})),
    "chords": (frozenset({"C:maj"}), frozenset({"C:maj"})),
    "beats": ((0.5, 1.0), (0.5, 1.0)),
    "downbeats": ((0.5, 2.5), (0.5, 2.5)),
    "reasoning": (
        frozenset({"tempo: 120 BPM", "key: C major"}),
        frozenset({"tempo: 120 BPM", "key: C major"}),
    ),
    **dict.fromkeys(QUESTION_TASKS, (OptionList(("a", "b"), 1), 1)),
}
"""By task a truth, and the value that is right for it. Captions have tests of their own."""


def scored(task: str, pairs: list[tuple[object, object]]) -> dict[str, float]:
    return TASKS[task].score(pairs)


def test_the_folder_holds_the_benchmarks_of_the_paper_and_more() -> None:
    assert list(TASKS) == [
        "beats",
        "captions",
        "chords",
        "downbeats",
        "genre",
        "gtzan_genre",
        "instruments",
        "key",
        "medley_solos_instrument",
        "medleydb_genre",
        "medleydb_instruments",
        "meter",
        "mmar_music",
        "mmau_music",
        "muchomusic",
        "musicnet_instruments",
        "nsynth_instrument",
        "nsynth_pitch",
        "reasoning",
        "rul_muchomusic",
        "tempo",
    ]
    assert list(QUESTION_TASKS) == ["mmar_music", "mmau_music", "muchomusic", "rul_muchomusic"]


@pytest.mark.parametrize("name", TRUTHS)
def test_every_benchmark_says_what_it_is_and_scores_its_headline(name: str) -> None:
    task = TASKS[name]
    assert task.headline in task.score([(None, a_truth(name))])
    assert task.version >= 1
    assert task.about
    assert task.question or name in QUESTION_TASKS


def test_a_benchmark_is_a_value_that_nobody_changes() -> None:
    with pytest.raises(FrozenInstanceError):
        TASKS["key"].question = "?"  # type: ignore[misc]


def a_truth(task: str) -> object:
    return TRUTHS[task][0]


@pytest.mark.parametrize("name", TRUTHS)
def test_an_unknown_fact_is_not_scored(name: str) -> None:
    assert TASKS[name].truth(Annotation("c", 0.0, 25.0)) is None
    assert TASKS[name].score([]) == {}


@pytest.mark.parametrize("name", TRUTHS)
def test_no_answer_lowers_coverage_and_scores_nothing(name: str) -> None:
    rows = scored(name, [(None, a_truth(name))])
    assert set(rows.values()) == {0.0}
    right = scored(name, [(TRUTHS[name][1], a_truth(name))])
    assert set(right.values()) == {1.0}


def test_key_scores_are_those_of_mir_eval() -> None:
    pairs = list(itertools.product(KEYS, KEYS))
    theirs = np.mean([mir_eval.key.weighted_score(truth, answer) for answer, truth in pairs])
    assert abs(scored("key", pairs)["mirex"] - theirs) < 1e-9
    assert scored("key", pairs)["exact"] == 1 / 24


def test_acc1_is_a_hit_of_mir_eval_at_four_percent() -> None:
    chance = random.Random(0)
    pairs = [(chance.uniform(20, 400), chance.uniform(40, 240)) for _ in range(500)]
    pairs += [(truth * factor, truth) for _, truth in pairs for factor in (0.961, 1.039, 0.959, 1.041)]
    theirs = [
        mir_eval.tempo.detection(np.array([truth, 0.0]), 1.0, np.array([answer, answer]), tol=0.04)[0]
        for answer, truth in pairs
    ]
    assert abs(scored("tempo", pairs)["acc1"] - np.mean(theirs)) < 1e-9


def test_acc2_allows_double_triple_half_and_third_and_nothing_else() -> None:
    pairs = [(120.0 * factor, 120.0) for factor in (1, 2, 3, 1 / 2, 1 / 3, 4, 2 / 3, 1.5, 1 / 4)]
    assert [TASKS["tempo"].points(*pair)[3] for pair in pairs] == [True] * 5 + [False] * 4
    assert scored("tempo", pairs)["acc1"] == pytest.approx(1 / 9, abs=1e-12)


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(INSTRUMENTS), max_size=6),
            st.sets(st.sampled_from(INSTRUMENTS), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_instrument_scores_are_precision_and_recall_of_mir_eval(
    pairs: list[tuple[set[str], set[str]]],
) -> None:
    def f_measure(answers: list[set[str]], truths: list[set[str]]) -> float:
        right = sum(len(a & t) for a, t in zip(answers, truths, strict=True))
        named, there = sum(map(len, answers)), sum(map(len, truths))
        return float(
            mir_eval.util.f_measure(right / named if named else 0.0, right / there if there else 0.0)
        )

    rows = scored("instruments", pairs)
    answers, truths = [a for a, _ in pairs], [t for _, t in pairs]
    assert abs(rows["f1"] - f_measure(answers, truths)) < 1e-9
    assert abs(rows["clip_f1"] - np.mean([f_measure([a], [t]) for a, t in pairs])) < 1e-9
    occurring = set().union(*answers, *truths)
    each = [f_measure([a & {word} for a in answers], [t & {word} for t in truths]) for word in occurring]
    assert abs(rows["macro_f1"] - np.mean(each)) < 1e-9


def test_a_family_word_is_one_member_that_the_music_has() -> None:
    assert resolve({"guitar"}, {"electric guitar", "drums"}) == {"electric guitar"}
    assert resolve({"guitar", "electric guitar"}, {"electric guitar"}) == {"electric guitar"}
    assert resolve({"guitar"}, {"piano"}) == {"acoustic guitar"}
    assert TASKS["instruments"].credit({"guitar"}, {"piano"}) == 0.0


def test_a_genre_is_right_if_it_is_any_of_the_true_ones_and_only_the_first_said_counts() -> None:
    genre = TASKS["genre"]
    assert genre.credit(genre.read("pop, or maybe rock"), ("rock", "pop")) == 1.0
    assert genre.credit(genre.read("jazz, blues, rock, pop, metal"), ("rock", "pop")) == 0.0


def test_truths_come_from_the_annotation() -> None:
    annotation = Annotation(
        "c", 0.0, 25.0, key=Key("Eb major", 1.0), instruments=Tags((Tag("harp", 1.0),), 1.0)
    )
    assert TASKS["key"].truth(annotation) == "Eb major"
    assert TASKS["instruments"].truth(annotation) == {"harp"}


@pytest.mark.parametrize("name", TRUTHS)
def test_the_right_value_has_full_credit_and_is_among_the_constants_where_these_are_listed(name: str) -> None:
    truth, value = TRUTHS[name]
    assert TASKS[name].credit(value, truth) == 1.0
    assert TASKS[name].credit(None, truth) == 0.0
    if name not in ("beats", "downbeats"):
        assert value in TASKS[name].constants([truth])


def published_f1(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> float:
    """The formula of MusicNet's published notebook, with its fault: the misses are those of the last clip."""
    right = sum(len(value & truth) for value, truth in pairs)
    wrong = sum(len(value - truth) for value, truth in pairs)
    missed = len(pairs[-1][1] - pairs[-1][0])
    return 2 * right / (2 * right + wrong + missed)


def test_the_corrected_musicnet_f1_differs_from_the_published_formula_on_two_clips() -> None:
    both, piano = frozenset({"piano", "violin"}), frozenset({"piano"})
    pairs = [(piano, both), (piano, both)]
    assert scored("musicnet_instruments", pairs)["f1"] == pytest.approx(2 / 3)
    assert published_f1(pairs) == pytest.approx(0.8)
    last_is_right = [(piano, both), (both, both)]
    assert scored("musicnet_instruments", last_is_right)["f1"] == pytest.approx(6 / 7)
    assert published_f1(last_is_right) == 1.0


def test_musicnets_truth_is_what_sounds_in_the_clip() -> None:
    played = (Note(0.0, 1.0, 60, "Acoustic Grand Piano"), Note(0.5, 1.0, 67, "Pizzicato Strings"))
    annotation = Annotation("c", 0.0, 25.0, notes=Notes(played, 1.0, "musicnet"))
    assert TASKS["musicnet_instruments"].truth(annotation) == {"piano", "violin"}
    assert (
        TASKS["musicnet_instruments"].truth(Annotation("c", 0.0, 25.0, notes=Notes(played, 1.0, "truth")))
        is None
    )


def test_medleydbs_labels_are_mapped_to_the_words_that_people_say() -> None:
    labels = ("clean electric guitar", "acoustic guitar", "drum set", "male singer")
    annotation = Annotation(
        "c", 0.0, 25.0, instruments=Tags(tuple(Tag(x, 1.0) for x in labels), 1.0, "medleydb")
    )
    assert TASKS["medleydb_instruments"].truth(annotation) == {"guitar", "drums", "voice"}
    assert (
        TASKS["medleydb_instruments"].credit(
            frozenset({"guitar", "drums", "voice"}), {"guitar", "drums", "voice"}
        )
        == 1
    )


def test_a_pitch_an_octave_off_has_the_right_pitch_class_only() -> None:
    assert scored("nsynth_pitch", [(72, 60), (60, 60)])["accuracy"] == 0.5
    assert scored("nsynth_pitch", [(72, 60), (60, 60)])["pitch_class"] == 1.0
    assert TASKS["nsynth_pitch"].truth(Annotation("c", 0.0, 4.0)) is None


def test_beat_scores_are_the_f_measure_of_mir_eval() -> None:
    chance = random.Random(1)
    truth = tuple(round(0.5 * i, 3) for i in range(1, 40))
    said = tuple(round(time + chance.uniform(-0.15, 0.15), 3) for time in truth)
    theirs = mir_eval.beat.f_measure(np.array(truth), np.array(sorted(said)))
    assert abs(scored("beats", [(tuple(sorted(said)), truth)])["f"] - theirs) < 1e-9
    assert 0.2 < theirs < 0.8


def test_beats_are_seconds_from_the_start_of_the_clip() -> None:
    annotation = Annotation("c", 25.0, 50.0, beats=Beats((25.5, 26.0, 26.5), (1, 2, 1), 1.0))
    assert TASKS["beats"].truth(annotation) == (0.5, 1.0, 1.5)
    assert TASKS["downbeats"].truth(annotation) == (0.5, 1.5)


def test_chords_that_hardly_sound_are_no_truth() -> None:
    spans = (
        ChordSpan(0, 10, "C:maj7"),
        ChordSpan(10, 20, "A:min/b3"),
        ChordSpan(20, 20.5, "G:7"),
        ChordSpan(21, 25, "N"),
    )
    annotation = Annotation("c", 0.0, 25.0, chords=Chords(spans, 1.0))
    assert TASKS["chords"].truth(annotation) == {"C:maj", "A:min"}


def test_labels_of_other_lists_are_no_truth_of_the_halls_tasks() -> None:
    gtzan = Annotation("c", 0.0, 25.0, genre=Tags((Tag("hiphop", 1.0),), 1.0, "gtzan"))
    assert TASKS["genre"].truth(gtzan) is None
    assert TASKS["gtzan_genre"].truth(gtzan) == "hiphop"
    note = Annotation("c", 0.0, 4.0, instruments=Tags((Tag("reed", 1.0),), 1.0, "nsynth"))
    assert TASKS["instruments"].truth(note) is None
    assert TASKS["nsynth_instrument"].truth(note) == "reed"


def test_published_numbers_are_shares_each_once_and_say_where_they_are_from() -> None:
    assert PUBLISHED.keys() <= TASKS.keys()
    numbers = [(name, one) for name, listed in PUBLISHED.items() for one in listed]
    assert len({(name, one.metric, one.variant, one.model) for name, one in numbers}) == len(numbers) == 42
    for listed in PUBLISHED.values():
        values = [one.value for one in listed]
        assert values == sorted(values, reverse=True)
    for _, one in numbers:
        assert 0.0 <= one.value <= 1.0
        assert one.mark in ("V", "R")
        assert one.source


def known_well() -> Annotation:
    return Annotation(
        "c",
        0.0,
        25.0,
        tempo=Tempo(61.0, 1.0),
        key=Key("A minor", 1.0),
        meter=Meter(4, 1.0),
        genre=Tags((Tag("jazz", 1.0),), 1.0),
        instruments=Tags((Tag("piano", 1.0), Tag("acoustic guitar", 1.0), Tag("drums", 1.0)), 1.0),
    )


@pytest.mark.parametrize(
    ("answer", "right", "wrong", "missed"),
    [
        ("A jazz trio at 120 BPM in A minor, 4/4, with piano, guitar and an oboe.", 6, 0, 1),
        ("Warm and moving, it tells a story of longing.", 0, 0, 7),
        ("Metal at 97 BPM in C major with a tuba.", 0, 4, 7),
    ],
)
def test_an_open_answer_is_scored_by_the_facts_in_it(
    answer: str, right: int, wrong: int, missed: int
) -> None:
    truth = TASKS["reasoning"].truth(known_well())
    assert truth is not None
    assert len(truth) == 7
    assert list(TASKS["reasoning"].points(TASKS["reasoning"].read(answer), truth))[3:] == [
        right,
        wrong,
        missed,
    ]


def test_a_clip_of_which_little_is_known_is_not_reasoned_about() -> None:
    assert TASKS["reasoning"].truth(Annotation("c", 0.0, 25.0, key=Key("A minor", 1.0))) is None
