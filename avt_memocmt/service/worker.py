"""The process that works on jobs: it decodes and recognises, and keeps the recogniser loaded."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically
from avt_memocmt.inference.arguments import PredictOptions
from avt_memocmt.preprocessing.transcripts import Cue, load_transcript
from avt_memocmt.service.child import Message, Pipe
from avt_memocmt.service.job_files import FACES, FRAMES, PREDICTION, put_in_place

if TYPE_CHECKING:
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.inference.results import MediaPrediction
    from avt_memocmt.inference.sampled_faces import RecordFaces

CHECKPOINT = "embedded"
NICENESS = 5
"""Of workers, so that live sessions and the service itself come first."""
_EVERY = 0.25
"""Seconds between two messages on progress."""
_HEARING = 0.2
"""Cost of listening for the speakers, beside that of reading a file once."""


def run_worker(pipe: Pipe, threads: int) -> None:
    """Work on tasks until the service ends.

    Args:
        pipe: where the tasks come from.
        threads: that the networks compute on.
    """
    with suppress(AttributeError, OSError):  # Windows has no niceness
        os.nice(NICENESS)
    try:
        recognizer = load(threads)
    except AvtError as error:
        while True:  # every task gets the reason
            pipe.receive()
            pipe.send({"failed": str(error)})
    while True:
        task = pipe.receive()
        try:
            pipe.send({"done": _WORK[task["kind"]](recognizer, task, pipe)})
        except AvtError as error:
            pipe.send({"failed": _without_path(str(error), task)})
        except Exception as error:  # one odd file must not end the worker
            pipe.send(
                {"failed": f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"}
            )
        gc.collect()  # pictures and sound of the task, which else pile up for a hundred tasks


def load(threads: int) -> EmotionRecognizer:
    """The recogniser, warm, on so many threads."""
    import torch

    from avt_memocmt.api import EmotionRecognizer

    torch.set_num_threads(threads)
    recognizer = EmotionRecognizer.from_pretrained(CHECKPOINT)
    recognizer.warm_up()
    gc.freeze()  # what stays need not be looked through after every task
    return recognizer


def _predict(recognizer: EmotionRecognizer, task: Message, pipe: Pipe) -> Message:
    from avt_memocmt.inference.results import to_json
    from avt_memocmt.report.judgements import time_shares

    words, options = words_and_options(task)
    found = recognizer.predict(
        task["media"],
        words,
        sampled_faces=True,
        progress=_meter(task, words, options, pipe),
        **options,
    )
    found = replace(found, media=task["name"])
    folder = Path(task["folder"])
    answer = to_json(found)
    if task["cues"] is not None:
        _restore(answer, task["cues"])
    _write_json(folder / PREDICTION, answer)
    _write_faces(folder, found)
    put_in_place(folder, Path(task["result"]))
    return {"duration": found.duration, "emotions": dict(time_shares(found.utterances))}


def _explain(recognizer: EmotionRecognizer, task: Message, pipe: Pipe) -> Message:
    from avt_memocmt.service.explaining import write_explanation

    words, options = words_and_options(task)
    explanation = recognizer.explain(
        task["media"],
        words,
        utterances=[task["utterance"]],
        progress=_meter(task, words, options, pipe),
        **options,
    )
    pipe.send({"progress": 1.0, "is_even": False})  # the figures follow
    folder = Path(task["folder"])
    write_explanation(explanation, Path(task["media"]), task["name"], task["expected"], folder)
    put_in_place(folder, Path(task["result"]))
    return {}


def _export(recognizer: EmotionRecognizer, task: Message, pipe: Pipe) -> Message:
    """Write an export for which the media is read again."""
    from avt_memocmt.overlay.film import write_overlay
    from avt_memocmt.service.exporter import write_export
    from avt_memocmt.service.exports import OVERLAY, downloads

    name, folder = task["format"], Path(task["folder"])
    path = folder / f"export{downloads()[name].suffix}"
    words, options = words_and_options(task)
    recorded: RecordFaces = True if name == OVERLAY else "judged"
    found = recognizer.predict(task["media"], words, sampled_faces=recorded, **options)
    named = tuple(replace(who, name=task["names"].get(who.id, who.name)) for who in found.speakers)
    found = replace(found, media=task["name"], speakers=named)
    if name == OVERLAY:
        write_overlay(found, task["media"], path, audio_track=options.get("audio_track"))
    else:
        write_export(name, found, path)
    put_in_place(folder, Path(task["result"]))
    return {}


_WORK: dict[str, Callable[[EmotionRecognizer, Message, Pipe], Message]] = {
    "predict": _predict,
    "explain": _explain,
    "export": _export,
}


def words_and_options(task: Message) -> tuple[list[Cue] | None, PredictOptions]:
    """Words and options of `Recognizer.predict`.

    Corrected utterances are captions that say all there is to know: nobody listens for other words
    or speakers.
    """
    options: PredictOptions = task["options"]
    if task["cues"] is not None:
        options = {
            **options,
            "transcribe": False,
            "speakers": "off",
            "min_speakers": None,
            "max_speakers": None,
        }
        return [
            Cue(cue["text"], cue["start"], cue["end"], cue["speaker"], is_whole=True)
            for cue in task["cues"]
        ], options
    words = None if task["transcript"] is None else load_transcript(task["transcript"])
    return words, options


def _restore(answer: dict[str, Any], cues: list[Message]) -> None:
    """Say of a corrected result only what was given: the rest of the words was heard before.

    Args:
        answer: the prediction; changed.
        cues: corrected utterances, with the source of their words and the name of their speaker.
    """
    from avt_memocmt.inference.transcript_alignment import MISMATCH

    answer.pop("captions", None)
    sources = {round(cue["start"], 3): cue["source"] for cue in cues}
    names = {cue["speaker"]: cue["name"] for cue in cues}
    for utterance in answer["utterances"]:
        utterance["text_source"] = sources.get(utterance["start"], utterance["text_source"])
        if utterance["text_source"] == "asr":
            utterance["warnings"] = [w for w in utterance["warnings"] if w != MISMATCH]
    for speaker in answer["speakers"]:
        speaker["name"] = names.get(speaker["id"])


def _write_faces(folder: Path, prediction: MediaPrediction) -> None:
    from avt_memocmt.report.thumbnails import jpeg

    (folder / FACES).mkdir()
    for face in prediction.faces:
        if face.thumbnail is not None:
            write_atomically(folder / FACES / f"{face.id}.jpg", jpeg(face.thumbnail))
    rows = [
        [round(seen.time, 3), *(round(side, 1) for side in seen.box), seen.id, seen.speaks]
        for seen in prediction.sampled_faces
    ]
    _write_json(folder / FRAMES, {"picture": prediction.picture_size, "faces": rows})


def _write_json(path: Path, content: object) -> None:
    write_atomically(path, json.dumps(content, ensure_ascii=False, allow_nan=False).encode())


def _meter(
    task: Message, words: list[Cue] | None, options: PredictOptions, pipe: Pipe
) -> Callable[[float, float | None], None]:
    """What `predict` calls with the seconds read; tells the service the share that is done.

    Listening for speakers goes at a rate of its own, so that it says nothing of the time left.
    """
    from avt_memocmt.inference.speaker_settings import speaker_settings

    who = speaker_settings(options.get("speakers", "auto"))
    hears = task["has_audio"] and who.is_wanted and not all(c.speaker for c in words or [Cue("")])
    costs = [_HEARING] if hears else []
    costs += [1.0] * (2 if options.get("speaker_baseline") == "all" else 1)
    reading, last, said = 0, 0.0, 0.0

    def advance(seconds: float, total: float | None) -> None:
        nonlocal reading, last, said
        reading += seconds < last
        last = seconds
        if not total or time.monotonic() - said < _EVERY:
            return
        said = time.monotonic()
        begun = costs[min(reading, len(costs) - 1)]
        done = sum(costs[:reading]) + begun * min(1.0, seconds / total)
        is_even = reading > 0 or not hears
        pipe.send({"progress": min(0.99, done / sum(costs)), "is_even": is_even})

    return advance


def _without_path(reason: str, task: Message) -> str:
    """The reason with the name that the user knows, not that of a file in the data folder."""
    for known, shown in (("media", task["name"]), ("transcript", "the transcript")):
        if task[known] is not None:
            reason = reason.replace(task[known], shown)
    return reason
