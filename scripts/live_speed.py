"""How long after the end of speech the studio's live page shows a decision on it.

    python scripts/live_speed.py CLIP [--ends 20]

A browser gets CLIP (a film of somebody who talks) and 2 s of silence as its camera and microphone,
again and again. The page itself notes when the microphone was last loud, and when the decision that
it shows changed next; a decision sooner than the pause that it waits for belongs to an earlier
pause and does not count. Needs the extras `web` and `test`, and the system's Chromium.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from studio_browser import fake_devices, running_chromium, running_studio

from avt_memocmt.service.live_worker import PAUSE

LOUD = 0.1
"""Share of the largest amplitude so far from which on somebody is heard."""
SILENCE = 1500
"""Milliseconds without sound that end a turn; the clip's own pauses are shorter."""
WATCH = """
() => {
  window.delays_ = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    const stream = await open(wishes);
    const sound = new AudioContext();
    const analyser = new AnalyserNode(sound, { fftSize: 256 });
    sound.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(256);
    let largest = 0, loud = 0, shown = [];
    new MutationObserver(() => shown.push(performance.now()))
      .observe(document.getElementById("now"), { childList: true });
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const peak = Math.max(...samples.map(Math.abs)), now = performance.now();
      largest = Math.max(largest, peak);
      if (peak > LOUD * largest) { loud = now; shown = []; return; }
      if (!loud || now - loud < SILENCE) return;
      const first = shown.find((time) => time - loud > PAUSE);
      if (first !== undefined) delays_.push(first - loud);
      loud = 0;
    }, 4);
    return stream;
  };
}
"""


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--ends", type=int, default=20, help="ends of speech to wait for")
    asked = parser.parse_args()
    names = {"LOUD": LOUD, "SILENCE": SILENCE, "PAUSE": 1000 * PAUSE}
    watch = WATCH
    for name, value in names.items():
        watch = watch.replace(name, str(value))
    with tempfile.TemporaryDirectory() as folder:
        flags = fake_devices(Path(folder), asked.clip)
        with running_studio(Path(folder) / "data") as studio, running_chromium(flags) as chromium:
            context = chromium.new_context(permissions=["camera", "microphone"])
            page = context.new_page()
            page.goto(f"{studio.url}/live")
            page.evaluate(watch)
            page.locator("#start").click()
            # Its content security policy lets the page itself evaluate no condition.
            while page.evaluate("delays_.length") < asked.ends:
                page.wait_for_timeout(500)
            delays = sorted(page.evaluate("delays_"))
    median, worst = statistics.median(delays), delays[round(0.95 * (len(delays) - 1))]
    print(
        f"end of speech to decision on the page: median {median:.0f} ms, 95 % {worst:.0f} ms, "
        f"shortest {delays[0]:.0f} ms, longest {delays[-1]:.0f} ms, {len(delays)} ends of speech"
    )


if __name__ == "__main__":
    main()
