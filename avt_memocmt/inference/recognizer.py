"""The recogniser: a video, a recording or a picture in, an emotion timeline out."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from avt_memocmt import __version__
from avt_memocmt.config import Config
from avt_memocmt.emotions import emotion_index
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_audio_features import WhisperAudioEncoder
from avt_memocmt.features.transcriber import Transcriber
from avt_memocmt.features.whisper_encoder import WhisperTinyEncoder
from avt_memocmt.inference.clips import read_clip, still_utterance
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.engines import Engine
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction
from avt_memocmt.inference.transcript_placing import place_transcript, with_match_warning
from avt_memocmt.inference.utterance_tokens import Encoders, load_encoders
from avt_memocmt.inference.utterances import Progress, Utterance, cue_media, segment_media
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import checkpoint_folder, load_media_model
from avt_memocmt.preprocessing.audio_forced_alignment import Aligner, make_aligner
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.transcripts import Cue, merge_cues
from avt_memocmt.preprocessing.video_preprocess_mtcnn import FaceTracker

if TYPE_CHECKING:
    from avt_memocmt.explainability.explanation import MediaExplanation
    from avt_memocmt.inference.live import StreamEvent

MOST_QUIET = 4
"""Quiet stretches of an opening that wait, unjudged, for somebody to speak."""


class EmotionRecognizer:
    """Recognises the emotion of every utterance of a media file.

    Example:
        >>> recognizer = EmotionRecognizer.from_pretrained("embedded")
        >>> for utterance in recognizer.predict("clip.mp4").utterances:
        ...     print(utterance.start, utterance.emotion, utterance.confidence)
    """

    def __init__(self, model: AvtMemoCmt, config: Config, encoders: Encoders) -> None:
        """Use parts that are already loaded; see `from_pretrained`."""
        self.model = model
        self.config = config
        self.encoders = encoders
        self._detector = make_detector(config.visual.detector)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = "embedded", engine: Engine = "torch"
    ) -> EmotionRecognizer:
        """Load a checkpoint and the encoders it was trained with.

        Args:
            name_or_path: "embedded", the one that ships, or a checkpoint folder; with the engines
                "onnx" and "openvino" a folder that `avt-memocmt export` wrote.
            engine: what computes the networks.

        Raises:
            AvtError: the checkpoint or an encoder's weights are missing or damaged, the checkpoint
                cannot read media, or the engine is not installed or not for this machine.
        """
        if engine in ("onnx", "openvino"):
            from avt_memocmt.inference.graphs import GRAPH_TYPES
            from avt_memocmt.inference.onnx_engine import load_onnx

            return cls(*load_onnx(Path(name_or_path), GRAPH_TYPES[engine]))
        folder = checkpoint_folder(name_or_path)
        model, config = load_media_model(folder)
        encoders = load_encoders(config, folder, model.modalities)
        if engine == "torch-bf16":
            from avt_memocmt.inference.bfloat16 import use_bfloat16

            use_bfloat16(model, encoders)
        elif engine == "torch-cuda":
            from avt_memocmt.inference.gpu import use_gpu

            use_gpu(model, encoders)
        return cls(model, config, encoders)

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

    def stream(
        self,
        source: str,
        *,
        hop: float = 0.5,
        transcribe: bool = True,
        as_fast_as_possible: bool = False,
        captions: Sequence[Cue] | None = None,
        seconds: float | None = None,
    ) -> Iterator[StreamEvent]:
        """Decisions while they are made, from a camera, a microphone, a network stream or a file.

        Args:
            source: a file, "camera", "microphone", "camera+microphone" or a URL; see `LiveSource`.
            hop: seconds between provisional decisions; 0 = none.
            transcribe: let the packaged recogniser listen; words that come late revise a decision.
            as_fast_as_possible: of a file, which is otherwise played in real time; the final
                decisions are then those of `predict`.
            captions: cues of a file, with times: its utterances and their words.
            seconds: of the stream after which it ends; None = when the source does.

        Raises:
            AvtError: the source cannot be opened or decoded, or the captions have no times.
        """
        from avt_memocmt.inference.live_stream import LiveStream

        running = LiveStream(
            self,
            source,
            hop=hop,
            transcribe=transcribe,
            as_fast_as_possible=as_fast_as_possible,
            captions=captions,
        )
        return running.events(seconds)

    def explain(
        self,
        media: str | Path,
        transcript: Sequence[Cue] | None = None,
        *,
        utterances: Collection[int] | None = None,
        emotion: str | None = None,
        plus_plus: bool = False,
        check: bool = False,
        progress: Progress = lambda seconds, total: None,
    ) -> MediaExplanation:
        """The same prediction as `predict`, and why: needs the extra `explain`.

        Args:
            media: as for `predict`.
            transcript: as for `predict`.
            utterances: indices from 0 of those that are explained; None = all.
            emotion: the one that is explained; None = the likeliest of each utterance.
            plus_plus: Grad-CAM++ instead of Grad-CAM.
            check: whether the explanations are checked too, which takes many times as long.
            progress: as for `predict`.

        Raises:
            AvtError: as in `predict`; the emotion is unknown; the extra is not installed; the
                engine is not torch.
        """
        if any(
            weight.device.type != "cpu" or weight.dtype != torch.float32
            for weight in self.model.parameters()
        ):
            raise AvtError(
                "explanations need gradients in full precision, which this engine lacks; use the "
                "torch engine."
            )
        # The one import against the layers: explanations are asked for here, and loaded only then.
        from avt_memocmt.explainability.extra import require_captum

        require_captum()
        from avt_memocmt.explainability.explanation import ExplainSettings, explain_media

        index = None if emotion is None else emotion_index(emotion)
        settings = ExplainSettings(utterances, index, plus_plus, check)
        return explain_media(self, media, transcript, settings, progress)

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
