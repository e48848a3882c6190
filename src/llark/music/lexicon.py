"""The words for instruments and genres, as people write them: one table for fact check and scorers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from llark.records import GENRES, INSTRUMENTS

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "guitar": ("acoustic guitar", "electric guitar", "distorted guitar"),
    "keyboard": ("piano", "electric piano", "harpsichord", "organ", "synth"),
    "woodwind": ("saxophone", "clarinet", "flute"),
}
"""Words for several instruments at once: each names one member, whichever the music has."""

NEAR: Mapping[str, tuple[str, ...]] = {
    "strings": ("violin", "cello"), "violin": ("strings",), "cello": ("strings",), "brass": ("trumpet",),
    "trumpet": ("brass",), "voice": ("choir",), "choir": ("voice",), "piano": ("electric piano",),
    "electric guitar": ("distorted guitar",), "drums": ("mallets",), "synth": ("electric piano", "organ"),
}  # fmt: skip
"""A word that is no mistake where only one of these is heard."""

OTHER_INSTRUMENT = "other instrument"
"""Stands for instruments that the records have no word for: named, and not scored."""

NO_INSTRUMENT = ""
"""Stands for phrases with the name of an instrument that mean none."""

AMBIGUOUS = frozenset({"keys", "string", "vibes", "ep", "bell", "reed", "kick", "rap", OTHER_INSTRUMENT})
"""PhraseFinder that name an instrument in an answer to "what plays?", and in prose mostly something else."""

_INSTRUMENT_WORDS: Mapping[str, str] = {
    "piano": "grand piano|upright piano|acoustic piano|honky tonk piano|pianist|pianoforte|piano keys",
    "electric piano": (
        "rhodes|rhodes piano|fender rhodes|wurlitzer|e piano|ep|electric grand piano|digital piano"
        "|electronic piano|dx7"
    ),
    "harpsichord": "cembalo|clavecin|harpsichordist",
    "organ": (
        "hammond|hammond organ|church organ|pipe organ|rock organ|electric organ|reed organ|organist"
        "|harmonium"
    ),
    "accordion": "accordeon|bandoneon|concertina|squeezebox",
    "mallets": (
        "mallet|vibraphone|vibes|xylophone|marimba|glockenspiel|celesta|celeste|tubular bell|music box"
        "|mallet percussion|mallet instrument|bell|dulcimer|steel drum"
    ),
    "acoustic guitar": (
        "nylon guitar|nylon string guitar|nylon acoustic guitar|steel string guitar|classical guitar"
        "|spanish guitar|folk guitar|twelve string guitar|12 string guitar|acoustic steel guitar"
        "|acoustic steel string guitar|acoustic nylon guitar|flamenco guitar|strummed guitar"
        "|fingerpicked guitar"
    ),
    "electric guitar": (
        "clean guitar|clean electric guitar|jazz guitar|muted guitar|electric lead guitar"
        "|electric rhythm guitar|jazz electric guitar|muted electric guitar"
    ),
    "distorted guitar": (
        "distorted electric guitar|overdriven guitar|overdriven electric guitar|distortion guitar"
        "|heavy guitar|heavily distorted guitar|fuzz guitar|fuzzy guitar|electric guitar with distortion"
        "|guitar with distortion|crunchy guitar|metal guitar"
    ),
    "bass": (
        "bass guitar|electric bass|electric bass guitar|acoustic bass|double bass|upright bass"
        "|contrabass|string bass|fretless bass|slap bass|synth bass|bassist|bassline|bass line"
    ),
    "strings": (
        "string|string section|string ensemble|string quartet|string orchestra|orchestral string"
        "|synth string|string instrument|bowed string"
    ),
    "violin": "fiddle|viola|violist|violinist|fiddler",
    "cello": "violoncello|cellist|celli",
    "harp": "harpist",
    "choir": "choral voice|vocal choir|backing choir|chorus of voices|choral|choral singing",
    "brass": (
        "brass section|brass ensemble|horn section|horn|french horn|trombone|tuba"
        "|brass instrument|flugelhorn|brass band"
    ),
    "trumpet": "cornet|muted trumpet|trumpeter",
    "saxophone": (
        "sax|alto sax|tenor sax|soprano sax|baritone sax|bari sax|alto saxophone|tenor saxophone"
        "|soprano saxophone|baritone saxophone|saxophonist|saxes"
    ),
    "clarinet": "bass clarinet|clarinettist|clarinetist",
    "flute": "piccolo|recorder|pan flute|panpipe|flutist|flautist|alto flute|tin whistle",
    "synth": (
        "synthesizer|synthesiser|synth brass|synth lead|synth pad|lead synth|analog synth|analogue synth"
        "|electronic synth"
    ),
    "drums": (
        "drum|drum kit|drumkit|drum set|drumset|drum machine|electronic drum|synth drum|percussion"
        "|percussive instrument|snare|snare drum|bass drum|kick drum|kick|hi hat|hihat|cymbal|tom tom"
        "|conga|bongo|drummer|drumming|tambourine|shaker|beatbox"
    ),
    "voice": (
        "vocal|vocalist|singer|singing|sung|sings|lead vocal|male vocal|female vocal|human voice"
        "|male voice|female voice|rapper|rapping|rap|a cappella|backing vocal|background vocal"
    ),
    "guitar": "lead guitar|rhythm guitar|slide guitar|steel guitar|pedal steel guitar|guitarist|six string",
    "keyboard": "keys|keyboardist",
    "woodwind": "woodwind instrument|wind instrument|reed",
    OTHER_INSTRUMENT: (
        "oboe|english horn|cor anglais|bassoon|banjo|mandolin|ukulele|sitar|harmonica|timpani|kettledrum"
        "|bagpipe|lute|zither|koto|shakuhachi|theremin|turntable|ocarina|didgeridoo|castanet"
    ),
    NO_INSTRUMENT: "bass note|bass clef|bass voice|bass frequency|bass frequencies|bass end|bass range",
}

_GENRE_WORDS: Mapping[str, str] = {
    "rock": (
        "rock n roll|rock 'n' roll|rock and roll|rock & roll|punk|grunge|indie|alternative|classic rock"
        "|hard rock|soft rock|progressive rock|prog|rocker|rockabilly|surf"
    ),
    "pop": "popular|synthpop|synth pop|k pop|britpop",
    "jazz": "swing|bebop|bop|big band|dixieland|ragtime|fusion|jazzy|cool jazz|smooth jazz|stride",
    "blues": "bluesy|boogie|boogie woogie",
    "country": "bluegrass|western|honky tonk|americana|country and western",
    "folk": (
        "celtic|irish|traditional|reel|jig|hornpipe|folky|folk dance|folk music|folk song|strathspey"
        "|polka|klezmer|singer songwriter|fiddle tune"
    ),
    "latin": (
        "bossa nova|bossa|samba|salsa|tango|mambo|cha cha|cha cha cha|rumba|rhumba|beguine|bolero"
        "|merengue|cumbia|calypso|flamenco|latino|latin dance"
    ),
    "funk": "funky",
    "soul": "r&b|r & b|rnb|r and b|rhythm and blues|motown|gospel|neo soul",
    "reggae": "ska|dub|rocksteady",
    "dance": (
        "edm|techno|house|trance|disco|electronic|electronic dance|electronica|electro|dubstep"
        "|drum and bass|drum n bass|eurodance|club|electronic dance music|dance music|deep house"
    ),
    "classical": (
        "baroque|romantic|orchestral|chamber|opera|operatic|symphonic|chorale|symphony|sonata|fugue|hymn"
        "|string quartet|choral|minuet"
    ),
    "metal": (
        "heavy metal|death metal|black metal|thrash|thrash metal|metalcore|power metal|doom metal|metallic"
    ),
    "ambient": "new age|drone|atmospheric|chillout|chill out|downtempo|soundscape",
    "march": "marching|marching band|military|military march",
    "waltz": "waltzes|viennese waltz|jazz waltz|country waltz",
    "hip hop": "hiphop|rap|trap|boom bap",
    "soundtrack": "cinematic|film music|film score|game music|video game music",
    "world": "world music|indian|african|arabic|middle eastern",
    "children's": "children's music|nursery rhyme|lullaby",
}
"""The last rows are styles that the records have no word for: an answer, and never a right one."""


class Named(NamedTuple):
    """A phrase of a table that a text has."""

    word: str
    """The word of the table that the phrase stands for."""
    phrase: str
    """The phrase as the table writes it: lower-case, single spaces, no plural ending."""
    start: int
    end: int


class PhraseFinder:
    """Finds the phrases of a table in a text, the longest first."""

    def __init__(self, table: Mapping[str, str]) -> None:
        """`table`: each word → other phrases for it, divided by `|`."""
        self._word = {word: word for word in table if word}
        for word, others in table.items():
            self._word.update({phrase: word for phrase in others.split("|") if phrase})
        longest_first = sorted(self._word, key=lambda phrase: (-len(phrase), phrase))
        options = "|".join(re.escape(phrase).replace(r"\ ", r"[\s\-]+") for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w&])({options})(?:e?s)?(?![\w&])")

    def find(self, text: str) -> list[Named]:
        """What is named in `text`, which is lower-case; in the order of the text."""
        matches = [
            (re.sub(r"[\s\-]+", " ", match[1]), match.span()) for match in self._pattern.finditer(text)
        ]
        mentions = [Named(self._word[phrase], phrase, *span) for phrase, span in matches]
        return [named for named in mentions if named.word != NO_INSTRUMENT]


INSTRUMENT_PHRASES = PhraseFinder({**dict.fromkeys(INSTRUMENTS, ""), **_INSTRUMENT_WORDS})
GENRE_PHRASES = PhraseFinder({**dict.fromkeys(GENRES, ""), **_GENRE_WORDS})
