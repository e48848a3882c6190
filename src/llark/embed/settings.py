"""What a user says of an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from llark.errors import UserMustAct

NATIVE, CLIP = "native", "clip"


@dataclass(frozen=True)
class Settings:
    """All that changes the frames. Kept in the folder's `about.json`; device, batch and workers are not."""

    encoder: str
    """jukebox, clap, mini, mel, or hub:NAME, where NAME is a model's name on the hub or a folder."""
    weights: str | None = None
    """For jukebox the folder of its converted weights; for clap a folder or a name on the hub."""
    compat: str | None = None
    """llark: the published extraction, with its quirks."""
    layer: int | None = None
    """Of a transformer: 0 is what goes into the first layer, -1 what comes out of the last one."""
    rate: str = "10"
    """Frames a second as a number or a fraction; `native` for the encoder's own; `clip` for one a clip."""
    dtype: str = "float32"
    """The precision that it is computed in."""

    def frames_per_second(self, native: Fraction) -> Fraction | None:
        """Exact; `None` stands for one frame a clip. Raises `UserMustAct` where it is no such thing."""
        if self.rate == CLIP:
            return None
        if self.rate == NATIVE:
            return native
        try:
            wanted = Fraction(self.rate)
        except (ValueError, ZeroDivisionError) as error:
            raise UserMustAct(f"--rate {self.rate} is no number, {NATIVE} or {CLIP}.") from error
        if not 0 < wanted <= native:
            raise UserMustAct(
                f"--rate {self.rate} is not to be had: {self.encoder} gives {float(native):g} frames a "
                f"second ({native}), which can be averaged to fewer."
            )
        return wanted

    def refuse(self, **unused: object) -> None:
        """Raises `UserMustAct` for the first setting that was given and that this encoder has no use for."""
        for name, value in unused.items():
            if value is not None:
                raise UserMustAct(f"{self.encoder} has no use for --{name} {value}.")
