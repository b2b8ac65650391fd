"""A real studio in a process of its own, a real browser before it, and films that it plays."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import write_media, write_wav
from time_limit import killed_after

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH, HEIGHT, RATE = 360, 288, 25
CAMERA_HEIGHT = 360


@dataclass
class Studio:
    """The command `serve`, running.

    Attributes:
        url: without a slash at its end.
        data: its folder of uploads and results.
        ready: when it printed its address, by `time.monotonic`.
    """

    url: str
    data: Path
    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    ready: float = 0.0


@contextmanager
def running_studio(data: Path) -> Iterator[Studio]:
    """Run `avt-memocmt serve` on a free port until the block ends."""
    command = [sys.executable, "-m", "avt_memocmt", "serve", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    studio = Studio("", data, process)
    with killed_after(process):
        for line in process.stdout:
            studio.output.append(line)
            if found := re.search(r"http://[\d.]+:\d+", line):
                studio.url, studio.ready = found[0], time.monotonic()
                break
    assert studio.url, "".join(studio.output)
    # What it writes from now on is read, so that it never waits for a reader.
    threading.Thread(target=studio.output.extend, args=(process.stdout,), daemon=True).start()
    try:
        yield studio
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def running_chromium(flags: Sequence[str] = ()) -> Iterator[Any]:
    """Start the Chromium of this machine; skip where it or Playwright is missing."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright for Python (the extra `test`)"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("needs the system's Chromium (apt install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        browser.close()


def join_clips(path: Path, clips: Sequence[Path]) -> Path:
    """Put clips of 360 x 288 pixels one behind the other, as an MP4 that browsers play."""
    pictures, sounds = [], []
    for clip in clips:
        with av.open(str(clip)) as media:
            frames = [frame.to_ndarray(format="rgb24") for frame in media.decode(video=0)]
        sound = load_audio(clip)
        length = round(len(frames) / RATE * SAMPLE_RATE)
        pictures += frames
        sounds.append(np.pad(sound[:length], (0, max(0, length - len(sound)))))
    return write_media(
        path,
        picture_times=[index / RATE for index in range(len(pictures))],
        images=pictures,
        size=(WIDTH, HEIGHT),
        sound=np.concatenate(sounds),
    )


def fake_devices(folder: Path, clip: Path) -> list[str]:
    """Flags that give the browser a clip as its camera and microphone, again and again."""
    camera, microphone = folder / "camera.y4m", folder / "microphone.wav"
    with av.open(str(clip)) as media, camera.open("wb") as file:
        picture = media.streams.video[0]
        height = min(picture.height, CAMERA_HEIGHT)
        width = 2 * round(picture.width * height / picture.height / 2)
        rate = picture.average_rate
        file.write(
            f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} "
            "Ip A1:1 C420jpeg\n".encode()
        )
        for frame in media.decode(video=0):
            scaled = frame.reformat(width, height, "yuv420p")
            file.write(b"FRAME\n" + scaled.to_ndarray().tobytes())
    pause = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    write_wav(microphone, np.concatenate([load_audio(clip), pause]))
    return [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={microphone}",
        "--autoplay-policy=no-user-gesture-required",
    ]
