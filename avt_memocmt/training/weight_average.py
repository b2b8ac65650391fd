"""Means of a network's weights: over the steps of one training, and over several trainings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages what is trained, and the running statistics of batch norms, step by step.

    Mean teachers (Tarvainen and Valpola 2017, equation 1). Early steps average over fewer: the
    decay of step n is min(decay, (1 + n) / (10 + n)).

    Args:
        model: whose weights are followed.
        decay: share of the old average that is kept at each step; 0.99 averages about 100 steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._live = _averaged_tensors(model)
        self._mean = {name: value.detach().clone() for name, value in self._live.items()}
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one more step."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(list(self._mean.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the average as its weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state_dict(self) -> dict[str, Tensor]:
        """What a run resumes from."""
        return {**self._mean, "steps": torch.tensor(self._steps)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in self._mean.items():
            value.copy_(state[name])
        self._steps = int(state["steps"])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, live in self._live.items():
            kept = live.clone()
            live.copy_(self._mean[name])
            self._mean[name] = kept


def _averaged_tensors(model: nn.Module) -> dict[str, Tensor]:
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    statistics = {name: b for name, b in model.named_buffers() if b.is_floating_point()}
    return {**trained, **statistics}


def mean_of(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor over networks of the same structure; integers are the first's."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
