"""Stands in for what the paper's system needs and cannot be had: its encoders and MELD's clips.

The encoders have their real sizes and random weights; the clips are cut from any film. Lengths,
words and turns are distributed as in MELD's train split.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
from enlarge_clips import HEIGHT, WIDTH, framed

from avt_memocmt.bench.clips import read_clips, repeat_film
from avt_memocmt.bench.paper import PaperNetwork
from avt_memocmt.data.feature_store import FeatureRow
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, dialogue_of_rows
from avt_memocmt.emotions import EMOTIONS

TURNS = (70, 60, 54, 48, 67, 61, 74, 67, 50, 57, 55, 54, 36, 41, 43, 51, 30, 28, 27, 20, 20, 13)
TURNS += (7, 5)
"""Dialogues of MELD's train split that have 1, 2, ... 24 turns: 1,038 with 9,989 utterances."""
TRAIN, DEV = 9989, 1109
"""Utterances of MELD's splits."""
SHARES = (0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 0.99, 1)
SECONDS = (0.1, 0.67, 1.19, 1.55, 1.92, 2.25, 2.67, 3.17, 3.92, 5.25, 7.92, 11.77, 20)
"""Quantiles of the lengths of its utterances at `SHARES`, s; no more than 20 s are encoded."""
WORDS = (1, 2, 3, 5, 7, 9, 11, 13, 16, 21, 28, 35, 93)
"""The same of words and punctuation marks. Long utterances are taken to have many words."""
TURNS_OF_A_DIALOGUE = 3
"""Of the clips that are cut; the last dialogue of a split may have fewer."""
SAID = """it was the best of times , it was the worst of times , it was the age of wisdom , it was
the age of foolishness , it was the epoch of belief , it was the epoch of incredulity"""
"""What is said in the clips, over and over."""
SPEAKERS = ("Jerry", "Lucie")
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete"}
COLUMNS = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
COLUMNS += ("Season", "Episode", "StartTime", "EndTime")


def save_encoders(folder: Path) -> None:
    """Write HuBERT-base, ResNet-50 and BERT-base with random weights, as `--encoders` takes them.

    The tokenizer knows the words of `SAID` alone; the table of word pieces has its full size.
    """
    from tokenizers import BertWordPieceTokenizer
    from transformers import PreTrainedTokenizerFast, Wav2Vec2FeatureExtractor
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
    from transformers.utils import logging

    logging.disable_progress_bar()
    network = PaperNetwork("sdpa")
    network.audio.save_pretrained(folder / "audio")
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / "audio")
    network.visual.save_pretrained(folder / "visual")
    ConvNextImageProcessorPil(size={"shortest_edge": 224}).save_pretrained(folder / "visual")
    network.text.save_pretrained(folder / "text")
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    pieces = dict.fromkeys([*special.values(), "[MASK]", *SAID.split()])
    words = BertWordPieceTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    PreTrainedTokenizerFast(
        tokenizer_object=words._tokenizer, mask_token="[MASK]", **special
    ).save_pretrained(folder / "text")


def clip_shapes(count: int) -> list[tuple[float, int]]:
    """Seconds and words of so many clips, which stand for equal shares of MELD's, in mixed order.

    Their mean is that of MELD's train split, about: 3.1 s and 11.6 words and marks.
    """
    shares = (np.random.default_rng(0).permutation(count) + 0.5) / count
    seconds, words = (np.interp(shares, SHARES, values) for values in (SECONDS, WORDS))
    return [(float(s), round(float(w))) for s, w in zip(seconds, words, strict=True)]


def write_corpus(film: Path, count: int, folder: Path) -> None:
    """Cut clips from a film and lay them out as MELD, three quarters in train, the rest in dev.

    Args:
        film: of any length, with sound; it is repeated where it is too short.
        count: of the clips, at least 2.
        folder: receives what the MELD release has.

    Raises:
        AvtError: the film cannot be read, or has no sound or no pictures.
    """
    (source,) = read_clips([film])
    folder.mkdir(parents=True, exist_ok=True)
    shapes = clip_shapes(count)
    longest = max(seconds for seconds, _ in shapes)
    # Two films, because the longest clip may begin at the end of the first.
    whole = repeat_film(source, source.seconds + 2 * longest, folder / "film.mkv")
    first_of_dev = min(count - 1, round(0.75 * count))
    for split, numbers in {
        "train": range(first_of_dev),
        "dev": range(first_of_dev, count),
    }.items():
        rows = []
        for place, number in enumerate(numbers):
            seconds, words = shapes[number]
            dialogue, turn = divmod(place, TURNS_OF_A_DIALOGUE)
            start = source.seconds * number / count
            target = folder / FOLDERS[split] / f"dia{dialogue}_utt{turn}.mp4"
            cut(whole, start, seconds, target)
            text = " ".join(islice(cycle(SAID.split()), number, number + words))
            labels = (SPEAKERS[turn % 2], EMOTIONS[number % len(EMOTIONS)], "neutral")
            # Stretches that overlap would be reported as faults; these lie side by side.
            times = (_clock(30 * number), _clock(30 * number + seconds))
            rows.append((number, text, *labels, dialogue, turn, 1, 1, *times))
        with (folder / f"{split}_sent_emo.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    whole.unlink()


def cut(film: Path, start: float, seconds: float, target: Path) -> None:
    """Write a stretch of a film as MELD has its clips: 1280 x 720, H.264 and AAC."""
    target.parent.mkdir(exist_ok=True)
    with av.open(str(film)) as source, av.open(str(target), "w") as out:
        pictures, sound = source.streams.video[0], source.streams.audio[0]
        video = out.add_stream("libx264", rate=pictures.average_rate)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=sound.rate)
        source.seek(round(start * av.time_base))
        finished, count = set(), 0
        for frame in source.decode(pictures, sound):
            if frame.time >= start + seconds:
                finished.add(type(frame))
                if len(finished) == 2:
                    break
            elif frame.time >= start and isinstance(frame, av.AudioFrame):
                frame.pts = None
                out.mux(audio.encode(frame))
            elif frame.time >= start:
                picture = av.VideoFrame.from_ndarray(framed(frame.to_ndarray(format="rgb24")))
                picture.pts, picture.time_base = count, 1 / pictures.average_rate
                count += 1
                out.mux(video.encode(picture))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def train_lengths() -> list[int]:
    """Turns of each dialogue of MELD's train split, shortest first."""
    return [turns for turns, count in enumerate(TURNS, start=1) for _ in range(count)]


def long_dialogues(
    rows: Sequence[FeatureRow], lengths: Sequence[int], split: str
) -> list[LabelledDialogue]:
    """Dialogues of so many turns, each of which repeats a random one of the rows.

    Tokens are not copied, so that a whole split takes the memory of the rows.
    """
    random = np.random.default_rng(0)
    return [
        dialogue_of_rows(
            [
                replace(
                    rows[int(random.integers(len(rows)))],
                    key=UtteranceKey(split, number, turn),
                    speaker=SPEAKERS[turn % 2],
                    emotion=int(random.integers(len(EMOTIONS))),
                )
                for turn in range(length)
            ]
        )
        for number, length in enumerate(lengths)
    ]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:06.3f}".replace(".", ",")
