"""Tells whether two faces of one film are the same person's, by appearance alone.

There is no network for it here: fine structure of the face (Ahonen et al. 2006, "Face Description
with Local Binary Patterns") and the colours of hair, skin and clothes, which in one film tell
people apart well and hold across cuts. Two looks of one person that differ much count as two
people: a wrong merge would put the emotions of one into the timeline of another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.preprocessing.face_alignment import face_transform
from avt_memocmt.preprocessing.face_boxes import Face

SAME = 0.70
"""Likeness from which two looks are one person's.

Measured: of pairs of different people, one in 10,000 is as alike as .71 in KDEF, where light,
clothes and background are the same for all, and as .61 in GRID; of pairs of one GRID talker, cuts
between two recordings included, 88 % are more alike than .70.
"""
_CLEARER = 0.03
"""Likeness by which the most alike person must stand out from the next."""
MOST_PEOPLE = 256
"""People who are known by their looks; beyond, who was seen longest ago is forgotten."""
_MOST_LOOKS = 6
"""Looks of one person that are kept."""

_SIDE, _CELL = 78, 13  # pixels
_PATTERNS = 59  # uniform ones, and one for all others
_AROUND = 2.2  # sides of the aligned face, for the colours
_BLOCKS = (6, 10)  # across and down
_COLOUR_WEIGHT = 0.2
_BRIGHTNESS_WEIGHT = 0.5


def _uniform_patterns() -> NDArray[np.intp]:
    """Number of each of 256 patterns among those with at most two changes around the circle."""
    numbers = np.full(256, _PATTERNS - 1, dtype=np.intp)
    circles = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = np.flatnonzero((circles != np.roll(circles, 1, axis=1)).sum(axis=1) <= 2)
    numbers[uniform] = np.arange(len(uniform))
    return numbers


_PATTERN_NUMBERS = _uniform_patterns()
_NEIGHBOURS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


@dataclass(frozen=True)
class Look:
    """What a face looks like.

    Attributes:
        structure: float32 [cells x patterns], of length 1: local binary patterns of the face.
        colours: float32 [blocks x 3]: Lab of the head and what is around it, as shares of 255.
    """

    structure: NDArray[np.float32]
    colours: NDArray[np.float32]

    def likeness(self, other: Look) -> float:
        """1 for the same picture, about 0.4 for two people."""
        apart = float(np.linalg.norm(self.colours - other.colours))
        return float(self.structure @ other.structure) - _COLOUR_WEIGHT * apart


def look_of(image: NDArray[np.uint8], face: Face, crop: NDArray[np.uint8]) -> Look:
    """Describe a face.

    Args:
        image: RGB [height, width, 3].
        face: where it lies in the image.
        crop: the aligned face, RGB [112, 112, 3].
    """
    grey = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (_SIDE + 2, _SIDE + 2))
    middle = grey[1:-1, 1:-1]
    codes = np.zeros(middle.shape, dtype=np.uint8)
    for bit, (down, right) in enumerate(_NEIGHBOURS):
        neighbour = grey[down : down + _SIDE, right : right + _SIDE]
        codes |= (neighbour >= middle).astype(np.uint8) << np.uint8(bit)
    cells = _SIDE // _CELL
    cell = np.arange(_SIDE) // _CELL
    places = (cell[:, None] * cells + cell) * _PATTERNS + _PATTERN_NUMBERS[codes]
    counts = np.bincount(places.ravel(), minlength=cells * cells * _PATTERNS)
    return Look(_unit(np.sqrt(counts)), _colours(image, face))


@dataclass(frozen=True, eq=False)
class View:
    """A face in a picture, described where that is asked for: most pictures are not.

    Attributes:
        image: RGB [height, width, 3].
        face: where it lies in the image.
        crop: the aligned face, RGB [112, 112, 3].
    """

    image: NDArray[np.uint8]
    face: Face
    crop: NDArray[np.uint8]

    @cached_property
    def look(self) -> Look:
        """What the face looks like."""
        return look_of(self.image, self.face, self.crop)


def mean_look(looks: Sequence[Look]) -> Look:
    """The mean of several looks of one person."""
    structure = _unit(np.mean([look.structure for look in looks], axis=0), centred=False)
    return Look(structure, np.mean([look.colours for look in looks], axis=0, dtype=np.float32))


class FaceGallery:
    """The people of a film by their looks, in bounded memory."""

    def __init__(self) -> None:
        self._looks: dict[int, list[Look]] = {}  # who was seen last stands last
        self._next = 0

    def recognise(self, look: Look, others: Collection[int] = ()) -> int:
        """The number of the person who looks so, in doubt a new one.

        Args:
            look: of somebody.
            others: numbers of people who cannot be meant, because they are seen beside it.
        """
        alike = {
            person: max(known.likeness(look) for known in looks)
            for person, looks in self._looks.items()
            if person not in others
        }
        best, second = sorted([*alike.values(), -1.0, -1.0], reverse=True)[:2]
        if best > max(SAME, second + _CLEARER):
            person = max(alike, key=alike.__getitem__)
        else:
            person, self._next = self._next, self._next + 1
        self.remember(person, look)
        return person

    def remember(self, person: int, look: Look) -> None:
        """Keep one more look of a person."""
        looks = self._looks.pop(person, [])
        # The first one stays, so that a person does not drift into another.
        self._looks[person] = [*looks[:1], *looks[1:][2 - _MOST_LOOKS :], look]
        if len(self._looks) > MOST_PEOPLE:
            del self._looks[next(iter(self._looks))]


def _colours(image: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    """Lab of the blocks of the picture around a face."""
    side = 8 * max(_BLOCKS)
    matrix = face_transform(face, side) / _AROUND
    matrix[:, 2] += side / 2 - side / 2 / _AROUND
    around = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    lab = cv2.cvtColor(around, cv2.COLOR_RGB2LAB).astype(np.float32) / 255
    sides = (side - 8 * _BLOCKS[0]) // 2
    blocks = cv2.resize(lab[:, sides : side - sides], _BLOCKS, interpolation=cv2.INTER_AREA)
    return np.asarray(blocks * (_BRIGHTNESS_WEIGHT, 1.0, 1.0), dtype=np.float32).ravel()


def _unit(values: NDArray[np.floating], centred: bool = True) -> NDArray[np.float32]:
    """Values [n] less their mean, at length 1."""
    shifted = values - values.mean() if centred else values
    return np.asarray(shifted / max(float(np.linalg.norm(shifted)), 1e-9), dtype=np.float32)
