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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import torch

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
BATCH_CLIPS = 64


@dataclass
class Judged:
    """Clips that were left out, with their logits."""

    clips: list[SpeechClip] = field(default_factory=list)
    logits: list[torch.Tensor] = field(default_factory=list)

    def row(self, name: str, temperature: float) -> str:
        """Their scores as a line of a table."""
        logits = torch.cat(self.logits)
        probabilities = (logits / temperature).softmax(dim=1).numpy()
        guesses = probabilities.argmax(axis=1)
        truth = np.array([clip.emotion for clip in self.clips])
        speakers = [speaker_of(clip) for clip in self.clips]
        found = scores(truth.tolist(), guesses.tolist())
        low, high = bootstrap_intervals(truth.tolist(), guesses.tolist(), speakers)["uar"]
        return (
            f"| {name} | {len(truth)} | {len(set(speakers))} | {len(set(truth.tolist()))} "
            f"| {found['uar']:.3f} | [{low:.3f}, {high:.3f}] | {found['accuracy']:.3f} "
            f"| {probabilities.max(axis=1).mean():.3f} "
            f"| {calibration_error(truth, probabilities):.3f} |"
        )


class Trial:
    """Trainings of the branch of sound that leave something out."""

    def __init__(self, data: Path, work: Path, config: Config, seed: int = 0) -> None:
        self.work, self.config, self.seed = work, config, seed
        self.parts: dict[str, SpeechPart] = {
            part: load_speech(data, part, config, work) for part in get_args(Part)
        }

    @torch.no_grad()
    def judge(
        self,
        name: str,
        left_out: Callable[[SpeechClip], bool],
        parts: Iterable[str],
    ) -> Judged:
        """Train without the clips for which `left_out` holds, and judge those of some parts.

        Args:
            name: of the trial's folder.
            left_out: what is neither trained on nor chooses the epoch.
            parts: whose clips are judged.
        """
        train, select = self.parts["train"], self.parts["select"]
        seed_everything(self.seed)
        model = AvtMemoCmt(token_shapes(self.config), self.config.model)
        kept = np.array([r for r, clip in enumerate(train.clips) if not left_out(clip)])
        set_layer_statistics(model, train, kept)
        choosing = [
            speech_example(select, r, 0, False)
            for r, clip in enumerate(select.clips)
            if not left_out(clip)
        ]
        plan = speech_plan(train, kept, choosing, self.seed)
        with torch.enable_grad():
            warm_up(model, plan, self.work / "left_out" / name)
        branch = Branch(model, "audio").eval()
        judged = Judged()
        for part in (self.parts[p] for p in parts):
            rows = [r for r, clip in enumerate(part.clips) if left_out(clip)]
            judged.clips += [part.clips[row] for row in rows]
            for first in range(0, len(rows), BATCH_CLIPS):
                some = rows[first : first + BATCH_CLIPS]
                examples = [speech_example(part, row, 0, False) for row in some]
                judged.logits.append(branch(branch.turns(examples)))
        return judged

    def fold_of(self) -> dict[str, int]:
        """A number below `FOLDS` for each speaker that is trained on, in turn within a corpus."""
        speakers = sorted({(clip.corpus, speaker_of(clip)) for clip in self.parts["train"].clips})
        corpora = [corpus for corpus, _ in speakers]
        return {
            speaker: (place - corpora.index(corpus)) % FOLDS
            for place, (corpus, speaker) in enumerate(speakers)
        }


def main(data: Path, work: Path) -> None:
    """Print one table for new speakers and one for new corpora."""
    trial = Trial(data, work, load_config(EMBEDDED_PRESET))
    shipped = load_config(checkpoint_folder("embedded") / CONFIG_FILE)
    temperature = shipped.model.temperatures.alone["audio"]
    corpora = sorted({clip.corpus for clip in trial.parts["train"].clips})
    header = (
        "clips | speakers | emotions | UAR | 95 % over speakers | accuracy | confidence "
        f"| calibration error |\n|{9 * '---|'}"
    )

    print(f"| speakers left out of | {header}", flush=True)
    fold_of = trial.fold_of()
    everyone = Judged()
    for fold in range(FOLDS):
        found = trial.judge(
            f"speakers_{fold}", lambda c, fold=fold: fold_of.get(speaker_of(c)) == fold, ("train",)
        )
        everyone.clips += found.clips
        everyone.logits += found.logits
    logits = torch.cat(everyone.logits)
    for corpus in corpora:
        rows = [r for r, clip in enumerate(everyone.clips) if clip.corpus == corpus]
        part = Judged([everyone.clips[r] for r in rows], [logits[rows]])
        print(part.row(corpus, temperature))
    print(everyone.row("all", temperature), flush=True)

    print(f"\n| corpus left out | {header}", flush=True)
    for corpus in corpora:
        found = trial.judge(corpus, lambda c, corpus=corpus: c.corpus == corpus, get_args(Part))
        print(found.row(corpus, temperature), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
