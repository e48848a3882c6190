"""One clip: its samples, and what each network makes of them, computed when first asked for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import numpy as np

from llark import audio
from llark.networks import mels, rhythm, timbre, weighting
from llark.networks.beat import BeatNet, BeatOutput
from llark.networks.chord import ChordNet, ChordOutput
from llark.networks.harmony import HarmonyNet, HarmonyOutput
from llark.networks.note import NoteNet, NoteOutput
from llark.networks.rhythm import RhythmNet, RhythmOutput
from llark.networks.speech import SpeechNet
from llark.networks.tag import TagNet, TagOutput
from llark.networks.texture import Texture
from llark.networks.timbre import TimbreNet, TimbreOutput
from llark.networks.weighting import Energies
from llark.storage.folders import Place

BEAT_CHORD_RATE = 22050
TAG_SPEECH_RATE = mels.SAMPLE_RATE
SILENCE_RMS = 10.0 ** (-66.0 / 20.0)
"""A clip whose root mean square is below this (-66 dB of full scale) counts as silent."""


class Networks:
    """The frozen networks, each loaded when first asked for."""

    @classmethod
    @functools.cache
    def shared(cls) -> Networks:
        """The networks of this process; threads may use them at the same time."""
        return cls()

    @functools.cached_property
    def beat(self) -> BeatNet:
        return BeatNet.load()

    @functools.cached_property
    def chord(self) -> ChordNet:
        return ChordNet.load()

    @functools.cached_property
    def tag(self) -> TagNet:
        return TagNet.load()

    @functools.cached_property
    def speech(self) -> SpeechNet:
        return SpeechNet.load()

    @functools.cached_property
    def rhythm(self) -> RhythmNet:
        return RhythmNet.load()

    @functools.cached_property
    def harmony(self) -> HarmonyNet:
        return HarmonyNet.load()

    @functools.cached_property
    def timbre(self) -> TimbreNet:
        return TimbreNet.load()

    @functools.cached_property
    def note(self) -> NoteNet:
        return NoteNet.load()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch computes on one thread: two are slower on nets this small, and twenty times so on busy
    cores; and a sum does not depend on how many workers share the machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class AudioFeatures:
    """The outputs of the networks for one clip. Build it, read what you need, let it go: nothing outlives it.

    Raises `BadAudio` where the samples are not one finite, non-empty channel.
    """

    def __init__(self, samples: np.ndarray, sample_rate: int, networks: Networks | None = None) -> None:
        """`samples` is mono, [samples], nominally within ±1, at any `sample_rate` in Hz."""
        self.samples = audio.one_channel(samples, sample_rate)
        self.sample_rate = sample_rate
        self.networks = networks if networks is not None else Networks.shared()

    @classmethod
    def of_file(cls, path: Place, start_seconds: float, end_seconds: float) -> AudioFeatures:
        """Those of a stretch of a recording. Raises `BadAudio` as `audio.load` does."""
        return cls(*audio.load(path, start_seconds=start_seconds, end_seconds=end_seconds))

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    @functools.cached_property
    def rms(self) -> float:
        """Root mean square of the samples; 1.0 is full scale."""
        return float(np.sqrt(np.mean(np.square(self.samples, dtype=np.float64))))

    @property
    def is_silent(self) -> bool:
        return self.rms < SILENCE_RMS

    @functools.cached_property
    def texture(self) -> Texture:
        """Whether this is noise, or a tone that never changes."""
        return Texture.of(self.samples_16000)

    @property
    def is_noise(self) -> bool:
        """Whether this is steady noise alone, of any colour."""
        return self.texture.is_steady_noise

    @functools.cached_property
    def energies(self) -> Energies:
        """How loud each tenth of a second is to the ear."""
        return weighting.weigh(self.samples, self.sample_rate)

    @functools.cached_property
    def samples_22050(self) -> np.ndarray:
        """[samples] float32 at 22,050 Hz, for the beat and chord networks."""
        return self._resampled(BEAT_CHORD_RATE)

    @functools.cached_property
    def samples_16000(self) -> np.ndarray:
        """[samples] float32 at 16 kHz, for the tag and speech networks."""
        return self._resampled(TAG_SPEECH_RATE)

    @functools.cached_property
    def beat(self) -> BeatOutput:
        """Beats and downbeats at 50 frames a second."""
        return self.networks.beat(self.samples_22050)

    @functools.cached_property
    def chord(self) -> ChordOutput:
        """Chords and chroma at 43.07 frames a second."""
        return self.networks.chord(self.samples_22050)

    @functools.cached_property
    def tag(self) -> TagOutput:
        """Timbre features at 62.5 frames a second, and tags for patches of 3 s."""
        return self.networks.tag(self.samples_16000)

    @functools.cached_property
    def speech(self) -> np.ndarray:
        """Layer 3 of the speech network: [frames, 512] at 50 frames a second."""
        return self.networks.speech(self.samples_16000)

    @functools.cached_property
    def note(self) -> NoteOutput:
        """Notes and where they begin, at 86.13 frames a second."""
        return self.networks.note(self.samples_22050)

    @functools.cached_property
    def rhythm(self) -> RhythmOutput:
        """Beats and downbeats at 50 frames a second, tempo, meter, from the outputs of `beat` and `chord`."""
        return self.networks.rhythm(rhythm.evidence(self.beat, self.chord))

    @functools.cached_property
    def harmony(self) -> HarmonyOutput:
        """Chords and key, from the output of `chord`."""
        return self.networks.harmony(self.chord)

    @functools.cached_property
    def timbre(self) -> TimbreOutput:
        """Instruments and styles by our own words, from the outputs of `speech` and `tag`."""
        return self.networks.timbre(timbre.evidence(self.speech, self.tag, self.duration_seconds))

    def _resampled(self, rate: int) -> np.ndarray:
        return audio.resample(self.samples, self.sample_rate, rate)
