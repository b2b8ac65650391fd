"""What the art adds to such a network, each tried on a small one: see docs/fusion.md.

    python scripts/fusion_trials.py WORDS DESCRIPTORS OUT

WORDS and DESCRIPTORS are feature stores of MELD. An utterance is the mean and the deviation of its
text tokens and 31 measurements, each projected to a vector; a Temporal Transformer of past turns
corrects what the words decide alone. Every trial has the same data, batches and schedule; the epoch
is chosen on dev by weighted F1. A line of OUT/results.jsonl for each run, seed by seed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import ModelConfig
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.temporal_transformer import TemporalTransformer

DIM, RATE, TURNS, SEEDS = 96, 1e-3, 256, 3
SMOOTHING, OWN_WEIGHT, TEMPERATURE = 0.05, 0.3, 0.1
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Trial:
    """What is changed: all else is as it is."""

    sentiment: float = 0.0
    shift: float = 0.0
    contrast: float = 0.0
    names: bool = False
    balance: float = 0.3
    adjusted: float = 0.0
    words_alone: bool = False
    epochs: int = 3


TRIALS = {
    "as it is": Trial(),
    "words alone": Trial(words_alone=True),
    "sentiment given on, weight 0.3": Trial(sentiment=0.3),
    "emotion shift, weight 0.3": Trial(shift=0.3),
    "contrast against neutral, weight 0.1": Trial(contrast=0.1),
    "speakers by name": Trial(names=True),
    "logit-adjusted loss": Trial(balance=0.0, adjusted=1.0),
    "class balance 1": Trial(balance=1.0),
    "class balance 0": Trial(balance=0.0),
    "sentiment given on, weight 1": Trial(sentiment=1.0),
    "contrast against neutral, weight 0.5": Trial(contrast=0.5),
    **{f"as it is, epochs {count}": Trial(epochs=count) for count in (1, 2, 4, 6)},
    "speakers by name, epochs 6": Trial(names=True, epochs=6),
}


class Small(nn.Module):
    """The network; what the dialogue and the sentiment add is zero before it is trained."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial
        self.words = nn.Linear(768, DIM)
        self.measured = nn.Linear(31, DIM)
        self.own = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, 7))
        config = ModelConfig(
            dim=DIM, feed_forward=2 * DIM, temporal_layers=1, temporal_window=12, dropout=0.0
        )
        self.temporal = TemporalTransformer(config)
        self.head = nn.Linear(DIM, 7)
        self.names = nn.Embedding(7, DIM)
        self.sentiment, self.shift = nn.Linear(DIM, 3), nn.Linear(DIM, 2)
        self.give = nn.Linear(3, 7, bias=False)
        self.contrast = nn.Linear(DIM, DIM)
        nn.init.normal_(self.names.weight, std=0.3)  # from zeros it hardly moves in so few steps
        for part in (self.head, self.give):
            nn.init.zeros_(part.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [turns, 7], those of the words alone, and the context [turns, DIM]."""
        words = self.words(batch["words"])
        vectors = words if self.trial.words_alone else words + self.measured(batch["measured"])
        if self.trial.names:
            vectors = vectors + self.names(batch["name"])
        context = self.temporal(vectors, batch["mask"], batch["change"])
        own = self.own(words)
        logits = own + self.head(context)
        if self.trial.sentiment:
            logits = logits + self.give(self.sentiment(context).softmax(dim=-1))
        real = batch["mask"]
        return logits[real], own[real], context[real]


def read(words: Path, descriptors: Path) -> dict[str, dict[str, np.ndarray]]:
    """By split the arrays of all turns, in order."""
    rows: dict[tuple[str, int, int], list] = {}
    for path in sorted(words.glob("part-*.parquet")):
        table = pq.read_table(path)
        lists = table["text_values"].combine_chunks()
        plain = [table[n].to_pylist() for n in ("split", "dialogue_id", "utterance_id")]
        rest = [table[n].to_pylist() for n in ("speaker", "emotion", "sentiment")]
        for i, (key, said) in enumerate(
            zip(zip(*plain, strict=True), zip(*rest, strict=True), strict=True)
        ):
            vector = np.zeros(768, np.float32)
            if lists[i].is_valid:
                tokens = lists[i].values.to_numpy(zero_copy_only=False).reshape(-1, 384)
                tokens = tokens.astype(np.float32)
                vector = np.concatenate([tokens.mean(axis=0), tokens.std(axis=0)])
            rows[key] = [vector, np.full(31, np.nan, np.float32), *said]
    for path in sorted(descriptors.glob("part-*.parquet")):
        table = pq.read_table(path)
        plain = [table[n].to_pylist() for n in ("split", "dialogue_id", "utterance_id")]
        audio, visual = (table[f"{m}_values"].to_pylist() for m in ("audio", "visual"))
        for key, heard, seen in zip(zip(*plain, strict=True), audio, visual, strict=True):
            if heard is not None and seen is not None:
                rows[key][1] = np.array([*heard, *seen], np.float32)
    found = {}
    for split in ("train", "dev"):
        keys = sorted(key for key in rows if key[0] == split)
        vectors, measured, speakers, emotions, sentiments = zip(
            *(rows[key] for key in keys), strict=True
        )
        found[split] = {
            "words": np.stack(vectors),
            "measured": np.stack(measured),
            "speaker": np.array(speakers),
            "emotion": np.array(emotions),
            "sentiment": np.array(sentiments),
            "dialogue": np.array([key[1] for key in keys]),
        }
    return found


def prepare(found: dict[str, dict[str, np.ndarray]]) -> None:
    """Standardise by train; number the speakers; mark what changes from turn to turn."""
    train = found["train"]
    main = {n: i for i, (n, _) in enumerate(Counter(train["speaker"].tolist()).most_common(6), 1)}
    moments = {
        name: (np.nanmean(train[name], axis=0), np.nanstd(train[name], axis=0) + 1e-6)
        for name in ("words", "measured")
    }
    for part in found.values():
        for name, (mean, deviation) in moments.items():
            part[name] = np.nan_to_num((part[name] - mean) / deviation).astype(np.float32)
        count = len(part["dialogue"])
        part["name"] = np.array([main.get(name, 0) for name in part["speaker"].tolist()])
        part["change"], part["last"] = np.zeros(count, int), np.full(count, -1)
        last: dict[tuple[int, str], int] = {}
        for i in range(count):
            who = (int(part["dialogue"][i]), str(part["speaker"][i]))
            part["last"][i] = last.get(who, -1)
            last[who] = int(part["emotion"][i])
            if i and part["dialogue"][i - 1] == who[0]:
                part["change"][i] = 1 if part["speaker"][i - 1] == who[1] else 2


def batches(part: dict[str, np.ndarray], generator: np.random.Generator | None) -> list[np.ndarray]:
    """Rows of whole dialogues [dialogues, turns], -1 at padding, dialogues of like length."""
    _, starts = np.unique(part["dialogue"], return_index=True)
    dialogues = np.split(np.arange(len(part["dialogue"])), starts[1:])
    noise = np.zeros(len(dialogues)) if generator is None else generator.random(len(dialogues)) * 2
    order = np.argsort([len(d) for d in dialogues] + noise)
    found, held = [], []
    for place in order:
        longest = max(len(dialogues[i]) for i in [*held, place])
        if held and longest * (len(held) + 1) > TURNS:
            found.append(held)
            held = []
        held.append(place)
    found.append(held)
    if generator is not None:
        generator.shuffle(found)
    padded = []
    for held in found:
        rows = np.full((len(held), max(len(dialogues[i]) for i in held)), -1)
        for row, i in enumerate(held):
            rows[row, : len(dialogues[i])] = dialogues[i]
        padded.append(rows)
    return padded


def batch_of(part: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, Tensor]:
    """The tensors of some padded rows."""
    names = ("words", "measured", "name", "change")
    found = {name: torch.from_numpy(part[name][rows]) for name in names}
    found["mask"] = torch.from_numpy(rows >= 0)
    for name in ("emotion", "sentiment", "last"):
        found[name] = torch.from_numpy(part[name][rows[rows >= 0]])
    return found


def contrast(vectors: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2); no anchor is neutral."""
    vectors = F.normalize(vectors, dim=1)
    others = ~torch.eye(len(labels), dtype=torch.bool)
    same = (labels[:, None] == labels) & others & (labels[:, None] != 0)
    shares = (vectors @ vectors.T / TEMPERATURE).masked_fill(~others, -1e4).log_softmax(dim=1)
    anchors = same.any(dim=1)
    return -((shares * same).sum(dim=1)[anchors] / same.sum(dim=1)[anchors]).mean()


def run(trial: Trial, seed: int, data: dict[str, dict[str, np.ndarray]]) -> tuple[int, np.ndarray]:
    """Train; the epoch that dev chose and the logits on dev."""
    torch.manual_seed(seed)
    network = Small(trial)
    train, dev = data["train"], data["dev"]
    counts = np.bincount(train["emotion"], minlength=7)
    prior = torch.from_numpy(np.log(counts / counts.sum())).float()
    weights = (-trial.balance * prior).exp()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.05)
    steps = trial.epochs * len(batches(train, np.random.default_rng(0)))
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=steps + trial.epochs * 5, pct_start=0.1, cycle_momentum=False
    )
    known = batches(dev, None)
    best: tuple[float, int, np.ndarray] = (-1.0, 0, np.zeros(0))
    for epoch in range(trial.epochs):
        network.train()
        for rows in batches(train, np.random.default_rng([seed, epoch])):
            batch = batch_of(train, rows)
            logits, own, context = network(batch)
            labels = batch["emotion"]
            shift = trial.adjusted * prior
            decided, by_words = (
                F.cross_entropy(found + shift, labels, weights, label_smoothing=SMOOTHING)
                for found in (logits, own)
            )
            loss = decided + OWN_WEIGHT * by_words
            if trial.sentiment:
                found = F.cross_entropy(network.sentiment(context), batch["sentiment"])
                loss = loss + trial.sentiment * found
            has_last = batch["last"] >= 0
            if trial.shift and has_last.any():
                moved = (batch["last"] != labels)[has_last].long()
                loss = loss + trial.shift * F.cross_entropy(network.shift(context)[has_last], moved)
            if trial.contrast:
                loss = loss + trial.contrast * contrast(network.contrast(context), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rates.step()
        network.eval()
        logits = np.zeros((len(dev["emotion"]), 7), np.float32)
        with torch.no_grad():
            for rows in known:
                logits[rows[rows >= 0]] = network(batch_of(dev, rows))[0].numpy()
        found = scores(dev["emotion"], logits.argmax(axis=1))["weighted_f1"]
        if found > best[0]:
            best = (found, epoch + 1, logits)
    return best[1], best[2]


def main(words: Path, descriptors: Path, out: Path) -> None:
    """Run every trial that is not done yet, seed by seed."""
    out.mkdir(parents=True, exist_ok=True)
    data = read(words, descriptors)
    prepare(data)
    truth = data["dev"]["emotion"]
    counts = np.bincount(data["train"]["emotion"], minlength=7)
    prior = np.log(counts / counts.sum())
    for seed in range(SEEDS):
        for name, trial in TRIALS.items():
            kept = out / f"{name.replace(' ', '-').replace(',', '')}-{seed}.npy"
            if kept.is_file():
                continue
            epoch, logits = run(trial, seed, data)
            corrected = {}
            for strength in STRENGTHS:
                found = scores(truth, (logits - strength * prior).argmax(axis=1))
                corrected[strength] = {k: found[k] for k in ("accuracy", "weighted_f1", "uar")}
            line = {"trial": name, "seed": seed, "epoch": epoch, "by_prior_correction": corrected}
            np.save(kept, logits)
            with (out / "results.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(name, seed, epoch, corrected[0.0], flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
