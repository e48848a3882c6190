"""The networks that `mini` hears with, in PyTorch and in ONNX Runtime, one thread each.

Run as `python benchmarks/embed.py --onnx`; needs `pip install onnx onnxruntime`, which the package does not.
Each network is exported as it is written down (convolutions as convolutions, whatever this package makes of
them for speed), and both hear the same 30 s by turns. Time is that of the processor, the median of
`--rounds`.
"""

from __future__ import annotations

import io
import itertools
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

CLEARLY_FASTER = 1.25
"""What would pay for a second runtime, a second copy of the weights and numbers that differ."""


class PlainTag(nn.Module):
    """A tagger's frames by plain convolutions."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        net = self.net
        grid = net.input_norm(mel[:, None])
        fronts = [functional.relu(conv(functional.pad(grid, (0, 0, 3, 3)))) for conv in net.timbral]
        for conv in net.temporal:
            size = conv.kernel_size[0]
            around = functional.pad(grid, (0, 0, (size - 1) // 2, size // 2))
            fronts.append(functional.relu(functional.conv2d(around, conv.weight[..., None], conv.bias)))
        highest = [_highest(front, norm) for front, norm in zip(fronts, net.front_norms, strict=True)]
        layers = [torch.cat(highest, 1)]
        y = layers[0]
        for number, (conv, norm) in enumerate(zip(net.middle, net.middle_norms, strict=True)):
            z = norm(functional.relu(conv(y)))
            y = z + y if number else z
            layers.append(y)
        return torch.cat(layers, 1)


def _highest(front: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    return (front * scale[:, None, None] + shift[:, None, None]).amax(3)


class PlainChord(nn.Module):
    """The chord net without changes in place, which an export cannot follow."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        from llark.networks.chord import _STACK

        grid, convs = magnitudes[None, None], iter(self.net.convs)
        for widths, pooling in _STACK:
            for conv in itertools.islice(convs, len(widths)):
                grid = functional.selu(functional.instance_norm(conv(grid)))
            grid = functional.max_pool2d(grid, (1, pooling))
        local = grid[0].transpose(0, 1).flatten(1)
        memory = self.net.lstm(local[None])[0][0]
        return torch.cat([local, memory, self.net.heads(memory)], 1)


class PlainBeat(nn.Module):
    def __init__(self, nets: nn.ModuleList) -> None:
        super().__init__()
        self.nets = nets

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([memory for _, memory in (net(features) for net in self.nets)], 1)


@dataclass(frozen=True, eq=False)
class Case:
    """One network: as this package runs it, as it is exported, and what it hears."""

    name: str
    ours: Callable[[torch.Tensor], torch.Tensor]
    plain: nn.Module
    given: torch.Tensor


def cases(samples: np.ndarray, rate: int) -> list[Case]:
    from llark.networks import beat, mels, spectra
    from llark.networks.features import AudioFeatures

    hearing = AudioFeatures(samples, rate)
    nets = hearing.networks
    mel = mels.tag_mel(hearing.samples_16000)[None].contiguous()
    bands = torch.from_numpy(spectra.log_filterbank(beat._at_one_loudness(hearing.samples_22050)))
    pitches = torch.from_numpy(spectra.constant_q(hearing.samples_22050).magnitudes)
    beats, chord = PlainBeat(nets.beat.nets), nets.chord.net
    speech = mels.speech_mel(hearing.samples_16000)[None].contiguous()
    return [
        Case("speech", nets.speech.encoder, nets.speech.encoder, speech),
        Case("tag, MTT", nets.tag.mtt.frames, PlainTag(nets.tag.mtt), mel),
        Case("tag, MSD", nets.tag.msd.frames, PlainTag(nets.tag.msd), mel),
        Case("beat", beats, beats, bands),
        Case("chord", lambda heard: torch.cat(chord(heard), 1), PlainChord(chord), pitches),
    ]


def exported(case: Case) -> tuple[Callable[[], np.ndarray], int]:
    """A call of ONNX Runtime, and the bytes of the exported network."""
    import onnxruntime

    buffer = io.BytesIO()
    case.plain.eval()  # an export puts a module back as it was, training included
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            case.plain, (case.given,), buffer, dynamo=False, opset_version=17, input_names=["x"]
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    given = {"x": case.given.numpy()}
    return lambda: session.run(None, given)[0], len(buffer.getvalue())


def seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def compare(samples: np.ndarray, rate: int, rounds: int, whole: Callable[[], object]) -> None:
    """Prints the table. `whole` is all that mini does with the clip."""
    torch.set_num_threads(1)
    totals, copied = np.zeros(2), 0
    print("| network | torch s | ONNX Runtime s | faster | MB | furthest apart, in standard deviations |")
    print("|---|---|---|---|---|---|")
    with torch.inference_mode():
        for case in cases(samples, rate):
            with torch.inference_mode(False), torch.no_grad():
                theirs, size = exported(case)
            wanted, found = case.ours(case.given).numpy(), theirs()
            apart = np.abs(found - wanted).max() / wanted.std()
            times = [(seconds(lambda c=case: c.ours(c.given)), seconds(theirs)) for _ in range(rounds)]
            medians = np.array([statistics.median(one) for one in zip(*times, strict=True)])
            totals += medians
            copied += size
            print(
                f"| {case.name} | {medians[0]:.3f} | {medians[1]:.3f} | {medians[0] / medians[1]:.2f} × | "
                f"{size / 1e6:.1f} | {apart:.0e} |"
            )
    all_of_it = statistics.median(seconds(whole) for _ in range(rounds))
    gain = all_of_it / (all_of_it - totals[0] + totals[1])
    print(
        f"| all of these | {totals[0]:.3f} | {totals[1]:.3f} | {totals[0] / totals[1]:.2f} × | "
        f"{copied / 1e6:.1f} | |"
    )
    print(
        f"\nmini takes {all_of_it:.2f} s for this clip in PyTorch, and would take {all_of_it / gain:.2f} s "
        f"with ONNX Runtime: {gain:.2f} × as fast; {CLEARLY_FASTER} × would be worth it. The runtime takes "
        f"{_installed() / 1e6:.0f} MB."
    )


def _installed() -> int:
    """Bytes that ONNX Runtime takes on disk."""
    import onnxruntime

    folder = Path(onnxruntime.__file__).parent
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
