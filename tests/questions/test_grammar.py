from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from llark.instruct.offline import CORE_KINDS, KINDS
from llark.questions.grammar import (
    AnyOf,
    Chain,
    FirstKnown,
    GrammarError,
    Node,
    Phrases,
    compile_line,
    compile_rules,
    phrases,
    say,
    tidy,
)
from llark.questions.kinds import BY_SLUG

RULES = compile_rules({"clip": "[clip|song]", "this": "[this|the] <clip>"})


def every(node: Node) -> Iterator[str]:
    """Every sentence of the tree, with its values left as `{name}`; not tidied, may repeat."""
    if isinstance(node, Chain):
        for parts in itertools.product(*(tuple(every(part)) for part in node.parts)):
            yield "".join(parts)
    elif isinstance(node, AnyOf | FirstKnown):
        for option in node.options:
            yield from every(option)
    else:
        yield node if isinstance(node, str) else f"{{{node.name}}}"


def every_question(some: Phrases) -> set[str]:
    return {question for node in (*some.plain, *some.whole, *some.framed) for question in every(node)}


def sentence(line: str, **values: str) -> str | None:
    said = say(compile_line(line, RULES), values, Random(1))
    return None if said is None else said.text


def test_choices_nest_and_rules_are_replaced() -> None:
    found = set(every(compile_line("[a|b[c|]] <this>", RULES)))
    assert found == {
        f"{x} {y} {z}" for x in ("a", "bc", "b") for y in ("this", "the") for z in ("clip", "song")
    }


def test_a_known_group_says_the_first_of_its_options_that_can_be_said() -> None:
    line = "A piece( in {key}( and {meter}) // in {meter})."
    assert sentence(line, key="C major", meter="3/4") == "A piece in C major and 3/4."
    assert sentence(line, key="C major") == "A piece in C major."
    assert sentence(line, meter="3/4") == "A piece in 3/4."
    assert sentence(line) == "A piece."


def test_a_choice_passes_over_what_is_not_known_and_a_line_without_its_value_says_nothing() -> None:
    assert {sentence("[{a}|{b}]", b="x")} == {"X"}
    assert sentence("The {a}.", b="x") is None


def test_the_values_in_a_sentence_are_named_and_no_others() -> None:
    said = say(compile_line("( {a} and {b} // {a} alone // none)", RULES), {"a": "x"}, Random(0))
    assert said is not None
    assert (said.text, said.used) == ("X alone", frozenset({"a"}))
    said = say(compile_line("( {a} and {b} // {c})", RULES), {"a": "x", "c": "y"}, Random(0))
    assert said is not None
    assert (said.text, said.used) == ("Y", frozenset({"c"}))


def test_sentences_are_tidied() -> None:
    assert (
        tidy("a~ organ ,  a~ piano . it is in a~ F# minor key .")
        == "An organ, a piano. It is in an F# minor key."
    )
    assert tidy("a~ Eb, a~ Bb, a~ A major, a~ C major, a~ Folk song") == (
        "An Eb, a Bb, an A major, a C major, a Folk song"
    )


@pytest.mark.parametrize("line", ["[a|b", "a]", "(a // b", "<nobody>", "{a", "a <b c>"])
def test_a_line_that_is_no_grammar_is_refused(line: str) -> None:
    with pytest.raises(GrammarError):
        compile_line(line, RULES)


def test_every_kind_has_phrases_and_all_phrases_a_kind() -> None:
    assert set(phrases()) == set(BY_SLUG)
    assert len(KINDS) == len(set(KINDS)) >= 80


def test_there_are_hundreds_of_phrasings_for_dozens_of_kinds() -> None:
    counts = Counter({slug: len(every_question(phrases()[slug])) for slug in KINDS})
    assert len(counts) >= 40
    assert min(counts.values()) >= 8, counts.most_common()[-3:]
    assert sum(counts.values()) >= 10_000
    assert all(counts[slug] >= 40 for slug in CORE_KINDS)


def test_there_are_hundreds_of_lines_before_any_choice_is_made() -> None:
    lines = sum(len(some.plain) + len(some.whole) for some in phrases().values())
    assert lines >= 300


def test_the_plain_questions_of_evaluation_are_among_them() -> None:
    asked = {question for some in phrases().values() for question in every_question(some)}
    assert {
        "What is the tempo of this clip?",
        "What key is this in?",
        "What is the time signature?",
        "What instruments do you hear?",
        "Describe this recording.",
    } <= asked
