"""YouTube8M-MusicTextClips: 4,169 segments of 10 s of music videos, each with a description.

Layout checked against the publisher's README (columns, 1,000 and 3,169 rows); the tables were not at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from llark.prepare import reading
from llark.prepare.reading import Root, Row, tracks
from llark.records import Dropped, Track

ABOUT = (
    "4,169 segments of 10 s from the middle of music videos of YouTube-8M, each with a description by a "
    "person who listened to the sound alone. A file named by the video alone is the whole video where it is "
    "long enough to hold the segment, else the segment."
)

CITATION = ("mckee2023language",)

LICENCE = "Adobe Research License, non-commercial research only (descriptions); the audio is its uploaders'"

FILES = {
    "train.csv": "video_id, start, end and text of the training segments",
    "test.csv": "the same of the test segments",
    "audio/VIDEO_ID.wav": "the recordings, in `audio`, `wav`, `data` or the root; also named [VIDEO_ID], "
    "VIDEO_ID-START-END, VIDEO_ID_START_END or [VIDEO_ID]-[START-END]",
}

WHERE = "zenodo.org/records/8040754 (YouTube8M-MusicTextClips); the audio from YouTube"

SPLITS = (reading.TRAIN, reading.TEST)

SPLITS_FROM = "the publisher's: 1,000 train and 3,169 test segments."

LABELS = ("caption",)

_COLUMNS = ("video_id", "start", "end", "text")


def read_tracks(root: str | Path, split: str | None = None) -> Iterator[Track | Dropped]:
    """One track a description; its id is the video's. One that is in both tables is read from `train.csv`."""
    return tracks(_rows(Root(root)), split, SPLITS, dataset="yt8m_musictextclips", licence=LICENCE)


def _rows(root: Root) -> Iterator[Row | Dropped]:
    tables = {reading.TRAIN: root.need("train.csv"), reading.TEST: root.need("test.csv")}
    for split, table in tables.items():
        for line, row in enumerate(root.rows(table), start=2):
            video = row.get("video_id", "")
            if video:
                yield Row(video, split, partial(reading.segment_track, root, video, row, _COLUMNS))
            else:
                yield reading.malformed(f"{table} line {line}", f"Line {line} of {table} has no video_id.")
