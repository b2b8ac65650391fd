"""The model card (README.md) of a checkpoint, from its settings and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from avt_memocmt.config import Config
from avt_memocmt.models.prediction import DialogueNetwork

LICENCE = (
    "The weights inherit the terms of the data and of the encoders that they were trained on; the "
    "code of AVT-MemoCMT is under the MIT licence."
)


def model_card(model: DialogueNetwork, config: Config, metrics: Mapping[str, Any]) -> str:
    """Write a checkpoint's model card as Markdown: what it is, how it was chosen, its scores.

    Args:
        model: the network.
        config: its settings.
        metrics: as of `checkpoint.save_checkpoint`.
    """
    rows = "\n".join(f"| {name} | {value} |" for name, value in _facts(model, config, metrics))
    return (
        f"# {metrics.get('model', config.model.kind)}\n\n"
        "Recognises the emotion of each turn of a dialogue, with AVT-MemoCMT. Load it with "
        "`avt_memocmt.models.checkpoint.load_model`.\n\n"
        f"| | |\n|---|---|\n{rows}\n\n"
        f"{LICENCE}\n"
    )


def _facts(
    model: DialogueNetwork, config: Config, metrics: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    size = sum(parameter.numel() for parameter in model.parameters())
    yield "network", f"{config.model.kind}, {size / 1e6:.2f} million parameters"
    if config.model.kind == "avt-memocmt":
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
