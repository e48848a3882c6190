"""What `llark prepare` does: a data set → tracks, clips and truths, with a page about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llark import engine

if TYPE_CHECKING:
    from llark.prepare.stage import PrepareOptions


def prepare(
    settings: PrepareOptions,
    out: str,
    *,
    workers: int = 2,
    drop_share: float = engine.DROP_SHARE,
    report: bool,
) -> str:
    """A data set, a table or a folder of music → tracks, clips and truths; returns what was made and lost.

    `drop_share`: stop when more than this share is lost. `report`: write the page, too.
    """
    from llark.prepare import stage
    from llark.prepare.summary import as_text

    summary = stage.run(settings, out, workers=workers, drop_share=drop_share)
    if not report:
        return as_text(summary)
    from llark.prepare.report import write

    return f"{as_text(summary)}\n  report: {write(summary)}"
