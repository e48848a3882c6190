"""The prepare stage on a real object store: recordings are read from it, and what is made goes into it."""

from __future__ import annotations

import io

import fsspec
import numpy as np
import soundfile

from llark.options import PrepareOptions
from llark.pipeline import prepare as pipeline
from llark.records import Clip
from llark.storage import stages


def test_a_folder_in_a_bucket_is_prepared_into_the_bucket(bucket: str) -> None:
    system, place = fsspec.core.url_to_fs(f"{bucket}/music")
    for number in range(2):
        held = io.BytesIO()
        soundfile.write(
            held, np.sin(np.arange(22050 * 30) / (20 + number)).astype("f4") * 0.3, 22050, format="FLAC"
        )
        system.pipe_file(f"{place}/song {number}.flac", held.getvalue())
    options = PrepareOptions(crop="every")
    pipeline.prepare(f"{bucket}/music", f"{bucket}/out", options, workers=0, report=False)
    clips = list(stages.read(f"{bucket}/out/clips", Clip))
    assert [(clip.start_seconds, clip.end_seconds) for clip in clips] == [(0, 25), (25, 30)] * 2
    assert {clip.path.rpartition("/")[2] for clip in clips} == {"song 0.flac", "song 1.flac"}
