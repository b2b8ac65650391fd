"""A source and the recogniser beside each other: what `avt-memocmt stream` runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.live import HOP, LiveRecognizer, StreamEvent
from avt_memocmt.inference.recognizer import EmotionRecognizer
from avt_memocmt.media.live import Backlog, Event, LiveSource, in_real_time, is_live
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.preprocessing.transcripts import Cue


class LiveStream:
    """Reads a source in the background and recognises beside it, dropping pictures under load.

    Args:
        recognizer: model and encoders.
        source: a file, or what `LiveSource` takes.
        hop: seconds between provisional decisions; 0 = none.
        transcribe: let the packaged recogniser listen.
        as_fast_as_possible: of a file: nothing is dropped, and each final decision waits for its
            words; so they are those of `EmotionRecognizer.predict`.
        captions: cues of a file, with times: its utterances and their words.
        warn: called with a sentence when a live source is lost or found again.

    Raises:
        AvtError: the source cannot be opened, or the captions have no times.
    """

    def __init__(
        self,
        recognizer: EmotionRecognizer,
        source: str,
        *,
        hop: float = HOP,
        transcribe: bool = True,
        as_fast_as_possible: bool = False,
        captions: Sequence[Cue] | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        if captions is not None and (is_live(source) or any(cue.start is None for cue in captions)):
            raise AvtError("captions need times and a file; give a .srt or .vtt of the file.")
        rate = recognizer.config.visual.frames_per_second
        self._backlog = Backlog()
        self._live: LiveSource | None = None
        self._file: MediaReader | None = None
        self._at_once = as_fast_as_possible
        self._stopped = False
        if is_live(source):
            self._live = LiveSource(source, rate, warn)
            has_audio, has_video = self._live.has_audio, self._live.has_video
        else:
            self._file = MediaReader(source, rate)
            has_audio, has_video = self._file.info.has_audio, self._file.info.has_video
        self._recognizer = LiveRecognizer(
            recognizer,
            has_audio,
            has_video,
            hop=hop,
            transcribe=transcribe,
            wait_for_words=as_fast_as_possible,
            captions=captions,
        )

    @property
    def dropped_frames(self) -> int:
        """Pictures that were dropped because the recogniser was behind."""
        return self._backlog.dropped_frames

    @property
    def dropped_sound(self) -> float:
        """Seconds of sound that were dropped for the same reason."""
        return self._backlog.dropped_sound

    def events(self, seconds: float | None = None) -> Iterator[StreamEvent]:
        """Decisions as they are made, until the source ends or `stop` is called.

        Args:
            seconds: of the stream after which it ends; None = when the source does.

        Raises:
            AvtError: a file cannot be decoded.
        """
        try:
            for event, hurry in self._incoming():
                if self._stopped or (seconds is not None and self._recognizer.latest >= seconds):
                    break
                yield from self._recognizer.push(event, hurry)
        finally:
            self._close()
        cut = self._stopped or seconds is not None
        file = None if cut else self._file
        yield from self._recognizer.finish(file.info.duration if file is not None else None)

    def stop(self) -> None:
        """End the stream: what is under way is decided. May be called from a signal's handler."""
        self._stopped = True
        self._backlog.close()

    def _incoming(self) -> Iterator[tuple[Event, bool]]:
        if self._live is not None:
            self._live.fill(self._backlog)
        elif self._file is not None and self._at_once:
            yield from ((event, False) for event in self._file.events())
            return
        elif self._file is not None:
            self._backlog.read_in_background(in_real_time(self._file.events()))
        yield from self._backlog.take()

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
        if self._file is not None and self._at_once:
            self._file.close()
