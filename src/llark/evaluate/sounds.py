"""The sounds that clips are replaced by, and the bytes in which a sound is sent to somebody else's model."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llark import audio
from llark.errors import UserMustAct
from llark.evaluate.cases import NOISE, TaskPrompt
from llark.records import Annotation, Clip, Tempo, Track

SENT_RATE = 16_000
"""Samples a second of what is sent: what speech encoders take."""

NOISE_RMS = 0.1
"""−20 dBFS."""


def stand_in(name: str, sample_rate: int, seconds: float = audio.WINDOW_SECONDS) -> np.ndarray:
    """Silence, or white noise, float32 [samples]; the same every time."""
    samples = round(seconds * sample_rate)
    if name != NOISE:
        return np.zeros(samples, np.float32)
    noise = np.random.default_rng(20_000).normal(0.0, NOISE_RMS, samples)
    return np.clip(noise, -1.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Sounds:
    """The sound of a prompt, as a mono WAV file."""

    clips: Mapping[str, Clip]

    def wav(self, prompt: TaskPrompt) -> bytes | None:
        """The file's bytes; `None` where there is nothing to listen to. Raises what `audio.load` raises."""
        if prompt.stand_in is not None:
            return to_wav(stand_in(prompt.stand_in, SENT_RATE), SENT_RATE)
        if prompt.clip_id is None:
            return None
        clip = self._clip(prompt.clip_id)
        audio.refuse_changed(clip)
        start, end = clip.start_seconds, clip.end_seconds
        return to_wav(*audio.load(clip.path, start_seconds=start, end_seconds=end, sample_rate=SENT_RATE))

    def seconds(self, prompt: TaskPrompt) -> float:
        if prompt.stand_in is not None:
            return audio.WINDOW_SECONDS
        return 0.0 if prompt.clip_id is None else self._clip(prompt.clip_id).duration_seconds

    def _clip(self, clip_id: str) -> Clip:
        if clip_id not in self.clips:
            raise UserMustAct(
                f"There is no sound of {clip_id} to send; name the folder of the sounds with --audio."
            )
        return self.clips[clip_id]


def to_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """[samples] in −1 to 1 as 16-bit mono WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


# --- eight real songs with a tempo set by people: the song packs of the game Frets on Fire, from Debian ----
#
# Sectoid's four are MIT-licensed, Muldjord's four CC-BY-SA-3.0. Each song is two files, the guitar and the
# rest, which are summed. The tempo is that of the game's note chart, constant through the song. Two acts,
# rock and metal only: eight samples, not a headline.

ROOT = Path("/usr/share/games/fretsonfire/data/songs")
PACKAGES = ("fretsonfire-songs-sectoid", "fretsonfire-songs-muldjord")
DATASET = "fretsonfire"
STEMS = ("song.ogg", "guitar.ogg")
LOUDEST = 0.9


@dataclass(frozen=True)
class Song:
    """One song: `paths` are to be summed; the tempo holds from the first to the last second."""

    id: str
    title: str
    artist: str
    licence: str
    tempo_bpm: float
    paths: tuple[Path, ...]


_SONGS = (
    ("sectoid", "Feelings", "Feelings", 95.0),
    ("sectoid", "War of freedom", "War of freedom", 140.0),
    ("sectoid", "Metal madness", "Metal madness", 150.0),
    ("sectoid", "Escape from chaosland", "Escape from chaosland", 135.0),
    ("muldjord", "armygeddon", "Armygeddon", 170.0),
    ("muldjord", "chaos_god", "Chaos God", 170.0),
    ("muldjord", "internal_degeneration", "Internal Degeneration", 190.0),
    ("muldjord", "mutilated_mime", "Mutilated Mime", 180.0),
)
_ARTISTS = {"sectoid": ("Sectoid", "MIT"), "muldjord": ("Muldjord", "CC-BY-SA-3.0")}


def songs() -> tuple[Song, ...]:
    """The eight songs. Raises `UserMustAct` naming the Debian packages where a file is missing."""
    listed = []
    for act, folder, title, tempo_bpm in _SONGS:
        paths = tuple(ROOT / act / folder / stem for stem in STEMS)
        name = f"{act}/{folder}".replace(" ", "_")
        listed.append(Song(name, title, *_ARTISTS[act], tempo_bpm, paths))
    missing = [path for song in listed for path in song.paths if not path.is_file()]
    if missing:
        install = f"apt install {' '.join(PACKAGES)}"
        raise UserMustAct(f"The real songs are not installed ({missing[0]} is missing); on Debian: {install}")
    return tuple(listed)


def mix(paths: Sequence[Path]) -> tuple[np.ndarray, int]:
    """The sum of files of one sample rate, float32 [samples], at most 0.9 loud (scaled down if need be), and
    the rate. Raises what `audio.load` raises."""
    parts, rates = zip(*(audio.load(path) for path in paths), strict=True)
    total = np.zeros(max(map(len, parts)), dtype=np.float32)
    for samples in parts:
        total[: len(samples)] += samples
    return total * min(1.0, LOUDEST / max(float(np.abs(total).max(initial=0.0)), 1e-9)), rates[0]


def write_mixes(folder: str | Path) -> list[Track]:
    """Sums each song into a FLAC file that `prepare` can read, unless there is one; returns the tracks."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tracks = []
    for song in songs():
        path = folder / f"{song.id.replace('/', '-')}.flac"
        if not path.is_file():
            samples, rate = mix(song.paths)
            unfinished = path.with_name(f"unfinished-{path.name}")
            audio.save(unfinished, samples, rate)
            unfinished.replace(path)
        tracks.append(
            Track(song.id, str(path), DATASET, "test", song.licence, title=song.title, artist=song.artist)
        )
    return tracks


def song_truth(clip: Clip) -> Annotation:
    """What is known about a clip of one of the songs: its tempo. `KeyError` for another track's clip."""
    tempi = {song.id: song.tempo_bpm for song in songs()}
    tempo = Tempo(tempi[clip.track_id], confidence=1.0, source="note chart")
    return Annotation(clip.id, clip.start_seconds, clip.end_seconds, tempo=tempo)
