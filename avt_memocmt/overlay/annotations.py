"""What is drawn on a film: the faces, who they are, what is felt and what is said."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from avt_memocmt.emotions import COLOURS, UNCERTAIN
from avt_memocmt.inference.results import (
    MediaPrediction,
    UtterancePrediction,
    speaker_names,
)
from avt_memocmt.overlay.canvas import Canvas
from avt_memocmt.overlay.followed import Box, FollowedFaces, PlacedFace
from avt_memocmt.overlay.stamps import Stamp, draw_frame, video_colour
from avt_memocmt.overlay.text import caption, label, pages
from avt_memocmt.report.judgements import alone
from avt_memocmt.report.people import face_names
from avt_memocmt.wording import percent

_LINE, _THIN_LINE = 1 / 160, 1 / 300  # of the shorter side of the film
_FOOT = 0.03  # of the film's height, below the caption
_PLAIN = "#FFFFFF"
_KEPT = 256  # stamps; a page of words is shown on many pictures in a row
_RGB = tuple[int, int, int]


class Annotations:
    """Draws the answer of a prediction on the pictures of its film, whose times do not run back.

    The face that speaks has a thick box in the colour of its emotion, with name and emotion; others
    have a thin one. At the foot stand speaker, emotion, confidence and words of the utterance.

    Args:
        prediction: with its sampled faces.
        size: width and height of the film, pixels.
        large: see `stamps.is_large`.
    """

    def __init__(self, prediction: MediaPrediction, size: tuple[int, int], large: bool) -> None:
        self._size, self._large = size, large
        self._turns = sorted(prediction.utterances, key=lambda turn: turn.start)
        self._starts = [turn.start for turn in self._turns]
        self._longest = max((turn.end - turn.start for turn in self._turns), default=0.0)
        self._faces = FollowedFaces(prediction.sampled_faces)
        self._names = face_names(prediction)
        self._speakers = speaker_names(prediction)
        shown = prediction.picture_size or size
        self._scale = size[0] / shown[0], size[1] / shown[1]
        self._caption = lru_cache(_KEPT)(self._make_caption)
        self._label = lru_cache(_KEPT)(self._make_label)
        self._pages = lru_cache(_KEPT)(lambda words: pages(words, size))

    def draw(self, canvas: Canvas, time: float) -> None:
        """Draw what is true at this time, in seconds from the start of the media."""
        turn = self._turn(time)
        for face in sorted(self._faces.at(time), key=lambda face: face.speaks):
            self._draw_face(canvas, face, turn)
        if turn is not None:
            stamp = self._caption(_told(turn, self._speakers), turn.emotion, self._page(turn, time))
            width, height = self._size
            left, top = (width - stamp.size[0]) // 2, round(height * (1 - _FOOT)) - stamp.size[1]
            stamp.lay(canvas, left, max(0, top))

    def _turn(self, time: float) -> UtterancePrediction | None:
        """The utterance at a time; of several the one that began last."""
        for at in range(bisect_right(self._starts, time) - 1, -1, -1):
            if time < self._turns[at].end:
                return self._turns[at]
            if self._starts[at] < time - self._longest:
                break
        return None

    def _page(self, turn: UtterancePrediction, time: float) -> str:
        """The page of words that is due: each has a share of the time by its length."""
        found = self._pages(turn.text)
        spoken = (time - turn.start) / (turn.end - turn.start) * sum(map(len, found))
        for page in found:
            if spoken < len(page):
                return page
            spoken -= len(page)
        return found[-1] if found else ""

    def _draw_face(
        self, canvas: Canvas, face: PlacedFace, turn: UtterancePrediction | None
    ) -> None:
        across, down = self._scale
        left, top, width, height = face.box
        box = left * across, top * down, width * across, height * down
        emotion = _emotion_of(face, turn)
        line = max(2, round(min(self._size) * (_LINE if face.speaks else _THIN_LINE)))
        colour = _rgb(_PLAIN if emotion is None else COLOURS[emotion])
        draw_frame(canvas, box, line, video_colour(colour, self._large))
        name = self._names.get(face.id, "") if face.id else ""
        text = " ".join(part for part in (name, emotion) if part)
        if text:
            self._label(text, emotion).lay(canvas, *self._beside(box, self._label(text, emotion)))

    def _beside(self, box: Box, stamp: Stamp) -> tuple[int, int]:
        """Where the name of a box stands: on it, or below it at the upper edge of the film."""
        left, top, _, height = (round(v) for v in box)
        above = top - stamp.size[1]
        left = min(max(left, 0), max(0, self._size[0] - stamp.size[0]))
        return left, above if above >= 0 else min(top + height, self._size[1] - stamp.size[1])

    def _make_caption(self, heading: str, emotion: str, words: str) -> Stamp:
        return caption(heading, _rgb(COLOURS[emotion]), words, self._size, self._large)

    def _make_label(self, text: str, emotion: str | None) -> Stamp:
        colour = _rgb(_PLAIN if emotion is None else COLOURS[emotion])
        return label(text, colour, self._size, self._large)


def _emotion_of(face: PlacedFace, turn: UtterancePrediction | None) -> str | None:
    """Of the utterance where the face speaks, else of the face alone where that was asked for."""
    if turn is None:
        return None
    if face.speaks:
        return turn.emotion
    own = next((seen for seen in turn.faces if seen.id == face.id), None)
    return None if own is None else alone(own.probabilities)[0]


def _told(turn: UtterancePrediction, names: dict[str, str]) -> str:
    """One line: speaker, emotion and confidence."""
    judged = f"{turn.emotion} {percent(turn.confidence)}"
    if turn.emotion == UNCERTAIN:
        judged = f"{turn.emotion}, {turn.likeliest} {percent(turn.confidence)}"
    return f"{names.get(turn.speaker, turn.speaker)}  {judged}" if turn.speaker else judged


def _rgb(colour: str) -> _RGB:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
