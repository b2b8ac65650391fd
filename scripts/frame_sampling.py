"""Accuracy and time of the ways to choose an utterance's pictures, as a Markdown table.

    python scripts/frame_sampling.py MANIFEST.csv [REPEATS]

The manifest has the columns path (relative to it) and emotion; every file is judged as one
utterance without words. "as the first" is the share of files that get the emotion of the first
row, and "moved" the mean of the largest change of a probability. Times are medians over files and
repeats (3 unless given) of reading and deciding, in milliseconds.
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from pathlib import Path

from avt_memocmt import EmotionRecognizer
from avt_memocmt.config import Config
from avt_memocmt.inference.results import UtterancePrediction

CHOICES: dict[str, dict[str, float]] = {
    "rate 4 a second": {},
    "rate 8 a second": {"frames_per_second": 8.0},
    "rate 2 a second": {"frames_per_second": 2.0},
    "rate 1 a second": {"frames_per_second": 1.0},
    "count 8 an utterance": {"max_frames": 8},
    "count 4 an utterance": {"max_frames": 4},
    "count 1 an utterance": {"max_frames": 1},
    "change of 3 grey levels": {"min_change": 3.0},
    "change of 6 grey levels": {"min_change": 6.0},
}


def with_choice(config: Config, choice: dict[str, float]) -> Config:
    """Return the config with other visual settings."""
    return config.model_copy(update={"visual": config.visual.model_copy(update=choice)})


def judge(recognizer: EmotionRecognizer, path: Path) -> tuple[UtterancePrediction, int, float]:
    """Return the decision, how many faces it saw, and the seconds it took."""
    began = time.perf_counter()
    utterance = recognizer.read_whole(path)
    found = recognizer.new_dialogue().read(utterance, "none")
    return found, len(utterance.faces), time.perf_counter() - began


def main(manifest: Path, repeats: int) -> None:
    """Measure every choice on every file and print the table."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = [(manifest.parent / row["path"], row["emotion"]) for row in csv.DictReader(file)]
    recognizer = EmotionRecognizer.from_pretrained("embedded")
    plain = recognizer.config
    judge(recognizer, rows[0][0])
    first: list[UtterancePrediction] = []
    print("| choice | faces | accuracy | as the first | moved | ms |")
    print("|---|---|---|---|---|---|")
    for name, choice in CHOICES.items():
        recognizer.config = with_choice(plain, choice)
        runs = [judge(recognizer, path) for _ in range(repeats) for path, _ in rows]
        found = [decision for decision, *_ in runs[: len(rows)]]
        first = first or found
        faces = statistics.mean(count for _, count, _ in runs)
        pairs = list(zip(found, first, strict=True))
        right = sum(d.likeliest == emotion for d, (_, emotion) in zip(found, rows, strict=True))
        alike = sum(a.likeliest == b.likeliest for a, b in pairs)
        moved = statistics.mean(
            max(abs(x - y) for x, y in zip(a.probabilities, b.probabilities, strict=True))
            for a, b in pairs
        )
        milliseconds = 1000 * statistics.median(seconds for *_, seconds in runs)
        print(
            f"| {name} | {faces:.1f} | {right} of {len(rows)} | {alike} of {len(rows)} "
            f"| {moved:.3f} | {milliseconds:.0f} |"
        )


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 3)
