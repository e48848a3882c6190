"""NSynth instrument: the family of a single note, one of eleven (Engel et al. 2017).

`accuracy` reads the answer leniently ("an electric guitar" is guitar, "a saxophone" reed); `exact` counts
answers that are the family's name and nothing else, the way in which MiDashengLM's and MARBLE's numbers are
made: MiDashengLM's stored answers are 3,298 of 4,096 exact. "Synth lead" never occurs in the test split.
"""

from __future__ import annotations

from llark.evaluate.task import label_task

TASK = label_task(
    "nsynth_instrument",
    source="nsynth",
    fact="instruments",
    about=__doc__,
    version=1,
    question=(
        "Which instrument family plays this note: bass, brass, flute, guitar, keyboard, mallet, organ, reed, "
        "string, synth_lead or vocal?"
    ),
)
