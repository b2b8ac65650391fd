"""A picture is read as a viewer shows it: orientation, pixel shape, tiles, colours, animations."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import flip_bytes, picture, set_rotation, tone, truncate, write_media
from numpy.typing import NDArray
from picture_factory import write_photo
from PIL import Image, ImageCms

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.media.discovery import find_media
from avt_memocmt.media.display_picture import display_size
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import VideoFrame

Picture = NDArray[np.uint8]
COLOURS = np.array([[(230, 30, 30), (30, 200, 30)], [(40, 40, 220), (220, 220, 40)]], np.uint8)
STORED = np.repeat(np.repeat(COLOURS, 96, axis=0), 128, axis=1)
"""Four quarters of different colours, 192 x 256 pixels."""

VIEWED: dict[int, Callable[[Picture], Picture]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}
"""How a viewer turns a stored picture, by its EXIF orientation."""


def shown(path: Path, **options: float) -> tuple[MediaReader, list[VideoFrame]]:
    with MediaReader(path, **options) as reader:  # type: ignore[arg-type]
        events = list(reader.events())
    return reader, [event for event in events if isinstance(event, VideoFrame)]


def still(path: Path) -> Picture:
    reader, (frame,) = shown(path)
    assert (reader.info.kind, reader.warnings, frame.time) == ("image", [], 0.0)
    return frame.image


def quarters(image: Picture) -> Picture:
    """The colour in the middle of each quarter, [2, 2, 3]."""
    height, width = image.shape[:2]
    return image[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2]


def assert_same(image: Picture, expected: Picture, tolerance: int = 25) -> None:
    assert image.shape == expected.shape
    assert np.abs(quarters(image).astype(int) - quarters(expected)).max() < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_every_orientation_is_shown_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"photo{suffix}"
    if suffix == ".heic":
        write_photo(path, STORED, orientation=orientation)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(STORED).save(path, exif=exif)
    assert_same(still(path), VIEWED[orientation](STORED))


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_a_photo_of_tiles_is_read_whole_and_not_its_thumbnail(tmp_path: Path, suffix: str) -> None:
    thumbnail = picture(64, 64, 10)
    path = write_photo(
        tmp_path / f"IMG_1{suffix}", STORED, rows=2, columns=2, orientation=6, thumbnail=thumbnail
    )
    assert_same(still(path), VIEWED[6](STORED))


def write_anamorphic(path: Path, pixel: Fraction, size: tuple[int, int]) -> Path:
    """A film whose stored pixels are `pixel` as wide as high."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixel
        frame = av.VideoFrame.from_ndarray(picture(*size, 90), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize(
    ("pixel", "size", "expected"),
    [
        ((4, 3), (144, 108), (108, 192)),
        ((64, 45), (144, 114), (114, 205)),
        ((8, 9), (144, 96), (108, 144)),
        ((16, 11), (88, 72), (72, 128)),
    ],
)
def test_pixels_become_square(
    tmp_path: Path,
    suffix: str,
    pixel: tuple[int, int],
    size: tuple[int, int],
    expected: tuple[int, int],
) -> None:
    path = write_anamorphic(tmp_path / f"dv.{suffix}", Fraction(*pixel), size)
    assert shown(path)[1][0].image.shape[:2] == expected
    small = shown(path, max_side=64)[1][0].image.shape[:2]
    assert max(small) == 64
    assert small[1] / small[0] == pytest.approx(expected[1] / expected[0], rel=0.02)


def test_a_broadcast_that_changes_the_shape_of_its_pixels_is_followed(tmp_path: Path) -> None:
    data = b""
    for number, pixel in enumerate((Fraction(1), Fraction(4, 3))):
        path = tmp_path / f"{number}.ts"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 144, 108, "yuv420p"
            stream.codec_context.sample_aspect_ratio = pixel
            for index in range(25):
                frame = av.VideoFrame.from_ndarray(picture(144, 108, 90), format="rgb24")
                frame.pts, frame.time_base = number * 25 + index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        data += path.read_bytes()
    (tmp_path / "tv.ts").write_bytes(data)
    widths = [frame.image.shape[1] for frame in shown(tmp_path / "tv.ts")[1]]
    assert widths == [144] * 4 + [192] * 4


def test_pixels_become_square_before_the_picture_is_turned(tmp_path: Path) -> None:
    path = write_anamorphic(tmp_path / "phone.mp4", Fraction(4, 3), (144, 108))
    image = shown(set_rotation(path, (0, 1, -1, 0)))[1][0].image
    assert image.shape[:2] == (192, 108)
    assert quarters(image)[0, 1, 0] > 180


@pytest.mark.parametrize("pixel", [None, Fraction(0), Fraction(1, 900), Fraction(900)])
def test_a_shape_of_pixels_that_is_unknown_or_absurd_is_square(pixel: Fraction | None) -> None:
    assert display_size(640, 480, pixel, 1920) == (640, 480)


def test_a_picture_never_vanishes_when_it_is_scaled_down() -> None:
    assert display_size(20_000, 3, None, 1000) == (1000, 1)


def test_a_cover_in_front_does_not_hide_the_film(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 96, 48, "yuv420p"
        image = av.VideoFrame.from_ndarray(picture(64, 64, 200), format="rgb24")
        container.mux([*cover.encode(image), *cover.encode(None)])
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(picture(96, 48, number), format="rgb24")
            frame.pts = number
            container.mux(film.encode(frame))
        container.mux(film.encode(None))
    frames = shown(path)[1]
    assert len(frames) == 8
    assert {frame.image.shape for frame in frames} == {(48, 96, 3)}


def write_animation(path: Path, shades: Sequence[int], milliseconds: Sequence[int]) -> Path:
    first, *others = [Image.fromarray(picture(64, 48, shade)) for shade in shades]
    lengths = milliseconds[0] if len(set(milliseconds)) == 1 else list(milliseconds)
    first.save(path, save_all=True, append_images=others, duration=lengths, loop=0)
    return path


@pytest.mark.parametrize("suffix", [".webp", ".png", ".apng", ".avif", ".gif"])
def test_an_animation_is_a_film_with_its_own_times(tmp_path: Path, suffix: str) -> None:
    lengths = [500, 500, 500] if suffix == ".avif" else [300, 1200, 500]
    path = write_animation(tmp_path / f"anim{suffix}", [20, 120, 220], lengths)
    reader, frames = shown(path)
    assert (reader.info.kind, reader.warnings) == ("video", ["no_audio"])
    assert reader.info.duration == pytest.approx(sum(lengths) / 1000, abs=0.011)
    starts = np.cumsum([0, *lengths[:-1]]) / 1000
    assert [frame.time for frame in frames] == pytest.approx(starts, abs=0.011)
    assert [int(frame.image[-4, -4, 0]) for frame in frames] == pytest.approx([20, 120, 220], abs=6)


def test_a_span_of_an_animation_begins_with_what_is_shown_then(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "anim.webp", [20, 120, 220], [300, 1200, 500])
    frames = shown(path, start=1.0, end=1.6)[1]
    assert [frame.time for frame in frames] == [1.0, 1.5]


def test_an_animated_png_leaves_out_the_picture_for_other_viewers(tmp_path: Path) -> None:
    path = tmp_path / "anim.png"
    images = [Image.fromarray(picture(64, 48, shade)) for shade in (250, 20, 120)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=400, default_image=True)
    frames = shown(path)[1]
    assert [int(frame.image[-4, -4, 0]) for frame in frames] == [20, 120]


def test_an_animated_webp_of_a_face_is_judged(
    recognizer: EmotionRecognizer, small_face: Path, tmp_path: Path
) -> None:
    face = Image.open(small_face).convert("RGB").resize((192, 192))
    path = tmp_path / "anim.webp"
    face.save(path, save_all=True, append_images=[face.rotate(3)] * 3, duration=500)
    found = recognizer.predict(path)
    assert found.duration == 2.0
    assert found.utterances[-1].end == pytest.approx(2.0, abs=0.05)
    assert all(turn.modalities["visual"].present for turn in found.utterances)


GREY = np.linspace(0, 65535, 256, dtype=np.uint16)[None].repeat(192, axis=0)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_sixteen_bits_of_grey_are_not_clipped(tmp_path: Path, name: str) -> None:
    Image.fromarray(GREY).save(tmp_path / name)
    image = still(tmp_path / name)
    np.testing.assert_allclose(image, (GREY >> 8)[..., None].repeat(3, axis=2), atol=1)


def test_sixteen_bits_of_colour_are_read(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(STORED.astype(np.uint16) * 257, format="rgb48le")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = 256, 192, "rgb48be"
    codec.time_base = Fraction(1, 25)
    data = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    (tmp_path / "deep.png").write_bytes(data)
    assert_same(still(tmp_path / "deep.png"), STORED, 2)


@pytest.mark.parametrize("name", ["print.jpg", "print.tif"])
def test_the_colours_of_a_print_are_those_of_the_screen(tmp_path: Path, name: str) -> None:
    Image.fromarray(STORED).convert("CMYK").save(tmp_path / name, quality=95)
    assert_same(still(tmp_path / name), STORED)


def test_a_colour_profile_is_applied(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
    Image.fromarray(STORED).save(tmp_path / "odd.png", icc_profile=swapped)
    red_first, blue_first = (
        still(tmp_path / "odd.png")[20, 20],
        still(tmp_path / "odd.png")[120, 20],
    )
    assert red_first[2] > red_first[0] + 100
    assert blue_first[0] > blue_first[2] + 100
    Image.fromarray(STORED).save(tmp_path / "broken.png", icc_profile=profile[:300])
    assert_same(still(tmp_path / "broken.png"), STORED)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = np.zeros((192, 256, 4), np.uint8)
    image[40:150, 40:200] = (90, 90, 90, 255)
    sticker = Image.fromarray(image)
    name = "sticker.tif" if mode == "PA" else "sticker.png"
    if mode == "P":
        sticker = sticker.quantize(8)
    elif mode == "LA":
        sticker = sticker.convert("LA")
    sticker.save(tmp_path / name)
    found = still(tmp_path / name)
    assert found[4, 4].tolist() == [255, 255, 255]
    assert found[90, 90] == pytest.approx([90, 90, 90], abs=2)


def test_black_and_white_and_floating_point_are_read(tmp_path: Path) -> None:
    half = np.zeros((192, 256), np.float32)
    half[:, 128:] = 1.0
    Image.fromarray(half > 0.5).save(tmp_path / "fax.tif", compression="group4")
    Image.fromarray(half).save(tmp_path / "float.tif")
    for name in ("fax.tif", "float.tif"):
        image = still(tmp_path / name)
        assert image[:, :100].max() == 0
        assert image[:, 150:].min() == 255


@pytest.mark.parametrize("name", ["huge.jpg", "huge.png", "huge.webp"])
def test_a_large_photo_is_scaled_down(tmp_path: Path, name: str) -> None:
    Image.fromarray(STORED).resize((3000, 2250), Image.Resampling.NEAREST).save(tmp_path / name)
    image = still(tmp_path / name)
    assert image.shape == (1440, 1920, 3)
    assert_same(image, np.repeat(np.repeat(COLOURS, 720, axis=0), 960, axis=1))


def test_a_picture_too_large_for_the_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.fromarray(STORED).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    # The check sum of the header is not looked at before its chunk has ended.
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(AvtError, match=r"bomb\.png has 60000 x 60000 pixels, more than the 100 m"):
        shown(path)


def test_a_photo_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 30, (192, 256, 3), dtype=np.uint8)
    Image.fromarray(np.clip(STORED + noise, 0, 255)).save(tmp_path / "half.jpg", quality=95)
    (frame,) = shown(truncate(tmp_path / "half.jpg", 0.7))[1]
    assert frame.image.shape == (192, 256, 3)
    assert np.abs(quarters(frame.image)[0].astype(int) - COLOURS[0]).max() < 40


def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    Image.fromarray(STORED).save(tmp_path / "a.webp", exif=b"Exif\0\0not a header at all")
    assert_same(still(tmp_path / "a.webp"), STORED)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".avif", ".heic"])
def test_damage_is_survived_or_refused_in_a_sentence(
    tmp_path: Path, suffix: str, seed: int
) -> None:
    path = tmp_path / f"photo{suffix}"
    if suffix == ".heic":
        write_photo(path, STORED)
    else:
        Image.fromarray(STORED).save(path)
    flip_bytes(path, 20, seed, first=0.0)
    try:
        (frame,) = shown(path)[1]
    except AvtError as error:
        refusal = str(error)
    else:
        assert frame.image.dtype == np.uint8
        return
    assert str(path) in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_a_damaged_phone_photo_is_refused_in_a_sentence(tmp_path: Path, suffix: str) -> None:
    path = truncate(write_photo(tmp_path / f"IMG{suffix}", STORED, rows=2, columns=2), 0.6)
    with pytest.raises(AvtError, match="is a photo that cannot be decoded") as caught:
        shown(path)
    assert str(path) in str(caught.value)
    with pytest.raises(AvtError, match="has no sound"):
        MediaReader(write_photo(tmp_path / f"b{suffix}", STORED), only="audio")


def test_a_film_of_nothing_but_jpegs_is_still_a_film(tmp_path: Path) -> None:
    path = write_media(
        tmp_path / "camera.mjpeg", picture_times=np.arange(50) / 25, video_codec="mjpeg"
    )
    reader, frames = shown(path)
    assert reader.info.kind == "video"
    assert len(frames) == 8


def test_a_photo_with_a_sound_stream_beside_is_a_video(tmp_path: Path) -> None:
    path = write_media(tmp_path / "slide.mp4", picture_times=[0.0], sound=tone(2.0))
    assert shown(path)[0].info.kind == "video"


def test_a_folder_gives_all_kinds_of_pictures(tmp_path: Path) -> None:
    names = ["a.HEIC", "b.heif", "c.hif", "d.jfif", "e.jpe", "f.apng", "g.mpo", "h.avifs", "i.jif"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in find_media(tmp_path)] == names
