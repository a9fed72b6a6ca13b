"""The player of the report in a real browser: it plays, it magnifies the movement, it takes out the head's motion."""

from __future__ import annotations

import base64
import re

import Utils  # noqa: F401  isort: skip; before cv2: it sets the limit of pixels
import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.support.browser import PHONE, violations, wait_until
from tests.support.face_crops import mark, moved_crop
from tests.support.report_examples import CLASSES, CORNER, FPS, curve, write_example
from Utils.faces.rectangles import CROP_SIZE
from Utils.report.clip import ClipFrames, clip_data
from Utils.report.pages import write_report

LAPTOP = {"width": 1400, "height": 900}
STILL = {"viewport": LAPTOP, "reduced_motion": "reduce"}  # nothing plays by itself
SCREEN = 320  # pixels of the player's canvas
EYE = 44  # a landmark that does not move


@pytest.fixture(scope="session")
def swaying(tmp_path_factory):
    """A report of a face that only moves as a whole: 2 pixels to the right and 1 down by its apex."""
    shifts = np.minimum(np.arange(23), 22 - np.arange(23)) / 11
    crops = [cv2.cvtColor(moved_crop(right=2 * s, down=s), cv2.COLOR_GRAY2BGR) for s in shifts]
    data = clip_data(ClipFrames(tuple(range(13, 36)), 13), crops, FPS)
    path = tmp_path_factory.mktemp("swaying") / "report.html"
    write_report(path, "a", [curve("", "a", [(13, 24, 35, "negative", 0.5)], clip=lambda *_: data)], CLASSES)
    return path


def choose(page, nth: int = 0) -> None:
    """Select an expression of the table, and wait for its pictures."""
    page.locator("#expressions .choose").nth(nth).click()
    wait_until(page, "player.clip !== null && document.getElementById('screen').dataset.frame !== undefined")


def shown(page) -> int:
    """The number of the frame that is shown."""
    return int(page.locator("#screen").get_attribute("data-frame"))


def pixels(page, selector: str = "#screen") -> np.ndarray:
    """What a canvas shows, gray, uint8."""
    uri = page.locator(selector).evaluate("canvas => canvas.toDataURL()")
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def draw(page, frame: int, times: int = 1, still: bool = True, arrows: bool = False) -> np.ndarray:
    """Set the controls as a user does, go to a frame, and give what is shown."""
    page.locator("#magnify").fill(str(times))
    page.locator("#still").set_checked(still)
    page.locator("#arrows").set_checked(arrows)
    page.locator("#frame").fill(str(page.evaluate("frame => player.clip.frames.indexOf(frame)", frame)))
    assert shown(page) == frame
    return pixels(page)


def shift_between(first: np.ndarray, second: np.ndarray, landmark: int) -> np.ndarray:
    """How far the picture has moved at a landmark, in pixels of the crop: [right, down]."""
    scale = SCREEN / CROP_SIZE
    place = np.array([[mark(landmark)]], np.float32) * scale
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, place, None, winSize=(31, 31), maxLevel=3)
    assert found.all()
    return (moved - place)[0, 0] / scale


def test_it_plays_and_pauses(report, visit_still):
    page = visit_still(report)
    choose(page)
    page.locator("#speed").select_option("1")
    expect(page.locator("#play")).to_have_text("Pause")
    wait_until(page, "player.at > 15")
    wait_until(page, "player.at < 8")  # it begins again
    page.locator("#play").click()
    at = shown(page)
    page.wait_for_timeout(200)
    assert shown(page) == at
    expect(page.locator("#play")).to_have_text("Play")


def test_the_speed_is_that_of_the_video_or_a_part_of_it(report, visit_still):
    page = visit_still(report, **STILL)
    choose(page)
    for speed, seconds in (("1", 0.4), ("0.25", 0.8)):
        page.locator("#speed").select_option(speed)
        passed = page.evaluate(
            """(wait) => new Promise((done) => {
                showFrame(0); startPlaying();
                setTimeout(() => { stopPlaying(); done(player.position); }, 1000 * wait);
            })""",
            seconds,
        )
        assert passed == pytest.approx(FPS * seconds * float(speed), abs=4)


def test_keys_play_and_step(report, visit_still):
    page = visit_still(report, **STILL)
    choose(page)
    assert shown(page) == 13  # five frames before the onset
    page.keyboard.press("ArrowRight")
    assert shown(page) == 14
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    assert shown(page) == 12 + 23  # the end
    page.locator("#frame").fill("11")
    expect(page.locator("#moment")).to_have_text("frame 24, 0.800 s, apex")
    page.locator("#frame").fill("13")
    expect(page.locator("#moment")).to_have_text("frame 26, 0.867 s, 8 after the onset")
    page.locator("body").press(" ")
    expect(page.locator("#play")).to_have_text("Pause")
    page.locator("body").press(" ")
    expect(page.locator("#play")).to_have_text("Play")
    page.keyboard.press("n")
    assert page.locator("#expressions tr[aria-current]").get_attribute("data-kind") == "=annotated"
    page.keyboard.press("p")
    assert page.locator("#expressions tr[aria-current]").get_attribute("data-kind") == "=predicted"
    page.get_by_label("Filter").press_sequentially("n p ")  # where text is written, keys have their own meaning
    assert page.get_by_label("Filter").input_value() == "n p "


def test_the_magnifier_makes_the_movement_larger_and_nothing_else(report, visit_still):
    page = visit_still(report, **STILL)
    choose(page)
    as_it_was = draw(page, 24)
    across, down = page.evaluate("([x, y]) => movementAt(player.clip, positionOf(24), x, y)", mark(CORNER))
    assert -1.1 < down < -0.4 and abs(across) < 0.1
    for times in (3, 6):
        moved = shift_between(as_it_was, draw(page, 24, times), CORNER)
        assert moved == pytest.approx([(times - 1) * across, (times - 1) * down], abs=0.35)
    assert np.abs(shift_between(as_it_was, draw(page, 24, 15), EYE)).max() < 0.4
    at_onset = draw(page, 18)
    np.testing.assert_array_equal(at_onset, draw(page, 18, 15))  # nothing has moved yet
    expect(page.locator("#times")).to_have_text("15 times as large")


def test_the_head_is_held_still_or_shown_as_it_moved(swaying, visit_still):
    page = visit_still(swaying, **STILL)
    choose(page)
    for times in (1, 8):
        held = shift_between(draw(page, 13, times), draw(page, 24, times), EYE)
        assert np.abs(held).max() < 0.35, times
        free = shift_between(draw(page, 13, times, still=False), draw(page, 24, times, still=False), EYE)
        assert free == pytest.approx([2, 1], abs=0.5)


def test_a_swaying_face_has_no_arrows_but_those_of_its_head(swaying, visit_still):
    page = visit_still(swaying, **STILL)
    choose(page)
    lengths = "head => arrowsOf(player.clip, positionOf(24), head).map((a) => Math.hypot(a[2], a[3]))"
    assert np.percentile(page.evaluate(lengths, False), 95) < 0.12  # too small to be drawn
    assert np.median(page.evaluate(lengths, True)) == pytest.approx(5**0.5, abs=0.2)
    plain = draw(page, 24, still=False)
    assert (draw(page, 24, still=False, arrows=True) != plain).mean() > 0.05
    expect(page.locator("#arrows-note")).to_contain_text("with the head's")


def test_arrows_point_where_the_face_moves(report, visit_still):
    page = visit_still(report, **STILL)
    choose(page)
    arrows = np.array(page.evaluate("arrowsOf(player.clip, positionOf(24), false)"))
    longest = arrows[np.hypot(arrows[:, 2], arrows[:, 3]).argmax()]
    assert np.hypot(*(longest[:2] - mark(CORNER))) < 12 and longest[3] < -0.4 and abs(longest[2]) < 0.3
    plain, drawn = draw(page, 24), draw(page, 24, arrows=True)
    changed = np.argwhere(plain != drawn) * CROP_SIZE / SCREEN
    near = np.hypot(*(changed - mark(CORNER)[::-1]).T) < 25
    in_the_scale = (changed[:, 0] > 115) & (changed[:, 1] < 70)
    assert near.sum() > 200 and in_the_scale.sum() > 500
    expect(page.locator("#arrows-note")).to_have_text(re.compile(r"without the head's\. Red: \d\.\d px of the crop"))


def test_small_pictures_lead_to_onset_apex_and_offset(report, visit_still):
    page = visit_still(report, **STILL)
    choose(page)
    for name, frame in (("onset", 18), ("apex", 24), ("offset", 30), ("movement", 24)):
        button = page.locator(f"#pictures [data-shows={name}]")
        assert pixels(page, f"#pictures [data-shows={name}] canvas").std() > 10
        button.click()
        assert shown(page) == frame
    expect(page.locator("#arrows")).to_be_checked()
    page.locator("#expressions tr").filter(has_text="annotated").filter(has_text="2.33").locator(".choose").click()
    expect(page.locator("#pictures [data-shows=apex]")).to_be_disabled()  # it is not annotated


def test_what_has_no_pictures_says_so(report, visit_still):
    page = visit_still(report)
    choose(page)
    page.locator("#expressions tr").filter(has_text="3.07").locator(".choose").click()
    expect(page.get_by_text("There are no pictures of this expression.")).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()


def test_every_expression_has_an_address(report, visit_still):
    page = visit_still(report, **STILL)
    choose(page, 5)
    assert page.evaluate("location.hash") == "#expression-1-0"
    page.evaluate("location.hash = '#expression-0-1'")
    expect(page.locator("#selection")).to_contain_text("s1/a: predicted negative, 1.67 to 2.07 s")
    page.goto(f"{report.as_uri()}#expression-1-1")
    page.reload()
    expect(page.locator("#selection")).to_contain_text("s1/b: annotated negative")
    page.goto(f"{report.as_uri()}#expression-9-9")
    page.reload()
    expect(page.locator("#selection")).to_contain_text("No expression is selected")


@pytest.mark.parametrize("options", [STILL, {"viewport": PHONE, "has_touch": True, "is_mobile": True}])
def test_the_face_is_visible_where_one_has_clicked(report, visit, options):
    page = visit(report, **options)
    bar = page.locator("#plot .barlayer .point path").first
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert "is_mobile" not in options or box["height"] > 28  # for a thumb
    (page.touchscreen.tap if "is_mobile" in options else page.mouse.click)(
        box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    )
    expect(page.locator("#player")).to_be_visible()
    expect(page.locator("#screen")).to_be_in_viewport(ratio=1)
    page.locator("#expressions .choose").last.scroll_into_view_if_needed()
    page.locator("#expressions .choose").nth(5).click()
    expect(page.locator("#selection")).to_contain_text("s1/b")
    expect(page.locator("#screen")).to_be_in_viewport(ratio=1)


def test_the_videos_can_be_opened_at_the_expression(tmp_path, visit_still):
    videos = {"overlay.mp4": "overlay.mp4", "the original video": "../my #1.mp4"}
    links = {"expressions.csv": "expressions.csv", "ELAN file": "a b.eaf"}
    path = tmp_path / "report.html"
    write_report(path, "a", [curve("", "a", [(30, 36, 45, "negative", 0.5)])], CLASSES, videos=videos, links=links)
    page = visit_still(path, **STILL)
    expect(page.locator("#jump")).to_be_hidden()
    page.locator("#expressions .choose").click()
    found = page.locator("#jump a").evaluate_all("all => all.map((link) => link.getAttribute('href'))")
    assert found == ["./overlay.mp4#t=0.50,2.00", "./../my%20%231.mp4#t=0.50,2.00"]
    assert page.get_by_role("link", name="ELAN file").get_attribute("href") == "./a%20b.eaf"


def test_a_page_that_is_still_being_read_waits_for_its_pictures(report, visit_still):
    page = visit_still(report, **STILL)
    page.evaluate(
        """() => {
            window.late = document.getElementById("clip-0-0");
            window.late.remove();
            Object.defineProperty(document, "readyState", { value: "loading", configurable: true });
        }"""
    )
    page.locator("#expressions .choose").first.click()
    expect(page.get_by_text("The pictures are being loaded.")).to_be_visible()
    page.evaluate("() => { document.body.append(window.late); document.dispatchEvent(new Event('DOMContentLoaded')); }")
    expect(page.locator("#screen")).to_be_visible()


def test_no_column_is_cut_off_and_no_space_is_left_empty(report, visit_still):
    page = visit_still(report, viewport=PHONE)
    choose(page)
    box = page.locator("#expressions").bounding_box()
    ends = "all => all.map((cell) => [cell.getBoundingClientRect().left, cell.getBoundingClientRect().right])"
    cells = page.locator("#expressions tbody tr").first.locator("> *")
    assert all(box["x"] - 1 <= left <= right <= box["x"] + box["width"] + 1 for left, right in cells.evaluate_all(ends))
    labels = cells.evaluate_all("all => all.map((cell) => cell.dataset.label)")
    assert labels[:4] == ["No.", "Video", "Kind", "Emotion"]
    page.evaluate("for (const closed of document.querySelectorAll('details')) closed.open = true")
    boxes = page.evaluate(
        "Array.from(document.querySelectorAll('.scroll'), (b) => [b.ariaLabel, b.scrollWidth - b.clientWidth])"
    )
    assert len(boxes) >= 6 and [name for name, cut in boxes if cut > 0] == []
    below = "document.body.scrollHeight - document.querySelector('main').getBoundingClientRect().bottom - scrollY"
    assert page.evaluate(below) < 60
    assert violations(page) == []


def test_the_pictures_come_after_everything_else(tmp_path):
    text = write_example(tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.index('id="clip-0-0"') > text.index("startPlayer()") > text.index('id="curve-0"')
