import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.acoustic_models import FRAME, CharacterModel, PhonemeModel
from avt_memocmt.preprocessing.audio_forced_alignment import make_aligner

VOCABULARY = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]


def _save_model(folder: Path, stride: int = 5, pickled: bool = False) -> None:
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[8] * 7,
        conv_stride=[stride, 2, 2, 2, 2, 2, 2],
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    model = Wav2Vec2ForCTC(config)
    config.save_pretrained(folder)
    if pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)
    ids = {token: index for index, token in enumerate(VOCABULARY)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    extractor.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wav2vec2")
    _save_model(path)
    return path


@pytest.fixture(scope="module")
def noise() -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).normal(size=3 * SAMPLE_RATE)).astype(np.float32)


def test_character_posteriors_are_the_reference_models(
    folder: Path, noise: NDArray[np.float32]
) -> None:
    model = CharacterModel(str(folder))
    log_probs = model.log_posteriors(noise)
    reference = Wav2Vec2ForCTC.from_pretrained(folder).eval()
    normalised = (noise - noise.mean()) / np.sqrt(noise.var() + 1e-7)
    with torch.inference_mode():
        logits = reference(torch.from_numpy(normalised)[None]).logits[0]
    np.testing.assert_allclose(log_probs, logits.log_softmax(-1).numpy(), atol=1e-4)
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1.0, atol=1e-5)
    assert log_probs.shape == ((len(noise) - 400) // FRAME + 1, len(VOCABULARY))
    assert len(model.log_posteriors(noise[:10])) == 1


def test_character_tokens(folder: Path) -> None:
    model = CharacterModel(str(folder))
    assert (model.blank, model.boundary) == (0, 4)
    assert [VOCABULARY[token] for token in model.tokens("don't")] == ["D", "O", "N", "'", "T"]
    assert [VOCABULARY[token] for token in model.tokens("cafe\u0301")] == ["C", "A", "F", "E"]
    assert model.tokens("日本") == []


def test_character_alignment_covers_each_word(folder: Path, noise: NDArray[np.float32]) -> None:
    words = make_aligner(str(folder)).align(noise, "Kids are — talking 日本 by the door!")
    assert [word.word for word in words] == [
        *("Kids", "are", "—", "talking", "日本", "by", "the", "door!")
    ]
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= 3.0
    assert [word.score > 0 for word in words] == [True, True, False, True, False, True, True, True]


def test_unusable_models_are_explained(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="cannot load the aligner"):
        make_aligner(str(tmp_path / "nothing"))
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    _save_model(pickled, pickled=True)
    with pytest.raises(AvtError, match="safetensors"):
        make_aligner(str(pickled))
    slow = tmp_path / "slow"
    slow.mkdir()
    _save_model(slow, stride=6)
    with pytest.raises(AvtError, match="50 frames"):
        make_aligner(str(slow))


@pytest.fixture(scope="module")
def phonemes() -> PhonemeModel:
    return PhonemeModel()


def test_phoneme_posteriors(phonemes: PhonemeModel, noise: NDArray[np.float32]) -> None:
    log_probs = phonemes.log_posteriors(3 * noise[:SAMPLE_RATE])
    assert log_probs.shape == (SAMPLE_RATE // FRAME + 1, 191)
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1.0, atol=1e-4)
    assert len(phonemes.log_posteriors(noise[:1])) == 1


def test_phoneme_tokens(phonemes: PhonemeModel) -> None:
    from hama.vocab import Vocabulary

    names = Vocabulary.load().decoder
    assert [names[token] for token in phonemes.tokens("talking")] == ["t", "ɔ", "k", "ɪ", "ŋ"]
    assert [names[token] for token in phonemes.tokens("F")] == ["ɛ", "f"]
    assert phonemes.tokens("Café") == phonemes.tokens("cafe") != []
    assert phonemes.tokens("日本") == phonemes.tokens("'") == []
    every = [
        token
        for word in ("isn't", "zoo", "W", "yes", "a", "x's")
        for token in phonemes.tokens(word)
    ]
    assert phonemes.blank not in every
    assert phonemes.boundary not in every
    assert min(every) > 4  # no padding, start, end, unknown, nor the space
