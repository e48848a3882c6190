"""The concept heads: what they learn from frames with truth, and the symmetries they are built with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from llark.model.concepts import Concepts, ConceptsConfig
from llark.recipe import Heads
from llark.records import KEYS, Annotation, Key, Meter, Tag, Tags, Tempo
from llark.train import heads as fitting

CONFIG = ConceptsConfig(
    chords=(0, 24), chroma=(24, 36), bass=(36, 48), rhythm=(48, 432), timbre=((432, 440),), dropout=0.0
)
WIDTH = 440


def heads() -> Concepts:
    torch.manual_seed(1)
    return Concepts(CONFIG.to_dict(), WIDTH, 16)


def clips_in_every_key(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, list[Annotation]]:
    """Noisy frames whose chroma, chords, tempogram and timbre follow a random truth."""
    draw = np.random.default_rng(seed)
    frames = draw.normal(0, 0.3, (count, 12, WIDTH)).astype(np.float32)
    truths = []
    for clip in range(count):
        key, bpm, drums = int(draw.integers(24)), float(draw.uniform(60, 180)), bool(draw.integers(2))
        tonic, minor = key % 12, key // 12
        scale = [0, 2, 3, 5, 7, 8, 10] if minor else [0, 2, 4, 5, 7, 9, 11]
        frames[clip, :, [24 + (tonic + step) % 12 for step in scale]] += 1
        frames[clip, :, 12 * minor + tonic] += 2
        lag = round(CONFIG.tempo_lags[0] + CONFIG.bin_of(bpm))
        octave = round(1 / CONFIG.lag_octaves)
        for channel in range(4):
            frames[clip, :, 48 + 96 * channel + lag] += 3
            if lag + octave < 96:
                frames[clip, :, 48 + 96 * channel + lag + octave] += 2
        frames[clip, :, 432:440] += 2 * drums
        tags = Tags((Tag("drums" if drums else "piano", 1.0),), 1.0)
        truths.append(
            Annotation(
                str(clip), 0, 6, Tempo(bpm, 1.0), key=Key(KEYS[key], 1.0), meter=Meter(4), instruments=tags
            )
        )
    return torch.from_numpy(frames), torch.ones(count, 12, dtype=torch.bool), truths


def test_the_key_heads_logits_turn_with_the_pitch_classes() -> None:
    frames, mask, _ = clips_in_every_key(3, seed=0)
    turned = frames.clone()
    for start in (0, 12, 24, 36):
        turned[..., start : start + 12] = frames[..., start : start + 12].roll(5, -1)
    model = heads().eval()
    logits = model.logits(frames, mask)["key"].unflatten(1, (2, 12))
    moved = model.logits(turned, mask)["key"].unflatten(1, (2, 12))
    assert torch.allclose(moved, logits.roll(5, 2), atol=1e-5)


def test_a_tempos_bin_and_back_is_the_tempo() -> None:
    for bpm in (45.0, 95.0, 120.0, 220.0):
        tempo_bin = torch.tensor(CONFIG.bin_of(bpm), dtype=torch.float64)
        assert CONFIG.bpm_of(tempo_bin).item() == pytest.approx(bpm)
    target = fitting.targets_of([Annotation("a", 0, 9, Tempo(97.3, 1.0))], CONFIG).tempo
    assert heads().likeliest_bpm(target).item() == pytest.approx(97.3, rel=0.01)


def test_unknown_truth_weighs_nothing() -> None:
    frames, mask, _ = clips_in_every_key(2, seed=0)
    silent = fitting.targets_of([Annotation("a", 0, 9), Annotation("b", 0, 9)], CONFIG)
    assert fitting.loss_of(heads(), frames, mask, silent).item() == 0.0


@pytest.mark.slow
def test_cross_fitted_heads_hear_keys_tempos_and_drums_of_clips_they_never_saw() -> None:
    frames, mask, truths = clips_in_every_key(240, seed=3)
    targets = fitting.targets_of(truths, CONFIG)
    groups = [f"piece {i % 30}" for i in range(240)]
    fitted, crossed = fitting.cross_fit(
        heads, frames, mask, targets, groups, Heads(epochs=20, folds=2, seed=7)
    )
    heard = fitted.split(crossed)
    keys = heard["key"].argmax(1).numpy()
    assert np.mean(keys == targets.key.numpy()) > 0.9
    bpm = fitted.likeliest_bpm(heard["tempo"]).numpy()
    truth = np.array([t.tempo.bpm for t in truths])
    assert np.mean(np.abs(bpm / truth - 1) < 0.04) > 0.9
    drums = heard["instruments"][:, CONFIG.labels["instruments"].index("drums")] > 0.5
    assert np.mean(drums.numpy() == targets.instruments[:, 21].numpy().astype(bool)) > 0.9


def test_clips_of_one_piece_never_teach_the_heads_that_hear_them() -> None:
    seen: dict[int, set[float]] = {}
    frames, mask, truths = clips_in_every_key(20, seed=4)
    targets = fitting.targets_of(truths, CONFIG)
    fitted: list[Concepts] = []

    def make() -> Concepts:
        fitted.append(heads())
        return fitted[-1]

    original = fitting.fit

    def spy(model, part, *rest, **more):  # type: ignore[no-untyped-def]
        seen[id(model)] = set(part[:, 0, 0].tolist())
        original(model, part, *rest, **more)

    groups = ["one"] * 10 + ["two"] * 10
    seed = next(s for s in range(50) if fitting.fold_of("one", 2, s) != fitting.fold_of("two", 2, s))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "fit", spy)
        fitting.cross_fit(make, frames, mask, targets, groups, Heads(epochs=1, folds=2, seed=seed))
    parts = [seen[id(model)] for model in fitted]
    halves = [set(frames[:10, 0, 0].tolist()), set(frames[10:, 0, 0].tolist())]
    assert parts[0] in halves
    assert parts[1] in halves
    assert parts[0] != parts[1]
    assert parts[2] == halves[0] | halves[1]


@pytest.mark.parametrize("dies_at", range(1, 7))
def test_heads_whose_fitting_is_killed_after_any_epoch_go_on_to_the_same_bits(
    tmp_path: Path, dies_at: int
) -> None:
    frames, mask, truths = clips_in_every_key(12, seed=4)
    targets = fitting.targets_of(truths, CONFIG)
    groups = [f"piece {i}" for i in range(12)]

    class Killed(BaseException):
        pass

    def fitted(unfinished: Path | None, epochs: int = 99) -> tuple[Concepts, torch.Tensor]:
        ticks = iter(range(epochs))

        def tick(loss: float) -> None:
            if next(ticks, None) is None:
                raise Killed

        torch.manual_seed(5)
        config = Heads(epochs=2, folds=2, seed=0)
        return fitting.cross_fit(
            heads, frames, mask, targets, groups, config, tick=tick, unfinished=unfinished
        )

    whole, crossed = fitted(None)
    after = torch.get_rng_state()
    with pytest.raises(Killed):
        fitted(tmp_path, dies_at - 1)
    again, crossed_again = fitted(tmp_path)
    assert torch.equal(crossed, crossed_again)
    assert torch.equal(after, torch.get_rng_state())
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_one_piece_alone_cannot_be_cross_fitted() -> None:
    frames, mask, truths = clips_in_every_key(4, seed=5)
    with pytest.raises(ValueError, match="two pieces"):
        fitting.cross_fit(
            heads,
            frames,
            mask,
            fitting.targets_of(truths, CONFIG),
            ["one"] * 4,
            Heads(epochs=1, folds=3, seed=7),
        )


def test_normalised_pitch_classes_and_lags_share_one_scale() -> None:
    frames, mask, _ = clips_in_every_key(8, seed=6)
    mean, deviation = fitting.normalisation(frames, mask, CONFIG)
    assert mean[24:36].unique().numel() == 1
    assert deviation[48 : 48 + 96].unique().numel() == 1
    assert mean[432:440].unique().numel() == 8
