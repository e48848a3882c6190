"""Medley-solos-DB: which of eight instruments plays alone (Lostanlen and Cella 2016)."""

from __future__ import annotations

from llark.evaluate.task import MOSS, LabelTask, Published, every_label, label_of
from llark.music.readers import Labels

SOURCE = "medley_solos_db"
INSTRUMENTS = Labels(
    {
        "clarinet": "clarinettist",
        "distorted electric guitar": "distorted guitar|electric guitar|guitar|overdriven guitar",
        "female singer": "female voice|female vocal|singer|voice|vocal|vocals|singing|soprano|woman singing",
        "flute": "flutist",
        "piano": "grand piano|pianist",
        "tenor saxophone": "saxophone|sax|tenor sax|alto saxophone",
        "trumpet": "trumpeter",
        "violin": "fiddle|violinist",
    }
)

TASK = LabelTask(
    about=__doc__,
    version=1,
    question=(
        "Which instrument plays: clarinet, distorted electric guitar, female singer, flute, piano, tenor "
        "saxophone, trumpet or violin?"
    ),
    reader=INSTRUMENTS.first,
    strict_reader=INSTRUMENTS.alone,
    truth=label_of("instruments", SOURCE, INSTRUMENTS),
    constants=every_label(INSTRUMENTS),
    sources=(SOURCE,),
    published=(Published("accuracy", "Medley-solos-DB", "MOSS-Music-8B", 0.9242, MOSS, "V"),),
)
