"""Opens media files and picks the streams to decode."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from avt_memocmt.errors import AvtError
from avt_memocmt.media.address import refuse_what_is_no_path
from avt_memocmt.media.types import MediaInfo

# A playlist names other files. None is fetched from elsewhere; what is in memory opens none.
_PROTOCOLS, _PROTOCOLS_IN_MEMORY = "file,crypto,data", "crypto,data"
_TEXT_CODECS = {"ansi", "bintext", "xbin", "idf"}  # text files that FFmpeg would draw as pictures


def open_container(path: Path, file: BinaryIO | None = None) -> InputContainer:
    """Open a media file for reading; what it names is opened only where that lies on this machine.

    Args:
        path: of the file.
        file: the open file, at its start; the path is then only its name.

    Raises:
        AvtError: the path is missing, a folder, empty, unreadable, damaged or not media.
    """
    if file is None:
        _require_file(path)
    # The absolute path keeps FFmpeg from reading "name:" as a protocol.
    source = os.path.abspath(path) if file is None else file
    options = {"protocol_whitelist": _PROTOCOLS if file is None else _PROTOCOLS_IN_MEMORY}
    try:
        return av.open(source, "r", metadata_errors="replace", options=options)
    except PermissionError as error:
        raise AvtError(f"{path} may not be read; check its permissions.") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AvtError(_refusal(path, file)) from error


def _require_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        refuse_what_is_no_path(path)
        raise AvtError(f"{path} does not exist; check the path.") from error
    except OSError as error:
        raise AvtError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    if stat.S_ISFIFO(status.st_mode):
        raise AvtError(f"{path} is a pipe; write what it sends to a file and give that.")
    if not stat.S_ISREG(status.st_mode):
        raise AvtError(f"{path} is not a file; give one media file.")
    if status.st_size == 0:
        raise AvtError(f"{path} is empty (0 bytes); record or download it again.")


def _refusal(path: Path, file: BinaryIO | None) -> str:
    with path.open("rb") if file is None else nullcontext(file) as opened:
        opened.seek(0)
        is_mp4 = opened.read(12)[4:8] == b"ftyp"
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
    """The picture stream that FFmpeg holds for the main one, or the first that is a film.

    Cover art, a tile of a HEIC photo, and drawn text are no film. FFmpeg prefers the stream of most
    pictures and data, so that a cover that is not marked as one does not hide the film behind it.
    """
    films = [stream for stream in container.streams.video if _is_film(stream)]
    best = container.streams.best("video")
    return best if best in films else next(iter(films), None)


def _is_film(stream: VideoStream) -> bool:
    no_film = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
    return (
        stream.codec_context is not None
        and stream.codec_context.name not in _TEXT_CODECS
        and not stream.disposition & no_film
    )


def nominal_rate(stream: VideoStream) -> float:
    """Pictures a second that the header of a picture stream states; 25 where it states none."""
    return float(stream.guessed_rate or 25)


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
    return name == "image2" or name.endswith("_pipe") or (name == "gif" and stream.frames <= 1)
