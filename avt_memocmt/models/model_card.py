"""The model card of a checkpoint, as the hub shows it: what it is, how chosen, its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from avt_memocmt.config import Config
from avt_memocmt.models.prediction import DialogueNetwork

TASK = "emotion-recognition-in-conversation"
METRICS = {"accuracy": "accuracy", "weighted_f1": "f1", "uar": "recall"}
"""Scores that the front matter states, and what the hub calls their kinds."""

LICENCE = (
    "The weights inherit the terms of the data and of the encoders that they were trained on; the "
    "code of AVT-MemoCMT is under the MIT licence."
)


def model_card(model: DialogueNetwork, config: Config, metrics: Mapping[str, Any]) -> str:
    """Write a checkpoint's model card as Markdown, with the hub's front matter.

    Args:
        model: the network.
        config: its settings.
        metrics: as of `checkpoint.save_checkpoint`.
    """
    rows = "\n".join(f"| {name} | {value} |" for name, value in _facts(model, config, metrics))
    name = str(metrics.get("model", config.model.kind))
    return (
        f"---\n{_front_matter(name, metrics)}\n---\n"
        f"# {name}\n\n"
        "Recognises the emotion of each turn of a dialogue, with AVT-MemoCMT. Load it with "
        "`avt_memocmt.models.checkpoint.load_model`.\n\n"
        f"| | |\n|---|---|\n{rows}\n\n"
        f"{LICENCE}\n"
    )


def _front_matter(name: str, metrics: Mapping[str, Any]) -> str:
    """YAML that the hub searches by: https://huggingface.co/docs/hub/model-cards."""
    data = metrics.get("data")
    datasets = sorted(data) if isinstance(data, Mapping) else []
    scored = dict(_scored(metrics))
    return ModelCardData(
        model_name=name,
        library_name="avt-memocmt",
        language="en",
        license="other",
        license_name="terms-of-the-training-data",
        datasets=datasets or None,
        metrics=sorted(METRICS.values()) if scored else None,
        tags=["emotion-recognition", "multimodal", "conversation", "audio", "video", "text"],
        eval_results=[
            EvalResult(
                TASK,
                "-".join(datasets) or name,
                part,
                METRICS[score],
                figures[score],
                metric_name=score,
            )
            for part, figures in scored.items()
            for score in METRICS
            if score in figures
        ],
    ).to_yaml()


def _scored(
    metrics: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything in the metrics that was scored: "test text" and its figures."""
    if "accuracy" in metrics:
        yield " ".join(path), metrics
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _scored(value, (*path, name))


def _facts(
    model: DialogueNetwork, config: Config, metrics: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    size = sum(parameter.numel() for parameter in model.parameters())
    yield "network", f"{config.model.kind}, {size / 1e6:.2f} million parameters"
    if model.in_context:
        yield "context", "past turns only" if config.model.causal else "past and future turns"
    yield "labels", ", ".join(config.labels)
    for modality in model.modalities:
        yield modality, _source(config, modality)
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            figures = {k: v for k, v in value.items() if not isinstance(v, Mapping)}
            yield from ((f"{name} {key}", f"{figure}") for key, figure in figures.items())
        elif name != "model":
            yield name, f"{value}"


def _source(config: Config, modality: str) -> str:
    stored = (config.features or {}).get(modality)  # type: ignore[call-overload]
    if stored is not None and stored.names is not None:
        return f"named values: {', '.join(stored.names)}"
    tuned = modality == "text" and config.text.fine_tuned
    name: str = getattr(config, modality).encoder.name
    return f"tokens of {name}{', fine-tuned (in this folder)' if tuned else ''}"
