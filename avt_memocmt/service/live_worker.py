"""The process of one live session: decodes what a browser records, and decides on it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from avt_memocmt.errors import AvtError
from avt_memocmt.service.child import Pipe

if TYPE_CHECKING:
    from avt_memocmt.media.pushed_source import ByteFeed

PAUSE = 0.06
"""Seconds of a pause in speech after which it is decided at once, provisionally: two frames of the
segmenter. Real talk has 0.7 such pauses a second, so that few decisions are made in vain."""


def run_live(pipe: Pipe, threads: int) -> None:
    """Recognise one session: the first message starts it, bytes follow.

    Messages in: {"start": {"mime", "options"}}, bytes, {"restart": true} before the bytes of a new
    recording, {"stop": true}. Out: "ready", "decision", "warning", "failed", "end".

    Args:
        pipe: to the service.
        threads: that the networks compute on.
    """
    try:
        _run(pipe, threads)
    except AvtError as error:
        pipe.send({"failed": str(error)})
    except Exception as error:  # the session ends, and says why
        pipe.send({"failed": f"unexpected {type(error).__name__}: {error}"})
    else:
        pipe.send({"end": True})


def _run(pipe: Pipe, threads: int) -> None:
    from avt_memocmt.inference.live import LiveStream
    from avt_memocmt.inference.shown_people import rate_between
    from avt_memocmt.inference.speaker_settings import speaker_settings
    from avt_memocmt.media.pushed_source import ByteFeed, PushedSource
    from avt_memocmt.service.worker import load

    recognizer = load(threads)
    pipe.send({"ready": True})
    start = pipe.receive()["start"]
    options = start["options"]
    feed = ByteFeed()
    threading.Thread(target=_feed, args=(pipe, feed), daemon=True, name="feed").start()
    source = PushedSource(
        feed,
        start["mime"],
        recognizer.config.visual.frames_per_second,
        rate_between(options["faces"]),
    )
    stream = LiveStream(
        recognizer,
        source,
        transcribe=options["transcribe"],
        speakers=speaker_settings(options["speakers"]),
        faces=options["faces"],
        pause=PAUSE,
        warn=lambda text: pipe.send({"warning": text}),
    )
    for event in stream.events():
        arrived = source.arrival(event.at)
        latency = None if arrived is None else round(time.monotonic() - arrived, 3)
        pipe.send({"decision": {"latency": latency, **event.to_json()}})


def _feed(pipe: Pipe, feed: ByteFeed) -> None:
    """Pass on what comes; a feed that is full makes the service wait, and that the browser."""
    while True:
        message = pipe.receive_any()
        if isinstance(message, bytes):
            feed.write(message)
        elif "restart" in message:
            feed.restart()
        else:
            feed.end()
