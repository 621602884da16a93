"""The page in a browser: every tab's main action, Stop, a toast, the address that draws again, dark, narrow."""

import re
from pathlib import Path

import pytest

from clipcond import emoji
from demos.screenshots import (
    attention,
    evaluate,
    judge,
    open_tab,
    search,
    steps,
    weights,
    world,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
QUICK = "candidates=2&steps=4"


def test_an_address_draws_and_a_picture_tells(visit):
    page = visit(f"?prompt=a+(fox:1.3)&seed=5&{QUICK}")
    page.wait_for_selector("#cards button.card")
    assert page.input_value("#prompt textarea") == "a (fox:1.3)"
    assert page.locator("#cards button.card").count() == 2
    second = page.locator('#cards [data-rank="1"]')
    seed = re.search(r"seed (\d+)", second.get_attribute("aria-label"))[1]
    second.click()
    page.wait_for_selector('#cards [data-rank="1"][aria-pressed="true"]')
    assert page.locator("#details dd").first.inner_text() == seed
    assert seed in {"5", "6"}
    page.wait_for_function("location.search.includes('seed=5')")


def test_keys_draw_and_stop_stops(visit, studio):
    page = visit("")
    page.get_by_text("Settings").click()
    page.locator("input[type=number][aria-label*=Steps]").fill("100")
    page.locator("input[type=number][aria-label*=Candidates]").fill("16")
    page.fill("#prompt textarea", "two cats")
    page.press("#prompt textarea", "Enter")
    page.wait_for_selector("#cards .soon")
    page.click("#draw-stop:not([disabled])")
    page.wait_for_selector("#status :text('Stopped at')")
    assert page.locator("#cards button.card").count() == 0
    page.wait_for_selector("#draw:not([disabled])")


def test_who_waits_sees_how_many_are_before(visit):
    first, second, third = (visit() for _ in "abc")
    for page in (first, second, third):
        page.get_by_text("Settings").click()
        page.locator("input[type=number][aria-label*=Steps]").fill("100")
        page.locator("input[type=number][aria-label*=Candidates]").fill("16")
    first.click("#draw")
    first.wait_for_selector("#status :text('denoising')")
    second.click("#draw")
    second.wait_for_selector("#status :text('queue: 1/1')")
    third.click("#draw")
    third.wait_for_selector("#status :text('queue: 2/2')")
    box, page_width = third.locator("#status .progress-text").bounding_box(), 1280
    assert box["height"] > 0
    assert box["x"] + box["width"] <= page_width
    for page in (third, second, first):
        page.click("#draw-stop")
    third.wait_for_selector("#status :text('Stopped at 0 %')")


def test_tokens_follow_the_typing(visit):
    page = visit()
    page.fill("#prompt textarea", "a (cat:0.5) (oops")
    page.wait_for_selector("#tokens .note pre")
    assert page.locator("#tokens span.down").inner_text().startswith("cat")


def test_an_error_is_a_toast(visit):
    page = visit()
    page.fill("#prompt textarea", "")
    page.click("#draw")
    page.wait_for_selector(".toast-body :text('nothing typed')")
    page.wait_for_selector("#draw:not([disabled])")


def test_the_other_tabs(visit):
    page = visit()
    weights(page)
    assert page.locator("#sweep img").count() == 21
    judge(page)
    assert page.locator("#judged section").count() == 2
    page.fill("#classes textarea", "cat, fox, rocket")
    page.click("#classify")
    page.wait_for_selector("#judged table.clauses")
    world(page)
    assert page.locator("#scenes .scene").count() == 2


def test_pictures_are_found_and_one_brings_more_like_it(visit):
    page = visit()
    search(page)
    assert page.locator("#searched button.card").count() == 24
    second = page.locator('#searched [data-rank="1"]')
    name = second.get_attribute("aria-label").split(",")[0]
    second.click()
    page.wait_for_function(
        f"document.querySelector('#search-status').innerText.includes('“{name}”')"
    )
    first = page.locator('#searched [data-rank="0"]').get_attribute("aria-label")
    assert first.startswith(f"{name}, cosine 1.000")


def test_steps_and_attention(visit):
    page = visit()
    open_tab(page, "Steps")
    page.fill("#steps-prompt textarea", "[a fox:a cat:0.5] and (oops")
    page.wait_for_selector("#timeline .note pre")
    page.fill("#steps-prompt textarea", "[a fox|a cat]")
    page.wait_for_selector("#timeline .blocks span:nth-child(20)")
    steps(page)
    assert page.locator("#mixture img").count() == 3
    assert page.locator("#interval img").count() == 2
    attention(page)
    assert page.locator("#looked img").count() == 8


def test_a_picture_to_start_from_comes_back_too(visit, tmp_path):
    emoji.render(emoji.sample(5), 320).save(tmp_path / "origin.png")
    page = visit()
    page.fill("#prompt textarea", "a fox and a blue circle")
    page.get_by_text("Start from a picture").click()
    page.set_input_files("#start-file input[type=file]", tmp_path / "origin.png")
    page.wait_for_selector("#start img")
    page.click("#draw")
    page.wait_for_selector("#visit [data-rank='0']")
    assert "prompt=" not in page.url
    page.click("#start-without")
    page.wait_for_selector("#start img", state="detached")
    page.click("#draw")
    page.wait_for_selector("#visit [data-rank='1']")
    page.wait_for_function("location.search.includes('prompt=')")
    page.click("#visit [data-rank='1']")
    page.wait_for_selector("#status :text('differs from what is set now: the picture to start')")
    page.wait_for_function("location.search === ''")
    page.click("#again")
    page.wait_for_selector("#start img")


def test_an_earlier_drawing_comes_back_and_one_thing_is_changed(visit):
    page = visit(f"?prompt=a+fox&seed=5&{QUICK}")
    page.wait_for_selector("#visit [data-rank='0']")
    page.fill("#prompt textarea", "a cat")
    page.press("#prompt textarea", "Enter")
    page.wait_for_selector("#visit [data-rank='1']")
    first = page.locator("#visit [data-rank='1']")
    assert first.get_attribute("aria-label").endswith("a fox")
    first.click()
    page.wait_for_selector("#status :text('One thing differs from what is set now: prompt.')")
    page.wait_for_function("location.search.includes('prompt=a+fox')")
    assert page.input_value("#prompt textarea") == "a cat"
    page.click("#again")
    page.wait_for_selector("#status :text('seed 5 too')")
    assert page.input_value("#prompt textarea") == "a fox"
    page.reload()
    page.wait_for_selector("#tokens .window")
    assert page.locator("#visit button").count() <= 1  # what the address draws


def test_two_ways_of_drawing_are_compared(visit):
    page = visit()
    evaluate(page)
    assert page.locator("#evaluated .said").count() == 3
    assert "A: 20 steps is better." in page.inner_text("#evaluated")
    with page.expect_download() as saved:
        page.click("#evaluate-report")
    assert "<svg" in Path(saved.value.path()).read_text()
    page.locator("#steps-B input[type=number]").fill("20")
    page.click("#evaluate")
    page.wait_for_selector(".toast-body :text('both are the same')")


def test_dark(visit):
    page = visit(color_scheme="dark")
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == "rgb(22, 21, 19)"


def test_a_telephone(visit):
    page = visit(f"?prompt=a+fox&{QUICK}", viewport={"width": 390, "height": 844})
    page.wait_for_selector("#cards button.card")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("Weights", "Steps", "Attention", "Judge", "Evaluate", "Search", "World"):
        open_tab(page, name)
        page.wait_for_selector(".tabitem:visible")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.wait_for_selector("#compose:visible")
