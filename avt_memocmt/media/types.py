"""What decoding yields: sound and pictures with their times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz of every waveform inside the package."""

SILENT_DBFS = -60.0
"""Sound whose peak stays below this level, relative to full scale, counts as silence."""


@dataclass(frozen=True)
class AudioChunk:
    """A stretch of sound.

    Attributes:
        start: seconds from the start of the media.
        samples: float32 [n], mono, `SAMPLE_RATE`, in [-1, 1].
    """

    start: float
    samples: NDArray[np.float32]

    @property
    def end(self) -> float:
        """Seconds from the start of the media."""
        return self.start + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class VideoFrame:
    """One picture.

    Attributes:
        time: seconds from the start of the media.
        image: uint8 RGB [height, width, 3], upright (rotation already applied).
        between: whether it lies between two sampled pictures, and shows movement alone; its image
            is grey then, uint8 [height, width], and may be a smaller copy of the picture.
    """

    time: float
    image: NDArray[np.uint8]
    between: bool = False

    @property
    def end(self) -> float:
        """The same as `time`, so that pictures and sound have one name for their last moment."""
        return self.time


@dataclass(frozen=True)
class MediaInfo:
    """What a media file holds, as far as its header says.

    Attributes:
        kind: "video" (pictures, with or without sound), "audio" (sound alone) or "image" (a still).
        duration: seconds; None where the header does not say.
        has_audio: whether a decodable sound stream is there.
        has_video: whether a decodable picture stream is there.
    """

    kind: str
    duration: float | None
    has_audio: bool
    has_video: bool
