"""Medley-solos-DB: which of eight instruments plays alone (Lostanlen and Cella 2016)."""

from __future__ import annotations

from llark.evaluate.task import label_task

TASK = label_task(
    "medley_solos_instrument",
    source="medley_solos_db",
    fact="instruments",
    about=__doc__,
    version=1,
    question=(
        "Which instrument plays: clarinet, distorted electric guitar, female singer, flute, piano, tenor "
        "saxophone, trumpet or violin?"
    ),
)
