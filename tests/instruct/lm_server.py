"""A real small language model behind the protocol: SmolLM2-135M, one request at a time, on loopback.

Where a schema is asked for, the model is held to it: the JSON around the strings is written for it, and each
string ends at its first quote.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.instruct.teaching_server import Body, Server, completion


class SmallModel:
    """The project's base model, as it lies in the cache."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.prompt_tokens = self.reply_tokens = 0

    def reply(self, body: Body) -> str:
        """What the model says, within its schema if there is one; it sees the ends of a long prompt."""
        turns = [
            ("system", body["messages"][0]["content"][:140]),
            ("user", body["messages"][-1]["content"][-400:]),
        ]
        text = (
            "".join(f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in turns)
            + "<|im_start|>assistant\n"
        )
        self.prompt_tokens = len(self.tokenizer(text).input_ids)
        self.reply_tokens = 0
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        if schema is None:
            return self._go_on(text, 40, stop=None)
        item = schema["properties"]["exchanges"]["items"]["properties"]
        said: dict[str, Any] = {}
        for name, of in item.items():
            written = json.dumps(said)[:-1] + (", " if said else "")
            start = f'{text}{{"exchanges": [{written}"{name}": '
            if "enum" in of:
                said[name] = of["enum"][0]
            elif of["type"] == "array":
                said[name] = [self._go_on(start + '["', 3, stop='"')]
            else:
                said[name] = self._go_on(start + '"', 14, stop='"')
        return json.dumps({"exchanges": [said]})

    def _go_on(self, text: str, most: int, stop: str | None) -> str:
        import torch

        ids = self.tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            out = self.model.generate(ids, max_new_tokens=most, do_sample=False, pad_token_id=0)[
                0, ids.shape[1] :
            ]
        self.reply_tokens += len(out)
        said: str = self.tokenizer.decode(out, skip_special_tokens=True)
        return said.split(stop)[0] if stop else said


def behaviour(model: SmallModel) -> Any:
    lock = asyncio.Lock()

    async def behave(server: Server, request: web.Request, body: Body) -> web.StreamResponse:
        async with lock:
            text = await asyncio.to_thread(model.reply, body)
            return web.json_response(completion(text, usage=(model.prompt_tokens, model.reply_tokens)))

    return behave
