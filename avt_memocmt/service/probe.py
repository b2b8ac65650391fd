"""The process that looks into uploads: what is no media is refused before it enters the queue.

It opens a file with the very reader that predicts, but decodes nothing beyond the header. It is a
process of its own, because even a header may be hostile, and a small one without networks, because
the workers may be busy for minutes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.service.child import Child, ChildEndedError, Message, Pipe

LONGEST = 20.0
"""Seconds for one file; a header is read in a fraction of one."""
MOST_MEMORY = 2_000_000_000
"""Bytes of the process."""
# A playlist names other files: an upload must not make the service read what else lies here.
_PLAYLISTS = {"hls", "concat", "dash", "imf", "sdp", "rtsp", "rtp"}


class NoMediaError(AvtError):
    """The content of a file is not media that can be read."""


class NoTranscriptError(AvtError):
    """The content of a file is not a transcript that can be read."""


@dataclass(frozen=True)
class Probed:
    """What the header of a file says; see `MediaInfo`."""

    kind: str
    duration: float | None
    has_audio: bool


class Prober:
    """Looks into one file at a time; started at the first."""

    def __init__(self) -> None:
        self._child = Child(run_probe, (), MOST_MEMORY)
        self._busy = threading.Lock()

    def start(self) -> None:
        """Start the process, so that the first upload need not wait for it."""
        with self._busy:
            self._child.start()

    def stop(self) -> None:
        """End the process."""
        with self._busy:
            self._child.stop()

    def look(self, media: Path, audio_track: int | None, transcript: Path | None) -> Probed:
        """What a file holds.

        Args:
            media: the file.
            audio_track: sound track that is asked for.
            transcript: that comes with it.

        Raises:
            NoMediaError: it is not media.
            NoTranscriptError: the transcript is none.
        """
        message: Message = {
            "media": str(media),
            "audio_track": audio_track,
            "transcript": None if transcript is None else str(transcript),
        }
        with self._busy:
            try:
                answer = self._child.ask(message, LONGEST)
            except ChildEndedError as error:
                raise NoMediaError("the file is damaged: reading its header failed.") from error
            except AvtError as error:
                raise NoMediaError(str(error)) from error
        if "no_media" in answer:
            raise NoMediaError(answer["no_media"].replace(str(media), "the file"))
        if "no_transcript" in answer:
            reason = answer["no_transcript"].replace(
                f"the transcript {transcript}", "the transcript"
            )
            raise NoTranscriptError(reason)
        return Probed(answer["kind"], answer["duration"], answer["has_audio"])


def run_probe(pipe: Pipe) -> None:
    """Look into files until the service ends."""
    from avt_memocmt.media.reader import MediaReader
    from avt_memocmt.preprocessing.transcripts import load_transcript

    while True:
        asked = pipe.receive()
        try:
            with MediaReader(asked["media"], audio_track=asked["audio_track"]) as reader:
                info, form = reader.info, reader.format
            if form in _PLAYLISTS:
                raise AvtError("the file is a playlist that names others; give the film itself.")
        except AvtError as error:
            pipe.send({"no_media": str(error)})
            continue
        try:
            if asked["transcript"] is not None:
                load_transcript(asked["transcript"])
        except AvtError as error:
            pipe.send({"no_transcript": str(error)})
            continue
        pipe.send({"kind": info.kind, "duration": info.duration, "has_audio": info.has_audio})
