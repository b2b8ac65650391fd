"""A process that a hostile file takes over, fills or stops costs the service nothing."""

from __future__ import annotations

import os
import time

import pytest

from avt_memocmt.service.child import Child, ChildEndedError, ChildStoppedError, Message, Pipe

MEMORY = 300_000_000


def act(pipe: Pipe) -> None:
    """Do what a hostile file may do to a decoder."""
    while True:
        asked = pipe.receive_any()
        if asked == {"do": "fill"}:
            held = []
            while True:
                held.append(bytearray(b"x" * 20_000_000))
                time.sleep(0.01)
        elif asked == {"do": "crash"}:
            os.abort()
        elif asked == {"do": "hang"}:
            time.sleep(60)
        elif asked == {"do": "babble"}:
            pipe._connection.send_bytes(b"\x80\x04no JSON")
        elif isinstance(asked, bytes):
            pipe.send({"length": len(asked)})
        else:
            pipe.send({"done": asked["do"]})


def answer(child: Child, seconds: float = 120) -> Message:
    while (found := child.receive(time.monotonic() + seconds)) is None:
        pass
    return found


def test_a_child_that_is_lost_is_replaced() -> None:
    child = Child(act, (), MEMORY)
    try:
        child.send({"do": "work"})
        assert answer(child) == {"done": "work"}
        child.send(bytes(1000))
        assert answer(child) == {"length": 1000}
        for harm, error, why in (
            ("fill", ChildStoppedError, "memory"),
            ("crash", ChildEndedError, "ended unexpectedly"),
            ("babble", ChildEndedError, "ended unexpectedly"),
        ):
            child.send({"do": harm})
            with pytest.raises(error, match=why):
                answer(child)
        child.send({"do": "hang"})
        with pytest.raises(ChildStoppedError, match="longer"):
            answer(child, seconds=0)
        child.send({"do": "work"})
        assert answer(child) == {"done": "work"}
    finally:
        child.stop()
