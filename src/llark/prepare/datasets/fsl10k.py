"""FSL10K, the Freesound Loop Dataset: 9,455 loops, some 3,000 of them annotated by researchers.

Layout checked against the program that wrote it, the annotation tool of its makers (folders, fields and their
values; github.com/aframires/freesound-loop-annotator at 47a08f6), and against public scripts that read both
archives; the data themselves were not at hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, Unreadable, tracks
from llark.records import METER_NAMES, Dropped, Key, Meter, Tag, Tags, Tempo, Track

ABOUT = (
    "9,455 loops of freesound.org with what their makers wrote; some 3,000 are annotated by one researcher "
    "or more with tempo, meter, key, genre and the parts that play. Where annotators differ, the commonest "
    "answer is kept, with the share of annotators who gave it as its confidence. A loop that an annotator "
    "discarded is a drop; an answer that was saved for later is no answer. The tempo and key that a program "
    "found (`ac_analysis`) are not read. The split keeps all loops of a Freesound user together: "
    + reading.RULE
)

CITATION = ("ramires2020freesound",)

LICENCE = "each loop its own Creative Commons licence"

FILES = {
    "FSL10K/audio/wav/123_user_name.wav": "the loops; a name begins with the number of the sound; also in "
    "`audio/wav`",
    "FSL10K/fs_analysis/123.json": "optional: name, user, tags, description, licence, pack; or "
    "`metadata.json`, which holds all of them",
    "FSL10K/parent_genres.json": "optional: the genres that the tags speak of",
    "annotations/*/sound-123.json": "optional: the annotations, a folder an annotator; also in `FSL10K`",
}

WHERE = "zenodo.org/records/3967852 (Freesound Loop Dataset)"

SPLITS = ("train", "validation", "test")

SPLITS_FROM = reading.RULE

LABELS = ("tempo", "meter", "key", "genre", "parts", "tags", "description", "licence")

PARTS = ("percussion", "bass", "chords", "melody", "fx", "vocal")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a loop, annotated or not; its id is the number of the sound on Freesound."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="fsl10k")


def _rows(root: Root) -> Iterator[Row | Dropped]:
    base = root.need("FSL10K", "audio").removesuffix("audio")
    base = f"{base}/" if base else ""
    loops = {name.partition("_")[0].partition(".")[0]: name for name in root.listing(f"{base}audio/wav")}
    described = [name.removesuffix(".json") for name in root.files(f"{base}fs_analysis", ".json")]
    judged, joined = _annotation_files(root, base), _table(root, f"{base}metadata.json")
    genres = _table(root, f"{base}parent_genres.json")
    numbers = {id_ for id_ in (*loops, *described, *joined, *judged) if id_.isdecimal()}
    for id_ in sorted(numbers, key=int):
        try:
            page = _page(root, f"{base}fs_analysis/{id_}.json", joined.get(id_))
        except (BadRow, Unreadable) as bad:
            yield reading.malformed(id_, str(bad))
            continue
        group = f"user {page['username']}" if page.get("username") else id_
        loop = f"{base}audio/wav/{loops[id_]}" if id_ in loops else ""
        page = {**page, "parent_genres": genres.get(id_)}
        make = partial(_track, root, id_, loop, group, page, judged.get(id_, []))
        yield Row(id_, reading.split_of(group), make)


def _table(root: Root, path: str) -> Mapping[str, Any]:
    """A file of many loops, by their numbers; empty where there is none."""
    content = root.json(path) if root.has(path) else {}
    return content if isinstance(content, dict) else {}


def _page(root: Root, path: str, joined: Any) -> Mapping[str, Any]:
    """What the maker wrote, from the loop's own file or the one of all."""
    if root.has(path):
        return reading.page_of(root, path)
    return joined if isinstance(joined, dict) else {}


def _annotation_files(root: Root, base: str) -> dict[str, list[str]]:
    """Sound number → the files of its annotators, in order of their names."""
    files: dict[str, list[str]] = {}
    for folder in dict.fromkeys(("annotations", f"{base}annotations")):
        for annotator in root.folders(folder):
            for name in root.files(f"{folder}/{annotator}", ".json"):
                id_ = name.removeprefix("sound-").removesuffix(".json")
                files.setdefault(id_, []).append(f"{folder}/{annotator}/{name}")
    return files


def _track(
    root: Root, id_: str, loop: str, group: str, page: Mapping[str, Any], judged: Sequence[str]
) -> Track:
    if not loop:
        raise BadRow("missing-audio", f"{root.where} has no recording that begins with {id_}_ in audio/wav.")
    answers = [answer for path in judged if not (answer := reading.page_of(root, path)).get("save_for_later")]
    if any(answer.get("discard") for answer in answers):
        raise BadRow("discarded-by-annotator", f"An annotator of the loop {id_} chose to leave it out.")
    return Track(
        id_,
        root.full(loop),
        licence=str(page.get("license") or LICENCE),
        title=str(page.get("name") or "") or None,
        artist=str(page.get("username") or "") or None,
        group=group,
        album=str(page.get("pack_name") or "") or None,
        truth=reading.truth(
            id_,
            None,
            tempo=_tempo(answers),
            meter=_meter(answers),
            key=_key(answers),
            genre=_shares([answer.get("genres") or [] for answer in answers]),
        ),
        metadata=reading.known(_metadata(page, answers)),
    )


def _metadata(page: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    plain = {name: value for name, value in page.items() if not isinstance(value, dict)}
    guess = page.get("annotations")
    parts = _shares([[part for part in PARTS if _says(answer, part)] for answer in answers])
    fields = ("signature", "key", "mode")
    agreed = {name: _commonest([str(answer.get(name) or "") for answer in answers])[0] for name in fields}
    cuts = [answer["well_cut"] for answer in answers if isinstance(answer.get("well_cut"), bool)]
    return {
        **plain,
        "bpm_as_written": [answer.get("bpm") for answer in answers],
        "bpm_by_maker": _bpm(guess.get("bpm")) if isinstance(guess, dict) else None,
        "instrumentation": [tag.label for tag in parts.tags if tag.confidence >= 0.5],
        **agreed,
        "well_cut": all(cuts) if cuts else None,
        "comments": [answer.get("comments") or "" for answer in answers],
        "annotators": len(answers),
    }


def _says(answer: Mapping[str, Any], part: str) -> bool:
    parts = answer.get("instrumentation")
    return isinstance(parts, dict) and bool(parts.get(part))


def _commonest(values: Sequence[str]) -> tuple[str, float]:
    """The value given most, the first of equals, and the share of annotators who gave it."""
    if not values:
        return "", 0.0
    value, count = Counter(values).most_common(1)[0]
    return value, count / len(values)


def _shares(lists: Sequence[Sequence[str]]) -> Tags:
    counts = Counter(label for labels in lists for label in dict.fromkeys(map(str, labels)))
    ranked = tuple(Tag(label, count / len(lists)) for label, count in counts.most_common())
    return Tags(ranked, ranked[0].confidence, "fsl10k") if ranked else Tags()


def _tempo(answers: Sequence[Mapping[str, Any]]) -> Tempo:
    """`90` and `90.0` are one answer; a text that is no number, which annotators could type, is none."""
    tempi = [None if a.get("defined_tempo") is False else _bpm(a.get("bpm")) for a in answers]
    text, share = _commonest(["" if bpm is None else str(bpm) for bpm in tempi])
    return Tempo(float(text), share, "fsl10k") if text else Tempo()


def _bpm(written: object) -> float | None:
    try:
        bpm = reading.number(written, "bpm")
    except BadRow:
        return None
    return bpm if bpm and bpm > 0 else None


def _meter(answers: Sequence[Mapping[str, Any]]) -> Meter:
    text, share = _commonest([str(answer.get("signature") or "") for answer in answers])
    beats = {name: count for count, name in METER_NAMES.items()}.get(text)
    return Meter(beats, share, "fsl10k") if beats else Meter()


def _key(answers: Sequence[Mapping[str, Any]]) -> Key:
    text, share = _commonest([f"{answer.get('key')} {answer.get('mode')}" for answer in answers])
    name = reading.key_of(text, "fsl10k").name
    return Key(name, share, "fsl10k") if name else Key()
