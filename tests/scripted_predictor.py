"""A predictor for batches whose files say what happens to the process that reads them.

Run as a script, it is a batch over a folder: `python scripted_predictor.py FOLDER OUT [--resume]`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avt_memocmt.batch.inputs import Input
from avt_memocmt.files import make_folder, write_text_atomically


@dataclass
class ScriptedPredictor:
    """Obeys the text of a file: "die", "die once", "fail", "wait", or the emotion that it shows."""

    folder: Path
    setting: int = 1

    def __call__(self, item: Input) -> str | None:
        told = item.media.read_text()
        with (self.folder / "log.txt").open("a") as log:
            log.write(f"{item.name}\n")
        marker = self.folder / f"{item.name}.seen"
        if told == "die" or (told == "die once" and not marker.exists()):
            marker.touch()
            # As a crash of a decoder would, in the middle of a write.
            (self.folder / f".{item.name}.json.{os.getpid()}.part").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if told == "fail":
            return "it says so."
        if told == "wait":
            time.sleep(60)
        turn = {"start": 0.0, "end": 2.0, "emotion": "joy", "warnings": ["no_face"]}
        other = {"start": 2.0, "end": 3.0, "emotion": "fear", "warnings": []}
        found = {"utterances": [turn, other], "duration": 3.5, "speakers": [], "warnings": []}
        make_folder(self.result_path(item).parent)
        write_text_atomically(self.result_path(item), json.dumps({"media": item.name, **found}))
        return None

    def options(self) -> dict[str, Any]:
        return {"setting": self.setting}

    def result_path(self, item: Input) -> Path:
        return self.folder / f"{item.name}.json"


def main() -> None:
    from avt_memocmt.batch.inputs import Inputs
    from avt_memocmt.batch.run import Batch

    media, out = sys.argv[1:3]
    Batch(Inputs([media]), ScriptedPredictor(Path(out)), 2, resume="--resume" in sys.argv).run()


if __name__ == "__main__":
    main()
