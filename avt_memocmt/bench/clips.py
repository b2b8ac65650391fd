"""Films that the benchmark reads: the user's clips, one it writes itself, and long ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from avt_memocmt.errors import AvtError
from avt_memocmt.media.reader import MediaReader

WIDTH, HEIGHT, RATE, SECONDS = 1280, 720, 25, 3
_SOUND_RATE = 48_000


@dataclass(frozen=True)
class Clip:
    """A film with sound, and its length in seconds."""

    path: Path
    seconds: float


def read_clips(paths: Sequence[Path]) -> list[Clip]:
    """Open the clips once to learn their lengths.

    Raises:
        AvtError: one cannot be read, has no sound or pictures, or does not say how long it is.
    """
    clips = []
    for path in paths:
        with MediaReader(path) as reader:
            info = reader.info
        if info.kind != "video" or not info.has_audio or not info.duration:
            raise AvtError(f"{path} is no film with sound and a known length; give others.")
        clips.append(Clip(path, info.duration))
    return clips


def write_film(path: Path) -> Path:
    """Write 3 s of H.264 and AAC, 1280 x 720: a moving texture and a buzz, but no face."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    time = np.arange(SECONDS * _SOUND_RATE) / _SOUND_RATE
    buzz = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 20))
    sound = (0.1 * buzz * (1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=_SOUND_RATE, layout="mono")
        for index in range(SECONDS * RATE):
            waves = np.sin((columns + 7 * index) / 40) + np.sin((rows - 5 * index) / 25)
            grey = (127 + 60 * waves).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(np.stack([grey] * 3, axis=2), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(picture))
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate = _SOUND_RATE
        out.mux(audio.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


def repeat_film(clip: Clip, seconds: float, path: Path) -> Path:
    """Write the clip again and again, unchanged, until `seconds` are reached; a Matroska file."""
    count = max(1, round(seconds / clip.seconds))
    with av.open(str(clip.path)) as source, av.open(str(path), "w", format="matroska") as out:
        streams = [source.streams.video[0], source.streams.audio[0]]
        copies = {stream.index: out.add_stream_from_template(stream) for stream in streams}
        for turn in range(count):
            source.seek(0)
            for packet in source.demux(streams):
                if packet.dts is None or packet.pts is None:
                    continue
                shift = round(turn * clip.seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path
