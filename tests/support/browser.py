"""What the tests in a browser share: sizes of screens, and the check that a page can be used by everybody."""

from __future__ import annotations

import time

from axe_playwright_python.sync_playwright import Axe

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1200, "height": 900}


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
