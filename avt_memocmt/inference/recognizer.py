"""The recogniser: a video, a recording or a picture in, an emotion timeline out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from avt_memocmt.config import Config
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_audio_features import WhisperAudioEncoder
from avt_memocmt.features.transcriber import Transcriber
from avt_memocmt.features.whisper_encoder import WhisperTinyEncoder
from avt_memocmt.inference.clips import read_clip, still_utterance
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.encoding import Encoders
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction
from avt_memocmt.inference.transcript_alignment import place_transcript, with_match_warning
from avt_memocmt.inference.utterance_stream import Progress, cue_media, segment_media
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.preprocessing.audio_forced_alignment import Aligner, make_aligner
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.face_tracker import FaceTracker
from avt_memocmt.preprocessing.transcripts import Cue, merge_cues
from avt_memocmt.version import __version__

MOST_QUIET = 4
"""Quiet stretches of an opening that wait, unjudged, for somebody to speak."""


class Recognizer:
    """Recognises the emotion of every utterance of a media file.

    Args:
        model: the fusion and what follows it.
        config: of its checkpoint.
        encoders: what the model was trained with.
    """

    def __init__(self, model: AvtMemoCmt, config: Config, encoders: Encoders) -> None:
        self.model = model
        self.config = config
        self.encoders = encoders
        self._detector = make_detector(config.visual.detector)

    def predict(
        self,
        media: str | Path,
        transcript: Sequence[Cue] | None = None,
        *,
        transcribe: bool = True,
        min_confidence: float = 0.0,
        progress: Progress = lambda seconds, total: None,
    ) -> MediaPrediction:
        """The emotion timeline of one file, read once from start to end in bounded memory.

        A video or recording is cut into utterances by the transcript's times, or else by voice
        activity, and read as one dialogue; each decision knows the past only.

        Args:
            media: a video, audio or image file.
            transcript: cues from `load_transcript`; with none, the packaged recogniser listens.
            transcribe: False leaves the words out where no transcript is given.
            min_confidence: least probability at which an emotion is named; below it, "uncertain".
            progress: called with the seconds read so far and those in all, if known.

        Raises:
            AvtError: the file cannot be read, or holds nothing to judge: no sound, face or words.
        """
        with MediaReader(media, self.config.visual.frames_per_second) as reader:
            if reader.info.kind == "image":
                turns = [self._predict_image(reader, transcript)]
            else:
                turns = self._predict_turns(reader, transcript, transcribe, progress)
            duration = reader.info.duration or max((turn.end for turn in turns), default=0.0)
            warnings = tuple(reader.warnings)
        if not turns:
            raise AvtError(
                f"{media} holds nothing to judge: no audible sound, no face and no words were "
                "found in it."
            )
        return MediaPrediction(
            str(media),
            0.0 if reader.info.kind == "image" else duration,
            self.config.preset,
            __version__,
            tuple(replace(turn, min_confidence=min_confidence) for turn in turns),
            warnings,
        )

    def new_dialogue(self) -> DialogueReader:
        """An empty dialogue to read turns into."""
        return DialogueReader(self.model, self.encoders, self.config)

    def new_tracker(self) -> FaceTracker:
        """A face tracker with this checkpoint's settings."""
        visual = self.config.visual
        return FaceTracker(self._detector, visual.face_policy, visual.min_face)

    def read_whole(
        self, media: str | Path, start: float = 0.0, end: float | None = None
    ) -> Utterance:
        """A file, or a window of it in seconds, as one utterance (labelled clips are like that).

        Raises:
            AvtError: as in `predict`.
        """
        return read_clip(media, self.config, self._detector, start, end)

    def listen(self, utterance: Utterance) -> tuple[str, Tokens | None]:
        """The words of an utterance by the packaged recogniser, and its audio tokens if they came
        from the same pass.

        Raises:
            AvtError: the recogniser's package is not installed.
        """
        if utterance.samples is None or not utterance.is_speech:
            return "", None
        found = self._transcriber.transcribe(utterance.samples)
        shared = isinstance(self.encoders.audio, WhisperAudioEncoder)
        return found.text, found.tokens if shared else None

    def _predict_turns(
        self,
        reader: MediaReader,
        transcript: Sequence[Cue] | None,
        transcribe: bool,
        progress: Progress,
    ) -> list[UtterancePrediction]:
        dialogue = self.new_dialogue()
        turns: list[UtterancePrediction] = []
        quiet: deque[Utterance] = deque()
        speech_heard = False
        for utterance in self._utterances(reader, transcript, progress):
            if utterance.is_speech and not speech_heard:
                # What was kept of a quiet opening matters only if nobody ever speaks.
                speech_heard, turns, dialogue = True, [], self.new_dialogue()
                quiet.clear()
            if utterance.is_empty or utterance.is_speech != speech_heard:
                continue
            if speech_heard:
                turns.append(self._predict_turn(dialogue, utterance, transcribe))
                continue
            quiet.append(utterance)
            if len(quiet) > MOST_QUIET:
                turns.append(self._predict_turn(dialogue, quiet.popleft(), transcribe))
        turns += [self._predict_turn(dialogue, utterance, transcribe) for utterance in quiet]
        return turns

    def _utterances(
        self, reader: MediaReader, transcript: Sequence[Cue] | None, progress: Progress
    ) -> Iterator[Utterance]:
        tracker = self.new_tracker()
        if transcript and all(cue.start is not None for cue in transcript):
            cues = merge_cues(list(transcript))
            return cue_media(reader, tracker, self.config, cues, progress)
        found = segment_media(reader, tracker, self.config, progress)
        if transcript:
            return iter(place_transcript(list(found), transcript, self.aligner))
        return found

    def _predict_turn(
        self, dialogue: DialogueReader, utterance: Utterance, transcribe: bool
    ) -> UtterancePrediction:
        if utterance.text:
            return dialogue.read(with_match_warning(utterance, self.aligner), "given")
        if not transcribe:
            return dialogue.read(utterance, "none")
        text, tokens = self.listen(utterance)
        heard = replace(utterance, text=text)
        return dialogue.read(heard, "asr" if text else "none", tokens)

    @cached_property
    def _transcriber(self) -> Transcriber:
        audio = self.encoders.audio
        if isinstance(audio, WhisperAudioEncoder):
            return Transcriber(audio.encoder)
        return Transcriber(WhisperTinyEncoder())

    @cached_property
    def aligner(self) -> Aligner:
        """Times the words of a transcript by the sound; loaded when first asked for."""
        return make_aligner("embedded")

    def _predict_image(
        self, reader: MediaReader, transcript: Sequence[Cue] | None
    ) -> UtterancePrediction:
        utterance = still_utterance(reader, self._detector)
        text = " ".join(cue.text for cue in transcript or ())
        utterance = replace(utterance, text=text)
        if utterance.is_empty:
            raise AvtError(f"no face was found in {reader.path}; give a picture that shows one.")
        return self.new_dialogue().read(utterance, "given" if text else "none")
