"""Facts in the frames, as words: small heads on the frames, and the word embeddings they stand for.

A projector that is trained through a small language model alone stays at chance for thousands of
examples. So the first audio positions are *concepts*: each is the expected word embedding under the
posterior of a head that was trained on the frames beforehand (`llark.train.align`). They stand before
the projected frames; the language model learns to read both.

Symmetries of music are built in rather than learned: the key head sees pitch classes rotated to each of
the twelve tonics and shares its weights between them; the tempo head slides along the logarithmic lag
axis of the tempogram; the meter head sees that axis shifted so that the beat stands still.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from llark.records import GENRES, INSTRUMENTS, KEYS, METER_NAMES, PITCH_CLASSES

METERS = tuple(METER_NAMES)


@dataclass(frozen=True)
class ConceptsConfig:
    """Where the heads find what they need in a frame, and how large they are.

    Slices are (start, stop) in the frame's width. `chords` holds 24 triads (12 major, then 12 minor),
    optionally followed by no-chord; `chroma` and `bass` hold 12 pitch classes from C. `rhythm` holds
    `rhythm_channels` tempograms one after the other, each over `rhythm_lags` lags from
    `shortest_lag_seconds` to `longest_lag_seconds`, evenly spaced in log2. `tempo` and `meter`, where the
    encoder has them, hold log probabilities that it gives the tempo bins and the meters by itself.
    """

    chords: tuple[int, int]
    chroma: tuple[int, int]
    bass: tuple[int, int]
    rhythm: tuple[int, int]
    timbre: tuple[tuple[int, int], ...]
    tempo: tuple[int, int] | None = None
    meter: tuple[int, int] | None = None
    rhythm_channels: int = 4
    rhythm_lags: int = 96
    shortest_lag_seconds: float = 0.2
    longest_lag_seconds: float = 6.0
    slowest_bpm: float = 40.0
    fastest_bpm: float = 240.0
    hidden: int = 96
    dropout: float = 0.3
    instruments_shown: int = 4
    chords_shown: int = 2
    labels: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"instruments": INSTRUMENTS, "genre": GENRES, "key": KEYS}
    )

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ConceptsConfig:
        """The config that `to_dict` wrote, its lists turned back into tuples."""
        values = dict(plain)
        for name in ("chords", "chroma", "bass", "rhythm", "tempo", "meter"):
            values[name] = tuple(values[name]) if values.get(name) else None
        values["timbre"] = tuple(tuple(part) for part in values["timbre"])
        if "labels" in values:
            values["labels"] = {name: tuple(words) for name, words in values["labels"].items()}
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def lag_octaves(self) -> float:
        """Octaves from one lag to the next."""
        return math.log2(self.longest_lag_seconds / self.shortest_lag_seconds) / (self.rhythm_lags - 1)

    @property
    def tempo_lags(self) -> tuple[int, int]:
        """The lags (start, stop) that are beat periods between the fastest and the slowest tempo."""
        start = math.ceil(math.log2(60 / self.fastest_bpm / self.shortest_lag_seconds) / self.lag_octaves)
        stop = math.floor(math.log2(60 / self.slowest_bpm / self.shortest_lag_seconds) / self.lag_octaves)
        return max(start, 0), min(stop + 1, self.rhythm_lags)

    def bpm_of(self, tempo_bin: Tensor) -> Tensor:
        """Beats per minute at (fractional) bins of the tempo posterior."""
        lag = self.tempo_lags[0] + tempo_bin
        return 60 / (self.shortest_lag_seconds * 2 ** (lag * self.lag_octaves))

    def bin_of(self, bpm: float) -> float:
        """The (fractional) bin of the tempo posterior for a tempo; the inverse of `bpm_of`."""
        return math.log2(60 / bpm / self.shortest_lag_seconds) / self.lag_octaves - self.tempo_lags[0]

    @property
    def sizes(self) -> dict[str, int]:
        """The parts of a posterior vector, in order, with their widths."""
        start, stop = self.tempo_lags
        return {
            "key": 24,
            "tempo": stop - start,
            "meter": len(METERS),
            "instruments": len(self.labels["instruments"]),
            "genre": len(self.labels["genre"]),
            "chords": 24,
        }


class Tokenizer(Protocol):
    def encode(self, text: str, add_special_tokens: bool = ...) -> list[int]: ...


def masked_moments(frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the valid frames: [clips, frames, width] → 2 × [clips, width]."""
    weight = mask.to(frames.dtype)[:, None]
    count = weight.sum(2).clamp(min=1)
    mean = torch.bmm(weight, frames)[:, 0] / count
    variance = (torch.bmm(weight, frames.square())[:, 0] / count - mean.square()).clamp(min=0)
    return mean, (variance + 1e-6).sqrt()


class KeyHead(nn.Module):
    """Logits of the 24 keys from pitch classes, equal under transposition by construction."""

    def __init__(self, config: ConceptsConfig) -> None:
        super().__init__()
        self.config = config
        self.net = nn.Sequential(
            nn.Linear(12 * 4 * 4, 64), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(64, 2)
        )

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        chord_start = self.config.chords[0]
        rows = [
            frames[..., chord_start : chord_start + 12],
            frames[..., chord_start + 12 : chord_start + 24],
            frames[..., slice(*self.config.chroma)],
            frames[..., slice(*self.config.bass)],
        ]
        evidence = torch.stack(rows, 2)  # [clips, frames, 4, 12]
        clips = [self._stretch(evidence, part) for part in self._parts(mask)]
        pooled = torch.cat(clips, 1)  # [clips, 16, 12]
        turned = torch.stack([pooled.roll(-tonic, 2) for tonic in range(12)], 1)
        logits: Tensor = self.net(turned.flatten(2))  # [clips, 12, 2]
        return logits.transpose(1, 2).flatten(1)

    @staticmethod
    def _parts(mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The whole clip, its first and last three seconds, and its second half."""
        place = mask.cumsum(1)
        count = place[:, -1:]
        last = mask & (place > count - 6)
        return mask, mask & (place <= 6), last, mask & (2 * place > count)

    @staticmethod
    def _stretch(evidence: Tensor, part: Tensor) -> Tensor:
        weight = part.to(evidence.dtype)[..., None, None]
        return (evidence * weight).sum(1) / weight.sum(1).clamp(min=1)


class TempoHead(nn.Module):
    """Logits of the tempo bins: one small network that slides along the lags of the tempogram."""

    def __init__(self, config: ConceptsConfig) -> None:
        super().__init__()
        self.config = config
        reach = config.rhythm_lags // 2
        self.slide = nn.Conv1d(2 * config.rhythm_channels, 48, 2 * reach + 1, padding=reach)
        self.read = nn.Sequential(nn.GELU(), nn.Dropout(config.dropout), nn.Conv1d(48, 1, 1))
        start, stop = config.tempo_lags
        self.prior = nn.Parameter(torch.zeros(stop - start))

    def forward(self, rhythm: Tensor) -> Tensor:
        """[clips, channels × 2, lags] → [clips, tempo bins]."""
        start, stop = self.config.tempo_lags
        return self.read(self.slide(rhythm))[:, 0, start:stop] + self.prior


class MeterHead(nn.Module):
    """Logits of the meters from the tempogram, shifted so that the beat's lag stands still."""

    def __init__(self, config: ConceptsConfig) -> None:
        super().__init__()
        self.config = config
        octave = 1 / config.lag_octaves
        self.before, self.after = round(1.8 * octave), round(2.8 * octave)
        width = (self.before + self.after) * 2 * config.rhythm_channels
        self.net = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(width, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, len(METERS)),
        )

    def forward(self, rhythm: Tensor, tempo: Tensor) -> Tensor:
        """`rhythm` [clips, channels × 2, lags] and tempo posteriors → [clips, meters]."""
        start = self.config.tempo_lags[0]
        padded = nn.functional.pad(rhythm, (self.before, self.after))
        windows = padded.unfold(2, self.before + self.after, 1)  # a window for each lag
        shifted = windows[:, :, start : start + tempo.shape[1]]
        aligned = torch.einsum("bclw,bl->bcw", shifted, tempo)
        return self.net(aligned.flatten(1))


class Concepts(nn.Module):
    """The heads, and the positions in the language model's input that hold what they predict."""

    slot_names = ("tempo", "tempo", "tempo", "meter", "tonic", "mode")

    def __init__(self, config: dict[str, Any], audio_width: int, hidden_size: int) -> None:
        super().__init__()
        self.config = ConceptsConfig.from_dict(config)
        self.audio_width = audio_width
        self.key = KeyHead(self.config)
        self.tempo = TempoHead(self.config)
        self.meter = MeterHead(self.config)
        by_the_encoder = [name for name in ("tempo", "meter") if getattr(self.config, name)]
        self.trust = nn.ParameterDict({name: nn.Parameter(torch.tensor(2.0)) for name in by_the_encoder})
        timbre = sum(stop - start for start, stop in self.config.timbre)
        several = len(self.config.labels["instruments"]) + len(self.config.labels["genre"])
        self.timbre = nn.Sequential(
            nn.Dropout(self.config.dropout),
            nn.Linear(2 * timbre, 2 * self.config.hidden),
            nn.GELU(),
            nn.Dropout(self.config.dropout),
            nn.Linear(2 * self.config.hidden, several),
        )
        self.slots = nn.Parameter(torch.zeros(self.positions_count, hidden_size))
        self.certainty = nn.Parameter(torch.zeros(self.positions_count, hidden_size))
        for name, words in self._vocabularies().items():
            self.register_buffer(f"words_{name}", torch.zeros(len(words), hidden_size))

    def _vocabularies(self) -> dict[str, tuple[str, ...]]:
        return {
            "digits": tuple("0123456789"),
            "meter": tuple(str(beats) for beats in METERS),  # "/4" in each would drown what differs
            "tonic": tuple(f" {name}" for name in PITCH_CLASSES),
            "mode": (" major", " minor"),
            "instruments": tuple(f" {word}" for word in self.config.labels["instruments"]),
            "drums": (" no drums", " drums"),
            "genre": tuple(f" {word}" for word in self.config.labels["genre"]),
            "chords": tuple(f" {key}" for key in KEYS),
        }

    @property
    def positions_count(self) -> int:
        """How many audio positions the concepts take."""
        shown = self.config.instruments_shown + self.config.chords_shown
        return len(self.slot_names) + shown + 2

    @torch.no_grad()
    def set_words(self, tokenizer: Tokenizer, embedding: Tensor) -> None:
        """Fill in the word embeddings: `embedding` is the language model's [vocabulary, hidden]."""
        for name, words in self._vocabularies().items():
            rows = [
                embedding[tokenizer.encode(word, add_special_tokens=False)].float().mean(0) for word in words
            ]
            getattr(self, f"words_{name}").copy_(torch.stack(rows))
        scale = embedding.float().std()
        generator = torch.Generator().manual_seed(0)
        self.slots.copy_(torch.randn(self.slots.shape, generator=generator) * scale * 0.3)

    def logits(self, frames: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Each head's logits for normalised `frames` [clips, frames, width] with a boolean `mask`."""
        mean, deviation = masked_moments(frames, mask)
        channels = self.config.rhythm_channels
        start, stop = self.config.rhythm
        halves = [part[:, start:stop].reshape(len(part), channels, -1) for part in (mean, deviation)]
        rhythm = torch.cat(halves, 1)
        tempo = self._with_the_encoders("tempo", self.tempo(rhythm), mean)
        timbre = torch.cat([part[:, slice(*s)] for part in (mean, deviation) for s in self.config.timbre], 1)
        labels: Tensor = self.timbre(timbre)
        instruments = len(self.config.labels["instruments"])
        return {
            "key": self.key(frames, mask),
            "tempo": tempo,
            "meter": self._with_the_encoders("meter", self.meter(rhythm, tempo.softmax(1)), mean),
            "instruments": labels[:, :instruments],
            "genre": labels[:, instruments:],
            "chords": mean[:, self.config.chords[0] : self.config.chords[0] + 24],
        }

    def _with_the_encoders(self, name: str, logits: Tensor, mean: Tensor) -> Tensor:
        """A head's logits, moved by what the encoder itself says, as far as that has proved right."""
        place = getattr(self.config, name)
        return logits if place is None else logits + self.trust[name] * mean[:, slice(*place)]

    def posteriors(self, frames: Tensor, mask: Tensor) -> Tensor:
        """The heads' predictions: [clips, sum of `sizes`]; key, tempo, meter, genre and chords sum to 1."""
        logits = self.logits(frames, mask)
        instruments = logits["instruments"].sigmoid()  # several may play; of all others one holds
        parts = [
            instruments if name == "instruments" else logits[name].softmax(1) for name in self.config.sizes
        ]
        return torch.cat(parts, 1)

    def split(self, posteriors: Tensor) -> dict[str, Tensor]:
        """The posterior vector by head."""
        sizes = self.config.sizes
        return dict(zip(sizes, torch.split(posteriors, list(sizes.values()), 1), strict=True))

    def positions(self, posteriors: Tensor) -> Tensor:
        """[clips, positions_count, hidden]: expected word embeddings, each with its slot's own vector."""
        by_head = self.split(posteriors.float())
        words = {name: getattr(self, f"words_{name}").float() for name in self._vocabularies()}
        digits, tempo_sure = self._tempo_digits(by_head["tempo"])
        keys = by_head["key"].reshape(-1, 2, 12)
        slots = [words["digits"][digits[:, place]] for place in range(3)]
        sure = [tempo_sure] * 3
        slots.append(words["meter"][by_head["meter"].argmax(1)])  # a mean of digits would be no digit
        sure.append(by_head["meter"].amax(1))
        for name, posterior in (("tonic", keys.sum(1)), ("mode", keys.sum(2))):
            slots.append(posterior @ words[name])
            sure.append(posterior.amax(1))
        shown = {"instruments": self.config.instruments_shown, "chords": self.config.chords_shown}
        for name, count in shown.items():
            likely, which = by_head[name].topk(count, 1)
            share = likely if name == "instruments" else torch.ones_like(likely)
            slots += [words[name][which[:, i]] * share[:, i, None] for i in range(count)]
            sure += [likely[:, i] for i in range(count)]
        drums = by_head["instruments"][:, self.config.labels["instruments"].index("drums")]
        slots.append(torch.stack([1 - drums, drums], 1) @ words["drums"])
        sure.append((2 * drums - 1).abs())
        slots.append(by_head["genre"] @ words["genre"])
        sure.append(by_head["genre"].amax(1))
        return torch.stack(slots, 1) + self.slots + torch.stack(sure, 1)[..., None] * self.certainty

    def _tempo_digits(self, tempo: Tensor) -> tuple[Tensor, Tensor]:
        """Hundreds, tens and ones of the likeliest tempo in BPM [clips, 3], and its probability."""
        bpm = self.likeliest_bpm(tempo).round().long()
        digits = torch.stack([bpm // 100, bpm // 10 % 10, bpm % 10], 1)
        return digits, tempo.amax(1)

    def likeliest_bpm(self, tempo: Tensor) -> Tensor:
        """[clips] beats per minute: the mean (in log2) of the likeliest bin and its two neighbours."""
        best = tempo.argmax(1)
        near = best[:, None] + torch.arange(-1, 2, device=tempo.device)
        inside = (near >= 0) & (near < tempo.shape[1])
        weight = tempo.gather(1, near.clamp(0, tempo.shape[1] - 1)) * inside
        bins = (weight * near).sum(1) / weight.sum(1).clamp(min=1e-9)
        return self.config.bpm_of(bins)
