"""Reviewing predictions in the page, in a real browser: decisions, undo, what the browser keeps, blind mode, files."""

from __future__ import annotations

import csv
import re
from datetime import datetime

import pytest
from playwright.sync_api import expect

from tests.support.browser import CALM, DESKTOP, NOW, PHONE, choose_prediction, open_review, violations
from tests.support.report_examples import CLASSES, FPS, HOSTILE, curve, verified
from Utils.report.pages import REVIEWED_COLUMNS, write_report


@pytest.fixture
def reviewing(report, visit_still):
    """The example, open for review, with an expression selected: 18 to 30 of s1/a, surprise."""
    return open_review(visit_still(report, **CALM))


@pytest.fixture
def reviewing_plot(report, visit):
    """The same with Plotly, in whose plot one can click and drag."""
    return open_review(visit(report, **CALM))


def saved(page, button: str = "Save reviewed.csv") -> list[dict]:
    """The rows of the CSV that the page saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    assert re.fullmatch(r"reviewed.*\.csv", download.value.suggested_filename)
    text = download.value.path().read_bytes().decode("utf-8")
    rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
    assert tuple(rows[0]) == REVIEWED_COLUMNS
    return rows


def statuses(page) -> list[str]:
    return [row["status"] for row in saved(page)]


def test_a_pressed_button_can_be_read_under_the_mouse(reviewing):
    for selector in ("#accept", "#expressions tr[aria-current] .choose"):
        button = reviewing.locator(selector)
        button.click()
        button.hover()
        expect(button).to_have_attribute("aria-pressed", "true")
        colours = button.evaluate("b => [getComputedStyle(b).color, getComputedStyle(b).backgroundColor]")
        assert colours == ["rgb(255, 255, 255)", "rgb(11, 92, 173)"], selector


def test_decisions_are_saved_as_csv(reviewing):
    page = reviewing
    page.get_by_label("Coder").fill("A. B.")
    page.get_by_label("Coder").blur()
    page.get_by_role("button", name="Accept").click()
    choose_prediction(page, 1)
    page.get_by_role("button", name="Reject").click()
    choose_prediction(page, 2)
    page.locator("#review-emotion").select_option("surprise")
    page.get_by_label("Onset frame").fill("90")
    page.get_by_label("Onset frame").press("Enter")
    page.get_by_label("Offset frame").fill("97")
    page.get_by_label("Offset frame").press("Enter")
    page.get_by_label("Note").fill('eyes, "left"')
    page.get_by_label("Note").press("Enter")
    expect(page.locator("#review-count")).to_have_text("3 of 5 reviewed")
    rows = saved(page)
    assert [row["status"] for row in rows] == ["rejected" if i == 1 else "accepted" for i in range(3)] + [
        "unreviewed"
    ] * 2
    first = {key: rows[0][key] for key in REVIEWED_COLUMNS[:-2]}
    assert first == dict(
        subject="s1", video="a", face="", onset="18", apex="24", offset="30", onset_s="0.6", offset_s="1", score="0.9",
        emotion="surprise", confidence="", kind="micro", status="accepted", coder="A. B.",
    )  # fmt: skip
    third = {key: rows[2][key] for key in ("onset", "apex", "offset", "onset_s", "offset_s", "emotion", "note")}
    assert third == dict(
        onset="90", apex="97", offset="97", onset_s="3", offset_s="3.2333", emotion="surprise", note='eyes, "left"'
    )
    assert all(NOW.fullmatch(row["reviewed_at"]) for row in rows[:3])
    assert abs((datetime.now() - datetime.fromisoformat(rows[0]["reviewed_at"][:-1])).total_seconds()) < 60 * 60 * 15
    assert (rows[3]["coder"], rows[3]["reviewed_at"]) == ("", "")
    line = page.locator("#expressions tr[aria-current] > *").all_inner_texts()
    assert line[2:7] == ["predicted", "surprise", "3.00", "3.23", "accepted"]
    expect(page.locator("#selection")).to_contain_text("surprise, 3.00 to 3.23 s, frames 90 to 97")


def test_undo_takes_back_one_step_after_the_other(reviewing):
    page = reviewing
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    page.get_by_role("button", name="Accept").click()
    page.locator("#review-emotion").select_option("negative")
    page.get_by_role("button", name="Add a missed one").click()
    choose_prediction(page, 1)
    page.get_by_role("button", name="Reject").click()
    assert statuses(page)[:4] == ["added", "accepted", "rejected", "unreviewed"]
    undo.click()
    expect(page.locator("#selection")).to_contain_text("1.67 to 2.07 s")  # it shows what it took back
    undo.click()
    assert statuses(page) == ["accepted", *["unreviewed"] * 4]
    undo.click()
    assert saved(page)[0]["emotion"] == "surprise"
    undo.click()
    expect(undo).to_be_disabled()
    rows = saved(page)
    assert [row["status"] for row in rows] == ["unreviewed"] * 5 and rows[0]["reviewed_at"] == ""


def test_the_keyboard_is_enough(report, visit_still):
    page = visit_still(report, **CALM)
    page.locator("#review-bar summary").press("Enter")
    page.locator("#coder").blur()
    page.keyboard.press("n")
    page.keyboard.press("a")
    for _ in range(2):
        page.keyboard.press("n")
    expect(page.locator("#player")).to_be_visible()
    page.keyboard.press("r")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("[")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("]")
    page.keyboard.press("e")
    expect(page.locator("#review-emotion")).to_be_focused()
    page.keyboard.press("p")  # chooses "positive", and is no key of the page here
    page.locator("#review-emotion").blur()
    page.keyboard.press("m")
    rows = saved(page)
    assert [row["status"] for row in rows[:4]] == ["accepted", "added", "accepted", "unreviewed"]
    assert (rows[2]["onset"], rows[2]["offset"], rows[2]["emotion"]) == ("51", "52", "positive")
    assert (rows[1]["onset"], rows[1]["apex"], rows[1]["offset"], rows[1]["emotion"]) == ("46", "52", "58", "")
    page.keyboard.press("z")
    assert [row["status"] for row in saved(page)[:3]] == ["accepted", "accepted", "unreviewed"]


def test_keys_do_nothing_while_nobody_reviews(report, visit_still):
    page = visit_still(report, **CALM)
    page.locator("#expressions .choose").first.click()
    page.locator("#plot").hover()
    page.keyboard.press("r")
    expect(page.locator("#review")).to_be_hidden()
    expect(page.locator("#review-count")).to_have_text("0 of 5 reviewed")


def test_a_border_is_dragged_on_the_curve(reviewing_plot):
    page = reviewing_plot
    page.locator("#plot").scroll_into_view_if_needed()

    def at(seconds: float) -> tuple[float, float]:
        return page.evaluate(
            """(seconds) => {
                const box = byId("plot").getBoundingClientRect();
                const { xaxis, yaxis } = byId("plot")._fullLayout;
                return [box.x + xaxis._offset + xaxis.d2p(seconds), box.y + yaxis._offset + 60];
            }""",
            seconds,
        )

    for start, end in ((30.5 / FPS, 40.5 / FPS), (17.5 / FPS, 14.5 / FPS)):
        page.mouse.move(*at(start))
        page.mouse.down()
        page.mouse.move(*at((start + end) / 2), steps=4)
        page.mouse.move(*at(end), steps=4)
        page.mouse.up()
    row = saved(page)[0]
    assert (row["onset"], row["offset"], row["status"]) == ("15", "40", "accepted")
    expect(page.get_by_label("Offset frame")).to_have_value("40")


def test_impossible_borders_are_not_taken(reviewing):
    page = reviewing
    for label, text in (("Onset frame", "31"), ("Offset frame", "17"), ("Onset frame", "")):
        page.get_by_label(label).fill(text)
        page.get_by_label(label).press("Enter")
        page.get_by_label(label).blur()
    page.get_by_label("Offset frame").fill("100000")
    page.get_by_label("Offset frame").blur()
    row = saved(page)[0]
    assert (row["onset"], row["offset"]) == ("18", "119")  # the end of the video
    expect(page.get_by_label("Offset frame")).to_have_value("119")


def test_what_was_added_can_be_chosen_and_removed(reviewing_plot):
    page = reviewing_plot
    page.get_by_role("combobox", name="Video").select_option("1")
    page.get_by_role("button", name="Add a missed one").click()
    expect(page.locator("#selection")).to_contain_text("s1/b: predicted unknown")
    expect(page.locator("#review-count")).to_have_text("1 of 6 reviewed")
    choose_prediction(page, 0)
    page.locator("#expressions tr[data-added] .choose").click()
    expect(page.locator("#plot .barlayer .point")).to_have_count(3)
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#expressions tr[data-added]")).to_have_count(0)
    assert statuses(page) == ["unreviewed"] * 5


def test_the_browser_keeps_it(reviewing, report):
    page = reviewing
    page.get_by_label("Coder").fill("C")
    page.get_by_label("Coder").blur()
    page.get_by_role("button", name="Reject").click()
    page.get_by_role("button", name="Add a missed one").click()
    before = saved(page)
    page.reload()
    assert saved(page) == before
    expect(page.get_by_label("Coder")).to_have_value("C")
    expect(page.locator("#expressions tr[data-added]")).to_have_count(1)
    expect(page.locator("#expressions tr[data-status=rejected]")).to_have_count(1)


def test_a_review_of_other_results_is_not_mixed_in_and_not_lost(tmp_path, visit_still):
    path = tmp_path / "report.html"
    write_report(path, "a", [curve("", "a", [(18, 24, 30, "surprise", 0.9)])], CLASSES)
    page = open_review(visit_still(path, **CALM))
    page.get_by_role("button", name="Reject").click()
    write_report(path, "a", [curve("", "a", [(50, 56, 62, "negative", 0.7)])], CLASSES)
    page.goto(path.as_uri())
    page.reload()
    expect(page.locator("#review-messages")).to_contain_text("a review of other results of this page, with 1 decisions")
    open_review(page)
    assert statuses(page) == ["unreviewed"]
    (earlier,) = saved(page, "Save it as CSV")
    assert (earlier["onset"], earlier["status"]) == ("18", "rejected")


@pytest.mark.parametrize("broken", ["{", "[]", '{"rows": [["0-0", {}]], "coder": ""}', '{"rows": 3, "coder": ""}'])
def test_what_the_browser_keeps_and_cannot_be_read_is_left(report, visit_still, broken):
    page = visit_still(report, **CALM)
    name = page.evaluate("text => { localStorage.setItem(review.store, text); return review.store; }", broken)
    page.reload()
    expect(page.locator("#review-messages")).to_contain_text("cannot be read. It is left as it is")
    open_review(page).get_by_role("button", name="Accept").click()
    assert page.evaluate("name => localStorage.getItem(name)", name) == broken
    assert statuses(page)[0] == "accepted"


def test_a_browser_that_keeps_nothing_says_so(reviewing):
    page = reviewing
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#review-messages")).to_contain_text("This browser keeps no more for this page.")
    assert statuses(page)[0] == "accepted"


def test_a_blind_review_sees_neither_emotion_nor_score(tmp_path, visit):
    path = tmp_path / "report.html"
    more = dict(p_micro=0.87, motion_px=0.654, flags="unclear emotion")
    write_report(path, "a", [verified(**more)], CLASSES, set_aside=[])
    page = open_review(visit(path, **CALM))
    page.get_by_label("Blind").check()
    for secret in ("positive", "negative", "0.500", "0.87", "unclear"):
        everywhere = page.locator("main").inner_text().replace(page.locator("#review-emotion").inner_text(), "")
        assert secret not in everywhere, secret
    expect(page.locator("#plot .scatterlayer .js-line")).to_have_count(0)
    colours = page.locator("#plot .barlayer .point path").evaluate_all(
        "all => all.map((bar) => getComputedStyle(bar).fill)"
    )
    assert colours == ["rgb(140, 140, 140)"]
    page.get_by_role("button", name="Accept").click()
    (row,) = saved(page)
    assert (row["status"], row["emotion"], row["score"]) == ("accepted", "", "0.5")  # nobody has confirmed the emotion
    page.locator("#review-emotion").select_option("negative")
    assert saved(page)[0]["emotion"] == "negative"
    page.reload()
    expect(page.get_by_label("Blind")).to_be_checked()
    page.get_by_label("Blind").uncheck()
    expect(page.locator("#expressions tbody tr td.name").first).to_have_text("negative")


def test_a_blind_review_does_not_see_how_many_predictions_are_right(tmp_path, visit_still):
    path = tmp_path / "report.html"
    one = [(18, 24, 30, "positive", 0.9)], [(18, 24, 30, "positive")]
    curves = [curve("s1", name, *one) for name in "ab"]
    write_report(path, "a", curves, CLASSES)
    page = open_review(visit_still(path, **CALM))
    body, summary = page.locator("body"), page.locator("#plot-summary")
    assert "matched" in body.inner_text() and "the smoothed score lies" in summary.text_content()
    page.get_by_label("Blind").check()
    page.locator("#curve-choice").select_option("1")
    everything = body.inner_text() + summary.text_content()
    assert "1 predicted, 1 annotated" in everything
    assert "matched" not in everything and "smoothed score" not in everything
    page.get_by_label("Blind").uncheck()
    assert "s1/b (1 predicted, 1 annotated, 1 matched)" in body.inner_text()
    assert "the smoothed score lies" in summary.text_content()


def test_hostile_names_stay_text(tmp_path, visit_still):
    first, second, third = HOSTILE
    path = tmp_path / "report.html"
    write_report(path, first, [curve(first, second, [(18, 24, 30, third, 0.9)], face=third)], (third,))
    page = open_review(visit_still(path, **CALM))
    page.get_by_label("Coder").fill(first)
    page.get_by_label("Coder").blur()
    page.get_by_label("Note").fill(second)
    page.get_by_label("Note").blur()
    page.get_by_role("button", name="Add a missed one").click()
    added, row = saved(page)
    assert (row["subject"], row["video"], row["face"], row["emotion"]) == (first, second, third, third)
    assert row["note"] == second and added["coder"] == first[:60]
    page.reload()
    assert page.evaluate("window.hacked") is None and page.locator("main img, main svg:not(#plot svg)").count() == 0


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_everybody_can_review(report, visit, viewport):
    page = open_review(visit(report, viewport=viewport, reduced_motion="reduce"))
    page.get_by_role("button", name="Add a missed one").click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_without_predictions_one_can_still_add(tmp_path, visit_still):
    path = tmp_path / "report.html"
    write_report(path, "a", [curve("", "a")], CLASSES)
    page = visit_still(path, **CALM)
    page.locator("#review-bar summary").click()
    page.get_by_role("button", name="Add a missed one").click()
    (row,) = saved(page)
    assert (row["onset"], row["apex"], row["offset"], row["status"]) == ("54", "60", "66", "added")
