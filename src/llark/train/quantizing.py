"""A base language model in 4 bits, beside which an adapter learns (QLoRA, arXiv 2305.14314).

The only file that knows bitsandbytes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from llark.errors import UserMustAct

if TYPE_CHECKING:
    from llark.train.team import Team
    from llark.tuning import Tune


def check(tune: Tune, crew: Team) -> None:
    """Raises `UserMustAct` where 4 bits are asked for and bitsandbytes or a GPU is missing."""
    if tune.quantize == "none":
        return
    if find_spec("bitsandbytes") is None:
        raise UserMustAct('tune.quantize needs the extra: pip install "llark[qlora]"; or set it to none.')
    if not crew.device.startswith("cuda"):
        raise UserMustAct(
            f"tune.quantize {tune.quantize} needs a GPU; here is {crew.device}. Set it to none."
        )


def loading(tune: Tune, crew: Team) -> dict[str, Any]:
    """What `from_pretrained` of the base is told: nf4, with the scales themselves in 8 bits, as published."""
    if tune.quantize == "none":
        return {}
    from transformers import BitsAndBytesConfig

    compute = torch.bfloat16 if tune.precision == "bfloat16" else torch.float32
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
    return {"quantization_config": settings, "device_map": {"": crew.device}, "dtype": compute}
