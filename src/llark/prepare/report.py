"""`llark prepare --report`: one HTML page that needs nothing else, to see what is there and what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from llark import audio
from llark.errors import BadAudio
from llark.prepare.summary import PrepareSummary, hours, write_file
from llark.records import Clip, Track
from llark.report import plots
from llark.report.page import render
from llark.report.timeline import clock
from llark.storage import stages

PAGE = "report.html"
WAVEFORMS = 6

_MOST_BARS = 20
_BAR_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36000)


def write(summary: PrepareSummary) -> str:
    """Writes the page of a prepared folder into it, and returns its path."""
    write_file(summary.out, PAGE, page(summary, _waveforms(summary)))
    return f"{summary.out}/{PAGE}"


def page(summary: PrepareSummary, waveforms: Iterable[dict[str, Any]] = ()) -> str:
    """The whole page, as text."""
    whole = summary.whole
    numbers = [
        (f"{whole.tracks:,}", "tracks"),
        (hours(whole.track_seconds), "of recordings"),
        (f"{whole.clips:,}", "clips"),
        (hours(whole.clip_seconds), "in clips"),
        (f"{summary.lost.total():,}", "tracks lost"),
    ]
    if summary.truths:
        numbers.append((f"{summary.truths:,}", "clips with labels"))
    if summary.captions:
        numbers.append((f"{summary.captions:,}", "captions"))
    return render(
        "prepare",
        dataset=summary.dataset,
        source=summary.source,
        numbers=numbers,
        splits=[
            (name, f"{part.tracks:,}", f"{part.clips:,}", hours(part.track_seconds), hours(part.clip_seconds))
            for name, part in sorted(summary.splits.items())
        ],
        lengths=_histogram(summary.lengths),
        tracks=whole.tracks,
        tags=summary.words,
        licences=summary.licences,
        formats=summary.formats,
        rates=summary.rates,
        drops=[(reason, count, summary.examples[reason]) for reason, count in summary.dropped.most_common()],
        waveforms=list(waveforms),
    )


def _histogram(lengths: Counter[int]) -> list[tuple[str, str, int]]:
    """(from which length to which, what stands under the bar, tracks) of each bar.

    The longest hundredth shares the last bar, so that it does not squeeze the others.
    """
    if not lengths:
        return []
    edge, seconds = _bins(lengths)
    counts: Counter[int] = Counter()
    for length, count in lengths.items():
        counts[min(length, edge) // seconds] += count
    first, last = min(counts), max(counts)
    longer = max(lengths) // seconds > last
    every = -(-(last - first + 1) // 8)
    bars = []
    for index in range(first, last + 1):
        start = clock(index * seconds, hours=True)
        if longer and index == last:
            bars.append((f"{start} and longer", f"{start}+", counts[index]))
        else:
            span = f"{start} to {clock((index + 1) * seconds, hours=True)}"
            bars.append((span, "" if (index - first) % every else start, counts[index]))
    return bars


def _bins(lengths: Counter[int]) -> tuple[int, int]:
    """(the length that 99 of 100 tracks do not pass, whole seconds a bar)."""
    whole, seen, edge = lengths.total(), 0, 0
    for length in sorted(lengths):
        edge, seen = length, seen + lengths[length]
        if seen >= 0.99 * whole:
            break
    span = edge - min(lengths) + 1
    return edge, next((s for s in _BAR_SECONDS if span / s <= _MOST_BARS), -(-span // _MOST_BARS))


def _waveforms(summary: PrepareSummary) -> Iterator[dict[str, Any]]:
    """Six clips, evenly over the set, with the titles of their tracks and a drawing, or why there is none."""
    number = summary.whole.clips
    places = {index * number // WAVEFORMS for index in range(WAVEFORMS)} if number else set()
    clips = [c for index, c in enumerate(stages.read(f"{summary.out}/clips", Clip)) if index in places]
    track_ids = {clip.track_id for clip in clips}
    titles = {
        track.id: " · ".join(text for text in (track.artist, track.title) if text)
        for track in stages.read(f"{summary.out}/tracks", Track)
        if track.id in track_ids
    }
    for clip in clips:
        start = clip.start_seconds + clip.offset_seconds
        span = "–".join(clock(second, hours=True) for second in (start, start + clip.duration_seconds))
        shown = {"title": titles.get(clip.track_id) or clip.track_id, "note": f"{clip.split}, {span}"}
        try:
            samples, _ = audio.load(clip.path, start_seconds=clip.start_seconds, end_seconds=clip.end_seconds)
        except BadAudio as error:
            yield {**shown, "problem": error.detail}
        else:
            yield {**shown, "problem": "", "drawing": plots.waveform(samples)}
