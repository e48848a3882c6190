"""Cuts the bundled demo recording out of a song that Debian ships.

    python scripts/make_demo.py

writes src/llark/weights/demo/feelings.ogg: 30 s of "Feelings" by Sectoid (MIT), the guitar and the rest of
the band summed, mono at 22.05 kHz. It needs the Debian package fretsonfire-songs-sectoid 1.dfsg-3.1.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import soundfile

from llark.evaluate import sounds

SHA256 = {
    "song.ogg": "8f3b11be42b4caf1b277c62a46436f015a0bcc559ca53871899ada23c6837bf5",
    "guitar.ogg": "77089d9bfa71890a9b731d22512a0388914b17295992c3f3a1534dcf60a6894a",
}
TEMPO_BPM = 95.0
FIRST_BAR = 34
"""Counted from 0. By here drums and bass play under the guitar; the first 45 s are nearly guitar alone."""

START_SECONDS = FIRST_BAR * 4 * 60 / TEMPO_BPM
SECONDS = 30.0
SAMPLE_RATE = 22_050
FADE_SECONDS = (0.01, 0.25)
PEAK = 0.9
COMPRESSION = 0.5
"""libsndfile's scale from 0 (best quality) to 1 (smallest file)."""

FOLDER = Path(__file__).parents[1] / "src" / "llark" / "weights" / "demo"


def main() -> None:
    song = next(song for song in sounds.songs() if song.title == "Feelings")
    for path in song.paths:
        if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[path.name]:
            raise SystemExit(f"{path} is not the file of fretsonfire-songs-sectoid 1.dfsg-3.1.")
    samples, rate = sounds.mix(song.paths, START_SECONDS, START_SECONDS + SECONDS, SAMPLE_RATE)
    samples = samples * (PEAK / np.abs(samples).max())
    fade_in, fade_out = (np.linspace(0, 1, int(seconds * rate), dtype=np.float32) for seconds in FADE_SECONDS)
    samples[: len(fade_in)] *= fade_in
    samples[-len(fade_out) :] *= fade_out[::-1]
    FOLDER.mkdir(parents=True, exist_ok=True)
    audio = FOLDER / "feelings.ogg"
    soundfile.write(audio, samples, rate, format="OGG", subtype="VORBIS", compression_level=COMPRESSION)
    about = {
        "title": song.title,
        "artist": song.artist,
        "tempo_bpm": song.tempo_bpm,
        "tempo_source": "the song's note chart in the game Frets on Fire, one constant tempo",
        "start_seconds_in_song": round(START_SECONDS, 3),
        "duration_seconds": SECONDS,
        "licence": song.licence,
        "licence_text": "LICENSE",
        "copyright": "Copyright (c) 2006/2007 Carlos Viola Iborra",
        "source_package": "Debian fretsonfire-songs-sectoid 1.dfsg-3.1",
        "changes": "guitar.ogg and song.ogg summed, one window cut out, mono 22.05 kHz, peak 0.9, ends faded",
        "sha256": hashlib.sha256(audio.read_bytes()).hexdigest(),
    }
    (FOLDER / "feelings.json").write_text(
        json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(f"{audio}: {audio.stat().st_size / 1e6:.2f} MB, {len(samples) / rate:.2f} s")


if __name__ == "__main__":
    main()
