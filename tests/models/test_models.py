"""Invariants of the fusion model: masks, padding, order, causality, attention paths."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from model_factory import (
    DIMS,
    SHAPES,
    SMALL,
    make_dialogue,
    make_model,
    make_tokens,
    spoil_masked,
)
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, ModelConfig
from avt_memocmt.data.dialogue_batch import ModalityBatch, TurnFeatures, collate
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.attention import Attention, record_attention
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, StatisticsPooling
from avt_memocmt.models.confidence import Novelty
from avt_memocmt.models.cross_modal_transformer import DIRECTIONS
from avt_memocmt.models.heads import LayerStatistics, statistics
from avt_memocmt.models.projections import time_encoding
from avt_memocmt.models.temporal_transformer import TemporalTransformer

SUBSETS = [s for n in (1, 2, 3) for s in combinations(MODALITIES, n)]


@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
@pytest.mark.parametrize("filler", [1e4, float("nan")])
def test_values_of_masked_tokens_cannot_change_the_output(
    model: AvtMemoCmt, present: tuple[str, ...], filler: float
) -> None:
    batch = collate([make_dialogue(3, 1, present), make_dialogue(2, 5, present)], DIMS)
    spoiled = {m: spoil_masked(part, filler) for m, part in batch.modalities.items()}
    with torch.no_grad():
        clean = model(batch).logits
        changed = model(replace(batch, modalities=spoiled)).logits
    assert torch.isfinite(clean).all()
    assert torch.equal(clean[batch.turn_mask], changed[batch.turn_mask])


def test_padding_by_longer_batch_mates_cannot_change_the_output(model: AvtMemoCmt) -> None:
    short, long = make_dialogue(2, 3), make_dialogue(6, 4)
    with torch.no_grad():
        alone = model(collate([short], DIMS))
        together = model(collate([short, long], DIMS))
    assert torch.allclose(alone.logits[0], together.logits[0, :2], atol=1e-5)
    assert torch.allclose(alone.modality_weights[0], together.modality_weights[0, :2], atol=1e-5)


@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
def test_weights_are_shares_of_the_present_modalities(
    model: AvtMemoCmt, present: tuple[str, ...]
) -> None:
    with torch.no_grad():
        weights = model(collate([make_dialogue(2, 2, present)], DIMS)).modality_weights[0]
    for i, name in enumerate(MODALITIES):
        assert bool((weights[:, i] > 0).all()) == (name in present)
    assert torch.allclose(weights.sum(1), torch.ones(2), atol=1e-6)


def test_a_turn_without_any_modality_is_judged_from_its_dialogue(model: AvtMemoCmt) -> None:
    silent = TurnFeatures({})
    with torch.no_grad():
        alone = model(collate([[silent]], DIMS))
        after = model(collate([[*make_dialogue(2), silent]], DIMS))
    assert torch.isfinite(alone.logits).all()
    assert torch.equal(alone.modality_weights, torch.zeros(1, 1, 3))
    assert not torch.allclose(alone.logits[0, 0], after.logits[0, 2], atol=1e-3)


@pytest.mark.parametrize("heard", SUBSETS, ids="+".join)
def test_a_network_uses_the_modalities_of_its_config_alone(heard: tuple[str, ...]) -> None:
    net = AvtMemoCmt(SHAPES, SMALL.model_copy(update={"modalities": heard})).eval()
    left = {m: dim for m, dim in DIMS.items() if m in heard}
    turns = make_dialogue(3, 7)
    with torch.no_grad():
        everything, needed = net(collate([turns], DIMS)), net(collate([turns], left))
    assert torch.equal(everything.logits, needed.logits)
    assert set(everything.unimodal_logits) == set(heard)
    for i, name in enumerate(MODALITIES):
        assert bool((everything.modality_weights[..., i] > 0).all()) == (name in heard)
    names = {name for name, _ in net.named_parameters()}
    assert not any(m in name for name in names for m in set(MODALITIES) - set(heard))


def dialogue_gradients(turns: int, **settings: object) -> Tensor:
    """[turns, turns]: how much the tokens of turn k (column) move the logits of turn q (row)."""
    net = make_model(**settings)
    batch = collate([make_dialogue(turns, 11)], DIMS)
    inputs = [part.values.requires_grad_() for part in batch.modalities.values()]
    logits = net(batch).logits
    rows = []
    for q in range(turns):
        found = torch.autograd.grad(logits[0, q, 0], inputs, retain_graph=True)
        rows.append(torch.stack([g[0].abs().flatten(1).sum(1) for g in found]).sum(0))
    return torch.stack(rows)


def test_the_whole_network_is_causal_or_sees_both_sides() -> None:
    past_only, both = (dialogue_gradients(3, causal=causal) for causal in (True, False))
    assert torch.equal(past_only > 0, torch.ones(3, 3).tril().bool())
    assert (both > 0).all()


def test_without_temporal_layers_a_turn_is_judged_by_itself() -> None:
    gradients = dialogue_gradients(3, temporal_layers=0, causal=False)
    assert torch.equal(gradients > 0, torch.eye(3).bool())


def test_without_cross_modal_layers_modalities_first_meet_in_the_pool() -> None:
    net = make_model(cross_modal_layers=0)
    parts = collate([make_dialogue(1, 12)], DIMS).modalities
    values = parts["audio"].values.requires_grad_()
    with record_attention(net.cross_modal) as maps:
        logits = net(collate([make_dialogue(1, 12)], DIMS)).logits
    assert not maps
    assert torch.isfinite(logits).all()
    tokens, masks = {}, {}
    for m, part in parts.items():
        flat = part.flatten_turns()
        tokens[m], masks[m] = net.projections[m](flat.values, flat.spans, flat.mask)
    crossed = net.cross_modal(tokens, masks)
    (gradient,) = torch.autograd.grad(crossed["text"].sum(), values, allow_unused=True)
    assert gradient is None


def exact_logits(model: AvtMemoCmt, turn: TurnFeatures) -> Tensor:
    """Logits of one turn in double precision, where rounding stays below 1e-12."""
    batch = collate([[turn]], DIMS)
    parts = {
        m: replace(part, values=part.values.double(), spans=part.spans.double())
        for m, part in batch.modalities.items()
    }
    with torch.no_grad():
        exact: Tensor = copy.deepcopy(model).double()(replace(batch, modalities=parts)).logits
    return exact


def test_token_order_matters_and_is_told_by_their_times_alone(model: AvtMemoCmt) -> None:
    for name in MODALITIES:
        turn = TurnFeatures({m: make_tokens(m, 12, i) for i, m in enumerate(MODALITIES)})
        tokens = turn.tokens[name]
        backwards = Tokens(tokens.values[::-1].copy(), tokens.spans)
        relisted = Tokens(tokens.values[::-1].copy(), tokens.spans[::-1].copy())
        straight = exact_logits(model, turn)
        for other, changes in ((backwards, True), (relisted, False)):
            found = exact_logits(model, TurnFeatures({**turn.tokens, name: other}))
            difference = (found - straight).abs().max().item()
            assert (difference > 1e-6) == changes, (name, difference)
            assert changes or difference < 1e-12, (name, difference)


def turn_gradients(causal: bool) -> Tensor:
    """[turns, turns]: how much the input of turn k (column) moves the output of turn q (row)."""
    torch.manual_seed(1)
    config = ModelConfig(dim=16, heads=2, feed_forward=32, temporal_window=3, causal=causal)
    net = TemporalTransformer(config).eval()
    turns = torch.randn(1, 7, 16, requires_grad=True)
    everyone = torch.ones(1, 7, dtype=torch.bool)
    out = net(turns, everyone, torch.zeros(1, 7, dtype=torch.long))
    rows = []
    for q in range(7):
        (gradient,) = torch.autograd.grad(out[0, q].sum() + out[0, q, 0], turns, retain_graph=True)
        rows.append(gradient[0].abs().sum(1))
    return torch.stack(rows)


def test_past_only_mode_lets_no_gradient_flow_from_the_future() -> None:
    gradients = turn_gradients(causal=True)
    assert torch.equal(gradients.triu(1), torch.zeros(7, 7))
    assert (gradients.diagonal(-1) > 0).all()


def test_a_turn_is_reached_from_exactly_the_turns_within_reach() -> None:
    gradients = turn_gradients(causal=True)
    reach = ModelConfig(temporal_layers=2, temporal_window=3).reach
    assert reach == 5
    for q in range(7):
        seen = gradients[q] > 0
        assert seen.tolist() == [q - reach < k <= q for k in range(7)]


def test_both_sides_mode_sees_the_future() -> None:
    assert (turn_gradients(causal=False).diagonal(1) > 0).all()


def test_reading_turn_by_turn_with_a_bounded_past_equals_the_whole_dialogue(
    model: AvtMemoCmt,
) -> None:
    torch.manual_seed(2)
    turns = torch.randn(1, 12, SMALL.dim)
    change = torch.randint(0, 3, (1, 12))
    everyone = torch.ones(1, 12, dtype=torch.bool)
    reach = SMALL.reach
    with torch.no_grad():
        whole = model.classify(turns, everyone, change)
        for t in range(12):
            first = max(0, t + 1 - reach)
            window = slice(first, t + 1)
            part = model.classify(turns[:, window], everyone[:, window], change[:, window])
            assert torch.allclose(part[0, -1], whole[0, t], atol=1e-5)


def test_each_set_of_modalities_has_its_temperature(model: AvtMemoCmt) -> None:
    cooled = copy.deepcopy(model)
    cooled.temperatures.set_decision(("audio",), 2.0)
    cooled.temperatures.set_decision(("audio", "text"), 4.0)
    for present, expected in [(("audio",), 2.0), (("audio", "text"), 4.0), (("text",), 1.0)]:
        batch = collate([make_dialogue(2, 3, present)], DIMS)
        with torch.no_grad():
            before, after = model(batch), cooled(batch)
        assert torch.allclose(after.logits * expected, before.logits, atol=1e-5)
        for name in MODALITIES:
            assert torch.equal(after.unimodal_logits[name], before.unimodal_logits[name])


def test_each_modalitys_own_decision_has_its_temperature(model: AvtMemoCmt) -> None:
    cooled = copy.deepcopy(model)
    cooled.temperatures.set_unimodal("text", 8.0)
    batch = collate([make_dialogue(2, 3)], DIMS)
    with torch.no_grad():
        before, after = model(batch).unimodal_logits, cooled(batch).unimodal_logits
    assert torch.allclose(after["text"] * 8, before["text"], atol=1e-5)
    assert torch.equal(after["audio"], before["audio"])


def test_novelty_is_the_distance_to_the_nearest_centroid() -> None:
    novelty = Novelty(3)
    directions = torch.zeros_like(novelty.directions)
    directions[0, 0], directions[1, 1] = 1.0, 2.0
    centroids = torch.full_like(novelty.centroids, 50.0)
    centroids[5] = 0.0
    centroids[6] = 4 * torch.eye(Novelty.DIRECTIONS)[1]
    novelty.set_fitted(directions, centroids)
    clips = torch.tensor([[0.0, 0.0, 9.0], [3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [4.0, 3.5, 0.0]])
    assert torch.allclose(novelty(clips), torch.tensor([0.0, 3.0, 0.0, 5.0]), atol=1e-5)


def test_sound_that_is_unlike_the_known_is_judged_with_less_confidence(model: AvtMemoCmt) -> None:
    sure = copy.deepcopy(model)
    torch.manual_seed(5)
    sure.novelty["audio"].set_fitted(*map(torch.randn_like, sure.novelty["audio"].buffers()))
    unsure = copy.deepcopy(sure)
    unsure.temperatures.set_unimodal("audio", 2.0, exponent=0.5)
    for present in (("audio",), ("audio", "text"), ("text",)):
        batch = collate([make_dialogue(2, 3, present)], DIMS)
        parts = {m: part.flatten_turns() for m, part in batch.modalities.items()}
        heard = unsure.baselines["audio"](parts["audio"])
        with torch.no_grad():
            distance = unsure.novelty["audio"](unsure.layer_statistics["audio"].standard(heard))
            before, after = sure.fuse(parts), unsure.fuse(parts)
        assert (distance > 0.1).all()
        scale = 2 * (1 + distance).sqrt()
        assert torch.equal(after.temperature, torch.ones_like(scale))
        if "audio" in present:
            said = after.unimodal_logits["audio"] * scale[:, None]
            assert torch.allclose(said, before.unimodal_logits["audio"], atol=1e-4)
        assert torch.equal(after.unimodal_logits["text"], before.unimodal_logits["text"])


def test_novelty_is_measured_on_hidden_layers_alone(model: AvtMemoCmt) -> None:
    """An exponent of a modality with one hidden layer scales nothing."""
    assert list(model.novelty) == ["audio"]
    scaled = copy.deepcopy(model)
    scaled.temperatures.set_unimodal("text", 1.0, exponent=1.0)
    batch = collate([make_dialogue(2, 3, ("text",))], DIMS)
    with torch.no_grad():
        assert torch.equal(scaled(batch).logits, model(batch).logits)


def test_without_a_fit_no_logit_is_divided(model: AvtMemoCmt) -> None:
    fitted = model.temperatures
    assert fitted.decision.tolist() == [1] * 8
    assert fitted.unimodal.tolist() == [1] * 3
    assert fitted.exponent.tolist() == [0] * 3
    assert torch.equal(fitted(torch.eye(5, 3).bool()), torch.ones(5))
    assert torch.equal(fitted.of_modality("audio", 9 * torch.rand(5)), torch.ones(5))


def test_padding_turns_cannot_change_the_output(model: AvtMemoCmt) -> None:
    turns = torch.randn(1, 4, SMALL.dim)
    padded = torch.cat([turns, torch.full((1, 3, SMALL.dim), 50.0)], dim=1)
    mask = torch.tensor([[True] * 4 + [False] * 3])
    change = torch.zeros(1, 7, dtype=torch.long)
    with torch.no_grad():
        short = model.classify(turns, mask[:, :4], change[:, :4])
        long = model.classify(padded, mask, change)
    assert torch.allclose(short[0], long[0, :4], atol=1e-5)


def test_attention_equals_torch_multihead_attention() -> None:
    torch.manual_seed(3)
    ours = Attention(24, 4).eval()
    reference = nn.MultiheadAttention(24, 4, batch_first=True).eval()
    with torch.no_grad():
        reference.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        reference.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        reference.out_proj.weight.copy_(ours.out.weight)
        reference.out_proj.bias.copy_(ours.out.bias)
    queries, keys = torch.randn(2, 5, 24), torch.randn(2, 7, 24)
    allowed = torch.ones(2, 7, dtype=torch.bool)
    allowed[0, 4:] = False
    expected, expected_weights = reference(
        queries, keys, keys, key_padding_mask=~allowed, average_attn_weights=False
    )
    fused = ours(queries, keys, allowed[:, None, None, :])
    with record_attention(ours) as maps:
        recorded = ours(queries, keys, allowed[:, None, None, :])
    assert torch.allclose(fused, expected, atol=1e-5)
    assert torch.equal(recorded, fused)
    assert torch.allclose(maps[""], expected_weights, atol=1e-5)


def test_recording_attention_does_not_change_a_bit_of_the_prediction(model: AvtMemoCmt) -> None:
    batch = collate([make_dialogue(4, 8)], DIMS)
    with torch.no_grad():
        fused = model(batch).logits
        with record_attention(model) as maps:
            recorded = model(batch).logits
    assert torch.equal(fused, recorded)
    directed = [name for name in maps if "_from_" in name]
    assert len(directed) == len(DIRECTIONS) * SMALL.cross_modal_layers
    for weights in maps.values():
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:-1]), atol=1e-5)


def test_recording_ends_also_after_an_error(model: AvtMemoCmt) -> None:
    with pytest.raises(RuntimeError, match="stop"), record_attention(model):
        raise RuntimeError("stop")
    assert not any(m.recording for m in model.modules() if isinstance(m, Attention))


def test_all_six_attentions_receive_gradient_when_every_modality_is_present() -> None:
    net = make_model().train()
    net(collate([make_dialogue(2, 9)], DIMS)).logits.square().sum().backward()
    for layer in net.cross_modal.layers:
        for target, source in DIRECTIONS:
            attention = layer.attentions[f"{target}_from_{source}"]
            for name in ("query", "key", "value", "out"):
                gradient = getattr(attention, name).weight.grad
                assert gradient is not None, (target, source, name)
                assert gradient.abs().sum() > 0, (target, source, name)


def test_statistics_pooling_with_equal_scores_is_mean_and_deviation() -> None:
    pool = StatisticsPooling(4)
    nn.init.zeros_(pool.score[2].weight)
    pool.project = nn.Identity()
    tokens = torch.tensor([[[1.0, 2, 3, 4], [3.0, 2, 1, 0], [9.0, 9, 9, 9]]])
    mask = torch.tensor([[True, True, False]])
    pooled = pool(tokens, mask)[0]
    assert torch.allclose(pooled[:4], torch.tensor([2.0, 2.0, 2.0, 2.0]))
    assert torch.allclose(pooled[4:], torch.tensor([1.0, 0.0, 1.0, 2.0]), atol=4e-3)


def test_layer_statistics_are_mean_and_deviation_of_a_rows_own_tokens() -> None:
    values = torch.tensor([[[1.0, 5.0], [3.0, 5.0], [float("nan"), 9.0]], [[2.0, 2.0]] * 3])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    found = statistics(values, mask)
    expected = torch.tensor([[2.0, 5.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_layer_statistics_standardise_and_take_an_absent_row_for_the_mean_one() -> None:
    layers = LayerStatistics(2, 4, (0.3, 0.5)).eval()
    row = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])
    everyone = torch.ones(1, 2, dtype=torch.bool)
    layers.set_statistics(statistics(row, everyone)[0], torch.full((4,), 0.5))

    def standard(values: Tensor, mask: Tensor) -> Tensor:
        return layers.standard(ModalityBatch.of_tokens(values, torch.zeros(1, 2, 2), mask))

    absent = standard(torch.full_like(row, float("nan")), ~everyone)
    assert torch.equal(absent, torch.zeros(1, 4))
    torch.testing.assert_close(standard(row, everyone), absent)
    moved = standard(row + 1, everyone)
    torch.testing.assert_close(moved, torch.tensor([[2.0, 2.0, 0.0, 0.0]]))
    assert not torch.allclose(layers(moved), layers(absent))


def test_one_token_has_a_gradient_through_its_deviation() -> None:
    values = torch.ones(1, 1, 3, requires_grad=True)
    statistics(values, torch.ones(1, 1, dtype=torch.bool)).sum().backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()


def test_time_encoding_matches_the_formula() -> None:
    encoded = time_encoding(torch.tensor([0.0, 0.5]), 8)
    assert torch.equal(encoded[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    position = 0.5 * 50
    expected = np.sin(position / 10_000 ** (2 * np.arange(4) / 8))
    assert np.allclose(encoded[1, :4].numpy(), expected, atol=1e-6)
