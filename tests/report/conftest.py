"""A real browser for the tests of pages: Debian's chromium without a window, driven by Playwright."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.support.browser import DESKTOP
from tests.support.report_examples import write_example


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    return write_example(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def browser():
    program = shutil.which("chromium")
    if program is None:
        reason = "there is no chromium; install it with: apt-get update && apt-get install -y chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


# Plotly is not started, so the curve stays a still picture
NO_PLOTLY = "HTMLHeadElement.prototype.append = () => {};"


@pytest.fixture(scope="session")
def desktop_page(browser):
    """The page that most tests open their report in, one after the other: a new one takes a second of work."""
    with browser.new_context(viewport=DESKTOP) as context:
        yield context.new_page()


@pytest.fixture(scope="session")
def still_page(browser):
    """The same for tests that need no Plotly, which takes another second to start."""
    with browser.new_context(viewport=DESKTOP) as context:
        context.add_init_script(NO_PLOTLY)
        yield context.new_page()


@pytest.fixture
def visit(browser, desktop_page):
    """`visit(path, **context)`: the page, when its curve is drawn. `before` is JavaScript that runs before it.

    At the end it must have asked for nothing and complained of nothing.
    """
    yield from visits(browser, desktop_page)


@pytest.fixture
def visit_still(browser, still_page):
    """The same without Plotly: the curve is a still picture."""
    yield from visits(browser, still_page, NO_PLOTLY)


def visits(browser, shared_page, always=""):
    """`visit`, with the page that most tests share. `always` runs before every page."""
    contexts, pages, opened, complaints, requests = [], [], [], [], []
    heard = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "dialog": lambda dialog: (complaints.append("a dialog"), dialog.dismiss()),
        "request": lambda request: requests.append(request.url),
    }

    def open_page(path, before="", **options):
        page = shared_page
        if not opened and not before and options.keys() <= {"viewport", "reduced_motion", "color_scheme"}:
            page.set_viewport_size(options.get("viewport", DESKTOP))
            scheme, motion = options.get("color_scheme", "light"), options.get("reduced_motion", "no-preference")
            page.emulate_media(color_scheme=scheme, reduced_motion=motion)
        else:  # with a context of its own
            contexts.append(browser.new_context(**({"viewport": DESKTOP} | options)))
            page = contexts[-1].new_page()
            page.add_init_script(always + before)
        page.set_default_timeout(10_000)
        for event, hear in heard.items():
            page.on(event, hear)
        pages.append(page)
        opened.append(path.as_uri())
        page.goto(opened[-1])
        if not (always or before) and page.locator("#plot").count():
            page.locator("#plot .main-svg").first.wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    if shared_page in pages:
        for event, hear in heard.items():
            shared_page.remove_listener(event, hear)
        shared_page.evaluate("localStorage.clear()")
    assert {url.split("#")[0] for url in requests if not url.startswith(("data:", "blob:"))} == set(opened)
    assert complaints == []
