"""The recipe: what it takes, and what it says about what it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from llark import recipe
from llark.errors import UserMustAct

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
MINI = Path(__file__).parent.parent / "recipes" / "mini.yaml"
PUBLISHED = ("llark-7b", "llark-mpt-1b", "llark-clap")


def _load(folder: Path, text: str = "name: x\n", *overrides: str) -> recipe.Recipe:
    path = folder / "r.yaml"
    path.write_text(text)
    return recipe.load(path, overrides)


def _refusal(folder: Path, text: str = "name: x\n", *overrides: str) -> str:
    with pytest.raises(UserMustAct) as caught:
        _load(folder, text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _written(path: Path) -> set[str]:
    tree = yaml.safe_load(path.read_text())
    return set(tree) | {
        f"{key}.{name}" for key, below in tree.items() if isinstance(below, dict) for name in below
    }


def test_the_recipe_of_mini_names_every_key() -> None:
    assert len(recipe.known_keys()) > 70
    heads = {key for key in recipe.known_keys() if key.startswith("train.heads.")}
    assert len(heads) == 3
    assert _written(MINI) == set(recipe.known_keys()) - heads
    assert set(yaml.safe_load(MINI.read_text())["train"]["heads"]) == {key.split(".")[-1] for key in heads}
    made = recipe.load(MINI)
    assert made.name == "mini"
    assert made.train.heads is not None


@pytest.mark.parametrize("path", sorted(set(RECIPES) - {MINI}), ids=lambda path: path.stem)
def test_a_recipe_names_every_key_that_it_is_read_for_with_a_comment(path: Path) -> None:
    made = recipe.load(path)
    assert made.name == path.stem
    read = {key for key in recipe.known_keys() if key.split(".")[0] in ("train", "embed", "model", "prepare")}
    read -= {key for key in read if key.startswith("train.heads.")}
    assert read - _written(path) <= {"train.projector_learning_rate", "model.start_from"}
    for line in path.read_text().splitlines():
        assert not line.startswith("  ") or "#" in line, line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tune: {weights: lora}", "tune is now called train."),
        ("align: {epochs: 3}", "align is now called train.heads."),
        ("train: {rows_per_step: 3}", "train.rows_per_step is now called train.batch."),
        (
            "train: {dtype: float32}",
            "train.dtype is now called train.precision (bfloat16-weights for bfloat16).",
        ),
        ("instruct: {facts_share: 0.5}", "instruct.facts_share is now called train.facts_share."),
    ],
)
def test_a_recipe_of_an_older_release_is_refused_with_what_its_keys_are_called_now(
    tmp_path: Path, text: str, said: str
) -> None:
    assert _refusal(tmp_path, f"name: x\n{text}\n") == f"{tmp_path}/r.yaml: {said}"


def test_every_key_says_what_it_is() -> None:
    fields = list(recipe.Recipe.model_fields.values())
    sections = [field.annotation for field in fields if field.annotation is not str]
    sections = [*sections, recipe.Heads]
    fields = [field for section in sections for field in section.model_fields.values()]
    assert len(fields) > 50
    assert all(field.description for field in fields)


def test_the_published_values_are_in_their_recipes() -> None:
    llark, mpt, clap = (recipe.load(MINI.with_name(f"{name}.yaml")) for name in PUBLISHED)
    for made, batch, checkpointing in ((llark, 32, True), (mpt, 128, False), (clap, 32, True)):
        train = made.train
        assert (train.learning_rate, train.schedule, train.warmup_share, train.weight_decay) == (
            5e-5,
            "cosine",
            0.03,
            0,
        )
        assert (train.steps, train.most_tokens, train.precision, train.tf32) == (
            100_000,
            2048,
            "bfloat16",
            True,
        )
        assert (train.batch, train.gradient_checkpointing) == (batch, checkpointing)
        assert dict(train.mixture) == {"captioning": 0.15, "reasoning": 0.55, "understanding": 0.30}
        assert (train.conversation, train.weights, made.model.projector) == ("published", "full", "linear")
    assert [made.embed.encoder for made in (llark, mpt, clap)] == ["jukebox", "jukebox", "clap"]
    assert llark.model.base == clap.model.base == "meta-llama/Llama-2-7b-chat-hf"


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
        ("train.folds=3", "train.folds", "train.heads.folds"),
        ("trian.steps=3", "trian", "train"),
        ("steps=3", "steps", "train.steps"),
        ("train.learnig_rate=3", "train.learnig_rate", "train.learning_rate"),
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
        ("name: x\nmodel: {audio_positions: 2040}", "leaves no room for words in train.most_tokens"),
        ("name: x\nmodel: {projector: cubic}", "it should be 'linear' or 'mlp'"),
        ("name: x\nmodel: {lora_rank: 0}", "lora_rank 0 needs lora_targets []"),
        ("name: x\nmodel: {lora_targets: [a, a]}", "names a layer twice"),
        (
            "name: x\nembed: {encoder: jukebox}\ntrain: {heads: {}}",
            "read the `mini` encoder, not jukebox",
        ),
        ("name: x\nprepare: {source: a}\ntrain: {heads: {}}", "learn from what is known of rendered clips"),
        ("name: x\nembed: {encoder: juke}", "embed.encoder is 'juke'"),
        ("name: x\ntrain: {batch: 3}", "train.batch 3 is no multiple of train.micro_batch 2"),
        ("name: x\ntrain: {weights: full}", "train.weights full trains no adapter"),
        (
            "name: x\nmodel: {lora_rank: 0, lora_targets: []}\ntrain: {weights: lora}",
            "needs a model.lora_rank above 0",
        ),
        ("name: x\ntrain: {mixture: {a: .5, b: .4}}", "train.mixture adds up to 0.9, not to 1"),
        ("name: x\ntrain: {mixture: {a: 1.5, b: -0.5}}", "train.mixture needs shares above 0"),
        ("name: x\ntrain: {clips_last_share: .5}", "needs the `published` conversation"),
        ("name: x\ntrain: {most_tokens: 64}", "leaves no room for words"),
        ("name: x\ntrain: {facts_share: 0.5}", "need train.independent_turns: true"),
        (
            "name: x\ntrain: {facts_share: 0.5, independent_turns: true, bucket: 1}",
            "write instruct.measured true",
        ),
        (
            "name: x\ninstruct: {measured: true}\nprepare: {source: a}",
            "instruct.measured is about rendered clips",
        ),
        ("name: x\ntrain: {independent_turns: true}", "needs train.conversation chatml, bucket 1"),
        ("name: x\ntrain: {precision: bfloat16-weights}", "needs whole copies"),
        ("name: x\nmodel: {start_from: bundled}", "model.start_from is read by"),
        ("name: x\nprepare: {window_seconds: 30.0}", "must be 25.0 for the `mini` encoder"),
        ("name: x\ntrain:\n  steps: 1\n  steps: 2", "line 4: steps is given twice"),
        ("a: [1", "line 1"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "line 1: there are more than 20 levels"),
        ("name: x\ntrain: " + "{a: " * 2000 + "1" + "}" * 2000, "line 2: there are more than 20 levels"),
        ("- " * 10_000, "line 1: there are more than 20 levels"),
        (
            "name: x\ntrain: {steps: " + "9" * 5000 + "}",
            "line 2: '999999999999...9999999999999' is no number",
        ),
        ("name: x\ntrain: {steps: 0x" + "f" * 20_000 + "}", "line 2: '0xffff"),
        ("name: x\ntrain: {steps: 1" + ":59" * 10_000 + "}", "line 2: '1:59:59"),
        ("name: x\ntrain: {steps: 9007199254740993}", "line 2: '9007199254740993' is no number"),
        ("name: 2001-13-45", "line 1: '2001-13-45' is no number or date that can be read"),
        ("name: x\ntrain: {steps: .inf, batch: 1e400}", "train.steps is inf"),
        ("name: x\ntrain: {learning_rate: 1" + "0" * 5000 + ".5}", "train.learning_rate is inf"),
        ("name: &a [*a]", "line 1: *a repeats a section or a list; write it out"),
        ("name: x\ntrain: &t\n  <<: *t", "line 3: *t repeats a section"),
        ("name: x\n? [a, b]\n: 1", "line 2: found unhashable key"),
        ("name: x\n1: 2\nnull: 3", "keys should be strings"),
        ("name: x\ntrain:\n\tsteps: 3", "line 3: found character"),
        ("name: x\n---\nname: y", "line 2: but found another document"),
        ('name: "x\x00y"', "not YAML"),
        ("name: " + "x" * 200, "name is 'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
        ("name: x\n" + "#" * 50_000, "it is longer than 50,000 bytes"),
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


def test_aliases_cannot_grow_a_recipe_and_a_value_may_be_repeated(tmp_path: Path) -> None:
    levels = "".join(f"  - &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(9))
    sentence = _refusal(tmp_path, f"name:\n  - &a [{','.join(['lol'] * 10)}]\n{levels}")
    assert sentence == f"{tmp_path}/r.yaml, line 3: *a repeats a section or a list; write it out."
    same = _load(tmp_path, "name: x\ntrain: {learning_rate: &r 1e-4, projector_learning_rate: *r}\n")
    assert same.train.projector_learning_rate == 1e-4


def test_of_many_faults_the_first_are_told_and_the_others_counted(tmp_path: Path) -> None:
    sentence = _refusal(tmp_path, "name: x\ntrain: {" + ", ".join(f"t{i}: 1" for i in range(3000)) + "}")
    assert "train.t4 is not a key" in sentence
    assert sentence.endswith("; 2,995 more.")
    assert len(sentence) < 500


def test_an_override_is_read_as_carefully_as_the_file(tmp_path: Path) -> None:
    for value, said in (("[" * 20_000, "levels"), ("9" * 5000, "is no number"), ("&a [*a]", "repeats")):
        assert said in _refusal(tmp_path, "name: x\n", f"train.steps={value}")


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
