"""Measures what telling speakers and their faces apart adds to the time of `predict`.

    python scripts/speakers_cost.py FILM...

Each film is read with neither, with voices, with faces and with both, five times in turns, after
one reading that loads everything. Prints the median time as a share of the film's length; run it on
a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time
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


def main() -> None:
    """Print a row for each film."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="+")
    recognizer = EmotionRecognizer.from_pretrained("embedded")
    print("| film |", " | ".join(WAYS), "|")
    print("|---" * (len(WAYS) + 1) + "|")
    for film in parser.parse_args().films:
        length = recognizer.predict(film).duration
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(ROUNDS):
            for name, (speakers, faces) in WAYS.items():
                began = time.perf_counter()
                recognizer.predict(film, speakers=speakers, faces=faces)
                seconds[name].append(time.perf_counter() - began)
        shares = {name: statistics.median(taken) / length for name, taken in seconds.items()}
        added = shares["both"] - shares["neither"]
        row = " | ".join(f"{share:.3f}" for share in shares.values())
        print(f"| {film}, {length:.0f} s | {row} (+{added:.3f}) |")


if __name__ == "__main__":
    main()
