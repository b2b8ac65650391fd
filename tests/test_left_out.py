"""What the branch of sound says of speech that it was not trained on, and how new that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avt_memocmt.config import EMBEDDED_PRESET, load_config
from avt_memocmt.data.corpora import Part, SpeechClip
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.models.novelty import Novelty
from avt_memocmt.training import branches
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
    config = load_config(EMBEDDED_PRESET)
    levels = {"x": ("a", 0.0), "y": ("a", 1.0), "z": ("b", 6.0)}
    train = make_speech("train", levels, 5 * 384)
    select = make_speech("select", {"v": ("a", 0.5), "w": ("b", 6.0)}, 5 * 384)
    found = {
        omission.name: judge_left_out(train, select, config, omission, tmp_path)
        for omission in omissions(train.clips)
    }
    assert {clip.speaker for clip in found["speakers_1"].clips} == {"y"}
    corpus = found["b"]
    assert [(clip.part, clip.speaker) for clip in corpus.clips] == [
        *[("train", "z")] * 14,
        *[("select", "w")] * 14,
    ]
    assert corpus.logits.shape == (28, 7)
    assert corpus.novelty.min() > 2 * found["speakers_1"].novelty.max()


def test_known_clips_are_not_new() -> None:
    speech = make_speech("train", {"x": ("a", 0.0), "y": ("a", 3.0)}, 8)
    layers = LayerStatistics(8, 4)
    novelty = known_sound(layers, speech, range(14))
    tokens = torch.from_numpy(speech.variants[0].values.astype(np.float32)).view(28, TOKENS, 8)
    found = novelty(layers.standard(tokens, torch.ones(28, TOKENS, dtype=torch.bool)))
    assert found[:14].max() < 1e-3 < 0.5 < found[14:].min()
    components = layers.standard(tokens[:14], torch.ones(14, TOKENS, dtype=torch.bool))
    placed = components @ novelty.directions
    assert torch.allclose(placed.std(dim=0)[:13], torch.ones(13), atol=1e-2)


def test_more_clips_than_places_are_known_by_their_middles() -> None:
    levels = {f"{n}": ("a", float(n)) for n in range(40)}
    speech = make_speech("train", levels, 8)
    assert len(speech.clips) > Novelty.PLACES
    layers = LayerStatistics(8, 4)
    novelty = known_sound(layers, speech, range(len(speech.clips)))
    tokens = torch.full((2, TOKENS, 8), 20.0)
    tokens[1] = 80.0
    tokens += torch.randn(tokens.shape, generator=torch.Generator().manual_seed(0))
    known, new = novelty(layers.standard(tokens, torch.ones(2, TOKENS, dtype=torch.bool)))
    assert 2 * known < new
