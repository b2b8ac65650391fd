"""Text as stamps: wrapped, in a size that is read in small films as in large ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from avt_memocmt.overlay.stamps import Stamp

LINES = 2
"""Lines of words that are shown at once."""
_SIZE = 0.042  # height of the font by the shorter side of the film
_SMALLEST = 12  # pixels
_WIDEST = 0.9  # share of the film's width
_BACKGROUND = (0, 0, 0, 170)
_WHITE, _BLACK = (255, 255, 255, 255), (0, 0, 0, 255)
_RGB = tuple[int, int, int]


def font_size(size: tuple[int, int]) -> int:
    """Height of the font, pixels, for a film of this width and height."""
    return max(_SMALLEST, round(_SIZE * min(size)))


def pages(words: str, size: tuple[int, int]) -> list[str]:
    """Words in pages of at most `LINES` lines that fit into a film of this width and height.

    Lines are broken between words, and within a word that is longer than a line.
    """
    lines = _wrapped(" ".join(words.split()), _font(font_size(size)), _WIDEST * size[0])
    return ["\n".join(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]


def caption(heading: str, colour: _RGB, words: str, size: tuple[int, int], large: bool) -> Stamp:
    """The strip at the foot of a film: a heading with the colour of its emotion, and words.

    Args:
        heading: one line, which is shortened if it is too long.
        colour: of the mark before it.
        words: a page of `pages`, or "".
        size: of the film, pixels.
        large: see `Stamp.of`.
    """
    height = font_size(size)
    pad, step = round(height * 0.45), round(height * 1.3)
    font = _font(height)
    mark = round(height * 0.7)
    heading = _shortened(heading, font, _WIDEST * size[0] - 1.6 * mark)
    lines = words.split("\n") if words else []
    widths = [font.getlength(heading) + 1.6 * mark, *(font.getlength(line) for line in lines)]
    image = _panel(max(widths) + 2 * pad, step * len(widths) + 2 * pad, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    left = (image.width - widths[0]) / 2
    middle = pad + step / 2
    draw.rectangle((left, middle - mark / 2, left + mark, middle + mark / 2), (*colour, 255))
    draw.text((left + 1.6 * mark, middle), heading, _WHITE, font, anchor="lm")
    for number, line in enumerate(lines, start=1):
        draw.text((image.width / 2, middle + number * step), line, _WHITE, font, anchor="mm")
    return Stamp.of(image, large)


def label(text: str, colour: _RGB, size: tuple[int, int], large: bool) -> Stamp:
    """The name at a box: one line on its colour; arguments as of `caption`."""
    height = round(font_size(size) * 0.85)
    font, pad = _font(height), round(height * 0.3)
    text = _shortened(text, font, _WIDEST * size[0])
    image = _panel(font.getlength(text) + 2 * pad, height * 1.2 + pad, (*colour, 255))
    is_light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    place = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).text(place, text, _BLACK if is_light else _WHITE, font, anchor="mm")
    return Stamp.of(image, large)


def _panel(width: float, height: float, colour: tuple[int, int, int, int]) -> Image.Image:
    """A plane with even sides."""
    sides = (max(2, round(side / 2) * 2) for side in (width, height))
    return Image.new("RGBA", (next(sides), next(sides)), colour)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew,
    Arabic; what it lacks, such as Chinese, is a box."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, size)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if font.getlength(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = _broken(word, font, width)
        lines += whole
    return [*lines, line] if line else lines


def _broken(word: str, font: ImageFont.FreeTypeFont, width: float) -> Sequence[str]:
    """A word in pieces that fit into a line; at least one character each."""
    pieces = [""]
    for character in word:
        if pieces[-1] and font.getlength(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, or as much of its beginning as fits, and an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
