"""Nothing leaves the machine: in a new home, a prediction writes its output and opens no socket."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from media_factory import speech_like, write_wav

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.recognizer import Recognizer

# Python tells what is opened for writing, and every socket, also of libraries written in Python.
TRACED = """
import json, os, sys
events = []
def note(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        events.append(["write", str(arguments[0])])
    elif event.startswith("socket."):
        events.append([event, str(arguments)])
sys.addaudithook(note)
from avt_memocmt.cli import main
sys.argv = ["avt-memocmt", "predict", "face.png", "talk.wav", "--out", "out"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
if sys.argv[0] and "OPENVINO" in os.environ:
    import openvino
import huggingface_hub.constants
assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
print(json.dumps(events), file=sys.stderr)
"""


def test_a_prediction_writes_its_output_and_nothing_else(small_face: Path, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("home", "temporary", "work")}
    for folder in folders.values():
        folder.mkdir()
    shutil.copy(small_face, folders["work"] / "face.png")
    write_wav(folders["work"] / "talk.wav", speech_like(1.0))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    environment = {
        **kept,
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["temporary"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    if importlib.util.find_spec("openvino") is not None:
        environment["OPENVINO"] = "1"
    command = [sys.executable, "-c", TRACED]
    traced = shutil.which("strace")
    if traced:  # sees what libraries do behind Python's back
        log = tmp_path / "sockets"
        command = [traced, "-f", "-qq", "-e", "trace=socket", "-o", str(log), *command]
    done = subprocess.run(
        command, cwd=folders["work"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stderr.splitlines()[-1])
    assert [event for event in events if event[0] != "write"] == []
    written = {Path(path).parts[0] for kind, path in events if kind == "write"}
    assert written <= {"out"}, events
    assert [str(path) for path in folders["home"].rglob("*")] == []
    assert [str(path) for path in folders["temporary"].rglob("*")] == []
    assert {path.name for path in folders["work"].iterdir()} == {"face.png", "talk.wav", "out"}
    if traced:
        assert "AF_INET" not in log.read_text()


def test_media_in_memory_opens_no_socket(recognizer: Recognizer) -> None:
    session = (
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 50041 RTP/AVP 0\n"
    )
    with pytest.raises(AvtError, match="<bytes> is not media"):
        recognizer.predict(session)
