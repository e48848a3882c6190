"""AdamW in float32, whatever the parameters compute in: bfloat16 loses updates smaller than its steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from llark.tuning import Tune

MASTER = "master"


class MasterAdamW(torch.optim.Optimizer):
    """AdamW on float32 copies of the parameters that compute in less, and on the others themselves.

    The copies are part of its state, so that a checkpoint holds them.
    """

    def __init__(self, groups: list[dict[str, Any]], fused: bool = False) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0})
        self.masters = {
            p: p if p.dtype == torch.float32 else p.detach().float().requires_grad_() for p in self.learning
        }
        self.adam = torch.optim.AdamW(
            [{**group, "params": [self.masters[p] for p in group["params"]]} for group in self.param_groups],
            fused=fused,
        )

    @property
    def learning(self) -> list[Tensor]:
        """The parameters, as the model has them."""
        return [p for group in self.param_groups for p in group["params"]]

    def lift(self) -> list[Tensor]:
        """Hands the gradients to the copies; what has them now."""
        for p, master in self.masters.items():
            if master is not p and p.grad is not None:
                master.grad, p.grad = p.grad.float(), None
        return list(self.masters.values())

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update with each group's rate. `closure` is not called."""
        self.lift()
        for mine, inner in zip(self.param_groups, self.adam.param_groups, strict=True):
            inner["lr"] = mine["lr"]
        self.adam.step()
        for p, master in self.masters.items():
            if master is not p:
                p.copy_(master)
        self._show()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        self.adam.zero_grad(set_to_none)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state as it is: the base class would round it to what the parameters compute in."""
        for group, given in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({name: value for name, value in given.items() if name != "params"})
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        for p, number in zip(self.learning, numbers, strict=True):
            state = {name: value.clone() for name, value in state_dict["state"].get(number, {}).items()}
            master = state.pop(MASTER, None)
            with torch.no_grad():
                if master is not None:
                    self.masters[p].copy_(master)
                    p.copy_(master)
            self.adam.state[self.masters[p]] = state
        self._show()

    def _show(self) -> None:
        """Puts the inner state, the copies beside it, where a checkpoint looks for it."""
        for p, master in self.masters.items():
            own = {} if master is p else {MASTER: master.detach()}
            self.state[p] = {**self.adam.state[master], **own}


def make_optimizer(model: Any, tune: Tune) -> tuple[MasterAdamW, list[float]]:
    """The optimizer and each of its groups' highest rate: the language model and the audio side, matrices and
    the rest (which does not decay)."""
    groups: list[dict[str, Any]] = []
    peaks: list[float] = []
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for language, peak in (
        (True, tune.learning_rate),
        (False, tune.projector_learning_rate or tune.learning_rate),
    ):
        for matrices, decay in ((True, tune.weight_decay), (False, 0.0)):
            mine = [
                p for name, p in named if ("language_model." in name) is language and (p.ndim > 1) is matrices
            ]
            if mine:
                groups.append({"params": mine, "lr": peak, "weight_decay": decay})
                peaks.append(peak)
    return MasterAdamW(groups, fused=tune.weights == "full"), peaks


def learning_scale(step: int, tune: Tune) -> float:
    """Linear warm-up, then a half cosine down to nothing, or no change."""
    warmup = max(1, round(tune.warmup_share * tune.steps))
    if step < warmup:
        return (step + 1) / warmup
    if tune.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, tune.steps - warmup)))
