"""One pass over a media file: sound and sampled pictures with their times."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from av.container import InputContainer
from av.stream import Stream

from avt_memocmt.errors import AvtError
from avt_memocmt.media.clock import TimedPacket
from avt_memocmt.media.container import (
    audio_stream,
    describe,
    nominal_rate,
    open_container,
    video_stream,
)
from avt_memocmt.media.decoder import Decoder
from avt_memocmt.media.event_order import in_order_of_time
from avt_memocmt.media.frame_sampler import FrameSampler
from avt_memocmt.media.packets import PacketReader, PacketTape
from avt_memocmt.media.picture_file import PictureFile, open_picture_file
from avt_memocmt.media.read_ahead import read_ahead
from avt_memocmt.media.sound_check import audible_track, full_scale
from avt_memocmt.media.stated_size import size_warning, stated_length
from avt_memocmt.media.types import AudioChunk, VideoFrame

_TRUNCATION_TOLERANCE = 0.5  # seconds
_UNDECODED = 20.0  # seconds of a source
_NO_SOUND = "{} has no sound; give a file with a sound track."
_AHEAD = 24  # events: bounds the memory of decoded pictures
_AHEAD_BETWEEN = 48  # of which most are small


class MediaReader:
    """Decodes the sound and the sampled pictures of one file in one pass, with bounded memory.

    No library reads both in the order of their times with a bound on what waits for the other.

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
        between: pictures of a video with sound that are yielded each second with those between
            the sampled ones, which are grey (see `VideoFrame`); 0 = none. Of a film in which some
            need not be decoded, as few as ten are. The sound of an open source may come by another
            one.
        container: an open source to read; the path is then only its name.
        file: an open file to read; the path is then only its name.
        tape: packets of the same file, for a span that follows another.

    Raises:
        AvtError: the path is missing, a folder, empty, not media, damaged beyond decoding,
            without any sound or picture, without the kind that `only` asks for or the sound
            track; or the times are no span.
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
        audio_track: int | None = None,
        between: float = 0.0,
        container: InputContainer | None = None,
        file: BinaryIO | None = None,
        tape: PacketTape | None = None,
    ) -> None:
        if not 0.0 <= start < end:
            raise AvtError(
                f"{start:g} to {end:g} s is no span of {path}; give times with 0 <= start < end."
            )
        self.path = Path(path) if container is None else str(path)
        self.warnings: list[str] = []
        self._ahead: Generator[AudioChunk | VideoFrame, None, None] | None = None
        self._rate, self._side = frames_per_second, max_side
        self._between = between
        self._start, self._end = start, end
        # The file itself is looked into only where it has a name.
        self._file = Path(path) if container is None and file is None else None
        self._is_live = container is not None
        self._tape = tape
        self._pictures: PictureFile | None = None
        self._decoder: Decoder | None = None
        if container is None:
            self._pictures = open_picture_file(Path(path), max_side, file)
        if self._pictures is None:
            self._container = container or open_container(Path(path), file)
        try:
            if self._pictures is not None:
                self._take_pictures(self._pictures, only, audio_track)
            else:
                self._take_streams(only, audio_track)
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

    @property
    def format(self) -> str | None:
        """FFmpeg's name of the container; None of a file of pictures."""
        return None if self._pictures is not None else self._container.format.name

    @property
    def reached(self) -> float:
        """Seconds from the start of the media to the end of what was read so far."""
        if self._decoder is not None:
            return self._decoder.reached
        return self.info.duration or 0.0

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Width and height of the first picture as it is shown, however large; None before it."""
        if self._pictures is not None:
            return self._pictures.shown_size
        return None if self._decoder is None else self._decoder.shown_size

    @property
    def lost(self) -> str | None:
        """Why an open source broke off, in a few words; None where it did not."""
        return None if self._pictures is not None else self._packets.lost

    def events_ahead(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield `events`, decoded ahead in a thread of its own; ends when the reader closes."""
        self._ahead = read_ahead(self.events(), _AHEAD_BETWEEN if self._between else _AHEAD)
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

    def _take_pictures(
        self, pictures: PictureFile, only: str | None, audio_track: int | None
    ) -> None:
        self.info = pictures.info
        if only == "audio" or audio_track is not None:
            raise AvtError(_NO_SOUND.format(self.path))
        if pictures.is_animated:
            self._warn("no_audio")

    def _take_streams(
        self, only: Literal["audio", "video"] | None, audio_track: int | None
    ) -> None:
        self._audio = audio_stream(self._container, audio_track)
        self._video = video_stream(self._container)
        if self._video is not None:
            is_slow = nominal_rate(self._video) < self._rate
            if not self._is_live and not is_slow:
                # Decodes on all processors, some pictures ahead, which take too long to come from a
                # live source or a slide show.
                self._video.thread_type = "AUTO"
        if audio_track is None and self._file is not None and only != "video":
            self._find_audible(self._file)
        self._choose(only)
        self._packets = PacketReader(
            self._container, self._streams, self._warn, self._is_live, self._tape
        )
        self._decoder = Decoder(
            self._audio,
            self._video,
            self._rate,
            self._side,
            (self._start, self._end),
            self._warn,
            self._between if self._audio is not None or self._is_live else 0.0,
        )

    def _find_audible(self, file: Path) -> None:
        """Take another sound track where the main one of several is silent."""
        tracks = self._container.streams.audio
        if self._audio is None or len(tracks) < 2:
            return
        index = audible_track(file, self._audio)
        if index != self._audio.index:
            self._audio = next(track for track in tracks if track.index == index)
            self._warn("other_track")

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

    def _shown(self, pictures: PictureFile) -> Iterator[VideoFrame]:
        yield from pictures.frames(FrameSampler(self._rate), self._start, self._end)
        if pictures.is_damaged:
            self._warn("corrupt_frames")
        self.info = replace(self.info, duration=pictures.duration)

    def _decoded(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield sound and pictures in the order of the file."""
        assert self._decoder is not None
        wanted = [stream for stream in (self._audio, self._video) if stream is not None]
        stated = None if self._is_live else stated_length(self._container, self._file)
        packets = self._packets.timed(wanted, stated, self._start, self._end)
        scale = full_scale(self._file, self._audio) if self._audio and self._file else 1.0
        if self._is_live:
            packets = self._while_decodable(packets, self._decoder)
        yield from self._decoder.events(packets, self._packets.origin, scale)
        if self.reached < self._end:
            self._conclude(self._decoder, stated)

    def _while_decodable(
        self, packets: Iterator[TimedPacket], decoder: Decoder
    ) -> Iterator[TimedPacket]:
        """The packets of an endless source until much of it came without any sound or picture."""
        for stream, packet in packets:
            yield stream, packet
            if packet is None or packet.pts is None or not decoder.is_idle:
                continue
            if decoder.time(packet) > _UNDECODED:
                return

    def _conclude(self, decoder: Decoder, stated: float | None) -> None:
        if decoder.is_idle:
            raise AvtError(self._undecodable())
        # What lies before a window was not decoded.
        if self._audio is not None and decoder.sound_end is None and not self._start:
            self._warn("no_audio")
        if self._video is not None and decoder.picture_end is None and not self._start:
            self._warn("no_video")
        is_whole = all(stream in (self._audio, self._video) for stream in self._streams)
        if is_whole and stated and self.reached < stated - _TRUNCATION_TOLERANCE:
            self._warn("truncated")
        if self._file is not None:
            found = size_warning(self._file, self._packets.last_byte)
            if found is not None:
                self._warn(found)

    def _undecodable(self) -> str:
        if self._is_live:
            why = self.lost or "no sound and no picture in it is intact"
            return (
                f"{self.path} cannot be decoded as it comes ({why}); download it first and give "
                "the file."
            )
        return (
            f"{self.path} cannot be decoded: no sound and no picture in it is intact; record or "
            "download it again."
        )

    def _warn(self, name: str) -> None:
        if name not in self.warnings:
            self.warnings.append(name)
