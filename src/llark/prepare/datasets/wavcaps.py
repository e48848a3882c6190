"""WavCaps: 403,050 sounds with captions made from their descriptions; those that speak of music are read.

Layout checked against github.com/XinhaoMei/WavCaps at a5a9649 (its file of SoundBible is read whole, 1,232
sounds; its loaders name the fields) and, for the other three files, against public scripts that quote a row
of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from llark.errors import UserMustAct
from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "403,050 sounds of FreeSound, BBC Sound Effects, SoundBible and AudioSet, each with a caption that "
    "ChatGPT made from its description or labels. Captions without a word of music (`MUSIC_WORDS`, whole "
    "words) and of fewer than 4 words are drops, `not-music` and `short-caption`. The split keeps the "
    "sounds of an author together: " + reading.RULE
)

CITATION = ("mei2024wavcaps",)

LICENCE = "academic use only; each sound its source's licence"

FILES = {
    "json_files/FreeSound/fsd_final.json": "captions of the sounds of FreeSound",
    "json_files/BBC_Sound_Effects/bbc_final.json": "of BBC Sound Effects",
    "json_files/SoundBible/sb_final.json": "of SoundBible",
    "json_files/AudioSet_SL/as_final.json": "of AudioSet; at least one of the four must be there, in "
    "`json_files`, `data/json_files` or the root",
    "waveforms/*/*.flac": "the sounds in the folder of their source, in `waveforms`, `Audio`, `audio`, "
    "`Zip_files` or the root",
}

WHERE = "huggingface.co (cvssp/WavCaps)"

SPLITS = ("train", "validation", "test")

SPLITS_FROM = reading.RULE

LABELS = ("caption", "description", "tags", "title", "author")

SOURCES = {
    "FreeSound": "fsd_final.json",
    "BBC_Sound_Effects": "bbc_final.json",
    "SoundBible": "sb_final.json",
    "AudioSet_SL": "as_final.json",
}
"""Source → its file of captions."""

MUSIC_WORDS = frozenset((
    "accordion", "anthem", "arpeggio", "bagpipe", "ballad", "banjo", "bassline", "bassoon", "beatbox",
    "beatboxing", "bongo", "carol", "cellist", "cello", "choir", "chord", "clarinet", "conga",
    "didgeridoo", "disco", "djembe", "drum", "drumbeat", "drummer", "drumming", "drumroll", "dubstep",
    "fiddle", "flute", "gamelan", "glockenspiel", "gospel", "guitar", "guitarist", "harmonica", "harmony",
    "harp", "harpsichord", "hymn", "instrumental", "jazz", "kalimba", "lullaby", "lute", "lyre", "lyrics",
    "mandolin", "marimba", "music", "musical", "musically", "musician", "oboe", "ocarina", "opera",
    "orchestra", "orchestral", "percussion", "pianist", "piano", "rapper", "reggae", "rhythm", "rhythmic",
    "riff", "saxophone", "serenade", "singer", "sitar", "soprano", "sousaphone", "strum", "strumming",
    "symphony", "synth", "synthesizer", "tabla", "tambourine", "techno", "tenor", "timpani", "trombone",
    "trumpet", "tuba", "ukulele", "vibraphone", "viola", "violin", "violinist", "vocalist", "waltz",
    "xylophone", "zither",
))  # fmt: skip
"""A caption speaks of music when one of these is a word of it, alone or with -s, -es or -ies."""

SUNG_WORDS = frozenset((
    "choral", "chorus", "harmonious", "melodic", "melody", "sing", "singing", "song", "tune",
))  # fmt: skip
"""So do these, unless one of `ANIMALS` is in it too."""

ANIMALS = frozenset((
    "bird", "birdsong", "blackbird", "canary", "chick", "cicada", "cricket", "dove", "finch",
    "flycatcher", "frog", "gull", "insect", "lark", "locust", "nightingale", "owl", "robin", "rooster",
    "songbird", "sparrow", "swallow", "thrush", "toad", "warbler", "whale", "wolf", "wren",
))  # fmt: skip

FEWEST_WORDS = 4

_JSON = ("json_files/", "data/json_files/", "")
_AUDIO = ("waveforms/", "Audio/", "audio/", "Zip_files/", "")
_NOT_KEPT = ("audio", "wav_path", "id", "caption")


def read_tracks(
    root: str | Path, split: str | None = None, *, music_only: bool = True, fewest_words: int = FEWEST_WORDS
) -> Iterator[Track | Dropped]:
    """One track a sound; its id is the source and the source's id. `music_only=False` keeps all sounds."""
    rows = _rows(Root(root), music_only, fewest_words)
    return tracks(rows, split, SPLITS, dataset="wavcaps", licence=LICENCE)


def _rows(root: Root, music_only: bool, fewest_words: int) -> Iterator[Row | Dropped]:
    root.need(
        *(f"{base}{source}/{file}" for base in _JSON for source, file in SOURCES.items()), *SOURCES.values()
    )
    for source, file in SOURCES.items():
        path = root.first(*(f"{base}{source}/{file}" for base in _JSON), file)
        for index, entry in enumerate(_entries(root, path) if path else ()):
            id_ = str(entry.get("id") or "") if isinstance(entry, dict) else ""
            if not id_ or not str(entry.get("caption") or "").strip():
                yield reading.malformed(
                    f"{source}/{id_ or index}", f"Entry {index} of {path} has no id or no caption."
                )
                continue
            author = entry.get("author")
            group = f"{source} author {author}" if author else f"{source}/{id_}"
            make = partial(_track, root, music_only, fewest_words, source, group, entry)
            yield Row(f"{source}/{id_.removesuffix('.wav')}", reading.split_of(group), make)


def _entries(root: Root, path: str) -> list[Any]:
    content = root.json(path)
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise UserMustAct(f"{root.full(path)} has no list `data`, as the files of WavCaps have.")
    return content["data"]


def _track(
    root: Root, music_only: bool, fewest_words: int, source: str, group: str, entry: Mapping[str, Any]
) -> Track:
    caption, name = str(entry["caption"]).strip(), str(entry["id"]).removesuffix(".wav")
    if music_only and not speaks_of_music(caption):
        raise BadRow("not-music", f"No word of music is in: {caption}")
    if len(caption.split()) < fewest_words:
        raise BadRow("short-caption", f"Fewer than {fewest_words} words: {caption}")
    stems = [f"{base}{folder}/{name}" for base in _AUDIO for folder in (source, f"{source}_flac")]
    path = reading.recording(root, *stems)
    kept = {field: value for field, value in entry.items() if field not in _NOT_KEPT}
    if str(kept.get("category")).startswith("["):  # BBC Sound Effects writes the list as text
        kept["category"] = reading.literal_list(str(kept["category"]), "category")
    return Track(
        f"{source}/{name}",
        path,
        title=str(entry.get("title") or entry.get("file_name") or "") or None,
        artist=str(entry.get("author") or "") or None,
        duration_seconds=reading.number(entry.get("duration"), "duration"),
        group=group,
        captions=(caption,),
        metadata=reading.known({"source": source, **kept}),
    )


def speaks_of_music(caption: str) -> bool:
    """Whether a whole word of the caption is one of music: `guitars`, but not `business` or a bird's song."""
    words = {form for word in re.findall(r"[a-z]+", caption.lower()) for form in _singulars(word)}
    return bool(words & MUSIC_WORDS) or bool(words & SUNG_WORDS and not words & ANIMALS)


def _singulars(word: str) -> tuple[str, ...]:
    """The word, and what it may be the plural of."""
    return (
        word,
        word.removesuffix("s"),
        word.removesuffix("es"),
        f"{word[:-3]}y" if word.endswith("ies") else word,
    )
