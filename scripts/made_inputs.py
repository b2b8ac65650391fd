"""Makes inputs that people might give: media, captions and manifests, whole and damaged.

Everything about an input follows from its seed, so that one that went wrong can be made again. What
must come of it is known beforehand, or left open where damage may go either way.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

RATE = 16_000
LENGTHS = (0.02, 0.1, 0.3, 0.7, 1.0, 1.6, 2.4)
"""Seconds."""
Outcome = Literal["predicted", "refused", "either"]
Sound = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """Real footage that inputs are made of.

    Attributes:
        speech: float32 [n], mono, 16 kHz.
        face: uint8 RGB [height, width, 3].
    """

    speech: Sound
    face: Picture


@dataclass(frozen=True)
class MadeInput:
    """One input.

    Attributes:
        path: its file.
        what: how it was made.
        seconds: its length, 0 where it has none.
        outcome: what must come of it.
        words: whether it may yield words.
    """

    path: Path
    what: str
    seconds: float
    outcome: Outcome
    words: bool


@dataclass(frozen=True)
class Format:
    """A container with what is coded in it."""

    suffix: str
    video: str | None = None
    audio: str | None = None
    rate: int = 44_100
    layout: str = "stereo"
    muxer: str | None = None


FORMATS = (
    Format("mp4", "libx264", "aac"),
    Format("mp4", "mpeg4", "libmp3lame"),
    Format("mp4", "libx264"),
    Format("m4v", "mpeg4", muxer="mp4"),
    Format("mov", "mjpeg", "pcm_s16le"),
    Format("mov", "prores", "alac"),
    Format("mkv", "libx264", "libopus", 48_000),
    Format("mkv", "ffv1", "flac"),
    Format("mkv", "mpeg2video", "ac3", 48_000),
    Format("webm", "libvpx", "libopus", 48_000),
    Format("webm", "libvpx-vp9", "libopus", 48_000, "mono"),
    Format("avi", "mpeg4", "libmp3lame"),
    Format("avi", "mjpeg", "pcm_s16le", 22_050, "mono"),
    Format("ts", "mpeg2video", "mp2", 48_000, muxer="mpegts"),
    Format("ts", "libx264", "aac", 48_000, muxer="mpegts"),
    Format("mpg", "mpeg1video", "mp2", 48_000),
    Format("flv", "flv", "libmp3lame"),
    Format("wmv", "wmv2", "wmav2", muxer="asf"),
    Format("3gp", "mpeg4", "aac", 16_000, "mono"),
    Format("gif", "gif"),
    Format("wav", None, "pcm_s16le", 16_000, "mono"),
    Format("wav", None, "pcm_s24le", 48_000),
    Format("wav", None, "pcm_f32le", 8_000, "mono"),
    Format("wav", None, "pcm_u8", 11_025, "mono"),
    Format("wav", None, "pcm_s16le", 44_100, "5.1"),
    Format("wav", None, "pcm_mulaw", 8_000, "mono"),
    Format("flac", None, "flac"),
    Format("mp3", None, "libmp3lame"),
    Format("m4a", None, "aac", muxer="ipod"),
    Format("m4a", None, "alac", muxer="ipod"),
    Format("aac", None, "aac", muxer="adts"),
    Format("ogg", None, "libopus", 48_000),
    Format("opus", None, "libopus", 48_000, "mono", muxer="ogg"),
    Format("wma", None, "wmav2", muxer="asf"),
    Format("aiff", None, "pcm_s16be"),
    Format("caf", None, "pcm_s16le"),
    Format("mka", None, "libopus", 48_000, muxer="matroska"),
)
STILLS = (
    ("jpg", "JPEG", ("L", "RGB", "CMYK")),
    ("png", "PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    ("webp", "WEBP", ("RGB", "RGBA")),
    ("tiff", "TIFF", ("1", "L", "RGB", "CMYK", "I;16")),
    ("bmp", "BMP", ("1", "L", "RGB")),
    ("gif", "GIF", ("L", "P")),
    ("avif", "AVIF", ("RGB", "RGBA")),
)
NAMES: tuple[bytes, ...] = (
    b"clip",
    b"two words",
    "Müller, Zoë".encode(),
    "日本語の動画".encode(),
    "😂 funny".encode(),
    b'it\'s a "quote"',
    b"100% #1 ?",
    b"new\nline",
    b"esc\x1b[31mred\x1b]0;title\x07",
    b"caf\xe9",
    b"-dash",
    b"a:b",
    b"dots...",
    b"x" * 200,
    b"<b>&amp;",
    "\u202egnp.exe".encode(),
)


def make_media(seed: int, folder: Path, material: Material) -> MadeInput:
    """Write one video, recording or picture."""
    generator = np.random.default_rng(seed)
    name = NAMES[generator.integers(len(NAMES))] if generator.random() < 0.4 else b"clip"
    stem = os.path.join(os.fsencode(folder), b"%d " % seed + name)
    made = (_still if generator.random() < 0.2 else _clip)(generator, stem, material)
    return _damage(made, generator) if generator.random() < 0.5 else made


def _clip(generator: np.random.Generator, stem: bytes, material: Material) -> MadeInput:
    kind = FORMATS[generator.integers(len(FORMATS))]
    seconds = LENGTHS[generator.integers(len(LENGTHS))]
    sound_name, sound = _sound(generator, seconds, material)
    face = bool(generator.random() < 0.5)
    path = Path(os.fsdecode(stem + b"." + kind.suffix.encode()))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind.muxer or _MUXERS.get(kind.suffix, kind.suffix)) as out:
        encoders = []
        if kind.video:
            encoders.append(_video(out, kind.video, seconds, material.face if face else None))
        if kind.audio:
            encoders.append(_audio(out, kind, sound))
        for encode in encoders:
            encode()
    path.write_bytes(buffer.getvalue())
    audible = kind.audio is not None and sound_name != "silence"
    # A tenth of a second may be lost in the delay of a codec; noise without a face may be nothing.
    sure = sound_name == "speech" and kind.audio is not None and seconds >= 1.0
    what = f"{kind.suffix} {kind.video} {kind.audio} {seconds} s, {sound_name}, face: {face}"
    return MadeInput(path, what, seconds, "predicted" if sure else "either", audible)


_MUXERS = {"mkv": "matroska", "jpg": "mjpeg", "mpg": "mpeg"}


def _sound(generator: np.random.Generator, seconds: float, material: Material) -> tuple[str, Sound]:
    count = round(seconds * RATE)
    kind = generator.choice(["speech", "speech", "silence", "noise", "tone", "clipped"])
    time = np.arange(count) / RATE
    if kind == "silence":
        return kind, np.zeros(count, np.float32)
    if kind == "noise":
        return kind, generator.normal(0, 0.05, count).astype(np.float32)
    if kind == "tone":
        return kind, (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    # The reading begins with speech; a start in its first half minute leaves enough behind it.
    start = int(generator.integers(0, max(1, len(material.speech) - count)))
    speech = material.speech[start : start + count]
    if np.abs(speech).max(initial=0.0) < 0.02:
        return "pause", speech
    return kind, np.clip(8 * speech, -1, 1) if kind == "clipped" else speech


def _video(
    out: av.container.OutputContainer, codec: str, seconds: float, face: Picture | None
) -> Callable[[], None]:
    stream = out.add_stream(codec, rate=25)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = 160, 128
    formats = {"mjpeg": "yuvj420p", "gif": "rgb8", "prores": "yuv422p10le"}
    stream.pix_fmt = formats.get(codec, "yuv420p")
    if codec == "libx264":
        stream.options = {"preset": "ultrafast"}
    if codec.startswith("libvpx"):
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
    plain = np.full((128, 160, 3), 90, np.uint8)
    image = plain if face is None else np.asarray(Image.fromarray(face).resize((160, 128)))

    def encode() -> None:
        for number in range(max(1, round(25 * seconds))):
            frame = av.VideoFrame.from_ndarray(np.roll(image, number % 3, axis=1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    return encode


def _audio(out: av.container.OutputContainer, kind: Format, sound: Sound) -> Callable[[], None]:
    stream = out.add_stream(kind.audio or "", rate=kind.rate, layout=kind.layout)
    assert isinstance(stream, av.AudioStream)
    if kind.audio == "wmav2":
        stream.bit_rate = 128_000  # it has none of its own

    def encode() -> None:
        resampler = av.AudioResampler(stream.format, kind.layout, kind.rate)
        for first in range(0, len(sound), 4096):
            block = np.ascontiguousarray(sound[None, first : first + 4096])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
            for resampled in resampler.resample(frame):
                out.mux(stream.encode(resampled))
        for resampled in resampler.resample(None):
            out.mux(stream.encode(resampled))
        out.mux(stream.encode(None))

    return encode


def _still(generator: np.random.Generator, stem: bytes, material: Material) -> MadeInput:
    suffix, name, modes = STILLS[generator.integers(len(STILLS))]
    mode = modes[generator.integers(len(modes))]
    size = [(1, 1), (16, 9), (48, 48), (160, 120), (400, 300), (1600, 1200)][generator.integers(6)]
    orientation = int(generator.integers(0, 9))
    image = Image.fromarray(material.face).resize(size)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path = Path(os.fsdecode(stem + b"." + suffix.encode()))
    buffer = io.BytesIO()
    options: dict[str, Any] = {} if name in ("BMP", "GIF") else {"exif": exif.tobytes()}
    if name == "AVIF":
        options["speed"] = 10  # of the slower ones a large picture takes a second
    image.save(buffer, name, **options)
    path.write_bytes(buffer.getvalue())
    return MadeInput(path, f"{suffix} {mode} {size}, EXIF {orientation}", 0.0, "either", False)


def _damage(made: MadeInput, generator: np.random.Generator) -> MadeInput:
    data = bytearray(made.path.read_bytes())
    kind = generator.choice(
        ["cut", "flipped", "zeroed", "empty", "glued", "prefixed", "suffix", "text", "appended"]
    )
    outcome: Outcome = "either"
    path = made.path
    at = int(generator.integers(0, len(data) + 1))
    if kind == "cut":
        data = data[:at]
    elif kind == "flipped":
        for index in generator.integers(0, len(data), 20):
            data[index] = generator.integers(256)
    elif kind == "zeroed":
        data[at : at + 2000] = bytes(len(data[at : at + 2000]))
    elif kind == "empty":
        data, outcome = bytearray(), "refused"
    elif kind == "glued":
        data = data + data
    elif kind == "prefixed":
        data = bytearray(generator.bytes(300)) + data
    elif kind == "suffix":
        path = Path(str(path) + ".mp4")
        made.path.unlink()
        outcome = made.outcome
    elif kind == "text":
        data, outcome = bytearray(b"This is no film.\n" * 20), "refused"
    else:
        data += generator.bytes(500)
    path.write_bytes(data)
    # Two copies may be played one after the other.
    seconds = 2 * made.seconds if kind == "glued" else made.seconds
    words = made.words or kind in ("flipped", "zeroed", "prefixed", "cut")
    return replace(
        made, path=path, what=f"{made.what}, {kind}", seconds=seconds, outcome=outcome, words=words
    )


LINES = (
    "I am so happy to see you.",
    "[laughter]",
    "ROSS: What are you doing?",
    "- No.\n- Yes!",
    "♪ la la ♪",
    "<i>It was the best of times</i>",
    "",
    "私はとても悲しい",
    "😭😭😭",
    "a" * 3000,
    "-->",
    "42",
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp1251", "shift-jis", "gbk")


def make_captions(seed: int, folder: Path) -> Path:
    """Write a caption file, or something that is given for one."""
    generator = np.random.default_rng((seed, 1))
    suffix = str(generator.choice(["srt", "vtt", "txt"]))
    time, blocks = 0.0, ["WEBVTT\n"] if suffix == "vtt" else []
    for number in range(int(generator.integers(0, 8))):
        length = float(generator.choice([0.0, 0.01, 0.8, 1.5, 360_000.0, -1.0], p=_RARELY))
        line = LINES[generator.integers(len(LINES))]
        if suffix == "txt":
            blocks.append(line)
            continue
        times = f"{_clock(time, suffix)} --> {_clock(max(0.0, time + length), suffix)}"
        if generator.random() < 0.05:
            times = times.replace(":", "x", 1)
        blocks.append(f"{number + 1}\n{times}\n{line}\n")
        time = max(0.0, time + float(generator.choice([1.0, 0.0, -0.5, 3600.0], p=_STEPS)))
    text = str(generator.choice(["\n", "\r\n", "\r"])).join("\n".join(blocks).split("\n"))
    path = folder / f"{seed}.{suffix}"
    encoding = ENCODINGS[generator.integers(len(ENCODINGS))]
    data = bytearray(text.encode(encoding, errors="replace"))
    if generator.random() < 0.1:
        data = bytearray(generator.bytes(400))
    path.write_bytes(data)
    return path


_RARELY = (0.05, 0.05, 0.4, 0.4, 0.05, 0.05)
_STEPS = (0.8, 0.1, 0.05, 0.05)


def _clock(seconds: float, suffix: str) -> str:
    whole = int(seconds)
    point = "," if suffix == "srt" else "."
    millis = round(1000 * (seconds - whole)) % 1000
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{millis:03}"


def make_manifest(seed: int, folder: Path, clip: str) -> tuple[Path, bool]:
    """Write a manifest of one clip; returns whether every row of it is plain and right."""
    generator = np.random.default_rng((seed, 2))
    separator = str(generator.choice([",", ";", "\t"]))
    names = ["path", "text", "emotion"]
    extra = str(generator.choice(["", "dialogue_id", "start", "speaker"]))
    names += [extra] if extra else []
    header = [name.upper() if generator.random() < 0.3 else f" {name} " for name in names]
    right = True
    rows = []
    for number in range(int(generator.integers(1, 4))):
        emotion = str(generator.choice(["joy", "Anger", "neutral", "happy", "9", ""], p=_LABELS))
        cells = [str(generator.choice([clip, clip, "missing.wav", ""])), "hello there", emotion]
        right &= cells[0] != "missing.wav" and emotion in ("joy", "Anger", "neutral")
        if extra:
            cells.append(str(number) if extra != "start" else "0")
        rows.append(cells)
        if generator.random() < 0.3:
            rows.append([""] * len(names))
    lines = [separator.join(cells) for cells in [header, *rows]]
    if generator.random() < 0.1:
        lines.insert(0, f"sep={separator}")
    encoding = str(generator.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    path = folder / f"{seed}.csv"
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))
    return path, right


_LABELS = (0.3, 0.2, 0.3, 0.07, 0.07, 0.06)
