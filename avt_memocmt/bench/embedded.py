"""The embedded preset on clips: whole clips, the streaming decision, and many clips at once."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import cast

import numpy as np

from avt_memocmt.api import EmotionRecognizer
from avt_memocmt.bench.case import Case, Goal, Setting, not_measured
from avt_memocmt.bench.clips import Clip
from avt_memocmt.bench.stages import Stages, StageTimer, Timing, summarise
from avt_memocmt.bench.watch import watched
from avt_memocmt.engines.names import EngineName
from avt_memocmt.inference.live import HOP, LiveRecognizer
from avt_memocmt.inference.results import StreamEvent, to_json
from avt_memocmt.media.live_source import Event
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import VideoFrame
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
        """What `avt-memocmt predict --json` does with one clip."""
        found = self.recognizer.predict(clip.path, transcribe=transcribe)
        with timer.stage("output"):
            json.dumps(to_json(found))


def time_clips(loaded: Loaded, clips: Sequence[Clip], runs: int, transcribe: bool) -> Timing:
    """Predict each clip `runs` times after a cold run of the first."""
    timer = StageTimer()
    with watched(loaded.recognizer, timer):
        order = [clips[0], *(clip for _ in range(runs) for clip in clips)]
        return summarise(
            timer.measure(partial(loaded.predict, clip, transcribe, timer))[1] for clip in order
        )


def clip_case(loaded: Loaded, clips: Sequence[Clip], runs: int) -> Case:
    """A whole clip from its file, without words."""
    timing = time_clips(loaded, clips, runs, transcribe=False)
    return Case(
        "clip",
        "whole clip from its file to JSON, decoding and faces included, no recogniser",
        1000 * timing.percentile(50),
        "ms",
        CLIP,
        loaded.setting,
        timing,
    )


def recogniser_case(loaded: Loaded, clips: Sequence[Clip], runs: int) -> Case:
    """The same with the packaged recogniser, as a share of the clip's length."""
    timing = time_clips(loaded, clips, runs, transcribe=True)
    length = statistics.median(clip.seconds for clip in clips)
    return Case(
        "clip with recogniser",
        "the same with the packaged recogniser: median time over median length",
        timing.percentile(50) / length,
        "x real time",
        RECOGNISER,
        loaded.setting,
        timing,
    )


def streaming_case(loaded: Loaded, clips: Sequence[Clip], runs: int) -> Case:
    """How long after the end of a captioned utterance its final decision comes."""
    cues = [_speech_cue(loaded.recognizer, clip) for clip in clips]
    order = [
        (clips[0], cues[0]),
        *(pair for _ in range(runs) for pair in zip(clips, cues, strict=True)),
    ]
    timer = StageTimer()
    decisions, waits, delays = [], [], []
    with watched(loaded.recognizer, timer):
        for clip, cue in order:
            stages, wait, delay = _stream(loaded.recognizer, clip, cue, timer)
            decisions.append(stages)
            waits.append(wait)
            delays.append(delay)
    timing = summarise(decisions)
    pause = loaded.recognizer.config.audio.segmentation.min_silence
    return Case(
        "streaming decision",
        "from the arrival of an utterance's last sound to its final decision, by the clock of a "
        "stream, with captions",
        1000 * float(np.median(waits[1:])),
        "ms",
        STREAMING,
        loaded.setting,
        timing,
        note=f"the times on the right and the stages are of the step that decides; a provisional "
        f"decision every {HOP:g} s may come before it; a microphone without captions waits another "
        f"{pause:g} s for the pause that ends an utterance",
        more={
            "from the end of speech, which the sound's packets delay, p50 ms": 1000
            * float(np.median(delays[1:]))
        },
    )


def _speech_cue(recognizer: EmotionRecognizer, clip: Clip) -> Cue:
    """A caption from where speech is heard to where it ends."""
    turns = recognizer.predict(clip.path, transcribe=False).utterances
    spoken = [turn for turn in turns if "no_speech" not in turn.warnings] or list(turns)
    return Cue(CAPTION, spoken[0].start, min(spoken[-1].end, clip.seconds - 0.3))


def _stream(
    recognizer: EmotionRecognizer, clip: Clip, cue: Cue, timer: StageTimer
) -> tuple[Stages, float, float]:
    """Stages of the step that gave the final decision, and its delays in seconds: behind the
    arrival of what it needed, and behind the end of speech.

    The delays are those of a stream played in real time, reckoned instead of waited for: each step
    begins when its input is due, or when the step before it ends.
    """
    assert cue.end is not None
    ready = due = 0.0
    with MediaReader(clip.path, recognizer.config.visual.frames_per_second) as reader:
        live = LiveRecognizer(recognizer, has_audio=True, has_video=True, captions=[cue])
        for event in reader.events():
            found, stages = timer.measure(partial(live.push, event))
            due = max(due, _due(event))
            ready = max(ready, due) + stages.total
            if _is_final(found):
                break
        else:
            found, stages = timer.measure(partial(live.finish, clip.seconds))
            due = clip.seconds
            ready = max(ready, due) + stages.total
    return stages, ready - due, ready - cue.end


def _due(event: Event) -> float:
    return event.time if isinstance(event, VideoFrame) else event.end


def _is_final(found: Sequence[StreamEvent]) -> bool:
    return any(event.kind == "final" for event in found)


def batch_case(loaded: Loaded, clips: Sequence[Clip]) -> Case:
    """Many clips, one process of one thread for each processor."""
    what = "many clips without recogniser, a process for each processor: seconds of film a second"
    engine = cast(EngineName, loaded.setting.engine)
    if engine not in ("torch", "torch-bf16"):
        return not_measured(
            "batch", what, "x real time", BATCH, "the engine has threads of its own"
        )
    workers = os.cpu_count() or 1
    rounds = BATCH_ROUNDS * max(1, -(-2 * workers // len(clips)))
    batch = [(loaded.source, engine, clip.path) for _ in range(rounds) for clip in clips]
    with worker_pool(workers) as pool:
        list(pool.map(_predict_one, batch[: max(len(clips), 2 * workers)]))
        began = time.perf_counter()
        list(pool.map(_predict_one, batch))
        seconds = time.perf_counter() - began
    played = rounds * sum(clip.seconds for clip in clips)
    return Case(
        "batch",
        what,
        played / seconds,
        "x real time",
        BATCH,
        replace(loaded.setting, threads=workers),
        note=f"{len(batch)} clips in {workers} processes of one thread",
    )


def _predict_one(task: tuple[str, EngineName, Path]) -> None:
    """In a worker, which loads its recogniser with its first clip."""
    source, engine, path = task
    _recognizer(source, engine).predict(path, transcribe=False)


@cache
def _recognizer(source: str, engine: EngineName) -> EmotionRecognizer:
    return EmotionRecognizer.from_pretrained(source, engine)
