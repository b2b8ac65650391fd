"""How speech is judged of a corpus that nothing was trained on: each of five left out in turn.

    python scripts/leave_one_corpus_out.py DATA WORK

The branch of sound is trained as by `avt-memocmt make-weights`, on the other corpora alone, which
also choose its epoch; then it judges every clip of the one left out. DATA is what that command
reads. WORK is its work folder: the encoded clips are taken from there, or made; what is trained
goes to WORK/left_out, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import numpy as np

from avt_memocmt.config import EMBEDDED_PRESET, load_config
from avt_memocmt.data.corpora import Part
from avt_memocmt.intervals import bootstrap_intervals
from avt_memocmt.metrics import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import token_shapes
from avt_memocmt.training.branches import Branch, set_layer_statistics, speech_plan, warm_up
from avt_memocmt.training.fusion_data import SpeechPart, load_speech, speech_example
from avt_memocmt.training.loop import seed_everything


def rows_of(part: SpeechPart, corpus: str, inside: bool) -> list[int]:
    """Clips of a part that are from a corpus, or those that are not."""
    return [row for row, clip in enumerate(part.clips) if (clip.corpus == corpus) == inside]


def main(data: Path, work: Path, seed: int = 0) -> None:
    """Print a row for each corpus."""
    config = load_config(EMBEDDED_PRESET)
    parts = {part: load_speech(data, part, config, work) for part in get_args(Part)}
    train, select = parts["train"], parts["select"]
    print("| corpus left out | clips | speakers | emotions | UAR | 95 % over speakers |")
    print("|---|---|---|---|---|---|")
    measured = []
    for corpus in sorted({clip.corpus for clip in train.clips}):
        seed_everything(seed)
        model = AvtMemoCmt(token_shapes(config), config.model)
        kept = np.array(rows_of(train, corpus, inside=False))
        set_layer_statistics(model, train, kept)
        choosing = [speech_example(select, r, 0, False) for r in rows_of(select, corpus, False)]
        warm_up(model, speech_plan(train, kept, choosing, seed), work / "left_out" / corpus)
        examples, speakers, truth = [], [], []
        for part in parts.values():
            for row in rows_of(part, corpus, inside=True):
                examples.append(speech_example(part, row, 0, False))
                speakers.append(part.clips[row].speaker)
                truth.append(part.clips[row].emotion)
        guesses = Branch(model, "audio").eval().judge(examples)
        measured.append(scores(truth, guesses)["uar"])
        low, high = bootstrap_intervals(truth, guesses, speakers)["uar"]
        print(
            f"| {corpus} | {len(truth)} | {len(set(speakers))} | {len(set(truth))} "
            f"| {measured[-1]:.3f} | [{low:.3f}, {high:.3f}] |",
            flush=True,
        )
    print(f"| mean | | | | {np.mean(measured):.3f} | |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
