"""Windows of one file that follow one another: one pass gives what reading each alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from media_factory import flip_bytes, speech_like, write_media

from avt_memocmt.media import packets
from avt_memocmt.media.packets import PacketReader, PacketTape
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk

LENGTH, RATE = 12, 10
WINDOWS = [
    (0.0, 1.5),
    (1.2, 2.0),
    (1.2, 2.6),
    (5.05, 5.9),
    (5.05, 5.9),
    (9.7, 10.7),
    (11.5, 13.0),
    (20.0, 21.0),
    (21.0, 22.0),
]
"""Neither starts nor ends run back; some overlap, the last ones lie behind the end of most."""


def film(path: Path, video: str, audio: str, length: int = LENGTH, **options: object) -> Path:
    """Pictures of which each is another one, and a voice."""
    return write_media(
        path,
        picture_times=np.arange(length * RATE) / RATE if video else (),
        sound=speech_like(length),
        video_codec=video,
        audio_codec=audio,
        **options,
    )


def glued(folder: Path) -> Path:
    part = film(folder / "part.ts", "libx264", "aac").read_bytes()
    (folder / "glued.ts").write_bytes(part[: len(part) // 376 * 188] + part)
    return folder / "glued.ts"


MAKERS: dict[str, Callable[[Path], Path]] = {
    "ts": lambda folder: film(
        folder / "a.ts", "libx264", "aac", video_options={"bf": "3", "g": "50", "preset": "fast"}
    ),
    "glued": glued,
    "damaged": lambda folder: flip_bytes(film(folder / "a.ts", "libx264", "aac"), 60),
    "mpg": lambda folder: film(folder / "a.mpg", "mpeg2video", "mp2"),
    "no place to jump to": lambda folder: film(
        folder / "a.mkv", "libx264", "aac", 30, video_options={"g": "9999", "preset": "fast"}
    ),
    "mp3": lambda folder: film(folder / "a.mp3", "", "libmp3lame"),
}


def read(path: Path, start: float, end: float, tape: PacketTape | None) -> list[object]:
    with MediaReader(path, start=start, end=end, tape=tape) as reader:
        events = [
            (event.start, event.samples.tobytes())
            if isinstance(event, AudioChunk)
            else (event.time, event.image.tobytes())
            for event in reader.events()
        ]
        return [events, sorted(reader.warnings), reader.reached]


@pytest.mark.parametrize("maker", MAKERS)
def test_one_pass_gives_what_each_reading_alone_does(tmp_path: Path, maker: str) -> None:
    path = MAKERS[maker](tmp_path)
    tape = PacketTape(path)
    for start, end in WINDOWS:
        assert read(path, start, end, tape) == read(path, start, end, None), (start, end)
    assert not tape.is_spent
    tape.close()


def test_packets_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.ts", "libx264", "aac")
    counted, real = [0], PacketReader.packets

    def counting(self: PacketReader, *following: Iterator) -> Iterator:
        for item in real(self, *following):
            counted[0] += 1
            yield item

    monkeypatch.setattr(PacketReader, "packets", counting)
    windows = [(second, second + 0.8) for second in range(LENGTH)]
    read(path, 0.0, LENGTH, None)
    whole, counted[0] = counted[0], 0
    tape = PacketTape(path)
    for window in windows:
        read(path, *window, tape)
    assert counted[0] <= whole + len(windows)  # each reader takes the first one to know the origin


def test_a_tape_holds_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "MOST_HELD", 4000)
    path = film(tmp_path / "a.ts", "libx264", "aac")
    tape = PacketTape(path)
    assert read(path, 1.0, 9.0, tape) == read(path, 1.0, 9.0, None)
    assert tape.is_spent
    assert tape._recent == []
