"""What the three training stages share: seeds, schedule, resumable state, a log of every epoch."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def seed_everything(seed: int) -> None:
    """Fix the seeds of Python, NumPy and PyTorch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def cosine_with_warmup(step: int, total: int, warmup: float = 0.1) -> float:
    """Learning-rate factor: linear rise over the first `warmup` share, then half a cosine to 0."""
    rise = max(1, int(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


class Trainer:
    """Runs epochs, keeps the best on the select part, resumes after a stop, logs JSON lines.

    Args:
        model: trained in place; after `run` it holds the best epoch's weights.
        folder: receives `state.pt` (resumable), `best.safetensors` and `log.jsonl`.
        epochs: how many passes.
        steps_per_epoch: optimiser steps of one pass, for the schedule.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW.
        clip: largest gradient norm.
    """

    def __init__(
        self,
        model: nn.Module,
        folder: Path,
        *,
        epochs: int,
        steps_per_epoch: int,
        learning_rate: float,
        weight_decay: float = 0.01,
        clip: float = 1.0,
    ) -> None:
        self.model = model
        self.folder = folder
        self.epochs = epochs
        self.clip = clip
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay)
        total = epochs * steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: cosine_with_warmup(step, total)
        )
        self.epoch = 0
        self.best = -math.inf
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(
        self,
        batches: Callable[[int], Iterable[Any]],
        loss: Callable[[Any], Tensor],
        evaluate: Callable[[], dict[str, float]],
        criterion: str,
    ) -> dict[str, float]:
        """Train what is left and return the select scores of the best epoch.

        Args:
            batches: epoch number -> the batches of that epoch, the same on every call.
            loss: batch -> scalar loss, called in training mode.
            evaluate: scores on the select part, called in evaluation mode.
            criterion: the score that chooses the epoch, higher is better.
        """
        while self.epoch < self.epochs:
            began = time.monotonic()
            seed_everything(1000 + self.epoch)
            mean = self._train_epoch(batches(self.epoch), loss)
            self.model.eval()
            with torch.no_grad():
                result = evaluate()
            self.epoch += 1
            entry = {
                "epoch": self.epoch,
                "loss": round(mean, 4),
                "seconds": round(time.monotonic() - began, 1),
                **{name: round(value, 4) for name, value in result.items()},
            }
            self._log(entry)
            if result[criterion] > self.best:
                self.best = result[criterion]
                save_tensors(self.model.state_dict(), self.folder / "best.safetensors")
                (self.folder / "best.json").write_text(json.dumps(entry), encoding="utf-8")
            self._save()
        load_into(self.model, self.folder / "best.safetensors")
        self.model.eval()
        best: dict[str, float] = json.loads((self.folder / "best.json").read_text(encoding="utf-8"))
        return best

    def _train_epoch(self, batches: Iterable[Any], loss: Callable[[Any], Tensor]) -> float:
        self.model.train()
        total, count = 0.0, 0
        for batch in batches:
            value = loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            self.schedule.step()
            total, count = total + value.item(), count + 1
            if count % 100 == 0:
                print(f"  epoch {self.epoch + 1} step {count} loss {total / count:.4f}", flush=True)
        return total / max(1, count)

    def _log(self, entry: dict[str, Any]) -> None:
        print(json.dumps(entry), flush=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
        }
        partial = self.folder / "state.pt.part"
        torch.save(state, partial)
        os.replace(partial, self.folder / "state.pt")

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.best = state["epoch"], state["best"]
        print(f"resumed after epoch {self.epoch}", flush=True)


def save_tensors(tensors: dict[str, Tensor], path: Path, dtype: torch.dtype | None = None) -> None:
    """Write safetensors by atomic rename; floating-point tensors become `dtype` where given."""
    ready = {
        name: (value.to(dtype) if dtype and value.is_floating_point() else value)
        .detach()
        .contiguous()
        .clone()
        for name, value in tensors.items()
    }
    partial = path.with_suffix(path.suffix + ".part")
    save_file(ready, partial)
    os.replace(partial, path)


def load_into(model: nn.Module, path: Path) -> None:
    """Load safetensors of any float type into a model of the same structure."""
    from safetensors.torch import load_file

    model.load_state_dict(
        {
            name: value.float() if value.is_floating_point() else value
            for name, value in load_file(path).items()
        }
    )
