"""The studio as a person uses it: a real service, a real browser, a real film."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from footage import Spoken
from studio_browser import Studio, fake_devices, join_clips, running_chromium, running_studio

for package in ("fastapi", "uvicorn", "sqlalchemy"):
    pytest.importorskip(package, reason="needs the extra `web`")
psutil = pytest.importorskip("psutil", reason="needs the extra `web`")

PATIENCE = 120_000
"""Milliseconds that a worker may take on a slow machine."""


@pytest.fixture(scope="module")
def film(talking_clips: list[Spoken], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, one after the other, 6 s."""
    path = tmp_path_factory.mktemp("film") / "two people.mp4"
    return join_clips(path, [clip.path for clip in talking_clips[:2]])


@pytest.fixture(scope="module")
def browser(talking_clip: Spoken, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    flags = fake_devices(tmp_path_factory.mktemp("devices"), talking_clip.path)
    with running_chromium(flags) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def studio(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running_studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture
def context(browser: Any, studio: Studio) -> Iterator[Any]:
    """Windows of one person; at the end they must have loaded nothing from elsewhere, and no
    script may have failed."""
    person = browser.new_context(
        base_url=studio.url, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    person.set_default_timeout(PATIENCE)
    asked, problems = [], []
    person.on("request", lambda request: asked.append(request.url))
    person.on("weberror", lambda error: problems.append(str(error.error)))
    yield person
    person.close()
    elsewhere = [url for url in asked if not url.startswith((studio.url, "blob:", "data:"))]
    assert asked
    assert not elsewhere
    assert not problems


def test_from_a_dropped_film_to_its_deletion(context: Any, studio: Studio, film: Path) -> None:
    page, second = context.new_page(), context.new_page()
    second.goto("/")
    page.goto("/")
    page.set_input_files("#files", film)
    row = page.locator("#jobs .job").filter(has_text=film.name)
    row.get_by_role("progressbar").wait_for()
    page.reload()  # in the middle
    row.get_by_role("progressbar").wait_for()
    assert second.locator("#jobs .job").filter(has_text=film.name).count() == 1
    _kill_busy_worker(studio)

    for window in (page, second):
        window.locator("#jobs .job.completed .told").wait_for()
    _check_accessibility(page)
    row.get_by_role("link").click()
    page.locator("#moment .verdict").wait_for()
    job = page.url.rsplit("/", 1)[1]
    found = page.request.get(f"/v1/jobs/{job}/prediction").json()
    assert len(found["utterances"]) >= 2

    _check_that_film_and_timeline_follow_each_other(page, found)
    _check_the_strongest_moment(page, found["utterances"])
    _check_accessibility(page)
    _correct_a_name(page, second)
    _correct_words(page)
    _ask_why(page)
    _restore_what_was_recognised(page, found)
    _export_everything(page)
    _compare(context, job)

    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    assert "removed from this computer" in dialog.inner_text()
    dialog.get_by_role("button", name="Cancel").click()
    assert page.request.get(f"/v1/jobs/{job}").ok
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete for good").click()
    page.locator("#empty").wait_for()
    assert second.locator("#jobs .job").count() == 0
    assert not [path for path in studio.data.rglob("*") if job in path.name]


def test_a_file_that_is_no_media_is_refused_in_words(context: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes.mp4"
    notes.write_text("This is no film.")
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#files", notes)
    problem = page.locator("#uploads .problem")
    problem.wait_for()
    assert re.fullmatch(r"[A-Z].{10,}\.", problem.inner_text().strip())
    assert page.locator("#alarm").inner_text().startswith("notes.mp4: ")
    page.get_by_role("button", name="Remove notes.mp4").click()
    assert page.locator("#uploads .job").count() == 0


def test_a_live_session_survives_a_lost_connection(context: Any) -> None:
    context.grant_permissions(["camera", "microphone"])
    page = context.new_page()
    page.add_init_script(
        "window.sockets = [];"
        "window.WebSocket = class extends WebSocket {"
        "  constructor(...all) { super(...all); window.sockets.push(this); } };"
    )
    page.goto("/live")
    page.get_by_role("button", name="Start").click()
    page.locator("#state[data-state=running]").wait_for()
    page.locator(".decision:is(.final, .revised)").first.wait_for()
    assert "from sound to decision" in page.locator("#latency").inner_text()
    _check_accessibility(page)
    page.evaluate("sockets[0].close()")
    _wait_until(page, "sockets.length > 1")
    page.locator("#state[data-state=running]").wait_for()
    page.locator(".decision").nth(page.locator(".decision").count()).wait_for()
    page.get_by_role("button", name="Stop").click()
    # The camera is off at once, though the last words are still decided on.
    _wait_until(page, "!document.getElementById('preview').srcObject")
    page.locator("#state[data-state=ended]").wait_for()
    with page.expect_download() as saved:
        page.locator("#save").click()
    lines = Path(saved.value.path()).read_text("utf-8").splitlines()
    assert len(lines) == page.locator(".decision").count()


def test_a_camera_that_is_not_allowed_is_explained(context: Any) -> None:
    page = context.new_page()
    page.goto("/live")
    page.get_by_role("button", name="Start").click()
    page.locator("#notice.bad").wait_for()
    assert "Allow them for this page" in page.locator("#notice").inner_text()
    assert page.get_by_role("button", name="Start").is_enabled()


def _wait_until(page: Any, condition: str) -> None:
    """Playwright's own way evaluates a string inside the page, which the page's policy forbids."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def _kill_busy_worker(studio: Studio) -> None:
    """Kill the process that works on the film, as the system does when memory runs out."""
    deadline = time.monotonic() + PATIENCE / 1000
    children = psutil.Process(studio.process.pid).children(recursive=True)
    while time.monotonic() < deadline:
        busiest = max(children, key=lambda child: child.memory_info().rss)
        if busiest.memory_info().rss > 2e8:  # the networks are loaded
            busiest.kill()
            return
        time.sleep(0.1)
    raise AssertionError("no worker has begun")


def _check_that_film_and_timeline_follow_each_other(page: Any, found: Any) -> None:
    utterances = found["utterances"]
    film = page.locator("#film")
    page.locator("#play:enabled").wait_for()
    lanes = page.locator("#lanes .lane-track")
    box = lanes.bounding_box()
    second = utterances[1]
    lane = [who["id"] for who in found["speakers"]].index(second["speaker"])
    end = max(found["duration"], utterances[-1]["end"])
    middle = (second["start"] + second["end"]) / 2
    lanes.click(position={"x": box["width"] * middle / end, "y": 52 * lane + 26})
    page.locator("#utterance-1[aria-selected=true]").wait_for()
    assert abs(film.evaluate("film => film.currentTime") - second["start"]) < 0.1
    # The film is moved by other means, such as the keys of a headset.
    film.evaluate("(film, time) => { film.currentTime = time }", utterances[0]["start"] + 0.1)
    page.locator("#utterance-0[aria-selected=true]").wait_for()
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    page.locator("#utterance-1[aria-selected=true]").wait_for()
    page.locator("[role=slider]").focus()
    page.keyboard.press("Home")
    page.locator("#utterance-0[aria-selected=true]").wait_for()
    film.evaluate("(film, time) => { film.currentTime = time }", second["start"] - 0.2)
    page.locator("#speed").select_option("0.5")
    page.get_by_role("button", name="Play").click()
    page.locator("#utterance-1.spoken").wait_for()  # it lights up while it plays
    assert page.locator("#moment .quote").inner_text().startswith(second["text"] or "no words")
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
    assert page.locator("#boxes").evaluate(f"canvas => ({drawn})(canvas).data.some(Boolean)")
    film.evaluate("film => film.pause()")
    size = page.viewport_size
    page.set_viewport_size({"width": 375, "height": 800})
    stage, boxes = (f"document.getElementById('{name}')" for name in ("stage", "boxes"))
    # They stay on the faces.
    _wait_until(page, f"{stage}.clientHeight === {boxes}.clientHeight")
    page.set_viewport_size(size)
    page.get_by_role("button", name="Play").wait_for()


def _check_the_strongest_moment(page: Any, utterances: list[Any]) -> None:
    page.get_by_role("button", name="Saddest moment").click()
    saddest = max(
        range(len(utterances)), key=lambda index: utterances[index]["probabilities"]["sadness"]
    )
    page.locator(f"#utterance-{saddest}[aria-selected=true]").wait_for()
    assert "sadness" in page.locator("#told").inner_text()


def _correct_a_name(page: Any, second: Any) -> None:
    second.goto(page.url)
    page.get_by_role("button", name="S1, change the name").click()
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")
    for window in (page, second):
        window.get_by_role("button", name="Anna, change the name").wait_for()
        assert window.locator(".row .speaker").filter(has_text="Anna").count() > 0
    second.goto("/")


def _correct_words(page: Any) -> None:
    page.locator("#utterance-0").click()
    page.get_by_role("button", name="Correct the words").click()
    page.get_by_role("textbox", name="Words").fill("This is the happiest day of my life!")
    page.get_by_role("button", name="Save and decide again").click()
    page.get_by_text("Decided again:").first.wait_for()
    assert page.locator("#moment .quote").inner_text() == "This is the happiest day of my life!"
    assert (
        "changed with it" in page.locator("#notice").inner_text()
    )  # the next one is read after it
    assert page.get_by_role("button", name="Anna, change the name").count() == 1


def _ask_why(page: Any) -> None:
    dialog = page.get_by_role("dialog")
    why = page.get_by_role("button", name="Why?")
    why.click()
    dialog.get_by_role("progressbar", name="Progress of the explanation").wait_for()
    assert "is being prepared" in dialog.get_by_role("status").inner_text()
    dialog.get_by_role("button", name="Stop the explanation").click()
    dialog.wait_for(state="hidden")
    why.click()  # it is made anew, and left
    page.keyboard.press("Escape")
    page.locator("#utterance-1").click()
    why.click()
    page.get_by_text("1 other explanation is made before this one.").wait_for()
    _check_accessibility(page)
    page.keyboard.press("Escape")
    page.locator("#utterance-0").click()
    why.click()
    dialog.locator(".figure img").first.wait_for()
    assert "The network finds" in dialog.inner_text()
    _wait_until(page, "document.querySelector('.figure img').naturalWidth > 0")
    _check_accessibility(page)
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def _restore_what_was_recognised(page: Any, found: Any) -> None:
    words = found["utterances"][0]["text"]
    page.get_by_text("Words or names of this result were corrected.").wait_for()
    page.locator("#utterance-0").click()
    page.get_by_role("button", name="Correct the words").press("Enter")
    assert words in page.get_by_text("Recognised:").inner_text()
    _check_accessibility(page)
    page.get_by_role("button", name="Restore what was recognised").press("Enter")
    page.locator("#moment .quote").filter(has_text=words).wait_for()
    page.get_by_role("button", name="Anna, change the name").click()
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="S1, change the name").wait_for()
    page.locator("#corrected").wait_for(state="hidden")

    page.get_by_role("button", name="S1, change the name").click()
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Restore all that was recognised").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    page.get_by_role("button", name="S1, change the name").wait_for()
    page.locator("#corrected").wait_for(state="hidden")
    job = page.url.rsplit("/", 1)[1]
    assert page.request.get(f"/v1/jobs/{job}/prediction").json() == found


def _export_everything(page: Any) -> None:
    names = page.locator("#export-list a")
    for index in range(names.count()):
        with page.expect_download() as saved:
            names.nth(index).click()
        assert saved.value.suggested_filename.startswith("two people")
        assert Path(saved.value.path()).stat().st_size > 0


def _compare(context: Any, job: str) -> None:
    page = context.new_page()
    page.goto("/compare")
    for name in ("A", "B"):
        page.get_by_role("button", name=f"two people.mp4 in {name}").click()
    page.locator(".comparison").first.wait_for()
    assert f"a={job}&b={job}" in page.url
    assert page.locator(".clear").count() == 0  # with itself
    assert "Too few utterances" in page.locator("#comparison").inner_text()
    _check_accessibility(page)
    page.close()


def _check_accessibility(page: Any) -> None:
    """axe-core, light on a phone and dark on a desk; nothing may need scrolling sideways."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python"
    )
    size = page.viewport_size
    for scheme, width in (("light", 375), ("dark", size["width"])):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": size["height"]})
        found = axe.Axe().run(page)
        assert not found.response["violations"], found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size(size)
