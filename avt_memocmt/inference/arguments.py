"""What callers of the recogniser give, checked before any work."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any, TypedDict, get_args

import numpy as np

from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.speaker_settings import SpeakerCount, SpeakerNames
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.preprocessing.transcripts import Cue, load_transcript

GivenWords = str | os.PathLike[str] | Sequence[Cue]
"""Words, the path of a file with them, or cues from `load_transcript`."""


class PredictOptions(TypedDict, total=False):
    """The options of `Recognizer.predict`, which says what they mean."""

    transcribe: bool
    min_confidence: float
    speaker_baseline: NamedScope
    speakers: SpeakerCount
    min_speakers: int | None
    max_speakers: int | None
    speaker_names: SpeakerNames | None
    audio_track: int | None
    faces: WhichFaces


def transcript_cues(transcript: GivenWords | None) -> Sequence[Cue] | None:
    """The cues of a transcript.

    Raises:
        AvtError: it is none, or as of `load_transcript`.
    """
    if transcript is None:
        return None
    if isinstance(transcript, str | os.PathLike):
        return load_transcript(os.fspath(transcript))
    if isinstance(transcript, list | tuple) and all(isinstance(cue, Cue) for cue in transcript):
        return transcript
    raise AvtError(
        f"a transcript of type {type(transcript).__name__} cannot be read; give the words as a "
        "string, the path of a .srt, .vtt or .txt file, or cues from load_transcript."
    )


def require_utterances(utterances: Any) -> None:
    """Check which utterances a caller wants explained.

    Raises:
        AvtError: they are not numbers of utterances.
    """
    if utterances is None:
        return
    if isinstance(utterances, str) or not isinstance(utterances, Collection):
        raise AvtError(f"{utterances!r} names no utterances; give their numbers from 0, as [0, 2].")
    if not all(isinstance(number, int | np.integer) and number >= 0 for number in utterances):
        raise AvtError(f"{utterances!r} are no numbers of utterances; give such as [0, 2].")


def require_settings(
    min_confidence: Any, speaker_baseline: str, faces: str, sampled_faces: Any
) -> None:
    """Check settings of `Recognizer.predict`.

    Raises:
        AvtError: the least confidence is no probability, or the baseline, the choice of faces or
            what is recorded of them is unknown.
    """
    if not isinstance(min_confidence, int | float | np.number) or not 0 <= min_confidence <= 1:
        raise AvtError(
            f"the least confidence {min_confidence!r} is no probability; give a number from 0 to 1."
        )
    names = get_args(NamedScope)
    if speaker_baseline not in names:
        raise AvtError(
            f"the speaker baseline {speaker_baseline!r} is unknown; give {', '.join(names)}."
        )
    require_faces(faces)
    if not isinstance(sampled_faces, bool) and sampled_faces != "judged":
        raise AvtError(
            f'the sampled faces {sampled_faces!r} are unknown; give True, False or "judged".'
        )


def require_faces(faces: str) -> None:
    """Check which faces are to be judged.

    Raises:
        AvtError: the choice is unknown.
    """
    names = get_args(WhichFaces)
    if faces not in names:
        raise AvtError(f"the faces {faces!r} are unknown; give {', '.join(names)}.")
