"""The recipe: what it takes, and what it says about what it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from llark import recipe
from llark.errors import UserMustAct

MINI = Path(__file__).parent.parent / "recipes" / "mini.yaml"


def _load(folder: Path, text: str = "name: x\n", *overrides: str) -> recipe.Recipe:
    path = folder / "r.yaml"
    path.write_text(text)
    return recipe.load(path, overrides)


def _refusal(folder: Path, text: str = "name: x\n", *overrides: str) -> str:
    with pytest.raises(UserMustAct) as caught:
        _load(folder, text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_recipe_of_mini_names_every_key() -> None:
    tree = yaml.safe_load(MINI.read_text())
    written = set(tree) | {
        f"{key}.{name}" for key, below in tree.items() if isinstance(below, dict) for name in below
    }
    assert written == set(recipe.known_keys())
    assert recipe.load(MINI).name == "mini"


def test_every_key_says_what_it_is() -> None:
    sections = [
        field.annotation for field in recipe.Recipe.model_fields.values() if field.annotation is not str
    ]
    fields = [field for section in sections for field in section.model_fields.values()]
    assert len(fields) > 25
    assert all(field.description for field in fields)


def test_a_name_is_enough_and_every_other_value_has_a_default(tmp_path: Path) -> None:
    assert _load(tmp_path) == recipe.Recipe(name="x")
    assert _load(tmp_path, "name: x\ntrain:\n") == recipe.Recipe(name="x")


def test_overrides_change_values_and_are_read_as_yaml(tmp_path: Path) -> None:
    changed = _load(
        tmp_path,
        "name: x\ntrain: {steps: 5, seed: 3}\n",
        "train.steps=7",
        "train.learning_rate=2e-4",
        "corpus.sources=[builtin]",
        "model.projector=mlp",
        "name=y",
    )
    assert (changed.name, changed.train.steps, changed.train.seed) == ("y", 7, 3)
    assert changed.train.learning_rate == 2e-4
    assert changed.corpus.sources == ("builtin",)
    assert changed.model.projector == "mlp"


@pytest.mark.parametrize(
    ("override", "key", "nearest"),
    [
        ("train.stpes=5", "train.stpes", "train.steps"),
        ("train.folds=3", "train.folds", "align.folds"),
        ("trian.steps=3", "trian", "train"),
        ("steps=3", "steps", "train.steps"),
        ("model.positions=3", "model.positions", "model.audio_positions"),
    ],
)
def test_an_unknown_key_is_refused_with_file_path_and_the_nearest_known_one(
    tmp_path: Path, override: str, key: str, nearest: str
) -> None:
    sentence = _refusal(tmp_path, "name: x\n", override)
    assert sentence == f"{tmp_path}/r.yaml: {key} is not a key of a recipe (did you mean {nearest}?)."


def test_a_key_like_no_other_is_refused_without_a_guess(tmp_path: Path) -> None:
    assert _refusal(tmp_path, "name: x\nqqq: 1\n").endswith("qqq is not a key of a recipe.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {steps: 3}", "name is missing"),
        ("name: ../x", "name is '../x'"),
        ("name: x\ntrain: 3", "train is 3, but it should be a section"),
        ("name: x\ntrain: {steps: abc}", "train.steps is 'abc', but it should be a valid integer"),
        ("name: x\ntrain: {steps: 1.5}", "train.steps is 1.5, but it should be a valid integer"),
        ("name: x\ntrain: {steps: '5'}", "train.steps is '5', but it should be a valid integer"),
        ("name: x\ntrain: {learning_rate: .nan}", "train.learning_rate is nan"),
        ("name: x\nmodel: {audio_positions: 65}", "model.audio_positions is 65"),
        ("name: x\nmodel: {projector: cubic}", "it should be 'linear' or 'mlp'"),
        ("name: x\nmodel: {lora_rank: 0}", "lora_rank 0 needs lora_targets []"),
        ("name: x\nmodel: {lora_targets: [a, a]}", "names a layer twice"),
        ("name: x\nprepare: {window_seconds: 30.0}", "must be 25.0 for the `mini` encoder"),
        ("name: x\ntrain:\n  steps: 1\n  steps: 2", "line 4: steps is given twice"),
        ("a: [1", "line 1"),
        ("- a", "is not a recipe"),
        ("", "is not a recipe"),
        ("name: !!python/object/apply:os.getcwd []", "line 1"),
    ],
)
def test_bad_values_and_contradictions_are_refused_in_one_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    sentence = _refusal(tmp_path, text)
    assert words in sentence
    assert sentence.startswith(f"{tmp_path}/r.yaml")


def test_an_override_that_names_nothing_is_refused(tmp_path: Path) -> None:
    assert "write it as train.steps=100" in _refusal(tmp_path, "name: x\n", "train.steps")
    assert "has no keys below it" in _refusal(tmp_path, "name: x\n", "name.x=1")


def test_a_missing_or_unreadable_recipe_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserMustAct, match="There is no recipe"):
        recipe.load(tmp_path / "no.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserMustAct, match="cannot be read"):
        recipe.load(tmp_path / "b.yaml")
    with pytest.raises(UserMustAct, match="cannot be read"):
        recipe.load(tmp_path)


def test_a_recipe_cannot_be_changed_after_it_is_made(tmp_path: Path) -> None:
    made = _load(tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        made.train.steps = 3  # type: ignore[misc]
    assert hash(made) == hash(_load(tmp_path))
