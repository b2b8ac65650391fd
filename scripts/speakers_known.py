"""Measures what it is worth to know who speaks: true speakers, found ones, and none.

    python scripts/speakers_known.py DATA

Two sets. On the words of MELD's dev split, of whose sound nothing is at hand, found speakers are
made: from the true ones, with the errors that the diarisation makes on made dialogues. On the real
clips (DATA/real), the clips of a dialogue are joined in their order with a pause of half a second,
and the speakers are found in their sound. DATA holds meld/ and real/.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avt_memocmt import EmotionRecognizer
from avt_memocmt.data.corpora import meld_dialogues
from avt_memocmt.data.manifest import ManifestRow, read_manifest
from avt_memocmt.evaluation.on_manifest import evaluate_manifest
from avt_memocmt.inference.found_speakers import HeardSpeakers
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.audio_preprocess_vad import Segment
from avt_memocmt.wording import with_interval

CONFUSED, UNKNOWN = 0.12, 0.05
"""Shares of turns that get a wrong speaker, and none: see docs/speakers.md."""
PAUSE = 0.5
"""Seconds between two clips of a dialogue."""
Dialogues = Sequence[Sequence[ManifestRow]]


def meld_rows(data: Path) -> Dialogues:
    """MELD's dev split as rows of a manifest, words alone."""
    rows = [
        ManifestRow(
            *(line, None, row.text, row.emotion, str(row.key.dialogue_id), row.key.utterance_id),
            *(row.speaker, 0.0, None, {}),
        )
        for line, row in enumerate(
            (row for dialogue in meld_dialogues(data, "test") for row in dialogue), 2
        )
    ]
    dialogues: dict[str, list[ManifestRow]] = {}
    for row in rows:
        dialogues.setdefault(row.dialogue, []).append(row)
    return list(dialogues.values())


def with_errors(dialogues: Dialogues, generator: np.random.Generator) -> Dialogues:
    """The dialogues with some turns given to another of their speakers, or to nobody."""
    found = []
    for turns in dialogues:
        everyone = sorted({row.speaker or "" for row in turns})
        labels = []
        for row in turns:
            others = [name for name in everyone if name != row.speaker] or [row.speaker or ""]
            draw = generator.random()
            wrong = str(generator.choice(others))
            labels.append(wrong if draw < CONFUSED else row.speaker)
            if draw > 1 - UNKNOWN:
                labels[-1] = None
        found.append([replace(row, speaker=who) for row, who in zip(turns, labels, strict=True)])
    return found


def without(dialogues: Dialogues) -> Dialogues:
    """The dialogues with nobody named."""
    return [[replace(row, speaker=None) for row in turns] for turns in dialogues]


def heard(recognizer: EmotionRecognizer, dialogues: Dialogues) -> Dialogues:
    """The dialogues with the speakers that are found in their joined sound."""
    found = []
    for turns in dialogues:
        chunks, spans = [], []
        at = 0.0
        for row in turns:
            samples = load_audio(row.path) if row.path else np.zeros(0, np.float32)
            chunks.append(AudioChunk(at, np.append(samples, _silence())))
            spans.append(Segment(at, at + len(samples) / SAMPLE_RATE, samples, True))
            at = chunks[-1].end
        labels = HeardSpeakers(recognizer.diarizer.diarize(chunks))
        found.append(
            [
                replace(row, speaker=labels.of_caption(span))
                for row, span in zip(turns, spans, strict=True)
            ]
        )
    return found


def _silence() -> np.ndarray:
    return np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)


def print_row(recognizer: EmotionRecognizer, data: str, known: str, dialogues: Dialogues) -> None:
    """Evaluate, and print a row of the table."""
    result = evaluate_manifest(recognizer, dialogues)
    figures = result.figures()
    cells = [
        with_interval(figures[name], figures["intervals_95"][name])
        for name in ("accuracy", "weighted_f1", "uar")
    ]
    print(f"| {data} | {known} | {' | '.join(cells)} |", flush=True)


def main(data: Path) -> None:
    """Print the table."""
    recognizer = EmotionRecognizer.from_pretrained()
    print("| set | speakers | accuracy | weighted F1 | UAR |\n|---|---|---|---|---|")
    meld = meld_rows(data)
    print_row(recognizer, "MELD dev, words", "true", meld)
    for seed in range(3):
        wrong = with_errors(meld, np.random.default_rng(seed))
        print_row(recognizer, "MELD dev, words", f"made, as found (seed {seed})", wrong)
    print_row(recognizer, "MELD dev, words", "none", without(meld))
    real = read_manifest(data / "real" / "clips.csv")
    print_row(recognizer, "real clips", "true", real)
    print_row(recognizer, "real clips", "found", heard(recognizer, real))
    print_row(recognizer, "real clips", "none", without(real))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
