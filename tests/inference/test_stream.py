"""`avt-memocmt stream`: the same decisions as `predict`, bounded waiting, and lost sources."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_wav
from media_server import serve, transport_stream
from numpy.typing import NDArray
from time_limit import killed_after

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.live import LiveRecognizer, LiveStream
from avt_memocmt.inference.results import StreamEvent, utterance_json
from avt_memocmt.media.backlog import MOST_FRAMES, MOST_SOUND, Backlog, in_real_time
from avt_memocmt.media.live_source import LiveSource, is_live
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame
from avt_memocmt.preprocessing.audio_forced_alignment import WordSpan, make_aligner
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.audio_preprocess_vad import FRAME, QUIET
from avt_memocmt.preprocessing.transcripts import Cue, load_transcript


def decisions(events: list[StreamEvent]) -> list[dict[str, object]]:
    """The last decision of each utterance."""
    last = {e.number: utterance_json(e.prediction) for e in events if e.kind != "provisional"}
    return [last[number] for number in sorted(last)]


@pytest.fixture
def two_sentences(tmp_path: Path) -> Path:
    """Speech, a pause that ends an utterance, speech again."""
    quiet = np.zeros(SAMPLE_RATE, dtype=np.float32)
    return write_wav(
        tmp_path / "talk.wav", np.concatenate([speech_like(1.2), quiet, speech_like(1.0), quiet])
    )


class Recording:
    """An aligner that keeps what it answers."""

    def __init__(self) -> None:
        self.aligner = make_aligner()
        self.answers: list[tuple[str, list[WordSpan]]] = []

    def align(self, samples: NDArray[np.float32], text: str) -> list[WordSpan]:
        words = self.aligner.align(samples, text)
        self.answers.append((text, words))
        return words


def aligning(recognizer: EmotionRecognizer) -> tuple[EmotionRecognizer, Recording]:
    """The recogniser with the setting `text.align_words`, and the aligner that it asks."""
    recording = Recording()
    text = recognizer.config.text.model_copy(update={"align_words": True})
    config = recognizer.config.model_copy(update={"text": text})
    encoders = replace(recognizer.engine.encoders, aligner=recording)
    return EmotionRecognizer(replace(recognizer.engine, encoders=encoders), config), recording


NOT_SAID = [Cue("Yesterday the committee unanimously rejected it.", 0.3, 2.4)]


@pytest.mark.parametrize(
    ("said", "warning"),
    [(None, False), (True, False), (False, True)],
    ids=["no captions", "said", "not said"],
)
@pytest.mark.parametrize("align_words", [False, True], ids=["plain", "aligned"])
def test_a_file_gives_the_decisions_of_predict(
    recognizer: EmotionRecognizer,
    talking_clip: Spoken,
    said: bool | None,
    warning: bool,
    align_words: bool,
) -> None:
    clip, recording = talking_clip.path, None
    given = [Cue(talking_clip.sentence, 0.2, 2.6)] if said else NOT_SAID
    cues = None if said is None else given
    if align_words:
        recognizer, recording = aligning(recognizer)
    events = list(recognizer.stream(str(clip), captions=cues, hop=0.0, as_fast_as_possible=True))
    times = [] if recording is None else list(recording.answers)
    predicted = recognizer.predict(clip, cues).utterances
    assert [utterance_json(e.prediction) for e in events] == [utterance_json(u) for u in predicted]
    assert all(("transcript_mismatch" in u.warnings) is warning for u in predicted)
    assert [u.text for u in predicted if cues] == [cue.text for cue in cues or ()]
    if recording is not None:
        assert len(times) == len(predicted), "each utterance is aligned once"
        assert recording.answers[len(times) :] == times


def test_provisional_decisions_come_while_somebody_speaks(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    clip = talking_clip.path
    events = list(recognizer.stream(str(clip), as_fast_as_possible=True))
    predicted = [utterance_json(u) for u in recognizer.predict(clip).utterances]
    assert decisions(events) == predicted
    assert any(event.kind == "provisional" for event in events)
    times = [event.at for event in events]
    assert times == sorted(times)


def test_provisional_decisions_leave_no_trace(
    recognizer: EmotionRecognizer, two_sentences: Path
) -> None:
    plain, busy = (
        list(recognizer.stream(str(two_sentences), hop=hop, as_fast_as_possible=True))
        for hop in (0.0, 0.1)
    )
    assert all(event.kind == "final" for event in plain)
    assert len(plain) == 2
    assert sum(event.kind == "provisional" for event in busy) > 5
    assert decisions(busy) == decisions(plain)


def test_captions_cut_the_stream_and_give_its_words(
    recognizer: EmotionRecognizer, two_sentences: Path, tmp_path: Path
) -> None:
    captions = tmp_path / "talk.srt"
    captions.write_text(
        "1\n00:00:00,000 --> 00:00:01,200\nI hate this.\n\n2\n00:00:02,200 --> 00:00:03,200\nWhy?\n"
    )
    cues = load_transcript(str(captions))
    events = list(
        recognizer.stream(str(two_sentences), captions=cues, as_fast_as_possible=True, hop=0.3)
    )
    assert any(event.kind == "provisional" for event in events)
    assert [d["text"] for d in decisions(events)] == ["I hate this.", "Why?"]
    predicted = recognizer.predict(two_sentences, cues).utterances
    assert decisions(events) == [utterance_json(u) for u in predicted]


def test_captions_of_a_film_without_sound_wait_for_its_pictures(
    recognizer: EmotionRecognizer,
) -> None:
    cues = [Cue("Why?", 0.0, 1.0), Cue("Beyond the end.", 40.0, 42.0)]
    stream = recognizer.new_stream(has_audio=False, has_video=True, cues=cues)
    picture = np.zeros((48, 64, 3), np.uint8)
    found = {
        time: [u.text for u in stream.push(VideoFrame(time, picture))]
        for time in np.arange(0, 2, 0.25).tolist()
    }
    assert {time: texts for time, texts in found.items() if texts} == {1.0: ["Why?"]}
    assert stream.flush(2.0) == []


def test_captions_without_times_or_of_a_camera_are_refused(
    recognizer: EmotionRecognizer, two_sentences: Path
) -> None:
    with pytest.raises(AvtError, match="captions need times"):
        recognizer.stream(str(two_sentences), captions=load_transcript("Why?"))
    with pytest.raises(AvtError, match="camera is live; --fast and captions are for"):
        recognizer.stream("camera", captions=[Cue("Why?", 0.0, 1.0)])


def test_words_that_come_late_revise_the_decision(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    clip = talking_clip.path
    found: list[StreamEvent] = []
    with MediaReader(clip, recognizer.config.visual.frames_per_second) as reader:
        stream = LiveRecognizer(recognizer, has_audio=True, has_video=True, hop=0)
        for event in reader.events():
            found += stream.push(event)
        found += stream.finish(reader.info.duration)
    kinds = [event.kind for event in found]
    assert kinds.count("final") == kinds.count("revised") > 0
    assert all(e.prediction.text == "" for e in found if e.kind == "final")
    predicted = [utterance_json(u) for u in recognizer.predict(clip).utterances]
    for ours, theirs in zip(decisions(found), predicted, strict=True):
        assert ours["text"] == theirs["text"]
        assert ours["emotion"] == theirs["emotion"]


def test_the_past_knows_revised_turns(recognizer: EmotionRecognizer, two_sentences: Path) -> None:
    whole = recognizer.new_dialogue()
    late = recognizer.new_dialogue()
    one = recognizer.read_whole(two_sentences, 0.0, 1.2)
    two = recognizer.read_whole(two_sentences, 2.2, 3.2)
    whole.read(replace(one, text="I hate this"), "asr")
    turn = late.prepare(one, "none")
    late.decide(turn)
    late.revise(turn, "I hate this", turns_since=0)
    expected, found = (d.read(replace(two, text="Why?"), "given") for d in (whole, late))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


def test_quiet_counts_only_where_nobody_speaks(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    hiss = (0.01 * np.random.default_rng(0).normal(size=32_000)).astype(np.float32)
    path = write_wav(tmp_path / "hiss.wav", hiss)
    events = list(recognizer.stream(str(path), as_fast_as_possible=True))
    predicted = [utterance_json(u) for u in recognizer.predict(path).utterances]
    assert decisions(events) == predicted
    assert all("no_speech" in event.prediction.warnings for event in events)


def test_a_file_in_real_time_takes_its_time(
    recognizer: EmotionRecognizer, two_sentences: Path
) -> None:
    began = time.monotonic()
    events = list(recognizer.stream(str(two_sentences), transcribe=False, speakers="off"))
    assert time.monotonic() - began >= 4.0
    plain = recognizer.predict(two_sentences, transcribe=False, speakers="off")
    assert decisions(events) == [utterance_json(u) for u in plain.utterances]


def test_the_oldest_pictures_and_sound_are_dropped_and_counted() -> None:
    backlog = Backlog()
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    second = np.zeros(SAMPLE_RATE, dtype=np.float32)
    for number in range(MOST_FRAMES + 3):
        backlog.put(VideoFrame(float(number), picture))
    for number in range(int(MOST_SOUND) + 2):
        backlog.put(AudioChunk(float(number), second))
    taken = [event for event, _ in backlog.take()]
    assert [e.time for e in taken if isinstance(e, VideoFrame)] == list(range(3, MOST_FRAMES + 3))
    assert [e.start for e in taken if isinstance(e, AudioChunk)] == list(
        range(2, int(MOST_SOUND) + 2)
    )
    assert (backlog.dropped_frames, backlog.dropped_sound) == (3, 2.0)


def test_a_backlog_says_when_more_waits_and_passes_errors_on() -> None:
    def events() -> object:
        yield AudioChunk(0.0, np.zeros(4, dtype=np.float32))
        yield AudioChunk(1.0, np.zeros(4, dtype=np.float32))
        raise AvtError("the disk is gone.")

    backlog = Backlog()
    thread = threading.Thread
    backlog.read_in_background(events())  # type: ignore[arg-type]
    while any(t.name == "source" for t in threading.enumerate() if isinstance(t, thread)):
        time.sleep(0.01)
    taken = backlog.take()
    assert next(taken)[1] is True
    assert next(taken)[1] is False
    with pytest.raises(AvtError, match="the disk is gone"):
        next(taken)


def test_real_time_waits_for_the_time_of_each_event() -> None:
    sound = [AudioChunk(0.1 * n, np.zeros(SAMPLE_RATE // 10, np.float32)) for n in range(3)]
    began = time.monotonic()
    assert len(list(in_real_time(iter(sound)))) == 3
    assert 0.3 <= time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("camera", True),
        ("camera:1+microphone:hw:0", True),
        ("rtsp://host/path", True),
        ("film.mp4", False),
        ("C:/films/camera.mp4", False),
    ],
)
def test_devices_and_addresses_are_told_from_files(name: str, expected: bool) -> None:
    assert is_live(name) is expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["camera:/dev/no-such-camera"], "the camera /dev/no-such-camera cannot be opened"),
        (["tcp://127.0.0.1:9"], "tcp://127.0.0.1:9 cannot be reached"),
        (["camera", "--fast"], "camera is live; --fast and captions are for files"),
        (["gone.mp4"], "gone.mp4 does not exist"),
    ],
)
def test_sources_that_cannot_be_opened_are_named(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, stdout, stderr = run(["stream", *arguments], monkeypatch, capsys)
    assert (code, stdout) == (1, "")
    assert message in stderr


def test_a_lost_stream_is_reached_for_again(tmp_path: Path) -> None:
    port = serve(transport_stream(tmp_path / "talk.ts", speech_like(2.0)), connections=2)
    said: list[str] = []
    source = LiveSource(f"tcp://127.0.0.1:{port}", 4.0, said.append)
    assert (source.has_audio, source.has_video) == (True, False)
    backlog = Backlog()
    source.fill(backlog)
    heard = 0.0
    for event, _ in backlog.take():
        assert isinstance(event, AudioChunk)
        heard += len(event.samples) / SAMPLE_RATE
        if heard > 3.0:
            break
    source.stop()
    assert said[0].endswith("is lost (the other side ended it); trying again in 1 s.")
    assert said[1].endswith("is back.")
    assert event.end > 3.0, "the gap is a gap in the times"


def test_a_source_in_which_nobody_speaks_says_what_it_did_not_keep(
    recognizer: EmotionRecognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hiss = (0.001 * np.random.default_rng(0).normal(size=9 * SAMPLE_RATE)).astype(np.float32)
    port = serve(transport_stream(tmp_path / "hiss.ts", hiss), connections=1)
    monkeypatch.setattr("avt_memocmt.inference.live.MOST_SILENT", 2)
    short = recognizer.config.audio.segmentation.model_copy(update={"max_utterance": 1.0})
    audio = recognizer.config.audio.model_copy(update={"segmentation": short})
    config = recognizer.config.model_copy(update={"audio": audio})
    recognizer = EmotionRecognizer(recognizer.engine, config)
    said: list[str] = []
    running = LiveStream(recognizer, f"tcp://127.0.0.1:{port}", warn=said.append)
    events = list(running.events(seconds=8.5))
    assert events[0].number > 0
    message = f"nobody spoke: the first {events[0].number} decisions on silence were not kept."
    assert said[-1] == message


def test_an_interrupt_ends_the_stream_with_everything_written(two_sentences: Path) -> None:
    long = two_sentences.with_name("long.wav")
    write_wav(long, speech_like(30.0))
    out = long.with_name("lines.jsonl")
    command = [sys.executable, "-m", "avt_memocmt", "stream", str(long), "--out", str(out)]
    process = subprocess.Popen([*command, "--no-transcribe"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with killed_after(process):
        first = json.loads(process.stdout.readline())
        assert first["event"] == "provisional"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.wait(timeout=60) == 0
    lines = [first, *(json.loads(line) for line in rest.splitlines())]
    assert lines[-1]["event"] == "final"
    assert lines[-1]["end"] < 25
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines


def test_a_pause_is_decided_on_at_once(
    recognizer: EmotionRecognizer, sentences: list[Spoken]
) -> None:
    sound = load_audio(sentences[0].path)
    padded = np.concatenate([sound, np.zeros(SAMPLE_RATE, np.float32)])
    live = LiveRecognizer(recognizer, True, False, hop=0, transcribe=False, pause=0.12)
    events = []
    for start in range(0, len(padded), SAMPLE_RATE // 50):
        chunk = padded[start : start + SAMPLE_RATE // 50]
        events += live.push(AudioChunk(start / SAMPLE_RATE, chunk))
    events += live.finish()
    final = next(event for event in events if event.kind == "final")
    before = [event for event in events[: events.index(final)] if event.kind == "provisional"]
    frames = padded[: len(padded) // FRAME * FRAME].reshape(-1, FRAME)
    levels = np.sqrt(np.mean(np.square(frames), axis=1))
    speech_end = (1 + np.flatnonzero(levels > QUIET * levels.max())[-1]) * FRAME / SAMPLE_RATE
    assert before[-1].at == pytest.approx(speech_end + 0.12, abs=0.05)
    assert final.at > speech_end + 0.6
    assert before[-1].prediction.likeliest == final.prediction.likeliest
