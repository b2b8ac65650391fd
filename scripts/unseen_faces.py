"""Measures the face network on corpora of faces that it was not trained on.

    python scripts/unseen_faces.py DATA WORK FACE_START [CORPUS...]

The network is trained without one corpus, once for each (or for those that are named), in one short
round: three passes of 16,384 pictures instead of the 28 of some 21,000 of `avt-memocmt
make-weights`. The passes are chosen by the other corpora. Then it classifies every picture of the
one that was left out, each alone. The three folders are those of that command; a run that was
stopped resumes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.metrics.intervals import bootstrap_intervals
from avt_memocmt.metrics.scores import scores
from avt_memocmt.recipe.face import FaceCorpus, face_network, load_faces, to_input
from avt_memocmt.recipe.settings import FaceRoundConfig, Job, load_recipe

ROUND = FaceRoundConfig(
    epochs=3,
    small_epochs=0,
    pictures=16384,
    shares={"rafdb": 0.40, "imfdb": 0.16, "ferplus": 0.28, "kdef": 0.16},
    batch=64,
    learning_rate=1.0e-3,
    weight_decay=0.05,
    weight_average=0.998,
)


def main(data: Path, work: Path, start: Path, names: list[str]) -> None:
    """Print a line for each corpus."""
    job = Job(data, work, load_recipe(), load_config(EMBEDDED_PRESET), face_start=start)
    work.mkdir(parents=True, exist_ok=True)
    train, validation, test = (load_faces(job, part) for part in ("train", "validation", "test"))
    print(
        f"| left out | pictures | people | accuracy | 95 % over people | UAR | confidence "
        f"| {' | '.join(EMOTIONS)} |\n|{(7 + len(EMOTIONS)) * '---|'}"
    )
    for name in names or list(ROUND.shares):
        others = [[c for c in part if c.faces.corpus != name] for part in (train, validation)]
        network = face_network(job, (ROUND,), *others, f"face_without_{name}")
        network.eval()
        left_out = [c for part in (train, validation, test) for c in part if c.faces.corpus == name]
        with torch.no_grad():
            logits = [network(to_input(rows)) for rows in pictures_of(left_out)]
        print_row(name, left_out, logits)


def pictures_of(parts: list[FaceCorpus]) -> list[NDArray[np.uint8]]:
    """The aligned pictures with a label, some at a time."""
    kept = np.concatenate([part.aligned[part.faces.majority >= 0] for part in parts])
    return np.array_split(kept, max(1, len(kept) // 128))


def print_row(name: str, parts: list[FaceCorpus], logits: list[torch.Tensor]) -> None:
    """Print the scores on a corpus as a line of the table."""
    truth = np.concatenate([part.faces.majority[part.faces.majority >= 0] for part in parts])
    people: list[str] = []
    for number, part in enumerate(parts):
        known = part.faces.people or [f"{number} {row}" for row in range(len(part.faces))]
        people += [known[row] for row in np.flatnonzero(part.faces.majority >= 0)]
    shares = torch.cat(logits).softmax(dim=1).numpy()
    guesses = shares.argmax(axis=1)
    found = scores(truth.tolist(), guesses.tolist())
    low, high = bootstrap_intervals(truth.tolist(), guesses.tolist(), people)["accuracy"]
    recall = [f"{(guesses[truth == k] == k).mean():.2f}" for k in range(len(EMOTIONS))]
    print(
        f"| {name} | {len(truth)} | {len(set(people))} | {found['accuracy']:.3f} "
        f"| [{low:.3f}, {high:.3f}] | {found['uar']:.3f} | {shares.max(axis=1).mean():.3f} "
        f"| {' | '.join(recall)} |",
        flush=True,
    )


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    main(*(Path(argument) for argument in sys.argv[1:4]), sys.argv[4:])
