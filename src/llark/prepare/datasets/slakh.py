"""Slakh2100-redux: mixtures rendered from MIDI with sampled instruments, with stems and notes.

Layout checked against mirdata's loader and the two real tracks in its tests (one of redux, one of BabySlakh);
the split, track by track, against `splits/redux.json` of github.com/ethman/slakh-utils at 3f62d6a.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from llark.prepare import reading
from llark.prepare.reading import BadRow, Root, Row, tracks
from llark.records import Dropped, Note, Notes, Track

ABOUT = (
    "Mixtures of at least four instruments, rendered from the Lakh MIDI collection, with a stem and a MIDI "
    "file for each. Read as Slakh2100-redux whether the folders are already split so or as first published: "
    "the 390 of 2,100 tracks that repeat another one are the split `omitted`. BabySlakh, which has no "
    "folder a split, is read too. Instruments are the General MIDI programs of the stems that were "
    "rendered."
)

CITATION = ("manilow2019cutting",)

LICENCE = "CC-BY-4.0"

FILES = {
    "*/Track00001/mix.flac": "the mixtures, in `train`, `validation`, `test`, `omitted` (BabySlakh: in none)",
    "*/Track00001/metadata.yaml": "the stems: instrument, program, plug-in, loudness",
    "*/Track00001/MIDI/S00.mid": "optional: the notes of each stem",
    "*/Track00001/stems/S00.flac": "optional: the stems; named in the metadata, not read",
}

WHERE = "zenodo.org/records/4599666 (Slakh2100-redux); zenodo.org/records/4603870 (BabySlakh)"

SPLITS = ("train", "validation", "test", "omitted")

SPLITS_FROM = "the publisher's redux split: 1,289 train, 270 validation, 151 test, 390 omitted."

LABELS = ("instruments", "notes", "stems")

OMITTED = reading.in_ranges(
    "49 77 146 170 212 232 240 251 256 280 296 299 350 356 365-366 386 401 422 424-425 450 470 476 486 495 "
    "504 521 536 539 554 566 602 611 613 620 623 640 642 646-647 675 678 688 697 699 706 714-715 719-720 "
    "732 744 750 757 762 764 773 790 796 800 810 820-821 829 833 847-848 851 862 877 884 895 899 916 919 "
    "925 933-935 942 956 960-962 964 969 981-982 990 997 1000 1011 1020 1028 1046 1052 1061 1066-1068 1071 "
    "1079 1081 1087 1090 1093 1099 1109 1111 1116-1117 1120 1129-1130 1132-1133 1137 1139-1140 1143-1144 "
    "1147 1152 1156 1162 1169 1171 1176 1179-1180 1182 1186-1187 1189 1191 1200 1207 1209-1210 1219-1220 "
    "1227 1230 1233 1235 1239-1240 1248 1256 1261 1282-1283 1289 1291-1292 1294-1295 1299 1304-1306 1308 "
    "1312 1316-1317 1319 1325-1326 1329 1338 1344-1345 1348 1352 1357 1371-1372 1378 1391 1400 1402 1407 "
    "1410 1412 1416-1417 1423-1424 1429 1435-1436 1438 1441-1442 1444-1447 1450 1455 1467 1469-1470 1472 "
    "1478 1484 1490 1493 1498-1499 1506 1534-1536 1538 1541 1543-1544 1547 1549-1550 1553 1555 1562 1567 "
    "1569 1572 1577 1585 1587 1593 1596 1600-1601 1603 1608-1610 1617 1627 1633 1636-1638 1640 1648 1651 "
    "1658 1663 1667-1669 1671 1673 1680 1682-1684 1686-1687 1699 1704 1711-1712 1721-1722 1726 1728-1729 "
    "1734 1736 1740 1748 1752 1755 1759 1764-1765 1767 1780 1784 1786 1794 1798 1800-1801 1808 1810-1811 "
    "1816-1818 1822 1829 1831-1834 1839 1842 1844 1846-1847 1850 1853-1854 1857 1859 1862-1864 1866 1868 "
    "1871-1872 1879 1885 1890 1894 1909-1910 1912 1914-1915 1919 1921-1924 1926 1933 1938-1939 1941-1942 "
    "1944 1946 1953 1958 1964 1966 1969-1971 1979 1983-1984 1988 1991-1992 1999 2006 2009 2011-2012 2015 "
    "2021-2022 2025 2027-2028 2033-2035 2039 2041 2043 2055 2057-2060 2065-2066 2068 2071-2073 2075-2078 "
    "2080 2085 2089 2091 2097 2099-2100"
)
"""Numbers of the tracks that the redux split leaves out."""

LAST_TRAIN, LAST_VALIDATION = 1500, 1875
"""The numbers at which the splits of the first publication end."""


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a mixture; its id is the folder's name, `Track00001`."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="slakh", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row]:
    inside = root.need(*SPLITS, "Track00001", "slakh2100_flac_redux", "babyslakh_16k")
    base = f"{inside}/" if inside in ("slakh2100_flac_redux", "babyslakh_16k") else ""
    places = [f"{base}{split}/" for split in SPLITS if root.has(f"{base}{split}")] or [base]
    for place in places:
        for name in root.folders(place.rstrip("/")):
            if name.startswith("Track") and name[5:].isdecimal():
                split = split_of_number(int(name[5:]))
                yield Row(name, split, partial(_track, root, f"{place}{name}"))


def split_of_number(number: int) -> str:
    """The split of a track: the redux split, which moves nothing but the omitted tracks."""
    if number in OMITTED:
        return "omitted"
    return "train" if number <= LAST_TRAIN else "validation" if number <= LAST_VALIDATION else "test"


def _track(root: Root, folder: str) -> Track:
    id_ = folder.rpartition("/")[2]
    path = reading.recording(root, f"{folder}/mix")
    if not root.has(f"{folder}/metadata.yaml"):
        raise BadRow("missing-metadata", f"{root.where} has no {folder}/metadata.yaml.")
    try:
        about = root.yaml(f"{folder}/metadata.yaml")
        stems = {name: dict(stem) for name, stem in sorted(about["stems"].items())}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadRow("malformed-row", f"{folder}/metadata.yaml describes no stems: {error}.") from error
    audible = {name: stem for name, stem in stems.items() if _sounds(root, folder, name, stem)}
    notes = _notes(root, folder, audible)
    programs = [str(stem.get("midi_program_name", "")) for stem in audible.values()]
    return Track(
        id_,
        path,
        group=str(about.get("UUID", id_)),
        truth=reading.truth(id_, None, instruments=reading.sure(programs, "slakh"), notes=notes),
        metadata=reading.known(_metadata(about, audible)),
    )


def _sounds(root: Root, folder: str, name: str, stem: Mapping[str, Any]) -> bool:
    """Whether the stem is in the mixture. BabySlakh says of stems that are there that none was rendered."""
    return bool(stem.get("audio_rendered")) or root.audio(f"{folder}/stems/{name}") is not None


def _metadata(about: Mapping[str, Any], audible: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the file says of the whole, and of the stems that sound as lists in their order."""
    fields = {
        name: about.get(name) for name in ("UUID", "lmd_midi_dir", "overall_gain", "normalization_factor")
    }
    columns = ("inst_class", "midi_program_name", "plugin_name", "program_num", "integrated_loudness")
    lists = {f"stems.{name}": [stem.get(name, "unknown") for stem in audible.values()] for name in columns}
    return {**fields, "stems": list(audible), **lists}


def _notes(root: Root, folder: str, audible: Mapping[str, Mapping[str, Any]]) -> Notes:
    """The notes of all stems that sound; unknown where a stem's MIDI file is not there."""
    notes: list[Note] = []
    for name, stem in audible.items():
        path = f"{folder}/MIDI/{name}.mid"
        if not root.has(path):
            return Notes()
        notes += [_as_stem(note, stem) for note in reading.read_midi(root.read_bytes(path), path)]
    return reading.by_onset(notes, "slakh")


def _as_stem(note: Note, stem: Mapping[str, Any]) -> Note:
    """The note as the stem plays it: the metadata says what is a drum, whatever channel it is on."""
    if not stem.get("is_drum") or note.is_drum:
        return note
    return replace(note, instrument=reading.drum_name(note.pitch_midi), is_drum=True, program=None)
