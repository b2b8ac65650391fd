"""What the branch of sound says of speech that it was not trained on, and how new that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avt_memocmt.config import EMBEDDED_PRESET, load_config
from avt_memocmt.data.corpora import Part, SpeechClip
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.training import branches
from avt_memocmt.training import known_sound as known
from avt_memocmt.training.fusion_data import SpeechPart
from avt_memocmt.training.known_sound import known_sound
from avt_memocmt.training.left_out import judge_left_out, omissions
from avt_memocmt.training.token_cache import TokenCache

TOKENS = 60


def make_speech(part: Part, speakers: dict[str, tuple[str, float]], width: int) -> SpeechPart:
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
    cache = TokenCache(tokens, spans, TOKENS * np.arange(len(clips) + 1))
    return SpeechPart(clips, [cache], {})


def test_every_speaker_and_every_corpus_is_left_out_once() -> None:
    speakers = [("a", f"{n}") for n in range(7)] + [("b", "0"), ("b", "1")]
    clips = [SpeechClip(Path(), *name, "", e, "train") for name in speakers for e in range(3)]
    held = {
        o.name: {(c.corpus, c.speaker) for c in clips if o.leaves_out(c)} for o in omissions(clips)
    }
    folds = [held.pop(f"speakers_{n}") for n in range(5)]
    assert sorted(speaker for fold in folds for speaker in fold) == sorted(speakers)
    assert held == {"a": set(speakers[:7]), "b": set(speakers[7:])}


def test_one_corpus_by_itself_is_not_left_out() -> None:
    clips = [SpeechClip(Path(), "a", speaker, "", 0, "train") for speaker in "xyz"]
    assert [omission.kind for omission in omissions(clips)] == ["speakers"] * 3


def test_what_is_left_out_is_judged_and_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "CLIP_EPOCHS", 1)
    monkeypatch.setattr(known, "COMPONENTS", 1)
    config = load_config(EMBEDDED_PRESET)
    levels = {"x": ("a", 0.0), "y": ("a", 2.0), "z": ("a", 1.0), "s": ("b", 6.0), "t": ("b", 7.0)}
    levels |= {"q": ("c", 12.0), "r": ("c", 13.0)}
    train = make_speech("train", levels, 5 * 384)
    select = make_speech("select", {"v": ("a", 0.5), "w": ("b", 6.0)}, 5 * 384)
    found = {
        omission.name: judge_left_out(train, select, config, omission, tmp_path / omission.name)
        for omission in omissions(train.clips)
    }
    assert {clip.speaker for clip in found["speakers_2"].clips} == {"z"}
    corpus = found["b"]
    assert [(clip.part, clip.speaker) for clip in corpus.clips] == [
        *[("train", "s")] * 14,
        *[("train", "t")] * 14,
        *[("select", "w")] * 14,
    ]
    assert corpus.logits.shape == (42, 7)
    assert corpus.novelty.min() > 2 * found["speakers_2"].novelty.max()


def far_corpora() -> SpeechPart:
    """Corpora "a" and "b" around two levels, whose speakers differ by as much as their tokens."""
    speakers = {f"{n}": ("a", n / 10) for n in range(10)}
    speakers |= {f"{n}": ("b", n / 10) for n in range(50, 60)}
    return make_speech("train", speakers, 8)


def test_corpora_are_known_and_what_lies_between_them_is_new() -> None:
    speech = far_corpora()
    layers = LayerStatistics(8, 4)
    novelty = known_sound(layers, speech, range(len(speech.clips)))
    tokens = torch.tensor([0.5, 5.5, 3.0, 30.0])[:, None, None].expand(-1, TOKENS, 8)
    tokens = tokens + torch.randn(tokens.shape, generator=torch.Generator().manual_seed(0))
    low, high, between, beyond = novelty(
        layers.standard(tokens, torch.ones(4, TOKENS, dtype=torch.bool))
    )
    assert max(low, high) < 2
    assert 4 < between < beyond / 4


def test_clips_of_a_corpus_have_a_deviation_of_one_in_what_tells_corpora_apart() -> None:
    speech = far_corpora()
    layers = LayerStatistics(8, 4)
    novelty = known_sound(layers, speech, range(len(speech.clips)))
    values = torch.from_numpy(speech.variants[0].values.astype(np.float32)).view(-1, TOKENS, 8)
    found = layers.standard(values, torch.ones(values.shape[:2], dtype=torch.bool))
    placed = (found @ novelty.directions)[:, 0]
    first = len(placed) // 2
    within = (placed[:first].var() + placed[first:].var()) / 2
    assert float(within) == pytest.approx(1.0, abs=0.02)
    assert not novelty.directions[:, 1:].any()


def test_augmented_variants_of_known_clips_are_known() -> None:
    """A variant that is louder by as much as a corpus differs tells nothing of the corpus."""
    plain = far_corpora()
    louder = TokenCache(
        plain.variants[0].values + np.float16(5.0),
        plain.variants[0].spans,
        plain.variants[0].offsets,
    )
    both = SpeechPart(plain.clips, [plain.variants[0], louder], {})
    layers, rows = LayerStatistics(8, 4), range(len(plain.clips))
    tokens = torch.full((1, TOKENS, 8), 10.5)
    heard = layers.standard(tokens, torch.ones(1, TOKENS, dtype=torch.bool))
    assert known_sound(layers, both, rows)(heard) < known_sound(layers, plain, rows)(heard) / 2


def test_one_corpus_makes_nothing_new() -> None:
    speech = make_speech("train", {"x": ("a", 0.0), "y": ("a", 3.0)}, 8)
    novelty = known_sound(LayerStatistics(8, 4), speech, range(14))
    assert novelty(torch.randn(3, 16)).tolist() == [0.0, 0.0, 0.0]
