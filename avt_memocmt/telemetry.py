"""Switches off the telemetry of every library that this package uses; the one place that does.

What reports, seen with strace in a new HOME:
    onnxruntime (1.32, Linux): its import writes a lasting device id and a store of events below
        ~/.cache/Microsoft, and sends them to Microsoft.
    openvino: its import writes a client id below ~/intel and sends an event to Google Analytics, by
        way of the package openvino_telemetry. No setting of its own switches that off.
    huggingface_hub: tells the hub the versions of the libraries with each download.
"""

from __future__ import annotations

import os
import sys

SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""Environment variables; processes that are started later inherit them."""


def switch_off_telemetry() -> None:
    """Switch it off for this process and those it starts; call before any library is imported."""
    os.environ.update(SWITCHES)
    # Without its sender OpenVINO falls back to a stand-in that does nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if (runtime := sys.modules.get("onnxruntime")) is not None:
        runtime.disable_telemetry_events()  # imported before us: what it does from here on
