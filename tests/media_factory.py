"""Writes small real media files for the tests."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 1000)


def tone(
    seconds: float, frequency: float = 440.0, rate: int = 16_000, level: float = 0.5
) -> NDArray[np.float32]:
    """Return a sine, float32 [n]."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def speech_like(seconds: float, rate: int = 16_000, level: float = 0.3) -> NDArray[np.float32]:
    """Return float32 [n]: a buzz with formants and syllables, which WebRTC VAD takes for speech."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 * (1 + 0.05 * np.sin(2 * np.pi * 3 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sound = np.zeros(len(time))
    for harmonic in range(1, 30):
        centre = 120 * harmonic
        gain = sum(np.exp(-(((centre - peak) / 150) ** 2)) for peak in (600, 1200, 2500))
        sound += gain * np.sin(harmonic * phase)
    sound *= 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)
    return (level * sound / np.abs(sound).max()).astype(np.float32)


def picture(width: int, height: int, shade: int) -> NDArray[np.uint8]:
    """Return uint8 [height, width, 3]: a grey plane whose top-left quarter is red."""
    image = np.full((height, width, 3), shade, dtype=np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    return image


def write_media(
    path: Path,
    *,
    picture_times: Sequence[float] = (),
    sound: NDArray[np.float32] | None = None,
    rate: int = 16_000,
    layout: str = "mono",
    sound_start: float = 0.0,
    size: tuple[int, int] = (64, 48),
    shades: Iterable[int] | None = None,
    images: Sequence[NDArray[np.uint8]] | None = None,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    options: dict[str, str] | None = None,
    video_options: dict[str, str] | None = None,
) -> Path:
    """Mux pictures at the given times (seconds) and sound float32 [channels, n] or [n].

    The pictures are `images` [height, width, 3], or planes of `shades`. Packets of both streams
    are written in the order of their times, as a recorder writes them.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        streams = []
        if len(picture_times):
            video = container.add_stream(video_codec, rate=25)
            video.width, video.height = size
            video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
            # MPEG-1 and 2 know few rates.
            is_mpeg = video_codec in ("mpeg1video", "mpeg2video")
            video.codec_context.time_base = Fraction(1, 25) if is_mpeg else TIME_BASE
            if video_codec == "libx264":
                video.options = video_options or {"preset": "ultrafast", "bf": "0", "g": "12"}
            if images is None:
                images = _planes(len(picture_times), size, shades)
            streams.append(_pictures(video, picture_times, images))
        if sound is not None:
            audio = container.add_stream(audio_codec, rate=rate, layout=layout)
            streams.append(_sound(audio, np.atleast_2d(sound), rate, layout, sound_start))
        for _, packet in sorted((item for stream in streams for item in stream), key=_time):
            container.mux(packet)
    return path


def _time(item):
    return item[0]


def _planes(count, size, shades):
    shades = list(shades) if shades is not None else [(37 * i) % 200 for i in range(count)]
    return [picture(*size, shade) for shade in shades]


def _pictures(stream, times, images):
    for time, image in zip(times, images, strict=True):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
        for packet in stream.encode(frame):
            yield time, packet
    for packet in stream.encode(None):
        yield times[-1], packet


def _sound(stream, samples, rate, layout, start):
    step = 1024
    for first in range(0, samples.shape[1], step):
        block = np.ascontiguousarray(samples[:, first : first + step], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + round(start * rate)
        for packet in stream.encode(frame):
            yield start + first / rate, packet
    for packet in stream.encode(None):
        yield start + samples.shape[1] / rate, packet


def write_wav(path: Path, sound: NDArray[np.float32], rate: int = 16_000) -> Path:
    """Write a 16-bit WAV file of float32 [n] or [channels, n]."""
    channels = np.atleast_2d(sound)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((channels.T * 32767).astype("<i2").tobytes())
    return path


def set_rotation(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Put a display matrix (a, b, c, d) into the track header of an MP4's only track."""
    data = bytearray(path.read_bytes())
    # ISO 14496-12, tkhd version 0: the 36-byte matrix lies 40 bytes behind version and flags.
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    values = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], dtype=">i4")
    data[at : at + 36] = values.tobytes()
    path.write_bytes(data)
    return path


def truncate(path: Path, share: float) -> Path:
    """Keep the first `share` of the file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def flip_bytes(path: Path, count: int, seed: int = 0, first: float = 0.3) -> Path:
    """Overwrite `count` bytes behind the first part of the file with random ones."""
    data = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for index in generator.integers(int(len(data) * first), len(data), count):
        data[index] = generator.integers(256)
    path.write_bytes(data)
    return path
