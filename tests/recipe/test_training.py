"""The training recipe on tiny made-up sources: labels, losses, gradients, resuming."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape, TrainingConfig
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.data.dialogue_batch import TurnFeatures, collate, speaker_changes
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, load_dialogues, one_hot
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import TextBatch, TextEncoder
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.models.cross_modal_transformer import DIRECTIONS
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.recipe.conversations import ConversationSampler
from avt_memocmt.recipe.cross_validation import LeftOut
from avt_memocmt.recipe.face import augment, row_chances, smoothed
from avt_memocmt.recipe.fusion import (
    Unheard,
    epoch_batches,
    freeze_unimodal_branches,
    held_back,
    held_back_conversations,
    predict_unheard,
    settle_trust,
)
from avt_memocmt.recipe.settings import Job, RecipeConfig, load_recipe
from avt_memocmt.recipe.sources import (
    FaceTokens,
    Sources,
    Speech,
    random_counts,
    split_by_emotion,
    turns_with_words,
)
from avt_memocmt.recipe.speech_augmentation import (
    add_noise,
    augment_speech,
    band_limit,
    equalise,
    resample,
)
from avt_memocmt.recipe.stored_tokens import memory_mapped, store_tokens
from avt_memocmt.recipe.synthetic_pairs import PairSampler
from avt_memocmt.recipe.temperatures import (
    fit_decision_temperatures,
    fit_growing_temperature,
    fit_temperature,
    fit_unimodal_temperatures,
)
from avt_memocmt.recipe.text import hide_pieces, soft_targets_of_words
from avt_memocmt.recipe.unimodal import (
    Branch,
    Hearing,
    SpeechBranch,
    SpeechRows,
    all_rows,
    set_speech_statistics,
    train_branches,
    train_speech_branch,
)
from avt_memocmt.training.losses import soft_cross_entropy, targets_of
from avt_memocmt.training.trainer import (
    BEST_FILE,
    Trainer,
    cosine_with_warmup,
    mean_weights,
    moving_average,
)

DIMS = {"audio": 8, "visual": 256, "text": 6}
RECIPE = load_recipe()
BRANCHES = RECIPE.branches
SHORT = RECIPE.model_copy(
    update={
        "branches": BRANCHES.model_copy(
            update={
                "audio": BRANCHES.audio.model_copy(update={"epochs": 2}),
                "visual": BRANCHES.visual.model_copy(update={"epochs": 2, "pictures": 64}),
                "text": BRANCHES.text.model_copy(update={"epochs": 2}),
            }
        )
    }
)


def make_job(work: Path) -> Job:
    return Job(Path(), work, SHORT, load_config(EMBEDDED_PRESET))


def constant(value: float, count: int, dim: int) -> Tokens:
    """Tokens whose numbers are all alike."""
    return Tokens(np.full((count, dim), value, np.float16), np.zeros((count, 2), np.float32))


def noise(count: int, dim: int) -> Tokens:
    values = np.random.default_rng(count).normal(size=(count, dim))
    return Tokens(values.astype(np.float16), np.zeros((count, 2), np.float32))


def dialogue(number: int, emotions: list[int], *turns: TurnFeatures) -> LabelledDialogue:
    keys = tuple(UtteranceKey("train", number, turn) for turn in range(len(turns)))
    return LabelledDialogue(keys, turns, np.array(emotions))


def single(modality: str, number: int, emotion: int, tokens: Tokens) -> LabelledDialogue:
    return dialogue(number, [emotion], TurnFeatures({modality: tokens}))


def make_speech(clips: list[SpeechClip], tokens: list[Tokens], variants: int = 1) -> Speech:
    found = [
        single("audio", row, clip.emotion, sound)
        for row, (clip, sound) in enumerate(zip(clips, tokens, strict=True))
    ]
    return Speech(clips, [found] * variants)


def constant_speech(clips: list[SpeechClip], values: list[float]) -> Speech:
    """Clips of 60 tokens of width 2, all numbers of a clip alike."""
    return make_speech(clips, [constant(value, 60, 2) for value in values])


def shown(pair: LabelledDialogue) -> dict[str, int]:
    """The emotion of each part of a pair; faces and words of `sources` are their emotion."""
    tokens = pair.turns[0].tokens
    found = {m: int(tokens[m].values[0, 0]) for m in ("visual", "text") if m in tokens}
    return found | ({"audio": int(pair.emotions[0])} if "audio" in tokens else {})


@pytest.fixture(scope="module")
def sources() -> Sources:
    clips = [SpeechClip(Path(), "ravdess", "a", "", e, "train") for e in range(7)]
    speech = make_speech(clips, [noise(60 + e, DIMS["audio"]) for e in range(7)], variants=2)
    votes = np.eye(7, dtype=np.float32)[:, None]
    faces = [
        replace(single("visual", row, row, constant(row, 1, 256)), soft_targets=votes[row])
        for row in range(7)
    ]
    emotions, lengths = [0, 1, 2, 3, 4, 5, 6], [3, 4, 5, 3, 4, 5, 3]
    pairs = zip(emotions, lengths, strict=True)
    lines = [single("text", i, e, constant(e, n, DIMS["text"])) for i, (e, n) in enumerate(pairs)]
    speakers = ["Ann", "Bob", "Ann", "Bob", "Ann", "Ann", "Bob"]
    turns = [
        replace(line.turns[0], speaker=speaker)
        for line, speaker in zip(lines, speakers, strict=True)
    ]
    dialogues = [dialogue(0, emotions[:4], *turns[:4]), dialogue(1, emotions[4:], *turns[4:])]
    taught = [
        replace(d, soft_targets=np.full((len(d.turns), 7), 1 / 7, np.float32)) for d in dialogues
    ]
    people = ["kdef/x"] * 4 + [""] * 3
    return Sources(speech, FaceTokens([faces] * 2, people, np.full(7, 1 / 7)), taught, lines)


def make_model() -> AvtMemoCmt:
    torch.manual_seed(0)
    shapes = {"audio": TokenShape(4, 2), "visual": TokenShape(256), "text": TokenShape(6)}
    return AvtMemoCmt(shapes, ModelConfig(dim=16, heads=2, feed_forward=16, temporal_window=4))


def make_sampler(sources: Sources, seed: int) -> PairSampler:
    return PairSampler(sources, RECIPE.pairs, np.random.default_rng(seed))


def test_matched_pairs_agree_in_all_three_modalities(sources: Sources) -> None:
    sampler = make_sampler(sources, 0)
    for row in range(7):
        pair = sampler.matched(row)
        assert set(pair.turns[0].tokens) == {"audio", "visual", "text"}
        assert pair.targets.tolist() == one_hot(np.array([row])).tolist()
        assert set(shown(pair).values()) == {row}
        assert len(pair.turns[0].tokens["visual"]) == 4


def test_training_pairs_mix_modalities_and_soften_mismatched_labels(sources: Sources) -> None:
    sampler = make_sampler(sources, 1)
    pairs = [sampler.training_pair(3) for _ in range(300)]
    kinds = {tuple(sorted(pair.turns[0].tokens)) for pair in pairs}
    assert len(kinds) == 4
    soft = [pair for pair in pairs if pair.targets.max() < 0.99]
    assert 0.25 < len(soft) / len(pairs) < 0.55
    for pair in pairs:
        assert pair.targets.sum() == pytest.approx(1, abs=1e-5)
        assert set(np.flatnonzero(pair.targets[0])) == set(shown(pair).values())


def test_a_voice_that_face_and_line_contradict_counts_little(sources: Sources) -> None:
    sampler = make_sampler(sources, 1)
    pairs = [sampler.training_pair(3) for _ in range(600)]
    of_three = [pair for pair in pairs if len(shown(pair)) == 3]
    alone = [
        float(pair.targets[0, 3])
        for pair in of_three
        if shown(pair)["visual"] == shown(pair)["text"] != 3
    ]
    # A neutral face and neutral words are also what a mismatch of the other kind may draw.
    assert 0.1 < len(alone) / len(of_three) < 0.3
    assert alone == pytest.approx([0.1] * len(alone))


def test_training_pairs_reach_all_six_attentions(sources: Sources) -> None:
    model = make_model().train()
    nn.init.normal_(cast(nn.Linear, model.head[-1]).weight)  # it starts at 0
    sampler = make_sampler(sources, 2)
    pairs = [sampler.training_pair(row) for row in range(7)]
    batch = collate([pair.turns for pair in pairs], DIMS)
    logits = model(batch).logits[batch.turn_mask]
    soft_cross_entropy(logits, targets_of(pairs), 0.0).backward()
    for layer in model.cross_modal.layers:
        for target, source in DIRECTIONS:
            weight = layer.attentions[f"{target}_from_{source}"].value.weight
            assert weight.grad is not None, (target, source)
            assert weight.grad.abs().sum() > 0, (target, source)


def with_talks(**settings: float | list[float]) -> RecipeConfig:
    talks = RECIPE.conversations.model_copy(update=settings)
    return RECIPE.model_copy(update={"conversations": talks})


@pytest.mark.parametrize(("apart", "turns"), [(0.0, [3, 4]), (1.0, [1] * 7)])
def test_an_epoch_of_the_fusion_holds_all_conversations_and_some_pairs(
    sources: Sources, tmp_path: Path, apart: float, turns: list[int]
) -> None:
    job = replace(make_job(tmp_path), recipe=with_talks(apart=apart))
    fusion, generator = RECIPE.fusion, np.random.default_rng(0)
    plan = epoch_batches(job, sources, {}, fusion, generator)
    items = [item for batch in plan for item in batch.dialogues]
    talks = [item for item in items if item.turns[0].words.text or item.turns[0].speaker]
    assert sorted(len(item.turns) for item in talks) == turns
    clips = len(sources.speech.clips)
    assert len(items) - len(talks) == math.ceil(fusion.pairs_per_clip * clips)


def test_a_share_of_the_voices_is_heard_by_a_branch_that_knows_them(
    sources: Sources, tmp_path: Path
) -> None:
    hearing, generator = Hearing.of(make_model()), np.random.default_rng(0)
    fusion = RECIPE.fusion.model_copy(update={"heard": 0.5, "pairs_per_clip": 1.0})
    job = make_job(tmp_path)
    plan = epoch_batches(job, sources, {"ravdess": hearing}, fusion, generator)
    pairs = [(item.turns[0].speaker, batch.hearing) for batch in plan for item in batch.dialogues]
    clips = len(sources.speech.clips)
    lent = [found is hearing for speaker, found in pairs if not speaker]
    assert len(lent) == clips
    assert sum(lent) == clips - round(0.5 * clips)
    none = epoch_batches(job, sources, {}, fusion, generator)
    assert all(batch.hearing is None for batch in none)


def make_talks(sources: Sources, seed: int = 0) -> ConversationSampler:
    settings, generator = RECIPE.conversations, np.random.default_rng(seed)
    return ConversationSampler(sources.speech, sources.faces, settings, generator)


def test_a_conversation_keeps_its_words_order_and_labels(sources: Sources) -> None:
    talks = make_talks(sources)
    for dialogue in sources.dialogues * 20:
        talk = talks.conversation(dialogue, "ravdess")
        assert talk.emotions.tolist() == dialogue.emotions.tolist()
        assert talk.keys == dialogue.keys
        np.testing.assert_array_equal(talk.targets, one_hot(dialogue.emotions))
        for turn, given in zip(talk.turns, dialogue.turns, strict=True):
            assert turn.tokens
            assert turn.speaker == given.speaker
            if "text" in turn.tokens:
                assert turn.tokens["text"] is given.tokens["text"]
            if "visual" in turn.tokens:
                assert 1 <= len(turn.tokens["visual"]) <= 6


@pytest.mark.parametrize(("heard", "least", "largest"), [(False, 0.0, 0.3), (True, 0.35, 0.75)])
def test_voices_that_are_heard_agree_with_the_labels_more_often(
    sources: Sources, heard: bool, least: float, largest: float
) -> None:
    """The voice of each emotion has a length of its own here."""
    settings = with_talks(agreement=[0.0, 0.0], heard_agreement=1.0).conversations
    draw = np.random.default_rng(0)
    talks = ConversationSampler(sources.speech, sources.faces, settings, draw)
    plain = {
        d.turns[0].tokens["audio"].values.tobytes(): int(d.emotions[0])
        for d in sources.speech.variants[0]
    }
    first = {name[: 2 * DIMS["audio"]]: emotion for name, emotion in plain.items()}
    agreed = []
    for _ in range(300):
        talk = talks.conversation(sources.dialogues[1], "ravdess", heard)
        for turn, emotion in zip(talk.turns, talk.emotions, strict=True):
            if "audio" in turn.tokens:
                start = turn.tokens["audio"].values[0].tobytes()
                if start in first:  # a cut clip starts elsewhere
                    agreed.append(first[start] == emotion)
    assert len(agreed) > 20
    assert least <= np.mean(agreed) <= largest


def test_baselines_of_a_conversation_come_from_earlier_turns_alone(sources: Sources) -> None:
    talk = make_talks(sources, 3).conversation(sources.dialogues[0], "ravdess")
    counts: dict[tuple[str, str], int] = {}
    for turn in talk.turns:
        assert turn.speaker is not None
        for modality in ("audio", "visual"):
            own = turn.baselines.get(modality)
            assert (own.count if own else 0) == counts.get((turn.speaker, modality), 0)
        for modality in turn.tokens:
            place = turn.speaker, modality
            counts[place] = counts.get(place, 0) + 1


def test_what_is_kept_of_the_correction_is_added_to_a_pool_of_set_trust(sources: Sources) -> None:
    model = make_model().eval()
    nn.init.normal_(cast(nn.Linear, model.head[-1]).weight)
    pair = make_sampler(sources, 0).matched(2).only(("visual", "text"))
    batch = collate([pair.turns], DIMS)
    settings = RECIPE.fusion.model_copy(update={"trust": (1.0, 0.7, 0.5)})
    with torch.no_grad():
        settle_trust(model, settings)
        kept = model(batch)
        settle_trust(model, settings.model_copy(update={"correction": 0.0}))
        pool = model(batch).logits
    said = {name: logits.log_softmax(dim=2) for name, logits in kept.unimodal_logits.items()}
    torch.testing.assert_close(pool, 0.7 * said["visual"] + 0.5 * said["text"], atol=1e-3, rtol=0)
    assert not torch.allclose(kept.logits, pool, atol=1e-2)


def test_who_is_left_out_is_heard_by_parts_that_are_lent(sources: Sources) -> None:
    model, other = make_model().eval(), make_model()
    nn.init.normal_(cast(nn.Linear, other.unimodal_heads["audio"][-1]).weight)
    own = model.unimodal_heads["audio"]
    clips = [clip.only(("audio",)) for clip in sources.speech.variants[0]]
    known, _ = predict_unheard(model, [Unheard(clips)])
    unheard, _ = predict_unheard(model, [Unheard(clips, Hearing.of(other.eval()))])
    assert not torch.allclose(known.logits, unheard.logits)
    assert model.unimodal_heads["audio"] is own


def test_a_crop_keeps_at_least_half_of_a_clip_from_any_place() -> None:
    clips = [SpeechClip(Path(), "c", "a", "", 0, "train")] * 2
    spans = np.arange(100, dtype=np.float32)[:, None] + np.array([0, 1], np.float32)
    long = Tokens(np.arange(100, dtype=np.float16)[:, None], spans)
    speech = make_speech(clips, [long, Tokens(long.values[:49], long.spans[:49])])
    generator = np.random.default_rng(0)
    crops = [speech.draw(0, generator).turns[0].tokens["audio"] for _ in range(500)]
    lengths, firsts = np.array([(len(c), c.values[0, 0]) for c in crops], np.float64).T
    assert lengths.min() == 50
    assert lengths.max() > 95
    assert all((np.diff(crop.values[:, 0]) == 1).all() for crop in crops)
    assert all(crop.spans[0].tolist() == [0, 1] for crop in crops)
    places = firsts[lengths < 90] / (100 - lengths[lengths < 90])
    assert places.min() < 0.1
    assert places.max() > 0.9
    # Length and place are drawn apart.
    assert abs(np.corrcoef(places, lengths[lengths < 90])[0, 1]) < 0.15
    assert len(speech.draw(1, generator).turns[0].tokens["audio"]) == 49


def test_branches_learn_alone(sources: Sources, tmp_path: Path) -> None:
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    judged = held_back(sources, RECIPE.pairs)
    train_branches(make_job(tmp_path), model, sources, judged, sources.speech)
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    parts = ("projections", "unimodal_pools", "layer_statistics", "unimodal_heads", "baselines")
    for modality in MODALITIES:
        branch = [name for name in moved if f".{modality}." in name]
        assert branch
        assert all(name.startswith(parts) for name in branch)
    assert all(any(f".{modality}." in name for modality in MODALITIES) for name in moved)


def test_a_branch_leaves_the_others_alone(sources: Sources, tmp_path: Path) -> None:
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = all_rows(sources.speech)
    train_speech_branch(make_job(tmp_path), model, rows, rows, tmp_path)
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    own = ("layer_statistics.audio.", "unimodal_heads.audio.", "baselines.audio.")
    assert moved
    assert all(name.startswith(own) for name in moved)


def test_a_baseline_is_the_mean_of_other_clips_of_the_speaker() -> None:
    clips = [SpeechClip(Path(), "c", "aaab"[row], "", row, "train") for row in range(4)]
    speech = constant_speech(clips, [1.0, 2.0, 6.0, 100.0])
    found, counts = speech.baselines(0, [0, 0, 3], [2, 0, 5], np.random.default_rng(0))
    assert found[0, :2].tolist() == [4.0, 4.0]
    assert not found[1:].any()
    assert counts.tolist() == [2, 0, 0]
    some, _ = speech.baselines(0, [0] * 50, [1] * 50, np.random.default_rng(0))
    assert set(some[:, 0].tolist()) == {2.0, 6.0}


def test_a_third_is_judged_without_a_baseline() -> None:
    counts = random_counts(6000, 24, np.random.default_rng(0))
    assert counts.min() == 0
    assert counts.max() == 24
    assert np.mean(counts == 0) == pytest.approx(1 / 3, abs=0.03)
    # As many from 1 to 4 as from 5 to 24, where the logarithm halves.
    assert np.mean(counts[counts > 0] < 5) == pytest.approx(0.5, abs=0.04)


def test_faces_of_a_person_have_others_as_their_baseline(sources: Sources) -> None:
    drawn = sources.faces.draw(400, np.random.default_rng(0))
    with_own = [face for face in drawn if face.turns[0].baselines]
    assert with_own
    for face in with_own:
        row = face.keys[0].dialogue_id
        assert row < 4, "only these are of a known person"
        own = face.turns[0].baselines["visual"]
        assert own.count <= 3
        assert own.statistics[0] != row or own.count > 1
    videos = [len(face.turns[0].tokens["visual"]) for face in drawn]
    assert min(videos) == 1
    assert max(videos) == 6


def test_rows_by_emotion_leave_out_what_has_no_label() -> None:
    found = split_by_emotion(np.array([1, 3, 4]), np.array([5, 2, 5, -1, 5]))
    assert {emotion: rows.tolist() for emotion, rows in found.items()} == {2: [1], 5: [4]}


@pytest.mark.parametrize("modality", ["visual", "text"])
def test_a_branch_says_what_the_network_says_of_its_modality(
    sources: Sources, modality: str
) -> None:
    model = make_model().eval()
    dialogues = held_back(sources, RECIPE.pairs)[modality]
    branch = Branch(model, modality).eval()
    alone = predict_dialogues(branch, dialogues, branch.dims)
    whole = predict_dialogues(model, dialogues, DIMS)
    torch.testing.assert_close(alone.logits, whole.unimodal_logits[modality])


def test_the_branch_of_sound_says_from_statistics_what_the_network_says_of_tokens(
    sources: Sources,
) -> None:
    model = make_model().eval()
    branch = SpeechBranch(Hearing.of(model)).eval()
    set_speech_statistics(branch, all_rows(sources.speech))
    clips = held_back(sources, RECIPE.pairs)["audio"]
    whole = predict_dialogues(model, clips, DIMS).unimodal_logits["audio"]
    rows = SpeechRows(sources.speech, np.arange(7))
    with torch.no_grad():
        alone = branch(rows.standard(branch, np.zeros(7, np.int64), np.random.default_rng(0)))
    torch.testing.assert_close(alone, whole, atol=1e-4, rtol=1e-4)


def test_the_statistics_of_sound_are_standardised_by_all_training_tokens(sources: Sources) -> None:
    model = make_model()
    set_speech_statistics(SpeechBranch(Hearing.of(model)), all_rows(sources.speech))
    table = sources.speech.statistics.flatten(0, 1)
    state = model.state_dict()
    torch.testing.assert_close(state["layer_statistics.audio.mean"], table.mean(dim=0))
    torch.testing.assert_close(state["baselines.audio.mean"], table.mean(dim=0))


def test_a_soup_is_the_mean_of_its_weights(tmp_path: Path) -> None:
    for name, weights in (("a", [1.0, 4.0]), ("b", [3.0, 0.0])):
        (tmp_path / name).mkdir()
        state = {"w": torch.tensor(weights), "n": torch.tensor(int(weights[0]))}
        save_tensors(state, tmp_path / name / BEST_FILE)
    found = mean_weights([tmp_path / "a", tmp_path / "b"])
    assert found["w"].tolist() == [2.0, 2.0]
    assert found["n"] == 1


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_fusion_starts_from_what_each_modality_shows(sources: Sources, modality: str) -> None:
    model = make_model().eval()
    freeze_unimodal_branches(model)
    assert not any(weight.requires_grad for weight in model.unimodal_heads.parameters())
    assert any(weight.requires_grad for weight in model.parameters())
    found = predict_dialogues(model, held_back(sources, RECIPE.pairs)[modality], DIMS)
    torch.testing.assert_close(
        found.logits.softmax(dim=1), found.unimodal_logits[modality].softmax(dim=1)
    )


def test_soft_targets_of_words_are_those_of_the_tuned_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = nn.Linear(6, 7)
    save_tensors(head.state_dict(), tmp_path / "head.safetensors")
    turns = [TurnFeatures({"text": noise(count, 6)}) for count in (3, 1)]
    (found,) = soft_targets_of_words([dialogue(0, [2, 3], *turns)], tmp_path / "head.safetensors")
    values = [turn.tokens["text"].values.astype(np.float32) for turn in turns]
    means = torch.stack([torch.from_numpy(value).mean(dim=0) for value in values])
    with torch.no_grad():
        expected = head(means).softmax(dim=1)
    np.testing.assert_allclose(found.targets, expected, atol=1e-6)
    assert found.emotions.tolist() == [2, 3]


def test_hidden_word_pieces_leave_special_ones_and_padding_alone() -> None:
    torch.manual_seed(0)
    tokenizer = SimpleNamespace(cls_token_id=101, sep_token_id=102, mask_token_id=103)
    ids = torch.full((50, 40), 7)
    ids[:, 0], ids[:, 20], ids[:, 30:] = 101, 102, 0
    mask = ids > 0
    batch = TextBatch(ids, torch.zeros_like(ids), mask, [1] * 50, [[0] * 19] * 50, [()] * 50)
    changed = hide_pieces(batch, cast(TextEncoder, SimpleNamespace(tokenizer=tokenizer)), 0.1)
    hidden = changed.ids != ids
    assert (changed.ids[hidden] == 103).all()
    assert (ids[hidden] == 7).all()
    assert hidden.sum() / (ids == 7).sum() == pytest.approx(0.1, abs=0.02)
    assert (batch.ids == ids).all()


def test_only_the_named_modalities_are_kept(sources: Sources) -> None:
    pair = make_sampler(sources, 0).matched(2)
    alone = pair.only(("visual",))
    assert set(alone.turns[0].tokens) == {"visual"}
    assert alone.targets.tolist() == pair.targets.tolist()


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


@pytest.mark.parametrize(("criterion", "kept"), [("score", 1), (None, 3)])
def test_without_a_criterion_the_last_epoch_is_kept(
    tmp_path: Path, criterion: str | None, kept: int
) -> None:
    """The score falls from epoch to epoch."""
    model, trainer = make_trainer(tmp_path, 3)
    weights = []

    def evaluate(network: nn.Module) -> dict[str, float]:
        weights.append(cast(nn.Linear, network).weight.detach().clone())
        return {"score": -float(len(weights))}

    trainer.run(lambda _: [torch.ones(2, 3)], lambda m, x: m(x).mean(), evaluate, criterion)
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(model.weight, weights[kept - 1])


def test_schedule_rises_then_falls_to_zero() -> None:
    factors = [cosine_with_warmup(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == 1.0
    assert factors[55] == pytest.approx(0.5, abs=0.01)
    assert factors[100] == pytest.approx(0.0, abs=1e-6)


def test_tokens_are_computed_once_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    rows = [FeatureRow(UtteranceKey("train", i, 0), None, "", i % 7, 0.0) for i in range(600)]
    asked: list[range] = []

    def encode(positions: range) -> list[Tokens]:
        asked.append(positions)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [constant(i, i % 3, 2) for i in positions]

    def store() -> FeatureStore:
        return store_tokens(tmp_path, rows, "audio", TokenShape(dim=2), {"name": "any"}, encode)

    with pytest.raises(KeyboardInterrupt):
        store()
    store()
    assert [(part.start, part.stop) for part in asked] == [
        *[(0, 256), (256, 512)],
        *[(256, 512), (512, 600)],
    ]
    dialogues = load_dialogues([store()], "train", ["audio"])
    assert len(asked) == 4
    mapped = memory_mapped(dialogues, "audio", tmp_path)
    for number, (before, after) in enumerate(zip(dialogues, mapped, strict=True)):
        assert after.emotions.tolist() == [number % 7]
        assert ("audio" in after.turns[0].tokens) == (number % 3 > 0)
        if number % 3:
            found, expected = (d.turns[0].tokens["audio"] for d in (after, before))
            assert found.values.tolist() == [[number, number]] * (number % 3)
            assert np.array_equal(found.spans, expected.spans)
            assert isinstance(found.values.base, np.memmap)


def test_turns_without_words_are_left_out(tmp_path: Path) -> None:
    rows = [FeatureRow(UtteranceKey("train", i // 2, i), "A", "", 1, 0.0) for i in range(6)]
    store = store_tokens(
        tmp_path,
        rows,
        "text",
        TokenShape(dim=2),
        {"name": "any"},
        lambda positions: [constant(i, int(i > 2), 2) for i in positions],
    )
    kept = turns_with_words(store, "train")
    assert [[key.utterance_id for key in d.keys] for d in kept] == [[3], [4, 5]]


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


VOICES = [np.sin(np.arange(9000) / n).astype(np.float32) for n in range(3, 12)]


def test_clips_of_one_place_sound_alike() -> None:
    """The same microphone and room: what differs between clips is not drawn from the place."""
    voice = np.random.default_rng(0).normal(size=16000).astype(np.float32) / 5
    found = []
    for place in (1, 1, 2):
        generator = np.random.default_rng(7)
        found.append(augment_speech(voice, VOICES, np.random.default_rng(place), generator))
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].shape != found[2].shape or not np.allclose(found[0], found[2])


def test_half_of_the_augmented_clips_lose_the_silence_at_their_ends() -> None:
    second = np.zeros(16000, np.float32)
    tone = np.sin(np.arange(16000) / 5).astype(np.float32)
    generator = np.random.default_rng(0)
    clip = np.concatenate([second, tone, second])
    lengths = np.array(
        [
            len(augment_speech(clip, VOICES, np.random.default_rng(1), generator)) / 16000
            for _ in range(200)
        ]
    )
    # At most a second of padding and the slowest speed; at least the fastest.
    assert ((lengths < 1 / 0.85 + 1.01) | (lengths > 3 / 1.2 - 0.01)).all()
    assert np.mean(lengths < 2.3) == pytest.approx(0.5, abs=0.1)


def test_augmented_speech_and_faces_stay_in_range() -> None:
    generator = np.random.default_rng(3)
    voice = generator.normal(size=8000).astype(np.float32) / 5
    for _ in range(20):
        out = augment_speech(voice, VOICES, generator, generator)
        assert out.dtype == np.float32
        assert len(voice) / 1.25 < len(out) < len(voice) / 0.8 + 16_000
        assert 0 < np.abs(out).max() <= 1.0
    torch.manual_seed(0)
    faces = torch.rand(64, 3, 112, 112)
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
    known, exponent = fit_growing_temperature(
        honest * 0.8 * ((1 + novelty) ** 0.7)[:, None], truth, novelty
    )
    assert known == pytest.approx(0.8, rel=0.08)
    assert exponent == pytest.approx(0.7, rel=0.08)
    shrinking = honest * ((1 + novelty) ** -0.7)[:, None]
    assert fit_growing_temperature(shrinking, truth, novelty)[1] == 0.0


def test_some_labels_are_spread_and_rare_emotions_come_more_often() -> None:
    votes = np.eye(7, dtype=np.float32)[[0, 0, 0, 4]]
    assert smoothed(votes, 0.7)[3].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.4, 0.1, 0.1])
    assert row_chances(votes, 0.0).tolist() == pytest.approx([0.25] * 4)
    assert row_chances(votes, 1.0).tolist() == pytest.approx([1 / 6] * 3 + [1 / 2])


def test_the_temperature_of_sound_is_that_of_what_was_left_out(sources: Sources) -> None:
    """Logits that were exaggerated the more, the newer the clip."""

    class Judged(LeftOut):
        def judged(self, count: int | None = None) -> tuple[Tensor, Tensor]:
            return 0.8 * honest * ((1 + novelty) ** 0.7)[:, None], novelty

    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(8000, 7, generator=generator)
    truth = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0].tolist()
    clips = [SpeechClip(Path(), "c", "a", "", emotion, "train") for emotion in truth]
    novelty = 9 * torch.rand(8000, generator=generator)
    model = make_model().eval()
    rows = SpeechRows(Speech(clips, []), np.arange(8000))
    left_out = Judged("c", "corpus", (rows,), Hearing.of(model))
    fit_unimodal_temperatures(model, held_back(sources, RECIPE.pairs), [left_out])
    found = model.temperatures
    assert found.unimodal[0].item() == pytest.approx(0.8, rel=0.08)
    assert found.exponent.tolist() == [pytest.approx(0.7, rel=0.08), 0, 0]
    assert (found.unimodal != 1).all()


def test_every_set_of_several_modalities_gets_a_temperature(
    sources: Sources, tmp_path: Path
) -> None:
    model = make_model().eval()
    many = replace(sources, dialogues=sources.dialogues * 30)
    talks = held_back_conversations(make_job(tmp_path), sources.speech, many, {})
    fit_decision_temperatures(model, talks)
    fitted = [False, False, False, True, False, True, True, True]  # by the bits of the set
    assert (model.temperatures.decision != 1).tolist() == fitted
