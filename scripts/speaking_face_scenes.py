"""Makes scenes of GRID talkers of which one is heard, and counts how often his face is chosen.

    python scripts/speaking_face_scenes.py DATA OUT

DATA holds grid/. OUT gets the scenes as films, `truth.csv` (where the speaker's face is, in pixels
from the left, and from when to when; empty where it is not seen), `chosen.csv` (the same of the
chosen faces) and a table on stdout. The kinds of scenes:

- silent: two talkers side by side; one is heard, the other one's mouth is at rest.
- both: two talkers side by side, both mouths talk, one is heard.
- unseen: a voice, and the face of somebody else whose mouth is at rest.
- talk: two talkers side by side who speak in turn, three times each.
- film: three talkers, close shots of the speaker and of who listens, shots of two, with cuts.

A mouth at rest is the part of a clip before its first word or after its last, whichever is longer,
played forwards and backwards. The films have captions that say who speaks, as a transcript would;
the other scenes are cut into utterances by their sound, as `predict` does it.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, permutations
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from avt_memocmt import EmotionRecognizer
from avt_memocmt.config import SegmentationConfig
from avt_memocmt.inference.hear_speakers import hear_speakers
from avt_memocmt.inference.mouths import MOUTH_RATE
from avt_memocmt.inference.speaker_settings import NO_WISHES
from avt_memocmt.inference.utterance_stream import read_utterances
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.audio_preprocess_vad import speech_segments
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.preprocessing.video_preprocess import sample_frames
from avt_memocmt.wording import markdown, percent

RATE = 25
WIDTH = 360
_NEAR_WORD = 0.12  # seconds: lips open before they are heard, and close after
_SHORTEST_REST = 3  # pictures

Pictures = NDArray[np.uint8]
"""RGB [pictures, height, width, 3]."""


@dataclass(frozen=True)
class Talker:
    """One clip: its pictures, its sound (16 kHz), and the same person at rest, if they ever are."""

    name: str
    pictures: Pictures
    sound: NDArray[np.float32]
    at_rest: Pictures | None


@dataclass(frozen=True)
class Shot:
    """Pictures and where in them the speaker's face is, in pixels from the left."""

    pictures: Pictures
    speaker: tuple[int, int] | None


def load_talker(path: Path) -> Talker:
    """Read a clip of GRID."""
    pictures = np.stack([frame.image for frame in sample_frames(path, RATE)])
    sound = load_audio(path)
    parts = [part for part in speech_segments(sound, SegmentationConfig())[0] if part.is_speech]
    first = max(0, round((parts[0].start - _NEAR_WORD) * RATE))
    last = min(len(pictures), round((parts[-1].end + _NEAR_WORD) * RATE))
    rest = max(pictures[:first], pictures[last:], key=len)
    if len(rest) < _SHORTEST_REST:
        return Talker(path.stem, pictures, sound, None)
    back_and_forth = np.concatenate([rest, rest[-2:0:-1]])
    at_rest = back_and_forth[np.arange(len(pictures)) % len(back_and_forth)]
    return Talker(path.stem, pictures, sound, at_rest)


def side_by_side(speaker: Talker, other: Pictures, on_the_left: bool) -> Shot:
    """A shot of two, the speaker on one side."""
    length = min(len(speaker.pictures), len(other))
    parts = [speaker.pictures[:length], other[:length]]
    left = 0 if on_the_left else WIDTH
    return Shot(np.concatenate(parts if on_the_left else parts[::-1], axis=2), (left, left + WIDTH))


def part(shot: Shot, start: float, end: float) -> Shot:
    """A shot between two times, in seconds."""
    return Shot(shot.pictures[round(start * RATE) : round(end * RATE)], shot.speaker)


def centred(pictures: Pictures, is_speaker: bool) -> Shot:
    """A close shot of one, as wide as one of two."""
    edge = WIDTH // 2
    wide = np.pad(pictures, ((0, 0), (0, 0), (edge, edge), (0, 0)))
    return Shot(wide, (edge, edge + WIDTH) if is_speaker else None)


def talk(one: Talker, other: Talker) -> list[tuple[Talker, list[Shot]]]:
    """What two talkers say in turn, both always seen."""
    assert one.at_rest is not None
    assert other.at_rest is not None
    first = one, [side_by_side(one, other.at_rest, True)]
    second = other, [side_by_side(other, one.at_rest, False)]
    return [first, second] * 3


def film(talkers: Sequence[Talker]) -> list[tuple[Talker, list[Shot]]]:
    """What three talkers say in turn, each utterance in three shots."""
    turns = []
    for number in range(6):
        speaker, listener = talkers[number % 3], talkers[(number + 1) % 3]
        assert listener.at_rest is not None
        both = side_by_side(speaker, listener.at_rest, number % 4 < 2)
        close = centred(speaker.pictures, True)
        reaction = centred(listener.at_rest, False)
        first, last = (both, close) if number % 2 else (close, both)
        turns.append((speaker, [part(first, 0, 1.2), part(reaction, 1.2, 1.7), part(last, 1.7, 3)]))
    return turns


def scenes(talkers: Sequence[Talker]) -> Iterator[tuple[str, list[tuple[Talker, list[Shot]]]]]:
    """All scenes by kind: who is heard, and the shots of it."""
    for number, (one, other) in enumerate(permutations(talkers, 2)):
        if number % 2:
            continue
        left = number % 4 == 0
        yield "both", [(one, [side_by_side(one, other.pictures, left)])]
        if other.at_rest is not None:
            yield "silent", [(one, [side_by_side(one, other.at_rest, left)])]
            yield "unseen", [(one, [Shot(other.at_rest, None)])]
    resting = [talker for talker in talkers if talker.at_rest is not None]
    for one, other in pairwise(resting):
        yield "talk", talk(one, other)
    for number in range(len(resting)):
        yield "film", film([resting[(number + step) % len(resting)] for step in (0, 3, 5)])


def write(path: Path, turns: Sequence[tuple[Talker, list[Shot]]]) -> list[list[object]]:
    """Write a scene and return its rows of the truth: start, end, left, right."""
    rows: list[list[object]] = []
    begun = 0.0
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
        video.height, video.width = turns[0][1][0].pictures.shape[1:3]
        video.pix_fmt = "yuv420p"
        audio = out.add_stream("aac", rate=SAMPLE_RATE)
        count = 0
        for talker, shots in turns:
            length = sum(len(shot.pictures) for shot in shots) / RATE
            sound = np.zeros(round(length * SAMPLE_RATE), np.float32)
            heard = talker.sound[: len(sound)]
            sound[: len(heard)] = heard
            chunk = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            chunk.rate = SAMPLE_RATE
            out.mux(audio.encode(chunk))
            for shot in shots:
                end = begun + len(shot.pictures) / RATE
                rows.append([begun, end, *(shot.speaker or ("", ""))])
                begun = end
                for picture in shot.pictures:
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
                    frame.pts, frame.time_base = count, Fraction(1, RATE)
                    count += 1
                    out.mux(video.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return rows


def captions(turns: Sequence[tuple[Talker, list[Shot]]]) -> list[Cue]:
    """Who speaks from when to when; what they say does not matter."""
    cues, begun = [], 0.0
    for talker, shots in turns:
        end = begun + sum(len(shot.pictures) for shot in shots) / RATE
        cues.append(Cue("so", begun, end, talker.name))
        begun = end
    return cues


def utterances(
    recognizer: EmotionRecognizer, path: Path, cues: Sequence[Cue] | None = None
) -> list[Utterance]:
    """The utterances of a film with the faces that `predict` would judge."""
    rate = recognizer.config.visual.frames_per_second
    labels = hear_speakers(
        lambda only: MediaReader(path, only=only), cues, NO_WISHES, lambda: recognizer.diarizer
    )
    with MediaReader(path, rate, between=MOUTH_RATE) as reader:
        stream = recognizer.new_stream(reader.info.has_audio, reader.info.has_video, cues, labels)
        found = read_utterances(reader, stream, lambda seconds, total: None)
        return [utterance for utterance in found if utterance.is_speech]


def rightness(utterance: Utterance, truth: Sequence[Sequence[object]]) -> float:
    """Share of the chosen faces that are the speaker's; 1 where both say that he is not seen."""
    spans = [row for row in truth if row[0] < utterance.end and row[1] > utterance.start]
    if not utterance.faces:
        return float(all(row[2] == "" for row in spans))
    right = 0
    for seen in utterance.faces:
        (row, *_) = [row for row in truth if row[0] <= seen.time + 1e-6 < row[1]] or [truth[-1]]
        right += row[2] != "" and row[2] <= seen.face.centre[0] < row[3]
    return right / len(utterance.faces)


def main(data: Path, out: Path) -> None:
    """Make the scenes, judge them, and print what was right."""
    out.mkdir(parents=True, exist_ok=True)
    talkers = [load_talker(path) for path in sorted((data / "grid").glob("*.mpg"))]
    recognizer = EmotionRecognizer.from_pretrained()
    right: dict[str, list[tuple[float, float]]] = {}
    with (out / "truth.csv").open("w") as truth_file, (out / "chosen.csv").open("w") as chosen_file:
        truth_rows, chosen_rows = csv.writer(truth_file), csv.writer(chosen_file)
        truth_rows.writerow(["scene", "start", "end", "left", "right"])
        chosen_rows.writerow(["scene", "start", "end", "face", "x", "right", "warnings"])
        for number, (kind, turns) in enumerate(scenes(talkers)):
            path = out / f"{kind}{number:03d}.mp4"
            truth = write(path, turns)
            truth_rows.writerows([path.name, *row] for row in truth)
            cues = captions(turns) if kind == "film" else None
            for utterance in utterances(recognizer, path, cues):
                share = rightness(utterance, truth)
                seconds = utterance.end - utterance.start
                right.setdefault(kind, []).append((seconds, share))
                places = [round(seen.face.centre[0]) for seen in utterance.faces]
                warned = " ".join(utterance.warnings)
                chosen_rows.writerow(
                    [
                        path.name,
                        round(utterance.start, 2),
                        round(utterance.end, 2),
                        utterance.face or "",
                        " ".join(map(str, places)),
                        round(share, 3),
                        warned,
                    ]
                )
    rows = []
    for kind, found in right.items():
        seconds, shares = np.array(found).T
        rows.append(
            [kind, f"{seconds.sum():.0f}", percent((seconds * shares).sum() / seconds.sum())]
        )
    print(markdown(["scenes", "seconds of speech", "right face"], rows))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
