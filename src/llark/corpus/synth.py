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
        mono: np.ndarray = stereo.mean(axis=0)
        return mono

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
        "fluid_synth_write_float": (
            integer,
            [pointer, integer, pointer, integer, integer, pointer, integer, integer],
        ),
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
        heard = stereo[: int(seconds * rate) + rate // 10].mean(axis=1, dtype=np.float32) / np.float32(scale)
        mono = resample(heard, rate, SAMPLE_RATE)
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
