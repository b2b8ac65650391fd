"""A dialogue read turn by turn: each speaker is judged against their own earlier turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from dialogue_factory import HEARD, make_reader, make_utterance
from model_factory import DIMS, make_model, make_tokens

from avt_memocmt.data.dialogue_batch import TurnFeatures, collate, speaker_changes
from avt_memocmt.data.speaker_baselines import SpeakerBaselines
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

SPOKEN = [("Ann", 1), ("Bob", 2), ("Ann", 3), (None, 4), ("Ann", 5), ("Bob", 6), (None, 7)]
"""Who speaks, and which tokens are heard and read."""


@pytest.fixture(scope="module")
def network() -> AvtMemoCmt:
    return make_model(modalities=HEARD)


@pytest.fixture
def reader(network: AvtMemoCmt) -> DialogueReader:
    return make_reader(network)


def test_a_speaker_is_judged_against_their_first_turn_and_another_is_not(
    network: AvtMemoCmt, reader: DialogueReader
) -> None:
    first = reader.prepare(make_utterance("Ann", 1), "given")
    assert first.baselines == {}
    reader.decide(first)
    for speaker, known in (("Ann", True), ("Bob", False), (None, False)):
        second = reader.prepare(make_utterance(speaker, 2), "given")
        assert set(second.baselines) == ({"audio"} if known else set())
        found = make_reader(network).decide(second).probabilities
        without = make_reader(network).decide(replace(second, baselines={})).probabilities
        assert (found == without) == (not known)


def test_turn_by_turn_is_the_whole_dialogue_with_everyones_past(
    network: AvtMemoCmt, reader: DialogueReader
) -> None:
    found = [reader.read(make_utterance(*turn), "given").probabilities for turn in SPOKEN]
    so_far, turns = SpeakerBaselines(), []
    changes = speaker_changes([speaker for speaker, _ in SPOKEN])
    for (speaker, number), change in zip(SPOKEN, changes, strict=True):
        tokens = {
            "audio": make_tokens("audio", 6, number),
            "text": make_tokens("text", 3, 100 + number),
        }
        turns.append(TurnFeatures(tokens, change, baselines=so_far.of(speaker)))
        so_far.add(speaker, tokens)
    with torch.no_grad():
        expected = network(collate([turns], {m: DIMS[m] for m in HEARD})).logits[0].softmax(dim=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_provisional_is_no_past(reader: DialogueReader) -> None:
    reader.provisional(make_utterance("Ann", 1))
    assert reader.prepare(make_utterance("Ann", 2), "given").baselines == {}


def test_words_that_come_late_do_not_count_the_sound_again(reader: DialogueReader) -> None:
    turn = reader.prepare(make_utterance("Ann", 1, ""), "none")
    assert set(turn.tokens) == {"audio"}
    reader.decide(turn)
    reader.revise(turn, "1", 0)
    counts = {
        m: b.count for m, b in reader.prepare(make_utterance("Ann", 2), "given").baselines.items()
    }
    assert counts == {"audio": 1}
