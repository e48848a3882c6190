"""MusicCaps: 5,521 segments of 10 s of music from AudioSet, each with a caption and aspects by a musician.

Layout checked against the publisher's data card (columns; 2,858 segments of the evaluation split, 2,663
others) and public scripts that read the table of 5,521 rows; the table itself was not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "5,521 segments of 10 s from YouTube, chosen from AudioSet, each with a free caption and a list of "
    "aspects written by one of ten musicians. A recording may be the cut segment or the whole video: a file "
    "whose name holds the times is the segment; one that is named by the video alone is the whole video "
    "where it is long enough to hold the segment, else the segment."
)

CITATION = ("agostinelli2023musiclm",)

LICENCE = "CC-BY-SA-4.0 (captions); the audio is its uploaders'"

FILES = {
    "musiccaps-public.csv": "captions, aspects, times, AudioSet labels",
    "audio/YTID.wav": "the recordings, in `audio`, `wav`, `data` or the root; also named [YTID], "
    "YTID-START-END, YTID_START_END, [YTID]-[START-END] or YTID_START",
}

WHERE = "kaggle.com (googleai/musiccaps) or huggingface.co (google/MusicCaps); the audio from YouTube"

SPLITS = (reading.TRAIN, reading.TEST)

SPLITS_FROM = "the publisher's: `is_audioset_eval` is test (2,858 segments), the others are train."

LABELS = ("caption", "aspects", "AudioSet labels")

_TRUE_FALSE = {"true": True, "false": False}
_COLUMNS = ("ytid", "start_s", "end_s", "caption")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a caption; its id is the video's with the second that the segment starts at."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="musiccaps", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row | Dropped]:
    table = root.need("musiccaps-public.csv")
    for line, row in enumerate(root.rows(table, needed=("ytid", "start_s")), start=2):
        is_eval = _TRUE_FALSE.get(row.get("is_audioset_eval", "").lower())
        if not row.get("ytid") or is_eval is None:
            detail = f"Line {line} of musiccaps-public.csv has no ytid or no is_audioset_eval."
            yield reading.malformed(row.get("ytid") or f"line {line}", detail)
            continue
        split = reading.TEST if is_eval else reading.TRAIN
        id_ = f"{row['ytid']}-{row['start_s']}"
        yield Row(id_, split, partial(_track, root, id_, row))


def _track(root: Root, id_: str, row: dict[str, str]) -> Track:
    return reading.segment_track(
        root,
        id_,
        row,
        _COLUMNS,
        aspect_list=reading.literal_list(row["aspect_list"], "aspect_list"),
        audioset_positive_labels=row["audioset_positive_labels"].split(","),
        author_id=reading.whole(row["author_id"], "author_id"),
        is_balanced_subset=_TRUE_FALSE.get(row["is_balanced_subset"].lower()),
        is_audioset_eval=_TRUE_FALSE.get(row["is_audioset_eval"].lower()),
    )
