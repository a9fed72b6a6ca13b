"""The HTML report in a real browser: Debian's chromium without a window, driven by Playwright."""

import csv
import re

import numpy as np
import pytest
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect

from tests.support.browser import DESKTOP, PHONE, violations
from tests.support.report_examples import (
    CLASSES,
    FPS,
    HOSTILE,
    SET_ASIDE,
    curve,
    evaluations_of,
    verified,
)
from Utils.report.contents import CSV_COLUMNS
from Utils.report.pages import write_index, write_report

HOVER = 150  # milliseconds; Plotly looks at the mouse every 50
DOUBLE_CLICK = 350  # milliseconds; Plotly takes two clicks in 300 as one double click


def column(page, number) -> list[str]:
    return page.locator(f"#expressions tbody tr:not([hidden]) > :nth-child({number})").all_inner_texts()


def chosen_row(page) -> list[str]:
    return page.locator("#expressions tr[aria-current=true] > *").all_inner_texts()


def shown_range(page) -> list[float]:
    return page.evaluate("document.getElementById('plot')._fullLayout.xaxis.range")


def test_the_curve_is_drawn(report, visit):
    page = visit(report)
    expect(page).to_have_title("Report of DEMO")
    lines = page.locator("#plot .scatterlayer .lines path.js-line")
    expect(lines).to_have_count(2)
    assert all(len(re.findall(r"[\d.]+,[\d.]+", line.get_attribute("d"))) > 30 for line in lines.all())
    expect(page.locator("#plot .barlayer .point")).to_have_count(5)  # 3 predicted, 2 annotated
    expect(page.locator("#plot .shapelayer path")).to_have_count(3)  # 2 annotated, the threshold
    assert page.locator("#plot .y2tick").all_text_contents() == ["annotated", "predicted"]
    expect(page.get_by_role("img", name="Score curve of s1/a")).to_have_accessible_description(
        re.compile(r"s1/a: 4\.0 seconds \(120 frames.*3 predicted, 2 annotated, 1 matched")
    )
    expect(page.get_by_text("threshold 0.250")).to_be_visible()
    expect(page.get_by_text("no face in frames 3 to 5")).to_be_visible()
    expect(page.get_by_text("These weights come from synthetic faces.")).to_be_visible()


def test_a_gap_in_the_scores_is_a_gap_in_the_curve(tmp_path, visit):
    scores = np.sin(np.arange(100) / 9)
    scores[40:60] = np.nan
    write_report(tmp_path / "report.html", "gap", [curve(n=100, raw=scores, smoothed=scores)], CLASSES)
    page = visit(tmp_path / "report.html")
    expect(page.locator("#plot path.js-line")).to_have_count(4)  # two pieces of each curve
    expect(page.get_by_role("combobox", name="Video")).to_be_hidden()  # there is one only
    expect(page.get_by_text("No expression was found.")).to_be_visible()


def test_a_row_selects_its_interval(report, visit_still):
    page = visit_still(report)
    page.locator("#expressions tbody tr").filter(has_text="s1/b").filter(has_text="predicted").click()
    assert chosen_row(page)[1:8] == ["s1/b", "predicted", "positive", "0.33", "0.73", "–", "yes"]
    expect(page.get_by_role("status").filter(has_text="s1/b: predicted positive, 0.33 to 0.73 s")).to_be_visible()
    expect(page.get_by_role("combobox", name="Video")).to_have_value("1")


def test_the_keyboard_selects_and_steps_on(report, visit_still):
    page = visit_still(report)
    button = page.get_by_role("button", name="show the annotated negative at 2.33 s of s1/a")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Next expression").press("Enter")
    assert chosen_row(page)[2:5] == ["predicted", "positive", "3.07"]
    page.get_by_role("button", name="Previous expression").press("Enter")
    page.get_by_role("button", name="Previous expression").press("Enter")
    assert chosen_row(page)[2:5] == ["predicted", "negative", "1.67"]
    expect(page.locator("#expressions tr[aria-current]")).to_have_count(1)


def point_at(page, seconds, height) -> tuple[float, float]:
    """Move the mouse to a time in the plot, on the "curve" or at a height in the tracks, and wait for Plotly."""
    x, y = page.evaluate(
        """([seconds, height]) => {
            const plot = document.getElementById("plot");
            plot.scrollIntoView({ block: "nearest" });
            const box = plot.getBoundingClientRect();
            const { xaxis, yaxis, yaxis2 } = plot._fullLayout;
            const smoothed = plot.data.find((trace) => trace.name === "smoothed");
            const y = height === "curve" ? yaxis._offset + yaxis.d2p(smoothed.y[Math.round(seconds * 30)])
                : yaxis2._offset + yaxis2.d2p(height);
            return [box.x + xaxis._offset + xaxis.d2p(seconds), box.y + y];
        }""",
        [seconds, height],
    )
    page.wait_for_timeout(DOUBLE_CLICK)  # a second click so soon would be part of a double one
    page.mouse.move(x - 30, y - 2)
    page.mouse.move(x, y)
    page.wait_for_timeout(HOVER)
    return x, y


def click_plot(page, seconds, height) -> None:
    page.mouse.click(*point_at(page, seconds, height))


def test_a_click_in_the_plot_selects(report, visit):
    page = visit(report)
    click_plot(page, 28.5 / FPS, 0.5)  # the lane of annotations
    assert chosen_row(page)[2:5] == ["annotated", "surprise", "0.67"]
    click_plot(page, 53 / FPS, 1.9)  # the lane of predictions
    assert chosen_row(page)[2:5] == ["predicted", "negative", "1.67"]
    click_plot(page, 72 / FPS, "curve")  # inside an annotation
    assert chosen_row(page)[2:5] == ["annotated", "negative", "2.33"]
    expect(page.locator("#plot .shapelayer path")).to_have_count(4)  # and the selection's frame


def test_hovering_tells_time_frame_and_scores(report, visit):
    page = visit(report)
    point = point_at(page, 2.8, "curve")
    label = page.locator("#plot .hoverlayer .hovertext").text_content()
    assert re.match(r"2\.800 s, frame 84\s*score 0\.\d{3}, raw -?0\.\d{3}", label)
    page.mouse.click(*point)
    assert chosen_row(page) == []  # there is no interval


def test_zooming_by_buttons_and_by_dragging(report, visit):
    page = visit(report)
    whole = shown_range(page)
    assert whole == pytest.approx([-0.5 / FPS, 119.5 / FPS])
    page.get_by_role("button", name="Zoom in").click()
    inner = shown_range(page)
    assert inner[1] - inner[0] == pytest.approx((whole[1] - whole[0]) / 2)
    page.get_by_role("button", name="Later").click()
    assert shown_range(page)[0] > inner[0]
    page.get_by_role("button", name="Whole video").click()
    assert shown_range(page) == pytest.approx(whole)
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 50, steps=4)
    page.mouse.up()
    assert shown_range(page) == pytest.approx([1.98, 2.98], abs=0.05)
    page.locator("#expressions .choose").first.click()  # at 0.6 s, out of sight: the plot moves there
    assert shown_range(page)[0] < 0.6 < 1.03 < shown_range(page)[1]
    page.get_by_role("button", name="Zoom to it").click()
    assert np.diff(shown_range(page)) == pytest.approx(8 * 13 / FPS)


def test_the_plot_can_be_saved(report, visit):
    page = visit(report)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SVG").click()
    assert download.value.suggested_filename == "score.svg"
    assert "<svg" in download.value.path().read_text(encoding="utf-8")[:200]


def test_the_selector_shows_one_video_at_a_time(report, visit):
    page = visit(report)
    choice = page.get_by_role("combobox", name="Video")
    assert choice.locator("option").all_text_contents()[2] == "s10/c (1 predicted)"
    expect(page.get_by_role("button", name="Previous video")).to_be_disabled()
    choice.select_option("2")
    expect(page.get_by_role("status").filter(has_text="s10/c is shown")).to_be_visible()
    expect(page.locator("#plot .barlayer .point")).to_have_count(1)
    expect(page.locator("#threshold")).to_be_hidden()
    expect(page.get_by_role("button", name="Next video")).to_be_disabled()
    page.get_by_role("button", name="Previous video").click()
    expect(choice).to_have_value("1")


def test_sorting_sorts(report, visit_still):
    page = visit_still(report)
    heading = page.get_by_role("columnheader", name="Score")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert column(page, 9) == ["0.305", "0.310", "0.400", "0.900", "–", "–", "–", "–"]
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert column(page, 9) == ["0.900", "0.400", "0.310", "0.305", "–", "–", "–", "–"]
    page.get_by_role("columnheader", name="Video").get_by_role("button").press("Enter")
    assert column(page, 2) == ["s1/a"] * 5 + ["s1/b"] * 2 + ["s10/c"]
    expect(page.locator("#expressions th[aria-sort]")).to_have_count(1)
    page.get_by_role("columnheader", name="Onset frame").get_by_role("button").click()
    assert column(page, 11) == ["10", "11", "18", "20", "30", "50", "70", "92"]
    for row in (1, 2):  # the order of the table is that of stepping
        page.get_by_role("button", name="Next expression").click()
        assert chosen_row(page)[10] == column(page, 11)[row - 1]


def test_filtering_filters(report, visit_still):
    page = visit_still(report)
    status = page.locator("#expressions-status")
    expect(status).to_have_text("8 of 8 shown.")
    page.get_by_label("Filter").fill("S1/A pred")
    expect(status).to_have_text("3 of 8 shown.")
    assert column(page, 4) == ["surprise", "negative", "positive"]
    page.get_by_role("combobox", name="Emotion").select_option("negative")
    assert column(page, 5) == ["1.67"]
    page.get_by_label("Filter").fill("")
    page.get_by_role("combobox", name="Kind").select_option("annotated")
    assert column(page, 2) == ["s1/a", "s1/b"]
    page.get_by_role("combobox", name="Kind").select_option("all")
    page.get_by_role("combobox", name="Emotion").select_option("unknown")
    assert column(page, 2) == ["s10/c"]


def rows_of(text: str) -> list[dict]:
    return list(csv.DictReader(text.splitlines(keepends=True), strict=True))


def test_copying_gives_the_shown_rows_as_csv(report, visit_still):
    page = visit_still(report, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("combobox", name="Kind").select_option("predicted")
    page.get_by_role("columnheader", name="Score").get_by_role("button").click()
    page.get_by_role("button", name="Copy as CSV").click()
    expect(page.locator("#expressions-status")).to_have_text("Copied 5 rows as CSV.")
    rows = rows_of(page.evaluate("navigator.clipboard.readText()"))
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert [row["score"] for row in rows] == ["0.305", "0.31", "0.4", "0.9", ""]
    first = {key: rows[0][key] for key in ("subject", "video", "kind", "onset", "apex", "offset", "emotion", "matched")}
    assert first == dict(subject="s1", video="b", kind="predicted", onset="10", apex="16", offset="22",
                         emotion="positive", matched="yes")  # fmt: skip


def test_where_copying_is_not_allowed_the_text_is_shown(report, visit_still):
    page = visit_still(report)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.get_by_role("button", name="Copy as CSV").click()
    area = page.get_by_label("The table as CSV")
    expect(area).to_be_focused()
    assert len(rows_of(area.input_value())) == 8
    assert area.evaluate("area => area.selectionEnd - area.selectionStart") > 300


def test_hostile_names_are_shown_and_not_run(tmp_path, visit):
    first, second, third = HOSTILE
    curves = [curve(first, second, [(18, 24, 30, third, 0.9)], [(20, 25, 31, third)], face=third, remarks=[first])]
    curves.append(curve(first, third, face=second))
    evaluations = evaluations_of(curves[:1], (third,))
    write_report(
        tmp_path / "report.html", first, curves, (third,), evaluations=evaluations, settings={second: {first: third}},
        remarks=[second], warnings=[third],
    )  # fmt: skip
    page = visit(tmp_path / "report.html")
    expect(page).to_have_title(first)
    expect(page.get_by_role("heading", level=1)).to_have_text(first)
    assert column(page, 2)[0] == f"{first}/{second}"
    page.locator("#expressions .choose").first.click()
    expect(page.locator("#selection")).to_contain_text(second)
    point_at(page, 29.3 / FPS, 0.5)
    hovered = page.locator("#plot .hoverlayer .hovertext").text_content()
    assert third.replace("\u2028", "") in hovered.replace("\u2028", "")
    page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
    assert page.locator("td", has_text=first).count() + page.locator("th", has_text=first).count() > 2
    assert page.locator("body img, body svg:not(#plot svg, #js-plotly-tester)").count() == 0
    assert page.evaluate("window.hacked") is None


def test_the_policy_lets_nothing_else_run_or_load(report, browser):
    page = browser.new_page()
    page.goto(report.as_uri())
    blocked = page.evaluate(
        """() => new Promise((resolve) => {
            const seen = [];
            document.addEventListener("securitypolicyviolation", (event) => {
                seen.push(event.effectiveDirective);
                if (seen.length === 4) resolve(seen.sort());
            });
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            const image = document.createElement("img");
            image.src = "https://example.org/x.png";
            const button = document.createElement("button");
            button.setAttribute("onclick", "window.hacked = 1");
            document.body.append(script, image, button);
            button.click();
            fetch("https://example.org/").catch(() => {});
        })"""
    )
    assert blocked == ["connect-src", "img-src", "script-src-attr", "script-src-elem"]
    assert page.evaluate("window.hacked") is None
    with pytest.raises(BrowserError, match="unsafe-eval"):  # after a timeout: Playwright's own calls may do it
        page.evaluate(
            "() => new Promise((done, fail) => setTimeout(() => { try { done(eval('1')); } catch (e) { fail(e); } }))"
        )
    page.close()


def test_what_was_set_aside_can_be_sorted_and_read(tmp_path, visit_still):
    aside = [*SET_ASIDE, {**SET_ASIDE[0], "kind": "head", "p_micro": 0.3, "flags": HOSTILE[1]}]
    write_report(tmp_path / "report.html", "a", [verified(flags=HOSTILE[0])], CLASSES, set_aside=aside)
    page = visit_still(tmp_path / "report.html", viewport=PHONE)
    table = page.get_by_role("table", name="Candidates that are not reported as micro-expressions")
    for heading, kinds in (("p(micro)", ["blink", "macro", "head"]), ("Kind", ["blink", "head", "macro"])):
        table.get_by_role("columnheader", name=heading).get_by_role("button").click()
        assert table.locator("tbody tr td:nth-child(3)").all_inner_texts() == kinds
    assert table.get_by_role("cell", name=HOSTILE[1]).count() == 1
    assert page.get_by_role("cell", name=HOSTILE[0]).count() == 1 and page.evaluate("window.hacked") is None
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []


def test_axe_finds_nothing_serious_in_light_and_dark_on_desktop_and_phone(report, visit):
    page = visit(report)
    page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
    page.locator("#expressions .choose").first.click()
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], (viewport, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def luminance(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_the_plot_follows_the_colour_scheme(report, visit):
    page = visit(report, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    line = page.locator("#plot .js-line").last
    stroke = "line => getComputedStyle(line).stroke"
    assert luminance(page.evaluate(background)) > 240 and luminance(line.evaluate(stroke)) < 50
    page.emulate_media(color_scheme="dark")
    expect(line).not_to_have_css("stroke", "rgb(27, 32, 38)")
    assert luminance(page.evaluate(background)) < 30 and luminance(line.evaluate(stroke)) > 200


def test_a_finger_scrolls_the_page_over_the_plot_and_taps_select(report, visit):
    page = visit(report, viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.getElementById('plot')._fullLayout.dragmode") is False
    page.locator("#plot").scroll_into_view_if_needed()
    bar = page.locator("#plot .barlayer .point path").first.bounding_box()
    page.touchscreen.tap(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    expect(page.locator("#expressions tr[aria-current]")).to_have_count(1)


def test_an_empty_report_opens(tmp_path, visit_still):
    write_report(tmp_path / "report.html", "nothing", [], CLASSES)
    page = visit_still(tmp_path / "report.html")
    expect(page.get_by_text("There is no video in this report.")).to_be_visible()


def test_the_index_lists_links_sorts_and_filters(tmp_path, visit_still):
    rows = [
        dict(
            video="b10.mp4",
            report="b#10/report.html",
            faces=2,
            expressions=12,
            per_minute=14.4,
            scored=50.0,
            seconds=60.0,
            set_aside="macro 3, blink 20",
            remarks=["footage, blur: amber", "scene cuts at 3.0 s"],
        ),
        dict(video=HOSTILE[1], report=None, expressions=None, seconds=None, problem="has no picture in it"),
        dict(video="b9.mp4", report="b9/report.html", expressions=3, seconds=600.0, problem=None, status="no face"),
    ]
    write_index(tmp_path / "index.html", "My videos", rows, warnings=["One failed."])
    (tmp_path / "b#10").mkdir()
    write_report(tmp_path / "b#10" / "report.html", "b10.mp4", [], CLASSES)
    page = visit_still(tmp_path / "index.html", viewport=PHONE)
    expect(page.get_by_text("3 videos, 1 failed.")).to_be_visible()
    names = page.locator("#videos tbody tr:not([hidden]) th")
    page.get_by_role("columnheader", name="Expressions").get_by_role("button").click()
    assert names.all_inner_texts() == ["b9.mp4", "b10.mp4", HOSTILE[1]]
    page.get_by_role("columnheader", name="Video").get_by_role("button").click()
    assert names.all_inner_texts()[1:] == ["b9.mp4", "b10.mp4"]
    row = page.locator("#videos tbody tr").filter(has_text="b10.mp4").locator("td")
    assert row.all_inner_texts() == ["done", "2", "12", "14.4", "macro 3, blink 20", "50.0", "60.0", "2"]
    page.locator("summary").click()
    expect(page.get_by_text("scene cuts at 3.0 s")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Filter").fill("failed")
    assert names.all_inner_texts() == [HOSTILE[1]]
    expect(page.get_by_role("cell", name="failed: has no picture in it")).to_be_visible()
    page.get_by_label("Filter").fill("")
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []


def test_the_index_opens_a_report_of_any_name(tmp_path, browser):
    folder = tmp_path / "50% #1? <b>"
    write_report(folder / "report.html", "opened", [], CLASSES)
    row = dict(video="x", report=f"{folder.name}/report.html", expressions=1, seconds=1.5, problem=None)
    write_index(tmp_path / "index.html", "videos", [row])
    page = browser.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    page.get_by_role("link", name="x").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("opened")
    page.close()


def test_the_faces_of_one_video_are_told_apart(tmp_path, visit_still):
    faces = [curve("", "talk.mp4", [(18, 24, 30, "surprise", 0.9)], face=face) for face in ("1", "2")]
    write_report(tmp_path / "report.html", "talk.mp4", faces, CLASSES)
    page = visit_still(tmp_path / "report.html")
    expect(page.get_by_text("1 video, 2 predicted expressions.")).to_be_visible()
    page.get_by_role("button", name="Next face").click()
    expect(page.get_by_role("img", name="Score curve of talk.mp4, face 2")).to_be_visible()
    assert column(page, 2) == ["1", "2"]  # no column for the video, nor for what annotated intervals have
    expect(page.get_by_role("columnheader")).to_have_count(11)
    page.locator("#expressions .choose").first.click()
    expect(page.get_by_role("combobox", name="Face")).to_have_value("0")
    assert "matched" not in page.locator("#selection").inner_text()
