"""The eight labelled real songs (`llark.evaluate.sounds`), by windows and as wholes: their tempo is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from annotate_clips import Case
from annotate_heard import Facts
from annotate_scores import OCTAVES, tempo_error

from llark import audio
from llark.annotate.song import merge
from llark.evaluate import sounds
from llark.records import Annotation, Tempo

CONDITION = "real songs"


def cases(out: Path) -> list[Case]:
    """The windows of 25 s of each song. Raises `UserMustAct` naming the Debian packages that are missing."""
    tempi = {song.id: song.tempo_bpm for song in sounds.songs()}
    found = []
    for track in sounds.write_mixes(out / "real"):
        for start, end in audio.windows(audio.probe(track.path).duration_seconds):
            id_ = f"real.{track.id.replace('/', '-')}@{start:.0f}"
            truth = Annotation(id_, 0.0, end - start, tempo=Tempo(tempi[track.id], 1.0, "note chart"))
            found.append(Case(id_, track.path, truth, track.id, (CONDITION,), start, end))
    return found


def table(songs: Sequence[Case], facts: Mapping[str, Mapping[str, Facts]]) -> list[str]:
    """A row a song: the tempo of the chart, and for each annotator that of the whole and the windows that
    are right, by octave-strict (Acc1) and octave-free (Acc2) count."""
    names = list(facts)
    lines = [
        f"| song | chart | {' | '.join(f'{name}: whole, windows right (Acc1, Acc2)' for name in names)} |",
        "|---" * (len(names) + 2) + "|",
    ]
    totals: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in names}
    for group in dict.fromkeys(case.group for case in songs):
        mine = [case for case in songs if case.group == group]
        cells = []
        for name in names:
            found = [facts[name][case.id].annotation for case in mine]
            whole = _whole(group, mine, found)
            truth = mine[0].truth
            strict, free = (
                [tempo_error(one, truth, factors) or 0.0 for one in found]
                for factors in (OCTAVES[:1], OCTAVES)
            )
            bpm = "unknown" if whole.tempo.bpm is None else f"{whole.tempo.bpm:.1f}"
            cells.append(f"{bpm}, {sum(strict):.0f} and {sum(free):.0f} of {len(mine)}")
            totals[name].append(
                (
                    tempo_error(whole, truth, OCTAVES[:1]) or 0.0,
                    tempo_error(whole, truth, OCTAVES) or 0.0,
                    sum(strict) / len(strict),
                    sum(free) / len(free),
                )
            )
        lines.append(f"| {group} | {mine[0].truth.tempo.bpm:.0f} | {' | '.join(cells)} |")
    means = []
    for name in names:
        columns = list(zip(*totals[name], strict=True))
        first, second, third, fourth = (sum(column) / len(column) for column in columns)
        means.append(f"songs {first:.2f} and {second:.2f}, windows {third:.2f} and {fourth:.2f}")
    return [*lines, f"| Acc1 and Acc2, each song alike | | {' | '.join(means)} |"]


def _whole(song: str, windows: Sequence[Case], found: Sequence[Annotation]) -> Annotation:
    moved = [
        replace(one, start_seconds=case.start_seconds, end_seconds=case.end_seconds or one.end_seconds)
        for case, one in zip(windows, found, strict=True)
    ]
    return merge(song, moved)
