"""Write docs/prediction.schema.json, the JSON Schema of a prediction.

Run it after a change of avt_memocmt/inference/results_json.py:

    python scripts/write_prediction_schema.py
"""

from __future__ import annotations

import json
from pathlib import Path

from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results_json import prediction_schema

SCHEMA = Path(__file__).parents[1] / "docs/prediction.schema.json"

if __name__ == "__main__":
    write_text_atomically(SCHEMA, json.dumps(prediction_schema(), indent=2) + "\n")
