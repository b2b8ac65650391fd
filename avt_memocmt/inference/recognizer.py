"""The recogniser: turns a video, a recording or a picture into an emotion timeline."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from avt_memocmt.config import Config
from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.data.speaker_baselines import Baseline
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.transcriber import Transcriber
from avt_memocmt.features.whisper_encoder import WhisperEncoder, WhisperTinyEncoder
from avt_memocmt.inference.arguments import GivenWords, require_settings, transcript_cues
from avt_memocmt.inference.captions import FittedCaptions
from avt_memocmt.inference.clips import ClipReader, read_clip, still_utterance
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn, judge_faces
from avt_memocmt.inference.engine import Engine
from avt_memocmt.inference.file_baselines import FileBaselines
from avt_memocmt.inference.found_speakers import HeardSpeakers, SpeakerLabels, speakers_of
from avt_memocmt.inference.hear_speakers import hear_speakers
from avt_memocmt.inference.results import MediaPrediction, StreamEvent
from avt_memocmt.inference.sampled_faces import FaceRecorder, RecordFaces
from avt_memocmt.inference.shown_faces import ShownFaces
from avt_memocmt.inference.shown_people import make_shown_faces, rate_between
from avt_memocmt.inference.speaker_settings import (
    NO_WISHES,
    SpeakerCount,
    SpeakerNames,
    SpeakerSettings,
    speaker_settings,
)
from avt_memocmt.inference.transcript_alignment import place_transcript, word_spans
from avt_memocmt.inference.turn_policy import ChooseBaselines, TurnPolicy
from avt_memocmt.inference.utterance_stream import (
    CueStream,
    Progress,
    UtteranceStream,
    VoiceStream,
    read_utterances,
)
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.source import MediaSource, media_source
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.preprocessing.audio_forced_alignment import Aligner, make_aligner
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.mouth_shape import MouthReader
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.preprocessing.voice_detector import VoiceDetector
from avt_memocmt.version import __version__

if TYPE_CHECKING:
    from avt_memocmt.media.source import Media
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.online import OnlineSpeakers

_log = logging.getLogger(__name__)


class Recognizer:
    """Recognises the emotion of every utterance of a media file.

    Args:
        engine: computes the networks of a checkpoint.
        config: of that checkpoint.
    """

    def __init__(self, engine: Engine, config: Config) -> None:
        self.engine = engine
        self.config = config
        self._detector = make_detector(config.visual.detector)

    def predict(
        self,
        media: Media,
        transcript: GivenWords | None = None,
        *,
        transcribe: bool = True,
        min_confidence: float = 0.0,
        speaker_baseline: NamedScope = "past",
        speakers: SpeakerCount = "auto",
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        speaker_names: SpeakerNames | None = None,
        audio_track: int | None = None,
        faces: WhichFaces = "speaking",
        sampled_faces: RecordFaces = False,
        progress: Progress = lambda seconds, total: None,
    ) -> MediaPrediction:
        """Predict the emotion timeline of one file in bounded memory.

        A video or recording is cut into utterances at the times of the transcript, or else by voice
        activity and where the speaker changes, and read as one dialogue. Its sound is read before,
        to tell the speakers apart; apart from that each decision depends on the past only, unless
        `speaker_baseline` says otherwise.

        Args:
            media: a video, recording or picture: the path of a file, its bytes, a binary file that
                is open, (samples, rate) or a PIL picture; see `media_source`.
            transcript: the words, the path of a .srt, .vtt or .txt file, or cues from
                `load_transcript`; without it the speech recogniser listens.
            transcribe: False leaves the words out where no transcript is given.
            min_confidence: least probability at which an emotion is named; below it, "uncertain".
            speaker_baseline: what an utterance is judged against where its speaker is known:
                nothing ("off"), the speaker's earlier utterances ("past") or all others of the file
                ("all"), which is then read once more.
            speakers: how many speak, where the transcript does not say who; "auto" finds it out if
                the extra `speakers` is installed, "off" tells nobody apart.
            min_speakers: fewest that "auto" may find.
            max_speakers: most that it may find.
            speaker_names: see `SpeakerNames`.
            audio_track: number of the sound track to hear, from 1; None = see `MediaReader`.
            faces: which of several faces counts: the one whose mouth moves with the sound
                ("speaking"), or the largest one at first sight ("largest"); "all" also gives
                everybody else their own emotion. Where nobody is heard the largest one counts.
            sampled_faces: record where every face is in every sampled picture (with the faces
                "largest" the one that is followed alone); "judged" = also what each shows there.
            progress: called with the seconds read so far and those in all, if known; anew in each
                reading.

        Raises:
            AvtError: the file cannot be read, or has neither audible sound nor a face nor words;
                an argument is of the wrong type or out of its range.
        """
        require_settings(min_confidence, speaker_baseline, faces, sampled_faces)
        who = speaker_settings(speakers, min_speakers, max_speakers, speaker_names)
        source, cues = media_source(media), transcript_cues(transcript)

        def reader(only: Literal["audio"] | None) -> MediaReader:
            return MediaReader(source.path, only=only, audio_track=audio_track, file=source.open())

        labels = hear_speakers(reader, cues, who, lambda: self.diarizer, progress)
        known: ChooseBaselines | None = None
        if speaker_baseline == "off":
            known = _none
        elif speaker_baseline == "all" and (labels or any(cue.speaker for cue in cues or ())):
            everyone = FileBaselines()
            self._read(
                source, cues, transcribe, everyone.count_in, labels, audio_track, faces, progress
            )
            known = everyone.without
        recorder = self._new_recorder(sampled_faces)
        found = self._read(
            source, cues, transcribe, known, labels, audio_track, faces, progress, recorder
        )
        if found.captions and (said := found.captions.sentences()):
            _log.warning("%s: %s", source.name, said)
        turns = (replace(turn, min_confidence=min_confidence) for turn in found.utterances)
        found = replace(found, utterances=tuple(turns))
        return replace(found, speakers=speakers_of(found.utterances, cues, who.names))

    def warm_up(self) -> None:
        """Load and run what the first media would, so that it takes no longer than those after it.

        For a process that waits for media, such as a service.

        Raises:
            AvtError: packaged weights are missing or damaged.
        """
        noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
        self.listen(Utterance(0.0, 1.0, noise, ()))
        if NO_WISHES.is_wanted:
            self.new_speakers(NO_WISHES).label(noise)
            self.diarizer.diarize([AudioChunk(0.0, noise)])
        self._mouth_reader  # noqa: B018 - loads it
        self.predict((noise, float(SAMPLE_RATE)), "Hello.", speakers="off")

    def new_dialogue(self) -> DialogueReader:
        """Start an empty dialogue."""
        return DialogueReader(self.engine, self.config)

    def new_stream(
        self,
        has_audio: bool,
        has_video: bool,
        cues: Sequence[Cue] | None = None,
        labels: SpeakerLabels | None = None,
        is_live: bool = False,
        faces: WhichFaces = "speaking",
        recorder: FaceRecorder | None = None,
    ) -> UtteranceStream:
        """Start a stream that cuts media into utterances: at the times of `cues`, or by voice.

        A live source has no cues. `labels` say who speaks; `faces` as in `predict`; `recorder` is
        given the faces of every sampled picture.
        """
        shown = make_shown_faces(
            self.config.visual,
            self._detector,
            faces,
            is_live,
            lambda x: self._mouth_reader.read(x),
            recorder,
        )
        parts = self.config, shown, self._voices, has_audio, has_video
        return CueStream(*parts, cues, labels) if cues else VoiceStream(*parts, labels)

    def new_speakers(self, who: SpeakerSettings) -> OnlineSpeakers:
        """Start to tell the speakers of a stream apart."""
        from avt_memocmt.speakers.online import OnlineSpeakers

        return OnlineSpeakers(who.known_count or who.most)

    def read_whole(
        self, media: str | Path, start: float = 0.0, end: float | None = None
    ) -> Utterance:
        """Read a file, such as a labelled clip, or a window of it in seconds as one utterance.

        Raises:
            AvtError: as in `predict`.
        """
        return read_clip(media, self.config, self._detector, start, end)

    def new_clip_reader(self) -> ClipReader:
        """Start to read clips one after another, each as `read_whole` does."""
        return ClipReader(self.config, self._detector)

    def listen(self, utterance: Utterance) -> tuple[str, Tokens | None]:
        """Recognise the words of an utterance.

        Returns:
            The words, "" for silence; and the audio tokens, where the same pass computed them.

        Raises:
            AvtError: the package of the speech recogniser is not installed.
        """
        if utterance.samples is None or not utterance.is_speech:
            return "", None
        found = self._transcriber.transcribe(utterance.samples)
        shared = isinstance(self.engine.encoders.audio, WhisperEncoder)
        return found.text, found.tokens if shared else None

    def check_words(self, utterance: Utterance) -> Utterance:
        """Return the utterance, with a warning if its given words do not fit its sound."""
        if utterance.samples is None or self.engine.encoders.aligner is not None:
            return utterance  # there is nothing to compare, or the encoding compares them
        _, warnings = word_spans(self.aligner, utterance)
        return replace(utterance, warnings=(*utterance.warnings, *warnings))

    def _read(
        self,
        source: MediaSource,
        transcript: Sequence[Cue] | None,
        transcribe: bool,
        choose_baselines: ChooseBaselines | None,
        labels: HeardSpeakers | None,
        audio_track: int | None,
        faces: WhichFaces,
        progress: Progress,
        recorder: FaceRecorder | None = None,
    ) -> MediaPrediction:
        """Read a file once; see `predict` and `TurnPolicy`."""
        rate = self.config.visual.frames_per_second
        with MediaReader(
            source.path,
            rate,
            audio_track=audio_track,
            between=rate_between(faces),
            file=source.open(),
        ) as reader:
            info = reader.info
            captions = FittedCaptions(transcript, info.duration) if transcript else None
            cues = captions.cues if captions and captions.is_timed else None
            if cues and labels:
                cues = labels.fill(cues)
            stream = self.new_stream(
                info.has_audio, info.has_video, cues, labels, faces=faces, recorder=recorder
            )
            policy = TurnPolicy(
                self.new_dialogue,
                info.has_audio,
                self.check_words,
                self.listen if transcribe else None,
                choose_baselines=choose_baselines,
            )
            events: list[StreamEvent] = []
            for utterance in self._utterances(reader, stream, captions, progress, recorder):
                events += policy.take(utterance, utterance.end)
            events += policy.finish(0.0)
            turns = tuple(event.prediction for event in events)
            duration = 0.0 if info.kind == "image" else reader.reached
            warnings = tuple(reader.warnings)
            picture_size = reader.picture_size
        reached = math.inf if info.kind == "image" else stream.latest
        if captions:
            captions.require_some(source.name, reached)
        if not turns:
            raise AvtError(
                f"{source.name} holds nothing to judge: no audible sound, no face and no words "
                "were found in it."
            )
        preset = self.config.preset
        use = captions.use(reached) if captions else None
        warnings += use.warnings if use else ()
        shown = stream.shown
        return MediaPrediction(
            source.name,
            duration,
            preset,
            __version__,
            turns,
            warnings,
            use,
            faces=shown.faces,
            picture_size=picture_size,
            sampled_faces=recorder.found(turns, shown.ids, picture_size, duration)
            if recorder is not None and picture_size is not None
            else (),
        )

    def _new_recorder(self, sampled_faces: RecordFaces) -> FaceRecorder | None:
        if not sampled_faces:
            return None
        visual = self.engine.encoders.visual
        if sampled_faces != "judged" or visual is None:
            return FaceRecorder()
        period = 1 / self.config.visual.frames_per_second
        return FaceRecorder(lambda faces: judge_faces(self.engine, visual, faces, period))

    def _utterances(
        self,
        reader: MediaReader,
        stream: UtteranceStream,
        captions: FittedCaptions | None,
        progress: Progress,
        recorder: FaceRecorder | None,
    ) -> Iterator[Utterance]:
        if reader.info.kind == "image":
            cues = captions.cues if captions else None
            return iter([self._still(reader, stream.shown, cues, recorder)])
        found = read_utterances(reader, stream, progress)
        if captions and not captions.is_timed:
            return iter(place_transcript(list(found), captions.cues, self.aligner))
        return found

    @cached_property
    def diarizer(self) -> Diarizer:
        """Tells speakers apart; its networks are loaded at the first use."""
        from avt_memocmt.speakers.diarizer import Diarizer

        return Diarizer()

    @cached_property
    def _mouth_reader(self) -> MouthReader:
        return MouthReader()

    @cached_property
    def _voices(self) -> VoiceDetector:
        return VoiceDetector()

    @cached_property
    def _transcriber(self) -> Transcriber:
        audio = self.engine.encoders.audio
        encoder = audio if isinstance(audio, WhisperEncoder) else WhisperTinyEncoder()
        return Transcriber(encoder, voices=self._voices)

    @cached_property
    def aligner(self) -> Aligner:
        """Finds the times of words in sound; loaded at the first use."""
        return make_aligner("embedded")

    def _still(
        self,
        reader: MediaReader,
        shown: ShownFaces,
        transcript: Sequence[Cue] | None,
        recorder: FaceRecorder | None,
    ) -> Utterance:
        everybody = shown if shown.tells_all else None
        utterance = still_utterance(reader, self._detector, everybody, recorder)
        utterance = replace(utterance, text=" ".join(cue.text for cue in transcript or ()))
        if utterance.is_empty:
            raise AvtError(f"no face was found in {reader.path}; give a picture that shows one.")
        return utterance


def _none(turn: PreparedTurn) -> dict[str, Baseline]:
    return {}
