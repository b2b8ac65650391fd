"""`avt-memocmt export`: a checkpoint for another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from avt_memocmt.commands.console import Checkpoint, log


def export(
    out: Annotated[Path, typer.Option(help="Folder for the graphs and their manifest.")],
    engine: Annotated[Literal["onnx"], typer.Option(help="The engine they are for.")] = "onnx",
    quantize: Annotated[
        Literal["none", "dynamic"],
        typer.Option(help="dynamic: 8-bit linear layers in the fusion network."),
    ] = "none",
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Write every network of a checkpoint as an ONNX graph, for the engines onnx and openvino."""
    from avt_memocmt.engines.export import export_checkpoint

    def show(name: str) -> None:
        log.print(f"exporting {name}")

    export_checkpoint(checkpoint, out, quantize == "dynamic", show)
    log.print(
        f"wrote {out}; use it with: avt-memocmt predict --engine {engine} --checkpoint {out} ..."
    )
