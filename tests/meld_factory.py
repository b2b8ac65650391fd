"""Builds a small MELD release with real media, in every layout and with every known fault."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from media_factory import tone, truncate, write_media

LAYOUTS = {
    "official": {
        "train": ("train_sent_emo.csv", "train_splits"),
        "dev": ("dev_sent_emo.csv", "dev_splits_complete"),
        "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
    },
    "archives": {
        "train": ("MELD.Raw/train/train_sent_emo.csv", "MELD.Raw/train/train_splits"),
        "dev": ("MELD.Raw/dev_sent_emo.csv", "MELD.Raw/dev/dev_splits_complete"),
        "test": ("MELD.Raw/test_sent_emo.csv", "MELD.Raw/test/output_repeated_splits_test"),
    },
    "paper": {
        split: (f"{split}_sent_emo.csv", f"{split}/videos") for split in ("train", "dev", "test")
    },
    "paper_tables_in_splits": {
        split: (f"{split}/{split}_sent_emo.csv", f"{split}/videos")
        for split in ("train", "dev", "test")
    },
}
"""Per layout and split: where the table lies, and the folder of the clips."""

HEADER = (
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
)


@dataclass(frozen=True)
class Row:
    """One row of a table; the times are seconds of the episode, or text to be taken as it is."""

    dialogue: int
    utterance: int
    text: str
    speaker: str = "Joey"
    emotion: str = "neutral"
    episode: int = 1
    start: float | str = 0.0
    end: float | str = 1.0
    sentiment: str = "neutral"

    def cells(self) -> list[object]:
        times = [_clock(self.start), _clock(self.end)]
        ids = [self.dialogue, self.utterance]
        return [
            1,
            self.text,
            self.speaker,
            self.emotion,
            self.sentiment,
            *ids,
            3,
            self.episode,
            *times,
        ]


def write_table(path: Path, rows: Iterable[Row], header: Iterable[str] = HEADER) -> Path:
    """Write a `*_sent_emo.csv` as the release has it: UTF-8, quotes where they are needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(row.cells() for row in rows)
    return path


def write_clip(path: Path, seconds: float = 1.0) -> Path:
    """Write a clip as in the release: H.264 at 25 frames a second, 48 kHz AAC in 5.1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_clip(seconds))
    return path


def small_meld(root: Path, layout: str = "official") -> Path:
    """Write three splits without a fault, of two dialogues of two turns; clips last one second."""
    for number, (split, (table, clips)) in enumerate(LAYOUTS[layout].items()):
        rows = [
            Row(0, 0, "You bought a new sofa?", "Monica", "surprise", 3 * number, 0, 1),
            Row(0, 1, "I am sitting on it!", "Joey", "joy", 3 * number, 1, 2),
            Row(1, 0, "Where is my sandwich?", "Ross", "anger", 3 * number + 1, 5, 6),
            Row(1, 1, "I do not know.", "Rachel", "neutral", 3 * number + 1, 6, 7),
        ]
        write_table(root / table, [_in_split(row, split) for row in rows])
        for row in rows:
            write_clip(root / clips / f"dia{row.dialogue}_utt{row.utterance}.mp4")
    return root


def faulty_meld(root: Path, layout: str = "official") -> Path:
    """Write a release with every fault in `FAULTS` and no other."""
    for split, (table, folder) in LAYOUTS[layout].items():
        write_table(root / table, _ROWS[split])
        for row in _ROWS[split]:
            name = f"dia{row.dialogue}_utt{row.utterance}.mp4"
            if (split, name) not in _ABSENT:
                write_clip(root / folder / name, _SECONDS.get((split, name), 1.0))
    train, dev, test = (root / folder for _, folder in LAYOUTS[layout].values())
    truncate(train / "dia125_utt3.mp4", 0.5)
    write_media(train / "dia6_utt0.mp4", picture_times=[0.04 * i for i in range(25)])
    write_media(train / "dia6_utt1.mp4", sound=tone(1.0))
    write_clip(dev / "dia49_utt4.mp4")
    (dev / "._dia0_utt0.mp4").write_bytes(bytes(4096))
    (dev / "dia50_utt0.mp4").write_bytes(bytes(999))
    write_clip(dev / "trailer.mp4")
    write_clip(dev / "copy" / "dia0_utt0.mp4")
    write_clip(test / "final_videos_testdia0_utt0.mp4", 2.0)
    return root


_ROWS = {
    "train": [
        # Both time formats, and an id that is not there.
        Row(0, 0, "The cat ate all of the cheese.", start="00:00:10,000", end="00:00:11,000"),
        Row(0, 2, "It liked that.", "Ross", start="0:00:11,240", end="0:00:12,24"),
        # cp1252 read as Latin-1.
        Row(1, 0, "You\x92re late \x85 again\xa0now\x97really", start=20, end=21),
        Row(1, 1, "[laughs]", "Phoebe", start=21, end=22),
        Row(2, 0, "We are here together.", "Joey and Chandler", start=30, end=31),
        # Dialogue 3 is not there. Times that run back and times that overlap.
        Row(4, 0, "First things first.", start=45, end=46),
        Row(4, 1, "Then the second.", "Ross", start=44, end=45.5),
        Row(4, 2, "And the third.", "Ross", start=45, end=46),
        Row(5, 0, "No time at all.", start=50, end=50),
        Row(5, 1, "Oh.", "Ross", start=51, end=51.083),
        Row(5, 2, "A very long speech.", start=52, end=83),
        Row(5, 3, "Badly measured.", start=84, end=94),
        Row(6, 0, "Nothing to hear.", start=100, end=101),
        Row(6, 1, "Nothing to see.", start=101, end=102),
        # The same stretch twice with two labels.
        Row(7, 0, "What a day!", emotion="joy", start=110, end=111),
        Row(7, 1, "Indeed.", "Ross", start=111, end=112),
        Row(8, 0, "What a day, really!", emotion="anger", start=110, end=111.1),
        Row(8, 1, "Go away.", "Ross", start=113, end=114),
        # The same stretch as dev dia0_utt0, and the same words as test dia1 at other times.
        Row(9, 0, "Hi!", "Richard", start=200, end=201),
        Row(9, 1, "See you.", start=201, end=202),
        Row(10, 0, "How are you doing?", start=300, end=301),
        Row(10, 1, "Fine, thank you.", "Ross", start=301, end=302),
        # A long stretch around dev dia0_utt1.
        Row(11, 0, "On and on.", start=209.5, end=213),
        Row(11, 1, "And on.", "Ross", start=213, end=214),
        # Greetings are repeated by chance, here and in dev dia1.
        Row(12, 0, "Hey!", start=400, end=401),
        Row(12, 1, "Hey!", "Ross", start=401, end=402),
        Row(125, 3, "This file is broken.", start=500, end=501),
        Row(125, 4, "This one is not.", start=501, end=502),
    ],
    "dev": [
        Row(0, 0, "Come on in.", "Waitress", "joy", start=200.04, end=201.04),
        Row(0, 1, "Thanks.", start=210, end=211),
        Row(1, 0, "Hey!", start=600, end=601),
        Row(1, 1, "Hey!", "Ross", start=601, end=602),
        Row(110, 6, "Still here.", start=700, end=701),
        Row(110, 7, "This one is absent.", start=701, end=702.5),
    ],
    "test": [
        Row(0, 0, "There are two cuts of this.", start=800, end=801),
        Row(0, 1, "Which one?", "Ross", start=801, end=802),
        Row(1, 0, "How are you doing?", start=900, end=901),
        Row(1, 1, "Fine\u2026 thank you", "Ross", start=901, end=902),
    ],
}
_ABSENT = {("dev", "dia110_utt7.mp4")}
_SECONDS = {
    ("train", "dia5_utt1.mp4"): 0.08,
    ("train", "dia5_utt2.mp4"): 31.0,
    ("train", "dia11_utt0.mp4"): 3.5,
}

FAULTS = {
    "missing": {"dev dia110_utt7"},
    "undecodable": {"train dia125_utt3"},
    "no_sound": {"train dia6_utt0"},
    "no_pictures": {"train dia6_utt1"},
    "unannotated": {"dev dia49_utt4"},
    "final_video": {"test final_videos_testdia0_utt0.mp4"},
    "extra_file": {"dev copy/dia0_utt0.mp4"},
    "junk_file": {"dev ._dia0_utt0.mp4", "dev dia50_utt0.mp4", "dev trailer.mp4"},
    "too_short": {"train dia5_utt1"},
    "too_long": {"train dia5_utt2"},
    "duration_mismatch": {"train dia5_utt3"},
    "zero_duration": {"train dia5_utt0"},
    "text_repaired": {"train dia1_utt0"},
    "no_words": {"train dia1_utt1"},
    "id_gap": {
        *("train dia0_utt2", "train dia4", "train dia125", "train dia125_utt3"),
        *("dev dia110", "dev dia110_utt6"),
    },
    "out_of_order": {"train dia4_utt1"},
    "overlap": {"train dia4_utt2"},
    "single_turn": {"train dia2_utt0"},
    "joint_speakers": {"train dia2_utt0"},
    "leak": {
        *("train dia9_utt0", "dev dia0_utt0"),
        *("train dia10_utt0", "test dia1_utt0", "train dia10_utt1", "test dia1_utt1"),
    },
    "duplicate": {"train dia7_utt0", "train dia8_utt0"},
    "label_conflict": {"train dia7_utt0", "train dia8_utt0", "train dia9_utt0", "dev dia0_utt0"},
    "shared_footage": {"train dia11_utt0", "dev dia0_utt1"},
}
"""What is wrong in `faulty_meld`, by kind; files go by their name below the folder of clips."""


def _in_split(row: Row, split: str) -> Row:
    """Words that no other split has, so that nothing leaks."""
    return Row(**{**vars(row), "text": f"{row.text} {split.title()} {row.dialogue}."})


def _clock(time: float | str) -> str:
    if isinstance(time, str):
        return time
    minutes, seconds = divmod(time, 60)
    return f"00:{int(minutes):02d}:{seconds:06.3f}".replace(".", ",")


@cache
def _clip(seconds: float) -> bytes:
    if seconds > 30:  # quick to make: a picture a second, sound in mono
        pictures, sound, rate, layout = range(round(seconds)), tone(seconds), 16_000, "mono"
    else:
        pictures = [0.04 * number for number in range(round(seconds * 25))]
        sound, rate, layout = np.stack([tone(seconds, rate=48_000)] * 6), 48_000, "5.1"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_media(path, picture_times=pictures, sound=sound, rate=rate, layout=layout)
        return path.read_bytes()
