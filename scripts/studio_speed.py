"""How fast the studio's pages are: start, first view of an hour of 1,500 utterances, frames.

    python scripts/studio_speed.py FILM.mp4

The hour is FILM again and again, without encoding, and made decisions. A frame lasts from one
callback of the browser's requestAnimationFrame to the next, at 60 a second 16.7 ms at best; work is
what the browser's own Long Animation Frames (over 50 ms) and its counters of script, style and
layout say. Needs the extras `web` and `test`, and the system's Chromium.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from studio_browser import running_chromium, running_studio

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.service.database import open_database
from avt_memocmt.service.job_files import FACES, FRAMES, PREDICTION, JobFiles
from avt_memocmt.service.models import Kind
from avt_memocmt.service.settings import ServiceSettings
from avt_memocmt.service.store import Finding, JobStore, new_job

HOUR, COUNT, SPEAKERS = 3600.0, 1500, 4
RUNS = 5
WATCH = """
() => {
  const isFirst = !window.frames_;
  window.frames_ = []; window.long_ = [];
  if (!isFirst) return;
  new PerformanceObserver(list => long_.push(...list.getEntries().map(entry => entry.duration)))
    .observe({type: "long-animation-frame"});
  let last = performance.now();
  const next = now => { frames_.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}
"""


def main(film: Path) -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        job = make_hour(data, film)
        began = time.monotonic()
        with running_studio(data) as studio, running_chromium() as chromium:
            page = chromium.new_page(base_url=studio.url, viewport={"width": 1280, "height": 900})
            page.goto("/")
            page.locator("#jobs .job").wait_for()
            print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
            print("| case | figure |\n|---|---|")
            print(f"| `serve` to its address | {studio.ready - began:.2f} s |")
            views = [first_view(chromium, studio.url, job) for _ in range(RUNS)]
            print(f"| library, warm: first view | {library(page):.2f} s |")
            print(
                f"| result of an hour: first view, new browser, median of {RUNS} (longest) | "
                f"{statistics.median(views):.2f} s ({max(views):.2f} s) |"
            )
            page.goto(f"/jobs/{job}")
            page.locator("#moment .verdict").wait_for()
            page.wait_for_timeout(3000)
            for name, act in ACTIONS.items():
                print(f"| {name} | {frames(page, act)} |")


def make_hour(data: Path, film: Path) -> str:
    """Put an hour with its result into a data folder; return the id of the job."""
    chance = random.Random(0)
    utterances = _utterances(chance)
    prediction = {
        "media": "an hour.mp4",
        "duration": HOUR,
        "model": {"preset": "embedded", "version": "0"},
        "utterances": utterances,
        "warnings": [],
        "speakers": [
            {"id": f"S{n}", "name": None, "seconds": HOUR / SPEAKERS, "face": f"F{n}"}
            for n in range(1, SPEAKERS + 1)
        ],
        "faces": [{"id": f"F{n}", "seconds": HOUR / SPEAKERS} for n in range(1, SPEAKERS + 1)],
    }
    files = JobFiles(data)
    store = JobStore(open_database(ServiceSettings(data=data).database_url))
    upload = files.new_folder()
    picture = _repeat(film, upload / "media.mp4")
    job = new_job("an hour.mp4", {}, media="media.mp4", kind="video", duration=HOUR, has_audio=True)
    files.keep_upload(upload, job)
    store.add(job, 1)
    claimed = store.claim(Kind)
    assert claimed is not None
    task, job = claimed
    result = files.result(job, task.revision)
    (result / FACES).mkdir(parents=True)
    (result / PREDICTION).write_text(json.dumps(prediction), "utf-8")
    frames = [
        [time_ / 4, 100 + chance.random(), 60, 120, 150, utterance["face"], True]
        for utterance in utterances
        for time_ in range(round(4 * utterance["start"]), round(4 * utterance["end"]))
    ]
    (result / FRAMES).write_text(json.dumps({"picture": picture, "faces": frames}), "utf-8")
    store.complete(task, Finding(HOUR, {"neutral": 1.0}))
    store.close()
    return job.id


def _utterances(chance: random.Random) -> list[dict[str, Any]]:
    words = ("what", "did", "you", "say", "about", "the", "house", "by", "the", "sea", "yesterday")
    found = []
    for index in range(COUNT):
        start = index * HOUR / COUNT
        probabilities = _probabilities(chance)
        speaker = chance.randint(1, SPEAKERS)
        modalities = {
            name: {"present": True, "weight": 0.333, "probabilities": _probabilities(chance)}
            for name in ("audio", "visual", "text")
        }
        found.append(
            {
                "start": round(start, 3),
                "end": round(start + chance.uniform(0.8, 2.3), 3),
                "speaker": f"S{speaker}",
                "text": " ".join(chance.choices(words, k=chance.randint(1, 20))),
                "text_source": "asr",
                "emotion": max(probabilities, key=lambda name: probabilities[name]),
                "confidence": max(probabilities.values()),
                "probabilities": probabilities,
                "modalities": modalities,
                "warnings": [],
                "face": f"F{speaker}",
                "faces": [],
            }
        )
    return found


def _probabilities(chance: random.Random) -> dict[str, float]:
    drawn = [chance.gammavariate(0.5, 1.0) for _ in EMOTIONS]
    return {name: round(x / sum(drawn), 4) for name, x in zip(EMOTIONS, drawn, strict=True)}


def _repeat(film: Path, target: Path) -> tuple[int, int]:
    """Write the packets of a film again and again until an hour is full; return its size."""
    with av.open(str(film)) as source, av.open(str(target), "w") as sink:
        picture = source.streams.video[0]
        streams = {s: sink.add_stream_from_template(s) for s in source.streams if s.type != "data"}
        packets = [
            (p.stream, bytes(p), p.pts, p.dts, p.time_base, p.is_keyframe, p.duration)
            for p in source.demux()
            if p.dts is not None
        ]
        first = min(float(dts * base) for *_, dts, base, _, _ in packets)
        last = max(float((pts + duration) * base) for *_, pts, _, base, _, duration in packets)
        length = last - first
        for number in range(int(HOUR / length) + 1):
            for stream, content, pts, dts, base, is_key, duration in packets:
                packet = av.Packet(content)
                shift = round(number * length / base)
                packet.pts, packet.dts, packet.time_base = pts + shift, dts + shift, base
                packet.is_keyframe, packet.duration = is_key, duration
                packet.stream = streams[stream]
                sink.mux(packet)
        return picture.width, picture.height


def first_view(chromium: Any, url: str, job: str) -> float:
    """Seconds from the call of the result page to its first picture, with an empty cache."""
    context = chromium.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"/jobs/{job}", wait_until="commit")
    page.locator("#utterance-0").wait_for()
    shown = page.evaluate(
        "new Promise(done => requestAnimationFrame(() => setTimeout(() =>"
        "  done(performance.getEntriesByName('result-shown')[0].startTime))))"
    )
    paint = page.evaluate(
        "new Promise(done => new PerformanceObserver(list => done(list.getEntries().at(-1)"
        ".startTime)).observe({type: 'largest-contentful-paint', buffered: true}))"
    )
    context.close()
    return max(shown, paint) / 1000


def library(page: Any) -> float:
    """Seconds from the call of the first page to its list."""
    page.goto("/")
    page.locator("#jobs .job").wait_for()
    return (
        page.evaluate(
            "performance.getEntriesByType('resource')"
            ".find(entry => entry.name.includes('/v1/jobs')).responseEnd"
        )
        / 1000
    )


def frames(page: Any, act: Any) -> str:
    """Do something, and say how long the frames lasted and what they cost."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.evaluate(WATCH)
    before = _counters(session)
    act(page)
    after = _counters(session)
    lasted = page.evaluate("frames_")
    long = page.evaluate("long_")
    work = 1000 * sum(after[name] - before[name] for name in after) / len(lasted)
    ordered = sorted(lasted)
    high = ordered[int(0.99 * (len(ordered) - 1))]
    return (
        f"median {statistics.median(lasted):.1f} ms, 99 % {high:.1f} ms, longest {max(lasted):.1f} "
        f"ms; script, style and layout {work:.1f} ms a frame; {len(long)} over 50 ms"
    )


def _counters(session: Any) -> dict[str, float]:
    wanted = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {item["name"]: item["value"] for item in metrics if item["name"] in wanted}


def _scroll_list(page: Any) -> None:
    page.locator("#utterances").hover()
    for _ in range(120):
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(16)


def _pan_lanes(page: Any) -> None:
    page.locator("#lanes .lane-track").hover()
    for _ in range(120):
        page.mouse.wheel(60, 0)
        page.wait_for_timeout(16)


def _drag_moment(page: Any) -> None:
    box = page.locator("[role=slider]").bounding_box()
    page.mouse.move(box["x"], box["y"] + 20)
    page.mouse.down()
    for step in range(120):
        page.mouse.move(box["x"] + box["width"] * step / 120, box["y"] + 20)
        page.wait_for_timeout(16)
    page.mouse.up()


def _play(page: Any) -> None:
    page.locator("#play").click()
    page.wait_for_timeout(4000)
    page.locator("#play").click()


def _jump(page: Any) -> None:
    for _ in range(40):
        page.locator("[data-emotion=sadness]").click()
        page.wait_for_timeout(30)


ACTIONS = {
    "scrolling the list": _scroll_list,
    "moving the lanes": _pan_lanes,
    "dragging the moment over the hour": _drag_moment,
    "jumping to the saddest moments": _jump,
    "playing": _play,
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or not shutil.which("chromium"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
