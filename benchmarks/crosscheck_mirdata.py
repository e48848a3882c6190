"""Our readers beside mirdata's loaders on the same files, field by field.

`python benchmarks/crosscheck_mirdata.py --mirdata PYTHON [--resources FOLDER] [--publishers FOLDER]`. PYTHON
is another environment, with mirdata 1.0.0 and numpy below 2 (with numpy 2 mirdata cannot read GTZAN's tempi);
this project does not depend on mirdata. Three kinds of files are read by both:

* our trees: those of `tests/prepare/datasets/dataset_trees.py`, made anew in build/crosscheck;
* mirdata's: `tests/resources/mir_datasets` of its repository, real annotations of a few tracks;
* the publisher's: clones of giantsteps-key-dataset, giantsteps-tempo-dataset, gtzan_tempo_beat,
  mtg-jamendo-dataset and medleydb in FOLDER, whole; recordings that cannot be had are empty files.

Prints a Markdown table: for each field how many tracks have it on either side, how many agree, and why the
others differ. Ends with 1 where a difference has no reason written down in `WHY`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from glob import escape
from pathlib import Path
from typing import Any

from crosscheck_mirdata_files import FOLDER, Case, publisher_cases, resource_cases, tree_cases

from llark.prepare import datasets
from llark.records import Track

OTHER_SIDE = Path(__file__).with_name("crosscheck_mirdata_side.py")
WHY = {
    ("giantsteps_key", "genres"): "mirdata reads GiantSteps+ alone, and not the files in annotations/genre",
    ("giantsteps_tempo", "tempi, version 2"): "no tempo: mirdata raises for an empty annotation",
    ("giantsteps_tempo", "shares, version 2"): "no tempo: mirdata raises for an empty annotation",
    ("gtzan", "genre"): "mirdata writes hip-hop for the folder hiphop",
    ("gtzan", "tempo"): "mirdata 1.0.0 raises TypeError with numpy 2",
    ("medleydb", "artist"): "mirdata's table has the first half of the id, the metadata file the full name",
    (
        "slakh",
        "split",
    ): "in mirdata the folder's name; here redux: Track00049 is omitted, BabySlakh is in train",
}
"""(our data set, field) → why the two may differ."""

Row = Mapping[str, Any]


# --- what both sides are asked ----------------------------------------------------------------------------


def _of_tempo(track: Track) -> Row:
    said = track.metadata
    tempi = [said[name] for name in ("slower_tempo_v2", "faster_tempo_v2") if name in said]
    share = [said["slower_share_v2"]] if "slower_share_v2" in said else []
    return {
        "genre": said.get("genre"),
        "tempo, version 1": said.get("tempo_v1"),
        "tempi, version 2": tempi,
        "shares, version 2": share,
    }


def _of_gtzan(track: Track) -> Row:
    assert track.truth is not None
    beats = track.truth.beats
    return {
        "genre": track.metadata["genre"],
        "beats": beats.times_seconds,
        "places in the bar": beats.positions,
        "tempo": track.truth.tempo.bpm,
    }


def _of_jamendo(track: Track) -> Row:
    said = track.metadata
    tags = [label for name in ("genre", "instrument", "mood/theme") for label in _list(said.get(name))]
    split = None if track.split == "omitted" else track.split
    ids = {"artist id": said["artist_id"], "album id": said["album_id"]}
    return {**ids, "duration": track.duration_seconds, "tags": sorted(tags), "split-0": split}


def _of_medleydb(track: Track) -> Row:
    said = track.metadata
    kept = {"genre": list(track.truth.genre.labels) if track.truth else None, "artist": track.artist}
    flags = {"excerpt": said.get("excerpt"), "instrumental": said.get("instrumental")}
    return {**kept, **flags, "title": track.title}


OURS: Mapping[str, Callable[[Track], Row]] = {
    "giantsteps_key": lambda track: {
        "key": track.metadata["key"],
        "artists": track.metadata.get("artists"),
        "genres": track.metadata.get("genres"),
        "sub-genres": track.metadata.get("sub_genres"),
        "shop's tempo": track.metadata.get("bpm_by_shop"),
    },
    "giantsteps_tempo": _of_tempo,
    "gtzan": _of_gtzan,
    "medley_solos_db": lambda track: {
        "subset": {"train": "training"}.get(track.split, track.split),
        "instrument": track.metadata["instrument"],
        "song": track.metadata.get("song_id"),
    },
    "mtg_jamendo": _of_jamendo,
    "medleydb": _of_medleydb,
}


def _slakh_rows(track: Track) -> Iterator[tuple[str, Row]]:
    """A row for the mixture, and one for each stem; the notes of all are compared as the mixture's."""
    said = track.metadata
    stems = _list(said["stems"])
    notes = track.truth.notes.notes if track.truth else ()
    pitched = sorted((n.onset_seconds, n.offset_seconds, n.pitch_midi) for n in notes if not n.is_drum)
    names = {"UUID": "UUID", "Lakh file": "lmd_midi_dir", "gain": "overall_gain"}
    mixture = {shown: said.get(name) for shown, name in names.items()}
    yield track.id, {**mixture, "split": track.split, "stems": stems, "pitched notes": pitched}
    columns = {
        "class": "inst_class", "program's name": "midi_program_name", "program": "program_num",
        "plug-in": "plugin_name", "loudness": "integrated_loudness",
    }  # fmt: skip
    for number, stem in enumerate(stems):
        row = {shown: _list(said[f"stems.{name}"])[number] for shown, name in columns.items()}
        yield (
            f"{track.id}-{stem}",
            {name: None if value == "unknown" else value for name, value in row.items()},
        )


def our_rows(case: Case) -> dict[str, Row]:
    """Id → field → value, of the tracks that our reader makes."""
    found = datasets.load(case.name).read_tracks(case.root)
    tracks = [record for record in found if isinstance(record, Track)]
    if case.name == "slakh":
        return dict(row for track in tracks for row in _slakh_rows(track))
    if case.loader == "medleydb_pitch":
        return {f"{track.id}_STEM_{n:02d}": row for track in tracks for n, row in _stems(track)}
    return {track.id: OURS[case.name](track) for track in tracks}


def _stems(track: Track) -> Iterator[tuple[int, Row]]:
    genre = track.truth.genre.labels if track.truth else None
    for number, instrument in enumerate(_list(track.metadata["stems"]), start=1):
        yield number, {"genre": genre, "instrument of the stem": instrument}


def their_rows(case: Case, python: str, ids: list[str]) -> dict[str, Row]:
    home = case.home or case.root
    index = _index(case, home, ids)
    path = FOLDER / "index.json"
    path.write_text(json.dumps(index))
    command = [python, str(OTHER_SIDE), case.loader, str(home), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(done.stderr)
    rows: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    for mixture, about in index.get("multitracks", {}).items():
        notes = [note for stem in about["tracks"] for note in rows[stem].pop("pitched notes")]
        rows[mixture]["pitched notes"] = sorted(notes)
    return dict(rows)


def _index(case: Case, home: Path, ids: list[str]) -> dict[str, Any]:
    """What mirdata would bring from the network: the files of each track."""
    if case.name == "slakh":
        return _slakh_index(case, home, [id_ for id_ in ids if "-" not in id_])
    entries = {}
    for id_ in ids:
        audio = [f"audio/{id_}.mp3", None]
        entries[id_] = {"audio": audio, **{name: _first(home, case, name, id_) for name in case.paths}}
    return {"version": case.version, "tracks": entries}


def _first(home: Path, case: Case, name: str, id_: str) -> list[str | None]:
    for pattern in case.paths[name]:
        wanted = pattern.format(id=escape(id_), under=escape(id_.replace(".", "_")))
        hit = next(home.glob(wanted), None)
        if hit is not None:
            return [str(hit.relative_to(home)), None]
    return [None, None]


def _slakh_index(case: Case, home: Path, ids: list[str]) -> dict[str, Any]:
    tracks: dict[str, Any] = {}
    mixtures: dict[str, Any] = {}
    for id_ in ids:
        places = (f"{above}{id_}/metadata.yaml" for above in ("", "*/", "*/*/"))
        folder = next(path.parent for place in places for path in home.glob(place))
        where = folder.relative_to(home)
        middle = {"metadata": [f"{where}/metadata.yaml", None]}
        stems = _rendered(folder)
        for stem in stems:
            midi = f"{where}/MIDI/{stem}.mid"
            tracks[f"{id_}-{stem}"] = {
                **middle, "audio": [None, None], "midi": [midi if (home / midi).exists() else None, None],
            }  # fmt: skip
        mixtures[id_] = {
            **middle, "tracks": [f"{id_}-{stem}" for stem in stems], "mix": [f"{where}/mix.wav", None],
            "midi": [None, None],
        }  # fmt: skip
    return {"version": case.version, "tracks": tracks, "multitracks": mixtures}


def _rendered(folder: Path) -> list[str]:
    """The stems that mirdata's index lists: those with a recording, here or by the metadata."""
    import yaml

    stems = yaml.safe_load((folder / "metadata.yaml").read_text())["stems"]
    here = {path.stem for path in folder.glob("stems/*")}
    return sorted(name for name, stem in stems.items() if name in here or stem.get("audio_rendered"))


# --- compared ---------------------------------------------------------------------------------------------


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _nothing(value: object) -> bool:
    return value is None or value in ("", [], ())


def same(ours: object, theirs: object) -> bool:
    """Numbers to two microseconds, in whatever type; a list of one text is the text."""
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, list | tuple) and len(ours) == 1:
        return same(ours[0], theirs)
    try:
        return math.isclose(float(ours), float(theirs), rel_tol=1e-9, abs_tol=2e-6)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ours == theirs


def compare(case: Case, python: str) -> tuple[list[str], bool]:
    """The table's lines, and whether every difference has its reason."""
    ours = our_rows(case)
    wanted = list(ours)
    if case.home is not None and case.name == "medleydb":
        wanted = list(json.loads((case.home / f"{case.loader}_metadata.json").read_text()))
    theirs = their_rows(case, python, wanted)
    pairs: dict[str, list[tuple[str, Any, Any]]] = {}
    for id_ in (id_ for id_ in ours if id_ in theirs):
        for name in (name for name in theirs[id_] if name in ours[id_]):
            pair = (id_, ours[id_][name], theirs[id_][name])
            pairs.setdefault(name, []).extend([] if _nothing(pair[1]) and _nothing(pair[2]) else [pair])
    lines, explained = [], bool(pairs)
    for name, found in pairs.items():
        other = [pair for pair in found if not same(pair[1], pair[2])]
        why = WHY.get((case.name, name), "") if other else ""
        if other and not why:
            explained = False
            print(f"{case.name}, {case.files}, {name}: {other[:3]}", file=sys.stderr)
        if found:
            counts = f"{len(found)} | {len(found) - len(other)} | {len(other)}"
            lines.append(f"| {case.name} | {case.files} | {name} | {counts} | {why} |")
    return lines, explained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mirdata", required=True, help="a Python that has mirdata")
    parser.add_argument("--resources", type=Path, help="tests/resources/mir_datasets of mirdata's repository")
    parser.add_argument("--publishers", type=Path, help="a folder with clones of the annotation sets")
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    cases = [*tree_cases()]
    cases += resource_cases(options.resources) if options.resources else []
    cases += publisher_cases(options.publishers, options.resources) if options.publishers else []
    print("| data set | files | field | compared | equal | different | why |\n|---|---|---|---|---|---|---|")
    good, sums = True, [0, 0, 0]
    for case in cases:
        lines, explained = compare(case, options.mirdata)
        print("\n".join(lines), flush=True)
        good &= explained
        counts = [[int(cell) for cell in line.split("|")[4:7]] for line in lines]
        sums = [sum(column) for column in zip(sums, *counts, strict=True)]
    print(f"\n{sums[0]:,} values compared: {sums[1]:,} are equal, {sums[2]:,} differ.")
    sys.exit(not good)


if __name__ == "__main__":
    main()
