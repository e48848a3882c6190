"""Numbers that others have published, for orientation: each with its variant and where it was read.

`marks` as the sources were read: V, seen in a repository or recomputed here; R, quoted in a public page or
review. Never set beside ours without the variant: sets, splits, prompts and readers differ.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One printed number, from 0 to 1, by the benchmark of `tasks` that it is nearest to."""

    task: str
    metric: str
    variant: str
    model: str
    value: float
    source: str
    mark: str


_LLARK = "spotify-research/llark, saved notebook output"
_MOSS = "OpenMOSS/MOSS-Music README, 2026-05"
_MIDASHENG = "xiaomi-research/dasheng-lm, recomputed from its stored answers"
_QWEN = "Qwen3-Omni report, quoted"
_NVIDIA = "NVIDIA Audio Flamingo repository, table"
_CMI = "CMI-Bench, quoted"
_SHEETSAGE = "SheetSage2, quoted"

NUMBERS: tuple[Published, ...] = (
    Published("key", "mirex", "GiantSteps key, 602 previews", "LLark", 0.696, _LLARK, "V"),
    Published("key", "mirex", "GiantSteps key, majority class", "constant", 0.15, _LLARK, "V"),
    Published("key", "mirex", "GiantSteps key", "madmom (specialist)", 0.7462, _CMI, "R"),
    Published("key", "mirex", "GiantSteps key", "SheetSage2 (specialist)", 0.7773, _SHEETSAGE, "R"),
    Published(
        "key", "mirex", "GiantSteps key, best of 2024-25 audio LMs", "CMI-Bench models", 0.086, _CMI, "R"
    ),
    Published(
        "tempo", "acc2", "GiantSteps tempo, as printed in the paper", "LLark", 0.86, "ICLR review", "R"
    ),
    Published("tempo", "acc2", "GiantSteps tempo v2, 661 previews", "LLark", 0.368, _LLARK, "V"),
    Published("tempo", "acc1", "GiantSteps tempo v2, 661 previews", "LLark", 0.331, _LLARK, "V"),
    Published("gtzan_genre", "accuracy", "GTZAN, all 1,000, string match", "LLark", 0.568, _LLARK, "V"),
    Published("gtzan_genre", "accuracy", "GTZAN, embedding acc@1", "LLark", 0.558, _LLARK, "V"),
    Published("gtzan_genre", "accuracy", "GTZAN, own protocol", "MOSS-Music-8B", 0.9359, _MOSS, "V"),
    Published("gtzan_genre", "accuracy", "GTZAN, rerun by MOSS", "Qwen3-Omni", 0.8015, _MOSS, "V"),
    Published("gtzan_genre", "accuracy", "GTZAN, rerun by MOSS", "Music Flamingo", 0.8445, _MOSS, "V"),
    Published("medleydb_genre", "accuracy", "MedleyDB, 98 clips, string match", "LLark", 0.439, _LLARK, "V"),
    Published(
        "medleydb_genre", "accuracy", "MedleyDB, 98 clips, embedding acc@1", "LLark", 0.561, _LLARK, "V"
    ),
    Published(
        "medleydb_instruments", "clip_f1", "MedleyDB, notebook as saved", "ImageBind-LLM", 0.2505, _LLARK, "V"
    ),
    Published(
        "medleydb_instruments", "clip_f1", "MedleyDB, constant answer", "constant", 0.2523, _LLARK, "V"
    ),
    Published(
        "musicnet_instruments",
        "f1",
        "MusicNet, notebook as saved, with its fault",
        "ImageBind-LLM",
        0.858,
        _LLARK,
        "V",
    ),
    Published("musicnet_instruments", "f1", "MusicNet, always piano", "constant", 0.551, _LLARK, "V"),
    Published(
        "nsynth_instrument", "exact", "NSynth test, 4,096", "MiDashengLM-7B", 3298 / 4096, _MIDASHENG, "V"
    ),
    Published("nsynth_instrument", "accuracy", "NSynth test", "MOSS-Music-8B", 0.8655, _MOSS, "V"),
    Published("nsynth_instrument", "accuracy", "NSynth test, rerun by MOSS", "Qwen3-Omni", 0.309, _MOSS, "V"),
    Published("nsynth_pitch", "accuracy", "NSynth test", "MOSS-Music-8B", 0.8694, _MOSS, "V"),
    Published("nsynth_pitch", "accuracy", "NSynth test, rerun by MOSS", "Music Flamingo", 0.0, _MOSS, "V"),
    Published("medley_solos_instrument", "accuracy", "Medley-solos-DB", "MOSS-Music-8B", 0.9242, _MOSS, "V"),
    Published(
        "muchomusic", "accuracy", "MuChoMusic (original)", "MiDashengLM-7B", 848 / 1187, _MIDASHENG, "V"
    ),
    Published("muchomusic", "accuracy", "MuChoMusic (original)", "MOSS-Music-8B", 0.8939, _MOSS, "V"),
    Published("muchomusic", "accuracy", "MuChoMusic (original)", "Qwen3-Omni", 0.7877, _MOSS, "V"),
    Published("muchomusic", "accuracy", "MuChoMusic (original)", "TinyMU-229M", 0.586, "TinyMU table 2", "R"),
    Published(
        "muchomusic",
        "accuracy",
        "MuChoMusic (original), no audio: 8 of 11 exceed this",
        "text-only LMs",
        0.5,
        "RUListening",
        "R",
    ),
    Published("rul_muchomusic", "accuracy", "RUL-MuchoMusic", "Qwen3.5-Omni-Plus", 0.724, _QWEN, "R"),
    Published("rul_muchomusic", "accuracy", "RUL-MuchoMusic", "Gemini-3.1-Pro", 0.596, _QWEN, "R"),
    Published("rul_muchomusic", "accuracy", "RUL-MuchoMusic", "Qwen3-Omni", 0.52, _QWEN, "R"),
    Published("rul_muchomusic", "accuracy", "RUL-MuchoMusic", "Audio Flamingo 3", 0.476, _QWEN, "R"),
    Published("mmau_music", "accuracy", "MMAU test-mini, music", "MOSS-Music-8B", 0.8078, _MOSS, "V"),
    Published("mmau_music", "accuracy", "MMAU test-mini, music", "Gemini-3.1-Pro", 0.7718, _MOSS, "V"),
    Published("mmau_music", "accuracy", "MMAU test-mini, music", "Music Flamingo", 0.7635, _NVIDIA, "V"),
    Published("mmar_music", "accuracy", "MMAR, music", "Gemini-3.1-Pro", 0.7164, _MOSS, "V"),
    Published("mmar_music", "accuracy", "MMAR, music", "MOSS-Music-8B", 0.597, _MOSS, "V"),
    Published("beats", "f", "GTZAN beats, best of 2024-25 audio LMs", "CMI-Bench models", 0.237, _CMI, "R"),
    Published("beats", "f", "GTZAN beats", "beat_this (specialist)", 0.891, "beat_this, quoted", "R"),
    Published("downbeats", "f", "GTZAN downbeats", "beat_this (specialist)", 0.783, "beat_this, quoted", "R"),
)


def of(task: str) -> list[Published]:
    """The numbers of one task, the best first."""
    return sorted((one for one in NUMBERS if one.task == task), key=lambda one: -one.value)
