"""What the tests in a browser share: sizes of screens, and the check that a page can be used by everybody."""

from __future__ import annotations

import re
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1200, "height": 900}
CALM = {"viewport": DESKTOP, "reduced_motion": "reduce"}
NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # the time that the page writes into files


def wait_until(page, expression: str, seconds: float = 10) -> None:
    """Wait until an expression is true. Playwright's own function would need `eval`, which the page does not allow."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def violations(page) -> list[str]:
    found = Axe().run(page).response
    assert len(found["passes"]) > 20
    return [
        f"{v['id']}: {v['nodes'][0]['html']}" for v in found["violations"] if v["impact"] in ("serious", "critical")
    ]


def open_review(page):
    """Open the review, and select the first prediction. Returns the page."""
    page.locator("#review-bar summary").click()
    choose_prediction(page, 0)
    return page


def choose_prediction(page, nth: int) -> None:
    """Select the n-th prediction of the table, while the review is open."""
    page.locator("#expressions tr[data-kind='=predicted'] .choose").nth(nth).click()
    expect(page.locator("#review")).to_be_visible()
