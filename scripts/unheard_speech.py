"""Measures the branch of sound on speech that it was not trained on: new speakers, new corpora.

    python scripts/unheard_speech.py DATA WORK

The branch is trained as by `avt-memocmt make-weights`, without a third of the speakers of each
corpus (three times) and without one corpus (once for each); then it classifies the clips that were
left out: each alone, against eight other clips of its speaker, and against all. Its confidence on a
corpus is calibrated as that command does it, but on the predictions for the other corpora alone.
DATA and WORK are the folders of that command; what WORK already holds is reused, and a run that was
stopped resumes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.metrics.calibration import calibration_error
from avt_memocmt.metrics.intervals import bootstrap_intervals
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.confidence import temperature_scale
from avt_memocmt.recipe.cross_validation import LeftOut, cross_validate
from avt_memocmt.recipe.settings import Job, load_recipe
from avt_memocmt.recipe.sources import load_speech, speaker_of
from avt_memocmt.recipe.temperatures import fit_growing_temperature

HEADER = (
    "| left out | clips | speakers | emotions | UAR | 95 % over speakers | accuracy | confidence "
    f"| calibration error |\n|{9 * '---|'}"
)


OTHERS = {"alone": 0, "against eight others": 8, "against all others": 10_000}
"""How many other clips of its speaker a clip is judged against."""


def calibrated(left_out: list[LeftOut], count: int) -> dict[str, tuple[list[SpeechClip], Tensor]]:
    """By kind, the clips and their probabilities [clips, 7], calibrated on the other corpora."""
    clips = [clip for part in left_out for clip in part.clips]
    kinds = np.array([part.kind for part in left_out for _ in part.clips])
    judged = [part.judged(count) for part in left_out]
    logits = torch.cat([logits for logits, _ in judged])
    novelty = torch.cat([novelty for _, novelty in judged])
    truth = np.array([clip.emotion for clip in clips])
    corpora = np.array([clip.corpus for clip in clips])
    probabilities = torch.zeros_like(logits)
    for corpus in np.unique(corpora):
        other = corpora != corpus
        known, exponent = fit_growing_temperature(logits[other], truth[other], novelty[other])
        temperature = known * temperature_scale(novelty[~other], exponent)
        probabilities[~other] = (logits[~other] / temperature[:, None]).softmax(dim=1)
    return {
        kind: ([clip for clip, k in zip(clips, kinds, strict=True) if k == kind], found)
        for kind, found in ((kind, probabilities[kinds == kind]) for kind in np.unique(kinds))
    }


def print_row(name: str, clips: list[SpeechClip], probabilities: Tensor) -> float:
    """Print the scores of some clips as a line of the table; returns the UAR."""
    shares = probabilities.numpy()
    truth = np.array([clip.emotion for clip in clips])
    speakers = [speaker_of(clip) for clip in clips]
    guesses = shares.argmax(axis=1).tolist()
    found = scores(truth.tolist(), guesses)
    low, high = bootstrap_intervals(truth.tolist(), guesses, speakers)["uar"]
    print(
        f"| {name} | {len(truth)} | {len(set(speakers))} | {len(np.unique(truth))} "
        f"| {found['uar']:.3f} | [{low:.3f}, {high:.3f}] | {found['accuracy']:.3f} "
        f"| {shares.max(axis=1).mean():.3f} | {calibration_error(truth, shares):.3f} |",
        flush=True,
    )
    return found["uar"]


def print_kind(kind: str, prefix: str, clips: list[SpeechClip], probabilities: Tensor) -> None:
    """Print a line for each corpus, one for all together, and the mean over the corpora."""
    corpora = np.array([clip.corpus for clip in clips])
    found = []
    for corpus in np.unique(corpora):
        rows = np.flatnonzero(corpora == corpus)
        some = [clips[row] for row in rows]
        found.append(print_row(f"{prefix}{corpus}", some, probabilities[rows]))
    print_row(f"{kind}, all", clips, probabilities)
    print(f"| {kind}, mean | | | | {np.mean(found):.3f} | | | | |")


def main(data: Path, work: Path) -> None:
    """Print the table: new speakers, then new corpora."""
    job = Job(data, work, load_recipe(), load_config(EMBEDDED_PRESET))
    train, validation = (load_speech(job, part) for part in ("train", "validation"))
    left_out = cross_validate(job, train, validation)
    for name, count in OTHERS.items():
        by_kind = calibrated(left_out, count)
        print(f"\nEach clip {name}:\n\n{HEADER}")
        print_kind("speakers", "speakers of ", *by_kind["speakers"])
        print_kind("corpora", "", *by_kind["corpus"])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
