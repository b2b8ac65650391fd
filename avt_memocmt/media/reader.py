"""One pass over a media file: sound and sampled pictures, in the order of the file."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain
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
from avt_memocmt.media.display_picture import PictureConverter
from avt_memocmt.media.event_order import in_order_of_time, read_ahead
from avt_memocmt.media.frame_sampler import FrameSampler
from avt_memocmt.media.picture_file import PictureFile, open_picture_file
from avt_memocmt.media.types import AudioChunk, VideoFrame

# Formats whose header states the length; elsewhere FFmpeg only estimates it.
_STATED_LENGTH = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "avi", "flac"}
_TRUNCATION_TOLERANCE = 0.5  # seconds
_MAX_READ_FAILURES = 50
_NO_SOUND = "{} has no sound; give a file with a sound track."
_AHEAD = 24  # events: bounds the memory of decoded pictures


class MediaReader:
    """Decodes the sound and the sampled pictures of one file in one pass, with bounded memory.

    No library reads both in the order of the file with a bound on what waits for the other.

    Attributes:
        info: what the header says the file holds.
        warnings: names of what went wrong so far, each once: "no_audio" (a video without sound),
            "no_video" (sound without pictures), "corrupt_audio", "corrupt_frames", "truncated"
            (the file ends before its header says).

    Args:
        path: a video, audio or image file.
        frames_per_second: pictures sampled each second of the media's own clock.
        max_side: longer side of a yielded picture in pixels; larger ones are scaled down.
        only: decode "audio" or "video" alone.
        start: nothing that ends before this time, in seconds, is yielded; the first picture from
            here on is.
        end: nothing that starts at or after this time, in seconds, is yielded, and reading stops
            once both kinds have passed it.
        container: an open source to read; the path is then only its name.

    Raises:
        AvtError: the path is missing, a folder, empty, not media, damaged beyond decoding,
            without any sound or picture, or without the kind that `only` asks for; or the times
            are no span.
    """

    def __init__(
        self,
        path: str | Path,
        frames_per_second: float = 4.0,
        max_side: int = 1920,
        *,
        only: Literal["audio", "video"] | None = None,
        start: float = 0.0,
        end: float = math.inf,
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
        self._period = 1 / frames_per_second
        self._origin = 0.0
        self._sound_end: float | None = None
        self._picture_end: float | None = None
        self._next_picture = 0.0
        self._before_start: DecodedFrame | None = None
        self._pictures = open_picture_file(self.path, max_side) if container is None else None
        if self._pictures is not None:
            self.info = self._pictures.info
            self.warnings += ["no_audio"] if self._pictures.is_animated else []
            if only == "audio":
                self.close()
                raise AvtError(_NO_SOUND.format(self.path))
            return
        self._is_live = container is not None
        self._container = container or open_container(self.path)
        self._audio = audio_stream(self._container)
        self._video = video_stream(self._container)
        if self._video is not None:
            self._converter = PictureConverter(max_side, self._video)
            is_slow = (self._video.guessed_rate or 25) < frames_per_second
            if not self._is_live and not is_slow:
                # Decodes on all processors, some pictures ahead, which take too long to come from a
                # live source or a slide show.
                self._video.thread_type = "AUTO"
        try:
            self._choose(only)
        except AvtError:
            self.close()
            raise

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        if self._ahead is not None:
            self._ahead.close()
        if self._pictures is not None:
            self._pictures.close()
        else:
            self._container.close()

    def events_ahead(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield `events`, decoded ahead in a thread of its own; ends when the reader closes."""
        self._ahead = read_ahead(self.events(), _AHEAD)
        return self._ahead

    def events(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield sound and pictures lazily, each kind in time order; can be read once.

        Those of a file come in the order of their times, those of a live source as they arrive.
        Times count from the start of the media: the earliest timestamp of any stream is 0, so a
        stream that starts later keeps its delay. Damaged packets are skipped with a warning.

        Raises:
            AvtError: nothing at all can be decoded.
        """
        if self._pictures is not None:
            yield from self._shown(self._pictures)
        elif self._is_live or self._audio is None or self._video is None:
            yield from self._decoded()
        else:
            yield from in_order_of_time(self._decoded())

    def _decoded(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield sound and pictures in the order of the file."""
        packets = self.packets()
        first = next(packets)
        self._origin = self._first_time(first[1])
        converter = AudioConverter(self._origin)
        for stream, packet in chain([first], packets):
            if stream not in (self._audio, self._video):
                continue
            if stream is self._video:
                self._pass_over(packet)
            for frame in self._decode(stream, packet):
                if isinstance(frame, AudioFrame):
                    yield from self._sound(converter.push(frame))
                else:
                    yield from self._picture(frame)
            if self._is_past_end():
                yield from self._held_at_start(self._end)
                return
        yield from self._sound(converter.flush())
        yield from self._held_at_start(self._end)
        self._conclude()

    def _shown(self, pictures: PictureFile) -> Iterator[VideoFrame]:
        yield from pictures.frames(self._sampler, self._start, self._end)
        if pictures.is_damaged:
            self._warn("corrupt_frames")
        self.info = replace(self.info, duration=pictures.duration)

    def packets(self) -> Iterator[tuple[Stream, Packet[Stream] | None]]:
        """Yield the packets of the two streams; None stands for the end of a stream."""
        streams = self._streams
        for _ in range(_MAX_READ_FAILURES):
            try:
                for packet in self._container.demux(streams):
                    if packet.size:
                        yield packet.stream, packet
                break
            except IndexError:
                # PyAV 18 stumbles at the end of a transport stream in which a stream began late.
                break
            except av.FFmpegError:
                # Reading may go on behind the damage.
                self._warn("truncated")
        for stream in streams:
            yield stream, None

    def _choose(self, only: Literal["audio", "video"] | None) -> None:
        audio, video = self._audio, self._video
        self._streams: list[Stream] = [stream for stream in (audio, video) if stream is not None]
        if audio is None and video is None:
            raise AvtError(f"{self.path} holds neither sound nor pictures; give a media file.")
        if only == "audio" and audio is None:
            raise AvtError(_NO_SOUND.format(self.path))
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

    def _first_time(self, packet: Packet[Stream] | None) -> float:
        """The earliest timestamp in seconds: the origin of the media's clock.

        FFmpeg finds it while probing, but passes over the first picture of a slow video. Negative
        timestamps of a first packet are an encoder's run-in, which the decoder drops.
        """
        start = self._container.start_time
        times = [] if start is None else [start / av.time_base]
        if packet is not None and packet.pts is not None:
            times.append(max(0.0, float(packet.pts * packet.time_base)))
        return min(times, default=0.0)

    def _decode(
        self, stream: Stream, packet: Packet[Stream] | None
    ) -> Iterator[AudioFrame | DecodedFrame]:
        assert isinstance(stream, AudioStream | VideoStream)
        try:
            yield from stream.decode(packet)
        except av.FFmpegError:
            self._warn("corrupt_audio" if stream is self._audio else "corrupt_frames")

    def _pass_over(self, packet: Packet[Stream] | None) -> None:
        """Let the decoder drop the packet's picture if neither we nor another picture need it.

        Only the decoder knows which pictures others need; half of those of usual H.264 are not.
        """
        if self._video is None or packet is None or packet.pts is None:
            return
        time = max(0.0, float(packet.pts * packet.time_base) - self._origin)
        skipped = self._start <= time < self._end and self._sampler.may_skip(time)
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

    def _picture(self, frame: DecodedFrame) -> Iterator[VideoFrame]:
        if frame.is_corrupt:
            self._warn("corrupt_frames")
            return
        assert self._video is not None
        # PyAV leaves the unit out of pictures that a threaded decoder holds back until the end.
        unit = frame.time_base or self._video.time_base
        # A raw stream carries no timestamps: its nominal frame rate is all there is.
        time = self._next_picture
        if frame.pts is not None and unit is not None:
            time = max(0.0, float(frame.pts * unit) - self._origin)
        rate = float(self._video.guessed_rate or 25)
        length = float(frame.duration * unit) if frame.duration and unit else 1.0 / rate
        self._next_picture = time + length
        self._picture_end = max(self._picture_end or 0.0, self._next_picture)
        if time < self._start:
            self._before_start = frame
            return
        yield from self._held_at_start(time)
        if time < self._end and self._sampler.wants(time):
            yield from self._converted(time, frame)

    def _held_at_start(self, following: float) -> Iterator[VideoFrame]:
        """Yield the picture on the screen at the start of the span, if none follows it soon.

        Args:
            following: when the next picture comes, in seconds, or the end of the span.
        """
        frame, self._before_start = self._before_start, None
        soon = min(self._start + self._period, self._end)
        if frame is not None and following >= soon and self._sampler.wants(self._start):
            yield from self._converted(self._start, frame)

    def _converted(self, time: float, frame: DecodedFrame) -> Iterator[VideoFrame]:
        try:
            yield VideoFrame(time, self._converter.rgb(frame))
        except (av.FFmpegError, ValueError):
            self._warn("corrupt_frames")

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
        if self._audio is not None and self._sound_end is None:
            self._warn("no_audio")
        if self._video is not None and self._picture_end is None:
            self._warn("no_video")
        stated = self.info.duration if self._container.format.name in _STATED_LENGTH else None
        reached = max(self._sound_end or 0.0, self._picture_end or 0.0)
        is_whole = all(stream in (self._audio, self._video) for stream in self._streams)
        if is_whole and stated is not None and reached < stated - _TRUNCATION_TOLERANCE:
            self._warn("truncated")

    def _warn(self, name: str) -> None:
        if name not in self.warnings:
            self.warnings.append(name)
