"""Words that the text encoder does not know, and text beyond its limit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avt_memocmt import EmotionRecognizer
from avt_memocmt.explainability.evidence import WordEvidence
from avt_memocmt.features.text_encoder import (
    TEXT_CUT,
    UNKNOWN_WORDS,
    ContextTurn,
    TextEncoder,
    TextInput,
)
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.inference.utterances import Utterance

FOREIGN = [
    "我很难过",
    "他是一个好人",
    "мне очень грустно",
    "أنا حزين جدا",
    "とても悲しいです",
    "나는 매우 슬프다",
    "είμαι πολύ λυπημένος",
    "मैं बहुत दुखी हूँ",
    "ฉันเสียใจมาก",
    "OK, мне очень грустно!",
    "\ue000\U000f0000 ⵣⵣⵣ",
]
KNOWN = [
    "I am sad.",
    "I love you, мама!",
    "Zbigniew Brzeziński, naïve café",
    "Pfft, ugh, hmm, aww, brrr",
    "😭",
    ":)",
    "2000!",
    "...",
    "",
]


@pytest.fixture(scope="module")
def encoder(recognizer: EmotionRecognizer) -> TextEncoder:
    encoder = recognizer.engine.encoders.text
    assert encoder is not None
    return encoder


def decide(recognizer: EmotionRecognizer, text: str) -> UtterancePrediction:
    utterance = Utterance(0.0, 1.0, None, (), text, is_speech=False)
    return recognizer.new_dialogue().read(utterance, "given")


@pytest.mark.parametrize("text", FOREIGN)
def test_mostly_unknown_words_are_no_text(encoder: TextEncoder, text: str) -> None:
    (tokens,) = encoder.encode([TextInput(text)])
    assert len(tokens) == 0
    assert tokens.warnings == (UNKNOWN_WORDS,)


@pytest.mark.parametrize("text", KNOWN)
def test_known_words_are_read_without_a_warning(encoder: TextEncoder, text: str) -> None:
    (tokens,) = encoder.encode([TextInput(text)])
    assert bool(len(tokens)) == bool(text)
    assert tokens.warnings == ()


def test_an_emoji_is_read_as_its_name_and_stays_one_word(encoder: TextEncoder) -> None:
    sign = TextInput("I am fine 😭")
    batch = encoder.prepare([sign, TextInput("I am fine loudly crying face")])
    assert torch.equal(batch.ids[0], batch.ids[1])
    assert batch.words[0][-1] == 3
    assert WordEvidence(encoder, sign).words == ["I", "am", "fine", "😭"]


@pytest.mark.parametrize("text", ["我很难过", "😭"])
def test_past_turns_are_read_in_the_same_way(encoder: TextEncoder, text: str) -> None:
    known = ContextTurn("Hi.", True)
    past, written = (known, ContextTurn(text)), ContextTurn("loudly crying face")
    wanted = (known,) if text == "我很难过" else (known, written)
    batch = encoder.prepare([TextInput("Oh.", past), TextInput("Oh.", wanted)])
    assert torch.equal(batch.ids[0], batch.ids[1])


def test_a_long_text_keeps_its_end_and_says_so(encoder: TextEncoder) -> None:
    most = encoder.config.max_tokens
    text = "one " * most + "I am so happy today"
    batch = encoder.prepare([TextInput(text), TextInput("I am so happy today")])
    assert batch.counts[0] == most
    assert batch.words[0][-5:] == list(range(most, most + 5))
    assert torch.equal(batch.ids[0, -6:], batch.ids[1, 1:7])
    cut, whole = encoder.encode([TextInput(text), TextInput("one " * most)])
    assert (cut.warnings, whole.warnings) == ((TEXT_CUT,), ())
    evidence = WordEvidence(encoder, TextInput(text))
    assert evidence.words == ["one"] * (most - 5) + ["I", "am", "so", "happy", "today"]
    assert evidence.feature_mask.max() == most - 1


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("🙂", "joy"),
        (":)", "joy"),
        ("😂", "joy"),
        ("😭", "sadness"),
        (":(", "sadness"),
        ("☹️", "sadness"),
        ("💔", "sadness"),
        ("😡", "anger"),
        ("😱", "fear"),
        ("🤢", "disgust"),
        ("one " * 90 + "I am so happy!", "joy"),
    ],
)
def test_signs_and_long_texts_are_judged_by_what_they_say(
    recognizer: EmotionRecognizer, text: str, emotion: str
) -> None:
    assert decide(recognizer, text).likeliest == emotion


def test_unknown_words_leave_the_decision_as_it_is_without_words(
    recognizer: EmotionRecognizer,
) -> None:
    sound = (0.1 * np.random.default_rng(0).normal(size=16_000)).astype(np.float32)
    silent = Utterance(0.0, 1.0, sound, ())
    wanted = recognizer.new_dialogue().read(silent, "none")
    told = recognizer.new_dialogue().read(Utterance(0.0, 1.0, sound, (), "我很难过"), "given")
    assert told.probabilities == wanted.probabilities
    assert not told.modalities["text"].present
    assert UNKNOWN_WORDS in told.warnings
    assert told.text == "我很难过"
