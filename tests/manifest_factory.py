"""CSV manifests of labelled clips."""

from __future__ import annotations

from pathlib import Path

HEADER = "path,text,emotion,dialogue_id,utterance_id,speaker,start,end\n"


def write_manifest(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "manifest.csv"
    path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return path
