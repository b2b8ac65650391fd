"""Pictures of the studio's views for the documentation: docs/images/studio-*.png.

    python scripts/studio_screenshots.py out/demo/demo.mp4 OTHER.mp4

Needs the extras `web`, `explain` and `test`, and the system's Chromium. The films are put into a
studio of their own and compared; the first is also the camera and microphone of the live view.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from studio_browser import fake_devices, running_chromium, running_studio

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDE, PHONE = {"width": 1280, "height": 1000}, {"width": 375, "height": 812}
PATIENCE = 600_000


def main(film: Path, other: Path, target: Path) -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        flags = fake_devices(Path(folder), film)
        with running_studio(Path(folder) / "data") as studio, running_chromium(flags) as chromium:
            context = chromium.new_context(base_url=studio.url, viewport=WIDE)
            context.grant_permissions(["camera", "microphone"])
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            second, job = put_in(page, other), put_in(page, film)
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                result(page, job, target / f"studio-result-{theme}.png")
            page.emulate_media(color_scheme="light")
            page.goto("/")
            page.locator("#jobs .completed").first.wait_for()
            page.screenshot(path=target / "studio-library.png")
            page.goto(f"/compare?a={job}&b={second}")
            page.locator(".comparison").first.wait_for()
            page.screenshot(path=target / "studio-compare.png")
            page.set_viewport_size(PHONE)
            result(page, job, target / "studio-phone.png")
            page.set_viewport_size(WIDE)
            live(page, target / "studio-live.png")
            why(page, job, target / "studio-why.png")


def put_in(page: Any, film: Path) -> str:
    """Drop the film; return the id of its job once it is done."""
    page.goto("/")
    page.set_input_files("#files", film)
    done = page.locator("#jobs .completed").filter(has_text=film.name)
    done.wait_for()
    return done.get_attribute("data-job")


def result(page: Any, job: str, path: Path) -> None:
    """The most joyful moment."""
    page.goto(f"/jobs/{job}")
    page.locator("#play:enabled").wait_for()
    page.locator("[data-emotion=joy]").click()
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    page.screenshot(path=path)


def live(page: Any, path: Path) -> None:
    """The first decisions."""
    page.goto("/live")
    page.get_by_role("button", name="Start").click()
    page.locator(".decision:is(.final, .revised)").first.wait_for()
    page.wait_for_timeout(4000)
    page.screenshot(path=path)
    page.get_by_role("button", name="Stop").click()
    page.locator("#state[data-state=ended]").wait_for()


def why(page: Any, job: str, path: Path) -> None:
    """The explanation of the most joyful moment."""
    page.goto(f"/jobs/{job}")
    page.locator("[data-emotion=joy]").click()
    page.get_by_role("button", name="Why?").click()
    page.locator(".figure img").first.wait_for()
    page.wait_for_timeout(1500)
    page.screenshot(path=path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), IMAGES)
