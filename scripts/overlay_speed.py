"""How many times as fast as it plays a film gets the answer drawn on it.

    python scripts/overlay_speed.py FILM [REPEATS]

Prints medians over the repeats (3 unless given) of `write_overlay`, without and with blurred faces,
after one prediction and one pass that loads everything. The seconds of processor time, of all
threads together, tell what to expect where other programs run beside it.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from avt_memocmt import EmotionRecognizer, write_overlay


def main(film: Path, repeats: int) -> None:
    """Print the medians."""
    found = EmotionRecognizer.from_pretrained("embedded").predict(film, sampled_faces=True)
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} cores, {found.duration:.1f} s of {found.picture_size}")
    with tempfile.TemporaryDirectory() as folder:
        for blur in (False, True):
            walls, processors = [], []
            for _ in range(repeats + 1):
                wall, processor = time.perf_counter(), time.process_time()
                write_overlay(found, film, Path(folder, "out.mp4"), blur_faces=blur)
                walls.append(time.perf_counter() - wall)
                processors.append(time.process_time() - processor)
            speed = found.duration / statistics.median(walls[1:])
            busy = statistics.median(processors[1:]) / found.duration
            name = "with blurred faces" if blur else "plain"
            print(f"{name}: {speed:.1f} times real time, {busy:.2f} s of processor a second")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 3)
