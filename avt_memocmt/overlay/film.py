"""The film with the answer on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame as DecodedFrame
from av.video.stream import VideoStream

from avt_memocmt.errors import AvtError
from avt_memocmt.files import whole_file
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.inference.utterance_stream import Progress
from avt_memocmt.media.container import audio_stream, nominal_rate, open_container, video_stream
from avt_memocmt.media.film_codec import add_film
from avt_memocmt.media.packets import PacketReader
from avt_memocmt.media.picture_file import open_picture_file
from avt_memocmt.media.stated_size import stated_length
from avt_memocmt.overlay.annotations import Annotations
from avt_memocmt.overlay.blur import BlurredPlaces
from avt_memocmt.overlay.canvas import Canvas, CanvasMaker
from avt_memocmt.overlay.sound import SoundTrack
from avt_memocmt.overlay.stamps import is_large


def write_overlay(
    prediction: MediaPrediction,
    media: str | Path,
    path: str | Path,
    *,
    blur_faces: bool = False,
    audio_track: int | None = None,
    progress: Progress = lambda seconds, total: None,
) -> None:
    """Write the film of a prediction with faces, speakers, emotions and words drawn on it, as MP4.

    Every picture keeps its time. Rotation and pixel aspect are applied. Packets of the sound are
    copied where MP4 holds their codec.

    Args:
        prediction: of the film, made with `sampled_faces=True`.
        media: the film.
        path: of what is written; it appears whole or not at all.
        blur_faces: make all faces that are found unrecognisable; the film is read once more.
        audio_track: number of the sound track, from 1; None = the main one.
        progress: called with the seconds done and those in all, if known; anew in each reading.

    Raises:
        AvtError: the media has no moving pictures or cannot be decoded, or the file cannot be
            written.
    """
    media, path = Path(media), Path(path)
    if (why := why_no_overlay(media)) is not None:
        raise AvtError(why)
    places = None
    if blur_faces:
        places = BlurredPlaces(media, prediction.sampled_faces, prediction.picture_size, progress)
    try:
        with (
            open_container(media) as source,
            whole_file(path) as partial,
            av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as target,
        ):
            _Overlay(source, target, media, prediction, places, audio_track).write(progress)
    except av.FFmpegError as error:
        raise AvtError(f"the overlay {path} cannot be written: {error.strerror}.") from error


def why_no_overlay(media: Path) -> str | None:
    """One sentence where an input has no pictures that move, and so no overlay.

    Raises:
        AvtError: it cannot be read.
    """
    if open_picture_file(media, max_side=16) is not None:
        return f"{media} is a picture or an animation, so it has no overlay; leave out --overlay."
    with open_container(media) as container:
        if video_stream(container) is None:
            return f"{media} holds sound alone, so it has no overlay; leave out --overlay."
    return None


class _Overlay:
    """One pass from a film to the film with the answer on it."""

    def __init__(
        self,
        source: InputContainer,
        target: OutputContainer,
        media: Path,
        prediction: MediaPrediction,
        places: BlurredPlaces | None,
        audio_track: int | None,
    ) -> None:
        video = video_stream(source)
        assert video is not None
        self._video, self._audio = video, audio_stream(source, audio_track)
        self._target, self._prediction, self._places = target, prediction, places
        self._video.thread_type = "AUTO"
        self._maker = CanvasMaker(video)
        self._unit = video.time_base or Fraction(1, 90_000)
        self._rate = Fraction(nominal_rate(video)).limit_denominator(1001)
        self._film: VideoStream | None = None
        self._held: list[Packet[Stream] | None] = []
        self._last = -1
        streams: list[Stream] = [video] if self._audio is None else [video, self._audio]
        self._packets = PacketReader(source, streams, lambda warning: None)
        self._stated = stated_length(source, media)
        self._total = None if source.duration is None else source.duration / av.time_base

    def write(self, progress: Progress) -> None:
        for canvas, step in self._pictures():
            time = float(step * self._unit)
            if self._places is not None:
                self._places.blur(canvas, time)
            self._annotations.draw(canvas, time)
            self._encode(canvas, step)
            progress(time, self._total)
        if self._film is None:
            raise AvtError(f"{self._prediction.media}: no picture of it can be decoded.")
        self._target.mux(self._film.encode(None))

    def _pictures(self) -> Iterator[tuple[Canvas, int]]:
        """The pictures to draw on, each with its time in steps; sound is written on the way."""
        wanted = [stream for stream in (self._video, self._audio) if stream is not None]
        for stream, packet in self._packets.timed(wanted, self._stated):
            if stream is self._audio:
                self._take_sound(packet)
                continue
            for frame in self._decoded(packet):
                step = self._step(frame)
                if step > self._last:  # else a picture that was never shown
                    canvas = self._maker.make(frame)
                    self._begin(canvas)
                    self._last = step
                    yield canvas, step

    def _decoded(self, packet: Packet[Stream] | None) -> list[DecodedFrame]:
        with suppress(av.FFmpegError):  # damage is passed over, as in predictions
            return [frame for frame in self._video.decode(packet) if not frame.is_corrupt]
        return []

    def _step(self, frame: DecodedFrame) -> int:
        """The time of a picture from the start of the media, in steps of the film's clock."""
        if frame.pts is None:  # a raw stream carries no times
            return self._last + max(1, round(1 / (self._rate * self._unit)))
        return max(0, frame.pts - round(self._packets.origin / self._unit))

    def _begin(self, canvas: Canvas) -> None:
        """Add the streams, once the size of the pictures is known."""
        if self._film is not None:
            return
        self._film = add_film(self._target, canvas.size, self._rate, self._unit)
        coded, made = self._video.codec_context, self._film.codec_context
        made.color_primaries, made.color_trc = coded.color_primaries, coded.color_trc
        made.colorspace = coded.colorspace
        self._annotations = Annotations(self._prediction, canvas.size, is_large(canvas))
        if self._audio is not None:
            self._sound = SoundTrack(self._target, self._audio, self._packets.origin)
        held, self._held = self._held, []
        for packet in held:
            self._take_sound(packet)

    def _take_sound(self, packet: Packet[Stream] | None) -> None:
        if self._film is None:
            self._held.append(packet)
            return
        self._sound.take(packet)

    def _encode(self, canvas: Canvas, step: int) -> None:
        assert self._film is not None
        frame = canvas.frame
        frame.pts, frame.time_base = step, self._unit
        frame.pict_type = 0  # else the encoder repeats the kinds of the source
        self._target.mux(self._film.encode(frame))
