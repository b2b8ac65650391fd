"""Exported networks end to end: the same predictions as PyTorch's, on every set of modalities."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_wav
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt import EmotionRecognizer
from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import DialogueBatch, TurnFeatures, collate
from avt_memocmt.data.speaker_baselines import MODALITIES_OF_A_PERSON, Baseline
from avt_memocmt.engines.export import QUANTIZED, quantize_export
from avt_memocmt.engines.onnx_engine import MANIFEST_FILE, load_onnx
from avt_memocmt.engines.sessions import Graph, OnnxGraph, OpenVinoGraph
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import ContextTurn, TextInput
from avt_memocmt.inference.engine import Engine
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.preprocessing.transcripts import load_transcript

SUBSETS = [s for n in (1, 2, 3) for s in combinations(MODALITIES, n)]
SINGLE_PRECISION: dict[str, Callable[[Path], Graph]] = {
    "onnx": OnnxGraph,
    "openvino": partial(OpenVinoGraph, precision="f32"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes; in a process of its own, where coverage does not double its time."""
    folder = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-m", "avt_memocmt", "export", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=800)
    return folder


@pytest.fixture(scope="module", params=SINGLE_PRECISION)
def exact(request: pytest.FixtureRequest, exported: Path) -> EmotionRecognizer:
    """The export in each engine, as precise as PyTorch."""
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    return EmotionRecognizer(*load_onnx(exported, SINGLE_PRECISION[request.param]))


def assert_alike(found: UtterancePrediction, expected: UtterancePrediction) -> None:
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    for name, use in expected.modalities.items():
        assert found.modalities[name].present == use.present
        assert found.modalities[name].weight == pytest.approx(use.weight, abs=1e-4)
        if use.probabilities is not None:
            np.testing.assert_allclose(
                found.modalities[name].probabilities, use.probabilities, atol=1e-4
            )


def assert_equal_to_scale(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Hidden states are no probabilities: what counts is the error beside their size."""
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


def random_turn(
    dims: dict[str, int], present: tuple[str, ...], generator: np.random.Generator
) -> TurnFeatures:
    """1 to 30 tokens of each modality, of a speaker of whom 0 to 3 utterances are known."""
    tokens, baselines = {}, {}
    for name in present:
        count = int(generator.integers(1, 31))
        edges = np.linspace(0, 0.1 * count, count + 1, dtype=np.float32)
        values = generator.normal(size=(count, dims[name])).astype(np.float32)
        tokens[name] = Tokens(values, np.stack([edges[:-1], edges[1:]], axis=1))
        known = generator.normal(size=2 * dims[name]).astype(np.float32)
        baselines[name] = Baseline(known, int(generator.integers(4)))
    return TurnFeatures(tokens, int(generator.integers(3)), baselines=baselines)


def judge(engine: Engine, batch: DialogueBatch) -> tuple[Prediction, tuple[Tensor, Tensor]]:
    """`AvtMemoCmt.forward` by an engine's two steps, and what each of them gives the next."""
    shape = batch.turn_mask.shape
    flat = engine.fuse({m: part.flatten_turns() for m, part in batch.modalities.items()})
    fused = flat.map(lambda tensor: tensor.unflatten(0, shape))
    correction = engine.classify(fused.utterances, batch.turn_mask, batch.speaker_change)
    logits = fused.logits(correction) / fused.temperature[..., None]
    found = Prediction(logits, fused.modality_weights, fused.unimodal_logits)
    return found, (fused.utterances, correction)


@pytest.mark.parametrize("turns", [(1,), (4, 2), (9,), (7, 3, 1)], ids=str)
@pytest.mark.parametrize("subsets", [*([s] for s in SUBSETS), SUBSETS], ids=str)
def test_dialogues_of_unequal_turns_are_judged_alike(
    exact: EmotionRecognizer,
    recognizer: EmotionRecognizer,
    subsets: list[tuple[str, ...]],
    turns: tuple[int, ...],
) -> None:
    generator = np.random.default_rng(0)
    dims = recognizer.engine.encoders.widths
    dialogues = [
        [random_turn(dims, subsets[turn % len(subsets)], generator) for turn in range(count)]
        for count in turns
    ]
    batch = collate(dialogues, dims)
    with torch.no_grad():
        found, steps = judge(exact.engine, batch)
        expected, wanted = recognizer.engine.model(batch), judge(recognizer.engine, batch)[1]
    real = batch.turn_mask
    pairs = [
        (found.logits, expected.logits),
        (found.modality_weights, expected.modality_weights),
        *((found.unimodal_logits[m], expected.unimodal_logits[m]) for m in MODALITIES),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours[real], theirs[real], atol=1e-4, rtol=0)
    # The dialogue corrects logits so little that an error of its graph would not show in them.
    for ours, theirs in zip(steps, wanted, strict=True):
        assert_equal_to_scale(ours[real].numpy(), theirs[real].numpy())


def test_the_graph_reads_the_baselines_of_speakers(
    exact: EmotionRecognizer, recognizer: EmotionRecognizer
) -> None:
    generator = np.random.default_rng(1)
    dims = recognizer.engine.encoders.widths
    known = [random_turn(dims, MODALITIES, generator) for _ in range(4)]
    counts = enumerate(known)  # nobody is known in the first turn
    known = [
        replace(turn, baselines={m: replace(b, count=at) for m, b in turn.baselines.items()})
        for at, turn in counts
    ]
    for m in MODALITIES_OF_A_PERSON:
        unknown = [
            replace(turn, baselines={n: b for n, b in turn.baselines.items() if n != m})
            for turn in known
        ]
        found, other = (
            judge(exact.engine, collate([turns], dims))[0].unimodal_logits[m][0]
            for turns in (known, unknown)
        )
        np.testing.assert_array_equal(found[0], other[0])
        assert ((found - other)[1:].abs().amax(dim=1) > 1e-3).all()


def test_encoders_read_inputs_of_unequal_length_alike(
    exact: EmotionRecognizer, recognizer: EmotionRecognizer
) -> None:
    ours, theirs = exact.engine.encoders, recognizer.engine.encoders
    sounds = [speech_like(seconds) for seconds in (0.1, 1.7, 0.9)]
    lines = [
        TextInput("No."),
        TextInput("I never said that you should go there alone!", (ContextTurn("Why me?"),)),
    ]
    pairs = [
        *zip(ours.audio.encode(sounds), theirs.audio.encode(sounds), strict=True),
        *zip(ours.text.encode(lines), theirs.text.encode(lines), strict=True),
    ]
    for found, expected in pairs:
        assert_equal_to_scale(found.values, expected.values)
        np.testing.assert_array_equal(found.spans, expected.spans)
    generator = np.random.default_rng(0)
    for count in (1, 5):
        crops = [generator.integers(0, 256, (60, 50, 3), np.uint8) for _ in range(count)]
        with torch.no_grad():
            found = ours.visual(ours.visual.prepare(crops))
            expected = theirs.visual(theirs.visual.prepare(crops))
        assert_equal_to_scale(found.numpy(), expected.numpy())


@pytest.fixture(scope="module")
def by_torch(
    recognizer: EmotionRecognizer,
    talking_clips: list[Spoken],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[dict[str, Any], MediaPrediction]]:
    """Arguments of `predict`, and what PyTorch answers, once for both engines."""
    quiet = np.zeros(16_000, np.float32)
    voice = write_wav(
        tmp_path_factory.mktemp("talk") / "talk.wav",
        np.concatenate([speech_like(1.0), quiet, speech_like(2.0), quiet, speech_like(0.6)]),
    )
    clips = [talking_clips[0].path, talking_clips[-1].path]
    asked: list[dict[str, Any]] = [{"media": clip} for clip in clips]
    for cues in (None, load_transcript("Oh no! I told you. Fine.")):
        asked.append({"media": voice, "transcript": cues, "transcribe": False})
    return [(arguments, recognizer.predict(**arguments)) for arguments in asked]


def test_clips_and_dialogues_are_predicted_alike(
    exact: EmotionRecognizer, by_torch: list[tuple[dict[str, Any], MediaPrediction]]
) -> None:
    for arguments, expected in by_torch:
        found = exact.predict(**arguments)
        assert [u.text for u in found.utterances] == [u.text for u in expected.utterances]
        assert len(found.utterances) > (Path(arguments["media"]).suffix == ".wav")
        for ours, theirs in zip(found.utterances, expected.utterances, strict=True):
            assert_alike(ours, theirs)


def test_explanations_are_refused(exact: EmotionRecognizer, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    with pytest.raises(AvtError, match="use the torch engine"):
        exact.explain(voice)


def test_eight_bit_layers_decide_alike_on_words(
    exported: Path, recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    folder = tmp_path / "int8"
    shutil.copytree(exported, folder)
    quantize_export(folder)
    for name in QUANTIZED:
        small, large = (where / f"{name}.onnx" for where in (folder, exported))
        assert small.stat().st_size < 0.6 * large.stat().st_size
    assert json.loads((folder / MANIFEST_FILE).read_text())["quantized"] == list(QUANTIZED)
    small = EmotionRecognizer.from_pretrained(folder, engine="onnx")
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    for line in ("I hate you!", "This is wonderful, thank you!", "The meeting is at six."):
        found = small.predict(voice, load_transcript(line)).utterances[0]
        expected = recognizer.predict(voice, load_transcript(line)).utterances[0]
        assert found.emotion == expected.emotion


def test_only_what_export_wrote_is_run(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="holds no exported checkpoint"):
        load_onnx(tmp_path)
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "face.onnx").open("ab") as file:
        file.write(b"0")
    with pytest.raises(AvtError, match=r"face\.onnx is missing or was changed"):
        load_onnx(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["format"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(AvtError, match="exported by another version"):
        load_onnx(tmp_path)


def test_graphs_load_and_predict_without_heavy_imports(exported: Path, tmp_path: Path) -> None:
    """They take longer than everything else of a start."""
    write_wav(tmp_path / "a.wav", speech_like(2.0))
    code = (
        "import sys; from avt_memocmt import EmotionRecognizer; "
        "EmotionRecognizer.from_pretrained(sys.argv[1], 'onnx').predict(sys.argv[2], "
        "transcribe=False); "
        "print([m for m in ('transformers', 'torch._dynamo', 'sympy') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(exported), str(tmp_path / "a.wav")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("engine", SINGLE_PRECISION)
def test_the_engine_is_an_option_of_predict(
    engine: str,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    options = ["--engine", engine, "--checkpoint", str(exported), "--json", "--no-transcribe"]
    code, stdout, _ = run(["predict", str(voice), *options], monkeypatch, capsys)
    assert code == 0
    assert json.loads(stdout)["utterances"]
    code, _, stderr = run(
        ["predict", str(voice), "--engine", engine, "--checkpoint", "embedded"], monkeypatch, capsys
    )
    assert code == 1
    assert "avt-memocmt export" in stderr


def test_without_openvino_the_extra_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(AvtError, match=r"pip install 'avt-memocmt\[openvino\]'"):
        EmotionRecognizer.from_pretrained(exported, engine="openvino")


def test_an_engine_is_measured_against_torch(
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = tmp_path / "lines.csv"
    lines = [",I hate you!,anger", ",Thank you so much!,joy", ",What?,surprise"]
    manifest.write_text("path,text,emotion\n" + "\n".join(lines) + "\n", encoding="utf-8")
    figures = tmp_path / "figures.json"
    options = ["--engine", "onnx", "--checkpoint", str(exported), "--compare", "embedded"]
    arguments = ["evaluate", "--manifest", str(manifest), *options, "--json", str(figures)]
    code, _, stderr = run(arguments, monkeypatch, capsys)
    assert code == 0, stderr
    comparison = json.loads(figures.read_text())["comparison"]
    assert comparison["agreement"] == 1
    assert comparison["differences"]["weighted_f1"]["difference"] == 0
    code, _, stderr = run(["evaluate", "--engine", "onnx"], monkeypatch, capsys)
    assert code == 1
    assert "--engine onnx belongs to --manifest" in stderr
