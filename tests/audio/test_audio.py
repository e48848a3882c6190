"""Audio files: what is read, what is refused, and that time means the same whichever decoder reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr

from llark import audio
from llark.audio import decoders
from llark.audio import source as sources
from llark.errors import BadAudio, UserMustAct
from tests.damage import encode as damage

RATE = 44100
SECONDS = 6


def _sound(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """A rising tone in noise, [samples, 2]: no stretch of it is like another."""
    noise = np.random.default_rng(0).standard_normal(int(seconds * rate))
    times = np.arange(int(seconds * rate)) / rate
    mono = 0.3 * np.sin(2 * np.pi * (200 + 50 * times) * times) + 0.03 * noise
    return np.stack([mono, 0.5 * mono], axis=1).astype(np.float32)


SOUND = _sound()
MONO = SOUND.mean(axis=1)


def _encode(path: Path, codec: str, sound: np.ndarray = SOUND, rate: int = RATE, **options: Any) -> Path:
    """Writes through FFmpeg. `quality`: variable bit rate; `xing=False`: an mp3 without its length."""
    quality, xing = options.get("quality"), options.get("xing", True)
    with av.open(str(path), "w", options={} if xing else {"write_xing": "0"}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        stream.bit_rate = 192_000
        if quality is not None:
            stream.codec_context.flags |= av.codec.context.Flags.qscale
            stream.codec_context.global_quality = quality * 118
        samples = soxr.resample(sound, RATE, rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same six seconds in every format."""
    folder = tmp_path_factory.mktemp("audio")
    made = {}
    for name in ("wav", "flac", "ogg", "mp3"):
        made[name] = folder / f"sound.{name}"
        audio.save(made[name], SOUND, RATE)
    made["m4a"] = _encode(folder / "sound.m4a", "aac")
    made["aac"] = _encode(folder / "sound.aac", "aac")
    made["opus"] = _encode(folder / "sound.opus", "libopus", rate=48000)
    made["wma"] = _encode(folder / "sound.wma", "wmav2")
    made["webm"] = _encode(folder / "sound.webm", "libopus", rate=48000)
    made["vbr"] = _encode(folder / "vbr.mp3", "libmp3lame", quality=4)
    made["headerless"] = _encode(folder / "headerless.mp3", "libmp3lame", xing=False)
    return made


def _delay(samples: np.ndarray, rate: int) -> int:
    """By how many samples at 44.1 kHz the sound comes late."""
    heard = samples if rate == RATE else soxr.resample(samples, rate, RATE)
    size = 2 * len(MONO)
    spectrum = np.fft.rfft(heard, size) * np.fft.rfft(MONO, size).conj()
    best = int(np.fft.irfft(spectrum).argmax())
    return best if best < size // 2 else best - size


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "mp3", "m4a", "opus", "webm", "vbr", "wma"])
def test_every_format_starts_with_the_sample_its_encoder_was_given(files: dict[str, Path], name: str) -> None:
    samples, rate = audio.load(files[name])
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.04)
    assert _delay(samples, rate) == 0


@pytest.mark.parametrize(("name", "delay"), [("headerless", 1105), ("aac", 1024)])
def test_a_file_that_does_not_tell_its_encoder_delay_keeps_it(
    files: dict[str, Path], name: str, delay: int
) -> None:
    assert _delay(*audio.load(files[name])) == delay


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "mp3", "opus", "vbr", "headerless", "wma"])
def test_a_window_is_the_same_samples_as_in_the_whole_file(files: dict[str, Path], name: str) -> None:
    whole, rate = audio.load(files[name])
    window, window_rate = audio.load(files[name], start_seconds=2.3, end_seconds=4.1)
    assert window_rate == rate
    expected = whole[round(2.3 * rate) : round(4.1 * rate)]
    assert len(window) == len(expected)
    assert np.abs(window - expected).max() < 1e-5


@pytest.mark.parametrize("name", ["m4a", "aac"])
def test_a_window_of_aac_differs_by_the_noise_its_decoder_makes_up_only(
    files: dict[str, Path], name: str
) -> None:
    whole, rate = audio.load(files[name])
    window, _ = audio.load(files[name], start_seconds=2.3, end_seconds=4.1)
    expected = whole[round(2.3 * rate) : round(4.1 * rate)]
    assert np.corrcoef(window, expected)[0, 1] > 0.999


def test_a_window_of_a_webm_file_is_right_to_a_millisecond(files: dict[str, Path]) -> None:
    whole, rate = audio.load(files["webm"])
    window, _ = audio.load(files["webm"], start_seconds=2.3, end_seconds=4.1)
    first = round(2.3 * rate)
    errors = [np.abs(window - whole[first + late :][: len(window)]).max() for late in range(-48, 49)]
    assert min(errors) < 1e-3


@pytest.mark.parametrize(
    "name", ["wav", "flac", "ogg", "mp3", "m4a", "aac", "opus", "webm", "vbr", "headerless"]
)
def test_a_probe_tells_what_a_load_gives(files: dict[str, Path], name: str) -> None:
    samples, rate = audio.load(files[name])
    info = audio.probe(files[name])
    assert (info.sample_rate, info.channels) == (rate, 2)
    assert info.duration_seconds == pytest.approx(len(samples) / rate, abs=0.015)  # the last frame of AAC


def test_an_end_after_the_end_is_the_end(files: dict[str, Path]) -> None:
    samples, rate = audio.load(files["flac"], start_seconds=5.0, end_seconds=100.0)
    assert len(samples) == rate


def test_a_window_without_seconds_is_an_error_in_our_code(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="holds no sound"):
        audio.load(files["wav"], start_seconds=3.0, end_seconds=3.0)


def test_a_headerless_variable_mp3_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile guesses its length from the loud first frame and leaves out most of it."""
    sound = np.concatenate([_sound(2.0), 0.001 * _sound(10.0)])
    path = _encode(tmp_path / "vbr.mp3", "libmp3lame", sound, quality=2, xing=False)
    with soundfile.SoundFile(path) as file:
        assert file.frames < 8 * RATE
    samples, rate = audio.load(path)
    assert len(samples) / rate == pytest.approx(12.0, abs=0.06)
    assert audio.probe(path).duration_seconds == pytest.approx(12.0, abs=0.06)


def test_an_mp3_with_a_picture_before_it_is_read_the_same(files: dict[str, Path], tmp_path: Path) -> None:
    picture = b"\x00" * 300_000
    size = bytes((len(picture) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    for name in ("mp3", "headerless"):
        path = tmp_path / f"{name}.mp3"
        path.write_bytes(b"ID3\x04\x00\x00" + size + picture + files[name].read_bytes())
        samples, _ = audio.load(path)
        expected, _ = audio.load(files[name])
        assert np.array_equal(samples, expected)


def test_a_wrong_suffix_does_not_matter(files: dict[str, Path], tmp_path: Path) -> None:
    for name, suffix in (("flac", "mp3"), ("m4a", "wav"), ("mp3", "raw"), ("ogg", "txt")):
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(files[name].read_bytes())
        assert _delay(*audio.load(path)) == 0


def test_resampling_keeps_the_seconds_and_the_pitch(files: dict[str, Path]) -> None:
    samples, rate = audio.load(files["wav"], sample_rate=16000)
    assert rate == 16000
    assert len(samples) == SECONDS * 16000
    assert _delay(samples, rate) == 0


def test_eight_channels_at_192_khz_become_their_mean(tmp_path: Path) -> None:
    channels = np.stack([np.full(192000 * 2, level / 10, np.float32) for level in range(8)], axis=1)
    soundfile.write(tmp_path / "many.wav", channels, 192000, subtype="FLOAT")
    assert audio.probe(tmp_path / "many.wav") == audio.AudioInfo(192000, 8, 2.0, "wav")
    samples, rate = audio.load(tmp_path / "many.wav", sample_rate=22050)
    assert rate == 22050
    assert np.abs(samples[1000:-1000] - 0.35).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "codec", "likeness"),
    [("a.m4a", "alac", 1.0), ("b.m4a", "aac", 0.999), ("c.webm", "libopus", 0.999)],
)
def test_a_window_that_is_sought_is_the_one_that_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str, likeness: float
) -> None:
    """To the sample in m4a, whatever packet the window begins in; webm keeps milliseconds."""
    rate = 48000 if codec == "libopus" else RATE
    path = damage.encode(tmp_path / name, codec, rate=rate, repeat=5)
    read: list[float] = []
    real = decoders._packets

    def counted(*args: Any) -> Iterator[Any]:
        for packet in real(*args):
            read.append(float((packet.pts or 0) * packet.time_base))
            yield packet

    monkeypatch.setattr(decoders, "_packets", counted)
    for start in (20.0, 20.0101, 23.4567, 29.0):
        read.clear()
        sought, _ = audio.load(path, start_seconds=start, end_seconds=start + 0.9)
        assert len([seconds for seconds in read if seconds < start - 6.0]) <= 2
        with monkeypatch.context() as patch:
            patch.setattr(decoders, "_INDEXED", ())
            plain, _ = audio.load(path, start_seconds=start, end_seconds=start + 0.9)
        assert len(sought) == len(plain) == round(0.9 * rate)
        assert np.corrcoef(sought, plain)[0, 1] >= likeness - 1e-6


def test_a_window_in_the_last_page_of_an_ogg_file_is_the_same_samples_as_in_the_whole(tmp_path: Path) -> None:
    """libsndfile seeks to other samples there."""
    path = tmp_path / "long.ogg"
    damage.write(path, np.tile(damage.mono(), 3)[: 17 * RATE + 1234])
    whole, _ = audio.load(path)
    end = len(whole)
    for first in range(end - 12 * RATE, end - 600, 20011):
        for last in (first + 500, end):
            window, _ = audio.load(path, start_seconds=first / RATE, end_seconds=last / RATE)
            assert np.abs(window - whole[first:last]).max() < 1e-5


def test_a_window_with_a_hole_in_it_is_damage_and_those_beside_it_are_right(tmp_path: Path) -> None:
    """libsndfile joins the ends where pages of an Ogg file are lost, and reads on beyond the window."""
    damage.write(tmp_path / "clean.ogg", np.tile(damage.sound(), (5, 1)))
    data = bytearray((tmp_path / "clean.ogg").read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "hole.ogg"
    path.write_bytes(data)
    refused: list[str] = []
    for start in range(0, 30, 2):
        clean, _ = audio.load(tmp_path / "clean.ogg", start_seconds=start, end_seconds=start + 2)
        try:
            samples, _ = audio.load(path, start_seconds=start, end_seconds=start + 2)
        except BadAudio as error:
            refused.append(error.reason)
        else:
            assert np.abs(samples - clean).max() < 1e-3
    assert refused in (["damaged"], ["damaged"] * 2)
    assert audio.probe(path).duration_seconds == pytest.approx(30.0, abs=0.01)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_both_decoders_give_the_same_samples_for_every_sample_format(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, SOUND, RATE, subtype=subtype)
    ours, _ = audio.load(path)
    with sources.opened(path) as source:
        theirs, _ = decoders.load(source, 0.0, None)
    assert np.abs(ours - theirs).max() < 1e-6


def test_a_truncated_flac_keeps_what_decodes(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["flac"].read_bytes()
    path = tmp_path / "cut.flac"
    path.write_bytes(data[: len(data) // 2])
    samples, rate = audio.load(path)
    assert 2.0 < len(samples) / rate < 4.0
    assert np.abs(samples - MONO[: len(samples)]).max() < 1e-4
    assert audio.probe(path).duration_seconds == pytest.approx(len(samples) / rate)


def test_a_flac_with_less_than_a_second_left_is_damaged(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(files["flac"].read_bytes()[:60_000])
    for read in (audio.load, audio.probe):
        with pytest.raises(BadAudio, match=r"cut\.flac is damaged") as caught:
            read(path)
        assert caught.value.reason == "damaged"


def test_a_truncated_mp3_is_as_long_as_what_is_left(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["mp3"].read_bytes()
    path = tmp_path / "cut.mp3"
    path.write_bytes(data[: len(data) // 2])
    samples, rate = audio.load(path)
    assert 2.0 < len(samples) / rate < 4.0
    assert audio.probe(path).duration_seconds == pytest.approx(len(samples) / rate, abs=0.001)
    assert _delay(samples, rate) == 0


def test_flipped_bits_never_reach_the_samples_nor_the_terminal(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clean = files["mp3"].read_bytes()
    refused = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        data = bytearray(clean)
        for place in random.integers(4000, len(data), 40):
            data[place] ^= 1 << int(random.integers(8))
        path = tmp_path / f"{seed}.mp3"
        path.write_bytes(data)
        try:
            samples, _ = audio.load(path)
        except BadAudio:
            refused += 1
        else:
            assert np.abs(samples).max() <= audio.LOUDEST_SAMPLE
    assert 0 < refused < 20
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "not numbers"), (np.inf, "not numbers"), (1e6, "1e\\+06 times")]
)
def test_samples_that_cannot_be_sound_are_damage(tmp_path: Path, value: float, words: str) -> None:
    sound = SOUND.copy()
    sound[1000] = value
    soundfile.write(tmp_path / "odd.wav", sound, RATE, subtype="FLOAT")
    with pytest.raises(BadAudio, match=words) as caught:
        audio.load(tmp_path / "odd.wav")
    assert caught.value.reason == "damaged"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"This is no music at all.\n" * 400, "not-audio"),
        (bytes(range(256)) * 40, "not-audio"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsound.aac\n", "not-audio"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00", "not-audio"),
    ],
    ids=["empty", "text", "bytes", "playlist", "tag-only"],
)
def test_what_is_no_audio_is_refused_in_one_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    for read in (audio.load, audio.probe):
        with pytest.raises(BadAudio) as caught:
            read(path)
        assert caught.value.reason == reason
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_of_zero_samples_is_empty(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), RATE)
    for read in (audio.load, audio.probe):
        with pytest.raises(BadAudio, match="not one sample") as caught:
            read(tmp_path / "none.wav")
        assert caught.value.reason == "empty"


def test_a_film_without_sound_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    with pytest.raises(BadAudio, match="no sound track") as caught:
        audio.load(tmp_path / "film.mp4")
    assert caught.value.reason == "no-audio"


def test_a_missing_file_is_for_a_person_to_mend_and_a_drop_in_a_long_run(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no.mp3", "There is no file"), (tmp_path, "is a folder")):
        with pytest.raises(UserMustAct, match=words) as caught:
            audio.load(path)
        assert isinstance(caught.value, BadAudio)


def test_windows_cover_a_track_and_leave_out_a_rest_under_a_second() -> None:
    assert audio.windows(60.0) == [(0.0, 25.0), (25.0, 50.0), (50.0, 60.0)]
    assert audio.windows(50.9) == [(0.0, 25.0), (25.0, 50.0)]
    assert audio.windows(51.0) == [(0.0, 25.0), (25.0, 50.0), (50.0, 51.0)]
    assert audio.windows(25.0) == [(0.0, 25.0)]
    assert audio.windows(0.9) == []
    assert audio.windows(7.0, window_seconds=5.0) == [(0.0, 5.0), (5.0, 7.0)]


def test_frames_cover_the_whole_duration() -> None:
    counted = [audio.frame_count(seconds, 2) for seconds in (25.0, 24.9, 24.5, 24.50001, 1.0, 0.1)]
    assert counted == [50, 50, 49, 50, 2, 1]


def test_what_is_saved_is_read_back_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"):
        audio.save(tmp_path / name, MONO, RATE)
        assert audio.probe(tmp_path / name).duration_seconds == pytest.approx(SECONDS)
        assert _delay(*audio.load(tmp_path / name)) == 0
    audio.save(tmp_path / "a.opus", soxr.resample(MONO, RATE, 48000), 48000)
    assert audio.probe(tmp_path / "a.opus").sample_rate == 48000
    with pytest.raises(ValueError, match="format"):
        audio.save(tmp_path / "a.doc", MONO, RATE)
    assert len(list(tmp_path.iterdir())) == 6
