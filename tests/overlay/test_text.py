"""Words on a film: nothing lost, nothing beyond the picture, in many scripts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from avt_memocmt.overlay.stamps import Stamp
from avt_memocmt.overlay.text import LINES, caption, label, pages

SIZES = [(640, 360), (360, 640), (1280, 720), (3840, 2160)]
WORDS = "I never said that you should go, and Donaudampfschifffahrtsgesellschaft" + "x" * 400
ORANGE = (230, 159, 0)


def brightness(stamp: Stamp) -> NDArray[np.uint8]:
    return stamp.added[0]


@pytest.mark.parametrize("size", SIZES)
def test_no_word_is_lost_and_no_line_wider_than_the_film(size: tuple[int, int]) -> None:
    found = pages(WORDS, size)
    said = "".join(found).replace("\n", "").replace(" ", "")
    assert said == WORDS.replace(" ", "")
    for page in found:
        assert page.count("\n") < LINES
        made = caption("Anna  joy 71%", ORANGE, page, size, True)
        assert made.size[0] <= size[0]
        assert made.size[1] < size[1] / 3
    assert pages("  ", size) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [label, lambda t, c, s, x: caption(t, c, "", s, x)])
def test_long_names_are_shortened(size: tuple[int, int], make: Callable[..., Stamp]) -> None:
    assert make("Anna " * 200, ORANGE, size, True).size[0] <= size[0]


@pytest.mark.parametrize("text", ["Größe", "Ελένη", "Нет", "Հայ", "ქარი", "שלום", "مرحبا"])
def test_the_packaged_font_has_letters_of_their_own(text: str) -> None:
    size = (1280, 720)
    missing = label("\U000f0000" * len(text), ORANGE, size, True)
    shown = label(text, ORANGE, size, True)
    assert shown.size != missing.size or (brightness(shown) != brightness(missing)).any()
    half = label(text[: len(text) // 2], ORANGE, size, True)
    assert half.size[0] < shown.size[0]


def test_letters_are_large_enough_to_read() -> None:
    """A capital has at least 12 of 360 lines, as subtitles of television do (about a 27th)."""
    for size in SIZES:
        made = caption("", ORANGE, "H", size, True)
        lower = brightness(made)[brightness(made).shape[0] // 2 :]
        rows = np.nonzero(lower.max(axis=1) > 200)[0]
        assert np.ptp(rows) + 1 >= min(size) * 0.028
