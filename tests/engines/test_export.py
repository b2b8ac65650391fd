"""Exported ONNX graphs against the eager model: all modality subsets, unequal lengths."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from model_factory import DIMS, make_dialogue

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import DialogueBatch, collate
from avt_memocmt.engines.network_graphs import (
    DIALOGUE_INPUTS,
    FUSION_INPUTS,
    dialogue_graph,
    fusion_graph,
)
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

SUBSETS = [s for n in (1, 2, 3) for s in combinations(MODALITIES, n)]


@pytest.fixture(scope="module")
def sessions(
    model: AvtMemoCmt,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, onnxruntime.InferenceSession]:
    folder = tmp_path_factory.mktemp("onnx")
    fusion_graph(model).write(folder / "fusion.onnx")
    dialogue_graph(model).write(folder / "dialogue.onnx")
    return {p.stem: onnxruntime.InferenceSession(str(p)) for p in Path(folder).glob("*.onnx")}


def run_onnx(sessions: dict[str, onnxruntime.InferenceSession], batch: DialogueBatch) -> np.ndarray:
    size, turns = batch.turn_mask.shape
    flat = {m: batch.modalities[m].flatten_turns() for m in MODALITIES}
    tensors = [x for m in MODALITIES for x in (flat[m].values, flat[m].spans, flat[m].mask)]
    feed = {name: x.numpy() for name, x in zip(FUSION_INPUTS, tensors, strict=True)}
    utterances = sessions["fusion"].run(["utterances"], feed)[0]
    dialogue = (
        utterances.reshape(size, turns, -1),
        batch.turn_mask.numpy(),
        batch.speaker_change.numpy(),
    )
    feed = dict(zip(DIALOGUE_INPUTS, dialogue, strict=True))
    return sessions["dialogue"].run(None, feed)[0]


@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
def test_onnx_equals_eager_on_every_subset(
    model: AvtMemoCmt,
    sessions: dict[str, onnxruntime.InferenceSession],
    present: tuple[str, ...],
) -> None:
    for dialogues in (
        [make_dialogue(1, 3, present)],
        [make_dialogue(4, 1, present), make_dialogue(2, 6, present)],
        [make_dialogue(9, 2, present)],
    ):
        batch = collate(dialogues, DIMS)
        with torch.no_grad():
            eager = model(batch).logits
        found = torch.from_numpy(run_onnx(sessions, batch))
        assert torch.allclose(found[batch.turn_mask], eager[batch.turn_mask], atol=1e-4)
