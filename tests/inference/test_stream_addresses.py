"""`avt-memocmt stream URL`: films end, reasons are said, and what can never be read is given up."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import run
from media_factory import speech_like, write_media
from media_server import file_server, serve, transport_stream

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.live import LiveStream
from avt_memocmt.inference.results import StreamEvent, utterance_json
from avt_memocmt.media import live_source as live
from avt_memocmt.media.address import is_address
from avt_memocmt.media.backlog import Backlog
from avt_memocmt.media.discovery import find_media
from avt_memocmt.media.live_source import LiveSource
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE

FILM_SECONDS = 2.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of speech and pictures, as Matroska."""
    times = np.arange(0, FILM_SECONDS, 0.04).tolist()
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_media(path, picture_times=times, sound=speech_like(FILM_SECONDS))


def finals(events: list[StreamEvent]) -> list[dict[str, object]]:
    return [utterance_json(event.prediction) for event in events if event.kind == "final"]


def test_a_film_on_a_server_takes_its_time_and_ends(
    recognizer: EmotionRecognizer, film: Path
) -> None:
    with file_server(film.read_bytes()) as address:
        began = time.monotonic()
        running = LiveStream(recognizer, f"{address}/film.mkv", hop=0, transcribe=False)
        events = list(running.events())
    assert time.monotonic() - began >= FILM_SECONDS - 0.2
    assert running.backlog.dropped_sound == 0
    assert events[-1].prediction.end == pytest.approx(FILM_SECONDS, abs=0.1)


def test_a_film_on_a_server_at_full_speed_is_judged_as_its_file(
    recognizer: EmotionRecognizer, film: Path
) -> None:
    with file_server(film.read_bytes()) as address:
        events = list(recognizer.stream(f"{address}/film.mkv", hop=0, as_fast_as_possible=True))
    assert finals(events) == [utterance_json(u) for u in recognizer.predict(film).utterances]


def test_a_film_whose_server_states_no_length_is_not_read_again_for_ever(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)
    sound = np.concatenate([quiet, speech_like(1.0), quiet])
    said: list[str] = []
    with file_server(transport_stream(tmp_path / "a.ts", sound), states_length=False) as address:
        running = LiveStream(recognizer, f"{address}/a.ts", transcribe=False, warn=said.append)
        assert len(finals(list(running.events()))) == 1
    assert "lost (the other side ended it)" in said[0]
    assert said[-1].endswith("begins anew, so it is a recording and has ended.")


def test_radio_that_claims_a_length_and_begins_alike_is_reached_for_again(tmp_path: Path) -> None:
    song = write_media(tmp_path / "a.mp3", sound=speech_like(1.0), audio_codec="mp3")
    said: list[str] = []
    with file_server(song.read_bytes(), icy_name="radio") as address:
        source = live.open_source(f"{address}/a.mp3", 4.0, said.append, needs_end=False)
        assert isinstance(source, LiveSource)
        backlog = Backlog()
        source.fill(backlog)
        heard = (event.end for event, _ in backlog.take())
        assert next(time for time in heard if time > 1.5)
        source.stop()
    assert said[1].endswith("is back.")


def test_a_film_that_breaks_off_is_judged_so_far_and_fails(
    film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = film.read_bytes()
    with file_server(payload, sent=len(payload) * 7 // 10) as address:
        url = f"{address}/film.mkv"
        code, out, err = run(["stream", url, "--fast", "--no-transcribe"], monkeypatch, capsys)
    assert code == 1
    assert json.loads(out.splitlines()[-1])["event"] == "final"
    assert f"{url} broke off after 1." in err


def test_an_index_at_the_end_that_cannot_be_reached_is_said(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 240, 320, 3), np.uint8)
    path = write_media(
        tmp_path / "end.mp4", picture_times=[n / 8 for n in range(8)], images=noise, size=(320, 240)
    )
    with file_server(path.read_bytes()) as address:
        running = LiveStream(recognizer, f"{address}/end.mp4")
        with pytest.raises(AvtError, match=rf"{address}/end.mp4 cannot be decoded as it comes"):
            list(running.events())


def test_a_page_is_told_from_a_stream() -> None:
    with (
        file_server(b"<html>watch</html>", Content_Type="text/html") as address,
        pytest.raises(AvtError, match="does not send media"),
    ):
        LiveSource(f"{address}/watch?v=1", 4.0)


def undecodable(path: Path, seconds: float) -> bytes:
    """A transport stream whose packets of H.264 are noise, as those of an encrypted camera."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format="mpegts") as container:
        track = container.add_stream("libx264", rate=10)
        track.width, track.height = 64, 48
        for number in range(round(seconds * 10)):
            packet = av.Packet(b"\0\0\0\1\x65" + noise.bytes(400))
            packet.stream, packet.time_base = track, Fraction(1, 10)
            packet.pts = packet.dts = number
            container.mux(packet)
    return path.read_bytes()


def test_what_never_yields_anything_is_given_up_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_FRUITLESS", 2)
    port = serve(undecodable(tmp_path / "noise.ts", 3.0), connections=2)
    said: list[str] = []
    source = LiveSource(f"tcp://127.0.0.1:{port}", 4.0, said.append)
    backlog = Backlog()
    source.fill(backlog)
    with pytest.raises(AvtError, match="given up after 2 attempts: nothing that can be decoded"):
        list(backlog.take())
    assert len(said) == 1
    assert "(tcp" in said[0]
    assert "no sound and no picture in it is intact" in said[0]


def test_a_source_that_never_ends_is_given_up_as_well(tmp_path: Path) -> None:
    path = tmp_path / "noise.ts"
    undecodable(path, 60.0)
    with av.open(str(path)) as container:
        reader = MediaReader("noise", container=container)
        with pytest.raises(AvtError, match="cannot be decoded"):
            list(reader.events())
        assert next(container.demux()).size, "the rest is not read"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("https://example.com/a.mp4", r"^https://example.com/a.mp4 is an address.*stream https://"),
        ("rtsp://host:554/live", r"^rtsp://host:554/live is an address"),
        ("file:///a/b.mp4", "^file:///a/b.mp4 is an address"),
        ("-", "^standard input cannot be read"),
    ],
)
def test_what_is_no_path_is_named(recognizer: EmotionRecognizer, name: str, message: str) -> None:
    with pytest.raises(AvtError, match=message):
        find_media(name)
    with pytest.raises(AvtError, match=message.replace("///", "//")):
        recognizer.predict(name)


def test_addresses_and_standard_input_fail_beside_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["predict", "https://example.com/a.mp4", "-"], monkeypatch, capsys)
    assert code == 1
    assert "failed: https://example.com/a.mp4 is an address, not a file" in err
    assert "failed: standard input cannot be read" in err


def test_a_drive_is_no_address() -> None:
    assert not is_address("C://films/a.mp4")
    assert is_address("file:///a.mp4")
