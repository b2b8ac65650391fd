"""Makes the weights of the speaking face again, from pictures of faces and films of talkers.

    python scripts/train_speaking_face.py DATA WORK OUT

DATA holds ferplus/, faces/, grid/ and real/. WORK keeps what is computed once, and the state of the
training, which resumes. OUT receives the two files that ship in
avt_memocmt/checkpoints/speaking_face, and metrics.json. Needs the extras train and onnx, and the
teacher's packages, which are named where they are missing.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from avt_memocmt.files import write_text_atomically
from avt_memocmt.json_files import json_text
from avt_memocmt.preprocessing.mouth_shape import READER_FILE, MouthReader
from avt_memocmt.preprocessing.speaking_face import MODEL_FILE
from avt_memocmt.recipe.mouth_movement import fit, load_talks, save
from avt_memocmt.recipe.mouth_reader import export_mouth_reader, load_settings, train_mouth_reader


def main(data: Path, work: Path, out: Path) -> None:
    """Train and write the files."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for folder in (work, out):
        folder.mkdir(parents=True, exist_ok=True)
    network, scores = train_mouth_reader(data, work, load_settings())
    export_mouth_reader(network, out / READER_FILE)
    save(fit(load_talks(data, MouthReader(out / READER_FILE))), out / MODEL_FILE)
    metrics = {"correlation with the landmarks of people who were left out": scores}
    write_text_atomically(out / "metrics.json", json_text(metrics, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
