"""What a prepared folder holds, summed up in one pass over its records: nothing grows with their number."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llark.errors import UserMustAct
from llark.prepare.datasets import Dataset
from llark.records import Annotation, Clip, Dropped, Track
from llark.storage import folders, stages

PAGE = "prepared.json"

_MOST_WORDS = 20_000
"""Different tags that are counted; a data set with more has the rest left out."""

_TAGS = re.compile("tag|genre|instrument|mood|aspect|qualit|categor")
"""Names of the fields whose lists are tags; other lists hold names, numbers and comments."""

_EXAMPLES = 3


@dataclass
class SplitCounts:
    """One split, counted."""

    tracks: int = 0
    clips: int = 0
    track_seconds: float = 0.0
    clip_seconds: float = 0.0


@dataclass
class PrepareSummary:
    """Counts of a prepared folder."""

    dataset: str = ""
    source: str = ""
    out: str = ""
    splits: dict[str, SplitCounts] = field(default_factory=dict)
    truths: int = 0
    captions: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Whole tracks that were lost, by reason."""
    dropped: Counter[str] = field(default_factory=Counter)
    """All losses by reason, those of single clips among them."""
    examples: dict[str, list[Dropped]] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    """Tracks by the whole seconds of their length."""
    licences: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    rates: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    """Genres, instruments, moods and tags, by the number of tracks that have them."""
    tracks_with_clips: int = 0
    """Tracks that clips are of; the clips of a track follow each other."""
    _last: str | None = field(default=None, repr=False)

    @property
    def whole(self) -> SplitCounts:
        """All splits together."""
        parts = self.splits.values()
        return SplitCounts(
            sum(p.tracks for p in parts),
            sum(p.clips for p in parts),
            sum(p.track_seconds for p in parts),
            sum(p.clip_seconds for p in parts),
        )

    def add_track(self, track: Track) -> None:
        part = self.splits.setdefault(track.split, SplitCounts())
        part.tracks += 1
        seconds = _seconds(track)
        part.track_seconds += seconds
        self.captions += len(track.captions)
        self.lengths[int(seconds)] += 1
        self.licences[track.licence] += 1
        self.formats[str(track.metadata.get("audio.format", "?"))] += 1
        channels = {1: "mono", 2: "stereo"}.get(int(str(track.metadata.get("audio.channels", 0))), "more")
        self.rates[f"{track.metadata.get('audio.sample_rate', '?')} Hz {channels}"] += 1
        for word in set(_words(track)):
            if word in self.words or len(self.words) < _MOST_WORDS:
                self.words[word] += 1

    def add_clip(self, clip: Clip) -> None:
        part = self.splits.setdefault(clip.split, SplitCounts())
        part.clips += 1
        part.clip_seconds += clip.duration_seconds
        self.tracks_with_clips += clip.track_id != self._last
        self._last = clip.track_id

    def add_drop(self, drop: Dropped) -> None:
        self.dropped[drop.reason] += 1
        shown = self.examples.setdefault(drop.reason, [])
        if len(shown) < _EXAMPLES:
            shown.append(drop)


def _seconds(track: Track) -> float:
    """How long the track is, or the segment of the file that it stands for."""
    length = float(str(track.metadata.get("audio.duration_seconds", track.duration_seconds or 0.0)))
    end = length if track.end_seconds is None else min(track.end_seconds, length)
    return max(0.0, end - track.start_seconds)


def _words(track: Track) -> Iterator[str]:
    """What the track is tagged with: the lists of tags in its metadata, and the labelled genres and so on."""
    for name, value in track.metadata.items():
        if isinstance(value, tuple) and _TAGS.search(name):
            yield from value
    truth = track.truth or Annotation(track.id, 0.0, 0.0)
    for tags in (truth.genre, truth.instruments, truth.mood):
        yield from tags.labels


def collect(out: str) -> PrepareSummary:
    """Sums up a finished folder. Raises `UserMustAct` where it is not finished."""
    summary = PrepareSummary(out=out)
    for track in stages.read(f"{out}/tracks", Track):
        summary.add_track(track)
    for clip in stages.read(f"{out}/clips", Clip):
        summary.add_clip(clip)
    for drop in stages.read_dropped(f"{out}/clips"):
        summary.add_drop(drop)
    page = stages.about(f"{out}/tracks")
    summary.lost = Counter(page["counts"]["dropped"])
    summary.dataset, summary.source = page["config"]["dataset"], page["config"]["source"]
    return summary


def write(out: str, dataset: Dataset, plan: Mapping[str, Any], truths: int = 0) -> PrepareSummary:
    """Writes the folder's `prepared.json`, and returns what it says.

    Raises `UserMustAct` where clips are of other tracks than those that are there, which a file that changed
    between a kill and the next run can bring about.
    """
    summary = replace(collect(out), truths=truths)
    whole = summary.whole
    if summary.tracks_with_clips != whole.tracks:
        what = f"{out} has clips of {summary.tracks_with_clips} recordings and {whole.tracks} tracks"
        raise UserMustAct(f"{what}: a recording changed between two runs. Name a new folder.")
    read = stages.about(f"{out}/tracks")["counts"]["in"]
    assert read == whole.tracks + sum(summary.lost.values()), "a track is neither kept nor dropped"
    page = {
        "dataset": dataset.name,
        **{name: getattr(dataset, name) for name in ("about", "citation", "licence", "where", "splits_from")},
        "settings": dict(plan),
        "counts": {
            "read": read,
            "tracks": whole.tracks,
            "lost": dict(sorted(summary.lost.items())),
            "clips": whole.clips,
            "dropped": dict(sorted(summary.dropped.items())),
            "truths": truths,
            "captions": summary.captions,
        },
        "splits": {name: asdict(part) for name, part in sorted(summary.splits.items())},
    }
    write_file(out, PAGE, json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    return summary


def write_file(out: str, name: str, text: str) -> None:
    """A whole file of the folder or none. `UserMustAct`: it cannot be written."""
    with folders.clear_errors(out):
        folders.folder(out).write(name, text.encode("utf-8", "replace"))


def as_text(summary: PrepareSummary) -> str:
    """The few lines that are printed when the stage is done."""
    whole = summary.whole
    lines = [
        f"{summary.dataset}: {_count(whole.tracks, 'track')}, {hours(whole.track_seconds)}"
        f" → {_count(whole.clips, 'clip')}, {hours(whole.clip_seconds)}"
    ]
    if len(summary.splits) > 1:
        lines += [
            f"  {name}: {_count(p.tracks, 'track')}, {_count(p.clips, 'clip')}, {hours(p.clip_seconds)}"
            for name, p in sorted(summary.splits.items())
        ]
    if summary.truths:
        lines.append(f"  {_count(summary.truths, 'clip')} with the data set's own labels")
    lines += [
        f"  dropped: {reason} {count}×, as {_one_line(summary.examples[reason])}"
        for reason, count in summary.dropped.most_common()
    ]
    return "\n".join([*lines, f"  in {summary.out}"])


def _one_line(drops: Iterable[Dropped]) -> str:
    return " ".join(next(iter(drops)).detail.split())[:160]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def hours(seconds: float) -> str:
    """`2.5 h`, `12.0 min` or `40 s`, whichever reads best."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
