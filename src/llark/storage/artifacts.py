"""Which finished stage folders lie in a place.

A run keeps what its stages make in folders with fixed names inside one place: `OUT/clips`, `OUT/annotations`,
`OUT/exchanges` and so on. A place may also be the folder of one stage itself. Commands take either; what they
want to read is found here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields

from llark.errors import UserMustAct
from llark.storage import folders, stages
from llark.storage.folders import Place


@dataclass(frozen=True)
class Artifacts:
    """Finished stage folders by what they hold, in the order of the places that were searched."""

    corpora: tuple[Place, ...] = ()
    """Rendered corpora: `llark.corpus.read` reads them."""
    tracks: tuple[Place, ...] = ()
    clips: tuple[Place, ...] = ()
    truths: tuple[Place, ...] = ()
    """Annotations that a data set's publisher has made."""
    annotations: tuple[Place, ...] = ()
    """Annotations that were measured."""
    exchanges: tuple[Place, ...] = ()
    """Exchanges to be answered from the sound."""
    measured_exchanges: tuple[Place, ...] = ()
    """Exchanges of a build to be answered from measured facts."""
    embeddings: tuple[Place, ...] = ()

    @property
    def all(self) -> tuple[Place, ...]:
        """Every folder."""
        return tuple(folder for kind in _KINDS for folder in getattr(self, kind))


_KINDS = tuple(field.name for field in fields(Artifacts))

_INSIDE = (
    ("corpora", "corpus"),
    ("tracks", "tracks"),
    ("clips", "clips"),
    ("truths", "truths"),
    ("annotations", "annotations"),
    ("exchanges", "exchanges"),
    ("exchanges", "exchanges/heard"),
    ("measured_exchanges", "exchanges/measured"),
    ("embeddings", "embeddings"),
)
"""(kind, name of its folder inside a place)."""

_OF_STAGE = {
    "corpus": "corpora",
    "annotate": "annotations",
    "instruct": "exchanges",
    "embed": "embeddings",
}
"""Kind of what the folder of a stage holds. Those of `prepare` say it themselves, as `holds`."""


def look(place: Place) -> Artifacts:
    """The finished stage folders inside a place; where there are none, the place itself if it is one."""
    inside = folders.folder(place)
    held: dict[str, tuple[Place, ...]] = {}
    for kind, name in _INSIDE:
        if inside.exists(f"{name}/{stages.ABOUT}"):
            held[kind] = (*held.get(kind, ()), folders.join(place, name))
    if not held and inside.exists(stages.ABOUT) and (own := _kind(place)) is not None:
        held[own] = (place,)
    return Artifacts(**held)


def find(places: Iterable[Place], kinds: Collection[str], hint: str) -> Artifacts:
    """The finished stage folders in all these places.

    Args:
        kinds: Names of fields of `Artifacts`: what the caller reads.
        hint: What the caller reads, for the sentence about a place that holds another stage's output.

    Raises:
        UserMustAct: A place has none of the kinds, or is not finished.
    """
    each = []
    for place in places:
        each.append(look(place))
        if not any(getattr(each[-1], kind) for kind in kinds):
            stage = stages.about(place)["stage"]
            raise UserMustAct(f"{place} is the folder of the stage {stage}; {hint}.")
    return Artifacts(
        **{kind: tuple(folder for one in each for folder in getattr(one, kind)) for kind in _KINDS}
    )


def _kind(folder: Place) -> str | None:
    page = stages.about(folder)
    if page["stage"] == "prepare":
        kind = str(page["config"].get("holds", "clips"))
        return kind if kind in _KINDS else None
    return _OF_STAGE.get(page["stage"])
