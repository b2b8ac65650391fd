"""The public face of the package: load a checkpoint; predict, stream, explain."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, get_args

from avt_memocmt.config import Config
from avt_memocmt.emotions import emotion_index
from avt_memocmt.engines.names import EngineName
from avt_memocmt.errors import AvtError
from avt_memocmt.explainability.installed import require_captum
from avt_memocmt.inference.arguments import (
    GivenWords,
    PredictOptions,
    require_utterances,
    transcript_cues,
)
from avt_memocmt.inference.engine import Engine, load_torch, with_gradients
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.speaker_settings import SpeakerCount, speaker_settings
from avt_memocmt.inference.utterance_stream import Progress
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.models.checkpoint import HUB, checkpoint_folder
from avt_memocmt.pretrained import CHECKPOINTS

if TYPE_CHECKING:
    from avt_memocmt.explainability.explanation import MediaExplanation
    from avt_memocmt.inference.results import StreamEvent
    from avt_memocmt.media.source import Media


class EmotionRecognizer(Recognizer):
    """Recognises the emotion of every utterance of a media file.

    It may be used in processes that were forked after it was loaded, where it computes on one
    thread, and it pickles as the name of its checkpoint, from which it is then loaded again.

    Example:
        >>> recognizer = EmotionRecognizer.from_pretrained("embedded")
        >>> for utterance in recognizer.predict("clip.mp4").utterances:
        ...     print(utterance.start, utterance.emotion, utterance.confidence)
    """

    _origin: tuple[str, EngineName] | None = None
    """Arguments of `from_pretrained` that load it in another folder too."""

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "embedded",
        engine: EngineName = "torch",
        *,
        revision: str | None = None,
    ) -> EmotionRecognizer:
        """Load a checkpoint and the encoders it was trained with.

        Args:
            name_or_path: "embedded", the one that ships, a checkpoint folder, or, where a string
                names no folder, a repository of the hub: "user/name"; with the engines "onnx" and
                "openvino" a folder that `avt-memocmt export` wrote.
            engine: what computes the networks.
            revision: branch, tag or commit of the repository.

        Raises:
            AvtError: the checkpoint or an encoder's weights are missing or damaged, the checkpoint
                cannot read media, or the engine is unknown, not installed or not for this machine.
        """
        if not isinstance(name_or_path, str | os.PathLike):
            kind = type(name_or_path).__name__
            raise AvtError(f"a checkpoint is named by its name or folder, not by a {kind}.")
        engines = get_args(EngineName)
        if engine not in engines:
            raise AvtError(f"the engine {engine!r} is unknown; give one of {', '.join(engines)}.")
        name = _full_name(name_or_path, revision)
        recognizer = cls(*_load(name, engine))
        recognizer._origin = name, engine
        return recognizer

    def __reduce__(self) -> tuple[Callable[..., EmotionRecognizer], tuple[str, EngineName]]:
        if self._origin is None:
            raise AvtError("a recogniser pickles only if from_pretrained loaded it; load it so.")
        return type(self).from_pretrained, self._origin

    def stream(
        self,
        source: str | os.PathLike[str],
        *,
        hop: float = 0.5,
        transcribe: bool = True,
        as_fast_as_possible: bool = False,
        captions: GivenWords | None = None,
        audio_track: int | None = None,
        speakers: SpeakerCount = "auto",
        faces: WhichFaces = "speaking",
        seconds: float | None = None,
    ) -> Iterator[StreamEvent]:
        """Yield decisions on a camera, a microphone, a network stream or a file as they are made.

        Args:
            source: a file, "camera", "microphone", "camera+microphone" or a URL; see `LiveSource`.
            hop: seconds between provisional decisions; 0 = none.
            transcribe: let the packaged recogniser listen; words that come late revise a decision.
            as_fast_as_possible: read a file at full speed, not in real time; the final decisions
                are then those of `predict`.
            captions: a .srt or .vtt of a file, or its cues, with times; they give its utterances
                and their words.
            audio_track: number of the sound track of a file, from 1; None = see `MediaReader`.
            speakers: as for `predict`; at most so many are told apart, and a "revised" event
                corrects an earlier label.
            faces: which of several faces counts; see `predict`.
            seconds: length after which the stream is ended; None = where the source ends.

        Raises:
            AvtError: the source cannot be opened or decoded, or the captions have no times.
        """
        from avt_memocmt.inference.live import LiveStream

        if not isinstance(source, str | os.PathLike):
            raise AvtError(
                f"a stream of type {type(source).__name__} cannot be read; give a file, a device "
                "or a URL, or give the media to predict."
            )
        running = LiveStream(
            self,
            os.fspath(source),
            hop=hop,
            transcribe=transcribe,
            as_fast_as_possible=as_fast_as_possible,
            captions=transcript_cues(captions),
            audio_track=audio_track,
            speakers=speaker_settings(speakers),
            faces=faces,
        )
        return running.events(seconds)

    def explain(
        self,
        media: Media,
        transcript: GivenWords | None = None,
        *,
        utterances: Collection[int] | None = None,
        emotion: str | None = None,
        plus_plus: bool = False,
        check: bool = False,
        progress: Progress = lambda seconds, total: None,
        **options: Unpack[PredictOptions],
    ) -> MediaExplanation:
        """Predict as `predict` does and explain why; needs the extra `explain`.

        Args:
            media: as for `predict`.
            transcript: as for `predict`.
            utterances: indices, from 0, of the utterances to explain; None = all.
            emotion: the emotion to explain; None = the likeliest of each utterance.
            plus_plus: Grad-CAM++ instead of Grad-CAM.
            check: also check the explanations, which takes many times as long.
            progress: as for `predict`.
            options: those of `predict` by which the decisions were made.

        Raises:
            AvtError: as in `predict`; the emotion is unknown; the extra is not installed; the
                engine is not torch.
        """
        require_utterances(utterances)
        with_gradients(self.engine)
        require_captum()
        from avt_memocmt.explainability.explanation import ExplainSettings, explain_media

        index = None if emotion is None else emotion_index(emotion)
        settings = ExplainSettings(utterances, index, plus_plus, check)
        return explain_media(self, media, transcript, settings, progress, **options)


def load_named(checkpoint: str | Path, engine: EngineName = "torch") -> EmotionRecognizer:
    """Load what a command line names: a folder or "embedded", or of the hub "hf://user/name".

    Without "hf://" nothing is looked for on the hub: a mistyped path loads nobody's weights.

    Raises:
        AvtError: as of `EmotionRecognizer.from_pretrained`.
    """
    is_on_hub = str(checkpoint).startswith(HUB)
    return EmotionRecognizer.from_pretrained(checkpoint if is_on_hub else Path(checkpoint), engine)


def _full_name(name_or_path: str | os.PathLike[str], revision: str | None) -> str:
    """The name of a checkpoint that means the same in every folder."""
    name = os.fspath(name_or_path)
    if (CHECKPOINTS / name).is_dir() or name.startswith(HUB):
        return name
    is_on_hub = isinstance(name_or_path, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name)
    if is_on_hub and not Path(name).exists():
        return f"{HUB}{name}" if revision is None else f"{HUB}{name}@{revision}"
    return os.path.abspath(name)


def _load(name_or_path: str, engine: EngineName) -> tuple[Engine, Config]:
    """See `EmotionRecognizer.from_pretrained`; what an engine needs is imported only for it."""
    if engine in ("onnx", "openvino"):
        from avt_memocmt.engines.onnx_engine import load_onnx
        from avt_memocmt.engines.sessions import GRAPH_TYPES

        return load_onnx(Path(name_or_path), GRAPH_TYPES[engine])
    loaded, config = load_torch(checkpoint_folder(name_or_path))
    if engine == "torch-bf16":
        from avt_memocmt.engines.bfloat16 import in_bfloat16

        return in_bfloat16(loaded), config
    if engine == "torch-cuda":
        from avt_memocmt.engines.cuda import on_gpu

        return on_gpu(loaded), config
    return loaded, config
