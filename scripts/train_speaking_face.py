"""Makes the weights of the speaking face again.

python scripts/train_speaking_face.py DATA WORK OUT
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from avt_memocmt.preprocessing.mouth_shape import READER_FILE
from avt_memocmt.recipe.mouth_reader import export_mouth_reader, load_settings, train_mouth_reader


def main(data: Path, work: Path, out: Path) -> None:
    """Train and write both files."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    work.mkdir(parents=True, exist_ok=True)
    network, scores = train_mouth_reader(data, work, load_settings())
    print("correlation with the landmarks, people left out:", scores)
    export_mouth_reader(network, out / READER_FILE)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
