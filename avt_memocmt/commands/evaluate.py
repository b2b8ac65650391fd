"""`evaluate-manifest`, `evaluate-features` and `evaluate-meld`: measure a checkpoint on labels.

`evaluate` calls one of the three, by its options or by what config.yaml names.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.console import (
    Checkpoint,
    EngineOption,
    JsonFile,
    SpeakerBaseline,
    counted_progress,
    log,
    step_progress,
)
from avt_memocmt.commands.evaluation_report import Compare, Experiments, report_evaluation
from avt_memocmt.commands.settings import (
    DEFAULT_CONFIG,
    ConfigFile,
    Encoders,
    Overrides,
    Preset,
    resolve_config,
)
from avt_memocmt.config import PathsConfig
from avt_memocmt.data.baseline_scope import read_scope
from avt_memocmt.data.store_folder import store_folder
from avt_memocmt.engines.names import EngineName
from avt_memocmt.errors import AvtError

if TYPE_CHECKING:
    from avt_memocmt.evaluation.evaluation import Evaluation
    from avt_memocmt.evaluation.provenance import Provenance

MANIFEST_HELP = (
    "CSV with the columns path, text, emotion and optionally dialogue_id, utterance_id, speaker, "
    "start, end, sentiment; further columns are for --by."
)
STORES_HELP = "A feature store; repeated, they are joined by utterance."
MELD_HELP = "A MELD folder in any layout; CSVs alone give text."
Split = Annotated[str, typer.Option(help="A split of the features or of MELD: train, dev or test.")]
CompareFeatures = Annotated[
    list[Path] | None,
    typer.Option(help="The second checkpoint's features; the same unless given."),
]
Transcribe = Annotated[
    bool, typer.Option("--transcribe", help="Recognise the words of a manifest's rows.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        help="Compare the figures between the values of this column of the manifest; may be "
        "repeated.",
    ),
]
Work = Annotated[Path, typer.Option(help="Folder for the feature stores made from MELD.")]
DEFAULT_EXPERIMENTS = PathsConfig().experiments


def evaluate(
    manifest: Annotated[Path | None, typer.Option(help=MANIFEST_HELP)] = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER|URL", parser=store_folder, help=STORES_HELP),
    ] = None,
    meld: Annotated[Path | None, typer.Option(help=MELD_HELP)] = None,
    split: Split = "dev",
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint folder, or the name of the one that ships. Unless given: embedded "
            "with --manifest, and for MELD where paths.checkpoint is not there; else that."
        ),
    ] = None,
    compare: Compare = None,
    compare_features: CompareFeatures = None,
    json_file: JsonFile = None,
    experiments: Annotated[
        Path | None,
        typer.Option(
            help="Folder for results.csv, results.md and confusion_matrix.png; paths.experiments "
            "unless given, and none with --manifest."
        ),
    ] = None,
    work: Work = Path("features"),
    transcribe: Transcribe = False,
    speaker_baseline: SpeakerBaseline = "past",
    by: By = None,
    engine: EngineOption = "torch",
    config: ConfigFile = DEFAULT_CONFIG,
    preset: Preset = None,
    encoders: Encoders = None,
    overrides: Overrides = None,
) -> None:
    """Measure a checkpoint on a manifest, on feature stores or on MELD.

    Calls evaluate-manifest, evaluate-features or evaluate-meld. Unless told which, it measures the
    features or else the MELD folder that config.yaml names in paths.
    """
    from avt_memocmt.data.feature_store import MANIFEST_FILE

    if sum(bool(source) for source in (manifest, features, meld)) > 1:
        raise AvtError("give one of --manifest, --features and --meld.")
    if compare_features and not (compare and features):
        raise AvtError("--compare-features belongs to --features and --compare.")
    if engine != "torch" and manifest is None:
        raise AvtError(f"--engine {engine} belongs to --manifest.")
    if by and manifest is None:
        raise AvtError("--by belongs to --manifest.")
    paths = PathsConfig()
    if config != DEFAULT_CONFIG or config.is_file() or preset or overrides:
        paths = resolve_config(config, preset, None, overrides).paths
    if manifest is not None:
        return evaluate_manifest(
            manifest,
            checkpoint or "embedded",
            compare,
            json_file,
            experiments,
            transcribe,
            speaker_baseline,
            by,
            engine,
        )
    experiments = experiments or paths.experiments
    if not features and not meld and (paths.features / MANIFEST_FILE).is_file():
        features = [paths.features]
    if features:
        return evaluate_features(
            features,
            checkpoint or str(paths.checkpoint),
            split,
            compare,
            compare_features,
            json_file,
            experiments,
            speaker_baseline,
        )
    evaluate_meld(
        meld or paths.meld,
        checkpoint or _trained_or_shipped(paths.checkpoint),
        split,
        compare,
        json_file,
        experiments,
        work,
        encoders,
        speaker_baseline,
    )


def _trained_or_shipped(trained: Path) -> str:
    """The user's own checkpoint where there is one, else the name of the one that ships."""
    if trained.exists():
        return str(trained)
    log.print(f"there is no trained checkpoint in {trained}, so the shipped one, embedded, is used")
    return "embedded"


def evaluate_manifest(
    manifest: Annotated[Path, typer.Argument(help=MANIFEST_HELP)],
    checkpoint: Checkpoint = "embedded",
    compare: Compare = None,
    json_file: JsonFile = None,
    experiments: Experiments = None,
    transcribe: Transcribe = False,
    speaker_baseline: SpeakerBaseline = "past",
    by: By = None,
    engine: EngineOption = "torch",
) -> None:
    """Measure a checkpoint on anybody's labelled clips, pictures and words, read turn by turn."""
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.data.manifest import read_manifest
    from avt_memocmt.evaluation.on_manifest import evaluate_manifest as evaluate_dialogues
    from avt_memocmt.evaluation.on_manifest import readings, require_measurable
    from avt_memocmt.evaluation.provenance import (
        PAST_ONLY,
        checkpoint_provenance,
        data_sha256,
        with_scope,
    )
    from avt_memocmt.pretrained import file_sha256

    dialogues = read_manifest(manifest)
    scope = read_scope(speaker_baseline)
    require_measurable(dialogues, scope, by or ())

    def measure(folder: Path, engine: EngineName = "torch") -> tuple[Evaluation, Provenance]:
        recognizer = EmotionRecognizer.from_pretrained(folder, engine)
        steps = readings(scope) * sum(map(len, dialogues))
        with step_progress("evaluating", steps) as advance:
            evaluation = evaluate_dialogues(
                recognizer,
                dialogues,
                transcribe=transcribe,
                speaker_baseline=scope,
                by=by or (),
                progress=advance,
            )
        data = data_sha256(evaluation, [file_sha256(manifest)])
        found = checkpoint_provenance(folder, recognizer.config, manifest.name, data)
        return evaluation, with_scope(replace(found, context=PAST_ONLY), scope)

    report_evaluation(
        checkpoint, lambda folder: measure(folder, engine), compare, measure, json_file, experiments
    )


def evaluate_features(
    features: Annotated[
        list[Path], typer.Argument(metavar="FOLDER|URL...", parser=store_folder, help=STORES_HELP)
    ],
    checkpoint: Checkpoint,
    split: Split = "dev",
    compare: Compare = None,
    compare_features: CompareFeatures = None,
    json_file: JsonFile = None,
    experiments: Experiments = DEFAULT_EXPERIMENTS,
    speaker_baseline: SpeakerBaseline = "past",
) -> None:
    """Measure a checkpoint on one split of feature stores."""
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.evaluation.on_features import evaluate_stores

    stores, reference = (
        [FeatureStore.open(folder) for folder in folders]
        for folders in (features, compare_features or features)
    )
    scope = read_scope(speaker_baseline)
    report_evaluation(
        checkpoint,
        lambda folder: evaluate_stores(folder, stores, split, speaker_baseline=scope),
        compare,
        lambda folder: evaluate_stores(folder, reference, split, speaker_baseline=scope),
        json_file,
        experiments,
    )


def evaluate_meld(
    meld: Annotated[Path, typer.Argument(help=MELD_HELP)],
    checkpoint: Checkpoint,
    split: Split = "dev",
    compare: Compare = None,
    json_file: JsonFile = None,
    experiments: Experiments = DEFAULT_EXPERIMENTS,
    work: Work = Path("features"),
    encoders: Encoders = None,
    speaker_baseline: SpeakerBaseline = "past",
) -> None:
    """Measure a checkpoint on one split of a MELD folder; its features are extracted first."""
    from avt_memocmt.data.meld.index import meld_records
    from avt_memocmt.evaluation.on_meld import evaluate_records
    from avt_memocmt.models.checkpoint import CONFIG_FILE
    from avt_memocmt.workers import default_workers

    records = meld_records(meld, split)
    scope = read_scope(speaker_baseline)

    def measure(folder: Path) -> tuple[Evaluation, Provenance]:
        config = resolve_config(folder / CONFIG_FILE, encoders=encoders)
        store = work / f"{folder.resolve().name}-{split}"
        with counted_progress("extracting") as show:
            return evaluate_records(
                folder,
                config,
                records,
                store,
                speaker_baseline=scope,
                workers=default_workers(),
                progress=show,
            )

    report_evaluation(checkpoint, measure, compare, measure, json_file, experiments)
