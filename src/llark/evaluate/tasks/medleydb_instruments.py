"""MedleyDB instruments: which of twenty words fit the stems of the recording (Bittner et al. 2014).

MedleyDB's labels are mapped to the words that people say; several labels of one word ("clean electric
guitar", "acoustic guitar") are one guitar, and an answer "guitar" is right once, where the published notebook
counts a wrong guitar for each label that is silent. The truth is the recording's, not the clip's: an
instrument that rests in the clip counts as there. `clip_f1` is the published mean over tracks.
"""

from __future__ import annotations

from llark.evaluate.task import LLARK, Published, SetTask
from llark.music.readers import Labels
from llark.records import Annotation

SOURCE = "medleydb"
_TABLE = {
    "voice": "male singer|female singer|vocalist|singer|vocals|male rapper|female rapper|male speaker"
    "|female speaker|male screamer|female screamer|beatboxing|vocal|singing|choir|rapper",
    "drums": "drum set|drum machine|kick drum|snare drum|toms|high hat|cymbal|drum kit|bass drum|drum|hi hat",
    "percussion": "auxiliary percussion|tabla|bongo|conga|darbuka|doumbek|tambourine|shaker|maracas|claps"
    "|sleigh bells|gong|timpani|castanet|whistle|cowbell|triangle|guiro|chimes",
    "bass": "electric bass|bass guitar",
    "double bass": "upright bass|contrabass",
    "guitar": "clean electric guitar|distorted electric guitar|acoustic guitar|electric guitar"
    "|lap steel guitar|slide guitar|distorted guitar",
    "banjo": "",
    "mandolin": "ukulele|oud|zither|liuqin|yangqin|guzheng|dilruba|sitar",
    "piano": "tack piano|electric piano|grand piano|rhodes",
    "organ": "electronic organ|pipe organ|hammond|harmonium",
    "synthesizer": "synth|synthesiser|sampler|fx/processed sound|scratches|keyboard",
    "accordion": "melodica|harmonica|concertina",
    "strings": "string section|viola section|violin section|cello section|erhu|viola|string ensemble",
    "violin": "fiddle",
    "cello": "violoncello",
    "harp": "",
    "mallets": "vibraphone|glockenspiel|xylophone|marimba|bells",
    "brass": "brass section|trumpet section|french horn section|trombone section|horn section|trumpet"
    "|trombone|french horn|tuba|horn|euphonium|cornet",
    "saxophone": "alto saxophone|tenor saxophone|baritone saxophone|soprano saxophone|sax",
    "woodwind": "flute|flute section|clarinet|clarinet section|bass clarinet|oboe|bassoon|english horn"
    "|piccolo|bamboo flute|dizi|panpipes|recorder",
}
INSTRUMENTS = Labels(_TABLE)
_WORDS = {label: word for word, others in _TABLE.items() for label in (word, *others.split("|")) if label}


def _truth(annotation: Annotation) -> frozenset[str] | None:
    if annotation.instruments.source != SOURCE:
        return None
    words = {word for label in annotation.instruments.labels if (word := _WORDS.get(label.lower()))}
    return frozenset(words) or None


TASK = SetTask(
    about=__doc__,
    version=1,
    question="List the instruments you hear in this clip.",
    reader=INSTRUMENTS.every,
    strict_reader=INSTRUMENTS.listed,
    truth=_truth,
    sources=(SOURCE,),
    published=(
        Published("clip_f1", "MedleyDB, constant answer", "constant", 0.2523, LLARK, "V"),
        Published("clip_f1", "MedleyDB, notebook as saved", "ImageBind-LLM", 0.2505, LLARK, "V"),
    ),
)
