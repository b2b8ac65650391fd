"""Exported ONNX graphs against the eager model: all modality subsets, unequal lengths."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from model_factory import DIMS, make_dialogue

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch, collate
from avt_memocmt.data.speaker_baselines import MODALITIES_OF_A_PERSON
from avt_memocmt.engines.network_graphs import (
    DIALOGUE_INPUTS,
    FUSION_INPUTS,
    FUSION_OUTPUTS,
    dialogue_graph,
    fusion_graph,
)
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.prediction import Prediction

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


def run_onnx(sessions: dict[str, onnxruntime.InferenceSession], batch: DialogueBatch) -> Prediction:
    shape = batch.turn_mask.shape
    flat = [batch.modalities[m].flatten_turns() for m in MODALITIES]
    tensors = [getattr(part, x.name) for part in flat for x in fields(ModalityBatch)]
    feed = {name: x.numpy() for name, x in zip(FUSION_INPUTS, tensors, strict=True)}
    fused = {
        name: found.reshape(*shape, *found.shape[1:])
        for name, found in zip(
            FUSION_OUTPUTS, sessions["fusion"].run(list(FUSION_OUTPUTS), feed), strict=True
        )
    }
    dialogue = (fused["utterances"], batch.turn_mask.numpy(), batch.speaker_change.numpy())
    feed = dict(zip(DIALOGUE_INPUTS, dialogue, strict=True))
    (correction,) = sessions["dialogue"].run(["correction"], feed)
    corrected = fused["pooled_logits"] + fused["corrected"][..., None] * correction
    logits = corrected / fused["temperature"][..., None]
    return Prediction(
        torch.from_numpy(logits),
        torch.from_numpy(fused["modality_weights"]),
        {m: torch.from_numpy(fused[f"{m}_unimodal_logits"]) for m in MODALITIES},
    )


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
            eager = model(batch)
        found, real = run_onnx(sessions, batch), batch.turn_mask
        pairs = [
            (found.logits, eager.logits),
            (found.modality_weights, eager.modality_weights),
            *((found.unimodal_logits[m], eager.unimodal_logits[m]) for m in present),
        ]
        for ours, theirs in pairs:
            torch.testing.assert_close(ours[real], theirs[real], atol=1e-4, rtol=1e-4)


def test_the_graph_reads_the_baselines_of_speakers(
    sessions: dict[str, onnxruntime.InferenceSession],
) -> None:
    known = make_dialogue(4, 1)
    for m in MODALITIES_OF_A_PERSON:
        unknown = [
            replace(turn, baselines={n: b for n, b in turn.baselines.items() if n != m})
            for turn in known
        ]
        found, other = (run_onnx(sessions, collate([turns], DIMS)) for turns in (known, unknown))
        own, others_own = found.unimodal_logits[m][0], other.unimodal_logits[m][0]
        np.testing.assert_array_equal(own[0], others_own[0])  # nobody is known in the first turn
        assert ((own - others_own)[1:].abs().amax(dim=1) > 1e-3).all()
