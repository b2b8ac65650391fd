"""The pipeline that a user would write from the same parts in an afternoon, as a baseline.

One clip at a time, everything in fp32 with eager attention, nothing shared and nothing batched:

1. FFmpeg's libraries write the sound as a 16 kHz WAV file and every picture of the film as a JPEG
   file.
2. MTCNN searches every picture, scaled to 640 pixels as our own detector does; the largest face is
   aligned. Of at most `max_frames` such faces, spread evenly, the face CNN encodes one at a time.
3. The `transformers` Whisper tiny encoder hears the sound, padded to 30 s by its feature extractor.
4. The `transformers` BERT reads the words, if there are any.
5. The same fusion network decides.

The weights are those of our checkpoint, so both pipelines answer the same question.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import wavfile

from avt_memocmt.bench.stages import StageTimer
from avt_memocmt.data.dialogue_batch import SPEAKER_UNKNOWN
from avt_memocmt.features.audio_encoder import join_tokens, token_spans
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_text_features import MINILM
from avt_memocmt.features.text_encoder import TextEncoder, TextInput
from avt_memocmt.features.whisper_encoder import N_MELS, WhisperTinyEncoder, token_count
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.face_alignment import crop_face
from avt_memocmt.preprocessing.face_detectors import MtcnnDetector
from avt_memocmt.preprocessing.face_tracker import FaceObservation
from avt_memocmt.preprocessing.video_preprocess import evenly_spaced
from avt_memocmt.pretrained import packaged_folder


class NaivePipeline:
    """The pipeline that the module describes.

    Args:
        recognizer: lends its weights; of the embedded preset, in PyTorch.
        timer: counts the stages.
    """

    def __init__(self, recognizer: Recognizer, timer: StageTimer) -> None:
        from transformers import WhisperFeatureExtractor

        encoders = recognizer.engine.encoders
        audio, visual, text = encoders.audio, encoders.visual, encoders.text
        assert isinstance(audio, WhisperTinyEncoder)
        assert visual is not None
        assert text is not None
        self._recognizer = recognizer
        self._timer = timer
        self._detector = MtcnnDetector()
        self._visual = visual
        self._front_end = WhisperFeatureExtractor(feature_size=N_MELS)
        self._audio = whisper_of_transformers(audio)
        self._text = eager_text_encoder(text)

    @torch.no_grad()
    def predict(self, path: Path, words: str = "") -> UtterancePrediction:
        """Predict the emotion of a clip, taken as one utterance."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with self._timer.stage("decode"):
                rate = write_to_disk(path, folder)
                samples = (wavfile.read(folder / "sound.wav")[1] / 32768).astype(np.float32)
            faces = self._faces(folder, rate)
        tokens = {"audio": self._hear(samples)}
        if faces:
            period = 1 / rate
            with self._timer.stage("face encoder"):
                parts = [self._visual.encode([[face]], [0.0], period)[0] for face in faces]
                tokens["visual"] = join_tokens(parts, self._visual.dim)
        if words:
            with self._timer.stage("text encoder"):
                (tokens["text"],) = self._text.encode([TextInput(words)])
        end = len(samples) / SAMPLE_RATE
        utterance = Utterance(0.0, end, samples, tuple(faces), words)
        none = torch.zeros(0, self._recognizer.config.model.dim)
        changes = torch.zeros(0, dtype=torch.long)
        past = (SPEAKER_UNKNOWN, none, changes)
        turn = PreparedTurn(utterance, "given", (), tokens, {}, *past, ())
        return self._recognizer.new_dialogue().decide(turn)

    def _faces(self, folder: Path, rate: float) -> list[FaceObservation]:
        found = []
        with self._timer.stage("face detection"):
            for index, file in enumerate(sorted(folder.glob("*.jpg"))):
                picture = cv2.imread(str(file))
                assert picture is not None
                image = np.asarray(picture[..., ::-1], dtype=np.uint8)
                faces = self._detector.detect(image)
                if faces:
                    face = max(faces, key=lambda face: face.area)
                    crop = crop_face(image, face)
                    found.append(FaceObservation(index / rate, face, crop, len(faces), 0))
        return evenly_spaced(found, self._recognizer.config.visual.max_frames)

    def _hear(self, samples: NDArray[np.float32]) -> Tokens:
        with self._timer.stage("audio encoder"):
            inputs: Any = self._front_end(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
            found = self._audio(inputs.input_features, output_hidden_states=True)
            count = token_count(len(samples))
            hidden = torch.stack(found.hidden_states, dim=2)[0, :count]
            spans = token_spans(count, WhisperTinyEncoder.rate, len(samples))
            return Tokens(hidden.flatten(1).numpy(), spans)


def write_to_disk(path: Path, folder: Path) -> float:
    """Write sound.wav and every picture as a JPEG file; return the pictures a second."""
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
    with av.open(str(path)) as film:
        frames = [*film.decode(audio=0), None]
        sound = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    wavfile.write(folder / "sound.wav", SAMPLE_RATE, np.concatenate(sound))
    with av.open(str(path)) as film:
        for index, picture in enumerate(film.decode(video=0)):
            cv2.imwrite(str(folder / f"{index:06d}.jpg"), picture.to_ndarray(format="bgr24"))
        return float(film.streams.video[0].average_rate or 25)


def eager_text_encoder(text: TextEncoder) -> TextEncoder:
    """Return the same encoder as a `transformers` model with eager attention."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(packaged_folder(MINILM))
    model = AutoModel.from_config(config, attn_implementation="eager", add_pooling_layer=False)
    model.load_state_dict(text.model.state_dict())
    return TextEncoder(model.eval(), text.tokenizer, text.config, text.identity)


def whisper_of_transformers(encoder: WhisperTinyEncoder) -> Any:
    """Return the `transformers` Whisper encoder with our weights, fp32, eager attention."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = WhisperConfig(
        d_model=encoder.dim,
        encoder_layers=len(encoder.blocks),
        encoder_attention_heads=6,
        encoder_ffn_dim=4 * encoder.dim,
        num_mel_bins=N_MELS,
    )
    config._attn_implementation = "eager"
    model = WhisperEncoder(config).eval()
    state: dict[str, torch.Tensor] = {}
    for name, value in encoder.state_dict().items():
        for ours, theirs in _WHISPER_NAMES.items():
            name = re.sub(ours, theirs, name)
        if ".qkv." in name:
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                state[name.replace("qkv", f"self_attn.{letter}_proj")] = third
        else:
            state[name] = value
    # Whisper's keys have no bias; ours is zero.
    model.load_state_dict({k: v for k, v in state.items() if not k.endswith("k_proj.bias")})
    return model


_WHISPER_NAMES = {
    r"^positions$": "embed_positions.weight",
    r"^norm\.": "layer_norm.",
    r"^blocks\.": "layers.",
    "attention_norm": "self_attn_layer_norm",
    "feed_forward_norm": "final_layer_norm",
    r"\.out\.": ".self_attn.out_proj.",
    "expand": "fc1",
    "contract": "fc2",
}
"""Patterns in the names of our weights, and what `transformers` has in their place."""
