"""Synthesizers: a part whose times are seconds becomes samples.

`Fluid` plays through FluidSynth's library (Debian: fluidsynth), which loads a sound font once and renders a
part in a few hundredths of a second. `Portable` plays through midirenderer with the sound font inside
pretty_midi's wheel and needs nothing but PyPI.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import io
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy import signal
from scipy.io import wavfile

from llark.audio import resample
from llark.corpus import midi
from llark.corpus.piece import BEND, Part
from llark.errors import UserMustAct

SAMPLE_RATE = 22_050
"""Samples a second of every clip of the corpus."""

GAIN = 0.3

BLOCK = 64
"""Samples that FluidSynth makes at a time."""


class Synth(Protocol):
    """Anything that turns one part into mono samples."""

    name: str

    def play(self, part: Part, seconds: float) -> np.ndarray:
        """[samples] float32 at SAMPLE_RATE: the first `seconds` of a part whose times are seconds."""
        ...


class Fluid:
    """FluidSynth's library with one sound font, dry: reverberation is added later, to the whole."""

    def __init__(self, soundfont: Path) -> None:
        self.name = soundfont.stem
        self._lib = _library()
        settings = self._lib.new_fluid_settings()
        self._lib.fluid_settings_setnum(settings, b"synth.sample-rate", float(SAMPLE_RATE))
        self._lib.fluid_settings_setnum(settings, b"synth.gain", GAIN)
        for effect in (b"synth.reverb.active", b"synth.chorus.active"):
            self._lib.fluid_settings_setint(settings, effect, 0)
        self._synth = self._lib.new_fluid_synth(settings)
        self._font = self._lib.fluid_synth_sfload(self._synth, str(soundfont).encode(), 0)
        if self._font < 0:
            raise UserMustAct(f"FluidSynth cannot load the sound font {soundfont}; reinstall its package.")

    def play(self, part: Part, seconds: float) -> np.ndarray:
        """See `Synth.play`. Events fall on blocks of `BLOCK` samples (2.9 ms)."""
        channel, bank = (midi.PERCUSSION_CHANNEL, 128) if part.is_drums else (0, 0)
        lib, synth = self._lib, self._synth
        lib.fluid_synth_system_reset(synth)
        if lib.fluid_synth_program_select(synth, channel, self._font, bank, part.program) != 0:
            lib.fluid_synth_program_select(synth, channel, self._font, bank, 0)
        stereo = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
        done = 0
        for at, kind, number, value in _events(part):
            upto = min(max(round(at * SAMPLE_RATE), done), stereo.shape[1])
            self._write(stereo, done, upto)
            done = upto
            if done == stereo.shape[1]:
                break
            if kind == 0:
                lib.fluid_synth_noteoff(synth, channel, number)
            elif kind == 2:
                lib.fluid_synth_noteon(synth, channel, number, value)
            elif number == BEND:
                lib.fluid_synth_pitch_bend(synth, channel, value + 8192)
            else:
                lib.fluid_synth_cc(synth, channel, number, value)
        self._write(stereo, done, stereo.shape[1])
        rest = np.zeros((2, -stereo.shape[1] % BLOCK), np.float32)
        self._write(rest, 0, rest.shape[1])  # so that the next part begins with a block, as this one did
        return stereo.mean(axis=0)

    def _write(self, stereo: np.ndarray, start: int, stop: int) -> None:
        if stop > start:
            left, right = stereo[0, start:].ctypes.data, stereo[1, start:].ctypes.data
            self._lib.fluid_synth_write_float(self._synth, stop - start, left, 0, 1, right, 0, 1)


def _events(part: Part) -> list[tuple[float, int, int, int]]:
    """(seconds, kind, number, value) in playing order; kind 0 ends a note, 1 controls, 2 begins a note."""
    events = [(c.start, 1, c.number, c.value) for c in part.controls]
    events += [(n.end, 0, n.pitch, 0) for n in part.notes]
    events += [(n.start, 2, n.pitch, n.velocity) for n in part.notes]
    return sorted(events)


@functools.cache
def _library() -> ctypes.CDLL:
    """FluidSynth's shared library, with the types of what is called. Raises `UserMustAct` where it is
    missing."""
    try:
        lib = ctypes.CDLL("libfluidsynth.so.3")
    except OSError as error:
        raise UserMustAct("FluidSynth is missing: install the Debian package fluidsynth.") from error
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_double
    signatures = {
        "new_fluid_settings": (pointer, []),
        "new_fluid_synth": (pointer, [pointer]),
        "fluid_settings_setnum": (integer, [pointer, ctypes.c_char_p, number]),
        "fluid_settings_setint": (integer, [pointer, ctypes.c_char_p, integer]),
        "fluid_synth_sfload": (integer, [pointer, ctypes.c_char_p, integer]),
        "fluid_synth_system_reset": (integer, [pointer]),
        "fluid_synth_program_select": (integer, [pointer, integer, integer, integer, integer]),
        "fluid_synth_noteon": (integer, [pointer, integer, integer, integer]),
        "fluid_synth_noteoff": (integer, [pointer, integer, integer]),
        "fluid_synth_cc": (integer, [pointer, integer, integer, integer]),
        "fluid_synth_pitch_bend": (integer, [pointer, integer, integer]),
        "fluid_synth_write_float": (integer, [pointer, integer, *[pointer, integer, integer] * 2]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Portable:
    """midirenderer with a SoundFont 2 file (by default the one inside pretty_midi's wheel)."""

    def __init__(self, soundfont: Path | None = None) -> None:
        path = soundfont or bundled_soundfont()
        self.name = path.stem
        self._font = path.read_bytes()

    def play(self, part: Part, seconds: float) -> np.ndarray:
        """See `Synth.play`. Rendered at the 48 kHz that midirenderer knows, then resampled."""
        import midirenderer

        wave = midirenderer.render_wave_from(self._font, midi.write(part))
        rate, stereo = wavfile.read(io.BytesIO(wave))
        scale = np.iinfo(stereo.dtype).max if stereo.dtype.kind == "i" else 1.0
        rendered = stereo[: int(seconds * rate) + rate // 10].mean(axis=1, dtype=np.float32)
        mono = resample(rendered / np.float32(scale), rate, SAMPLE_RATE)
        samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
        samples[: len(mono)] = mono[: len(samples)]
        return samples


def bundled_soundfont() -> Path:
    """TimGM6mb.sf2 (GPL-2.0) of the installed pretty_midi. Raises `UserMustAct` without the extra
    `corpus`."""
    spec = importlib.util.find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise UserMustAct("pretty_midi is missing: install llark[corpus].")
    return Path(spec.origin).parent / "TimGM6mb.sf2"


# --- What a room, a microphone and a master tape do to a mix. numpy and scipy only; time is never moved.


def finish_mix(mix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[samples] float32 → the same, with some of room, tilt, drive, noise, fade; peak −12 to −1 dBFS."""
    if rng.random() < 0.65:
        mix = room(mix, rng.uniform(0.25, 1.8), rng.uniform(-24, -9), rng)
    if rng.random() < 0.25:
        mix = signal.sosfilt(_first_order(rng.uniform(50, 220), "highpass"), mix)
    if rng.random() < 0.3:
        mix = signal.sosfilt(_first_order(np.exp(rng.uniform(np.log(2500), np.log(9000))), "lowpass"), mix)
    mix = mix / max(float(np.abs(mix).max()), 1e-9)
    if rng.random() < 0.15:
        drive = rng.uniform(1.2, 3.0)
        mix = np.tanh(drive * mix) / np.tanh(drive)
    if rng.random() < 0.3:
        mix = mix + noise(mix, rng.uniform(8, 50), rng)
    if rng.random() < 0.08:
        mix = faded(mix, rng)
    peak = 10 ** (rng.uniform(-12, -1) / 20)
    return (mix * peak / max(float(np.abs(mix).max()), 1e-9)).astype(np.float32)


def room(mix: np.ndarray, seconds: float, wet_db: float, rng: np.random.Generator) -> np.ndarray:
    """The mix with a decaying, darkened noise tail that falls by 60 dB in `seconds`."""
    count = int(seconds * SAMPLE_RATE)
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail = signal.sosfilt(_first_order(rng.uniform(2000, 6000), "lowpass"), tail)
    tail[: int(rng.uniform(0.002, 0.02) * SAMPLE_RATE)] = 0.0
    tail *= 10 ** (wet_db / 20) / max(float(np.sqrt((tail**2).sum())), 1e-9)
    return mix + signal.oaconvolve(mix, tail)[: len(mix)]


def faded(mix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mix rising from, or falling to, 30 dB less over a part of it."""
    count = int(rng.uniform(0.15, 0.6) * len(mix))
    ramp = np.ones(len(mix))
    ramp[:count] = 10 ** (-1.5 * (1 - np.arange(count) / max(count, 1)))
    return mix * (ramp if rng.random() < 0.4 else ramp[::-1])


def noise(mix: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """White or pinkish noise, `snr_db` below the mix."""
    hiss = rng.standard_normal(len(mix))
    if rng.random() < 0.5:
        hiss = signal.sosfilt(_first_order(400.0, "lowpass"), hiss)
    level = np.sqrt((mix**2).mean() / max(float((hiss**2).mean()), 1e-12)) * 10 ** (-snr_db / 20)
    return hiss * level


def _first_order(hertz: float, kind: str) -> np.ndarray:
    return signal.butter(1, hertz, kind, fs=SAMPLE_RATE, output="sos")
