"""Every kind of question about one annotation."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

from llark.instruct.offline import OfflineConfig, exchange_of
from llark.questions.facts import Facts
from llark.questions.kinds import TAUGHT_KINDS
from llark.records import Annotation, Exchange


def basic(most: int, seed: int, **options: Any) -> OfflineConfig:
    """The basic kinds alone."""
    return OfflineConfig(most, seed, kinds="basic", **options)


def ask_all(annotation: Annotation, seed: int) -> list[Exchange]:
    """One exchange of each kind that makes sense for this clip, in the order of `KINDS`.

    Facts that are not known are asked too; the right answer is then that it cannot be told.
    """
    facts, config, exchanges = Facts(annotation), basic(1, seed, purpose="ask"), []
    for kind in TAUGHT_KINDS:
        text = f"{annotation.clip_id}\0{seed}\0ask_all {kind.slug}"
        rng = Random(hashlib.sha256(text.encode()).digest())
        asked = kind.ask(facts, rng)
        if asked is not None:
            exchanges.append(exchange_of(facts, kind, asked, rng, config))
    return exchanges
