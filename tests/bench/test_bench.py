"""`avt-memocmt bench`: what is counted is counted once, and the baseline is an honest one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_media, write_wav

from avt_memocmt import EmotionRecognizer
from avt_memocmt.bench import fresh_process
from avt_memocmt.bench.case import Case, Goal, Setting, not_measured
from avt_memocmt.bench.clips import Clip, read_clips, repeat_film, write_film
from avt_memocmt.bench.embedded import Loaded, clip_case, streaming_case
from avt_memocmt.bench.fresh_process import memory_case, start_up_case
from avt_memocmt.bench.naive import NaivePipeline, whisper_of_transformers
from avt_memocmt.bench.report import BEGIN, END, Report
from avt_memocmt.bench.stages import STAGES, Stages, StageTimer, summarise
from avt_memocmt.bench.watch import watched
from avt_memocmt.errors import AvtError
from avt_memocmt.features.whisper_encoder import MAX_SAMPLES, WhisperEncoder
from avt_memocmt.inference.engine import TorchEngine
from avt_memocmt.inference.results import to_json
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nested_stages_are_counted_once(clock: Clock) -> None:
    timer = StageTimer(clock)

    def inner() -> None:
        clock.work(2)

    def outer() -> str:
        clock.work(1)
        timer.timed("audio encoder", inner)()
        clock.work(4)
        timer.timed("audio encoder", inner)()
        return "done"

    def call() -> object:
        clock.work(8)
        return timer.timed("recogniser", outer)()

    result, stages = timer.measure(call)
    assert result == "done"
    assert stages == Stages({"recogniser": 5, "audio encoder": 4, "other": 8}, {})
    assert stages.total == clock.now


@pytest.mark.parametrize("wrapped", [False, True], ids=["generator", "function that returns one"])
def test_the_steps_of_a_generator_count(clock: Clock, wrapped: bool) -> None:
    timer = StageTimer(clock)

    def steps() -> Iterator[int]:
        for step in (2, 3):
            clock.work(step)
            yield step

    timed = timer.timed("decode", (lambda: steps()) if wrapped else steps)

    def call() -> None:
        for step in timed():
            clock.work(step)

    assert timer.measure(call)[1] == Stages({"decode": 5, "other": 5}, {})


def test_other_threads_count_apart(clock: Clock) -> None:
    timer = StageTimer(clock)

    def call() -> None:
        with timer.stage("wait for decoder"), ThreadPoolExecutor(1) as thread:
            clock.work(1)
            thread.submit(timer.timed("decode", clock.work), 5).result()

    stages = timer.measure(call)[1]
    assert stages == Stages({"wait for decoder": 6, "other": 0}, {"decode": 5})


def test_a_generator_is_timed_only_while_it_works(clock: Clock) -> None:
    timer = StageTimer(clock)

    def packets(count: int):
        for index in range(count):
            clock.work(3)
            yield index

    def call() -> list[int]:
        found = []
        for item in timer.timed("demux", packets)(2):
            clock.work(10)
            found.append(item)
        return found

    assert timer.measure(call) == ([0, 1], Stages({"demux": 6, "other": 20}, {}))


def test_a_stage_that_fails_is_closed(clock: Clock) -> None:
    timer = StageTimer(clock)

    def fail() -> None:
        clock.work(1)
        raise ValueError("broken")

    def call() -> None:
        with pytest.raises(ValueError, match="broken"):
            timer.timed("decode", fail)()
        clock.work(2)

    assert timer.measure(call)[1].own == {"decode": 1, "other": 2}


def test_cold_and_percentiles() -> None:
    runs = [Stages({"fusion": float(i)}, {"decode": i / 2}) for i in range(1, 6)]
    timing = summarise([Stages({"fusion": 9.0, "other": 1.0}, {}), *runs])
    assert timing.cold == 10
    assert timing.warm == (1, 2, 3, 4, 5)
    assert timing.percentile(50) == 3
    assert timing.percentile(95) == pytest.approx(4.8)
    assert timing.stages == {"fusion": 3}
    assert timing.beside == {"decode": 1.5}
    with pytest.raises(ValueError, match="warm"):
        summarise([Stages({"decode": 1.0}, {})])


def test_goals_say_which_way_is_better() -> None:
    assert Goal(44, 25).is_met(44)
    assert not Goal(44, 25).is_met(45)
    assert Goal(5, 10, at_least=True).is_met(6)
    assert not Goal(5, 10, at_least=True).is_met(4.9)


def test_the_report_as_json_markdown_and_chart(tmp_path: Path) -> None:
    timing = summarise(
        [Stages({"output": 0.2}, {}), Stages({"output": 0.1, "fusion": 0.02}, {"decode": 0.05})]
    )
    cases = (
        Case("clip", "a clip", 120.0, "ms", Goal(100, 50), Setting(2), timing, "a note"),
        not_measured("memory", "peak memory", "MB", Goal(1500, 800), "not told"),
    )
    report = Report({"processor": "one"}, ("a.mp4 (3.00 s)",), cases)
    report.write_json(tmp_path / "figures.json")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "latency.md").write_text(f"# Ours\n\n{BEGIN}\nstale figures\n{END}\nmore\n")
    report.write_docs(docs)
    written = json.loads((tmp_path / "figures.json").read_text())
    first, second = written["cases"]
    assert first["met"] is False
    assert first["setting"] == {
        "threads": 2,
        "dtype": "float32",
        "engine": "torch",
        "device": "cpu",
    }
    assert (first["cold"], first["p50"], first["runs"]) == (0.2, pytest.approx(0.12), 1)
    assert sum(first["stages"].values()) == pytest.approx(0.12)
    assert (second["value"], second["met"], second["stages"]) == (None, None, None)
    text = (docs / "latency.md").read_text()
    assert text.startswith("# Ours")
    assert text.endswith("more\n")
    assert "stale" not in text
    assert "| clip: a clip | 120 ms | ≤ 100 ms | ≤ 50 ms | missed |" in text
    assert "| memory: peak memory | not measured |" in text
    assert "| output | 100.0 |" in text
    assert "| beside: decode | 50.0 |" in text
    assert (docs / "images" / "latency.svg").read_bytes().startswith(b"<?xml")


def test_watching_leaves_everything_as_it_was(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    clip = talking_clip.path
    before = MediaReader.events, TorchEngine.fuse, recognizer.listen
    expected = to_json(recognizer.predict(clip))
    timer = StageTimer()
    with watched(recognizer, timer):
        found, stages = timer.measure(lambda: to_json(recognizer.predict(clip)))
    assert found == expected
    assert set(stages.own) | set(stages.beside) == set(STAGES) - {"output"}
    assert {"demux", "decode"} == set(stages.beside)
    assert min(*stages.own.values(), *stages.beside.values()) > 0
    assert (MediaReader.events, TorchEngine.fuse, recognizer.listen) == before


@pytest.fixture
def loaded(recognizer: EmotionRecognizer) -> Loaded:
    return Loaded(recognizer, "embedded", Setting(1))


def test_clip_and_streaming_cases_on_a_real_clip(loaded: Loaded, talking_clip: Spoken) -> None:
    clips = read_clips([talking_clip.path])
    whole = clip_case(loaded, clips, 1)
    decision = streaming_case(loaded, clips, 1)
    for case in (whole, decision):
        assert case.timing is not None
        assert sum(case.timing.stages.values()) == pytest.approx(sum(case.timing.warm))
    assert whole.timing is not None
    assert decision.timing is not None
    assert whole.value == pytest.approx(1000 * whole.timing.percentile(50))
    # By the clock of the stream it cannot come before its own step has ended.
    assert decision.value is not None
    assert decision.value >= 1000 * decision.timing.percentile(50) - 1
    assert {"wait for decoder", "face detection", "output"} <= set(whole.timing.stages)
    assert not {"demux", "decode"} & set(whole.timing.stages)
    # What the final decision waits for; the caption was read while it was spoken.
    assert {"face encoder", "audio encoder", "fusion", "temporal"} <= set(decision.timing.stages)
    assert not {"text encoder", "recogniser"} & set(decision.timing.stages)


@pytest.fixture
def short_film(tmp_path: Path) -> Clip:
    """A film of one second, for what starts processes to predict it."""
    times = [index / 5 for index in range(5)]
    film = write_media(tmp_path / "short.mkv", picture_times=times, sound=speech_like(1.0))
    return read_clips([film])[0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the memory")
def test_memory_is_that_of_a_new_process(loaded: Loaded, short_film: Clip) -> None:
    case = memory_case(loaded, short_film, minutes=0.05)
    assert case.value is not None
    assert 200 < case.value < 4000
    assert case.more["the film, s"] > 0


def test_the_start_is_that_of_the_command(
    loaded: Loaded, short_film: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh_process, "STARTS", 1)
    case = start_up_case(loaded, short_film)
    assert case.value is not None
    assert case.value > 0.3, "no process imports PyTorch and predicts in so little time"


def test_a_process_that_fails_says_why(loaded: Loaded, tmp_path: Path) -> None:
    with pytest.raises(AvtError, match=r"could not predict .*missing\.mp4"):
        memory_case(loaded, Clip(tmp_path / "missing.mp4", 3.0), minutes=0.1)


def test_the_naive_whisper_is_ours_on_thirty_seconds(recognizer: EmotionRecognizer) -> None:
    assert isinstance(recognizer.engine.encoders.audio, WhisperEncoder)
    ours = recognizer.engine.encoders.audio
    samples = torch.zeros(1, MAX_SAMPLES)
    samples[0, : 2 * SAMPLE_RATE] = torch.from_numpy(speech_like(2.0))
    with torch.no_grad():
        mel = ours.log_mel(samples)
        found = whisper_of_transformers(ours)(mel, output_hidden_states=True).hidden_states
        expected = ours(mel)
    assert len(found) == ours.layers
    np.testing.assert_allclose(torch.stack(found, dim=2), expected, atol=2e-3)


def test_the_naive_pipeline_judges_a_real_clip(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    timer = StageTimer()
    naive = NaivePipeline(recognizer, timer)
    found, stages = timer.measure(lambda: naive.predict(talking_clip.path, talking_clip.words))
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-4)
    assert all(found.modalities[name].present for name in ("audio", "visual", "text"))
    assert {"decode", "face detection", "face encoder", "audio encoder"} <= set(stages.own)
    assert found.end == pytest.approx(3.0, abs=0.1)


def test_clips_must_be_films_with_sound(tmp_path: Path) -> None:
    silent = write_media(tmp_path / "silent.mp4", picture_times=[0, 0.5, 1])
    sound = write_wav(tmp_path / "sound.wav", speech_like(1.0))
    for path in (silent, sound):
        with pytest.raises(AvtError, match="no film with sound"):
            read_clips([path])


def test_its_own_film_and_long_ones(tmp_path: Path) -> None:
    (clip,) = read_clips([write_film(tmp_path / "own.mp4")])
    assert clip.seconds == pytest.approx(3.0, abs=0.1)
    long = repeat_film(clip, 9.0, tmp_path / "long.mkv")
    with MediaReader(long) as reader:
        times = [e.time if hasattr(e, "time") else e.end for e in reader.events()]
        assert reader.warnings == []
    assert max(times) == pytest.approx(9.0, abs=0.3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-clip.mp4"], "no-such-clip.mp4"),
        (["--only", "everything"], "'everything' is no case"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(["bench", *arguments], monkeypatch, capsys)
    assert (status, out) == (1, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
