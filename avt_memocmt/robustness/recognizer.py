"""Recognition of labelled samples in batches, each as an utterance without a past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.data.manifest import SECONDS_PER_WORD
from avt_memocmt.inference.encoding import encode_utterance
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.metrics.scores import FAILED
from avt_memocmt.models.checkpoint import token_dims
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.face_tracker import FaceObservation, crop_still
from avt_memocmt.robustness.corruptions import Picture
from avt_memocmt.robustness.samples import Sample


class SampleRecognizer:
    """A recogniser's encoders and network, for samples that are in memory.

    Args:
        recognizer: whose parts are used.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self.config = recognizer.config
        self._model = recognizer.model
        self._encoders = recognizer.encoders
        self._dims = token_dims(recognizer.config)
        self._detector = make_detector(recognizer.config.visual.detector)

    @torch.no_grad()
    def recognize(self, samples: Sequence[Sample]) -> tuple[list[int], Counter[str]]:
        """Recognise a batch.

        Returns:
            The class of each sample, an index into `EMOTIONS`, or `FAILED` where it holds nothing
            to judge; and how many of them have which warning.
        """
        turns: dict[int, TurnFeatures] = {}
        noticed: Counter[str] = Counter()
        for row, sample in enumerate(samples):
            utterance = self._utterance(sample)
            tokens, warnings = encode_utterance(self._encoders, self.config, utterance)
            noticed.update(warnings)
            if tokens:
                turns[row] = TurnFeatures(tokens)
        predicted = [FAILED] * len(samples)
        if turns:
            batch = collate([[turn] for turn in turns.values()], self._dims)
            guesses = self._model(batch).logits[:, 0].argmax(dim=1).tolist()
            for row, guess in zip(turns, guesses, strict=True):
                predicted[row] = guess
        return predicted, noticed

    def _utterance(self, sample: Sample) -> Utterance:
        sound = sample.sound
        faces, warnings = self._faces(sample.picture)
        seconds = SECONDS_PER_WORD * len(sample.words.split())
        if sound is not None:
            seconds = len(sound) / SAMPLE_RATE
        return Utterance(
            0.0,
            seconds,
            sound,
            faces,
            sample.words,
            is_speech=sound is not None,
            warnings=warnings,
        )

    def _faces(
        self, picture: Picture | None
    ) -> tuple[tuple[FaceObservation, ...], tuple[str, ...]]:
        if picture is None:
            return (), ()
        face, warnings = crop_still(np.repeat(picture[:, :, None], 3, axis=2), self._detector)
        return () if face is None else (face,), tuple(warnings)
