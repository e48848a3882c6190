"""The recipe: one YAML file is the whole experiment.

Every value has a default and a unit, below. A key that is not in this schema is refused with the nearest one
that is; so are values that contradict each other.
"""

from __future__ import annotations

import difflib
import itertools
import re
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from llark.audio.timing import WINDOW_SECONDS
from llark.errors import UserMustAct
from llark.options import require

RENAMED = {
    "tune": "train",
    "align": "train.heads",
    "train.rows_per_step": "train.batch",
    "train.exchanges_per_row": "train.turns, with train.independent_turns: true",
    "train.dtype": "train.precision (bfloat16-weights for bfloat16)",
    "instruct.facts_share": "train.facts_share",
    "instruct.foreign_share": "train.foreign_share",
}
"""Keys of recipes of older releases, and what they are called now."""


MOST_BYTES = 50_000
"""Of a recipe; the longest of this project has a tenth of it."""
MOST_LEVELS = 20
"""Of sections and lists inside each other; a recipe has four."""
LARGEST = 2**53
"""Of whole numbers: above it one and the next are the same float."""
MOST_FAULTS = 5
"""Of one recipe that are told at once."""


class Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


def _pairs(value: object) -> object:
    """A mapping as pairs, which can be hashed."""
    return tuple(value.items()) if isinstance(value, dict) else value


class Corpus(Section):
    """The rendered clips that a model learns from and is tested on."""

    clips: int = Field(default=3000, ge=1)
    """Rendered clips, all splits together."""
    seed: int = Field(default=7, ge=0)
    """The same seed gives the same clips."""
    sources: tuple[Literal["mma", "music21", "freedoom", "builtin"], ...] = Field(
        default=("mma", "music21", "freedoom", "builtin"), min_length=1, strict=False
    )
    """Where the pieces come from; all but `builtin` need Debian packages."""
    renderer: Literal["fluidsynth", "midirenderer"] = "fluidsynth"
    """What turns notes into sound; `midirenderer` needs no Debian package."""


class Prepare(Section):
    """Which recordings, and how they are cut."""

    source: str | None = Field(default=None, min_length=1)
    """A folder of music or a data set's, to learn from in place of the rendered corpus."""
    dataset: str = Field(default="folder", min_length=1)
    """How the source is laid out: one of `llark datasets`."""
    window_seconds: float = Field(default=WINDOW_SECONDS, ge=1.0, le=600.0)
    """Length of a clip in seconds; a track's last may be shorter."""


class Annotate(Section):
    """The musical facts of each clip."""

    version: int = Field(default=1, ge=1)
    """Counts up when the annotators change, so that they run again."""


class Instruct(Section):
    """The questions and answers about each clip."""

    exchanges_per_clip: int = Field(default=40, ge=1, le=1000)
    """Questions about one clip, of each kind: from the truth, from what was measured."""
    teacher: str = Field(default="offline", min_length=1)
    """Who writes them; `offline` is the grammar."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same exchanges."""
    measured: bool = False
    """Short questions about rendered clips, and as many about what was measured in them, which
    train.facts_share shows."""


class Embed(Section):
    """The frames of each clip: which frozen encoder makes them, and how."""

    encoder: str = Field(default="mini", pattern=r"^(mini|jukebox|clap|mel|hub:.+)$")
    """The frozen encoder: mini, jukebox, clap, mel, or hub:NAME."""
    weights: str | None = Field(default=None, min_length=1)
    """For jukebox the folder of its weights; for clap also a name."""
    compat: Literal["llark"] | None = None
    """`llark`: Jukebox as the published extraction runs it."""
    layer: int | None = None
    """Of a hub encoder's transformer; its usual one if null."""
    rate: str | int | None = None
    """Frames a second, native, or clip for one a clip; the encoder's usual if null."""


class Model(Section):
    """The language model and what is added to it."""

    base: str = Field(default="smollm2-135m-instruct", min_length=1)
    """The base language model, by name."""
    projector: Literal["linear", "mlp"] = "linear"
    """From a frame to a word embedding."""
    audio_positions: int = Field(default=64, ge=1, le=65536)
    """Most positions that one clip takes in the text, those of the concepts included."""
    lora_rank: int = Field(default=16, ge=0, le=1024)
    """Rank of the adapter; 0 trains none."""
    lora_targets: tuple[str, ...] = Field(default=("q_proj", "k_proj", "v_proj", "o_proj"), strict=False)
    """Layers that the adapter is put beside."""
    start_from: str | None = Field(default=None, min_length=1)
    """Folder of a trained model to go on from, or `bundled`; its encoder, base and adapter must be those of
    this recipe."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if bool(self.lora_rank) != bool(self.lora_targets):
            raise ValueError("lora_rank 0 needs lora_targets [], and any other rank needs targets")
        if len(set(self.lora_targets)) != len(self.lora_targets):
            raise ValueError("lora_targets names a layer twice")
        return self


class Heads(Section):
    """The concept heads: small networks on the frames of the `mini` encoder that are fitted to the truth of
    rendered clips before the language model sees any, and give the projector its start."""

    epochs: int = Field(default=30, ge=0)
    """Passes over the training clips; 0 starts unaligned."""
    folds: int = Field(default=5, ge=2, le=50)
    """Parts that take turns in being predicted by the others' heads."""
    seed: int = Field(default=0, ge=0)
    """Fixes the heads' first weights and the folds."""


class Train(Section):
    """The training of projector and language model, of any size, on one process or many."""

    weights: Literal["full", "lora", "projector"] = "lora"
    """What learns beside projector and markers: the whole language model, an adapter, nothing."""
    quantize: Literal["none", "4bit"] = "none"
    """Hold the base's weights, which do not learn, in 4 bits (QLoRA); needs a GPU."""
    conversation: Literal["chatml", "published"] = "chatml"
    """How questions and answers are written; see docs/train.md."""
    clips_last_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the examples whose clip comes after the question."""
    turns: int = Field(default=1, ge=1, le=100)
    """Questions about one clip in one example."""
    independent_turns: bool = False
    """The questions of an example do not see each other, and are drawn anew each epoch."""
    facts_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the examples that show measured facts and are answered from them."""
    foreign_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of those that show (and ask about) another clip's."""
    heads: Heads | None = None
    """Concept heads on the frames, fitted first; null trains without."""
    normalise_frames: bool = True
    """Give each dimension of the frames mean 0 and deviation 1."""
    steps: int = Field(default=1000, ge=1)
    """Updates of the weights."""
    batch: int = Field(default=32, ge=1)
    """Examples in one update, all processes together."""
    micro_batch: int = Field(default=2, ge=1)
    """Examples that a process computes at once."""
    most_tokens: int = Field(default=2048, ge=16)
    """Longest example, its audio positions included."""
    learning_rate: float = Field(default=5e-5, gt=0, le=1)
    """The highest rate of the language model."""
    projector_learning_rate: float | None = Field(default=None, gt=0, le=1)
    """The highest rate of projector and markers; that of the language model if null."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: down to nothing in a half cosine, or not at all."""
    warmup_share: float = Field(default=0.03, ge=0, le=1)
    """Share of the steps in which rates rise."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Of the matrices; vectors do not decay."""
    clip_norm: float = Field(default=1.0, gt=0)
    """A longer gradient is shortened to this length."""
    precision: Literal["float32", "bfloat16", "bfloat16-weights"] = "bfloat16"
    """Of the computation; bfloat16-weights: of the weights, too, so that nothing is cast."""
    tf32: bool = False
    """Let GPUs multiply float32 matrices in 19 bits."""
    gradient_checkpointing: bool = False
    """Compute layers twice rather than keep what they gave."""
    sharding: Literal["ddp", "fsdp"] = "fsdp"
    """Of several processes: each has all weights, or each has its part."""
    lora_alpha: int = Field(default=32, ge=1)
    """Scale of the adapter, times its rank."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of its input that is left out."""
    mixture: Annotated[tuple[tuple[str, float], ...], BeforeValidator(_pairs)] = Field(
        default=(), strict=False
    )
    """Share of each task in the examples; as they come if empty."""
    bucket: int = Field(default=16, ge=1)
    """Updates whose examples are sorted by length together; 1 sorts none."""
    packed: bool = False
    """Lay a micro batch's examples behind each other, not side by side with padding."""
    seed: int = Field(default=0, ge=0)
    """Fixes the order of the examples, the first weights and dropout."""
    save_every: int = Field(default=500, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(default=1, ge=1)
    """Newest checkpoints that stay."""
    evaluate_every: int = Field(default=500, ge=1)
    """Steps between losses on validation clips."""
    evaluate_examples: int = Field(default=256, ge=0)
    """Most validation examples whose loss is computed; 0 evaluates nothing."""
    sample_answers: int = Field(default=2, ge=0)
    """Answers that are written out with each of those losses."""
    tensorboard: bool = False
    """Also write the log for TensorBoard."""
    wandb: str | None = Field(default=None, min_length=1)
    """Also write the log for Weights & Biases, as a run of this project; none if null."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.batch % self.micro_batch:
            raise ValueError(
                f"train.batch {self.batch} is no multiple of train.micro_batch {self.micro_batch}"
            )
        if self.conversation == "chatml" and self.clips_last_share:
            raise ValueError(
                "train.clips_last_share needs the `published` conversation; chatml has clips first"
            )
        if self.quantize != "none" and (self.weights == "full" or self.sharding == "fsdp"):
            raise ValueError(
                f"train.quantize {self.quantize} needs weights that stay as they are and whole copies: "
                "train.weights lora or projector, and train.sharding ddp"
            )
        if self.precision == "bfloat16-weights" and (self.sharding == "fsdp" or self.weights == "full"):
            raise ValueError(
                "train.precision bfloat16-weights needs whole copies of weights that stay as they are: "
                "train.sharding ddp, and train.weights lora or projector"
            )
        if self.independent_turns:
            if self.conversation != "chatml" or self.bucket != 1 or self.packed or self.mixture:
                raise ValueError(
                    "train.independent_turns draws questions anew each epoch, in chatml: it needs "
                    "train.conversation chatml, bucket 1, packed false and no mixture"
                )
        elif self.facts_share or self.foreign_share:
            raise ValueError("train.facts_share and train.foreign_share need train.independent_turns: true")
        names = [name for name, _ in self.mixture]
        if any(share <= 0 for _, share in self.mixture) or len(set(names)) != len(names):
            raise ValueError("train.mixture needs shares above 0, each for a task of its own")
        if self.mixture and abs(sum(share for _, share in self.mixture) - 1) > 1e-6:
            raise ValueError(
                f"train.mixture adds up to {sum(share for _, share in self.mixture):g}, not to 1"
            )
        return self


class Evaluate(Section):
    """The test on held-out clips."""

    clips: int = Field(default=200, ge=1)
    """Most held-out clips that are asked about."""


class Recipe(Section):
    """A whole experiment. Every section may be left out."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    """The model's name, as in a file name."""
    corpus: Corpus = Corpus()
    prepare: Prepare = Prepare()
    annotate: Annotate = Annotate()
    instruct: Instruct = Instruct()
    embed: Embed = Embed()
    model: Model = Model()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.embed.encoder == "mini" and self.prepare.window_seconds != WINDOW_SECONDS:
            raise ValueError(
                f"prepare.window_seconds must be {WINDOW_SECONDS} for the `mini` encoder, which was fitted "
                "to that"
            )
        if self.prepare.source is not None and self.corpus != Corpus():
            raise ValueError("a recipe with prepare.source renders no corpus; leave one of them out")
        if self.train.heads is not None and self.embed.encoder != "mini":
            raise ValueError(
                f"train.heads read the `mini` encoder, not {self.embed.encoder}: write train.heads null"
            )
        if self.train.heads is not None and self.prepare.source is not None:
            raise ValueError(
                "train.heads learn from what is known of rendered clips: write them null with prepare.source"
            )
        if self.instruct.measured and self.prepare.source is not None:
            raise ValueError("instruct.measured is about rendered clips: write it false with prepare.source")
        if self.train.facts_share and not self.instruct.measured:
            raise ValueError("train.facts_share shows what was measured: write instruct.measured true")
        if self.model.start_from is not None and self.train.heads is None:
            raise ValueError("model.start_from is read by a training with train.heads only")
        if self.train.weights == "lora" and not self.model.lora_rank:
            raise ValueError("train.weights lora needs a model.lora_rank above 0")
        if self.train.weights != "lora" and self.model.lora_rank:
            raise ValueError(
                f"train.weights {self.train.weights} trains no adapter: write model.lora_rank 0 and "
                "lora_targets []"
            )
        positions = self.model.audio_positions
        if positions + 16 > self.train.most_tokens:
            raise ValueError(
                f"model.audio_positions {positions} leaves no room for words in train.most_tokens "
                f"{self.train.most_tokens}"
            )
        return self


def load(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file, with values changed by `dotted.key=value`.

    Raises:
        UserMustAct: There is no such file, it is not YAML, or a key or value is refused. The sentence names
            the file, the key, and the nearest known key.
    """
    require(str | Path, path=path)
    require(tuple[str, ...], overrides=overrides)
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except FileNotFoundError as error:
        raise UserMustAct(f"There is no recipe {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserMustAct(f"The recipe {path} cannot be read: {error}.") from error
    if len(data) > MOST_BYTES:
        raise UserMustAct(f"{path} is not a recipe: it is longer than {MOST_BYTES:,} bytes.")
    tree = _parse(text, str(path))
    if not isinstance(tree, dict):
        raise UserMustAct(f"{path} is not a recipe: it should be sections such as `train:`, with keys below.")
    tree = {key: {} if value is None else value for key, value in tree.items()}
    for override in overrides:
        _apply(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        faults = list(itertools.islice(_sentences(error), MOST_FAULTS))
        more = error.error_count() - len(faults)
        faults += [f"{more:,} more"] if more else []
        raise UserMustAct(f"{path}: {'; '.join(faults)}.") from error


def known_keys() -> list[str]:
    """Every key of a recipe, dotted, sections too."""
    return list(_known_keys(Recipe, ""))


# --- reading ----------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: `1e-4` is a number, and a key given twice is an error.

    What would take long or much memory is refused where it begins: levels of brackets, sections that are
    repeated by name, and numbers of any length.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        if self.depth > MOST_LEVELS:
            raise self.refusal(f"there are more than {MOST_LEVELS} levels", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, yaml.AliasEvent) and not isinstance(node, yaml.ScalarNode):
            raise self.refusal(f"*{event.anchor} repeats a section or a list; write it out", event)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError
        except ValueError as error:
            raise self.refusal(
                f"{reprlib.repr(node.value)} is no number or date that can be read", node
            ) from error
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise self.refusal(f"{key.value} is given twice", key)
                keys.add(key.value)
        return super().construct_mapping(node, deep)

    def refusal(self, why: str, where: Any) -> yaml.YAMLError:
        return yaml.constructor.ConstructorError(None, None, why, where.start_mark)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserMustAct(f"{where}{line}: {getattr(error, 'problem', None) or 'not YAML'}.") from error


def _apply(tree: dict[str, Any], override: str) -> None:
    """Sets one value in the tree. Whether the key exists is the schema's to say."""
    key, equals, value = override.partition("=")
    if not equals or not all(key.split(".")):
        raise UserMustAct(f"{override!r} does not say what to change; write it as train.steps=100.")
    *sections, last = key.strip().split(".")
    for section in sections:
        below = tree.setdefault(section, {})
        if not isinstance(below, dict):
            raise UserMustAct(f"{override!r}: {section} is a value and has no keys below it{_hint(key)}.")
        tree = below
    tree[last] = _parse(value, f"{override!r}")


# --- what is wrong ----------------------------------------------------------------------------------------


def _known_keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _known_keys(kind, f"{prefix}{name}.")


def _sentences(error: ValidationError) -> Iterator[str]:
    """One clause for each thing that is wrong."""
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if key in RENAMED and fault["type"] == "extra_forbidden":
            yield f"{key} is now called {RENAMED[key]}"
        elif fault["type"] == "extra_forbidden":
            yield f"{key} is not a key of a recipe{_hint(key)}"
        elif fault["type"] == "missing":
            yield f"{key} is missing"
        elif fault["type"] == "model_type":
            yield f"{key} is {reprlib.repr(fault['input'])}, but it should be a section, with keys below it"
        elif fault["type"] == "value_error":
            yield f"{fault['msg'].removeprefix('Value error, ')}"
        else:
            message = fault["msg"][0].lower() + fault["msg"][1:]
            yield f"{key} is {reprlib.repr(fault['input'])}, but {message.replace('input ', 'it ')}"


def _hint(key: str) -> str:
    """The nearest known key: spelt alike, or of the same name in another section."""
    known = known_keys()
    same_name = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
    alike = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    section = [name for name in known if name.startswith(key.rpartition(".")[0] + ".")]
    last = difflib.get_close_matches(
        key.split(".")[-1], [name.split(".")[-1] for name in section], n=1, cutoff=0.5
    )
    in_section = [name for name in section if last and name.split(".")[-1] == last[0]]
    nearest = in_section or same_name or alike
    return f" (did you mean {nearest[0]}?)" if nearest else ""
