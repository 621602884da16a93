"""Work that can be watched and stopped."""

import threading

import pytest

from demos.stream import Stopped, Switches, watch


def test_the_last_item_always_arrives():
    seen = list(watch(lambda emit: [emit(i) for i in range(1000)], threading.Event()))
    assert seen[-1] == 999
    assert seen == sorted(seen)


def test_a_pressed_switch_ends_the_work_at_its_next_step():
    switch, reached = threading.Event(), []

    def work(emit):
        for i in range(10**9):
            reached.append(i)
            emit(i)
            if i == 3:
                switch.set()

    with pytest.raises(Stopped):
        list(watch(work, switch))
    assert reached == [0, 1, 2, 3, 4]


def test_work_that_was_stopped_while_it_waited_never_begins():
    switches = Switches()
    switches.arm("me")
    switches.stop("me")
    with pytest.raises(Stopped):
        list(watch(lambda emit: pytest.fail("it began"), switches.of("me")))


def test_leaving_early_stops_the_work():
    switch, ended = threading.Event(), threading.Event()

    def work(emit):
        try:
            while True:
                emit(0)
        finally:
            ended.set()

    for _ in watch(work, switch):
        break
    assert ended.wait(5)


def test_an_error_in_the_work_comes_out():
    def work(emit):
        emit(1)
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        list(watch(work, threading.Event()))


def test_switches_are_each_sessions_own():
    switches = Switches()
    mine, yours = switches.arm("me"), switches.arm("you")
    switches.forget("me")
    assert mine.is_set()
    assert not yours.is_set()
    assert not switches.of("me").is_set()
