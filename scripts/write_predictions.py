"""Writes what the shipped weights say of fixed inputs, to compare before and after a change.

    python scripts/write_predictions.py DATA DEMO OUT.json
    cmp before.json after.json

DATA holds grid/, ravdess/, ferplus/ and meld/; DEMO is the film that `make demo` writes. Everything
runs by the command line, so that the script outlives any change inside the package: `predict` and
`stream --fast` (with and without captions), `predict --engine onnx`, and `evaluate` on a manifest
of speech, faces and dialogues. The same code writes the same file, byte for byte, on one machine
with one number of threads (`OMP_NUM_THREADS`); another number of threads rounds a few
probabilities in their last digit.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

SPEECH, FACES, DIALOGUES = 48, 48, 12
"""How many RAVDESS clips, FER+ pictures and MELD dialogues are taken, evenly spread."""
CAPTIONS = (
    "1\n00:00:00,500 --> 00:00:02,900\nI am so sad today.\n\n"
    "2\n00:00:03,000 --> 00:00:06,000\nLeave me alone!\n\n"
    "3\n00:00:12,000 --> 00:00:15,000\nOh, this is wonderful.\n"
)
EMOTIONS_OF_RAVDESS = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08"),
        ("neutral", "neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise"),
        strict=True,
    )
)


def run(*arguments: str | Path) -> str:
    """Run `avt-memocmt` and return what it prints; its log goes to the stderr of this script."""
    command = [sys.executable, "-m", "avt_memocmt", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def lines(printed: str, root: Path) -> list[Any]:
    """Parse JSON Lines; paths below `root` become relative."""
    return [json.loads(line.replace(f"{root}/", "")) for line in printed.splitlines()]


def spread(items: list[Any], count: int) -> list[Any]:
    """Return `count` of the items, evenly spread."""
    return [items[number * len(items) // count] for number in range(count)]


def manifest_rows(data: Path, folder: Path) -> list[tuple[str, ...]]:
    """Return rows of the manifest, whose columns `measured` names; write the faces as PNG files."""
    rows: list[tuple[str, ...]] = []
    for clip in spread(sorted((data / "ravdess").glob("*.flac")), SPEECH):
        rows.append((str(clip), "", EMOTIONS_OF_RAVDESS[clip.name.split("-")[2]], "", "", ""))
    pictures = pq.read_table(data / "ferplus" / "valid.parquet").to_pylist()
    for number, row in enumerate(spread(pictures, FACES)):
        path = folder / f"{number:03d}.png"
        path.write_bytes(row["png"])
        rows.append((str(path), "", "neutral", "", "", ""))
    table = csv.DictReader(io.StringIO((data / "meld" / "dev_sent_emo.csv").read_text("utf-8")))
    for row in table:
        if int(row["Dialogue_ID"]) < DIALOGUES:
            turn = row["Dialogue_ID"], row["Utterance_ID"], row["Speaker"]
            rows.append(("", row["Utterance"], row["Emotion"], *turn))
    return rows


def measured(data: Path, folder: Path) -> dict[str, Any]:
    """Return the figures of `evaluate` on speech, faces and dialogues together."""
    rows = manifest_rows(data, folder)
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "text", "emotion", "dialogue_id", "utterance_id", "speaker"))
        writer.writerows(rows)
    run("evaluate", "--manifest", manifest, "--json", folder / "figures.json")
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    # These differ with the folder, with how weights are stored, and with the commit.
    for name in list(figures):
        if name.endswith("sha256") or name in ("data", "code"):
            del figures[name]
    return figures


def main(data: Path, demo: Path, out: Path) -> None:
    """Predict all inputs and write the answers to one file."""
    grid = data / "grid"
    with TemporaryDirectory() as name:
        folder = Path(name)
        captions = folder / "captions.srt"
        captions.write_text(CAPTIONS)
        graphs = folder / "graphs"
        run("export", "--out", graphs)
        onnx = ("--engine", "onnx", "--checkpoint", graphs)
        speech = [row[0] for row in manifest_rows(data, folder) if row[0]]
        found = {
            "predict": lines(run("predict", demo, grid, "--json"), data),
            "predict with captions": lines(
                run("predict", demo, "--transcript", captions, "--json"), data
            ),
            "predict speech and faces": [
                {**line, "media": Path(line["media"]).name}
                for line in lines(run("predict", *speech, "--no-transcribe", "--json"), data)
            ],
            "stream": lines(run("stream", demo, "--fast"), data),
            "stream with captions": lines(
                run("stream", demo, "--fast", "--captions", captions), data
            ),
            "stream GRID": {
                clip.name: lines(run("stream", clip, "--fast", "--hop", "0"), data)
                for clip in sorted(grid.glob("*.mpg"))
            },
            "onnx": lines(run("predict", demo, grid, *onnx, "--json"), data),
            "evaluate": measured(data, folder),
        }
    out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*(Path(argument).resolve() for argument in sys.argv[1:]))
