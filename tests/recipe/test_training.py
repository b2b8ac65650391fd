"""The training recipe on tiny made-up sources: labels, losses, gradients, resuming."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape, TrainingConfig
from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import TextBatch, TextEncoder
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.models.cross_modal_transformer import DIRECTIONS
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.recipe.cross_validation import LeftOut
from avt_memocmt.recipe.examples import (
    Example,
    FacePart,
    SpeechPart,
    TextPart,
    one_hot,
    speaker_changes,
    text_example,
)
from avt_memocmt.recipe.face import augment
from avt_memocmt.recipe.fusion import evaluation_examples, example_loss, freeze_unimodal_branches
from avt_memocmt.recipe.speech_augmentation import (
    add_noise,
    augment_speech,
    band_limit,
    equalise,
    resample,
)
from avt_memocmt.recipe.synthetic_pairs import PairSampler, Sources, without
from avt_memocmt.recipe.temperatures import (
    fit_growing_temperature,
    fit_temperature,
    fit_temperatures,
)
from avt_memocmt.recipe.text import hide_pieces, text_unimodal_logits
from avt_memocmt.recipe.token_cache import TokenCache, cached_tokens
from avt_memocmt.recipe.unimodal import (
    Branch,
    branch_plans,
    set_layer_statistics,
    speaker_means,
    speech_plan,
    warm_up,
)
from avt_memocmt.training.trainer import Trainer, cosine_with_warmup, moving_average
from avt_memocmt.training.weight_average import mean_of

DIMS = {"audio": 8, "visual": 256, "text": 6}


def make_cache(lengths: list[int], dim: int) -> TokenCache:
    total = sum(lengths)
    generator = np.random.default_rng(total)
    return TokenCache(
        generator.normal(size=(total, dim)).astype(np.float16),
        np.zeros((total, 2), np.float32),
        np.cumsum([0, *lengths]),
    )


def constant_clips(values: list[float]) -> TokenCache:
    """Clips of 60 tokens of width 2, all numbers of a clip alike."""
    tokens = np.repeat(np.array(values, np.float16), 60)[:, None].repeat(2, axis=1)
    return TokenCache(
        tokens, np.zeros((len(tokens), 2), np.float32), 60 * np.arange(len(values) + 1)
    )


@pytest.fixture(scope="module")
def sources() -> Sources:
    clips = [SpeechClip(Path(), "ravdess", "a", "", e, "train") for e in range(7)]
    emotions = [0, 1, 2, 3, 4, 5, 6, 0]
    text = make_cache([3, 4, 5, 3, 4, 5, 3, 0], DIMS["text"])
    votes = np.eye(7, dtype=np.float32)
    return Sources(
        SpeechPart(clips, [make_cache([60] * 7, DIMS["audio"])] * 2, {}),
        FacePart([np.zeros((7, 256), np.float16)] * 2, votes, np.arange(7)),
        TextPart(
            [[0, 1, 2, 3], [4, 5, 6, 7]],
            [[0, 2, 2, 1], [0, 0, 0, 0]],
            emotions,
            text,
            text,
            np.full((8, 7), 1 / 7, np.float32),
        ),
    )


def make_model() -> AvtMemoCmt:
    torch.manual_seed(0)
    shapes = {"audio": TokenShape(4, 2), "visual": TokenShape(256), "text": TokenShape(6)}
    return AvtMemoCmt(shapes, ModelConfig(dim=16, heads=2, feed_forward=16, temporal_window=4))


def test_matched_pairs_agree_in_all_three_modalities(sources: Sources) -> None:
    sampler = PairSampler(sources, np.random.default_rng(0), augmented=False)
    for row in range(7):
        pair = sampler.matched(row)
        assert set(pair.turns[0].tokens) == {"audio", "visual", "text"}
        assert pair.labels.tolist() == [one_hot(row).tolist()]
        assert all(labels.argmax() == row for labels in pair.unimodal_logits.values())


def test_training_pairs_mix_modalities_and_soften_mismatched_labels(sources: Sources) -> None:
    sampler = PairSampler(sources, np.random.default_rng(1), augmented=True)
    pairs = [sampler.training_pair(3) for _ in range(300)]
    kinds = {tuple(sorted(pair.turns[0].tokens)) for pair in pairs}
    assert len(kinds) == 4
    soft = [pair for pair in pairs if pair.labels.max() < 0.99]
    assert 0.25 < len(soft) / len(pairs) < 0.55
    for pair in pairs:
        assert pair.labels.sum() == pytest.approx(1, abs=1e-5)
        shown = {int(labels.argmax()) for labels in pair.unimodal_logits.values()}
        assert set(np.flatnonzero(pair.labels[0])) == shown


def test_a_voice_that_face_and_line_contradict_counts_little(sources: Sources) -> None:
    sampler = PairSampler(sources, np.random.default_rng(1), augmented=True)
    pairs = [sampler.training_pair(3) for _ in range(600)]
    alone = [
        float(pair.labels[0, 3])
        for pair in pairs
        if len(pair.unimodal_logits) == 3
        and pair.unimodal_logits["visual"].argmax() == pair.unimodal_logits["text"].argmax() != 3
    ]
    # A neutral face and neutral words are also what a mismatch of the other kind may draw.
    assert 0.1 < len(alone) / sum(len(pair.unimodal_logits) == 3 for pair in pairs) < 0.3
    assert alone == pytest.approx([0.1] * len(alone))


def test_training_pairs_reach_all_six_attentions(sources: Sources) -> None:
    model = make_model().train()
    sampler = PairSampler(sources, np.random.default_rng(2), augmented=True)
    batch = [sampler.training_pair(row) for row in range(7)]
    example_loss(model(collate([e.turns for e in batch], DIMS)), batch).backward()
    for layer in model.cross_modal.layers:
        for target, source in DIRECTIONS:
            weight = layer.attentions[f"{target}_from_{source}"].value.weight
            assert weight.grad is not None, (target, source)
            assert weight.grad.abs().sum() > 0, (target, source)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_branch_learns_alone(sources: Sources, tmp_path: Path, modality: str) -> None:
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plans = {p.modality: p for p in branch_plans(sources, evaluation_examples(sources))}
    warm_up(model, plans[modality], tmp_path)
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    branch = (
        f"projections.{modality}.",
        f"opinion_pools.{modality}.",
        f"layer_statistics.{modality}.",
        f"opinion_heads.{modality}.",
    )
    assert moved
    assert all(name.startswith(branch) for name in moved)


def test_a_branch_of_sound_learns_from_the_given_clips_alone(sources: Sources) -> None:
    plan = speech_plan(sources.speech, np.array([1, 4, 5]), [])
    for epoch in range(3):
        seen = [int(e.labels.argmax()) for batch in plan.batches(epoch) for e in batch]
        assert sorted(seen) == [1, 4, 5], "each clip's emotion is its number"


def test_a_speakers_mean_counts_every_emotion_alike() -> None:
    clips = [SpeechClip(Path(), "c", "a", "", emotion, "train") for emotion in (0, 0, 0, 1)]
    speech = SpeechPart(clips, [constant_clips([1.0, 2.0, 3.0, 8.0])], {})
    assert speaker_means(speech, np.arange(4))["c/a"].tolist() == [5.0, 5.0]
    assert speaker_means(speech, np.arange(2))["c/a"].tolist() == [1.5, 1.5]


def test_clips_are_moved_between_the_means_of_speakers() -> None:
    clips = [SpeechClip(Path(), "c", "ab"[e // 2], "", e, "train") for e in range(4)]
    values = [0.0, 2.0, 10.0, 14.0]
    plan = speech_plan(SpeechPart(clips, [constant_clips(values)], {}), np.arange(4), [])
    batches = (batch for epoch in range(60) for batch in plan.batches(epoch))
    towards = []
    for example in (example for batch in batches for example in batch):
        row = int(example.labels.argmax())
        sound = example.turns[0].tokens["audio"].values
        assert (sound == sound[0, 0]).all()
        gap = 11.0 if row < 2 else -11.0
        towards.append((float(sound[0, 0]) - values[row]) / gap)
    assert 0 <= min(towards) < max(towards) <= 1
    # Half are moved, half of these towards their own speaker's mean: nowhere.
    assert np.mean(np.array(towards) > 0) == pytest.approx(0.25, abs=0.08)


def test_a_branch_judges_as_the_network_says_of_a_modality_alone(sources: Sources) -> None:
    model = make_model().eval()
    examples = evaluation_examples(sources)["text"]
    said = model(collate([e.turns for e in examples], DIMS)).unimodal_logits["text"]
    real = [len(e.turns) for e in examples]
    expected = [i for row, n in zip(said.argmax(-1).tolist(), real, strict=True) for i in row[:n]]
    assert Branch(model, "text").eval().judge(examples) == expected


def test_the_statistics_of_sound_are_standardised_by_all_training_tokens(sources: Sources) -> None:
    model = make_model()
    set_layer_statistics(model, sources.speech, range(len(sources.speech.clips)))
    clips = [v.tokens(row).values for v in sources.speech.variants for row in range(len(v))]
    expected = np.stack([clip.mean(axis=0) for clip in clips]).mean(axis=0)
    found = model.state_dict()["layer_statistics.audio.mean"][: len(expected)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_soup_is_the_mean_of_its_weights() -> None:
    first, second = {"w": torch.tensor([1.0, 4.0])}, {"w": torch.tensor([3.0, 0.0])}
    assert mean_of([{**first, "n": torch.tensor(1)}, {**second, "n": torch.tensor(2)}]) == {
        "w": pytest.approx([2.0, 2.0]),
        "n": 1,
    }


def test_loss_teaches_a_lone_modality_its_own_opinion() -> None:
    torch.manual_seed(0)
    logits, audio, text = torch.randn(2, 2, 7), torch.randn(2, 2, 7), torch.randn(2, 2, 7)
    labels = np.stack([one_hot(1), one_hot(4)])
    tokens = Tokens(np.zeros((1, 4), np.float32), np.zeros((1, 2), np.float32))
    lone, both = TurnFeatures({"text": tokens}), TurnFeatures({"text": tokens, "audio": tokens})
    two_turns = Example((lone, both), labels, {"text": labels})
    one_turn = Example((TurnFeatures({"audio": tokens}),), labels[:1], {"audio": labels[:1]})
    unimodal_logits = {"audio": audio.requires_grad_(), "text": text.requires_grad_()}
    found = example_loss(
        Prediction(logits, torch.zeros(2, 2, 3), unimodal_logits), [two_turns, one_turn]
    )
    truth = torch.from_numpy(np.stack([*labels, labels[0]]))
    truth[0] = 0.1 * truth[0] + 0.9 * text[0, 0].softmax(dim=0)
    truth[2] = 0.1 * truth[2] + 0.9 * audio[1, 0].softmax(dim=0)
    decided = torch.stack([logits[0, 0], logits[0, 1], logits[1, 0]])
    expected = F.cross_entropy(decided, truth, label_smoothing=0.05)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert not found.requires_grad  # the unimodal_logits are the teacher, and are not taught


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_fusion_starts_from_what_each_modality_shows(sources: Sources, modality: str) -> None:
    model = make_model().eval()
    freeze_unimodal_branches(model)
    branch = Branch(model, modality)
    assert not any(weight.requires_grad for weight in branch.parameters())
    assert any(weight.requires_grad for weight in model.parameters())
    (example,) = evaluation_examples(sources)[modality][:1]
    batch = collate([example.turns], DIMS)
    parts = {m: part.flatten_turns() for m, part in batch.modalities.items()}
    fused = model.fuse({m: part.rows(torch.tensor([0])) for m, part in parts.items()})
    opinion = model.opinion_heads[modality](fused.utterances)
    torch.testing.assert_close(opinion, fused.unimodal_logits[modality])


def test_words_are_taught_what_their_encoder_says_instead_of_labels(sources: Sources) -> None:
    train = {plan.modality: plan for plan in branch_plans(sources, evaluation_examples(sources))}
    soft_targets = [example for batch in train["text"].batches(0) for example in batch]
    assert len(soft_targets) == 2
    for example in soft_targets:
        np.testing.assert_array_equal(example.unimodal_logits["text"], np.float32(1 / 7))
    judged = evaluation_examples(sources)["text"]
    assert [e.labels.argmax(axis=1).tolist() for e in judged] == [[0, 1, 2, 3], [4, 5, 6]]


def test_opinions_of_words_are_those_of_the_tuned_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = nn.Linear(6, 7)
    save_tensors(head.state_dict(), tmp_path / "head.safetensors")
    cache = make_cache([3, 1, 0], 6)
    found = text_unimodal_logits(cache, tmp_path / "head.safetensors")
    means = [torch.from_numpy(cache.tokens(row).values).mean(dim=0) for row in range(2)]
    with torch.no_grad():
        expected = head(torch.stack([*means, torch.zeros(6)])).softmax(dim=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_hidden_word_pieces_leave_special_ones_and_padding_alone() -> None:
    torch.manual_seed(0)
    tokenizer = SimpleNamespace(cls_token_id=101, sep_token_id=102, mask_token_id=103)
    ids = torch.full((50, 40), 7)
    ids[:, 0], ids[:, 20], ids[:, 30:] = 101, 102, 0
    mask = ids > 0
    batch = TextBatch(ids, torch.zeros_like(ids), mask, [1] * 50, [19] * 50, [])
    changed = hide_pieces(batch, cast(TextEncoder, SimpleNamespace(tokenizer=tokenizer)))
    hidden = changed.ids != ids
    assert (changed.ids[hidden] == 103).all()
    assert (ids[hidden] == 7).all()
    assert hidden.sum() / (ids == 7).sum() == pytest.approx(0.1, abs=0.02)
    assert (batch.ids == ids).all()


def test_text_dialogues_leave_out_turns_without_words(sources: Sources) -> None:
    example = text_example(sources.text, 1)
    assert len(example.turns) == len(example.labels) == 3


def test_without_keeps_the_named_modalities(sources: Sources) -> None:
    pair = PairSampler(sources, np.random.default_rng(0), augmented=False).matched(2)
    alone = without(pair, ("visual",))
    assert set(alone.turns[0].tokens) == set(alone.unimodal_logits) == {"visual"}


def test_speaker_changes() -> None:
    assert speaker_changes(["Ann", "Ann", "Bob", None, "Bob"]) == [0, 1, 2, 0, 0]
    assert speaker_changes([]) == []


def make_trainer(
    folder: Path, epochs: int, weight_average: float = 0.0
) -> tuple[nn.Linear, Trainer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    settings = TrainingConfig(epochs=epochs, learning_rate=0.1, weight_average=weight_average)
    return model, Trainer(model, folder, settings, 4)


def run_trainer(model: nn.Linear, trainer: Trainer, stop_after: int | None = None) -> None:
    def batches(epoch: int) -> list[torch.Tensor]:
        if stop_after is not None and epoch == stop_after:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(epoch)
        return list(torch.randn(4, 8, 3, generator=generator))

    def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return ((model(x)[:, 0] - x.sum(1)) ** 2).mean()

    trainer.run(batches, loss, lambda _: {"score": float(trainer.epoch)}, "score")


@pytest.mark.parametrize("weight_average", [0.0, 0.9])
def test_a_stopped_run_resumes_to_the_same_weights(tmp_path: Path, weight_average: float) -> None:
    whole, trainer = make_trainer(tmp_path / "whole", 4, weight_average)
    run_trainer(whole, trainer)
    model, trainer = make_trainer(tmp_path / "stopped", 4, weight_average)
    with pytest.raises(KeyboardInterrupt):
        run_trainer(model, trainer, stop_after=2)
    model, trainer = make_trainer(tmp_path / "stopped", 4, weight_average)
    assert trainer.epoch == 2
    run_trainer(model, trainer)
    assert torch.equal(model.weight, whole.weight)


def test_the_average_takes_in_weights_and_statistics_and_leaves_the_network_alone() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, affine=False))
    weight, mean = cast(Tensor, model[0].weight), cast(Tensor, model[1].running_mean)
    average = moving_average(model, 0.4)
    expected = [1.0, -1.0]
    for step in range(1, 6):
        with torch.no_grad():
            weight.fill_(step)
            mean.fill_(-step)
        average.update_parameters(model)
        decay = min(0.4, (1 + step) / (10 + step))
        expected = [
            decay * expected[0] + (1 - decay) * step,
            decay * expected[1] - (1 - decay) * step,
        ]
    averaged = cast(nn.Sequential, average.module)
    found = [float(averaged[0].weight.detach()), float(cast(Tensor, averaged[1].running_mean))]
    assert found == pytest.approx(expected)
    assert [float(weight.detach()), float(mean)] == [5.0, -5.0]


def test_averaged_weights_are_what_training_keeps(tmp_path: Path) -> None:
    last, trainer = make_trainer(tmp_path / "last", 1)
    run_trainer(last, trainer)
    averaged, trainer = make_trainer(tmp_path / "averaged", 1, 0.9)
    run_trainer(averaged, trainer)
    assert not torch.equal(averaged.weight, last.weight)


def test_schedule_rises_then_falls_to_zero() -> None:
    factors = [cosine_with_warmup(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == 1.0
    assert factors[55] == pytest.approx(0.5, abs=0.01)
    assert factors[100] == pytest.approx(0.0, abs=1e-6)


def test_a_token_cache_is_computed_once(tmp_path: Path) -> None:
    spans = np.array([[0, 1], [1, 2]], np.float32)
    made = [
        Tokens(np.ones((2, 3), np.float32), spans),
        Tokens(np.zeros((0, 3), np.float32), spans[:0]),
    ]
    first = cached_tokens(tmp_path / "cache", lambda: made)
    again = cached_tokens(tmp_path / "cache", lambda: pytest.fail("computed twice"))
    assert len(first) == len(again) == 2
    assert np.array_equal(again.tokens(0).values, made[0].values)
    assert len(again.tokens(1)) == 0


def test_noise_has_the_ratio_asked_for() -> None:
    generator = np.random.default_rng(0)
    tone = np.sin(np.arange(16_000) / 5).astype(np.float32)
    noise = add_noise(tone, 10.0, generator) - tone
    assert 10 * np.log10((tone**2).mean() / (noise**2).mean()) == pytest.approx(10.0, abs=0.01)


def test_resampling_moves_the_pitch_and_band_limit_removes_it() -> None:
    time = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    faster = resample(tone, 1.1)
    peak = np.fft.rfftfreq(len(faster), 1 / 16_000)[np.abs(np.fft.rfft(faster)).argmax()]
    assert peak == pytest.approx(1100, abs=2)
    assert np.abs(band_limit(tone, 3000, 7000)).max() < 0.02


def test_the_equaliser_changes_tones_by_a_gain_alone() -> None:
    generator = np.random.default_rng(4)
    time = np.arange(16_000) / 16_000
    tones = [np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (500, 4000)]
    found = [equalise(tone, np.random.default_rng(4)) for tone in tones]
    gains = [float(np.abs(f).max() / np.abs(t).max()) for f, t in zip(found, tones, strict=True)]
    expected = np.interp([500, 4000], np.linspace(0, 8000, 7), generator.normal(0, 6, 7))
    assert 20 * np.log10(gains) == pytest.approx(expected, abs=0.05)


def test_half_of_the_augmented_clips_lose_the_silence_at_their_ends() -> None:
    second = np.zeros(16000, np.float32)
    tone = np.sin(np.arange(16000) / 5).astype(np.float32)
    generator = np.random.default_rng(0)
    clip = np.concatenate([second, tone, second])
    lengths = np.array([len(augment_speech(clip, generator)) / 16000 for _ in range(200)])
    # At most a second of padding and the slowest speed; at least the fastest.
    assert ((lengths < 1 / 0.85 + 1.01) | (lengths > 3 / 1.2 - 0.01)).all()
    assert np.mean(lengths < 2.3) == pytest.approx(0.5, abs=0.1)


def test_augmented_speech_and_faces_stay_in_range() -> None:
    generator = np.random.default_rng(3)
    voice = generator.normal(size=8000).astype(np.float32) / 5
    for _ in range(20):
        out = augment_speech(voice, generator)
        assert out.dtype == np.float32
        assert len(voice) / 1.25 < len(out) < len(voice) / 0.8 + 16_000
        assert 0 < np.abs(out).max() <= 1.0
    torch.manual_seed(0)
    faces = torch.rand(64, 1, 48, 48)
    changed = augment(faces)
    assert changed.shape == faces.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert (changed - faces).abs().mean(dim=(1, 2, 3)).min() > 0.01


def test_a_fitted_temperature_undoes_an_exaggeration() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 7, generator=generator)
    truth = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0].numpy()
    assert fit_temperature(honest * 3, truth) == pytest.approx(3.0, rel=0.05)
    assert fit_temperature(honest / 2, truth) == pytest.approx(0.5, rel=0.05)


def test_a_growing_temperature_undoes_exaggeration_that_grows() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(8000, 7, generator=generator)
    truth = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0].numpy()
    novelty = 9 * torch.rand(8000, generator=generator)
    known, growth = fit_growing_temperature(
        honest * 0.8 * ((1 + novelty) ** 0.7)[:, None], truth, novelty
    )
    assert known == pytest.approx(0.8, rel=0.08)
    assert growth == pytest.approx(0.7, rel=0.08)
    shrinking = honest * ((1 + novelty) ** -0.7)[:, None]
    assert fit_growing_temperature(shrinking, truth, novelty)[1] == 0.0


def test_every_set_of_modalities_gets_a_temperature(sources: Sources) -> None:
    model = make_model().eval()
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(8000, 7, generator=generator)
    truth = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0].tolist()
    clips = [SpeechClip(Path(), "c", "a", "", emotion, "train") for emotion in truth]
    novelty = 9 * torch.rand(8000, generator=generator)
    judged = LeftOut("corpus", clips, 0.8 * honest * ((1 + novelty) ** 0.7)[:, None], novelty)
    found = fit_temperatures(model, sources, [judged])
    assert len(found.decision) == 7
    assert set(found.alone) == set(DIMS)
    assert found.growth == {"audio": pytest.approx(0.7, rel=0.08)}
    assert found.alone["audio"] == pytest.approx(0.8, rel=0.08)
    # The decision on sound alone keeps its ratio to what the branch says.
    examples = evaluation_examples(sources)["audio"]
    with torch.no_grad():
        said = model(collate([e.turns for e in examples], DIMS))
    labels = np.concatenate([e.labels.argmax(axis=1) for e in examples])
    ratio = fit_temperature(said.logits[:, 0], labels) / fit_temperature(
        said.unimodal_logits["audio"][:, 0], labels
    )
    assert found.decision["audio"] == pytest.approx(ratio * found.alone["audio"], rel=1e-4)
