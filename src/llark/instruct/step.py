"""The instruct stage: annotations in, exchanges out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llark.instruct.sources import Source
from llark.instruct.teacher import FAMILIES, kinds_of, teach
from llark.instruct.traced import Traced
from llark.questions.phrasing import phrases
from llark.records import Annotation, Dropped, Exchange


@dataclass(frozen=True)
class InstructConfig:
    """How many exchanges a clip gets, from which seed, for what (`train`, `test` …: other questions each).

    `say_unknown`: also ask what the annotation does not know, so that the model learns to say so. `drums`
    does so only where nothing but drums sounds: a truth may be silent about a key that can well be heard.
    `grown`: of all kinds of question, those at more length and about more facts included.
    """

    most: int = 12
    seed: int = 0
    purpose: str = "train"
    say_unknown: bool | Literal["drums"] = True
    families: tuple[str, ...] = FAMILIES
    grown: bool = False

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most is {self.most}; a clip needs at least 1 exchange")


class InstructStep:
    """Annotation → Exchanges, by the offline teacher. Writes nothing; reads its phrases in `open`."""

    name = "instruct"

    def __init__(self, config: InstructConfig | None = None) -> None:
        self.config = InstructConfig() if config is None else config

    def id_of(self, record: Annotation) -> str:
        return record.clip_id

    def open(self) -> None:
        phrases(self.config.grown)

    def __call__(self, record: Annotation) -> Iterator[Exchange | Dropped]:
        """Up to `most` exchanges; a `Dropped` for a key that is none, or a clip without length."""
        length = record.end_seconds - record.start_seconds
        if not length > 0:
            detail = f"the annotation covers {length:g} seconds; a clip ends after it starts"
            yield Dropped(record.clip_id, self.name, "no-length", detail)
            return
        config = self.config
        say_unknown = config.say_unknown
        if say_unknown == "drums":
            say_unknown = record.instruments.labels == ("drums",)
        try:
            exchanges = teach(
                record,
                most=config.most,
                seed=config.seed,
                purpose=config.purpose,
                say_unknown=bool(say_unknown),
                kinds=kinds_of(config.families, config.grown),
            )
        except ValueError as error:
            yield Dropped(record.clip_id, self.name, "unreadable-annotation", str(error))
            return
        yield from exchanges


class TracedStep:
    """Source → Traced exchanges, by the offline teacher: what `InstructStep` says, with its origin."""

    name = "instruct"

    def __init__(self, config: InstructConfig) -> None:
        self._step = InstructStep(config)

    def id_of(self, record: Source) -> str:
        return record.id

    def open(self) -> None:
        self._step.open()

    def __call__(self, record: Source) -> Iterator[Traced | Dropped]:
        for one in self._step(record.annotation):
            yield one if isinstance(one, Dropped) else trace(one, record)


def trace(exchange: Exchange, source: Source) -> Traced:
    """The exchange with its provenance."""
    return Traced(
        **{name: getattr(exchange, name) for name in Exchange.__dataclass_fields__},
        track_id=source.track.id if source.track else source.id,
        dataset=source.dataset,
        split=source.split,
        licence=source.licence,
        measured_by=tuple(source.measured_by(fact) for fact in exchange.facts),
    )
