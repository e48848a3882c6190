"""Sound that was lost in the middle of a file: never a shorter or shifted recording, always a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
import soundfile

from llark import audio
from llark.audio import framing
from llark.errors import BadAudio
from tests.damage import encode

RATE = encode.RATE
WINDOWS = ({}, {"start_seconds": 0.0, "end_seconds": 15.0}, {"start_seconds": 15.0, "end_seconds": 29.9})
MADE: dict[str, tuple[str, dict[str, str]]] = {
    "c.mp3": ("libmp3lame", {}),
    "bare.mp3": ("libmp3lame", {"quality": "4", "write_xing": "0"}),
    "in.wav": ("libmp3lame", {}),
    "c.mp2": ("mp2", {}),
    "c.aac": ("aac", {}),
    "c.ac3": ("ac3", {}),
    "c.eac3": ("eac3", {}),
    "c.wv": ("wavpack", {}),
    "c.tta": ("tta", {}),
    "c.oga": ("flac", {"container": "ogg"}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Thirty seconds in every format."""
    folder = tmp_path_factory.mktemp("holes")
    made = {
        name: encode.encode(folder / name, codec, repeat=5, **options)  # type: ignore[arg-type]
        for name, (codec, options) in MADE.items()
    }
    sound = np.tile(encode.sound(), (5, 1))
    for name in ("c.ogg", "c.flac"):
        made[name] = encode.write(folder / name, sound)
    made["c.opus"] = folder / "c.opus"
    audio.save(made["c.opus"], audio.resample(sound, RATE, 48_000), 48_000)
    return made


def _zeros(data: bytes, place: int) -> bytes:
    count = len(data) // 40
    return data[:place] + bytes(count) + data[place + count :]


def _cut_out(data: bytes, place: int) -> bytes:
    return data[:place] + data[place + len(data) // 40 :]


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def _read(path: Path | str, window: dict[str, float]) -> np.ndarray | None:
    """The samples, or `None` where they are refused as damaged."""
    try:
        return audio.load(path, **window)[0]
    except BadAudio as error:
        if error.reason != "damaged":
            raise
        return None


def _off_seconds(samples: np.ndarray, right: np.ndarray, rate: int) -> float:
    """How much of it is not what it should be, by tenths of a second."""
    block, count = rate // 10, min(len(samples), len(right)) // (rate // 10)
    pairs = zip(*(each[: count * block].reshape(count, block) for each in (samples, right)), strict=True)
    wrong = [np.sqrt(np.mean((a - b) ** 2)) > 0.3 * np.sqrt(np.mean(b**2)) + 2e-3 for a, b in pairs]
    return sum(wrong) / 10 + abs(len(samples) - len(right)) / rate


def _places(data: bytes) -> Iterator[int]:
    for share in (0.1, 0.3, 0.49, 0.6, 0.8, 0.93):
        yield int(share * len(data))


def _check(name: str, files: dict[str, Path], folder: Path, damage: Callable[[bytes, int], bytes]) -> int:
    """Damages a file at each place and reads it in every way; returns how often it was refused."""
    clean, data, refused = [audio.load(files[name], **w)[0] for w in WINDOWS], files[name].read_bytes(), 0
    rate = audio.probe(files[name]).sample_rate
    for place in _places(data):
        path = folder / name
        path.write_bytes(damage(data, place))
        for window, right in zip(WINDOWS, clean, strict=True):
            samples = _read(path, window)
            refused += samples is None
            assert samples is None or _off_seconds(samples, right, rate) <= 0.3, (name, place, window)
    return refused


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c.ogg", "c.opus", "c.oga", "c.flac", *MADE])
def test_zeros_or_bytes_cut_out_of_a_file_are_refused_in_every_window_that_they_touch(
    files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    for damage in (_zeros, _cut_out):
        assert _check(name, files, tmp_path, damage) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c.ogg", "c.opus"])
def test_one_flipped_bit_costs_an_ogg_file_its_page_and_the_windows_that_hold_it(
    files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    assert 12 <= _check(name, files, tmp_path, _flipped) <= 14


def test_a_hole_before_silence_is_refused(tmp_path: Path) -> None:
    """The end of the window is silent whether or not the music comes too early."""
    sound = np.concatenate([np.tile(encode.sound(), (2, 1)), np.zeros((12 * RATE, 2), np.float32)])
    data = encode.write(tmp_path / "clean.ogg", sound).read_bytes()
    place = len(data) // 4
    (tmp_path / "hole.ogg").write_bytes(data[:place] + bytes(8000) + data[place + 8000 :])
    for window in ({}, {"start_seconds": 0.0, "end_seconds": 20.0}):
        with pytest.raises(BadAudio, match="pages of it are missing at"):
            audio.load(tmp_path / "hole.ogg", **window)


def test_a_hole_behind_a_url_is_refused_like_one_on_disk(files: dict[str, Path]) -> None:
    for name in ("c.ogg", "c.mp3", "c.aac"):
        data = files[name].read_bytes()
        url = f"memory://holes/{name}"
        with fsspec.open(url, "wb") as file:
            file.write(_zeros(data, len(data) // 2))
        assert _read(url, {"start_seconds": 10.0, "end_seconds": 25.0}) is None


def test_a_hole_over_the_end_of_a_window_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["c.flac"].read_bytes()
    place = len(data) // 2
    (tmp_path / "hole.flac").write_bytes(_zeros(data, place))
    lost = audio.load(files["c.flac"], end_seconds=15.4)
    assert len(lost[0]) == round(15.4 * RATE)
    for end in (15.2, 15.4, 15.6):
        assert _read(tmp_path / "hole.flac", {"end_seconds": end}) is None


def test_an_avi_file_of_fewer_packets_than_its_header_counts_is_refused(tmp_path: Path) -> None:
    data = encode.encode(tmp_path / "clean.avi", "libmp3lame", repeat=5).read_bytes()
    assert audio.probe(tmp_path / "clean.avi").duration_seconds == pytest.approx(30.0, abs=0.06)
    (tmp_path / "hole.avi").write_bytes(_zeros(data, len(data) // 2))
    for read in (audio.probe, audio.load):
        with pytest.raises(BadAudio, match="s are missing in it"):
            read(tmp_path / "hole.avi")


def test_an_avi_file_of_plain_samples_is_read(tmp_path: Path) -> None:
    encode.encode(tmp_path / "c.avi", "pcm_s16le", repeat=5)
    assert audio.probe(tmp_path / "c.avi").duration_seconds == pytest.approx(30.0, abs=0.01)


@pytest.mark.parametrize("codec", ["libmp3lame", "ac3"])
def test_a_stretch_that_comes_twice_is_damage_where_packets_tell_their_time(
    tmp_path: Path, codec: str
) -> None:
    data = encode.encode(tmp_path / "clean.mka", codec, repeat=5).read_bytes()
    place, count = len(data) // 2, len(data) // 10
    (tmp_path / "twice.mka").write_bytes(data[: place + count] + data[place:])
    with pytest.raises(BadAudio) as caught:
        audio.load(tmp_path / "twice.mka")
    assert caught.value.reason == "damaged"


def test_a_beginning_that_was_zeroed_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("bare.mp3", "c.mp2", "c.aac", "c.ac3", "c.flac", "c.ogg", "c.opus", "c.wv", "c.tta"):
        data = files[name].read_bytes()
        path = tmp_path / name
        path.write_bytes(bytes(12_000) + data[12_000:])
        with pytest.raises(BadAudio) as caught:
            audio.load(path)
        assert caught.value.reason in ("damaged", "not-audio")


def test_labels_between_and_around_frames_are_no_hole(files: dict[str, Path], tmp_path: Path) -> None:
    picture = b"\x00" * 300_000
    size = bytes((len(picture) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    label = b"ID3\x04\x00\x00" + size + picture
    tail = b"LYRICSBEGIN" + b"la " * 900 + b"LYRICS200" + b"TAG" + bytes(125)
    for name in ("bare.mp3", "c.mp2", "c.aac"):
        data = files[name].read_bytes()
        (tmp_path / name).write_bytes(label + data + tail + label + data + tail + b"The end.\n" * 500)
        once, rate = audio.load(files[name])
        twice, _ = audio.load(tmp_path / name)
        assert len(twice) / rate == pytest.approx(2 * len(once) / rate, abs=0.06)
        assert np.array_equal(twice[: len(once) - 4096], once[:-4096])


def test_a_stream_that_was_cut_within_a_frame_begins_with_the_next(
    files: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("bare.mp3", "c.aac", "c.ac3"):
        data = files[name].read_bytes()
        (tmp_path / name).write_bytes(data[len(data) // 3 + 11 :])
        assert 19.5 < audio.probe(tmp_path / name).duration_seconds < 20.5


def test_flac_files_one_after_the_other_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    long, short = files["c.flac"].read_bytes(), tmp_path / "short.flac"
    encode.write(short, encode.sound())
    for number, data in enumerate(
        (long + long, long + short.read_bytes(), short.read_bytes() + long, short.read_bytes() * 3)
    ):
        path = tmp_path / f"{number}.flac"
        path.write_bytes(data)
        for read in (audio.probe, audio.load):
            with pytest.raises(BadAudio, match="several FLAC files"):
                read(path)


def test_frames_of_flac_that_are_missing_or_stand_twice_or_elsewhere_are_refused(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """By their numbers: each frame is whole."""
    data = files["c.flac"].read_bytes()
    with av.open(str(files["c.flac"])) as file:
        places = [packet.pos for packet in file.demux(audio=0) if packet.pos is not None]
    first, second, third = (places[len(places) // 2 + step] for step in (0, 3, 6))
    damaged = {
        "missing": data[:first] + data[second:],
        "twice": data[:second] + data[first:],
        "swapped": data[:first] + data[second:third] + data[first:second] + data[third:],
    }
    for name, changed in damaged.items():
        (tmp_path / f"{name}.flac").write_bytes(changed)
        for window in ({}, {"start_seconds": 14.0, "end_seconds": 17.0}):
            assert _read(tmp_path / f"{name}.flac", window) is None, (name, window)
        right = audio.load(files["c.flac"], end_seconds=10.0)[0]
        assert np.array_equal(audio.load(tmp_path / f"{name}.flac", end_seconds=10.0)[0], right)


def test_bytes_of_flac_that_look_like_the_head_of_a_frame_are_no_hole(files: dict[str, Path]) -> None:
    data = files["c.flac"].read_bytes()
    head = data.index(b"\xff\xf8")
    assert not framing.has_flac_hole(data)
    assert not framing.has_flac_hole(data + data[head : head + 16])


@pytest.mark.parametrize(
    ("subtype", "place", "value"),
    [("PCM_16", 22, 1), ("PCM_24", 22, 255), ("DOUBLE", 22, 255), ("ULAW", 22, 255), ("PCM_16", 34, 24),
     ("PCM_16", 24, 0x1234)],
    ids=["one channel", "255 of 24 bits", "255 of doubles", "255 of µ-law", "24 bits of 16", "rate"],
)  # fmt: skip
def test_a_wav_header_that_contradicts_itself_is_damage(
    tmp_path: Path, subtype: str, place: int, value: int
) -> None:
    path = encode.write(tmp_path / "c.wav", encode.sound(), subtype=subtype, format="WAV")
    assert audio.probe(path).duration_seconds == pytest.approx(6.0)
    data = path.read_bytes()
    path.write_bytes(data[:place] + value.to_bytes(2, "little") + data[place + 2 :])
    for read in (audio.probe, audio.load):
        with pytest.raises(BadAudio, match="its header contradicts itself") as caught:
            read(path)
        assert caught.value.reason == "damaged"


def test_a_wav_header_without_its_bytes_a_second_is_read(tmp_path: Path) -> None:
    path = encode.write(tmp_path / "c.wav", encode.sound())
    data = path.read_bytes()
    path.write_bytes(data[:28] + bytes(4) + data[32:])
    assert len(audio.load(path)[0]) == 6 * RATE


def test_an_ogg_file_that_goes_on_in_another_codec_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    vorbis, opus = (files[name].read_bytes() for name in ("c.ogg", "c.opus"))
    for number, data in enumerate((vorbis + opus, opus + vorbis)):
        path = tmp_path / f"{number}.ogg"
        path.write_bytes(data)
        for read in (audio.probe, audio.load):
            with pytest.raises(BadAudio, match="cannot be read on from byte"):
                read(path)


@pytest.mark.parametrize("name", ["c.mp2", "c.ac3", "c.eac3", "c.wv", "c.tta", "c.oga", "in.wav"])
def test_a_window_is_where_it_is_in_the_whole_file(files: dict[str, Path], name: str) -> None:
    """AC-3's frames have no round length in FFmpeg's clock; frames of TTA last longer than a second."""
    whole, rate = audio.load(files[name])
    for start, end in ((7.3, 12.1), (23.0, 24.0), (28.0, 29.9)):
        window, _ = audio.load(files[name], start_seconds=start, end_seconds=end)
        right = whole[round(start * rate) : round(end * rate)]
        assert len(window) == len(right)
        assert np.abs(window - right).max() < 5e-3


def test_a_flac_without_a_rate_in_its_header_is_as_long_as_its_frames(
    files: dict[str, Path], tmp_path: Path
) -> None:
    data = files["c.flac"].read_bytes()
    head = int.from_bytes(data[18:26], "big") & ~(0xFFFFF << 44)
    (tmp_path / "rate0.flac").write_bytes(data[:18] + head.to_bytes(8, "big") + data[26:])
    info = audio.probe(tmp_path / "rate0.flac")
    assert (info.sample_rate, info.duration_seconds) == (RATE, pytest.approx(30.0))
    assert len(audio.load(tmp_path / "rate0.flac")[0]) == 30 * RATE


def test_samples_of_64_bits_are_read(tmp_path: Path) -> None:
    sound = np.round(encode.mono() * 2.0**62).astype("<i8")
    with av.open(str(tmp_path / "c.wav"), "w") as file:
        stream: Any = file.add_stream("pcm_s64le", rate=RATE)
        stream.layout = "mono"
        packet = av.Packet(sound.tobytes())
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, RATE)
        file.mux(packet)
    samples, _ = audio.load(tmp_path / "c.wav")
    assert np.abs(samples - encode.mono() / 2).max() < 1e-6


@pytest.mark.parametrize("rate", [1, 999, 800_000])
def test_a_rate_that_no_sound_has_is_damage(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "odd.wav", np.full(2_000_000, 0.25, np.float32), rate)
    for read in (audio.probe, audio.load):
        with pytest.raises(BadAudio, match=f"it says {rate:,} samples a second") as caught:
            read(tmp_path / "odd.wav")
        assert caught.value.reason == "damaged"


@pytest.mark.parametrize("late_packets", [False, True], ids=["interleaved", "after the pictures"])
def test_silence_stands_before_the_sound_of_a_film_that_begins_later(
    tmp_path: Path, late_packets: bool
) -> None:
    """So its time is that of a player. Where no packet comes early, FFmpeg has no time for the stream."""
    path = _late_film(tmp_path / "late.mkv", 5, late_packets)
    sound = audio.resample(encode.mono(), RATE, 48_000)
    samples, rate = audio.load(path)
    assert audio.probe(path).duration_seconds == pytest.approx(11.0, abs=0.05)
    assert len(samples) / rate == pytest.approx(11.0, abs=0.05)
    assert np.abs(samples[: round(4.95 * rate)]).max() == 0.0
    spectrum = np.fft.rfft(samples, 1 << 20) * np.fft.rfft(sound, 1 << 20).conj()
    assert int(np.fft.irfft(spectrum).argmax()) == pytest.approx(5 * rate, abs=48)
    window, _ = audio.load(path, start_seconds=3.0, end_seconds=8.0)
    assert np.abs(window - samples[3 * rate : 8 * rate]).max() < 0.02


def _late_film(path: Path, late_seconds: int, late_packets: bool) -> Path:
    """Pictures from 0 s on and six seconds of sound from later on; all pictures may be written first."""
    with av.open(str(path), "w") as file:
        sound: Any = file.add_stream("aac", rate=48_000, layout="mono")
        picture: Any = file.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        packets: list[Any] = []
        for index in range(10 * (6 + late_seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            packets += picture.encode(frame)
        packets += picture.encode(None)
        samples = audio.resample(encode.mono(), RATE, 48_000)[None]
        whole = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        whole.sample_rate, whole.pts, whole.time_base = 48_000, 48_000 * late_seconds, Fraction(1, 48_000)
        for part in av.AudioResampler("fltp", "mono", 48_000, frame_size=1024).resample(whole):
            packets += sound.encode(part)
        packets += sound.encode(None)
        if not late_packets:
            packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        for packet in packets:
            file.mux(packet)
    return path
