"""Grad-CAM as heat on the pictures of a video, at the place of the explained face."""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from avt_memocmt.files import write_atomically
from avt_memocmt.media.film_codec import add_film
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE, face_transform
from avt_memocmt.preprocessing.face_tracker import FaceObservation
from avt_memocmt.preprocessing.video_preprocess import sample_frames

HEAT = "viridis"
"""Colour map of scores from 0; perceptually uniform, so that lighter always means more."""
OPACITY = 0.65
"""Opacity of the heat at the peak; lower scores let more of the picture through."""

_EVERY_PICTURE = 1000.0  # pictures a second that no recording has
_CLOCK_TOLERANCE = 0.002  # seconds: containers round timestamps to 1 ms

Picture = NDArray[np.uint8]


def overlay(
    frame: Picture, observation: FaceObservation, scores: NDArray[np.float64], peak: float
) -> Picture:
    """Lay the scores of an aligned face over the picture that it was cut from.

    Args:
        frame: RGB [height, width, 3], of the size in which the face was found.
        observation: of the face; where its `face` is None, the whole picture was taken as a face.
        scores: [h, w], cells of the aligned face, none below 0.
        peak: the score that gets the full colour; 0 leaves the picture without heat.

    Returns:
        uint8 RGB [height, width, 3]; the bounds of the aligned face are drawn.
    """
    height, width = frame.shape[:2]
    to_crop = _to_crop(observation, (width, height))
    strength = np.clip(scores / peak, 0, 1) if peak > 0 else np.zeros_like(scores)
    smooth = cv2.resize(strength, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    # OpenCV counts from the middle of the first pixel, the transform from its corner.
    index_map = to_crop.copy()
    index_map[:, 2] += index_map[:, :2] @ (0.5, 0.5) - 0.5
    placed = cv2.warpAffine(
        smooth, index_map, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    colours = colormaps[HEAT](placed)[..., :3] * 255
    share = OPACITY * placed[..., None]
    heated = np.rint(frame + share * (colours - frame)).astype(np.uint8)
    return heated if observation.face is None else _outlined(heated, to_crop)


def frames_at(media: str | Path, times: Sequence[float]) -> Iterator[VideoFrame]:
    """The pictures that a video shows at given times; one decode, two pictures held at a time.

    Args:
        media: a video or an image; pictures have the size in which `predict` looks for faces.
        times: seconds from the start of the media, not decreasing.

    Returns:
        One picture for each time, with that time: the last that began by then, else the first.

    Raises:
        AvtError: the file cannot be decoded or has no pictures.
    """
    if not times:
        return
    due = deque(times)
    shown: VideoFrame | None = None
    for coming in chain(sample_frames(media, _EVERY_PICTURE), [None]):
        begins = math.inf if coming is None else coming.time
        while shown is not None and due and due[0] < begins - _CLOCK_TOLERANCE:
            yield VideoFrame(due.popleft(), shown.image)
        if not due:
            return
        shown = coming


def write_overlay_video(path: Path, frames: Iterable[Picture], rate: float) -> None:
    """Write pictures as an MP4 without sound: H.264 if the build has it, else MPEG-4.

    Args:
        path: of the file.
        frames: RGB [height, width, 3], at least one; later ones are scaled to the first's size.
        rate: pictures a second.

    Raises:
        AvtError: the file cannot be written.
        ValueError: there is no picture.
    """
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise ValueError("a video needs at least one picture")
    steady = Fraction(rate).limit_denominator(1000)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # The codecs keep colour at half the resolution, so sides are even.
        height, width = (max(2, side // 2 * 2) for side in first.shape[:2])
        stream = add_film(container, (width, height), steady)
        for number, picture in enumerate(chain([first], coming)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, 1 / steady
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_atomically(path, buffer.getvalue())


def _to_crop(observation: FaceObservation, size: tuple[int, int]) -> NDArray[np.float64]:
    """The [2, 3] map from points of a picture of this width and height to the aligned face."""
    if observation.face is not None:
        return face_transform(observation.face)
    width, height = size
    return np.array([[CROP_SIZE / width, 0.0, 0.0], [0.0, CROP_SIZE / height, 0.0]])


def _outlined(picture: Picture, to_crop: NDArray[np.float64]) -> Picture:
    """The picture with the bounds of the aligned face in white."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * CROP_SIZE
    points = (corners - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T
    outline = np.rint(points - 0.5).astype(np.int32)[None]
    drawn = cv2.polylines(picture, list(outline), True, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(drawn, dtype=np.uint8)
