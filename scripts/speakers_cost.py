"""Measures what telling speakers and their faces apart adds to the time of `predict`.

    python scripts/speakers_cost.py FILM...

Each film is read with neither, with voices, with faces and with both, five times in turns, after
one reading that loads everything. Prints the median time as a share of the film's length: by the
wall clock, which needs a machine that does nothing else, and by the time that processors worked.
With OMP_NUM_THREADS=1 the latter counts no waiting of threads for one another.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from avt_memocmt import EmotionRecognizer

if TYPE_CHECKING:
    from avt_memocmt.inference.which_faces import WhichFaces

ROUNDS = 5
WAYS: dict[str, tuple[str, WhichFaces]] = {
    "neither": ("off", "largest"),
    "voices": ("auto", "largest"),
    "faces": ("off", "speaking"),
    "both": ("auto", "speaking"),
}
"""Settings of `--speakers` and `--faces`."""
CLOCKS = {"wall": time.perf_counter, "processors": time.process_time}


def main() -> None:
    """Print a row for each film."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="+")
    recognizer = EmotionRecognizer.from_pretrained("embedded")
    print("| film | clock |", " | ".join(WAYS), "|")
    print("|---" * (len(WAYS) + 2) + "|")
    for film in parser.parse_args().films:
        length = recognizer.predict(film).duration
        seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            for name, (speakers, faces) in WAYS.items():
                began = {clock: now() for clock, now in CLOCKS.items()}
                recognizer.predict(film, speakers=speakers, faces=faces)
                for clock, now in CLOCKS.items():
                    seconds[clock, name].append(now() - began[clock])
        for clock in CLOCKS:
            shares = {name: statistics.median(seconds[clock, name]) / length for name in WAYS}
            added = shares["both"] - shares["neither"]
            row = " | ".join(f"{share:.3f}" for share in shares.values())
            print(f"| {film}, {length:.0f} s | {clock} | {row} (+{added:.3f}) |")


if __name__ == "__main__":
    main()
