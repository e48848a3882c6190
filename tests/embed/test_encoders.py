"""The contract, for every encoder: what it declares is what it gives, whatever it is given beside it."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from llark.embed import NAMES, load
from llark.embed.encoder import TOLERANCE, Device, Encoder, EncoderOptions, Sound, device
from llark.errors import BadAudio, UserMustAct
from tests.embed import tiny_hub
from tests.embed.jukebox_goldens import GOLDENS
from tests.embed.tiny_jukebox import converted

ENCODERS = ("jukebox", "jukebox-llark", "clap", "mini", "mel", *tiny_hub.HUB)
NEURAL = ("jukebox", "clap", "whisper", "mert", "muq", "dasheng", "encodec")
SECONDS = (0.15, 0.5, 1.37)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EncoderOptions]:
    with np.load(GOLDENS) as found:
        jukebox = converted(dict(found), "whole", tmp_path_factory.mktemp("jukebox"))
    clap = tiny_hub.clap(tmp_path_factory.mktemp("clap"))
    made = {
        "jukebox": EncoderOptions("jukebox", weights=str(jukebox)),
        "jukebox-llark": EncoderOptions("jukebox", weights=str(jukebox), compat="llark"),
        "clap": EncoderOptions("clap", weights=str(clap)),
        "mini": EncoderOptions("mini", rate="native"),
        "mel": EncoderOptions("mel", rate="native"),
    }
    for name, save in tiny_hub.HUB.items():
        folder: Path = save(tmp_path_factory.mktemp(name))
        made[name] = EncoderOptions(f"hub:{folder}", rate="native")
    return made


@pytest.fixture(scope="module")
def encoders(settings: dict[str, EncoderOptions]) -> dict[str, Encoder]:
    return {name: load(settings[name], Device(batch=16)) for name in ENCODERS}


def sounds(rate: int = 22_050) -> list[Sound]:
    rng = np.random.default_rng(5)
    made = []
    for seconds in SECONDS:
        time = np.arange(round(seconds * rate)) / rate
        tone = 0.2 * np.sin(2 * np.pi * 330 * time) + 0.02 * rng.normal(size=len(time))
        made.append(Sound(tone.astype(np.float32), rate))
    return made


@pytest.mark.parametrize("name", ENCODERS)
def test_frames_cover_exactly_the_seconds_of_the_clip(name: str, encoders: dict[str, Encoder]) -> None:
    listen = encoders[name]
    for sound, frames in zip(sounds(), listen(sounds()), strict=True):
        exact = float(sound.duration_seconds * listen.card.frames_per_second)
        wanted = math.ceil(exact) if name != "jukebox-llark" else min(math.floor(exact), 256 // 34)
        assert frames.shape == (wanted, listen.card.width)
        assert frames.dtype == np.float32
        assert np.isfinite(frames).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_silence_gives_finite_frames(name: str, encoders: dict[str, Encoder]) -> None:
    frames = encoders[name]([Sound(np.zeros(16_000, np.float32), 16_000)])[0]
    assert np.isfinite(frames).all()
    assert len(frames) >= 1


@pytest.mark.parametrize("name", ENCODERS)
def test_a_clip_gives_the_same_frames_alone_and_among_others(
    name: str, encoders: dict[str, Encoder], settings: dict[str, EncoderOptions]
) -> None:
    many = sounds() if name == "mini" else [*sounds(), *reversed(sounds()), *sounds()]
    together = encoders[name](many)
    alone = load(settings[name], Device(batch=1)) if name != "mini" else encoders[name]
    for sound, frames in zip(many[-3:], together[-3:], strict=True):
        np.testing.assert_allclose(alone([sound])[0], frames, atol=2e-5 * max(1.0, np.abs(frames).max()))


@pytest.mark.parametrize("name", NEURAL)
def test_bfloat16_moves_frames_by_less_than_is_stated(
    name: str, encoders: dict[str, Encoder], settings: dict[str, EncoderOptions]
) -> None:
    listen = load(settings[name], Device(dtype="bfloat16"))
    assert listen.card.version != encoders[name].card.version
    for exact, rough in zip(encoders[name](sounds()[1:]), listen(sounds()[1:]), strict=True):
        moved = np.sqrt(np.mean((exact - rough) ** 2)) / exact.std()
        assert 0.0 < moved < TOLERANCE["bfloat16"], moved


def test_in_bfloat16_on_a_cpu_convolutions_alone_are_heard_in_float32() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 5, stride=3), torch.nn.Linear(9, 2))
    settled = Device(dtype="bfloat16").settle(model)
    assert [settled[0].weight.dtype, settled[1].weight.dtype] == [torch.float32, torch.bfloat16]
    given = torch.randn(1, 3, 30).bfloat16()
    exact = torch.nn.functional.conv1d(given.float(), settled[0].weight, settled[0].bias, stride=3)
    assert torch.equal(settled[0](given), exact.bfloat16())
    assert settled(given).dtype == torch.bfloat16
    assert not any(weight.requires_grad for weight in settled.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_declares_what_it_is(name: str, encoders: dict[str, Encoder]) -> None:
    card = encoders[name].card
    assert card.name
    assert card.version
    assert card.licence
    assert card.sample_rate >= 16_000
    assert card.frames_per_second > 0
    assert isinstance(card.frames_per_second, Fraction)
    assert 0.5 < card.window_seconds <= 30


def test_an_average_rate_is_the_mean_over_each_frames_seconds(settings: dict[str, EncoderOptions]) -> None:
    folder = settings["whisper"].encoder
    native = load(EncoderOptions(folder, rate="native"), Device())(sounds())[2]
    coarse = load(EncoderOptions(folder, rate="10"), Device())(sounds())[2]
    np.testing.assert_allclose(coarse[:13], native[:65].reshape(13, 5, -1).mean(1), atol=1e-5)
    one = load(EncoderOptions(folder, rate="clip"), Device())(sounds())
    assert [frames.shape for frames in one] == [(1, 16)] * 3


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"encoder": "mert"}, "mert is no encoder; it can be mini, jukebox, clap, mel, hub:NAME"),
        ({"encoder": "mini", "rate": "10"}, "mini gives 2 frames a second"),
        ({"encoder": "mini", "rate": "fast"}, "--rate fast is no number, native or clip"),
        ({"encoder": "mini", "layer": 3}, "mini has no use for --layer 3"),
        ({"encoder": "jukebox", "weights": ".", "compat": "jukemir"}, "jukebox knows no --compat jukemir"),
    ],
)
def test_a_setting_that_is_not_to_be_had_is_one_sentence(said: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserMustAct, match=sentence):
        load(EncoderOptions(**said), Device())  # type: ignore[arg-type]
    assert len(NAMES) == 5


def test_a_device_that_is_not_there_and_a_sound_that_is_none_are_refused() -> None:
    with pytest.raises(UserMustAct, match="The device cuda:63 is not available here"):
        device("cuda:63")
    with pytest.raises(UserMustAct, match="The precision int4 is unknown"):
        device("cpu", "int4")
    with pytest.raises(UserMustAct, match="--batch 0 is too small"):
        device("cpu", None, 0)
    assert device("cpu").dtype == "float32"
    with pytest.raises(BadAudio, match="one channel"):
        Sound(np.zeros((5, 2), np.float32), 8000)
    with pytest.raises(BadAudio, match="not numbers"):
        Sound(np.full(5, np.nan, np.float32), 8000)
