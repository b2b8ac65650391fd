"""Makes dialogues of acted clips, to measure who is found to speak when.

    python scripts/make_dialogues.py DATA OUT [--rounds 1] [--seed 0]
    avt-memocmt evaluate-speakers OUT/*.wav --reference OUT/reference.rttm --uem OUT/reference.uem

DATA holds ravdess/ and speech/. For each of RAVDESS, EMOVO, nEMO and ASED, and each round, OUT gets
dialogues of 2 to 4 actors, of both sexes and of one, once with clips of all emotions and once with
neutral and calm ones alone: one WAV each, all turns in reference.rttm. Who speaks, which clips, the
pauses and the overlaps are drawn with the seed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import RAVDESS_CODES
from avt_memocmt.files import write_text_atomically
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio, save_wav, trim_silence
from avt_memocmt.speakers.rttm import NamedTurn, rttm_text

CORPORA = ("ravdess", "emovo", "nemo", "ased")
CASTS = ((2, "mixed"), (2, "same"), (3, "mixed"), (3, "same"), (4, "mixed"))
"""How many speak, and whether they are of one sex."""
TURNS = 16
"""Turns of a dialogue, each of one to three clips."""
PAUSES = (0.1, 0.8)
"""Seconds from one clip to the next."""
OVERLAPPING = 0.1
"""Share of turns that begin before the one before them has ended."""
OVERLAPS = (0.2, 0.6)
"""Seconds of an overlap."""
SILENT_DB = 30.0
"""Level below the loudest 20 ms of a clip at which its silence before and after is cut off."""


@dataclass(frozen=True)
class Clip:
    """One acted sentence."""

    path: Path
    speaker: str
    sex: str
    is_calm: bool


def clips_of(data: Path, corpus: str) -> list[Clip]:
    """All clips of one corpus."""
    if corpus == "ravdess":
        return [_ravdess_clip(path) for path in sorted((data / "ravdess").glob("*.flac"))]
    folder = data / "speech" / corpus
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        return [
            Clip(
                folder / row["path"],
                row["speaker"],
                row["gender"] or Path(row["path"]).stem.split("-")[3],
                row["emotion7"] == "neutral",
            )
            for row in csv.DictReader(file, delimiter="\t")
        ]


def _ravdess_clip(path: Path) -> Clip:
    fields = path.stem.split("-")
    # Actors with odd numbers are men.
    sex = "F" if int(fields[6]) % 2 == 0 else "M"
    return Clip(path, fields[6], sex, RAVDESS_CODES[fields[2]] == "neutral")


def cast(clips: Sequence[Clip], count: int, kind: str, random: np.random.Generator) -> list[str]:
    """Draw speakers: of one sex, or of both in turn."""
    people = {
        sex: list(random.permutation(sorted({c.speaker for c in clips if c.sex == sex})))
        for sex in sorted({clip.sex for clip in clips})
    }
    if kind == "same":
        sex = str(random.choice([sex for sex in people if len(people[sex]) >= count]))
        return people[sex][:count]
    sexes = cycle(random.permutation(list(people)))
    return [people[next(sexes)].pop() for _ in range(count)]


def make_dialogue(
    clips: Sequence[Clip], speakers: Sequence[str], random: np.random.Generator
) -> tuple[NDArray[np.float32], list[NamedTurn]]:
    """Sound float32 [n], and its turns in order of time."""
    decks = {name: _Deck([c for c in clips if c.speaker == name], random) for name in speakers}
    placed: list[tuple[float, NDArray[np.float32], int]] = []
    now, last = float(random.uniform(*PAUSES)), -1
    for _ in range(TURNS):
        speaker = int(random.choice([n for n in range(len(speakers)) if n != last]))
        if last >= 0 and random.random() < OVERLAPPING:
            now -= PAUSES[0] + float(random.uniform(*OVERLAPS))
        for _ in range(int(random.integers(1, 4))):
            sound = decks[speakers[speaker]].draw()
            placed.append((now, sound, speaker))
            now += len(sound) / SAMPLE_RATE + float(random.uniform(*PAUSES))
        last = speaker
    turns = [
        NamedTurn(start, start + len(sound) / SAMPLE_RATE, speakers[speaker])
        for start, sound, speaker in placed
    ]
    return _mix([(start, sound) for start, sound, _ in placed]), turns


class _Deck:
    """Draws the clips of one speaker, none again before all were drawn."""

    def __init__(self, clips: Sequence[Clip], random: np.random.Generator) -> None:
        self._clips, self._random, self._left = clips, random, list[int]()

    def draw(self) -> NDArray[np.float32]:
        """The speech of the next clip."""
        if not self._left:
            self._left = list(self._random.permutation(len(self._clips)))
        return trim_silence(load_audio(self._clips[self._left.pop()].path), SILENT_DB)[0]


def _mix(placed: Sequence[tuple[float, NDArray[np.float32]]]) -> NDArray[np.float32]:
    ends = [round(start * SAMPLE_RATE) + len(sound) for start, sound in placed]
    mixed = np.zeros(max(ends) + round(PAUSES[1] * SAMPLE_RATE), np.float32)
    for end, (_, sound) in zip(ends, placed, strict=True):
        mixed[end - len(sound) : end] += sound
    return mixed


def main() -> None:
    """Write the dialogues and their reference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(options.seed)
    reference, spans = "", []
    for corpus in CORPORA:
        clips = clips_of(options.data, corpus)
        for style in ("calm", "emotional"):
            chosen = [clip for clip in clips if clip.is_calm or style == "emotional"]
            for number in range(options.rounds):
                for count, kind in CASTS:
                    name = f"{corpus}-{style}-{count}-{kind}-{number}"
                    speakers = cast(chosen, count, kind, random)
                    sound, turns = make_dialogue(chosen, speakers, random)
                    save_wav(options.out / f"{name}.wav", sound)
                    reference += rttm_text(name, turns)
                    spans.append(f"{name} 1 0.000 {len(sound) / SAMPLE_RATE:.3f}")
    write_text_atomically(options.out / "reference.rttm", reference)
    write_text_atomically(options.out / "reference.uem", "\n".join(spans) + "\n")


if __name__ == "__main__":
    main()
