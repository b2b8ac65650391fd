"""Small pictures that are laid on a film, such as a line of text; made once, laid on often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.overlay.canvas import Canvas

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]
"""Brightness and the two differences of colour of 8-bit video, 16 to 240."""

# ITU-R BT.601 of small pictures and BT.709 of large ones: shares of red and blue in brightness.
_WEIGHTS = {False: (0.299, 0.114), True: (0.2126, 0.0722)}
_HIGH = 720  # lines, from which a film is taken for BT.709 as players do


@dataclass(frozen=True)
class Stamp:
    """A small picture in 4:2:0 colours.

    Attributes:
        added: what is added to brightness and colours, as in `Canvas.planes`.
        kept: how much stays of the film there, 0 to 255, in the same shapes.
    """

    added: tuple[NDArray[np.uint8], ...]
    kept: tuple[NDArray[np.uint8], ...]

    @classmethod
    def of(cls, image: Image.Image, is_large: bool) -> Stamp:
        """Convert a picture of Pillow, RGBA with even sides, for a film of at least 720 lines."""
        pixels = np.asarray(image, np.float32)
        alpha = pixels[..., 3] / 255
        added, kept = [], []
        for number, values in enumerate(_components(pixels[..., :3], is_large)):
            step = 2 if number else 1
            size = (image.width // step, image.height // step)
            laid = cv2.resize(values * alpha, size, interpolation=cv2.INTER_AREA)
            share = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
            added.append(np.rint(laid).astype(np.uint8))
            kept.append(np.rint(255 - 255 * share).astype(np.uint8))
        return cls(tuple(added), tuple(kept))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.added[0].shape
        return width, height

    def lay(self, canvas: Canvas, left: int, top: int) -> None:
        """Lay it on a picture; what reaches beyond is cut off. Odd places are rounded down."""
        for number, plane in enumerate(canvas.planes):
            step = 2 if number else 1
            x, y = left // 2 * 2 // step, top // 2 * 2 // step
            height, width = self.added[number].shape
            x0, y0 = max(x, 0), max(y, 0)
            x1, y1 = min(x + width, plane.shape[1]), min(y + height, plane.shape[0])
            if x0 >= x1 or y0 >= y1:
                continue
            part = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
            under = plane[y0:y1, x0:x1]
            faded = cv2.multiply(under, self.kept[number][part], scale=1 / 255)
            plane[y0:y1, x0:x1] = cv2.add(faded, self.added[number][part])


def is_large(canvas: Canvas) -> bool:
    """Whether players take the colours of a film for those of high definition."""
    return canvas.size[1] >= _HIGH


def video_colour(rgb: tuple[int, int, int], large: bool) -> Colour:
    """A colour of screens as video stores it."""
    parts = _components(np.array([[rgb]], np.float32), large)
    y, u, v = (int(np.rint(part[0, 0])) for part in parts)
    return y, u, v


def draw_frame(
    canvas: Canvas, box: tuple[float, float, float, float], width: int, colour: Colour
) -> None:
    """Draw the outline of a box (left, top, width, height in pixels), inside its bounds.

    Args:
        canvas: the picture.
        box: may reach beyond the picture.
        width: of the line, pixels.
        colour: of the line.
    """
    left, top, across, down = box
    x0, y0 = round(left / 2), round(top / 2)
    x1, y1 = max(round((left + across) / 2), x0 + 1), max(round((top + down) / 2), y0 + 1)
    thick = max(1, width // 2)
    for number, plane in enumerate(canvas.planes):
        scale = 1 if number else 2
        x, y, right, bottom, line = (scale * v for v in (x0, y0, x1, y1, thick))
        for part in (
            np.s_[y : y + line, x:right],
            np.s_[bottom - line : bottom, x:right],
            np.s_[y:bottom, x : x + line],
            np.s_[y:bottom, right - line : right],
        ):
            rows, columns = (slice(max(s.start, 0), max(s.stop, 0)) for s in part)
            plane[rows, columns] = colour[number]


def _components(rgb: NDArray[np.floating], large: bool) -> list[NDArray[np.floating]]:
    """Brightness and the differences of blue and red of [height, width, 3] in 0 to 255."""
    red, blue = _WEIGHTS[large]
    r, g, b = (rgb[..., i] / 255 for i in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    return [16 + 219 * y, 128 + 224 * u, 128 + 224 * v]
