"""What questions with options give away by their text: a model that guesses by it has no lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from llark.evaluate import page, report
from llark.evaluate.cases import Case, TaskPrompt, TestSet, prompts_under
from llark.evaluate.options import LETTERS, OptionList, bare, longest, prompt, read_option, shuffled
from llark.evaluate.report import Evaluation
from llark.evaluate.score import evaluate
from llark.generate.answerer import Answerer
from llark.generate.likelihood import likeliest, likelihoods
from llark.options import ModelOptions
from llark.pipeline.evaluate import LocalModel
from tests.tiny import WIDTH, tiny_llama, tiny_tokenizer


def cases(count: int = 40) -> tuple[Case, ...]:
    """In three of four questions the longest option is right, which stands anywhere."""
    made = []
    for number in range(count):
        right, wrong = ("a rather long answer", "short") if number % 4 else ("short", "a rather long answer")
        options = shuffled(str(number), right, [wrong, f"b{number}", f"c{number}"])
        question = prompt(f"What is heard in {number}?", options.texts)
        made.append(Case(str(number), f"clip-{number}", f"clip-{number}", question, options))
    return tuple(made)


def text_only(task: str, condition: str, puts: Sequence[TaskPrompt]) -> Mapping[str, str]:
    """Takes the longest option, whatever it hears."""
    options = {
        put.id: [line[4:] for line in put.question.splitlines() if line.startswith("(")] for put in puts
    }
    return {id_: f"({LETTERS[longest(OptionList(tuple(texts), 0))]})" for id_, texts in options.items()}


@pytest.fixture(scope="module")
def guessed() -> Evaluation:
    return evaluate(TestSet((), {"muchomusic": cases()}), text_only)


def value(evaluation: Evaluation, condition: str) -> float:
    rows = {(row.metric, row.condition): row.value for row in evaluation.rows}
    return rows["accuracy", condition]


def test_the_longest_option_and_the_best_letter_are_controls_of_questions_with_options(
    guessed: Evaluation,
) -> None:
    assert value(guessed, "longest option") == 0.75
    assert 0.25 <= value(guessed, "constant") < 0.5
    assert value(guessed, "constant") == value(guessed, "majority")


def test_a_model_that_guesses_by_the_text_has_no_lead_and_is_deaf(guessed: Evaluation) -> None:
    assert value(guessed, "audio") == 0.75
    assert [(one.value, one.high, one.deaf) for one in guessed.margins] == [(0.0, 0.0, True)]
    assert "longest option" in report.table(guessed)


def test_a_lead_over_silence_that_the_text_explains_is_not_called_hearing() -> None:
    def hears_something(task: str, condition: str, puts: Sequence[TaskPrompt]) -> Mapping[str, str]:
        """By the text alone where there is sound, and nothing where there is none of the right."""
        return text_only(task, condition, puts) if condition == "audio" else {put.id: "" for put in puts}

    result = evaluate(TestSet((), {"muchomusic": cases()}), hears_something)
    margin = result.margins[0]
    assert (margin.control, margin.deaf, margin.value) == ("longest option", False, 0.0)
    text = page.page(result, {}, page.Media())
    assert ">no lead<" in text
    assert ">hears<" not in text


def test_the_likeliest_option_is_asked_of_questions_with_options_alone() -> None:
    puts = prompts_under("likeliest option", [*cases(2), Case("key", "c", "c", "Which key?", "C major")], {})
    assert [put.id for put in puts] == ["0", "1"]
    assert len(puts[0].options) == 4
    assert puts[0].clip_id is None


def test_a_question_is_bare_without_its_options() -> None:
    assert bare(prompt("Which one?\nThis?", ["a", "b"])) == "Which one?\nThis?"
    assert longest(OptionList(("aa", "bbb", "ccc"), 0)) == 1


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    from llark.model.checkpoint import new_model

    folder = tmp_path_factory.mktemp("base")
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    model, processor = new_model(folder, audio_width=WIDTH, frames_per_second=2.0, max_audio_positions=8)
    return Answerer(model, processor)


OPTIONS = ("a harp", "the", "two violins and a drum")


def test_options_read_after_one_reading_of_the_question_are_as_likely_as_read_whole(
    answerer: Answerer,
) -> None:
    asked = answerer.processor(["What is it?"], [None], [None])["input_ids"]
    for found, option in zip(likelihoods(answerer, "What is it?", OPTIONS), OPTIONS, strict=True):
        ids = torch.tensor([answerer.processor.tokenizer.encode(option, add_special_tokens=False)])
        whole = torch.cat([asked, ids], dim=1)
        with torch.inference_mode():
            logits = answerer.model(input_ids=whole, attention_mask=torch.ones_like(whole)).logits
        each = logits.log_softmax(-1)[0, asked.shape[1] - 1 : -1].gather(-1, ids[0][:, None])
        assert found == pytest.approx(float(each.sum()), abs=1e-4)


def test_our_model_says_the_letter_of_its_likeliest_option(
    answerer: Answerer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answerer, "load", lambda *_, **__: answerer)
    (tmp_path / "config.json").write_text("{}")
    local = LocalModel(ModelOptions(tmp_path), {})
    question = prompt("What is it?", OPTIONS)
    expected = f"({LETTERS[likeliest(answerer, 'What is it?', OPTIONS)]})"
    assert local([TaskPrompt("1", question, options=OPTIONS)]) == [expected]


KEYS_TO_CHOOSE = OptionList(("C Major", "A Minor", "F Major", "D Major"), 1)


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ("The answer is A Minor.", 1),
        ("It is D Major", 3),
        ("Answer: A Minor", 1),
        ("The answer is A", 0),
        ("The answer is (B) A Minor", 1),
        ("The answer is A Major.", None),
    ],
)
def test_the_tonic_of_a_key_is_not_the_letter_of_an_option(answer: str, place: int | None) -> None:
    assert read_option(answer, KEYS_TO_CHOOSE) == place
