"""The HF-native model, its processor, the conversation format and the checkpoint.

Importing this room registers `LlarkConfig` and its classes with the Auto classes of transformers.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor

from .config import LlarkConfig
from .model import LlarkForConditionalGeneration
from .processor import LlarkProcessor

AutoConfig.register("llark", LlarkConfig, exist_ok=True)
AutoModelForCausalLM.register(LlarkConfig, LlarkForConditionalGeneration, exist_ok=True)
AutoProcessor.register(LlarkConfig, LlarkProcessor, exist_ok=True)

__all__ = ["LlarkConfig", "LlarkForConditionalGeneration", "LlarkProcessor"]
