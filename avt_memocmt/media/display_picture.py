"""A decoded picture as a viewer shows it: upright, with square pixels, in RGB."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame as DecodedFrame
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

_UNLISTED = {"png", "apng"}
"""Codecs whose side data is never listed: when it holds a colour profile and EXIF, as screenshots
of macOS do, PyAV 18 frees the profile's name twice, and the process dies."""
_WIDEST_PIXEL = 4
"""Width of a pixel by its height, or the reverse, beyond which a header is taken for damaged."""
_GREY_SIDE = 1280
"""Longer side of a grey picture, pixels, at most: mouths are seen well enough, at half the cost."""
_BRIGHTNESS_FIRST = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12"}
"""Formats whose first plane is the brightness, a byte for each pixel."""
_FULL_RANGE = {"yuvj420p", "yuvj422p", "yuvj444p"}
_BLACK, _WHITE = 16, 235  # of usual video
_ORIENTATION = 0x0112  # the EXIF tag
Matrix = tuple[int, int, int, int]
"""a, b, c, d: a stored point (x, y) is shown at (a x + c y, b x + d y) (libavutil/display.h)."""
AS_STORED: Matrix = (1, 0, 0, 1)


class PictureConverter:
    """Converts the decoded pictures of a stream to what a viewer shows.

    One converter serves a whole video: setting up the scaler costs more than a small picture.

    Attributes:
        shown_size: width and height of the first picture in full size; None before it.

    Args:
        max_side: pixels.
        stream: what the pictures are decoded from.
    """

    def __init__(self, max_side: float, stream: VideoStream) -> None:
        self._max_side = max_side
        self._stream = stream
        self._lists_side_data = stream.codec_context.name not in _UNLISTED
        self._scaler = VideoReformatter()
        self.shown_size: tuple[int, int] | None = None
        stated, coded = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
        # What the container states holds throughout; the codec's own may change with a programme.
        self._stated = stated if stated != coded else None

    def rgb(self, frame: DecodedFrame) -> NDArray[np.uint8]:
        """The picture as uint8 RGB [height, width, 3], its longer side at most `max_side`."""
        width, height = self.square_size(frame, self._max_side)
        grows = width > frame.width or height > frame.height
        converted = self._scaler.reformat(
            frame, width, height, format="rgb24", interpolation="BICUBIC" if grows else "AREA"
        )
        turn = self.turn(frame)
        if self.shown_size is None:
            self.shown_size = _turned(self.square_size(frame), turn)
        return upright(np.asarray(converted.to_ndarray(), dtype=np.uint8), turn)

    def grey(self, frame: DecodedFrame) -> NDArray[np.uint8]:
        """The picture as uint8 grey [height, width]: a tenth of the work of `rgb`."""
        width, height = self.square_size(frame, min(self._max_side, _GREY_SIDE))
        picture = _brightness(frame)
        if picture is None:
            converted = self._scaler.reformat(frame, format="gray", interpolation="AREA")
            picture = np.asarray(converted.to_ndarray(), dtype=np.uint8)
        if (width, height) != (frame.width, frame.height):
            shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            picture = np.asarray(shrunk, dtype=np.uint8)
        return upright(picture, self.turn(frame))

    def square_size(self, frame: DecodedFrame, max_side: float = math.inf) -> tuple[int, int]:
        """Width and height with square pixels, before the picture is turned."""
        pixel = self._stated or self._stream.codec_context.sample_aspect_ratio
        return display_size(frame.width, frame.height, pixel, max_side)

    def turn(self, frame: DecodedFrame) -> Matrix:
        """The orientation in which the picture is shown."""
        return _display_matrix(frame) if self._lists_side_data else _rotation_matrix(frame)


def _brightness(frame: DecodedFrame) -> NDArray[np.uint8] | None:
    """The brightness of a decoded picture, 0 to 255, where it lies in a plane of its own."""
    plane = frame.planes[0]
    if frame.format.name not in _BRIGHTNESS_FIRST or plane.line_size < frame.width:
        return None
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8)[: plane.line_size * frame.height]
    stored = rows.reshape(frame.height, plane.line_size)[:, : frame.width]
    if frame.format.name in _FULL_RANGE or frame.color_range == ColorRange.JPEG:
        return stored.copy()
    scale = 255 / (_WHITE - _BLACK)
    stretched = cv2.addWeighted(stored, scale, stored, 0.0, -scale * _BLACK)
    return np.asarray(stretched, dtype=np.uint8)


def display_size(
    width: int, height: int, pixel: Fraction | None, max_side: float
) -> tuple[int, int]:
    """Width and height at which a stored picture is shown with square pixels.

    Args:
        width: of the stored picture, pixels.
        height: of the stored picture, pixels.
        pixel: width of a stored pixel by its height; None or 0 = not known, taken for square.
        max_side: the longer side is at most this, pixels.
    """
    ratio = float(pixel) if pixel else 1.0
    if not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        ratio = 1.0
    # One direction is enlarged, so that the other keeps what it shows.
    sides = width * max(ratio, 1.0), height * max(1 / ratio, 1.0)
    scale = min(1.0, max_side / max(sides))
    return max(1, round(sides[0] * scale)), max(1, round(sides[1] * scale))


def still_rgb(image: Image.Image, max_side: int) -> NDArray[np.uint8]:
    """A picture that Pillow opened as uint8 RGB [height, width, 3], as a viewer shows it.

    Its EXIF orientation and colour profile are applied; what is transparent is white.

    Args:
        image: in any mode.
        max_side: the longer side is at most this, pixels.
    """
    image.load()
    orientation = _orientation(image)
    profile = image.info.get("icc_profile")
    shown = _resized(_eight_bits(image), max_side)
    if profile:
        shown = _in_srgb(shown, profile)
    shown = _on_white(shown)
    return upright(np.asarray(shown, dtype=np.uint8), _EXIF_MATRICES.get(orientation, AS_STORED))


def still_size(image: Image.Image, width: int, height: int) -> tuple[int, int]:
    """Width and height at which a picture is shown in full size.

    Args:
        image: that Pillow opened.
        width: of the stored picture, pixels; Pillow may have opened it at a smaller size.
        height: of the stored picture, pixels.
    """
    return _turned((width, height), _EXIF_MATRICES.get(_orientation(image), AS_STORED))


_EXIF_MATRICES: dict[object, Matrix] = {
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""EXIF's eight orientations, 1 left out, as display matrices."""


def _orientation(image: Image.Image) -> object:
    """EXIF's orientation of a loaded picture; 1 where the plugin has already turned it."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF raises struct.error, SyntaxError and others
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture with 8 bits a channel and no palette; Pillow would clip deeper grey to white."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        deep = image.mode != "I" or int(values.max(initial=0)) > 255
        return Image.fromarray((values >> (8 if deep else 0)).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        factor = 255.0 if float(values.max(initial=0.0)) <= 1.0 else 1.0
        return Image.fromarray((values * factor).clip(0, 255).astype(np.uint8))
    if image.mode in ("P", "PA", "1"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _resized(image: Image.Image, max_side: int) -> Image.Image:
    from PIL import Image

    size = display_size(*image.size, None, max_side)
    if size == image.size:
        return image
    # Averages of areas, as a video's pictures are scaled; first by whole factors, which is fast.
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture in the colours of screens; as it is where its profile cannot be used."""
    from io import BytesIO

    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        keeps = image.mode if image.mode in ("RGB", "RGBA") else "RGB"
        found = ImageCms.profileToProfile(image, source, target, outputMode=keeps)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if found is None else found


def _on_white(image: Image.Image) -> Image.Image:
    """The picture as RGB, laid on white where it is transparent."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    picture = image.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _turned(size: tuple[int, int], matrix: Matrix) -> tuple[int, int]:
    """Width and height after what `upright` does."""
    return size if abs(matrix[0]) >= abs(matrix[1]) else (size[1], size[0])


def upright(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """Apply the orientation that a display matrix asks for, to a quarter turn."""
    a, b, c, d = matrix
    if abs(a) >= abs(b):
        flip_x, flip_y = a < 0, d < 0
    else:
        image = image.swapaxes(0, 1)
        flip_x, flip_y = c < 0, b < 0
    image = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(image)


def _display_matrix(frame: DecodedFrame) -> Matrix:
    try:
        side_data: Any = frame.side_data  # PyAV's stubs take it for a plain dict
    except ValueError:
        # PyAV 18 cannot list the side data of a picture with EXIF.
        return _rotation_matrix(frame)
    matrix = next((data for data in side_data if data.type is Type.DISPLAYMATRIX), None)
    if matrix is None:
        return AS_STORED
    values = np.frombuffer(bytes(matrix), dtype=np.int32)
    return int(values[0]), int(values[1]), int(values[3]), int(values[4])


def _rotation_matrix(frame: DecodedFrame) -> Matrix:
    """From the rotation, counter-clockwise in degrees, which does not tell mirrored pictures."""
    angle = math.radians(frame.rotation)
    cos, sin = round(math.cos(angle)), round(math.sin(angle))
    return cos, -sin, sin, cos
