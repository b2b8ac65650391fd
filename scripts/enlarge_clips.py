"""Makes 720p films (H.264, AAC) of small ones, so that decoding costs what a user's film costs.

    python scripts/enlarge_clips.py OUT_FOLDER CLIP...

Pictures keep their shape: they are enlarged to a height of 720 pixels, black at both sides up to a
width of 1280. Nothing is gained for the eye; a face detector sees a larger face.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720


def enlarge(source: Path, target: Path) -> None:
    """Write one film at 1280 x 720."""
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        pictures, sound = film.streams.video[0], film.streams.audio[0]
        rate = pictures.average_rate or Fraction(25)
        video = out.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=sound.rate)
        count = 0
        for frame in film.decode(pictures, sound):
            if isinstance(frame, av.AudioFrame):
                frame.pts = None
                out.mux(audio.encode(frame))
                continue
            picture = av.VideoFrame.from_ndarray(framed(frame.to_ndarray(format="rgb24")))
            picture.pts, picture.time_base = count, 1 / rate
            count += 1
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def framed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge an RGB picture [height, width, 3] to [720, 1280, 3], black at both sides."""
    scale = min(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    width, height = (round(side * scale) for side in image.shape[1::-1])
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas[top : top + height, left : left + width] = large
    return canvas


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        enlarge(Path(name), folder / f"{Path(name).stem}-720p.mp4")
