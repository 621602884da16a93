"""Guidance in an interval: what it leaves out is counted, and nobody else's picture feels it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from clipcond.errors import ClipcondError
from clipcond.hooks.session import session_of
from demos import interval, steps, timeline
from demos.interval import Comparison, Timed, compare, saving, strip
from demos.settings import Settings
from demos.stream import Stopped, Switches
from demos.studio import draw

SETTINGS = Settings(prompt="a fox", steps=5, seed=3)


def test_the_rows_that_are_left_out_are_those_of_the_steps_outside(studio):
    seen = []
    found = compare(studio, SETTINGS, (0.2, 0.6), seen.append)
    assert (found.whole.rows, found.part.rows, found.looks) == (10, 7, 5)
    assert found.not_computed == pytest.approx(0.3)
    assert found.whole.image.tobytes() != found.part.image.tobytes()
    assert len(seen) == 20
    assert not any(step.previews for step in seen)
    assert session_of(studio.pipe) is None
    assert not studio.pipe.unet._forward_pre_hooks


def test_the_whole_interval_is_plain_guidance(studio):
    found = compare(studio, SETTINGS, (0.0, 1.0), lambda _: None)
    assert found.part.rows == found.whole.rows == 10
    assert found.part.image.tobytes() == found.whole.image.tobytes()


def test_a_schedule_is_guided_in_an_interval_too(studio):
    settings = Settings(prompt="[a fox:a cat:0.5]", steps=4)
    assert compare(studio, settings, (0.5, 1.0), lambda _: None).part.rows == 6


def test_the_line_shows_the_guided_steps(studio):
    html = strip((0.2, 0.7), 20)
    assert [n for n in ("flex:4", "flex:10", "flex:6") if n in html] == [
        "flex:4",
        "flex:10",
        "flex:6",
    ]
    assert "10 of 20 steps are guided" in html
    assert "note bad" in steps._strip(studio, 20, (0.8, 0.2))
    assert "note bad" in steps._strip(studio, 20, (None, 0.2))


def test_an_interval_that_is_none_is_refused_before_anything_is_drawn(studio):
    with pytest.raises(ClipcondError, match="rising shares"):
        compare(studio, SETTINGS, (0.8, 0.2), lambda _: pytest.fail("it drew"))


def test_savings_in_words(studio):
    image = draw(studio, Settings(prompt="a", candidates=1, steps=1), lambda _: None)
    image = image.generation.images[0]

    def told(seconds):
        whole, part = (Timed(image=image, seconds=s, rows=r) for s, r in ((2, 40), (seconds, 30)))
        return saving(Comparison(interval=(0.2, 0.7), looks=20, whole=whole, part=part))

    assert told(1.5) == (
        "25% of the denoiser's rows were not computed: 30 in place of 40. The drawing took 1.50 s in place of 2.00 s: "
        "25% less."
    )
    assert "10% more" in told(2.2)


def test_the_page_shows_both(studio):
    *_, (_, html) = steps.timed(studio, Switches(), SETTINGS, ((0.2, 0.6), "me"))
    assert html.count("<img") == 2
    assert "guided from 20% to 60%" in html


def test_stopping_leaves_the_pipeline_as_it_was(studio):
    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        compare(studio, SETTINGS, (0.2, 0.6), stop)
    assert session_of(studio.pipe) is None
    assert not studio.pipe.unet._forward_pre_hooks


def test_clients_that_draw_at_once_do_not_touch_each_others_pictures(studio):
    plain = Settings(prompt="a red heart", candidates=1, steps=3)
    scheduled = Settings(prompt="[a fox:a pumpkin:0.5]", steps=3)
    works = {
        "plain": lambda: draw(studio, plain, lambda _: None).generation.images[0],
        "scheduled": lambda: timeline.mix(studio, scheduled, lambda _: None).whole,
        "in an interval": lambda: (
            interval.compare(studio, SETTINGS, (0.2, 0.6), lambda _: None).part.image
        ),
    }
    alone = {name: work().tobytes() for name, work in works.items()}
    together = Barrier(len(works))

    def at_once(work):
        together.wait()
        return work().tobytes()

    with ThreadPoolExecutor(len(works)) as pool:
        running = {name: pool.submit(at_once, work) for name, work in works.items()}
    assert {name: work.result() for name, work in running.items()} == alone
