"""The overlay has the pictures, times and sound of its film, and the answer where it belongs."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import set_rotation, speech_like, tone, write_media, write_wav
from numpy.typing import NDArray
from PIL import Image

from avt_memocmt import write_overlay
from avt_memocmt.emotions import COLOURS, EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.results import (
    MediaPrediction,
    ModalityUse,
    SampledFace,
    SeenFace,
    Speaker,
    UtterancePrediction,
)
from avt_memocmt.preprocessing.video_preprocess import sample_frames

GREY = 100
SIZE = (320, 240)
UNEVEN = [0.0, 0.04, 0.05, 0.2, 0.21, 0.5, 0.533, 0.9, 1.0, 1.4, 1.401, 1.7]
CHANCES = tuple(0.7 if name == "joy" else 0.05 for name in EMOTIONS)


def turn(start: float, end: float, text: str = "", **others: object) -> UtterancePrediction:
    uses = {"audio": ModalityUse(True, 1.0, CHANCES)}
    return UtterancePrediction(start, end, "S1", text, "given", CHANCES, uses, **others)  # type: ignore[arg-type]


def answer(
    *faces: SampledFace,
    turns: tuple[UtterancePrediction, ...] = (),
    size: tuple[int, int] | None = SIZE,
) -> MediaPrediction:
    seen = tuple(SeenFace(name, 1.0, None) for name in {face.id for face in faces if face.id})
    speakers = (Speaker("S1", "Anna", 1.0, "F1"),)
    return MediaPrediction(
        "film", 2.0, "embedded", "0", turns, (), None, speakers, seen,
        picture_size=size, sampled_faces=faces,
    )  # fmt: skip


def face(time: float, left: float, top: float, *, speaks: bool = False, id: str = "F1"):
    return SampledFace(time, (left, top, 40.0, 50.0), id, speaks, None, time + 0.5)


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as film:
        return [frame.pts * frame.time_base for frame in film.decode(video=0)]


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as film:
        packets = [packet for packet in film.demux(audio=0) if packet.size]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]


def pictures_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as film:
        assert all(frame.rotation == 0 for frame in film.decode(video=0))
        film.seek(0)
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def grey_film(path: Path, times: list[float], **options: object) -> Path:
    size = options.pop("size", SIZE)
    plane = np.full((size[1], size[0], 3), GREY, np.uint8)  # type: ignore[index]
    return write_media(path, picture_times=times, images=[plane] * len(times), size=size, **options)  # type: ignore[arg-type]


def drawn(picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what was drawn on a grey picture."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - GREY).max(axis=2) > 40)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    ("suffix", "codecs", "is_copied"),
    [
        (".mkv", ("libx264", "aac"), True),
        (".webm", ("libvpx", "libopus"), True),
        (".ts", ("mpeg2video", "mp2"), False),
        (".mp4", ("mpeg4", "aac"), True),
    ],
)
def test_every_picture_keeps_its_time_and_sound_its_packets(
    tmp_path: Path, suffix: str, codecs: tuple[str, str], is_copied: bool
) -> None:
    video, audio = codecs
    rate = 48_000
    times = [index / 25 for index in range(20)] if video == "mpeg2video" else UNEVEN
    film = grey_film(
        tmp_path / f"film{suffix}",
        times,
        sound=speech_like(2.0, rate),
        rate=rate,
        sound_start=0.1,
        video_codec=video,
        audio_codec=audio,
        video_options={"bf": "2", "preset": "ultrafast"},
    )
    out = tmp_path / "out.mp4"
    write_overlay(answer(turns=(turn(0.2, 1.0, "well"),)), film, out)
    with av.open(str(film)) as opened:
        origin = Fraction(opened.start_time, av.time_base)
        assert opened.streams.audio[0].codec_context.name.startswith(audio.removeprefix("lib"))
    made, wanted = times_of(out), [time - origin for time in times_of(film)]
    assert len(made) == len(times)
    assert np.allclose([float(t) for t in made], [float(t) for t in wanted], atol=2e-5)
    before, after = sound_of(film), sound_of(out)
    if is_copied:
        assert [data for _, data in after] == [data for _, data in before]
        assert np.allclose([t for t, _ in after], [t - origin for t, _ in before], atol=1e-4)
    else:
        ends = [sound[-1][0] for sound in (before, after)]
        assert ends[1] == pytest.approx(ends[0] - float(origin), abs=0.06)


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (0, -1, 1, 0), (-1, 0, 0, -1), (-1, 0, 0, 1)])
def test_turned_and_mirrored_films_are_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    film = write_media(tmp_path / "film.mp4", picture_times=[0.0, 0.1], size=(96, 64))
    set_rotation(film, matrix)
    write_overlay(answer(size=None), film, tmp_path / "out.mp4")
    shown = [frame.image for frame in sample_frames(film, 25)]
    made = pictures_of(tmp_path / "out.mp4")
    assert made[0].shape == shown[0].shape
    for one, other in zip(made, shown, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 6


def test_pixels_are_square_and_odd_sides_even(tmp_path: Path) -> None:
    wide = tmp_path / "wide.mkv"
    with av.open(str(wide), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 63, 47, "yuv444p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((47, 63, 3), GREY, np.uint8), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_overlay(answer(size=None), wide, tmp_path / "out.mp4")
    picture = pictures_of(tmp_path / "out.mp4")[0]
    assert picture.shape == (46, 84, 3)
    assert np.abs(picture.astype(int) - GREY).max() < 4


def test_a_box_moves_evenly_from_one_look_to_the_next(tmp_path: Path) -> None:
    times = [index / 20 for index in range(31)]
    film = grey_film(tmp_path / "film.mkv", times)
    looks = [face(0.0, 100, 100), face(0.5, 140, 120), face(1.0, 40, 100)]
    write_overlay(answer(*looks), film, tmp_path / "out.mp4")
    made = pictures_of(tmp_path / "out.mp4")
    for at, (left, top) in {0: (100, 100), 5: (120, 110), 10: (140, 120)}.items():
        x0, _, x1, y1 = drawn(made[at][128:])  # below its name
        assert abs(x0 - left) <= 2
        assert abs(x1 - left - 40) <= 2
        assert abs(y1 + 128 - top - 50) <= 2
    # More than a face moves is a cut, in which nothing glides.
    assert abs(drawn(made[19][120:])[0] - 140) <= 2
    assert abs(drawn(made[20][120:])[0] - 40) <= 2
    assert drawn(made[23][120:])[0] == drawn(made[20][120:])[0]
    assert np.abs(made[30].astype(int) - GREY).max() < 12  # gone


def test_the_face_that_speaks_is_marked_in_the_colour_of_its_emotion(tmp_path: Path) -> None:
    film = grey_film(tmp_path / "film.mkv", [0.0, 0.1])
    looks = [face(0.0, 40, 100, speaks=True), face(0.0, 200, 100, id="F2")]
    write_overlay(answer(*looks, turns=(turn(0.0, 1.0, "oh"),)), film, tmp_path / "out.mp4")
    picture = pictures_of(tmp_path / "out.mp4")[0]
    joy = [int(COLOURS["joy"][at : at + 2], 16) for at in (1, 3, 5)]
    assert np.abs(picture[125, 40].astype(int) - joy).max() < 25
    assert picture[125, 200].min() > 220
    assert picture[-20:].min() < 45  # the words' ground


def test_boxes_follow_a_film_that_is_larger_than_the_picture_they_refer_to(tmp_path: Path) -> None:
    film = grey_film(tmp_path / "film.mkv", [0.0], size=(640, 480))
    write_overlay(answer(face(0.0, 100, 100)), film, tmp_path / "out.mp4")
    x0, _, _, y1 = drawn(pictures_of(tmp_path / "out.mp4")[0])
    assert abs(x0 - 200) <= 2
    assert abs(y1 - 300) <= 2


def test_nothing_is_left_of_an_overlay_that_was_interrupted(tmp_path: Path) -> None:
    def interrupt(seconds: float, total: float | None) -> None:
        if seconds > 0.3:
            raise KeyboardInterrupt

    film = grey_film(tmp_path / "film.mkv", UNEVEN, sound=tone(2.0))
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_overlay(answer(), film, folder / "out.mp4", progress=interrupt)
    assert not list(folder.iterdir())


def test_what_is_no_film_gets_one_sentence(tmp_path: Path) -> None:
    sound, photo = write_wav(tmp_path / "talk.wav", tone(1.0)), tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(photo)
    for media, why in ((sound, "holds sound alone"), (photo, "is a picture")):
        with pytest.raises(AvtError, match=why):
            write_overlay(answer(), media, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_progress_runs_to_the_end(tmp_path: Path) -> None:
    film = grey_film(tmp_path / "film.mkv", UNEVEN)
    seconds: list[float] = []
    write_overlay(
        answer(), film, tmp_path / "out.mp4", progress=lambda done, total: seconds.append(done)
    )
    assert all(a < b for a, b in pairwise(seconds))
    assert seconds[-1] == pytest.approx(UNEVEN[-1], abs=0.002)
