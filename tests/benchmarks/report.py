"""How soon a report of one's own video shows its first screen, can be used, and shows an expression; and its size.

    python -m tests.benchmarks.report [number of expressions]

The page has so many expressions, each with a clip of 36 frames, and 10 minutes of scores. It is opened in Chromium
without a window, from the disk, five times; the median is printed.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from tests.support.report_examples import CLASSES, FPS, curve, moving_face
from Utils.report.clip import clip_data, frames_of_clip
from Utils.report.pages import write_report

TIMES = 5  # that the page is opened
SECONDS = 600  # of scores
NOISE = 6.0  # gray levels, so that the frames are as large as those of a usual camera

# `painted[part]`: milliseconds from the start of the navigation until this part of the curve is there and painted
WATCH = """
const parts = { still: "#plot .smoothed", plotly: "#plot .js-line" };
window.painted = {};
window.allPainted = new Promise((done) => new MutationObserver(() => {
    for (const [name, part] of Object.entries(parts)) {
        if (name in painted || !document.querySelector(part)) continue;
        painted[name] = null;
        const channel = new MessageChannel(); // its message comes when the frame has been painted
        channel.port1.onmessage = () => {
            painted[name] = performance.now();
            if (painted.plotly) done(painted);
        };
        requestAnimationFrame(() => channel.port2.postMessage(null));
    }
}).observe(document, { childList: true, subtree: true }));
"""
EXPRESSION = """async () => {
    const start = performance.now();
    await selectInterval(0, state.curve.intervals.length - 1);
    return performance.now() - start;
}"""


def write_large(path: Path, n: int) -> None:
    """Write a report with `n` expressions."""
    random = np.random.default_rng(0)
    frames = frames_of_clip(5, 20, 45, 0, 1000)
    crops = moving_face(len(frames.numbers))
    noisy = [np.clip(crop + random.normal(0, NOISE, crop.shape), 0, 255).astype(np.uint8) for crop in crops]
    data = clip_data(frames, noisy, FPS)
    length = int(SECONDS * FPS)
    starts = np.linspace(0, length - 60, n).astype(int)
    rows = [(start, start + 6, start + 12, "negative", 0.5) for start in starts.tolist()]
    write_report(path, "large", [curve("", "large", rows, n=length, clip=lambda *_: data)], CLASSES)


def main(n: int = 300) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        write_large(path, n)
        print(f"{n} expressions: {path.stat().st_size / 1e6:.1f} MB")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        first, plotly, whole, expression = [], [], [], []
        for _ in range(TIMES):
            page = browser.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
            page.add_init_script(WATCH)
            page.goto(path.as_uri())
            painted = page.evaluate("window.allPainted")
            first.append(painted["still"])
            plotly.append(painted["plotly"])
            whole.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            expression.append(page.evaluate(EXPRESSION))
            page.close()
        browser.close()
    measured = {
        "first screen, the curve a still picture": first,
        "the curve can be zoomed and clicked": plotly,
        "read to its end": whole,
        "an expression is shown after a click": expression,
    }
    for name, values in measured.items():
        print(f"{name}: {statistics.median(values):.0f} ms ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
