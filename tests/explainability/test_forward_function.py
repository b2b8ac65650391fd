"""The decision that is explained is the one that was made, past and baselines included."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from dialogue_factory import HEARD, make_reader, make_utterance
from model_factory import make_model

from avt_memocmt.explainability.forward_function import ForwardFunction, leave_one_out
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.heads import zero_last_layer


@pytest.fixture(scope="module")
def network() -> AvtMemoCmt:
    net = make_model(modalities=HEARD)
    net.temperatures.set_decision(HEARD, 1.5)
    net.temperatures.set_unimodal("text", 2.0)
    return net


@pytest.fixture
def later(network: AvtMemoCmt) -> tuple[PreparedTurn, tuple[float, ...]]:
    """A turn whose speaker is known, and the probabilities that were decided on."""
    reader = make_reader(network)
    for speaker, number in (("Ann", 1), ("Bob", 2), ("Ann", 3)):
        turn = reader.prepare(make_utterance(speaker, number), "given")
        prediction = reader.decide(turn)
    assert len(turn.past) == 2
    assert {m: own.count for m, own in turn.baselines.items()} == {"audio": 1}
    return turn, prediction.probabilities


def test_the_function_of_a_turn_is_its_decision(
    network: AvtMemoCmt, later: tuple[PreparedTurn, tuple[float, ...]]
) -> None:
    turn, decided = later
    function = ForwardFunction(network, turn)
    values = {m: given.expand(3, -1, -1) for m, given in function.values().items()}
    with torch.no_grad():
        logits = function.logits(values) / function.fuse(values).temperature[:, None]
    for row in logits.softmax(dim=1).tolist():
        assert tuple(row) == pytest.approx(decided, abs=1e-6)


def test_leaving_out_compares_with_the_decision_on_the_rest(
    network: AvtMemoCmt, later: tuple[PreparedTurn, tuple[float, ...]]
) -> None:
    turn, _ = later

    def logit(of: PreparedTurn) -> float:
        function = ForwardFunction(network, of)
        with torch.no_grad():
            return float(function.logits(function.values())[0, 2])

    effects = leave_one_out(ForwardFunction(network, turn), 2)
    for m in HEARD:
        rest = replace(
            turn,
            tokens={n: tokens for n, tokens in turn.tokens.items() if n != m},
            baselines={n: own for n, own in turn.baselines.items() if n != m},
        )
        assert effects[m] == pytest.approx(logit(turn) - logit(rest), abs=1e-5)
        assert abs(effects[m]) > 1e-3


def test_leaving_out_a_modality_that_is_for_the_class_lowers_its_logit(
    later: tuple[PreparedTurn, tuple[float, ...]],
) -> None:
    turn, _ = later
    untrained = make_model(modalities=HEARD)
    zero_last_layer(untrained.head)  # the pool alone decides
    untrained.gate.set_trust((1.0, 1.0), (1.0, 1.0))
    function = ForwardFunction(untrained, turn)
    with torch.no_grad():
        own = function.fuse(function.values()).unimodal_logits
    for emotion in range(7):
        effects = leave_one_out(function, emotion)
        for m, logits in own.items():
            evidence = logits[0, emotion] - logits[0].mean()
            assert effects[m] == pytest.approx(float(evidence), abs=1e-4)
