"""Makes the moving picture of the README: one expression that was found in a DEMO video (a synthetic face), as the
report's own player shows it, beside the same magnified.

    python main.py --video data/DEMO/rawpic/s15/15_0203fogharbour --fps 30 --output_dir OUT
    python -m tests.benchmarks.animation OUT/15_0203fogharbour/report.html docs/images/found.gif
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

from tests.support.browser import wait_until

EXPRESSION = "#expression-0-1"
TIMES = 6  # magnification
SIDE, MARGIN, CAPTION = 232, 8, 28  # pixels
SPEED = 0.25  # of the video's
COLOURS = 80  # of the GIF
PAUSE = 700  # milliseconds at the end


def shown(page, at: int, times: int) -> Image.Image:
    """What the player shows of a frame."""
    uri = page.evaluate(
        """([at, times, side]) => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = side;
            const view = { times, still: true, arrows: times > 1, longest: player.longest.true };
            drawFrame(canvas, player.clip, at, view);
            return canvas.toDataURL();
        }""",
        [at, times, SIDE],
    )
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")


def main(report: str, out: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(reduced_motion="reduce")
        page.goto(Path(report).resolve().as_uri() + EXPRESSION)
        wait_until(page, "player.clip !== null")
        fps, numbers = page.evaluate("[player.fps, player.clip.frames]")
        font = ImageFont.load_default(14)
        pictures = []
        for at, number in enumerate(numbers):
            picture = Image.new("RGB", (2 * SIDE + 3 * MARGIN, SIDE + MARGIN + CAPTION), "white")
            draw = ImageDraw.Draw(picture)
            for i, times in enumerate((1, TIMES)):
                left = MARGIN + i * (SIDE + MARGIN)
                picture.paste(shown(page, at, times), (left, MARGIN))
                text = f"{number / fps:.2f} s" if times == 1 else f"movement x {times}, head held still"
                draw.text((left, SIDE + MARGIN + 6), text, "black", font)
            pictures.append(picture.quantize(COLOURS))
        browser.close()
    steps = [round(1000 * (b - a) / fps / SPEED) for a, b in pairwise(numbers)]
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=[*steps, PAUSE], loop=0, optimize=True)
    print(f"{out}: {Path(out).stat().st_size / 1000:.0f} KB, {len(pictures)} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])
