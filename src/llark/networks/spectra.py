"""The spectrograms that the rhythm and harmony nets were trained on.

`log_filterbank` is the input of `beat`, `constant_q` the input of `chord`. Both take mono float32
samples at 22,050 Hz and return one row a frame, float32; frame *i* is centred on sample `i * hop`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.fft

SAMPLE_RATE = 22050

BEAT_FRAME_SAMPLES = 1411  # 64 ms
BEAT_HOP_SAMPLES = SAMPLE_RATE // 50
BEAT_FRAMES_PER_SECOND = SAMPLE_RATE / BEAT_HOP_SAMPLES
BEAT_BANDS_PER_OCTAVE = 24
BEAT_LOWEST_HZ, BEAT_HIGHEST_HZ = 30.0, 17000.0
BEAT_WIDTH = 272  # 136 bands and their rise since the frame before

CQT_HOP_SAMPLES = 512
CQT_FRAMES_PER_SECOND = SAMPLE_RATE / CQT_HOP_SAMPLES
CQT_BINS_PER_SEMITONE = 3
CQT_BINS_PER_OCTAVE = 12 * CQT_BINS_PER_SEMITONE
CQT_BINS = 7 * CQT_BINS_PER_OCTAVE
CQT_LOWEST_HZ = 440.0 * 2 ** (-45 / 12)  # C1
_SHORT_FRAME_SAMPLES = 2 * CQT_HOP_SAMPLES
_TUNING_FRAME_SAMPLES = 2048
_TUNING_STEP = 0.01  # of a bin
_SIDELOBES = 8  # how far a wavelet's spectrum is followed, in units of 1 / its length
_TABLE_STEPS = 4096  # to such a unit

_FRAMES_AT_ONCE = 32  # that many fit into a core's cache
_RATIO = 2.0 ** (2 / CQT_BINS_PER_OCTAVE)
_QUALITY = (_RATIO + 1) / (_RATIO - 1)  # wavelet length × frequency


@dataclass(frozen=True, eq=False)
class ConstantQ:
    """`magnitudes` is [frames, 252]: seven octaves from C1, three bins a semitone.

    `tuning_bins` is how far the grid was shifted to meet the recording, in bins (thirds of a semitone),
    from -0.5 to 0.5.
    """

    magnitudes: np.ndarray
    tuning_bins: float


def log_filterbank(samples: np.ndarray) -> np.ndarray:
    """[frames, 272] at 50 frames a second: log magnitudes in 136 bands, then their positive differences."""
    window = np.hanning(BEAT_FRAME_SAMPLES).astype(np.float32)
    frames = -(-len(samples) // BEAT_HOP_SAMPLES)
    magnitudes = _magnitudes(samples, window, BEAT_HOP_SAMPLES, frames)[:, : BEAT_FRAME_SAMPLES // 2]
    bands = np.log10(magnitudes @ _filterbank() + np.float32(1))
    rise = np.zeros_like(bands)
    np.maximum(bands[1:] - bands[:-1], 0, out=rise[1:])
    return np.concatenate([bands, rise], axis=1)


def _magnitudes(samples: np.ndarray, window: np.ndarray, hop_samples: int, frames: int) -> np.ndarray:
    """[frames, len(window) // 2 + 1] magnitudes; frame *i* is centred on sample `i * hop_samples`."""
    before = len(window) // 2
    padded = np.zeros((frames - 1) * hop_samples + len(window) if frames else 0, np.float32)
    kept = min(len(samples), max(0, len(padded) - before))
    padded[before : before + kept] = samples[:kept]
    if not frames:
        return np.zeros((0, len(window) // 2 + 1), np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::hop_samples]
    magnitudes = np.empty((frames, len(window) // 2 + 1), np.float32)
    for first in range(0, frames, _FRAMES_AT_ONCE):
        part = slice(first, first + _FRAMES_AT_ONCE)
        np.abs(scipy.fft.rfft(cut[part] * window, axis=1), out=magnitudes[part])
    return magnitudes


@functools.cache
def _filterbank() -> np.ndarray:
    """[705, 136]: triangles on a quarter-tone grid around 440 Hz, each of unit area, as whole FFT bins."""
    bin_hz = SAMPLE_RATE / (BEAT_FRAME_SAMPLES // 2) / 2
    first = np.floor(np.log2(BEAT_LOWEST_HZ / 440) * BEAT_BANDS_PER_OCTAVE)
    last = np.ceil(np.log2(BEAT_HIGHEST_HZ / 440) * BEAT_BANDS_PER_OCTAVE)
    hz = 440 * 2.0 ** (np.arange(first, last) / BEAT_BANDS_PER_OCTAVE)
    hz = hz[(hz >= BEAT_LOWEST_HZ) & (hz <= BEAT_HIGHEST_HZ)]
    bins = BEAT_FRAME_SAMPLES // 2
    corners = np.unique(np.clip(np.rint(hz / bin_hz).astype(int), 0, bins - 1))
    bank = np.zeros((bins, len(corners) - 2), np.float32)
    for band, (start, centre, stop) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        if stop - start < 2:
            centre, stop = start, start + 1
        rising = np.linspace(0, 1, centre - start, endpoint=False)
        falling = np.linspace(1, 0, stop - centre, endpoint=False)
        triangle = np.concatenate([rising, falling]).astype(np.float32)
        bank[start:stop, band] = triangle / triangle.sum()
    return bank


def constant_q(samples: np.ndarray) -> ConstantQ:
    """The constant-Q magnitudes of a whole recording, [1 + len(samples) // 512, 252].

    Bins whose wavelet is longer than 512 samples come from one FFT of everything; the few above share a
    short-time FFT, because the net was trained on that mixture.
    """
    frames = 1 + len(samples) // CQT_HOP_SAMPLES
    tuning = _tuning_bins(samples, frames)
    hz = CQT_LOWEST_HZ * 2.0 ** ((np.arange(CQT_BINS) + tuning) / CQT_BINS_PER_OCTAVE)
    lengths = _QUALITY * SAMPLE_RATE / hz
    long = int(np.sum(lengths > CQT_HOP_SAMPLES))
    magnitudes = np.empty((frames, CQT_BINS), np.float32)
    magnitudes[:, :long] = _long_wavelets(samples, hz[:long], lengths[:long], frames)
    magnitudes[:, long:] = _short_wavelets(samples, hz[long:], lengths[long:], frames)
    return ConstantQ(magnitudes, tuning)


def _long_wavelets(samples: np.ndarray, hz: np.ndarray, lengths: np.ndarray, frames: int) -> np.ndarray:
    """[frames, bins]: each wavelet is a product on the few FFT bins where it is not zero.

    The product is folded onto the decimated frame count, which is what taking every 512th sample of the
    filtered signal does to its spectrum.
    """
    padding = int(np.ceil(lengths[0] / CQT_HOP_SAMPLES)) + 1
    rows = scipy.fft.next_fast_len(frames + padding)
    spectrum = scipy.fft.rfft(samples.astype(np.float32, copy=False), rows * CQT_HOP_SAMPLES)
    bin_hz = SAMPLE_RATE / (rows * CQT_HOP_SAMPLES)
    folded = np.zeros((len(hz), rows), np.complex64)
    for row, centre_hz, length in zip(folded, hz, lengths, strict=True):
        reach_hz = _SIDELOBES * SAMPLE_RATE / length
        first = max(0, int(np.ceil((centre_hz - reach_hz) / bin_hz)))
        last = min(len(spectrum), int(np.floor((centre_hz + reach_hz) / bin_hz)) + 1)
        offsets = (np.arange(first, last) * bin_hz - centre_hz) * (length / SAMPLE_RATE)
        product = spectrum[first:last] * _hann_spectrum(offsets)
        _fold(product, first % rows, row)
    folded *= (np.sqrt(lengths) / CQT_HOP_SAMPLES).astype(np.float32)[:, None]
    magnitudes = np.abs(scipy.fft.ifft(folded, axis=1)[:, :frames])
    return np.ascontiguousarray(magnitudes.T)


def _fold(product: np.ndarray, start: int, row: np.ndarray) -> None:
    """Adds `product` into `row` from place `start` on, round and round."""
    turns = -(-(start + len(product)) // len(row))
    padded = np.zeros(turns * len(row), np.complex64)
    padded[start : start + len(product)] = product
    row += padded.reshape(turns, len(row)).sum(axis=0)


def _hann_spectrum(offsets: np.ndarray) -> np.ndarray:
    """The spectrum of a Hann window of unit area; `offsets` are in units of 1 / its length, at most 8.

    A table is read between its entries: exact to 1e-7, and in a third of the time of the sines.
    """
    table, rise = _hann_table()
    place = np.abs(offsets) * _TABLE_STEPS
    below = place.astype(np.int32)
    place -= below
    return table[below] + rise[below] * place.astype(np.float32)


@functools.cache
def _hann_table() -> tuple[np.ndarray, np.ndarray]:
    """The spectrum at each step of an offset, and how it rises to the next."""
    values = _hann_spectrum_exactly(np.arange(_SIDELOBES * _TABLE_STEPS + 3) / _TABLE_STEPS)
    return values[:-1].astype(np.float32), np.diff(values).astype(np.float32)


def _hann_spectrum_exactly(offsets: np.ndarray) -> np.ndarray:
    denominator = 1 - offsets**2
    near_one = np.abs(denominator) < 1e-9
    values = np.sinc(offsets) / np.where(near_one, 1, denominator)
    values[near_one] = 0.5
    return values


def _short_wavelets(samples: np.ndarray, hz: np.ndarray, lengths: np.ndarray, frames: int) -> np.ndarray:
    """[frames, bins]: magnitudes of a short-time FFT, weighted by the magnitudes of the wavelets' spectra."""
    window = _periodic_hann(_SHORT_FRAME_SAMPLES)
    magnitudes = _magnitudes(samples, window, CQT_HOP_SAMPLES, frames)
    bin_hz = np.arange(magnitudes.shape[1]) * (SAMPLE_RATE / _SHORT_FRAME_SAMPLES)
    offsets = (bin_hz[:, None] - hz) * (lengths / SAMPLE_RATE)
    weights = np.abs(_hann_spectrum(offsets.clip(-_SIDELOBES, _SIDELOBES)))
    weights = weights * (lengths / _SHORT_FRAME_SAMPLES**1.5)
    weights[np.abs(offsets) > _SIDELOBES] = 0
    return magnitudes @ weights.astype(np.float32)


def _periodic_hann(samples: int) -> np.ndarray:
    return np.hanning(samples + 1)[:-1].astype(np.float32)


def _tuning_bins(samples: np.ndarray, frames: int) -> float:
    """The commonest distance of spectral peaks from the grid of 36 bins an octave around 440 Hz, in bins."""
    magnitudes = _magnitudes(samples, _periodic_hann(_TUNING_FRAME_SAMPLES), CQT_HOP_SAMPLES, frames)
    bin_hz = SAMPLE_RATE / _TUNING_FRAME_SAMPLES
    floor = 0.1 * magnitudes.max(axis=1, keepdims=True)
    low, high = int(np.ceil(150 / bin_hz)), int(np.ceil(4000 / bin_hz))
    left, centre, right = (magnitudes[:, low + d : high + d] for d in (-1, 0, 1))
    frame, peak = np.nonzero(
        (centre > floor) & (centre > np.where(left > floor, left, 0)) & (centre >= right)
    )
    if not len(frame):
        return 0.0
    a, b, c = left[frame, peak], centre[frame, peak], right[frame, peak]
    slope, bend = (c - a) / 2, a + c - 2 * b
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(np.abs(slope) < np.abs(bend), -slope / bend, 0)
    heights = b + slope * shift / 2
    hz = (low + peak + shift) * bin_hz
    hz = hz[heights >= np.median(heights)]
    residual = np.mod(CQT_BINS_PER_OCTAVE * np.log2(hz / 27.5), 1.0)
    residual[residual >= 0.5] -= 1.0
    edges = np.linspace(-0.5, 0.5, round(1 / _TUNING_STEP) + 1)
    counts, _ = np.histogram(residual, edges)
    return float(edges[np.argmax(counts)])
