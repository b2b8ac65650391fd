"""Reads labelled clips, still images or windows of recordings, each as one utterance."""

from __future__ import annotations

import math
from dataclasses import replace
from operator import le
from pathlib import Path
from typing import Literal

import numpy as np

from avt_memocmt.config import Config
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.sampled_faces import FaceRecorder
from avt_memocmt.inference.shown_faces import FaceChoice, ShownFaces
from avt_memocmt.inference.utterances import Utterance, UtteranceBuilder
from avt_memocmt.media.packets import PacketTape
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame
from avt_memocmt.preprocessing.audio_preprocess import join_chunks
from avt_memocmt.preprocessing.face_detectors import FaceDetector
from avt_memocmt.preprocessing.face_tracker import FaceTracker, crop_still

_BEYOND = 1.0
"""Seconds read beyond `audio.max_seconds`, so that a longer clip gets the warning "audio_cut"."""


def read_clip(
    path: str | Path,
    config: Config,
    detector: FaceDetector | None,
    start: float = 0.0,
    end: float | None = None,
    tape: PacketTape | None = None,
) -> Utterance:
    """Read a file, or a window of it, as one utterance, its pauses included.

    No more than `audio.max_seconds` are decoded, whatever the length of the file.

    Args:
        path: a video, audio or image file.
        config: of the checkpoint.
        detector: finds the faces; None leaves the pictures out.
        start: seconds from the start of the media.
        end: seconds, or None for the end of the media.
        tape: see `MediaReader`.

    Raises:
        AvtError: the file cannot be read, the end is not after the start, or most of the span lies
            beyond the end of the file.
    """
    stop = _stop(config, start, end)
    rate = config.visual.frames_per_second
    only = _sound_alone(path) if detector is None else None
    with MediaReader(path, rate, only=only, start=start, end=stop, tape=tape) as reader:
        if reader.info.kind == "image":
            return still_utterance(reader, detector)
        tracker = None
        if detector is not None:
            tracker = FaceTracker(detector, config.visual.face_policy, config.visual.min_face)
        utterance = _whole(reader, tracker, config, start, stop)
        warnings = [*utterance.warnings, *reader.warnings]
        if start or end is not None:
            warnings += _check_span(reader, start, math.inf if end is None else stop)
        return replace(utterance, warnings=tuple(warnings))


class ClipReader:
    """Reads clips as `read_clip` does; windows of one file that follow one another in one pass.

    They do where neither their starts nor their ends run back. It holds the file of the last clip
    open until the next one or its end.

    Args:
        config: of the checkpoint.
        detector: finds the faces; None leaves the pictures out.
    """

    def __init__(self, config: Config, detector: FaceDetector | None) -> None:
        self._config = config
        self._detector = detector
        self._tape: PacketTape | None = None
        self._last: tuple[Path, float, float] | None = None

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._release()

    def read(self, path: str | Path, start: float = 0.0, end: float | None = None) -> Utterance:
        """Read a file, or a window of it in seconds; see `read_clip`."""
        clip = Path(path), start, _stop(self._config, start, end)
        if self._tape is not None and (self._tape.is_spent or not self._follows(clip)):
            self._release()
        if self._tape is None and self._follows(clip):
            self._tape = PacketTape(path)
        self._last = clip
        return read_clip(path, self._config, self._detector, start, end, self._tape)

    def _follows(self, clip: tuple[Path, float, float]) -> bool:
        last = self._last
        return last is not None and last[0] == clip[0] and all(map(le, last[1:], clip[1:]))

    def _release(self) -> None:
        if self._tape is not None:
            self._tape.close()
            self._tape = None


def still_utterance(
    reader: MediaReader,
    detector: FaceDetector | None,
    shown: ShownFaces | None = None,
    recorder: FaceRecorder | None = None,
) -> Utterance:
    """Read the largest face of an image as an utterance of zero length.

    Args:
        reader: of the image.
        detector: finds the face; None leaves it out.
        shown: sees everybody in the image; None = nobody else is asked for.
        recorder: is given the face where `shown`, which has its own, is None.

    Raises:
        AvtError: the image cannot be decoded.
    """
    for event in reader.events():
        if isinstance(event, VideoFrame):
            face, warnings = (None, []) if detector is None else crop_still(event.image, detector)
            faces = () if face is None else (face,)
            seen = FaceChoice(faces)
            if shown is not None:
                shown.push(event)
                seen = shown.choose(0.0, 0.0, None, None)
            elif recorder is not None:
                recorder.take(event, [(face, None) for face in faces])
            return Utterance(
                0.0,
                0.0,
                None,
                faces,
                is_speech=False,
                warnings=tuple(warnings),
                face=seen.id,
                people=seen.people,
            )
    raise AvtError(f"{reader.path} holds no picture that can be decoded.")


def media_seconds(path: str | Path) -> float | None:
    """Length in seconds that a file's header states, or None.

    Raises:
        AvtError: the file cannot be opened.
    """
    with MediaReader(path) as reader:
        return reader.info.duration


def _stop(config: Config, start: float, end: float | None) -> float:
    """Up to which second a window is read."""
    return min(math.inf if end is None else end, start + config.audio.max_seconds + _BEYOND)


def _sound_alone(path: str | Path) -> Literal["audio"] | None:
    """Skip the pictures of a file with sound; those of a silent film tell its length."""
    with MediaReader(path) as reader:
        return "audio" if reader.info.has_audio else None


def _check_span(reader: MediaReader, start: float, end: float) -> list[str]:
    """Warn of a span, in seconds, that goes beyond the end of what was read; refuse most of one."""
    reached = reader.reached
    if reached <= start or (end < math.inf and reached < min(end - _BEYOND, (start + end) / 2)):
        span = f"from {start:g} s on" if end == math.inf else f"from {start:g} to {end:g} s"
        raise AvtError(
            f"{reader.path} ends at {reached:.2f} s, so the span {span} is not in it; check its "
            "times and the file."
        )
    return ["span_cut"] if end < math.inf and reached < end - _BEYOND else []


def _whole(
    reader: MediaReader, tracker: FaceTracker | None, config: Config, start: float, stop: float
) -> Utterance:
    """Put what the reader yields between two times, in seconds, into one utterance."""
    shown = None
    if reader.info.has_video and tracker is not None:
        shown = ShownFaces(tracker, 1 / config.visual.frames_per_second)
    builder = UtteranceBuilder(config, reader.info.has_audio, shown)
    end = min(stop, start + config.audio.max_seconds)
    chunks: list[AudioChunk] = []
    reached = start
    for event in reader.events_ahead():
        if isinstance(event, AudioChunk):
            chunks.append(event)
            reached = max(reached, event.end)
        else:
            reached = max(reached, event.time)
            if shown is not None and event.time < end:
                shown.push(event)
    samples = np.zeros(0, dtype=np.float32)
    if chunks:
        samples = join_chunks(chunks, start, min(chunks[-1].end, stop))
    return builder.build(start, min(reached, end), samples)
