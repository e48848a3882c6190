"""The whole teacher over a real language model behind real HTTP: a small one, and its replies show it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llark.llm.ledger import Ledger
from tests.instruct.lm_server import SmallModel, behaviour
from tests.instruct.teaching_server import Server
from tests.instruct.test_openai_teacher import clip, teach


@pytest.fixture(scope="module")
def model() -> SmallModel:
    from llark.model import base

    cache = Path(os.environ.get("LLARK_CACHE", Path.home() / ".cache" / "llark")) / "bases"
    if not any(cache.glob("*smollm2-135m*/config.json")):
        pytest.skip("the base model is not in the cache: run `llark fetch`")
    return SmallModel(base.base_folder())


@pytest.mark.slow
def test_every_reply_of_a_real_model_is_an_exchange_or_a_drop_and_is_paid_for_once(
    model: SmallModel, tmp_path: Path
) -> None:
    clips = [clip(number) for number in range(2)]
    with Server(behaviour(model)) as server:
        exchanges, drops, teacher = teach(server, tmp_path, clips, timeout_seconds=300.0)
        asked = len(server.bodies)
        again = teach(server, tmp_path, clips, timeout_seconds=300.0)
    assert {one.clip_id for one in exchanges} | {drop.id.split("#")[0] for drop in drops} == {
        "clip-0",
        "clip-1",
    }
    assert all(drop.reason and drop.detail for drop in drops)
    assert all(one.answer and one.facts and one.question for one in exchanges)
    assert teacher.failures == {}
    assert len(server.bodies) == asked == teacher.bought
    assert again[:2] == (exchanges, drops)
    with Ledger(tmp_path / "replies.sqlite") as ledger:
        spent = ledger.spent()
    assert spent.replies == asked
    assert spent.prompt_tokens > 100 * asked
    assert 0 < spent.reply_tokens <= 60 * asked
