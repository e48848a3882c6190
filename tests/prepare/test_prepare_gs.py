"""The prepare stage on an emulator of Google Cloud Storage: `pip install gcsfs gcp-storage-emulator`."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator

import fsspec
import numpy as np
import pytest
import soundfile

from llark import audio
from llark.errors import StoreMismatch
from llark.pipeline import prepare as walk
from llark.prepare import crop, stage
from llark.records import Clip
from llark.storage import folders, stages

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gs_bucket() -> Iterator[str]:
    """The URL of a bucket on a server that runs in a thread of this process, in memory."""
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    gcsfs = pytest.importorskip("gcsfs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="music")
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        gcsfs.GCSFileSystem.clear_instance_cache()
        yield "gs://music"
        gcsfs.GCSFileSystem.clear_instance_cache()
    server.stop()


def test_a_folder_in_a_gs_bucket_is_prepared_into_the_bucket(gs_bucket: str) -> None:
    system, place = fsspec.core.url_to_fs(f"{gs_bucket}/songs")
    for number in range(2):
        held, sound = io.BytesIO(), np.sin(np.arange(8000 * 30) / (20 + number)).astype("f4") * 0.3
        soundfile.write(held, sound, 8000, format="FLAC")
        system.pipe_file(f"{place}/song {number}.flac", held.getvalue())
    settings = stage.PrepareConfig(f"{gs_bucket}/songs", convert="wav", crop=crop.named("every", 20.0))
    walk.prepare(settings, f"{gs_bucket}/out", workers=0, report=True)
    clips = list(stages.read(f"{gs_bucket}/out/clips", Clip))
    assert [(clip.offset_seconds, clip.end_seconds) for clip in clips] == [(0, 20), (20, 10)] * 2
    assert all(clip.path.startswith("gs://music/out/audio/") for clip in clips)
    assert audio.probe(clips[1].path).duration_seconds == 10.0
    folder = folders.folder(f"{gs_bucket}/out")
    assert folder.names() == ["audio", "clips", "prepared.json", "report.html", "tracks"]
    assert json.loads(folder.read("prepared.json"))["counts"]["clips"] == 4
    with pytest.raises(StoreMismatch, match=r'convert: "wav" there, null here'):
        stage.run(
            stage.PrepareConfig(f"{gs_bucket}/songs", crop=settings.crop), f"{gs_bucket}/out", progress=False
        )
