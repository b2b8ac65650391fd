"""Utterances: the sound, the followed face and the words of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Config
from avt_memocmt.inference.shown_faces import FaceChoice, ShownFaces, ShownPerson
from avt_memocmt.media.types import SAMPLE_RATE, SILENT_DBFS
from avt_memocmt.preprocessing.audio_preprocess import peak_dbfs
from avt_memocmt.preprocessing.face_tracker import FaceObservation
from avt_memocmt.preprocessing.video_preprocess import evenly_spaced
from avt_memocmt.preprocessing.video_preprocess_mtcnn import changed_faces
from avt_memocmt.preprocessing.voice_detector import VoiceDetector

SHORT = 0.25
"""Seconds; a shorter utterance is predicted with the warning "too_short"."""


@dataclass(frozen=True)
class Utterance:
    """What was heard, seen and said in one turn.

    Attributes:
        start: seconds from the start of the media.
        end: seconds from the start of the media.
        samples: float32 mono 16 kHz, or None where there is no sound.
        faces: the followed face, in time order, at most `visual.max_frames` of them.
        text: the words, "" where none are known.
        speaker: name where the transcript gives one.
        is_speech: whether somebody was heard speaking.
        warnings: names of problems that a user should know.
        face: id of the face, where faces are told apart.
        people: everybody who was seen, where all were asked for.
    """

    start: float
    end: float
    samples: NDArray[np.float32] | None
    faces: tuple[FaceObservation, ...]
    text: str = ""
    speaker: str | None = None
    is_speech: bool = True
    warnings: tuple[str, ...] = ()
    face: str | None = None
    people: tuple[ShownPerson, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it has neither sound nor face nor words."""
        return self.samples is None and not self.faces and not self.text


class UtteranceBuilder:
    """Puts utterances together from their sound and the faces seen lately.

    Args:
        config: of the checkpoint.
        has_audio: whether the media has sound.
        shown: the faces on the screen; None where the media has no pictures.
        voices: confirms that there is a voice in what was taken for speech; None takes its word.
    """

    def __init__(
        self,
        config: Config,
        has_audio: bool,
        shown: ShownFaces | None,
        voices: VoiceDetector | None = None,
    ) -> None:
        self.config = config
        self._voices = voices
        self.has_audio = has_audio
        self.shown = shown

    def build(
        self,
        start: float,
        end: float,
        samples: NDArray[np.float32],
        *,
        text: str = "",
        speaker: str | None = None,
        is_speech: bool = True,
    ) -> Utterance:
        """Put one utterance together and forget the faces before it.

        Sound without a voice is no speech, unless there are words that somebody wrote down. The
        networks learned voices alone, so it is left out where a face or words are left.

        Args:
            start: seconds from the start of the media, not before that of the last utterance.
            end: seconds from the start of the media.
            samples: float32 mono 16 kHz; empty without sound.
            text: see `Utterance`, as for the other arguments.
        """
        heard = samples[: int(self.config.audio.max_seconds * SAMPLE_RATE)]
        audible = self.has_audio and len(heard) > 0 and peak_dbfs(heard) > SILENT_DBFS
        voiced = audible and is_speech and self._has_voice(heard)
        seen = FaceChoice(())
        if self.shown is not None:
            seen = self.shown.choose(start, end, heard if voiced else None, speaker)
        faces = self._kept(seen.faces)
        warnings = []
        if self.has_audio and not audible:
            warnings.append("silent_audio")
        elif self.has_audio and not voiced:
            warnings.append("no_speech")
            is_speech = is_speech and bool(text)
        if seen.is_speaker_missing:
            warnings.append("speaker_not_seen")
        elif self.shown is not None and not faces:
            warnings.append("no_face")
        if end - start < SHORT:
            warnings.append("too_short")
        if len(heard) < len(samples):
            warnings.append("audio_cut")
        return Utterance(
            start,
            end,
            heard if voiced or (audible and not faces and not text) else None,
            faces,
            text,
            speaker,
            is_speech,
            tuple(warnings),
            seen.id,
            tuple(replace(who, faces=self._kept(who.faces)) for who in seen.people),
        )

    def _kept(self, seen: Sequence[FaceObservation]) -> tuple[FaceObservation, ...]:
        """What is judged of a face."""
        visual = self.config.visual
        if visual.min_change:
            seen = changed_faces(seen, visual.min_change)
        return tuple(evenly_spaced(seen, visual.max_frames))

    def _has_voice(self, samples: NDArray[np.float32]) -> bool:
        return self._voices is None or self._voices.has_voice(samples)
