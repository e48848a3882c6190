"""NSynth instrument: the family of a single note, one of eleven (Engel et al. 2017).

`accuracy` reads the answer leniently ("an electric guitar" is guitar, "a saxophone" reed); `exact` counts
answers that are the family's name and nothing else, the way in which MiDashengLM's and MARBLE's numbers are
made: MiDashengLM's stored answers are 3,298 of 4,096 exact. "Synth lead" never occurs in the test split.
"""

from __future__ import annotations

from llark.evaluate.task import MIDASHENG, MOSS, LabelTask, Published, every_label, label_of
from llark.music.readers import Labels

SOURCE = "nsynth"
FAMILIES = Labels(
    {
        "bass": "bass guitar|electric bass|double bass|synth bass",
        "brass": "trumpet|trombone|horn|french horn|tuba",
        "flute": "piccolo|recorder",
        "guitar": "acoustic guitar|electric guitar",
        "keyboard": "piano|electric piano|harpsichord|clavinet|rhodes",
        "mallet": "marimba|xylophone|vibraphone|glockenspiel|bell|mallets",
        "organ": "hammond|pipe organ|church organ",
        "reed": "saxophone|sax|clarinet|oboe|bassoon",
        "string": "violin|viola|cello|harp",
        "synth_lead": "synth lead|lead synth|synthesizer lead|synth",
        "vocal": "voice|vocals|singer|singing|choir",
    }
)

TASK = LabelTask(
    about=__doc__,
    version=1,
    question=(
        "Which instrument family plays this note: bass, brass, flute, guitar, keyboard, mallet, organ, reed, "
        "string, synth_lead or vocal?"
    ),
    reader=FAMILIES.first,
    strict_reader=FAMILIES.alone,
    truth=label_of("instruments", SOURCE, FAMILIES),
    constants=every_label(FAMILIES),
    sources=(SOURCE,),
    published=(
        Published("accuracy", "NSynth test", "MOSS-Music-8B", 0.8655, MOSS, "V"),
        Published("exact", "NSynth test, 4,096", "MiDashengLM-7B", 3298 / 4096, MIDASHENG, "V"),
        Published("accuracy", "NSynth test, rerun by MOSS", "Qwen3-Omni", 0.309, MOSS, "V"),
    ),
)
