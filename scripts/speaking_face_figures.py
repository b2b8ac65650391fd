"""How often the speaking face is found, on talkers that were left out.

    python scripts/speaking_face_figures.py DATA

DATA holds grid/ and real/. The reader of mouths, which learned from other pictures, is the one that
ships; what expects movements from sound and the odds are fitted anew for each pair of talkers of
GRID, without both, and for each of MELD, without this one. Scenes are made of two films: the sound
of one with the faces of both. A silent face is the end of a film, to and fro. Shares are of time:
every stretch of a length counts alike.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.mouth_shape import MouthReader
from avt_memocmt.preprocessing.speaking_face import SpeakingFaceModel
from avt_memocmt.recipe.mouth_movement import (
    Talk,
    fit,
    load_talks,
    silent_track,
    spoken_span,
    stretches,
)

LENGTHS = ("whole clip", "all speech", 1.0, 0.6, 0.3)
"""Of the sound: 3 s with silence around the speech, the speech alone, and so many seconds of it."""


def spans(talk: Talk, length: str | float) -> list[tuple[float, float]]:
    """The utterances that are tried."""
    if length == "whole clip":
        return [(0.0, talk.seconds)]
    if length == "all speech":
        return [spoken_span(talk)]
    return stretches(talk, float(length), 3)


def main(data: Path) -> None:
    """Print the table."""
    talks = load_talks(data, MouthReader())

    @cache
    def model(left_out: frozenset[str]) -> SpeakingFaceModel:
        return fit([talk for talk in talks if talk.talker not in left_out])

    found: dict[str, dict[str | float, list[bool]]] = defaultdict(lambda: defaultdict(list))
    scores: dict[str, float] = {}
    for heard in talks:
        for other in talks:
            if other.corpus != "GRID" or other.talker == heard.talker:
                continue
            pair = (heard.talker, other.talker) if heard.corpus == "GRID" else (heard.talker,)
            judge = model(frozenset(pair))
            for length in LENGTHS:
                for start, end in spans(heard, length):
                    sound = heard.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
                    times, shapes = silent_track(other, end - start)
                    tracks = [heard.track, other.track, (times + start, shapes)]
                    own, rival, silent = judge.scores(sound, start, tracks)
                    cases = {
                        "its own face is not called silent": own > 0,
                        "both talk, one is heard: right face": own > rival,
                        "voice off screen, a face says something else: nobody": rival <= 0,
                    }
                    if other.ends_silent:
                        cases |= {
                            "one heard, the other silent: right face": own > max(silent, 0),
                            "voice off screen, a silent face is seen: nobody": silent <= 0,
                        }
                    if length == "all speech":
                        scores[heard.name] = own
                    for case, right in cases.items():
                        found[f"{heard.corpus}: {case}"][length].append(right)
    print("| case |", " | ".join(map(str, LENGTHS)), f"|\n|{(len(LENGTHS) + 1) * '---|'}")
    for case, by_length in found.items():
        shares = [f"{np.mean(by_length[length]):.3f}" for length in LENGTHS]
        print(f"| {case} | {' | '.join(shares)} |")
    print("\nLog-odds of each film's own face, for all its speech:")
    print(", ".join(f"{name} {score:.1f}" for name, score in scores.items()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
