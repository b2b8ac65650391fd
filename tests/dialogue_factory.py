"""Dialogues read turn by turn by a small network, whose encoders look their tokens up."""

from __future__ import annotations

import numpy as np
from model_factory import SHAPES, SMALL, make_tokens

from avt_memocmt.config import Config
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import TextInput
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.encoding import Encoders
from avt_memocmt.inference.engine import TorchEngine
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

HEARD = ("audio", "text")


class StoredSounds:
    """The tokens of a sound are those of its first sample."""

    dim, layers = SHAPES["audio"].dim, SHAPES["audio"].layers

    def encode(self, sounds: list[np.ndarray]) -> list[Tokens]:
        return [make_tokens("audio", 6, int(sound[0])) for sound in sounds]


class StoredWords:
    """The tokens of a line are those of its number, whatever was said before."""

    dim, layers = SHAPES["text"].dim, SHAPES["text"].layers

    def encode(self, lines: list[TextInput]) -> list[Tokens]:
        return [make_tokens("text", 3, 100 + int(line.text)) for line in lines]

    def warnings(self, text: str) -> tuple[str, ...]:
        return ()


def make_reader(network: AvtMemoCmt) -> DialogueReader:
    config = Config.model_validate(
        {
            "preset": "embedded",
            "audio": {"encoder": {"name": "stored"}},
            "visual": {"encoder": {"name": "none"}},
            "text": {"encoder": {"name": "stored"}},
            "model": SMALL.model_dump(mode="json"),
        }
    )
    encoders = Encoders(StoredSounds(), None, StoredWords())  # type: ignore[arg-type]
    return DialogueReader(TorchEngine(encoders, network), config)


def make_utterance(speaker: str | None, number: int, text: str | None = None) -> Utterance:
    words = str(number) if text is None else text
    sound = np.full(1600, number, np.float32)
    return Utterance(number, number + 1.0, sound, (), words, speaker)
