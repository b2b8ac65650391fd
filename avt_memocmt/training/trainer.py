"""The training loop of every network: Accelerate, cosine schedule, early stop, exact resume."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from avt_memocmt.config import TrainingConfig
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.wording import markdown

BEST_FILE = "best.safetensors"
S = TypeVar("S")

_console = Console(stderr=True)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """What a network answered on the validation part after an epoch.

    Attributes:
        scores: by name.
        confusion: how many utterances of each class (rows) were given each (columns), in the order
            of `labels`; None of what is no such classifier.
        labels: names of the classes.
    """

    scores: dict[str, float]
    confusion: list[list[int]] | None = None
    labels: tuple[str, ...] = EMOTIONS


def cosine_with_warmup(step: int, total: int, warmup: float = 0.1) -> float:
    """Learning-rate factor: linear rise over the first `warmup` share, then half a cosine to 0."""
    rise = max(1, int(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def make_accelerator() -> Accelerator:
    """Return the processes and the device that `accelerate launch` set up."""
    # A modality that no turn of a batch has leaves its weights without a gradient.
    kwargs = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(kwargs_handlers=[kwargs])


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Start an average over the steps of a training: of the weights and of batch norms' statistics.

    Mean teachers (Tarvainen and Valpola 2017, equation 1). Early steps average over fewer: the
    decay of step n is min(decay, (1 + n) / (10 + n)).

    Args:
        model: whose weights are followed.
        decay: share of the old average that is kept at each step; 0.99 averages about 100 steps.
    """

    @torch.no_grad()
    def update(means: list[Tensor], values: list[Tensor], steps: Tensor | int) -> None:
        if means[0].is_floating_point():
            step = int(steps) + 1
            torch._foreach_lerp_(means, values, 1 - min(decay, (1 + step) / (10 + step)))
        else:
            torch._foreach_copy_(means, values)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)  # type: ignore[arg-type]


def mean_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of what several trainings kept (a uniform soup, Wortsman et al. 2022).

    Args:
        folders: of `Trainer`s of the same network.

    Returns:
        A state dict; its integers are those of the first.
    """
    states = [load_file(folder / BEST_FILE) for folder in folders]
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def averaged_runs(model: nn.Module, runs: Iterable[tuple[S, Path]]) -> Iterator[tuple[S, Path]]:
    """Go through several trainings from one start; after the last, the model has their mean.

    Args:
        model: which the caller trains in between, by a `Trainer` in the folder of each.
        runs: the settings and the folder of each.
    """
    start = {name: value.clone() for name, value in model.state_dict().items()}
    folders = []
    for settings, folder in runs:
        model.load_state_dict(start)
        yield settings, folder
        folders.append(folder)
    model.load_state_dict(mean_weights(folders))


class Trainer:
    """Runs epochs, keeps the best or the last, resumes after a stop, logs every epoch.

    Every process of an `accelerate launch` takes its share of the batches; the first one writes.

    Args:
        model: trained in place; after `run` it holds the kept epoch's weights.
        folder: receives `state.pt` (resumable), `best.safetensors`, and of every epoch the scores
            and the confusion matrix, in `log.jsonl` and as TensorBoard events.
        settings: how long, how fast and in which precision.
        steps: batches of one epoch over all processes.
        accelerator: processes and device; None = one process on the CPU.
        encoder: the part of the model that is trained at `encoder_learning_rate`; None = nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        folder: Path,
        settings: TrainingConfig,
        steps: int,
        accelerator: Accelerator | None = None,
        encoder: nn.Module | None = None,
    ) -> None:
        self.accelerator = accelerator or Accelerator(cpu=True)
        self.model = model
        self.folder = folder
        self.settings = settings
        self.steps = steps // self.accelerator.num_processes
        self.epoch = 0
        self.best = -math.inf
        self.best_epoch = 0
        tuned = [p for p in encoder.parameters() if p.requires_grad] if encoder else []
        others = {p for p in model.parameters() if p.requires_grad}.difference(tuned)
        groups: list[dict[str, Any]] = [
            {"params": [p for p in model.parameters() if p in others]},
            {"params": tuned, "lr": settings.encoder_learning_rate},
        ]
        optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._parallel, self.optimizer = self.accelerator.prepare(model, optimizer)
        total = settings.epochs * max(1, self.steps)
        self._rates = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: cosine_with_warmup(step, total, settings.warmup)
        )
        decay = settings.weight_average
        self._average = moving_average(model, decay) if decay else None
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    @property
    def device(self) -> torch.device:
        """Where the batches belong."""
        return self.accelerator.device

    def run(
        self,
        batches: Callable[[int], Iterable[Any]],
        loss: Callable[[nn.Module, Any], Tensor],
        evaluate: Callable[[nn.Module], dict[str, float] | Validation],
        criterion: str | None,
    ) -> dict[str, float]:
        """Train what is left and return the validation scores of the epoch that is kept.

        Args:
            batches: epoch number -> the batches of that epoch, the same on every call and in every
                process.
            loss: (model, batch) -> scalar loss, called in training mode.
            evaluate: model, in evaluation mode -> scores on the validation part, with the confusion
                matrix or without, called in every process.
            criterion: the score that chooses the epoch, higher is better; None keeps the last.
        """
        writer = SummaryWriter(str(self.folder)) if self.accelerator.is_main_process else None
        judged: nn.Module = self._average.module if self._average else self.model
        while self.epoch < self.settings.epochs and not self._is_stale():
            began = time.monotonic()
            set_seed(1000 * self.settings.seed + self.epoch)
            mean = self._train_epoch(batches(self.epoch), loss)
            with torch.no_grad():
                answers = evaluate(judged.eval())
            found = answers if isinstance(answers, Validation) else Validation(answers)
            result = found.scores
            self.epoch += 1
            entry = {
                "epoch": self.epoch,
                "loss": round(mean, 4),
                "seconds": round(time.monotonic() - began, 1),
                **{name: round(value, 4) for name, value in result.items()},
            }
            better = criterion is None or result[criterion] > self.best
            if better:
                self.best = result[criterion] if criterion else math.inf
                self.best_epoch = self.epoch
            if writer is not None:
                self._write(entry, found, judged if better else None, writer)
                self._save()
        self.accelerator.wait_for_everyone()
        self.model.load_state_dict(load_file(self.folder / BEST_FILE))
        self.model.eval()
        best: dict[str, float] = json.loads((self.folder / "best.json").read_text(encoding="utf-8"))
        return best

    def _is_stale(self) -> bool:
        return self.epoch - self.best_epoch >= self.settings.patience

    def _train_epoch(
        self, batches: Iterable[Any], loss: Callable[[nn.Module, Any], Tensor]
    ) -> float:
        self.model.train()
        half = self.settings.precision == "bf16"
        total, count = 0.0, 0
        for batch in track(
            self._own(batches),
            description=f"epoch {self.epoch + 1}",
            total=self.steps,
            console=_console,
            transient=True,
            disable=not (_console.is_terminal and self.accelerator.is_main_process),
        ):
            # Accelerate's own mixed precision would hold for every later training of the process.
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                value = loss(self._parallel, batch)
            self.optimizer.zero_grad(set_to_none=True)
            self.accelerator.backward(value)
            self.accelerator.clip_grad_norm_(self._parallel.parameters(), self.settings.clip)
            self.optimizer.step()
            self._rates.step()
            if self._average:
                self._average.update_parameters(self.model)
            total, count = total + value.item(), count + 1
        return total / max(1, count)

    def _own(self, batches: Iterable[Any]) -> Iterator[Any]:
        """This process's batches. The last ones are left out where they are too few for all."""
        source, processes = iter(batches), self.accelerator.num_processes
        while len(hand := list(islice(source, processes))) == processes:
            yield hand[self.accelerator.process_index]

    def _write(
        self,
        entry: dict[str, Any],
        found: Validation,
        better: nn.Module | None,
        writer: SummaryWriter,
    ) -> None:
        _log.info(json.dumps(entry))
        confusion, labels = found.confusion, found.labels
        line = entry if confusion is None else {**entry, "confusion": confusion}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if confusion is not None:
            rows = [(name, *map(str, row)) for name, row in zip(labels, confusion, strict=True)]
            writer.add_text("confusion", markdown(("true", *labels), rows), self.epoch)
        for name, value in entry.items():
            if name != "epoch":
                writer.add_scalar(name, value, self.epoch)
        writer.flush()
        if better is not None:
            save_tensors(better.state_dict(), self.folder / BEST_FILE)
            (self.folder / "best.json").write_text(json.dumps(entry), encoding="utf-8")

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": self._rates.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "average": self._average.state_dict() if self._average else None,
        }
        partial = self.folder / "state.pt.part"
        torch.save(state, partial)
        os.replace(partial, self.folder / "state.pt")

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True, map_location="cpu")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._rates.load_state_dict(state["rates"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self.epoch, self.best, self.best_epoch = (
            state[name] for name in ("epoch", "best", "best_epoch")
        )
        _log.info("resumed after epoch %d", self.epoch)
