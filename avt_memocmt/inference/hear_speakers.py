"""Listens through a file to tell its speakers apart, before it is read for its emotions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from avt_memocmt.inference.captions import FittedCaptions
from avt_memocmt.inference.found_speakers import HeardSpeakers
from avt_memocmt.inference.speaker_settings import SpeakerSettings
from avt_memocmt.inference.utterance_stream import Progress
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk
from avt_memocmt.preprocessing.transcripts import Cue

if TYPE_CHECKING:
    from avt_memocmt.speakers.diarizer import Diarizer


OpenReader = Callable[[Literal["audio"] | None], MediaReader]
"""Opens a media anew, for its sound alone or for all that it holds."""


def hear_speakers(
    open_reader: OpenReader,
    cues: Sequence[Cue] | None,
    who: SpeakerSettings,
    diarizer: Callable[[], Diarizer],
    progress: Progress = lambda seconds, total: None,
) -> HeardSpeakers | None:
    """Read the sound of a file once; its pictures are not decoded.

    Args:
        open_reader: opens the file.
        cues: its transcript, or None.
        who: what is asked for.
        diarizer: gives what tells the voices apart.
        progress: called with the seconds read so far and those in all, if known.

    Returns:
        None where that is not asked for, captions name every speaker, or there is no sound.

    Raises:
        AvtError: the file cannot be read.
    """
    if not who.is_wanted or (cues and all(cue.speaker for cue in cues)):
        return None
    with open_reader(None) as reader:
        info = reader.info
    if info.kind == "image" or not info.has_audio:
        return None
    with open_reader("audio") as reader:
        sound = sound_of(reader, progress)
        diarization = diarizer().diarize(sound, who.known_count, who.least, who.most)
    captions = FittedCaptions(cues, info.duration) if cues else None
    return HeardSpeakers(diarization, captions.cues if captions and captions.is_timed else ())


def sound_of(reader: MediaReader, progress: Progress) -> Iterator[AudioChunk]:
    """The sound of a media, with progress as it is read."""
    for event in reader.events_ahead():
        if isinstance(event, AudioChunk):
            yield event
            progress(event.end, reader.info.duration)
