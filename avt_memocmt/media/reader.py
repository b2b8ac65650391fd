"""One pass over a media file: sound and sampled pictures, in the order of the file."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Literal

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame as DecodedFrame
from av.video.stream import VideoStream

from avt_memocmt.errors import AvtError
from avt_memocmt.media.audio_converter import AudioConverter
from avt_memocmt.media.container import audio_stream, describe, open_container, video_stream
from avt_memocmt.media.frame_sampler import FrameSampler, PictureConverter
from avt_memocmt.media.packets import PacketReader
from avt_memocmt.media.read_ahead import read_ahead
from avt_memocmt.media.sound_check import audible_track, full_scale
from avt_memocmt.media.stated_size import size_warning, states_length
from avt_memocmt.media.types import AudioChunk, VideoFrame

# Formats whose header states the length; elsewhere FFmpeg only estimates it.
_STATED_LENGTH = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "avi", "flac"}
_STATED_LENGTH |= {"asf", "flv", "mxf", "tta", "wv"}
_TRUNCATION_TOLERANCE = 0.5  # seconds
_AHEAD = 24  # events: bounds the memory of decoded pictures


class MediaReader:
    """Decodes the sound and the sampled pictures of one file in one pass, with bounded memory.

    No library reads both in the order of the file with a bound on what waits for the other.

    Attributes:
        info: what the header says the file holds.
        warnings: names of what went wrong so far, each once: "no_audio" (a video without sound),
            "no_video" (sound without pictures), "corrupt_audio", "corrupt_frames", "truncated"
            (the file ends before its header says), "rest_unread" (a second recording follows in
            the file), "clock_jump" (timestamps run back; see `MediaClock`), "other_track" (the
            main sound track is silent, so another one is read).

    Args:
        path: a video, audio or image file.
        frames_per_second: pictures sampled each second of the media's own clock.
        max_side: longer side of a yielded picture in pixels; larger ones are scaled down.
        only: decode "audio" or "video" alone.
        start: nothing that ends before this time, in seconds, is yielded; the first picture from
            here on is. What lies long before it is not decoded.
        end: nothing that starts at or after this time, in seconds, is yielded, and reading stops
            once both kinds have passed it.
        audio_track: number of the sound track to read, from 1; None reads the one that FFmpeg
            holds for the main one, or another where that is silent.
        container: an open source to read; the path is then only its name.

    Raises:
        AvtError: the path is missing, a folder, empty, not media, damaged beyond decoding,
            without any sound or picture, without the kind that `only` asks for or the sound
            track; or the times are no span.
    """

    def __init__(
        self,
        path: str | Path,
        frames_per_second: float = 4.0,
        max_side: int = 1280,
        *,
        only: Literal["audio", "video"] | None = None,
        start: float = 0.0,
        end: float = math.inf,
        audio_track: int | None = None,
        container: InputContainer | None = None,
    ) -> None:
        if not 0.0 <= start < end:
            raise AvtError(
                f"{start:g} to {end:g} s is no span of {path}; give times with 0 <= start < end."
            )
        self.path = Path(path)
        self.warnings: list[str] = []
        self._ahead: Generator[AudioChunk | VideoFrame, None, None] | None = None
        self._start, self._end = start, end
        self._sampler = FrameSampler(frames_per_second)
        self._container = container or open_container(self.path)
        self._is_file = container is None
        self._video = video_stream(self._container)
        codec = self._video.codec_context.name if self._video is not None else ""
        self._converter = PictureConverter(max_side, codec)
        if self._video is not None and self._is_file:
            # Decodes on all processors, some pictures ahead, which a live source cannot wait for.
            self._video.thread_type = "AUTO"
        try:
            self._audio = audio_stream(self._container, audio_track)
            if audio_track is None and self._is_file and only != "video":
                self._find_audible()
            self._choose(only)
        except AvtError:
            self.close()
            raise
        name = self._container.format.name
        is_stated = name in _STATED_LENGTH and states_length(self.path, name)
        self._stated = self.info.duration if is_stated and self._is_file else None
        self._source = PacketReader(self._container, self._streams, self._warn)
        self._sound_end: float | None = None
        self._picture_end: float | None = None
        self._next_picture = 0.0

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        if self._ahead is not None:
            self._ahead.close()
        self._container.close()

    @property
    def reached(self) -> float:
        """Seconds from the start of the media to the end of what was read so far."""
        return max(self._sound_end or 0.0, self._picture_end or 0.0)

    def events_ahead(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield `events`, decoded ahead in a thread of its own; ends when the reader closes."""
        self._ahead = read_ahead(self.events(), _AHEAD)
        return self._ahead

    def events(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield sound and pictures lazily, each kind in time order; can be read once.

        Times count from the start of the media: the earliest timestamp of any stream is 0, so a
        stream that starts later keeps its delay. Damaged packets are skipped with a warning.

        Raises:
            AvtError: nothing at all can be decoded.
        """
        wanted = [stream for stream in (self._audio, self._video) if stream is not None]
        packets = self._source.timed(wanted, self._stated, self._start, self._end)
        scale = full_scale(self.path, self._audio) if self._audio and self._is_file else 1.0
        converter = AudioConverter(self._source.origin, scale)
        for stream, packet in packets:
            if stream is self._video:
                self._pass_over(packet)
            for frame in self._decode(stream, packet):
                if isinstance(frame, AudioFrame):
                    yield from self._sound(converter.push(frame))
                elif (picture := self._picture(frame)) is not None:
                    yield picture
            if self._is_past_end():
                return
        yield from self._sound(converter.flush())
        if self.reached < self._end:
            self._conclude()

    def _find_audible(self) -> None:
        """Take another sound track where the main one of several is silent."""
        tracks = self._container.streams.audio
        if self._audio is None or len(tracks) < 2:
            return
        index = audible_track(self.path, self._audio)
        if index != self._audio.index:
            self._audio = next(track for track in tracks if track.index == index)
            self._warn("other_track")

    def _choose(self, only: Literal["audio", "video"] | None) -> None:
        audio, video = self._audio, self._video
        self._streams: list[Stream] = [stream for stream in (audio, video) if stream is not None]
        if audio is None and video is None:
            raise AvtError(f"{self.path} holds neither sound nor pictures; give a media file.")
        if only == "audio" and audio is None:
            raise AvtError(f"{self.path} has no sound; give a file with a sound track.")
        if only == "video" and video is None:
            raise AvtError(f"{self.path} has no pictures; give a video or an image.")
        self.info = describe(self._container, audio, video)
        if self.info.kind == "video" and audio is None:
            self._warn("no_audio")
        if video is None:
            self._warn("no_video")
        if only == "audio":
            self._video = None
        if only == "video":
            self._audio = None

    def _decode(
        self, stream: Stream, packet: Packet[Stream] | None
    ) -> Iterator[AudioFrame | DecodedFrame]:
        assert isinstance(stream, AudioStream | VideoStream)
        try:
            yield from stream.decode(packet)
        except av.FFmpegError:
            # Before a window lies what decoding may begin in the middle of.
            if packet is None or packet.pts is None or self._time(packet) >= self._start:
                self._warn("corrupt_audio" if stream is self._audio else "corrupt_frames")

    def _pass_over(self, packet: Packet[Stream] | None) -> None:
        """Let the decoder drop the packet's picture if neither we nor another picture need it.

        Only the decoder knows which pictures others need; half of those of usual H.264 are not.
        """
        if self._video is None or packet is None or packet.pts is None:
            return
        time = max(0.0, self._time(packet))
        skipped = time < self._start or (time < self._end and self._sampler.may_skip(time))
        self._video.codec_context.skip_frame = "NONREF" if skipped else "DEFAULT"

    def _sound(self, chunks: Iterator[AudioChunk]) -> Iterator[AudioChunk]:
        try:
            for chunk in chunks:
                self._sound_end = chunk.end
                if chunk.end > self._start and chunk.start < self._end:
                    yield chunk
        except (av.FFmpegError, ValueError):
            # A damaged frame header may claim a layout or rate that cannot be converted.
            self._warn("corrupt_audio")

    def _picture(self, frame: DecodedFrame) -> VideoFrame | None:
        assert self._video is not None
        # PyAV leaves the unit out of pictures that a threaded decoder holds back until the end.
        unit = frame.time_base or self._video.time_base
        # A raw stream carries no timestamps: its nominal frame rate is all there is.
        time = self._next_picture
        if frame.pts is not None and unit is not None:
            time = max(0.0, float(frame.pts * unit) - self._source.origin)
        if frame.is_corrupt:
            if time >= self._start:
                self._warn("corrupt_frames")
            return None
        rate = float(self._video.guessed_rate or 25)
        length = float(frame.duration * unit) if frame.duration and unit else 1.0 / rate
        self._next_picture = time + length
        self._picture_end = max(self._picture_end or 0.0, self._next_picture)
        if not self._start <= time < self._end or not self._sampler.wants(time):
            return None
        try:
            return VideoFrame(time, self._converter.rgb(frame))
        except (av.FFmpegError, ValueError):
            self._warn("corrupt_frames")
            return None

    def _is_past_end(self) -> bool:
        sound_done = self._audio is None or (self._sound_end or 0.0) >= self._end
        pictures_done = self._video is None or (self._picture_end or 0.0) > self._end
        return sound_done and pictures_done

    def _conclude(self) -> None:
        if self._sound_end is None and self._picture_end is None:
            raise AvtError(
                f"{self.path} cannot be decoded: no sound and no picture in it is intact; "
                "record or download it again."
            )
        # What lies before a window was not decoded.
        if self._audio is not None and self._sound_end is None and not self._start:
            self._warn("no_audio")
        if self._video is not None and self._picture_end is None and not self._start:
            self._warn("no_video")
        is_whole = all(stream in (self._audio, self._video) for stream in self._streams)
        if is_whole and self._stated and self.reached < self._stated - _TRUNCATION_TOLERANCE:
            self._warn("truncated")
        if self._is_file and (found := size_warning(self.path, self._source.last_byte)) is not None:
            self._warn(found)

    def _time(self, packet: Packet[Stream]) -> float:
        """Seconds from the start of the media at which a packet with a timestamp is shown."""
        assert packet.pts is not None
        return float(packet.pts * packet.time_base) - self._source.origin

    def _warn(self, name: str) -> None:
        if name not in self.warnings:
            self.warnings.append(name)
