"""Errors and notes: colours on a terminal, never in a pipe unless they are forced, never where NO_COLOR is set."""

import os
import subprocess
import sys

import pytest

WRONG = {
    "a library's": ["parse", "a cat", "--dialect", "klingon"],
    "argparse's": ["parse", "a cat", "--steps", "0"],
    "a note": ["parse", "a (cat"],
}
SAYS = {"a library's": "'klingon'", "argparse's": "got 0", "a note": "character 2"}


def say(kind, *, terminal, **environment):
    """Standard error of a command, through a terminal of its own or a pipe."""
    command = [sys.executable, "-m", "clipcond", *WRONG[kind]]
    kept = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    kept |= {"TERM": "xterm", **environment}
    if not terminal:
        done = subprocess.run(command, env=kept, capture_output=True, check=False)
        return done.stderr.decode()
    pty = pytest.importorskip("pty", reason="needs a system with pseudo-terminals")
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=kept, stderr=theirs, stdout=subprocess.DEVNULL):
        os.close(theirs)
        said = b""
        try:
            while some := os.read(ours, 4096):
                said += some
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour(kind, terminal, environment, coloured):
    said = say(kind, terminal=terminal, **environment)
    assert SAYS[kind] in said
    assert ("\x1b" in said) == coloured


def test_an_error_is_one_line_however_narrow_the_terminal():
    said = say("a library's", terminal=True, COLUMNS="20")
    assert len(said.splitlines()) == 1
