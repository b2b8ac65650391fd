"""Pictures of a video at a steady rate, in memory or as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.as_program import run_command
from avt_memocmt.files import make_folder, write_atomically
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import VideoFrame

Item = TypeVar("Item")


def sample_frames(path: str | Path, frames_per_second: float = 4.0) -> Iterator[VideoFrame]:
    """Yield pictures of a video or image one by one.

    Args:
        path: a video or an image.
        frames_per_second: pictures each second of the media's clock; times are the true ones.

    Raises:
        AvtError: the file cannot be decoded or has no pictures.
    """
    with MediaReader(path, frames_per_second, only="video") as reader:
        yield from (event for event in reader.events() if isinstance(event, VideoFrame))


def extract_frames(
    path: str | Path, out_dir: str | Path, frames_per_second: float = 4.0
) -> list[Path]:
    """Write the sampled pictures as JPEG files named by their time in milliseconds.

    Returns:
        The files, in time order, such as `00001240.jpg`; each appears whole or not at all.

    Raises:
        AvtError: the video cannot be decoded, has no pictures, or the folder cannot be written.
    """
    folder = make_folder(out_dir)
    frames = sample_frames(path, frames_per_second)
    return [write_picture(folder, frame.time, frame.image) for frame in frames]


def write_picture(folder: Path, time: float, image: NDArray[np.uint8]) -> Path:
    """Write uint8 RGB [height, width, 3] as a JPEG named by its time (seconds) in milliseconds."""
    file = folder / f"{round(time * 1000):08d}.jpg"
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    write_atomically(file, data.tobytes())
    return file


def evenly_spaced(items: Sequence[Item], limit: int) -> list[Item]:
    """Return at most `limit` items spread evenly, the first and the last among them.

    A limit of 1 gives the middle item.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if len(items) <= limit:
        return list(items)
    if limit == 1:
        return [items[len(items) // 2]]
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]


if __name__ == "__main__":
    run_command("preprocess", "video")
