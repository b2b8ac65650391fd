"""`/v1/stream`: what a browser records goes in, decisions come out while it records."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.service.errors import sentence
from avt_memocmt.service.live_session import LiveSession, LiveSessions
from avt_memocmt.service.options import Number

router = APIRouter()

TRY_LATER, REFUSED = 1013, 1008
"""Codes with which a connection is closed."""
_FIRST = 30.0  # seconds for the first message
_MOST_REASON = 120  # bytes; the protocol takes 123


class LiveOptions(BaseModel):
    """Options of a session; each means what it means for `avt-memocmt stream`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    speakers: Literal["auto", "off"] | Number = "auto"
    faces: WhichFaces = "speaking"
    transcribe: bool = True


class Start(BaseModel):
    """The first message of a client."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["start"]
    mime: Annotated[str, Field(max_length=200)]
    options: LiveOptions = LiveOptions()
    session: Annotated[str, Field(max_length=64)] | None = None
    since: Annotated[int, Field(ge=0)] = 0


class Stop(BaseModel):
    """The last message of a client."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["stop"]


_START, _STOP = TypeAdapter(Start), TypeAdapter(Stop)


@router.websocket("/v1/stream")
async def stream(websocket: WebSocket) -> None:
    """Take a recording while it is made, and send decisions; see docs/service.md."""
    await websocket.accept()
    sessions: LiveSessions = websocket.app.state.service.live
    try:
        start = _START.validate_json(await asyncio.wait_for(websocket.receive_text(), _FIRST))
        session = await _session(sessions, start)
    except (WebSocketDisconnect, TimeoutError, KeyError):
        return
    except ValidationError as error:
        return await _close(websocket, REFUSED, sentence(error.errors(include_url=False)))
    except AvtError as error:
        return await _close(websocket, TRY_LATER, str(error))
    try:
        session.attach(websocket)
        await _begin(session, start)
        await websocket.send_json({"type": "ready", "session": session.id})
        await _run(websocket, session, start.since)
    except AvtError as error:
        await _close(websocket, REFUSED, str(error))
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client is gone; starlette says RuntimeError where it notices while sending
    finally:
        if session.has_ended or session.is_stopping:
            sessions.finish(session)
        elif session.detach(websocket):
            sessions.wait_for_return(session)


async def _session(sessions: LiveSessions, start: Start) -> LiveSession:
    return sessions.new() if start.session is None else sessions.known(start.session)


async def _begin(session: LiveSession, start: Start) -> None:
    await session.ready()
    if start.session is None:
        await session.start(start.mime, start.options.model_dump())
    else:
        await session.resume()


async def _run(websocket: WebSocket, session: LiveSession, since: int) -> None:
    """Pass on both ways until the session ends or the connection is lost."""
    receiving = asyncio.create_task(_receive(websocket, session))
    sending = asyncio.create_task(_send(websocket, session, since))
    done, _ = await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
    if receiving in done and receiving.exception() is None:
        await sending  # it was stopped: the last decisions follow
    for task in (receiving, sending):
        task.cancel()
    for task in (receiving, sending):
        with suppress(asyncio.CancelledError):
            await task


async def _receive(websocket: WebSocket, session: LiveSession) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        if (data := message.get("bytes")) is not None:
            await session.push(data)
            continue
        try:
            _STOP.validate_json(message.get("text") or "")
        except ValidationError as error:
            raise AvtError(sentence(error.errors(include_url=False))) from error
        await session.stop()
        return


async def _send(websocket: WebSocket, session: LiveSession, since: int) -> None:
    dropped = session.dropped
    while (message := await session.messages(since, websocket)) is not None:
        since = message["sequence"]
        if session.dropped > dropped:
            lost, dropped = session.dropped - dropped, session.dropped
            text = f"{lost} messages came faster than this connection takes them and are lost."
            await websocket.send_json({"type": "warning", "text": text})
        await websocket.send_json(message)
    if session.has_ended:
        await websocket.send_json({"type": "end"})
    await websocket.close()


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):
        # The whole sentence, for a reason has room for 123 bytes.
        await websocket.send_json({"type": "warning", "text": reason})
        await websocket.close(code, reason.encode()[:_MOST_REASON].decode("utf-8", "ignore"))
