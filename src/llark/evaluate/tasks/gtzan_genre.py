"""GTZAN genre: one of ten, as Tzanetakis and Cook (2002) label 1,000 excerpts.

`accuracy` is the published string match: the first of the ten that the answer names, "hip-hop" in any
spelling. Prepare the fault-filtered test split (290 excerpts) with `llark prepare --dataset gtzan`; scores on
all 1,000, as in the LLark paper, are not comparable. Embedding match: `llark judge --how embed`.
"""

from __future__ import annotations

from llark.evaluate.task import LLARK, MOSS, LabelTask, Published, every_label, label_of
from llark.music.readers import Labels

SOURCE = "gtzan"
GENRES = Labels(
    {
        "blues": "bluesy|boogie woogie",
        "classical": "baroque|orchestral|chamber|opera|symphonic|romantic",
        "country": "bluegrass|honky tonk|country and western",
        "disco": "nu disco",
        "hiphop": "hip hop|rap|trap|boom bap",
        "jazz": "jazzy|bebop|bop|swing|big band|dixieland|smooth jazz",
        "metal": "heavy metal|death metal|black metal|thrash metal|thrash|metalcore",
        "pop": "popular|synthpop|synth pop",
        "reggae": "ska|dub|rocksteady|dancehall",
        "rock": "rock n roll|rock and roll|hard rock|punk|grunge|alternative|indie",
    }
)

TASK = LabelTask(
    about=__doc__,
    version=1,
    question="What genre is this music?",
    reader=GENRES.first,
    strict_reader=GENRES.alone,
    truth=label_of("genre", SOURCE, GENRES),
    constants=every_label(GENRES),
    sources=(SOURCE,),
    published=(
        Published("accuracy", "GTZAN, own protocol", "MOSS-Music-8B", 0.9359, MOSS, "V"),
        Published("accuracy", "GTZAN, rerun by MOSS", "Music Flamingo", 0.8445, MOSS, "V"),
        Published("accuracy", "GTZAN, rerun by MOSS", "Qwen3-Omni", 0.8015, MOSS, "V"),
        Published("accuracy", "GTZAN, all 1,000, string match", "LLark", 0.568, LLARK, "V"),
        Published("accuracy", "GTZAN, embedding acc@1", "LLark", 0.558, LLARK, "V"),
    ),
)
