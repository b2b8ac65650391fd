"""What the branch of sound says of speech that it was not trained on, and how new that is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.data.corpora import Part, SpeechClip
from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.confidence import Novelty
from avt_memocmt.models.heads import (
    LayerStatistics,
    SpeakerBaseline,
    classifier,
    statistics,
)
from avt_memocmt.recipe.cross_validation import evaluate_fold, folds
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.settings import Job, NoveltyConfig, load_recipe
from avt_memocmt.recipe.sources import Speech
from avt_memocmt.recipe.stored_tokens import with_tokens
from avt_memocmt.recipe.unimodal import Hearing, SpeechBranch, all_rows

RECIPE = load_recipe()
TOKENS = 60


def make_speech(part: Part, speakers: dict[str, tuple[str, float]], width: int) -> Speech:
    """Two clips of each emotion by every speaker: noise around a level of the speaker's own.

    Args:
        speakers: by name, corpus and level.
    """
    generator = np.random.default_rng(len(part))
    clips = [
        SpeechClip(Path(), corpus, speaker, "", emotion, part)
        for speaker, (corpus, _) in speakers.items()
        for emotion in range(7)
        for _ in range(2)
    ]
    levels = np.repeat([speakers[clip.speaker][1] for clip in clips], TOKENS)
    tokens = (levels[:, None] + generator.normal(size=(len(levels), width))).astype(np.float16)
    spans = np.zeros((len(tokens), 2), np.float32)
    cut = zip(np.split(tokens, len(clips)), np.split(spans, len(clips)), strict=True)
    dialogues = [
        LabelledDialogue(
            (UtteranceKey(part, row, 0),),
            (TurnFeatures({"audio": Tokens(*sound)}),),
            np.array([clip.emotion]),
        )
        for row, (clip, sound) in enumerate(zip(clips, cut, strict=True))
    ]
    return Speech(clips, [dialogues])


def test_every_speaker_and_every_corpus_is_left_out_once() -> None:
    speakers = [("a", f"{n}") for n in range(7)] + [("b", "0"), ("b", "1")]
    clips = [SpeechClip(Path(), *name, "", e, "train") for name in speakers for e in range(3)]
    held = {
        o.name: {(c.corpus, c.speaker) for c in clips if o.leaves_out(c)} for o in folds(clips, 5)
    }
    by_speakers = [held.pop(f"speakers_{n}") for n in range(5)]
    assert sorted(speaker for fold in by_speakers for speaker in fold) == sorted(speakers)
    assert held == {"a": set(speakers[:7]), "b": set(speakers[7:])}


def test_one_corpus_by_itself_is_not_left_out() -> None:
    clips = [SpeechClip(Path(), "a", speaker, "", 0, "train") for speaker in "xyz"]
    assert [fold.kind for fold in folds(clips, 5)] == ["speakers"] * 3


def test_what_is_left_out_is_judged_and_new(tmp_path: Path) -> None:
    audio = RECIPE.branches.audio.model_copy(update={"epochs": 1})
    recipe = RECIPE.model_copy(
        update={
            "branches": RECIPE.branches.model_copy(update={"audio": audio}),
            "novelty": NoveltyConfig(components=1, principal=64, variants=1),
        }
    )
    job = Job(Path(), tmp_path, recipe, load_config(EMBEDDED_PRESET))
    levels = {"x": ("a", 0.0), "y": ("a", 2.0), "z": ("a", 1.0), "s": ("b", 30.0), "t": ("b", 31.0)}
    levels |= {"q": ("c", 12.0), "r": ("c", 13.0)}
    train = make_speech("train", levels, 5 * 384)
    select = make_speech("validation", {"v": ("a", 0.5), "w": ("b", 30.0)}, 5 * 384)
    found = {fold.name: evaluate_fold(job, train, select, fold) for fold in folds(train.clips, 5)}
    assert {clip.speaker for clip in found["speakers_2"].clips} == {"z"}
    corpus = found["b"]
    assert [(clip.part, clip.speaker) for clip in corpus.clips] == [
        *[("train", "s")] * 14,
        *[("train", "t")] * 14,
        *[("validation", "w")] * 14,
    ]
    logits, novelty = corpus.judged(0)
    assert logits.shape == (42, 7)
    assert novelty.min() > 2 * found["speakers_2"].judged(0)[1].max()
    # Against other clips of the speaker, whose level is what was new, a clip is less new.
    assert corpus.judged(13)[1].median() < novelty.median()


def far_corpora(speakers: int = 10) -> Speech:
    """Corpora "a" and "b", whose speakers lie around the levels 0.5 and 5.5."""
    levels = np.linspace(0, 1, speakers)
    near = {f"a{n}": ("a", float(level)) for n, level in enumerate(levels)}
    far = {f"b{n}": ("b", float(level) + 5) for n, level in enumerate(levels)}
    return make_speech("train", near | far, 8)


def make_branch(speech: Speech) -> SpeechBranch:
    """Statistics that are not standardised, and no baselines: speakers have no other clips."""
    parts = {
        "layer_statistics": LayerStatistics(8, 4, (0.3, 0.5)),
        "baselines": SpeakerBaseline(8),
        "unimodal_heads": classifier(4, 0.0),
    }
    return SpeechBranch(Hearing(parts))


def fitted(speech: Speech) -> Novelty:
    every = range(len(speech.clips))
    alone = Speech([replace(speech.clips[i], speaker=str(i)) for i in every], speech.variants)
    return fit_novelty(make_branch(speech), all_rows(alone), RECIPE.novelty)


def novelty_of(novelty: Novelty, levels: list[float]) -> list[float]:
    """Of clips of noise around some levels."""
    noise = torch.randn((len(levels), TOKENS, 8), generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor(levels)[:, None, None] + noise
    found = statistics(tokens, torch.ones(len(levels), TOKENS, dtype=torch.bool))
    return novelty(found).tolist()


@pytest.mark.parametrize("speakers", [6, 12])
def test_what_lies_between_corpora_or_beyond_them_is_new(speakers: int) -> None:
    """With fewer clips than there are centroids, and with more."""
    speech = far_corpora(speakers)
    assert (len(speech.clips) > Novelty.CENTROIDS) == (speakers == 12)
    novelty = fitted(speech)
    low, high, between, beyond = novelty_of(novelty, [0.5, 5.5, 3.0, 30.0])
    assert max(low, high) + 1 < between < beyond / 4


def test_known_clips_are_not_new() -> None:
    speech = far_corpora(6)
    novelty = fitted(speech)
    assert novelty(speech.statistics[0]).max() < 0.01


def test_a_direction_tells_corpora_apart_in_units_of_their_clips() -> None:
    speech = far_corpora()
    novelty = fitted(speech)
    placed = speech.statistics[0] @ novelty.directions
    half = len(placed) // 2
    assert torch.allclose(placed[:, :16].std(dim=0), torch.ones(16), atol=0.01)
    within = (placed[:half, 16].var() + placed[half:, 16].var()) / 2
    assert float(within) == pytest.approx(1.0, abs=0.02)
    gap = (placed[:half].mean(dim=0) - placed[half:].mean(dim=0)).abs()
    assert gap[16] > 4 * gap[:16].max()
    assert not novelty.directions[:, 17:].any()


def test_what_augmentation_changes_tells_no_corpus() -> None:
    """A variant that is louder by as much as the corpora differ takes that from what tells them."""
    plain = far_corpora()
    first = plain.variants[0]
    sounds = [clip.turns[0].tokens["audio"] for clip in first]
    louder = [
        with_tokens(clip, "audio", replace(sound, values=sound.values + np.float16(5.0)))
        for clip, sound in zip(first, sounds, strict=True)
    ]
    both = Speech(plain.clips, [first, louder])
    (alone,) = novelty_of(fitted(plain), [10.5])
    (augmented,) = novelty_of(fitted(both), [10.5])
    assert augmented < alone / 2


def test_one_corpus_is_known_by_its_components_alone() -> None:
    speech = make_speech("train", {"x": ("a", 0.0), "y": ("a", 3.0)}, 8)
    novelty = fitted(speech)
    assert not novelty.directions[:, 16:].any()
    known, new = novelty_of(novelty, [3.0, 30.0])
    assert 2 * known < new
