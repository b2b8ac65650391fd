"""`avt-memocmt evaluate` on small manifests, feature stores and MELD folders."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from manifest_factory import HEADER, write_manifest
from media_factory import speech_like, write_wav
from meld_factory import Row, small_meld, write_table
from sklearn.metrics import f1_score
from store_factory import NAMES, make_config, make_store
from tiny_encoders import save_tiny_bert, save_tiny_hubert

from avt_memocmt import EmotionRecognizer
from avt_memocmt.config import AudioConfig, EncoderConfig, TextConfig, TokenShape
from avt_memocmt.config_file import load_config
from avt_memocmt.data.baseline_scope import read_scope
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord
from avt_memocmt.data.labelled_dialogues import load_dialogues
from avt_memocmt.data.manifest import read_manifest
from avt_memocmt.data.set_baselines import with_baselines
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation, FailedRow
from avt_memocmt.evaluation.on_features import evaluate_stores
from avt_memocmt.evaluation.on_manifest import evaluate_manifest
from avt_memocmt.evaluation.results_table import read_results
from avt_memocmt.extraction.clip import extract_clip, store_manifest
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE, make_text_encoder
from avt_memocmt.models.checkpoint import build_model, load_model, save_checkpoint, token_dims
from avt_memocmt.models.predict import predict_dialogues


def test_dialogues_are_read_in_utterance_order(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path,
        ",Third,joy,1,10,,,",
        ",Alone,happy,,,,,",
        ",First,Angry,1,2,Ann,,",
        "a.wav,,sad,2,0,,1.5,3",
    )
    dialogues = read_manifest(path)
    assert [[row.text for row in rows] for rows in dialogues] == [
        ["First", "Third"],
        ["Alone"],
        [""],
    ]
    assert dialogues[0][0].emotion == 6
    assert dialogues[2][0].path == tmp_path / "a.wav"
    assert (dialogues[2][0].start, dialogues[2][0].end) == (1.5, 3.0)


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("path,emotion\n", "a.wav,joy", "lacks the column text"),
        (HEADER, ",Hi,glee,,,,,", "line 2: unknown emotion 'glee'"),
        (HEADER, ",Hi,joy,,,,soon,", "line 2: start 'soon'"),
        (HEADER, "", "has no rows"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_line(
    tmp_path: Path, header: str, line: str, message: str
) -> None:
    with pytest.raises(AvtError, match=message):
        read_manifest(write_manifest(tmp_path, line, header=header))


def test_figures_subsets_and_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "voice.wav", speech_like(1.5))
    manifest = write_manifest(
        tmp_path,
        "voice.wav,,anger,,,,,",
        "voice.wav,I am furious!,anger,,,,,",
        ",What a wonderful surprise!,joy,7,0,Ann,,",
        ",Thank you so much!,joy,7,1,Bob,,",
        "gone.wav,,sadness,,,,,",
        ",,neutral,,,,,",
    )
    figures = tmp_path / "figures.json"
    code, _, err = run(
        ["evaluate", "--manifest", str(manifest), "--json", str(figures)], monkeypatch, capsys
    )
    assert code == 1
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["n"] == 6
    for name in ("accuracy", "weighted_f1", "macro_f1", "uar"):
        assert 0 <= found[name] <= 1
        low, high = found["intervals_95"][name]
        assert low <= found[name] <= high
    assert found["recall"]["sadness"] == found["recall"]["neutral"] == 0.0
    assert {name: part["n"] for name, part in found["subsets"].items()} == {
        "audio": 1,
        "audio+text": 1,
        "text": 2,
    }
    assert {name: part["n"] for name, part in found["alone"].items()} == {"audio": 1, "text": 1}
    assert [row["line"] for row in found["failed"]] == [6, 7]
    assert "failed: line 6" in err
    assert "gone.wav" in err
    assert 0 <= found["ece"] <= 1
    assert (found["split"], found["context"]) == ("manifest.csv", "past-only")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("voice.wav", "manifest.csv", "figures.json")
    }
    assert sum(map(sum, found["confusion"]["counts"])) == 4


def test_both_calls_give_the_same_figures(
    trained: tuple[FeatureStore, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = write_manifest(tmp_path, ",Thank you so much!,joy,,,,,", "gone.wav,,sadness,,,,,")
    monkeypatch.chdir(tmp_path)
    store, network = trained
    for source, data, options in (
        ("manifest", str(manifest), []),
        ("features", str(store.folder), ["--checkpoint", str(network)]),
    ):
        options += ["--json", "figures.json"]
        found = []
        for command in (["evaluate", f"--{source}", data], [f"evaluate-{source}", data]):
            code, out, _ = run([*command, *options], monkeypatch, capsys)
            found.append((code, out, Path("figures.json").read_bytes()))
        assert found[0] == found[1]


def test_fusion_is_compared_with_each_modality_on_rows_that_have_several() -> None:
    right = np.eye(7)[[0, 1, 2, 3]]
    wrong = np.roll(right, 1, axis=1)
    unknown = np.full((1, 7), np.nan)
    evaluation = Evaluation(
        keys=("a", "b", "c", "d"),
        truth=np.arange(4),
        probabilities=right,
        groups=("a", "b", "c", "d"),
        present=("audio+visual", "audio+visual", "audio", "audio+visual"),
        alone={"audio": wrong, "visual": np.concatenate([right[:2], unknown, right[3:]])},
    )
    found = evaluation.report()["alone"]
    assert (found["audio"]["n"], found["audio"]["accuracy"]) == (3, 0.0)
    assert found["audio"]["fused_minus_alone"]["accuracy"]["difference"] == 1.0
    assert found["visual"]["fused_minus_alone"]["accuracy"]["interval_95"] == (0.0, 0.0)


def test_confidence_is_compared_with_the_accuracy_of_what_was_predicted() -> None:
    sure, unsure = np.full(7, 0.05), np.full(7, 0.1)
    sure[2], unsure[5] = 0.7, 0.4
    evaluation = Evaluation(
        keys=("a", "b", "c", "d"),
        truth=np.array([2, 2, 5, 0]),
        probabilities=np.stack([sure, sure, sure, unsure]),
        groups=("a", "b", "c", "d"),
        present=("text",) * 4,
    )
    failure = FailedRow(9, "gone.wav", "it is gone.")
    for found in (evaluation.report(), evaluation.with_failed([(failure, 1, "e", -1)]).report()):
        assert found["mean_confidence"] == pytest.approx((3 * 0.7 + 0.4) / 4)
        assert found["confidence_minus_accuracy"] == pytest.approx((3 * 0.7 + 0.4) / 4 - 0.5)
    nothing = replace(evaluation, probabilities=np.full((4, 7), np.nan)).report()
    assert nothing["mean_confidence"] is nothing["confidence_minus_accuracy"] is None


def test_text_alone_is_understood(recognizer: EmotionRecognizer, tmp_path: Path) -> None:
    lines = {
        "joy": ["Oh my God, I'm so happy for you!", "This is so great! I love it!"],
        "anger": ["How could you do this to me! I hate you!", "Get the hell out of my house!"],
        "neutral": ["So I'll see you at six.", "The meeting is in the second room."],
    }
    rows = [f',"{text}",{name},,,,,' for name, texts in lines.items() for text in texts]
    dialogues = read_manifest(write_manifest(tmp_path, *rows))
    assert evaluate_manifest(recognizer, dialogues).report()["accuracy"] >= 5 / 6


@pytest.fixture
def trained(tmp_path: Path) -> tuple[FeatureStore, Path]:
    """A store whose dev split lacks one label, and a checkpoint for it with random weights."""
    store = make_store(tmp_path / "store")
    (*rows, last) = list(store.rows())
    store.write_shard(0, [*rows, replace(last, emotion=UNLABELLED)])
    return store, save_network(tmp_path / "network", store)


def save_network(folder: Path, store: FeatureStore, seed: int = 0, **model: object) -> Path:
    """A checkpoint with random weights for the features of a store."""
    config = make_config(seed=seed)
    config = config.model_copy(
        update={
            "features": store.manifest.modalities,
            "model": config.model.model_copy(update=model),
        }
    )
    torch.manual_seed(seed)
    network = build_model(config)
    metrics = {"model": "Random", "seed": seed, "selection": "none"}
    save_checkpoint(folder, network, config, metrics)
    return folder


def test_a_store_is_measured_and_the_results_are_written(
    trained: tuple[FeatureStore, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, folder = trained
    figures, experiments = tmp_path / "figures.json", tmp_path / "experiments"
    arguments = ["evaluate", "--features", str(store.folder), "--checkpoint", str(folder)]
    arguments += ["--json", str(figures), "--experiments", str(experiments)]
    code, out, _ = run(arguments, monkeypatch, capsys)
    assert code == 0
    model, config = load_model(folder)
    dialogues = load_dialogues([store], "dev", config.model.modalities)
    dialogues = with_baselines(dialogues, "past")
    logits = predict_dialogues(model, dialogues, token_dims(config)).logits
    guess = logits.argmax(dim=1).numpy()[:-1]
    truth = np.concatenate([dialogue.emotions for dialogue in dialogues])[:-1]
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert (found["n"], found["unlabelled"], found["failed"]) == (len(truth), 1, [])
    assert f"n = {len(truth)}, failed = 0, unlabelled = 1" in out
    assert found["accuracy"] == pytest.approx((guess == truth).mean())
    expected = f1_score(truth, guess, labels=np.unique(truth), average="weighted", zero_division=0)
    assert found["weighted_f1"] == pytest.approx(expected)
    assert 0 <= found["ece"] <= 1
    sure = logits.softmax(dim=1).numpy()[:-1].max(axis=1).mean()
    assert found["mean_confidence"] == pytest.approx(sure, abs=1e-6)
    over = found["confidence_minus_accuracy"]
    assert over == pytest.approx(sure - found["accuracy"], abs=1e-6)
    assert f"{over:+.4f}" in out
    assert found["f1"].keys() == found["recall"].keys()
    assert (found["model"], found["seed"], found["split"]) == ("Random", 0, "dev")
    assert found["context"] == "past-only"
    assert sum(part["n"] for part in found["subsets"].values()) == len(truth)
    assert set(found["subsets"]) <= {"audio+text", "audio+visual+text"}

    (row,) = read_results(experiments / "results.csv")
    assert float(row["uar"]) == pytest.approx(found["uar"], abs=1e-6)
    assert "| Random | dev | past-only | 1 |" in (experiments / "results.md").read_text("utf-8")
    before = {path.name: path.read_bytes() for path in experiments.iterdir()}
    assert set(before) == {"results.csv", "results.md", "confusion_matrix.png"}
    run(arguments, monkeypatch, capsys)
    assert {path.name: path.read_bytes() for path in experiments.iterdir()} == before


def test_baselines_of_stored_speakers_are_rows_of_their_own(
    trained: tuple[FeatureStore, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, folder = trained
    model, config = load_model(folder)
    arguments = ["evaluate", "--features", str(store.folder), "--checkpoint", str(folder)]
    arguments += ["--json", str(tmp_path / "figures.json"), "--experiments", str(tmp_path / "out")]
    sure = []
    for scope in ("past", "off", "all", "2", "off"):
        code, _, err = run([*arguments, "--speaker-baseline", scope], monkeypatch, capsys)
        assert code == 0, err
        found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
        dialogues = with_baselines(
            load_dialogues([store], "dev", config.features), read_scope(scope)
        )
        logits = predict_dialogues(model, dialogues, token_dims(config)).logits[:-1]
        expected = logits.softmax(dim=1).max(dim=1).values.mean()
        assert found["mean_confidence"] == pytest.approx(float(expected), abs=1e-6)
        sure.append(found["mean_confidence"])
    assert len(set(sure)) == 4
    assert [row["context"] for row in read_results(tmp_path / "out" / "results.csv")] == [
        "past-only",
        *(f"past-only, speaker baseline {scope}" for scope in ("off", "all", "2")),
    ]
    store.write_shard(0, [replace(row, speaker=None) for row in store.rows()])
    with pytest.raises(AvtError, match="needs the column speaker"):
        evaluate_stores(folder, [store], "dev", speaker_baseline="all")


def test_two_checkpoints_are_compared_on_the_same_dialogues(
    trained: tuple[FeatureStore, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, first = trained
    second = save_network(tmp_path / "second", store, seed=1, causal=False)
    figures = tmp_path / "figures.json"
    arguments = ["evaluate-features", str(store.folder), "--checkpoint", str(first)]
    arguments += ["--json", str(figures), "--experiments", str(tmp_path / "experiments")]

    def compare(*more: str) -> dict:
        code, _, err = run([*arguments, "--compare", *more], monkeypatch, capsys)
        assert code == 0, err
        return json.loads(figures.read_text(encoding="utf-8"))

    found = compare(str(second))
    comparison = found["comparison"]
    assert (comparison["seed"], comparison["context"]) == (1, "both-sides")
    for name, difference in comparison["differences"].items():
        assert difference["difference"] == pytest.approx(found[name] - comparison[name])
        low, high = difference["interval_95"]
        assert low <= difference["difference"] <= high
        assert 0 <= difference["share_not_better"] <= 1
    copy = tmp_path / "copy"
    shutil.copytree(store.folder, copy)
    same = compare(str(first), "--compare-features", str(copy))["comparison"]["differences"]
    assert {d["difference"] for d in same.values()} == {0.0}
    assert {d["share_not_better"] for d in same.values()} == {1.0}


def test_features_that_do_not_fit_are_refused_with_their_keys(
    trained: tuple[FeatureStore, Path], tmp_path: Path
) -> None:
    store, folder = trained
    shapes = dict(store.manifest.modalities)

    def refused(split: str = "dev", **changed: TokenShape) -> str:
        manifest = store.manifest.model_copy(update={"modalities": {**shapes, **changed}})
        with pytest.raises(AvtError) as error:
            evaluate_stores(folder, [FeatureStore(store.folder, manifest)], split)
        return str(error.value)

    assert "text.dim is 9 there and 8 in the checkpoint" in refused(text=TokenShape(dim=9))
    assert "visual.layers is 2" in refused(visual=TokenShape(dim=2, layers=2))
    names = ("pitch", "level", "shimmer")
    message = refused(audio=TokenShape(dim=1, names=names))
    assert "audio.names differ in rate, shimmer" in message
    assert str(store.folder) in message
    order = TokenShape(dim=1, names=("level", "pitch", "rate"))
    assert "audio.names differ in their order" in refused(audio=order)
    assert "no utterance of the split test" in refused("test")


def test_a_split_without_labels_cannot_be_measured(
    trained: tuple[FeatureStore, Path],
) -> None:
    store, folder = trained
    store.write_shard(0, [replace(row, emotion=UNLABELLED) for row in store.rows()])
    with pytest.raises(AvtError, match=r"none of the \d+ utterances of the split dev has a label"):
        evaluate_stores(folder, [store], "dev")


def test_wrong_usage_and_outputs_are_refused_before_the_work(
    trained: tuple[FeatureStore, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, folder = trained
    monkeypatch.chdir(tmp_path)
    features = ["--features", str(store.folder)]

    def refused(*arguments: str) -> str:
        code, _, err = run(["evaluate", *arguments], monkeypatch, capsys)
        assert code == 1
        return err

    assert "one of --manifest, --features and --meld" in refused(*features, "--meld", "x")
    assert "--compare-features belongs to" in refused(*features, "--compare-features", "x")
    err = refused(*features)
    assert "checkpoints/meld is no checkpoint" in err
    assert "python train.py" in err
    results = tmp_path / "experiments" / "results.csv"
    results.write_text("a,b\n1,2\n", encoding="utf-8")
    assert "results.csv is another table" in refused(*features, "--checkpoint", str(folder))
    assert results.read_text(encoding="utf-8") == "a,b\n1,2\n"


def test_without_arguments_the_configured_paths_are_read(
    trained: tuple[FeatureStore, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, folder = trained
    for source, target in ((store.folder, "features/meld"), (folder, "checkpoints/meld")):
        shutil.copytree(source, tmp_path / "here" / target)
    monkeypatch.chdir(tmp_path / "here")
    code, out, _ = run(["evaluate"], monkeypatch, capsys)
    assert code == 0
    assert "weighted_f1" in out
    assert len(read_results(Path("experiments/results.csv"))) == 1


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A checkpoint that hears named values and reads words with a tiny tuned BERT of its own."""
    text = TextConfig(
        encoder=EncoderConfig(name=str(save_tiny_bert(tmp_path / "bert"))),
        context_turns=2,
        context_tokens=16,
        fine_tuned=True,
    )
    config = make_config().model_copy(
        update={
            "text": text,
            "features": {"audio": TokenShape(dim=1, names=NAMES)},
            "model": make_config().model.model_copy(update={"modalities": ("audio", "text")}),
        }
    )
    torch.manual_seed(0)
    encoder = make_text_encoder(text.model_copy(update={"fine_tuned": False}))
    for weight in encoder.parameters():
        weight.data.mul_(1.5)
    tuned = {TEXT_ENCODER_FILE: encoder.tuned_tensors()}
    metrics = {"model": "Reader", "seed": 0, "selection": "none"}
    folder = tmp_path / "reader"
    save_checkpoint(folder, build_model(config), config, metrics, tuned)
    return folder


def test_a_tuned_checkpoint_reads_the_words_and_not_another_encoders_tokens(
    reader: Path, tmp_path: Path
) -> None:
    config = load_config(reader / "config.yaml")
    store = make_store(tmp_path / "values")
    words_alone = config.model_copy(
        update={"model": config.model.model_copy(update={"modalities": ("text",)})}
    )
    records = [
        UtteranceRecord(*row.key, row.speaker, row.text, row.emotion, end=row.duration)
        for row in store.rows("dev")
    ]
    words = FeatureStore.create(tmp_path / "words", store_manifest(words_alone, reader))
    clips = ExtractionPlan.of(records).clips
    words.write_shard(0, [extract_clip(clip, words_alone, reader) for clip in clips])
    values = FeatureStore(
        store.folder,
        store.manifest.model_copy(
            update={"modalities": {"audio": store.manifest.modalities["audio"]}}
        ),
    )
    stored, provenance = evaluate_stores(reader, [values, words], "dev")
    read, _ = evaluate_stores(reader, [values], "dev")
    despite_others, _ = evaluate_stores(reader, [store], "dev")
    assert np.ptp(stored.probabilities, axis=0).max() > 1e-3
    np.testing.assert_allclose(read.probabilities, stored.probabilities, atol=1e-3)
    np.testing.assert_array_equal(despite_others.probabilities, read.probabilities)
    assert set(read.present) == {"audio+text"}
    assert provenance.model == "Reader"


def test_meld_transcripts_alone_are_measured_on_text(
    reader: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        Row(0, 0, "Oh my god!", "Ann", "surprise"),
        Row(0, 2, "No!", "Ben", "anger"),
        Row(3, 0, "What is it?", "Ann", "fear"),
        Row(3, 1, "[laughs]", "Ben", "joy"),
    ]
    write_table(tmp_path / "meld" / "dev_sent_emo.csv", rows)
    figures = tmp_path / "figures.json"
    arguments = ["evaluate-meld", str(tmp_path / "meld"), "--checkpoint", str(reader)]
    arguments += ["--work", str(tmp_path / "features"), "--json", str(figures)]
    arguments += ["--experiments", str(tmp_path / "experiments")]
    code, _, err = run(arguments, monkeypatch, capsys)
    assert code == 1
    assert "failed: dev dia3_utt1" in err
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["n"] == 4
    assert found["subsets"].keys() == {"text"}
    assert found["subsets"]["text"]["ece"] == pytest.approx(found["ece"])
    assert [row["utterance"] for row in found["failed"]] == ["dev dia3_utt1"]
    assert found["recall"]["joy"] == 0.0
    assert (tmp_path / "features" / "reader-dev" / "manifest.json").is_file()


def test_meld_clips_are_extracted_with_the_checkpoints_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config().model_copy(
        update={
            "audio": AudioConfig(encoder=EncoderConfig(name=str(save_tiny_hubert(tmp_path / "a")))),
            "text": TextConfig(encoder=EncoderConfig(name=str(save_tiny_bert(tmp_path / "t")))),
            "model": make_config().model.model_copy(update={"modalities": ("audio", "text")}),
        }
    )
    save_checkpoint(tmp_path / "network", build_model(config), config, {"model": "Tiny"})
    meld = small_meld(tmp_path / "meld", "paper")
    monkeypatch.chdir(tmp_path)
    arguments = ["evaluate", "--meld", str(meld), "--split", "test"]
    arguments += ["--checkpoint", "network", "--json", "figures.json"]
    code, _, err = run(arguments, monkeypatch, capsys)
    assert code == 0, err
    found = json.loads(Path("figures.json").read_text(encoding="utf-8"))
    assert (found["n"], found["split"]) == (4, "test")
    assert found["subsets"].keys() == {"audio+text"}
    assert Path("features/network-test/manifest.json").is_file()
