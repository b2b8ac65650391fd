"""Tiny random encoders of the paper's kinds, as folders written by `save_pretrained`."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertModel,
    HubertConfig,
    HubertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
    Wav2Vec2FeatureExtractor,
)
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

WORDS = "i you me the a so no yes oh what is it we go of and good bad not my god"


def save_tiny_encoders(folder: Path) -> Path:
    """HuBERT in audio/, ResNet in visual/, BERT in text/: what `--encoders` takes."""
    save_tiny_hubert(folder / "audio")
    save_tiny_resnet(folder / "visual")
    save_tiny_bert(folder / "text")
    return folder


def save_tiny_hubert(folder: Path) -> Path:
    """16-d, one layer, the real front end's strides (50 tokens a second)."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def save_tiny_resnet(folder: Path) -> Path:
    """12-d, two blocks, 64-pixel pictures."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 64}).save_pretrained(folder)
    return folder


def save_tiny_bert(folder: Path) -> Path:
    """16-d, two layers, a vocabulary of letters and a few words."""
    torch.manual_seed(0)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *string.punctuation]
    pieces += [*string.ascii_lowercase, *string.digits]
    pieces += [f"##{char}" for char in string.ascii_lowercase + string.digits]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=BertWordPieceTokenizer(vocab=vocabulary)._tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    return folder


def save_tiny_mpnet(folder: Path) -> Path:
    """16-d, six layers, the tokenizer of `save_tiny_bert`."""
    save_tiny_bert(folder)
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=6,
        initializer_range=0.3,
        num_attention_heads=2,
        intermediate_size=16,
    )
    MPNetModel(config).save_pretrained(folder)
    return folder
