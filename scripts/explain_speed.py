"""How many times as long explanations take as the prediction that they explain.

    python scripts/explain_speed.py CLIP "the words of the clip" [REPEATS]

CLIP is a film of about 3 s with a face and speech. Prints medians over the repeats (5 unless
given), after one pass that loads and warms up everything. The checks of the explanations are not
asked for.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch

from avt_memocmt import EmotionRecognizer
from avt_memocmt.preprocessing.transcripts import load_transcript


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of a call, in seconds, after one warm-up."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main(clip: str, words: str, repeats: int) -> None:
    """Print the two times and their ratio."""
    recognizer = EmotionRecognizer.from_pretrained("embedded")
    cues = load_transcript(words)
    predicting = median_seconds(lambda: recognizer.predict(clip, cues), repeats)
    explaining = median_seconds(lambda: recognizer.explain(clip, cues), repeats)
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")
    print(f"predict {predicting:.2f} s, explain {explaining:.2f} s (the prediction included)")
    print(f"explanations alone: {(explaining - predicting) / predicting:.1f} times the prediction")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 5)
