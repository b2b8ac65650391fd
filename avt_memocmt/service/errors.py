"""Errors as the service answers them: one sentence in `detail`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from avt_memocmt.errors import AvtError
from avt_memocmt.service.access import HEADERS


def add_handlers(app: FastAPI) -> None:
    """Let every error of the routes become JSON with one sentence."""

    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
        return _detail(422, sentence(jsonable_encoder(error.errors())))

    @app.exception_handler(AvtError)
    async def explain(request: Request, error: AvtError) -> JSONResponse:
        return _detail(422, str(error))

    @app.exception_handler(HTTPException)
    async def tell(request: Request, error: HTTPException) -> JSONResponse:
        response = _detail(error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def apologise(request: Request, error: Exception) -> JSONResponse:
        # It is sent outside of access control, so it needs the headers that this adds.
        response = _detail(500, "the service met an error of its own; its log says more.")
        response.headers.update(HEADERS)
        return response


def invalid(error: ValidationError) -> HTTPException:
    """The answer to JSON that is not what was asked for."""
    return HTTPException(422, sentence(error.errors(include_url=False)))


def sentence(errors: Iterable[Mapping[str, Any]]) -> str:
    """What pydantic found wrong, in one sentence."""
    found = []
    for error in errors:
        where = ".".join(
            str(part) for part in error["loc"] if part not in ("body", "query", "path")
        )
        said = error["msg"].removeprefix("Value error, ").rstrip(".")
        found.append(f"{where}: {said}" if where else said)
    return "; ".join(dict.fromkeys(found)) + "."


def _detail(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status)
