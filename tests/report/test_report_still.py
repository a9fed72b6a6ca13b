"""The still picture of the curve, which is there before Plotly is, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.support.report_examples import CLASSES, curve
from Utils.report.pages import write_report

# Plotly waits for the next frame of the screen. No frame comes until `nextFrame()`.
NO_FRAMES = """
const waiting = [], really = window.requestAnimationFrame;
window.requestAnimationFrame = (callback) => waiting.push(callback);
window.nextFrame = () => { window.requestAnimationFrame = really; for (const callback of waiting) really(callback); };
"""
NEAR = 1.0  # pixel

BOXES = """(selector) => Array.from(document.querySelectorAll(selector), (element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    return [left, right, top, bottom];
})"""


def boxes(page, selector: str) -> np.ndarray:
    """Left, right, top and bottom of elements, pixels, from left to right."""
    return np.array(sorted(page.evaluate(BOXES, selector)))


@pytest.fixture
def still(report, visit):
    page = visit(report, before=NO_FRAMES)
    expect(page.locator("#plot .still")).to_be_visible()
    return page


def test_it_lies_where_plotly_draws(report, visit, still):
    page = visit(report)
    assert page.locator("#plot .still").count() == 0
    for ours, theirs in (
        ("#plot .raw, #plot .smoothed", "#plot .js-line"),
        ("#plot .bar", "#plot .barlayer .point > path"),
    ):
        found, expected = boxes(still, ours), boxes(page, theirs)
        assert found.shape == expected.shape and len(expected) in (2, 5)
        np.testing.assert_allclose(found, expected, atol=NEAR)
    sizes = [p.evaluate("document.getElementById('plot').offsetHeight") for p in (still, page)]
    assert sizes[0] == sizes[1], "nothing on the page moves when Plotly is there"


def test_the_page_can_be_used_before_plotly_is_there(still):
    page = still
    expect(page.get_by_role("button", name="Save as SVG")).to_be_disabled()
    page.locator("#expressions tr[data-kind='=predicted'] .choose").first.click()
    expect(page.locator("#plot .selected")).to_have_count(1)
    (whole,) = boxes(page, "#plot .selected")
    page.get_by_role("button", name="Zoom in").click()
    (larger,) = boxes(page, "#plot .selected")
    assert larger[1] - larger[0] == pytest.approx(2 * (whole[1] - whole[0]), abs=NEAR)
    page.locator("#review-bar summary").click()
    expect(page.locator("#review")).to_be_visible()
    page.evaluate("window.nextFrame()")
    expect(page.locator("#plot .js-line").first).to_be_attached()
    expect(page.locator("#plot .still")).to_have_count(0)
    expect(page.locator("#plot .shapelayer path")).to_have_count(4)  # the selection is still selected
    expect(page.locator("#plot-box .handle")).to_have_count(2)
    expect(page.get_by_role("button", name="Save as SVG")).to_be_enabled()


def test_a_gap_in_the_scores_is_a_gap(tmp_path, visit):
    scores = np.sin(np.arange(100) / 9)
    scores[40:60] = np.nan
    write_report(tmp_path / "report.html", "gap", [curve(n=100, raw=scores, smoothed=scores)], CLASSES)
    page = visit(tmp_path / "report.html", before=NO_FRAMES)
    for name in ("raw", "smoothed"):
        assert page.locator(f"#plot .{name}").get_attribute("d").count("M") == 2


def test_long_scores_are_drawn_with_their_lowest_and_highest(tmp_path, visit):
    """One frame of 20,000 is high: with one point in each column of pixels, it could be missed."""
    scores = np.zeros(20_000)
    scores[7_777] = 1.0
    content = curve(n=20_000, raw=scores, smoothed=scores, threshold=None)
    write_report(tmp_path / "report.html", "long", [content], CLASSES)
    page = visit(tmp_path / "report.html", before=NO_FRAMES)
    (box,) = boxes(page, "#plot .smoothed")
    assert box[3] - box[2] > 200
    assert len(page.locator("#plot .smoothed").get_attribute("d")) < 60_000


def test_a_blind_review_shows_no_scores(still):
    page = still
    page.locator("#review-bar summary").click()
    page.get_by_label("Blind").check()
    expect(page.locator("#plot .smoothed")).to_have_count(0)
    expect(page.locator("#plot .bar")).to_have_count(5)


def report_rows(page) -> list[str]:
    """The video of each row of the table."""
    return [text.strip() for text in page.locator("#expressions td.video").all_inner_texts()]


def test_the_other_kind_of_expressions_is_in_the_same_plot(tmp_path, visit):
    """Before Plotly has started and after it; not in a blind review."""
    scores = np.sin(np.arange(100) / 9)
    other = np.concatenate([np.full(10, np.nan), 2 + np.cos(np.arange(80) / 9)])
    one = [(18, 24, 30, "positive", 0.9)]
    contents = [curve("", "a", one, n=100, raw=scores, smoothed=scores, several_kinds=True, companion=("macro", other))]
    write_report(tmp_path / "report.html", "both", contents, CLASSES)
    page = visit(tmp_path / "report.html", before=NO_FRAMES)
    own, of_other = (boxes(page, f"#plot .{name}")[0] for name in ("smoothed", "companion"))
    assert of_other[3] < own[2] + NEAR and of_other[0] > own[0]  # higher up, and it begins later
    expect(page.locator("#curve-choice option")).to_have_text(re.compile(r"micro-expressions \("))
    assert report_rows(page) == ["a, micro"]
    expect(page.get_by_text("smoothed score of the other kind of expressions")).to_be_visible()
    page.evaluate("window.nextFrame()")
    expect(page.locator("#plot .scatterlayer .js-line")).to_have_count(3)
    (drawn,) = page.locator("#plot .scatterlayer .js-line").evaluate_all(
        "all => all.filter((line) => line.style.strokeDasharray).map((line) => line.getBoundingClientRect().bottom)"
    )
    assert drawn == pytest.approx(of_other[3], abs=3)
    page.locator("#review-bar summary").click()
    page.get_by_label("Blind").check()
    expect(page.locator("#plot .scatterlayer .js-line")).to_have_count(0)
