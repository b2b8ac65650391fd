"""The texts of the pages, and the files that the pages load."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.service import pages
from avt_memocmt.service.exports import downloads

CODE = [*pages.STATIC.rglob("*.js"), *(pages.STATIC.parent / "templates").glob("*.j2")]
TEXT = "\n".join(path.read_text("utf-8") for path in CODE)
ASKED = {key for key in re.findall(r'\bt\(\s*"([\w.]+)"', TEXT) if not key.endswith(".")}
MADE = {
    "emotion": (*EMOTIONS, UNCERTAIN),
    "moment": EMOTIONS,
    "jump": EMOTIONS,
    "modality": ("audio", "visual", "text"),
    "kind": ("video", "audio", "image"),
    "state": ("queued", "in_progress", "completed", "failed", "cancelled"),
    "told": ("queued", "in_progress", "completed", "failed", "cancelled"),
    "theme": ("auto", *pages.THEMES),
    "title": ("library", "result", "live", "compare"),
    "nav": ("library", "live", "compare"),
    "export": (*pages.EXPORTS, *(f"{name}.for" for name in pages.EXPORTS)),
    "live": ("connecting", "running", "resuming", "finishing", "ended"),
    "live.event": ("provisional", "final", "revised"),
}
"""Keys that are put together, by what they begin with."""


def test_every_text_that_the_pages_ask_for_is_there_and_no_other() -> None:
    keys = set(pages.words("en"))
    bases = {re.sub(r"\.(one|other)$", "", key) for key in keys}
    made = {f"{start}.{end}" for start, ends in MADE.items() for end in ends}
    assert ASKED | made <= bases
    quoted = set(re.findall(r'"([a-z]\w*(?:\.\w+)+)"', TEXT))
    unused = {key for key in bases - made - quoted if not key.startswith("live.error.")}
    assert not unused


def test_the_page_offers_every_export() -> None:
    assert set(downloads()) <= set(pages.EXPORTS)


def test_english_is_there_whatever_language_is_asked_for(tmp_path, monkeypatch) -> None:
    english = pages.words("en")
    assert pages.chosen_language("de-CH, fr;q=0.8, *;q=0.1") == "en"
    (tmp_path / "en.json").write_text(json.dumps(english), "utf-8")
    (tmp_path / "de.json").write_text(json.dumps({"nav.library": "Sammlung"}), "utf-8")
    monkeypatch.setattr(pages, "STRINGS", tmp_path)
    pages.words.cache_clear()
    assert pages.chosen_language("en;q=0.5, de-CH, fr;q=0.8") == "de"
    assert pages.words("de")["nav.library"] == "Sammlung"
    assert pages.words("de")["nav.live"] == english["nav.live"]
    pages.words.cache_clear()


def test_pages_hold_no_script_or_style_of_their_own() -> None:
    assert not re.search(r"<style|\bstyle=|\son\w+=", TEXT)
    scripts = re.findall(r"<script[^>]*>", TEXT)
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)
    assert not re.search(
        r"(?:https?:)?//(?!www\.w3\.org)[a-z]+\.[a-z]", re.sub(r"(?m)^\s*//.*", "", TEXT)
    )


def test_the_emotions_have_the_colours_of_the_reports() -> None:
    from avt_memocmt.emotions import COLOURS

    sheet = pages.emotion_colours()
    assert all(f"--{name}: {colour};" in sheet for name, colour in COLOURS.items())
