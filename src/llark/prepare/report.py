"""`llark prepare --report`: one HTML page that needs nothing else, to see what is there and what was lost.

Everything that comes from a data set is escaped, and the page forbids scripts and requests to itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources

import numpy as np

from llark import audio
from llark.errors import BadAudio
from llark.prepare.summary import Summary, hours, write_file
from llark.records import Clip, Dropped, Track
from llark.storage import stages

PAGE = "report.html"
WAVEFORMS = 6

_MOST_ROWS = 12
_MOST_BARS = 20
_BAR_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36000)
_POINTS = 300
"""Columns of a waveform."""

_LONGEST_TITLE = 80


def write(found: Summary) -> str:
    """Writes the page of a prepared folder into it, and returns its path."""
    write_file(found.out, PAGE, page(found, list(_waveforms(found))))
    return f"{found.out}/{PAGE}"


def page(found: Summary, waveforms: Iterable[str] = ()) -> str:
    """The whole page, as text."""
    title = f"{found.dataset}, prepared"
    sections = [
        _numbers(found),
        _splits(found),
        _section("Length of the tracks", _histogram(found.lengths)),
        _counted(found),
        _drops(found),
        _section("Waveforms", f'<div class="waves">{"".join(waveforms)}</div>', "clips evenly over the set"),
    ]
    style = (resources.files("llark.prepare") / "report.css").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title>\n<style>\n{style}</style></head>\n<body><main>\n"
        f'<header><h1>{_text(found.dataset)}</h1><p class="path">{_text(found.source)}</p></header>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    """Safe between tags and in quotes."""
    return escape(" ".join(str(value).split()), quote=True)


def _section(title: str, inside: str, note: str = "") -> str:
    """A part of the page; none where there is nothing to show."""
    aside = f" <small>{_text(note)}</small>" if note else ""
    return f"<section><h2>{_text(title)}{aside}</h2>{inside}</section>" if inside else ""


def _numbers(found: Summary) -> str:
    whole, lost = found.whole, sum(found.lost.values())
    cards = [
        (f"{whole.tracks:,}", "tracks"),
        (hours(whole.track_seconds), "of recordings"),
        (f"{whole.clips:,}", "clips"),
        (hours(whole.clip_seconds), "in clips"),
        (f"{lost:,}", "tracks lost"),
    ]
    if found.truths:
        cards.append((f"{found.truths:,}", "clips with labels"))
    if found.captions:
        cards.append((f"{found.captions:,}", "captions"))
    inside = "".join(f"<div><b>{_text(value)}</b><span>{what}</span></div>" for value, what in cards)
    return f'<section class="cards">{inside}</section>'


def _counted(found: Summary) -> str:
    """What the tracks are, in bars."""
    whole = found.whole.tracks
    parts = [
        _section("Tags", _bars(found.words, whole), "genres, instruments, moods; by tracks"),
        _section("Licences", _bars(found.licences, whole)),
        _section("Formats", _bars(found.formats, whole)),
        _section("Sample rates", _bars(found.rates, whole)),
    ]
    return f'<div class="two">{"".join(parts)}</div>'


def _splits(found: Summary) -> str:
    rows = "".join(
        f"<tr><th>{_text(name)}</th><td>{part.tracks:,}</td><td>{part.clips:,}</td>"
        f"<td>{hours(part.track_seconds)}</td><td>{hours(part.clip_seconds)}</td></tr>"
        for name, part in sorted(found.splits.items())
    )
    head = "<tr><th>split</th><td>tracks</td><td>clips</td><td>recordings</td><td>in clips</td></tr>"
    return _section("Splits", f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>") if rows else ""


def _bars(counts: Mapping[str, int], whole: int) -> str:
    """The most frequent values as bars, and how many values there are besides."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    longest = ranked[0][1] if ranked else 1
    rows = [
        f'<li><span class="name">{_text(_short(name))}</span>'
        f'<span class="bar"><i style="width:{100 * count / longest:.1f}%"></i></span>'
        f'<span class="count">{count:,} <em>{100 * count / max(1, whole):.0f}%</em></span></li>'
        for name, count in ranked[:_MOST_ROWS]
    ]
    rest = ranked[_MOST_ROWS:]
    if rest:
        rows.append(f'<li class="rest">and {len(rest):,} more</li>')
    return f'<ul class="bars">{"".join(rows)}</ul>' if rows else ""


def _histogram(lengths: Counter[int]) -> str:
    """Tracks by length; the longest hundredth shares the last bar, so that it does not squeeze the others."""
    if not lengths:
        return ""
    edge, seconds = _bins(lengths)
    bars: Counter[int] = Counter()
    for length, count in lengths.items():
        bars[min(length, edge) // seconds] += count
    first, last = min(bars), max(bars)
    longer = max(lengths) // seconds > last
    every = -(-(last - first + 1) // 8)
    columns = []
    for index in range(first, last + 1):
        count = bars[index]
        start, end = _clock(index * seconds), _clock((index + 1) * seconds)
        span = f"{start} and longer" if longer and index == last else f"{start} to {end}"
        label = start + ("+" if longer and index == last else "")
        shown = label if (index - first) % every == 0 or (longer and index == last) else ""
        height = 100 * count / max(bars.values())
        columns.append(
            f'<div title="{span}: {count:,}"><b>{count or ""}</b><i style="height:{height:.1f}%"></i>'
            f"<span>{shown}</span></div>"
        )
    return f'<div class="histogram">{"".join(columns)}</div>'


def _bins(lengths: Counter[int]) -> tuple[int, int]:
    """(the length that 99 of 100 tracks do not pass, whole seconds a bar)."""
    whole, seen, edge = sum(lengths.values()), 0, 0
    for length in sorted(lengths):
        edge, seen = length, seen + lengths[length]
        if seen >= 0.99 * whole:
            break
    span = edge - min(lengths) + 1
    return edge, next((s for s in _BAR_SECONDS if span / s <= _MOST_BARS), -(-span // _MOST_BARS))


def _clock(seconds: float) -> str:
    hours_, rest = divmod(int(seconds), 3600)
    return f"{hours_}:{rest // 60:02d}:{rest % 60:02d}" if hours_ else f"{rest // 60}:{rest % 60:02d}"


def _drops(found: Summary) -> str:
    rows = "".join(
        f"<dt>{_text(reason)} <em>{count:,}</em></dt>"
        + "".join(f"<dd>{_example(drop)}</dd>" for drop in found.examples[reason])
        for reason, count in found.dropped.most_common()
    )
    inside = f"<dl>{rows}</dl>" if rows else "<p>Nothing was lost.</p>"
    return _section("Lost, by reason", inside, "tracks, and stretches of tracks; with examples")


def _example(drop: Dropped) -> str:
    return f"<code>{_text(_short(drop.id))}</code> {_text(drop.detail[:300])}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 1]}…"


# --- waveforms --------------------------------------------------------------------------------------------


def _waveforms(found: Summary) -> Iterable[str]:
    """Figures of six clips, evenly over the set, with the titles of their tracks."""
    clips = _chosen(found)
    wanted, titles = {clip.track_id for clip in clips}, {}
    for track in stages.read(f"{found.out}/tracks", Track):
        if track.id in wanted:
            titles[track.id] = " · ".join(text for text in (track.artist, track.title) if text)
    for clip in clips:
        yield _figure(clip, titles.get(clip.track_id) or clip.track_id)


def _chosen(found: Summary) -> list[Clip]:
    number = found.whole.clips
    wanted = {index * number // WAVEFORMS for index in range(WAVEFORMS)} if number else set()
    clips = stages.read(f"{found.out}/clips", Clip)
    return [clip for index, clip in enumerate(clips) if index in wanted]


def _figure(clip: Clip, title: str) -> str:
    start = clip.start_seconds + clip.offset_seconds
    span = f"{_clock(start)}–{_clock(start + clip.duration_seconds)}"
    caption = f"<figcaption>{_text(_short(title))} <small>{_text(clip.split)}, {span}</small></figcaption>"
    try:
        samples, _ = audio.load(clip.path, start_seconds=clip.start_seconds, end_seconds=clip.end_seconds)
    except BadAudio as error:
        return f"<figure><p>{_text(error.detail)}</p>{caption}</figure>"
    return f"<figure>{waveform(samples)}{caption}</figure>"


def waveform(samples: np.ndarray) -> str:
    """[samples] as a drawing: from the lowest to the highest sample of each of up to 300 columns."""
    columns = np.array_split(np.clip(np.nan_to_num(samples), -1, 1), min(_POINTS, len(samples)))
    tops = [f"{x},{50 - 48 * float(column.max()):.1f}" for x, column in enumerate(columns)]
    lows = [f"{x},{50.4 - 48 * float(column.min()):.1f}" for x, column in enumerate(columns)]
    points = " ".join([*tops, *reversed(lows)])
    box = f"0 0 {max(1, len(columns) - 1)} 100"
    middle = f'<line x1="0" x2="{len(columns)}" y1="50" y2="50"/>'
    return (
        f'<svg viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="waveform">'
        f'{middle}<polygon points="{points}"/></svg>'
    )
