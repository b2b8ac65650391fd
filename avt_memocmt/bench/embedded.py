"""Cases of the embedded preset: whole clips, the decision in a stream, many clips at once."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, cast

from avt_memocmt.api import EmotionRecognizer
from avt_memocmt.bench.case import Case, Goal, Setting, not_measured
from avt_memocmt.bench.clips import Clip
from avt_memocmt.bench.stages import Stages, StageTimer, Timing, summarise
from avt_memocmt.bench.watch import watched
from avt_memocmt.engines.names import EngineName
from avt_memocmt.inference.live import HOP, LiveRecognizer
from avt_memocmt.inference.mouths import MOUTH_RATE
from avt_memocmt.inference.results import to_json
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.workers import worker_pool

CLIP = Goal(300, 150)
RECOGNISER = Goal(0.25, 0.12)
STREAMING = Goal(44, 25)
BATCH = Goal(10, 20, at_least=True)
BATCH_ROUNDS = 3
"""Times that the batch holds each clip, so that it lasts long enough to be timed."""

CAPTION = "I never thought that you would come all the way here just to tell me that."
"""Sixteen words that the caption of every clip says."""


@dataclass(frozen=True)
class Loaded:
    """A recogniser, what it was loaded from, and what computes it."""

    recognizer: EmotionRecognizer
    source: str
    setting: Setting

    def predict(self, clip: Clip, transcribe: bool, timer: StageTimer) -> None:
        """Do what `avt-memocmt predict --json` does with one clip."""
        found = self.recognizer.predict(clip.path, transcribe=transcribe)
        with timer.stage("output"):
            json.dumps(to_json(found))


def time_clips(loaded: Loaded, clips: Sequence[Clip], runs: int, transcribe: bool) -> Timing:
    """Predict each clip `runs` times after a cold run of the first."""
    timer = StageTimer()
    with watched(loaded.recognizer, timer):
        return summarise(
            timer.measure(partial(loaded.predict, clip, transcribe, timer))[1]
            for clip in [clips[0], *list(clips) * runs]
        )


def clip_case(loaded: Loaded, clips: Sequence[Clip], runs: int) -> Case:
    """Measure whole clips from their files, without words."""
    timing = time_clips(loaded, clips, runs, transcribe=False)
    what = "whole clip from its file to JSON, decoding and faces included, no recogniser"
    value = 1000 * timing.percentile(50)
    return Case("clip", what, value, "ms", CLIP, loaded.setting, timing)


def recogniser_case(loaded: Loaded, clips: Sequence[Clip], runs: int) -> Case:
    """Measure the same with the packaged recogniser, as a share of the length of the clips."""
    timing = time_clips(loaded, clips, runs, transcribe=True)
    what = "the same with the packaged recogniser: median time over median length"
    share = timing.percentile(50) / statistics.median(clip.seconds for clip in clips)
    name = "clip with recogniser"
    return Case(name, what, share, "x real time", RECOGNISER, loaded.setting, timing)


def streaming_case(loaded: Loaded, clips: Sequence[Clip], runs: int) -> Case:
    """Measure how long after the end of a captioned utterance its final decision comes."""
    recognizer, timer = loaded.recognizer, StageTimer()
    captioned = [(clip, _speech_cue(recognizer, clip)) for clip in clips]
    with watched(recognizer, timer):
        found = [
            _stream(recognizer, clip, cue, timer) for clip, cue in [captioned[0], *captioned * runs]
        ]
    pause = recognizer.config.audio.segmentation.min_silence
    delay_name = "from the end of speech, which the sound's packets delay, p50 ms"
    return Case(
        "streaming decision",
        "from the arrival of an utterance's last sound to its final decision, by the clock of a "
        "stream, with captions",
        1000 * statistics.median(decision.wait for decision in found[1:]),
        "ms",
        STREAMING,
        loaded.setting,
        summarise(decision.stages for decision in found),
        note=f"the times on the right and the stages are of the step that decides; a provisional "
        f"decision every {HOP:g} s may come before it; a microphone without captions waits another "
        f"{pause:g} s for the pause that ends an utterance",
        more={delay_name: 1000 * statistics.median(decision.delay for decision in found[1:])},
    )


def _speech_cue(recognizer: EmotionRecognizer, clip: Clip) -> Cue:
    """Return a caption from where speech is heard to where it ends."""
    turns = recognizer.predict(clip.path, transcribe=False).utterances
    spoken = [turn for turn in turns if "no_speech" not in turn.warnings] or list(turns)
    return Cue(CAPTION, spoken[0].start, min(spoken[-1].end, clip.seconds - 0.3))


class _Decision(NamedTuple):
    """The step of a stream that gave the final decision.

    The stream is not played in real time; the delays are computed as if it were: each step begins
    when its input is due, or when the step before it ends.

    Attributes:
        stages: seconds of the step by stage.
        wait: seconds from the arrival of the last input that the decision needed.
        delay: seconds from the end of speech.
    """

    stages: Stages
    wait: float
    delay: float


def _stream(recognizer: EmotionRecognizer, clip: Clip, cue: Cue, timer: StageTimer) -> _Decision:
    """Stream a clip until the final decision on its caption."""
    assert cue.end is not None
    ready = due = 0.0
    rate = recognizer.config.visual.frames_per_second
    with MediaReader(clip.path, rate, between=MOUTH_RATE) as reader:
        live = LiveRecognizer(recognizer, has_audio=True, has_video=True, captions=[cue])
        steps = [(partial(live.push, event), event.end) for event in reader.events()]
    steps.append((partial(live.finish, clip.seconds), clip.seconds))
    for step, time_due in steps:
        found, stages = timer.measure(step)
        due = max(due, time_due)
        ready = max(ready, due) + stages.total
        if any(event.kind == "final" for event in found):
            break
    return _Decision(stages, ready - due, ready - cue.end)


def batch_case(loaded: Loaded, clips: Sequence[Clip]) -> Case:
    """Measure many clips at once, one process of one thread for each processor."""
    what = "many clips without recogniser, a process for each processor: seconds of film a second"
    engine = cast(EngineName, loaded.setting.engine)
    if engine not in ("torch", "torch-bf16"):
        reason = "the engine has threads of its own"
        return not_measured("batch", what, "x real time", BATCH, reason)
    workers = os.cpu_count() or 1
    rounds = BATCH_ROUNDS * max(1, -(-2 * workers // len(clips)))
    batch = [(loaded.source, engine, clip.path) for _ in range(rounds) for clip in clips]
    with worker_pool(workers) as pool:
        list(pool.map(_predict_one, batch[: max(len(clips), 2 * workers)]))
        began = time.perf_counter()
        list(pool.map(_predict_one, batch))
        seconds = time.perf_counter() - began
    speed = rounds * sum(clip.seconds for clip in clips) / seconds
    setting = replace(loaded.setting, threads=workers)
    note = f"{len(batch)} clips in {workers} processes of one thread"
    return Case("batch", what, speed, "x real time", BATCH, setting, note=note)


def _predict_one(task: tuple[str, EngineName, Path]) -> None:
    """Predict a clip in a worker, which loads its recogniser with its first clip."""
    source, engine, path = task
    _load(source, engine).predict(path, transcribe=False)


_load = cache(EmotionRecognizer.from_pretrained)
