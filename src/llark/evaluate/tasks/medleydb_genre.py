"""MedleyDB genre: one of the nine that its metadata give a recording (Bittner et al. 2014).

`accuracy` is the string match: the first of the nine that the answer names. The LLark notebooks score 98
clips of eight genres, with intervals that are computed for 1,000.
"""

from __future__ import annotations

from llark.evaluate.task import LLARK, LabelTask, Published, every_label, label_of
from llark.music.readers import Labels

SOURCE = "medleydb"
GENRES = Labels(
    {
        "singer/songwriter": "singer songwriter|singer-songwriter|songwriter|acoustic ballad",
        "classical": "baroque|orchestral|chamber|opera|symphonic|romantic",
        "rock": "rock n roll|rock and roll|hard rock|punk|grunge|alternative|indie|metal|heavy metal",
        "world/folk": "world|folk|world music|folk music|celtic|traditional|klezmer",
        "fusion": "jazz fusion|jazz rock",
        "jazz": "jazzy|bebop|bop|swing|big band|dixieland",
        "pop": "popular|synthpop|synth pop|dance|electronic",
        "musical theatre": "musical theater|musical|broadway|show tune|theatre|theater",
        "rap": "hip hop|hiphop|trap|boom bap",
    }
)

TASK = LabelTask(
    about=__doc__,
    version=1,
    question="What genre is this song?",
    reader=GENRES.first,
    strict_reader=GENRES.alone,
    truth=label_of("genre", SOURCE, GENRES),
    constants=every_label(GENRES),
    sources=(SOURCE,),
    published=(
        Published("accuracy", "MedleyDB, 98 clips, embedding acc@1", "LLark", 0.561, LLARK, "V"),
        Published("accuracy", "MedleyDB, 98 clips, string match", "LLark", 0.439, LLARK, "V"),
    ),
)
