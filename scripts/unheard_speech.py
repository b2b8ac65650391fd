"""How speech is judged that nothing was trained on: of new speakers, and of new corpora.

    python scripts/unheard_speech.py DATA WORK

The branch of sound is trained as by `avt-memocmt make-weights`, without a fifth of the speakers of
each corpus (five times) and without one corpus (once for each); then it judges every clip that was
left out. Its confidence is that of the shipped weights: divided by their temperature for what sound
shows alone. DATA is what that command reads. WORK is its work folder: the encoded clips are taken
from there, or made; what is trained goes to WORK/left_out, and a run that was stopped goes on from
there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.calibration import calibration_error
from avt_memocmt.config import EMBEDDED_PRESET, Config, load_config
from avt_memocmt.data.corpora import Part, SpeechClip
from avt_memocmt.intervals import bootstrap_intervals
from avt_memocmt.metrics import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import CONFIG_FILE, checkpoint_folder, token_shapes
from avt_memocmt.training.branches import (
    Branch,
    set_layer_statistics,
    speaker_of,
    speech_plan,
    warm_up,
)
from avt_memocmt.training.fusion_data import SpeechPart, load_speech, speech_example
from avt_memocmt.training.loop import seed_everything

FOLDS = 5
HEADER = (
    "| left out | clips | speakers | emotions | UAR | 95 % over speakers | accuracy | confidence "
    f"| calibration error |\n|{9 * '---|'}"
)


def judge_left_out(
    parts: dict[Part, SpeechPart],
    config: Config,
    folder: Path,
    left_out: Callable[[SpeechClip], bool],
    seed: int = 0,
) -> tuple[list[SpeechClip], Tensor]:
    """Train the branch of sound without some clips, and judge those.

    Args:
        parts: all clips.
        config: of the model.
        folder: receives the log and the resumable state.
        left_out: what is neither trained on nor chooses the epoch.
        seed: of every random choice.

    Returns:
        The clips, and their logits [clips, 7].
    """
    train, select = parts["train"], parts["select"]
    seed_everything(seed)
    model = AvtMemoCmt(token_shapes(config), config.model)
    kept = np.array([r for r, clip in enumerate(train.clips) if not left_out(clip)])
    set_layer_statistics(model, train, kept)
    choosing = [
        speech_example(select, r, 0, False)
        for r, clip in enumerate(select.clips)
        if not left_out(clip)
    ]
    warm_up(model, speech_plan(train, kept, choosing, seed), folder)
    held = [
        (part, r) for part in parts.values() for r, clip in enumerate(part.clips) if left_out(clip)
    ]
    examples = [speech_example(part, row, 0, False) for part, row in held]
    return [part.clips[row] for part, row in held], Branch(model, "audio").eval().logits(examples)


def fold_of_speakers(clips: Sequence[SpeechClip]) -> dict[str, int]:
    """A number below `FOLDS` for each speaker, in turn within a corpus."""
    speakers = sorted({(clip.corpus, speaker_of(clip)) for clip in clips})
    corpora = [corpus for corpus, _ in speakers]
    return {
        speaker: (place - corpora.index(corpus)) % FOLDS
        for place, (corpus, speaker) in enumerate(speakers)
    }


def print_row(name: str, clips: Sequence[SpeechClip], probabilities: Tensor) -> float:
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


def main(data: Path, work: Path) -> None:
    """Print the table: new speakers by corpus and together, then new corpora and their mean."""
    config = load_config(EMBEDDED_PRESET)
    shipped = load_config(checkpoint_folder("embedded") / CONFIG_FILE)
    temperature = shipped.model.temperatures.alone["audio"]
    parts: dict[Part, SpeechPart] = {
        part: load_speech(data, part, config, work) for part in get_args(Part)
    }
    corpora = sorted({clip.corpus for clip in parts["train"].clips})

    def judge(name: str, left_out: Callable[[SpeechClip], bool]) -> tuple[list[SpeechClip], Tensor]:
        clips, logits = judge_left_out(parts, config, work / "left_out" / name, left_out)
        return clips, (logits / temperature).softmax(dim=1)

    fold_of = fold_of_speakers(parts["train"].clips)
    folds = [
        judge(f"speakers_{fold}", lambda c, fold=fold: fold_of.get(speaker_of(c)) == fold)
        for fold in range(FOLDS)
    ]
    clips = [clip for some, _ in folds for clip in some]
    probabilities = torch.cat([found for _, found in folds])
    print(HEADER)
    for corpus in corpora:
        rows = [r for r, clip in enumerate(clips) if clip.corpus == corpus]
        print_row(f"speakers of {corpus}", [clips[r] for r in rows], probabilities[rows])
    print_row("speakers, all", clips, probabilities)
    measured = [
        print_row(corpus, *judge(corpus, lambda c, corpus=corpus: c.corpus == corpus))
        for corpus in corpora
    ]
    print(f"| corpora, mean | | | | {np.mean(measured):.3f} | | | | |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
