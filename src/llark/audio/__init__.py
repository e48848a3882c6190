"""The only package that opens audio files, and where all time arithmetic lives."""

from llark.audio.loading import (
    AUDIO_SUFFIXES,
    LOUDEST_SAMPLE,
    fingerprint,
    load,
    looks_like_audio,
    one_channel,
    probe,
    refuse_changed,
    resample,
    save,
)
from llark.audio.source import SHORTEST_SECONDS, AudioInfo
from llark.audio.timing import (
    MINI_FRAMES_PER_SECOND,
    WINDOW_SECONDS,
    Span,
    frame_count,
    stream,
    windows,
    windows_of,
)

__all__ = (
    "AUDIO_SUFFIXES", "LOUDEST_SAMPLE", "MINI_FRAMES_PER_SECOND", "SHORTEST_SECONDS", "WINDOW_SECONDS",
    "AudioInfo", "Span", "fingerprint", "frame_count", "load",
    "looks_like_audio", "one_channel", "probe", "refuse_changed", "resample", "save",
    "stream", "windows", "windows_of",
)  # fmt: skip
