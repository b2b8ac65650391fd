"""Explanations of one decision: analytic answers on small functions, invariants on real clips."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from footage import Spoken
from media_factory import speech_like, write_wav
from torch import Tensor, nn

from avt_memocmt import EmotionRecognizer
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.explainability.attention_visualization import (
    Axis,
    attention_rollout,
    grouped,
)
from avt_memocmt.explainability.evidence import Evidence, FaceEvidence, gather_evidence
from avt_memocmt.explainability.explanation import (
    ExplainingRecognizer,
    ExplainSettings,
    UtteranceExplanation,
)
from avt_memocmt.explainability.faithfulness import (
    CLASSIFIERS,
    SHARES,
    curves,
    randomised_similarity,
    stability,
)
from avt_memocmt.explainability.forward_function import ForwardFunction, leave_one_out
from avt_memocmt.explainability.gradcam import grad_cam
from avt_memocmt.explainability.integrated_gradients import integrated_gradients
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.models.attention import Attention
from avt_memocmt.models.heads import StatisticsPooling
from avt_memocmt.preprocessing.transcripts import Cue

JOY = EMOTIONS.index("joy")


class LinearDecision:
    """Logits that are a linear map of the sum of the tokens of one modality."""

    def __init__(self, modality: str, weights: Tensor) -> None:
        self.present = (modality,)
        self.modality = modality
        self.weights = weights

    def values(self, without: str) -> dict[str, Tensor]:
        assert without == self.modality
        return {}

    def logits(self, values: dict[str, Tensor]) -> Tensor:
        return values[self.modality].sum(dim=1) @ self.weights


class PlainEvidence(Evidence):
    """Tokens that are their own evidence; each is a feature group."""

    modality = "text"
    baseline_name = "ones"

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs
        self.baseline = torch.ones_like(inputs)
        self.feature_mask = torch.arange(inputs.shape[1])[:, None]
        self.shape = (inputs.shape[1],)

    def tokens(self, inputs: Tensor) -> Tensor:
        return inputs


class GreyMap(VisualEncoder):
    """Two maps of 2 x 2 cells: the mean light of each quarter, and its square."""

    dim, side, identity = 2, 4, {"name": "grey"}

    def __init__(self) -> None:
        super().__init__((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def feature_map(self, pixels: Tensor) -> Tensor:
        light = nn.functional.avg_pool2d(pixels.mean(dim=1, keepdim=True), 2)
        return torch.cat([light, light**2], dim=1)


@pytest.fixture
def linear() -> tuple[LinearDecision, PlainEvidence]:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 7, generator=generator)
    inputs = torch.randn(1, 5, 3, generator=generator) * 2
    return LinearDecision("text", weights), PlainEvidence(inputs)


def test_integrated_gradients_of_a_linear_decision_are_exact(
    linear: tuple[LinearDecision, PlainEvidence],
) -> None:
    decision, evidence = linear
    found = integrated_gradients(decision, evidence, JOY)  # type: ignore[arg-type]
    expected = ((evidence.inputs - 1) @ decision.weights)[0, :, JOY]
    assert found.scores == pytest.approx(expected.numpy(), abs=1e-4)
    assert found.completeness == pytest.approx(0, abs=1e-4)
    assert found.change == pytest.approx(float(expected.sum()), abs=1e-4)


def test_grad_cam_of_a_linear_decision_is_the_weighted_sum_of_the_maps() -> None:
    generator = np.random.default_rng(0)
    crops = [generator.integers(0, 255, (4, 4, 3), dtype=np.uint8) for _ in range(3)]
    weights = torch.zeros(2, 7)
    weights[:, JOY] = torch.tensor([3.0, -2.0])
    evidence = FaceEvidence(GreyMap(), crops)
    found = grad_cam(LinearDecision("visual", weights), evidence, JOY)  # type: ignore[arg-type]
    light = evidence.maps(evidence.inputs)[0, :, 0]
    expected = (3.0 * light - 2.0 * light**2).relu() / 4  # each cell is a quarter of the mean
    assert found.scores == pytest.approx(expected.numpy(), abs=1e-5)


def test_grad_cam_plus_plus_weighs_by_the_cells_that_rise() -> None:
    crops = [np.full((4, 4, 3), 100, np.uint8)]
    weights = torch.zeros(2, 7)
    weights[:, JOY] = torch.tensor([2.0, -1.0])
    evidence = FaceEvidence(GreyMap(), crops)
    decision = LinearDecision("visual", weights)
    found = grad_cam(decision, evidence, JOY, plus_plus=True)  # type: ignore[arg-type]
    light = 100 / 255
    gradient = 2.0 / 4
    alpha = gradient**2 / (2 * gradient**2 + 4 * light * gradient**3)
    assert found.scores == pytest.approx(4 * alpha * gradient * light, abs=1e-5)


def test_curves_are_the_decision_without_the_strongest_feature_groups(
    linear: tuple[LinearDecision, PlainEvidence],
) -> None:
    _, evidence = linear
    weights = torch.zeros(3, 7)
    weights[:, JOY] = torch.tensor([1.0, -0.5, 0.2])
    decision = LinearDecision("text", weights)
    scores = integrated_gradients(decision, evidence, JOY).scores  # type: ignore[arg-type]
    found = curves(decision, evidence, scores, JOY)  # type: ignore[arg-type]
    order = np.argsort(-scores)
    for place, share in enumerate(SHARES):
        gone = torch.from_numpy(order[: round(share * 5)].copy())
        without, alone = evidence.inputs.clone(), evidence.baseline.clone()
        without[0, gone], alone[0, gone] = 1.0, evidence.inputs[0, gone]
        for values, point in ((without, found.deletion), (alone, found.insertion)):
            expected = decision.logits({"text": values}).softmax(dim=1)[0, JOY]
            assert point[place] == pytest.approx(float(expected), abs=1e-5)
    assert found.deletion_gain > 0
    assert found.insertion_gain > 0
    worst = curves(decision, evidence, -scores, JOY)  # type: ignore[arg-type]
    assert worst.deletion_gain < 0


def test_rollout_of_one_layer_between_two_modalities() -> None:
    to_text = np.array([[[0.2, 0.8]]])
    to_sound = np.array([[[1.0], [1.0]]])
    found = attention_rollout(
        {("text", "audio"): to_text, ("audio", "text"): to_sound}, {"audio": 2, "text": 1}
    )
    assert found["text", "audio"] == pytest.approx(np.array([[0.1, 0.4]]))
    assert found["text", "text"] == pytest.approx(np.array([[0.5]]))
    assert found["audio", "audio"] == pytest.approx(np.eye(2) / 2)
    twice = attention_rollout(
        {
            ("text", "audio"): np.tile(to_text, (2, 1, 1)),
            ("audio", "text"): np.tile(to_sound, (2, 1, 1)),
        },
        {"audio": 2, "text": 1},
    )
    step = np.array([[0.5, 0, 0.5], [0, 0.5, 0.5], [0.1, 0.4, 0.5]])
    assert twice["audio", "text"] == pytest.approx((step @ step)[:2, 2:])


def test_groups_sum_over_keys_and_average_over_queries() -> None:
    spans = np.zeros((2, 2))
    rows = Axis(("state", "said"), spans, np.array([0, 1, 1]))
    columns = Axis(("state", "seen"), spans, np.array([0, 1, 1]))
    weights = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2]])
    expected = np.array([[0.2, 0.8], [0.7, 0.3]])
    assert grouped(weights, rows, columns) == pytest.approx(expected)


@pytest.fixture(scope="module")
def explained(recognizer: EmotionRecognizer, talking_clip: Spoken) -> list[UtteranceExplanation]:
    """Two turns of a dialogue, with every modality."""
    clip = talking_clip.path
    made = ExplainingRecognizer(recognizer, ExplainSettings())
    said = talking_clip.words.split()
    first, second = " ".join(said[:3]), " ".join(said[3:])
    cues = [Cue(first, 0.0, 1.4, "Ann"), Cue(second, 1.4, 3.0, "Bob")]
    plain, with_reasons = recognizer.predict(clip, cues), made.predict(clip, cues)
    assert with_reasons == plain  # bit for bit
    return made.reader.explanations


def test_the_function_of_a_turn_is_its_decision(
    recognizer: EmotionRecognizer, explained: list[UtteranceExplanation]
) -> None:
    assert [len(found.turn.past) for found in explained] == [0, 1]
    for found in explained:
        function = ForwardFunction(recognizer.engine.model, found.turn)
        with torch.no_grad():
            values = function.values()
            fused = function.fuse(values)
            logits = function.logits(values) / fused.temperature[:, None]
        assert tuple(logits.softmax(dim=1)[0].tolist()) == pytest.approx(
            found.prediction.probabilities, abs=1e-6
        )


def test_evidence_gives_the_tokens_that_the_decision_was_made_from(
    recognizer: EmotionRecognizer, explained: list[UtteranceExplanation]
) -> None:
    turn = explained[1].turn
    function = ForwardFunction(recognizer.engine.model, turn)
    evidence = gather_evidence(recognizer.engine.encoders, recognizer.config, turn)
    assert list(evidence) == ["audio", "visual", "text"]
    for m, item in evidence.items():
        with torch.no_grad():
            assert torch.allclose(item.tokens(item.inputs), function.values()[m], atol=1e-4)
        whole = item.blended(torch.ones(2, item.feature_groups))
        assert torch.equal(whole, item.inputs.expand_as(whole))
        explained_share = item.blended(torch.zeros(1, item.feature_groups)) == item.baseline
        assert explained_share.all()
        counted = item.scores(torch.ones_like(item.inputs))
        assert counted.sum() == (item.feature_mask.expand(item.inputs.shape[1:]) >= 0).sum()


def test_every_modality_that_is_present_is_explained(
    recognizer: EmotionRecognizer, explained: list[UtteranceExplanation]
) -> None:
    for found in explained:
        assert set(found.attributions) == {"audio", "visual", "text"}
        assert found.words == tuple(found.turn.utterance.text.split())
        assert found.attributions["text"].scores.shape == (3,)
        assert len(found.attributions["visual"].scores) == len(found.turn.utterance.faces)
        for m in ("audio", "text"):
            method = found.attributions[m]
            assert method.completeness is not None
            assert method.change is not None
            assert method.scores.sum() == pytest.approx(
                method.change + method.completeness, abs=1e-3
            )
            assert abs(method.completeness) < 0.05
        attention = found.attention
        assert len(attention.maps) == 6
        for (target, source), weights in attention.maps.items():
            rows, columns = (len(attention.axes[m].labels) for m in (target, source))
            assert weights.shape[2:] == (rows, columns)
            assert weights.sum(axis=-1) == pytest.approx(np.ones(weights.shape[:-1]))
        assert sum(attention.contributions.values()) == pytest.approx(1)
        for earlier, later in pairwise(attention.axes["audio"].spans[1:]):
            assert earlier[1] <= later[0] + 1e-6
    assert explained[1].attention.turns.shape[2] == 2
    assert explained[1].attention.turns.sum(axis=2) == pytest.approx(1)


def test_leaving_out_compares_with_the_decision_on_the_rest(
    recognizer: EmotionRecognizer, explained: list[UtteranceExplanation]
) -> None:
    first = explained[0]
    effects = leave_one_out(ForwardFunction(recognizer.engine.model, first.turn), JOY)

    def logit(turn: PreparedTurn) -> float:
        function = ForwardFunction(recognizer.engine.model, turn)
        with torch.no_grad():
            return float(function.logits(function.values())[0, JOY])

    for m, effect in effects.items():
        rest = {name: tokens for name, tokens in first.turn.tokens.items() if name != m}
        silent = replace(first.turn, tokens=rest)
        assert effect == pytest.approx(logit(first.turn) - logit(silent), abs=1e-5)


def test_what_is_absent_is_attributed_nothing(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    made = ExplainingRecognizer(recognizer, ExplainSettings(emotion=JOY))
    made.predict(write_wav(tmp_path / "voice.wav", speech_like(1.0)), transcribe=False)
    (found,) = made.reader.explanations
    assert found.emotion == "joy"
    assert set(found.attributions) == set(found.leave_one_out) == {"audio"}
    assert found.attention.maps == {}
    assert found.attention.contributions == {"audio": pytest.approx(1.0)}


def test_only_the_utterances_asked_for_are_explained(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    clip = talking_clip.path
    lines = [("bin blue", "Ann"), ("at f", "Bob"), ("two now", "Ann")]
    cues = [Cue(text, float(i), i + 1.0, speaker) for i, (text, speaker) in enumerate(lines)]
    made = ExplainingRecognizer(recognizer, ExplainSettings(utterances={1}))
    assert len(made.predict(clip, cues).utterances) == 3
    assert [found.index for found in made.reader.explanations] == [1]


def test_an_explanation_changes_with_what_the_network_learned_and_hardly_with_noise(
    recognizer: EmotionRecognizer, explained: list[UtteranceExplanation]
) -> None:
    turn = explained[0].turn
    function = ForwardFunction(recognizer.engine.model, turn)
    faces = gather_evidence(recognizer.engine.encoders, recognizer.config, turn)["visual"]
    assert isinstance(faces, FaceEvidence)
    inputs = faces.inputs

    def method(function: ForwardFunction, item: Evidence) -> np.ndarray:
        assert isinstance(item, FaceEvidence)
        return grad_cam(function, item, JOY).scores

    before = [parameter.clone() for parameter in recognizer.engine.model.parameters()]
    shuffled = randomised_similarity(function, faces, method)["projections"]
    assert stability(function, faces, method) > max(0.7, shuffled + 0.2)
    lone = replace(turn, tokens={"visual": turn.tokens["visual"]}, baselines={})
    alone = ForwardFunction(recognizer.engine.model, lone)
    assert randomised_similarity(alone, faces, method)[CLASSIFIERS] < 0.9
    assert faces.inputs is inputs
    for kept, parameter in zip(before, recognizer.engine.model.parameters(), strict=True):
        assert torch.equal(kept, parameter)


def test_nothing_is_recorded_or_kept_after_an_explanation(
    recognizer: EmotionRecognizer, explained: list[UtteranceExplanation]
) -> None:
    weighing = [
        m for m in recognizer.engine.model.modules() if isinstance(m, Attention | StatisticsPooling)
    ]
    assert explained
    assert not any(m.recording or m.recorded is not None for m in weighing)
    assert not any(m._forward_hooks or m._backward_hooks for m in recognizer.engine.model.modules())
