"""Install each extra in a new environment and run the commands that it is for.

    python scripts/check_extras.py [EXTRA ...] [--work DIR]

"base" is the package without an extra. In every environment each command answers --help, and every
call below works or ends with one sentence that names what is missing. Takes about three minutes and
2.5 GB of disk an extra, which are given back.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

INSTALLED: Mapping[str, tuple[str, ...]] = {
    "base": (),
    "cluster": ("embedded", "cluster"),
    "embedded": ("embedded",),
    "explain": ("embedded", "explain"),
    "onnx": ("embedded", "onnx"),
    "openvino": ("embedded", "onnx", "openvino"),
    "speakers": ("embedded", "speakers"),
    "tables": ("embedded", "tables"),
    "train": ("embedded", "train"),
}
"""What is installed for each extra: README installs them beside the weights."""
CALLS: Mapping[str, tuple[str, ...]] = {
    "predict talk.wav face.png --out predicted": ("embedded",),
    "evaluate-manifest clips.csv --json figures.json": ("embedded",),
    "predict talk.wav --speakers 1 --out spoken": ("embedded", "speakers"),
    "diarize talk.wav": ("speakers",),
    "explain face.png --out why": ("embedded", "explain"),
    "export --out graphs --quantize dynamic": ("embedded", "onnx"),
    "predict talk.wav --engine onnx --checkpoint graphs": ("embedded", "onnx"),
    "predict talk.wav --engine openvino --checkpoint graphs": ("embedded", "onnx", "openvino"),
    "train --preset embedded --set training.epochs=1 --set paths.meld=meld": ("embedded", "train"),
}
"""Calls, each with the extras that it needs."""
SENTENCE = re.compile(r"(?:error|failed): .*(?:install|checkpoint|export).*")


def make_inputs(folder: Path) -> None:
    """Put small media, labels and a release of MELD into a folder."""
    from media_factory import picture, speech_like, write_wav
    from meld_factory import small_meld
    from PIL import Image

    write_wav(folder / "talk.wav", speech_like(1.5))
    Image.fromarray(picture(48, 48, 90)).save(folder / "face.png")  # so small that it is a face
    (folder / "clips.csv").write_text("path,text,emotion\ntalk.wav,I hate this.,anger\n")
    small_meld(folder / "meld")


def check(extra: str, folder: Path) -> list[str]:
    """Install one extra and run everything; return what went wrong."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    binaries = environment / ("Scripts" if sys.platform == "win32" else "bin")
    extras = INSTALLED[extra]
    target = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    install = [binaries / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt"]
    subprocess.run([*install, "-e", target], check=True)
    make_inputs(folder)
    wrong = [f"{name} --help" for name in commands(binaries, folder) if not helps(binaries, name)]
    for call, needed in CALLS.items():
        done = run(binaries, call.split(), folder)
        said = [line for line in done.stderr.splitlines() if SENTENCE.match(line)]
        is_right = done.returncode == 0 if set(needed) <= set(extras) else bool(said)
        if "Traceback" in done.stderr or not is_right:
            wrong.append(f"{call}: status {done.returncode}\n{done.stderr[-2000:]}")
        print(f"  {call}: status {done.returncode} {' '.join(said)[:150]}", flush=True)
    return wrong


def commands(binaries: Path, folder: Path) -> list[str]:
    """The names that `avt-memocmt --help` lists."""
    listing = run(binaries, ["--help"], folder).stdout
    names = re.findall(r"^[^\w-]*([a-z][a-z-]+)\s{2,}", listing, re.MULTILINE)
    if len(names) < 15:
        raise SystemExit(f"avt-memocmt --help lists only {names}")
    return names


def helps(binaries: Path, name: str) -> bool:
    """Whether a command answers --help."""
    return run(binaries, [name, "--help"], ROOT).returncode == 0


def run(binaries: Path, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run avt-memocmt of an environment."""
    command = [binaries / "avt-memocmt", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def main() -> None:
    """Check the extras that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("extras", nargs="*", choices=[*INSTALLED, []])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    wrong = []
    for extra in options.extras or INSTALLED:
        print(extra, flush=True)
        folder = Path(tempfile.mkdtemp(prefix=f"extra-{extra}-", dir=options.work))
        try:
            wrong += [f"{extra}: {problem}" for problem in check(extra, folder)]
        finally:
            shutil.rmtree(folder)
    print("\n".join(wrong) or "every command works or says what is missing")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
