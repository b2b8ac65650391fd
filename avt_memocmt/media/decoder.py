"""Decodes the packets of a sound and a picture stream within a span of the media."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame as DecodedFrame
from av.video.stream import VideoStream

from avt_memocmt.media.audio_converter import AudioConverter
from avt_memocmt.media.clock import TimedPacket
from avt_memocmt.media.container import nominal_rate
from avt_memocmt.media.display_picture import PictureConverter
from avt_memocmt.media.frame_sampler import DenseFrames, FrameSampler
from avt_memocmt.media.types import AudioChunk, VideoFrame

_HELD = 1.0
"""Seconds for which a picture of an ordinary film stays on the screen, at most."""
_LONGEST_GAP = 0.1
"""Seconds between two pictures, at most, over which a picture that no other needs is left out."""


class Decoder:
    """Turns packets into sound and sampled pictures with their times.

    Attributes:
        sound_end: seconds from the start of the media to the end of the sound so far; None before
            any was decoded.
        picture_end: the same of the pictures.

    Args:
        audio: the sound stream, if it is wanted.
        video: the picture stream, if it is wanted.
        frames_per_second: pictures sampled each second.
        max_side: longer side of a yielded picture, pixels.
        span: start and end in seconds; nothing that ends before or starts after it is yielded.
        warn: called with the names of warnings.
        between: pictures yielded each second with those between the sampled ones, which are grey;
            0 = none. Fewer are, but at least ten, where that saves decoding some.
    """

    def __init__(
        self,
        audio: AudioStream | None,
        video: VideoStream | None,
        frames_per_second: float,
        max_side: int,
        span: tuple[float, float],
        warn: Callable[[str], None],
        between: float = 0.0,
    ) -> None:
        self.sound_end: float | None = None
        self.picture_end: float | None = None
        self._audio, self._video = audio, video
        self._period = 1 / frames_per_second
        self._sampler = FrameSampler(frames_per_second)
        self._between = FrameSampler(between) if between else None
        self._dense = DenseFrames(_LONGEST_GAP)
        self._is_slow = False
        if video is not None:
            self._is_slow = nominal_rate(video) < frames_per_second
            self._converter = PictureConverter(max_side, video)
        self._start, self._end = span
        self._warn = warn
        self._origin = 0.0
        self._next_picture = 0.0
        self._before_start: DecodedFrame | None = None

    @property
    def reached(self) -> float:
        """Seconds from the start of the media to the end of what was decoded so far."""
        return max(self.sound_end or 0.0, self.picture_end or 0.0)

    @property
    def shown_size(self) -> tuple[int, int] | None:
        """Width and height of the first picture in full size; None before it."""
        return None if self._video is None else self._converter.shown_size

    @property
    def is_idle(self) -> bool:
        """Whether nothing was decoded yet."""
        return self.sound_end is None and self.picture_end is None

    def events(
        self, packets: Iterable[TimedPacket], origin: float, scale: float
    ) -> Iterator[AudioChunk | VideoFrame]:
        """Yield sound and pictures in the order of the packets, until both have passed the span.

        Args:
            packets: of the two streams.
            origin: timestamp of the start of the media, seconds.
            scale: full scale of the samples.
        """
        self._origin = origin
        sound = AudioConverter(origin, scale)
        for stream, packet in packets:
            if stream is self._video:
                self._pass_over(packet)
            for frame in self._decode(stream, packet):
                if isinstance(frame, AudioFrame):
                    yield from self._sound(sound.push(frame))
                else:
                    yield from self._picture(frame)
            if self._is_past_end():
                break
        else:
            yield from self._sound(sound.flush())
        if self.reached > self._start:
            yield from self._held_at_start(self._end)

    def time(self, packet: Packet[Stream]) -> float:
        """Seconds from the start of the media at which a packet with a timestamp is shown."""
        assert packet.pts is not None
        return float(packet.pts * packet.time_base) - self._origin

    def _decode(
        self, stream: Stream, packet: Packet[Stream] | None
    ) -> Iterator[AudioFrame | DecodedFrame]:
        assert isinstance(stream, AudioStream | VideoStream)
        try:
            yield from stream.decode(packet)
        except av.FFmpegError:
            # Before a window lies what decoding may begin in the middle of.
            if packet is None or packet.pts is None or self.time(packet) >= self._start:
                self._warn("corrupt_audio" if stream is self._audio else "corrupt_frames")

    def _pass_over(self, packet: Packet[Stream] | None) -> None:
        """Let the decoder drop the packet's picture if neither we nor another picture need it.

        Only the decoder knows which pictures others need; half of those of usual H.264 are not.
        """
        if self._video is None or packet is None or packet.pts is None:
            return
        time = max(0.0, self.time(packet))
        # Of those before the span, the last one may be held on the screen into it.
        if time < self._start:
            skipped = time < self._start - _HELD and not self._is_slow
        else:
            skipped = time < self._end and self._sampler.may_skip(time)
            if self._between is not None:
                skipped &= self._between.may_skip(time) or self._dense.may_skip(time)
        self._video.codec_context.skip_frame = "NONREF" if skipped else "DEFAULT"

    def _sound(self, chunks: Iterator[AudioChunk]) -> Iterator[AudioChunk]:
        try:
            for chunk in chunks:
                self.sound_end = chunk.end
                if chunk.end > self._start and chunk.start < self._end:
                    yield chunk
        except (av.FFmpegError, ValueError):
            # A damaged frame header may claim a layout or rate that cannot be converted.
            self._warn("corrupt_audio")

    def _picture(self, frame: DecodedFrame) -> Iterator[VideoFrame]:
        assert self._video is not None
        # PyAV leaves the unit out of pictures that a threaded decoder holds back until the end.
        unit = frame.time_base or self._video.time_base
        # A raw stream carries no timestamps: its nominal frame rate is all there is.
        time = self._next_picture
        if frame.pts is not None and unit is not None:
            time = max(0.0, float(frame.pts * unit) - self._origin)
        if frame.is_corrupt:
            if time >= self._start:
                self._warn("corrupt_frames")
            return
        length = 1.0 / nominal_rate(self._video)
        if frame.duration and unit:
            length = float(frame.duration * unit)
        self._next_picture = time + length
        self.picture_end = max(self.picture_end or 0.0, self._next_picture)
        if time < self._start:
            self._before_start = frame
            return
        yield from self._held_at_start(time)
        if time >= self._end:
            return
        is_between = self._between is not None and self._between.wants(time)
        if self._sampler.wants(time):
            yield from self._converted(time, frame)
        elif is_between:
            yield from self._converted(time, frame, between=True)

    def _held_at_start(self, following: float) -> Iterator[VideoFrame]:
        """Yield the picture on the screen at the start of the span, if none follows it soon.

        Args:
            following: when the next picture comes, in seconds, or the end of the span.
        """
        frame, self._before_start = self._before_start, None
        soon = min(self._start + self._period, self._end)
        if frame is not None and following >= soon and self._sampler.wants(self._start):
            yield from self._converted(self._start, frame)

    def _converted(
        self, time: float, frame: DecodedFrame, between: bool = False
    ) -> Iterator[VideoFrame]:
        convert = self._converter.grey if between else self._converter.rgb
        try:
            yield VideoFrame(time, convert(frame), between)
        except (av.FFmpegError, ValueError):
            self._warn("corrupt_frames")

    def _is_past_end(self) -> bool:
        sound_done = self._audio is None or (self.sound_end or 0.0) >= self._end
        pictures_done = self._video is None or (self.picture_end or 0.0) > self._end
        return sound_done and pictures_done
