"""The pages of the studio: templates in the reader's language, and the files that they load.

A page holds no script and no style of its own, so that the content security policy can forbid both;
what its modules need to know lies in it as JSON. Static files have their version in their address,
so that a browser keeps them for good and an update is seen at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from avt_memocmt.emotions import COLOURS, EMOTIONS, UNCERTAIN
from avt_memocmt.service.service import ServiceDep
from avt_memocmt.version import __version__
from avt_memocmt.wording import LIMITS, LIMITS_TITLE, WARNINGS

STATIC = Path(__file__).parent / "static"
STRINGS = Path(__file__).parent / "strings"
DEFAULT_LANGUAGE = "en"
THEMES = ("light", "dark")
"""What the cookie `theme` may say; without it the browser's own preference holds."""
EXPORTS = (
    "report",
    "overlay",
    "eaf",
    "textgrid",
    "srt",
    "vtt",
    "csv",
    "frames",
    "frames-parquet",
    "json",
    "rttm",
    "audacity",
    "label-studio",
    "webannotation",
)
"""What can be had of a result, in the order of the page."""
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""The registry of the system may say otherwise, and browsers then refuse modules."""
FOR_GOOD = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def library(request: Request) -> HTMLResponse:
    """Drop a file; all earlier work."""
    return _page(request, "library")


@router.get("/jobs/{job_id}")
async def result(request: Request, job_id: str) -> HTMLResponse:
    """The film beside its timeline."""
    return _page(request, "result", job=job_id)


@router.get("/live")
async def live(request: Request, service: ServiceDep) -> HTMLResponse:
    """Camera and microphone."""
    service.live.prepare()
    return _page(request, "live")


@router.get("/compare")
async def compare(request: Request) -> HTMLResponse:
    """Two sets of results side by side."""
    return _page(request, "compare")


@router.get("/static/{version}/{path:path}")
async def static_file(version: str, path: str) -> Response:
    """A file of `static/`, or the style sheet of the emotions' colours."""
    content = static_files().get(path)
    if content is None:
        raise HTTPException(404, "there is no such file.")
    kind = MEDIA_TYPES[PurePosixPath(path).suffix]
    age = FOR_GOOD if version == static_version() else "no-cache"
    return Response(content, media_type=kind, headers={"Cache-Control": age})


@router.get("/favicon.ico")
async def favicon() -> Response:
    """The icon, for browsers that ask for it by this name."""
    return await static_file("", "icon.svg")


def languages() -> list[str]:
    """Codes of the languages that the pages can be shown in, such as "en"."""
    return sorted(path.stem for path in STRINGS.glob("*.json"))


def chosen_language(accepted: str) -> str:
    """The first language of an Accept-Language header that there is, else English."""
    wishes = []
    for place, wish in enumerate(accepted.split(",")):
        name, _, quality = wish.partition(";q=")
        weight = float(quality) if re.fullmatch(r"[01](\.\d*)?", quality.strip()) else 1.0
        wishes.append((-weight, place, name.strip().partition("-")[0].lower()))
    available = languages()
    return next((name for *_, name in sorted(wishes) if name in available), DEFAULT_LANGUAGE)


@cache
def words(language: str) -> dict[str, str]:
    """Every text of the pages by its key; what a translation lacks stands in English."""
    own: dict[str, str] = json.loads((STRINGS / f"{language}.json").read_text("utf-8"))
    return own if language == DEFAULT_LANGUAGE else words(DEFAULT_LANGUAGE) | own


@cache
def static_files() -> dict[str, bytes]:
    """What the pages load, by path; 200 kB in memory, so that a page of twenty small modules does
    not wait for a disk or a thread."""
    paths = [path for path in sorted(STATIC.rglob("*")) if path.is_file()]
    files = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in paths}
    return files | {"css/emotions.css": emotion_colours().encode()}


@cache
def static_version() -> str:
    """A name that changes with the content of the static files."""
    return hashlib.sha256(b"\0".join(static_files().values())).hexdigest()[:12]


def emotion_colours() -> str:
    """A style sheet with `--joy`, `--anger`, ... as the reports have them."""
    lines = "\n".join(f"  --{name}: {colour};" for name, colour in COLOURS.items())
    return f":root {{\n{lines}\n}}\n"


def _page(request: Request, name: str, **known: str) -> HTMLResponse:
    language = chosen_language(request.headers.get("accept-language", ""))
    texts = words(language)
    theme = request.cookies.get("theme")
    content: dict[str, Any] = {
        "page": name,
        "language": language,
        "theme": theme if theme in THEMES else None,
        "static": f"/static/{static_version()}",
        "t": texts.__getitem__,
        "version": __version__,
        "exports": EXPORTS,
        "limits_title": LIMITS_TITLE,
        "limits": LIMITS,
        "known": {
            "page": name,
            "language": language,
            "strings": texts,
            "emotions": EMOTIONS,
            "uncertain": UNCERTAIN,
            "colours": COLOURS,
            "warnings": WARNINGS,
            **known,
        },
    }
    page = _templates().get_template(f"{name}.html.j2").render(content)
    return HTMLResponse(
        page, headers={"Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("avt_memocmt.service"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
