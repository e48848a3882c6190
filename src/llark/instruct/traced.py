"""The exchange as this stage stores it: with all that tells where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from llark.records import UNKNOWN, Exchange


@dataclass(frozen=True)
class Traced(Exchange):
    """An `Exchange` and its provenance. A line of it can also be read as the `Exchange` alone.

    `measured_by` says of each of `facts`, in their order, who measured or labelled it. `licence` is that of
    the recording, which the exchange describes. `prompt` is the prompt's family and version, `prompt_sha256`
    the key of the reply in `replies.sqlite`; both are empty for the offline teacher.
    """

    track_id: str = ""
    dataset: str = ""
    split: str = "all"
    licence: str = UNKNOWN
    model: str = ""
    prompt: str = ""
    prompt_sha256: str = ""
    measured_by: tuple[str, ...] = ()
