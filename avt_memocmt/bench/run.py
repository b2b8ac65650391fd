"""The cases of the benchmark in their order, on one set of clips and in one process."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from avt_memocmt.api import load_named
from avt_memocmt.bench.case import Case, Goal, Setting, not_measured
from avt_memocmt.bench.clips import Clip, read_clips, write_film
from avt_memocmt.bench.embedded import (
    Loaded,
    batch_case,
    clip_case,
    recogniser_case,
    streaming_case,
    time_clips,
)
from avt_memocmt.bench.fresh_process import memory_case, start_up_case
from avt_memocmt.bench.naive import NaivePipeline
from avt_memocmt.bench.paper import gpu_case, paper_case
from avt_memocmt.bench.report import Report, describe_machine
from avt_memocmt.bench.stages import StageTimer, summarise
from avt_memocmt.bench.watch import watched
from avt_memocmt.engines.names import EngineName
from avt_memocmt.engines.onnx_engine import read_manifest
from avt_memocmt.engines.sessions import GRAPH_TYPES

NAIVE = Goal(5, 10, at_least=True)
NAIVE_CLIPS = 3
"""Clips of the naive pipeline and of ours beside it: it is slow."""


def run_benchmark(
    paths: Sequence[Path],
    checkpoint: str,
    engine: EngineName,
    *,
    only: Sequence[str] | None = None,
    runs: int = 3,
    minutes: float = 5.0,
    progress: Callable[[str], None] = lambda name: None,
) -> Report:
    """Measure the cases one after the other; nothing else should run on the machine.

    Args:
        paths: films with sound; none = one is made, which shows no face.
        checkpoint: name or folder, as of `load_named`.
        engine: what computes the embedded preset.
        only: the cases wanted, of `CASES`; None = all.
        runs: how often each clip is measured after the cold run.
        minutes: length of the film whose peak memory is measured.
        progress: called with the name of each case before it is run.

    Raises:
        AvtError: a clip or the checkpoint cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        clips = read_clips(paths or [write_film(Path(folder) / "film-without-a-face.mp4")])
        recognizer = load_named(checkpoint, engine)
        loaded = Loaded(recognizer, checkpoint, _setting(engine, checkpoint))
        cases: list[Case] = []
        for name, measure in _MEASURES.items():
            if only is None or name in only:
                progress(name)
                cases += measure(loaded, clips, runs, minutes)
        names = tuple(f"{clip.path.name} ({clip.seconds:.2f} s)" for clip in clips)
    return Report(describe_machine(), names, tuple(cases))


def _setting(engine: EngineName, checkpoint: str) -> Setting:
    dtype = "float32"
    if engine == "torch-bf16":
        dtype = "bfloat16"
    elif engine in GRAPH_TYPES and read_manifest(Path(checkpoint)).quantized:
        dtype = "float32 and int8"
    return Setting(
        torch.get_num_threads(), dtype, engine, "cuda" if engine == "torch-cuda" else "cpu"
    )


def naive_cases(loaded: Loaded, clips: Sequence[Clip]) -> list[Case]:
    """Measure the naive pipeline, and how much faster ours is on the same clips, in turns."""
    what = "the naive pipeline (see bench/naive.py) on the first clips"
    if loaded.setting.engine != "torch":
        reason = "it takes its weights from the torch engine"
        return [not_measured("naive", what, "ms", None, reason)]
    timer = StageTimer()
    naive = NaivePipeline(loaded.recognizer, timer)
    slow, ours = [], []
    with watched(loaded.recognizer, timer):
        for clip in [clips[0], *clips]:
            slow.append(timer.measure(partial(naive.predict, clip.path))[1])
            ours.append(time_clips(loaded, [clip], 1, transcribe=False).warm[0])
    timing = summarise(slow)
    ratio = statistics.median(a / b for a, b in zip(timing.warm, ours[1:], strict=True))
    compared = "time of the naive pipeline over that of ours, same clips in turns"
    return [
        Case("naive", what, 1000 * timing.percentile(50), "ms", None, loaded.setting, timing),
        Case("against naive", compared, ratio, "x", NAIVE, loaded.setting),
    ]


Measure = Callable[[Loaded, Sequence[Clip], int, float], list[Case]]
"""Takes the clips, the warm runs of each, and the minutes of the film for the peak memory."""

_MEASURES: dict[str, Measure] = {
    "clip": lambda loaded, clips, runs, _: [clip_case(loaded, clips, runs)],
    "naive": lambda loaded, clips, *_: naive_cases(loaded, clips[:NAIVE_CLIPS]),
    "clip with recogniser": lambda loaded, clips, runs, _: [recogniser_case(loaded, clips, runs)],
    "streaming decision": lambda loaded, clips, runs, _: [streaming_case(loaded, clips, runs)],
    "batch": lambda loaded, clips, *_: [batch_case(loaded, clips)],
    "start-up": lambda loaded, clips, *_: [start_up_case(loaded, clips[0])],
    "memory": lambda loaded, clips, _, minutes: [memory_case(loaded, clips[0], minutes)],
    "paper": lambda _, clips, runs, minutes: [paper_case(2 * runs), gpu_case(2 * runs)],
}
CASES = tuple(_MEASURES)
