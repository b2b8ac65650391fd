"""Opens media files and picks the streams to decode."""

from __future__ import annotations

import os
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import MediaInfo

_TEXT_CODECS = {"ansi", "bintext", "xbin", "idf"}  # text files that FFmpeg would draw as pictures
_STILL_BRANDS = {"avif", "heic", "heix", "mif1"}


def open_container(path: Path) -> InputContainer:
    """Open a media file for reading.

    Raises:
        AvtError: the path is missing, a folder, empty, unreadable, damaged or not media.
    """
    if not path.exists():
        raise AvtError(f"{path} does not exist; check the path.")
    if not path.is_file():
        raise AvtError(f"{path} is not a file; give one media file.")
    if path.stat().st_size == 0:
        raise AvtError(f"{path} is empty (0 bytes); record or download it again.")
    try:
        # The absolute path keeps FFmpeg from reading "name:" as a protocol.
        return av.open(os.path.abspath(path), metadata_errors="replace")
    except PermissionError as error:
        raise AvtError(f"{path} may not be read; check its permissions.") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AvtError(_refusal(path)) from error


def _refusal(path: Path) -> str:
    with path.open("rb") as file:
        is_mp4 = file.read(12)[4:8] == b"ftyp"
    if is_mp4:
        return (
            f"{path} cannot be decoded: its index (moov atom) is missing or damaged, as in a "
            "recording cut off; record or download it again."
        )
    return f"{path} is not media that FFmpeg can read, or it is damaged; check the file."


def audio_stream(container: InputContainer, number: int | None = None) -> AudioStream | None:
    """A sound stream.

    Args:
        container: an open file.
        number: of its sound track, from 1; None is the one that FFmpeg holds for the main one.

    Returns:
        The stream; None where there is no main one, or it cannot be decoded.

    Raises:
        AvtError: there is no track of that number, or it cannot be decoded.
    """
    if number is not None:
        return _numbered(container, number)
    best = container.streams.best("audio")
    # FFmpeg knows nothing yet of sound that begins late in a transport stream.
    tracks = [best] if isinstance(best, AudioStream) else container.streams.audio
    return next((track for track in tracks if track.codec_context is not None), None)


def _numbered(container: InputContainer, number: int) -> AudioStream:
    tracks = container.streams.audio
    if not tracks:
        raise AvtError(f"{container.name} has no sound track; leave out --audio-track.")
    if not 1 <= number <= len(tracks):
        counted = "1 sound track" if len(tracks) == 1 else f"{len(tracks)} sound tracks"
        raise AvtError(
            f"{container.name} has {counted}, so there is no track {number}; give --audio-track "
            f"a number from 1 to {len(tracks)}."
        )
    if tracks[number - 1].codec_context is None:
        raise AvtError(f"sound track {number} of {container.name} cannot be decoded; give another.")
    return tracks[number - 1]


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not cover art, a tile of a HEIC photo, or drawn text."""
    no_pictures = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
    for stream in container.streams.video:
        if stream.codec_context is None or stream.codec_context.name in _TEXT_CODECS:
            continue
        if not stream.disposition & no_pictures:
            return stream
    return None


def describe(
    container: InputContainer, audio: AudioStream | None, video: VideoStream | None
) -> MediaInfo:
    """What the header says of the two streams; a still with sound or an animated GIF is a video."""
    duration = container.duration
    kind = "audio" if video is None else "video"
    if audio is None and video is not None and _is_still(video):
        kind, duration = "image", None
    seconds = duration / av.time_base if duration and duration > 0 else None
    return MediaInfo(kind, seconds, audio is not None, video is not None)


def _is_still(stream: VideoStream) -> bool:
    container = stream.container
    name = container.format.name
    return (
        name == "image2"
        or name.endswith("_pipe")
        or container.metadata.get("major_brand") in _STILL_BRANDS
        or (name == "gif" and stream.frames <= 1)
    )
