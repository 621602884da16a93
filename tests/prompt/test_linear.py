"""Reading is linear in the prompt's length, counted in characters and lines of code visited, not in seconds."""

import pkgutil
import re
import sys
from dataclasses import replace
from importlib import import_module

import pytest

import clipcond.prompt
from clipcond.errors import PromptSyntaxError
from clipcond.prompt import DIALECTS, parse

MODULES = [
    import_module(f"clipcond.prompt.{module.name}")
    for module in pkgutil.iter_modules(clipcond.prompt.__path__)
]
FILES = {module.__file__ for module in MODULES}
FAST = ["a, (b:1.1) ", "a:1 AND_TOPK [", "[a:b:0.5]", "[a|b", "((a)", "(a (b)+ = ", '("a" - ']
SLOW = [
    *("word ", "(a)", ": ", ":1", "a:b", "BREAK ", "\\(", "\\", " ", "]", ")", "\0\n", "(a) [b] "),
    *("[a|b]", "[a:b", "x:1 AND ", "<lora:", "<lora:a:1>", "|", '"', '"a" ', "(a)1.2 ", "a++ "),
    *(".attend(", ".blnd(1) ", '"(a" ', ",,", ",a", "(a)) ", "((a:1.2) b)", "a.b(", '("', '\\"'),
    *("withLora(", "withLora(a,1) ", "1.", "a-b+", "+ ", "(a) ((b ", "a:1 ", '",'),
    *("AND_PERP ", "AND_SALT [", "[a AND_X", "and_perp "),
    *("\n#a", "#", "//", "/* ", "*/", "<a:", "<a:b>", ",,b", "\\\\(", "{a|", "__a ", ":1,", "(a:)"),
]
UNITS = [*FAST, *(pytest.param(unit, marks=pytest.mark.slow) for unit in SLOW)]
WRAPS = ["{}", "({})", "[{}:1.5]", '("{}").and()', "(a {}", "(((a:1.2 {})))", '"{}"', "({})1.2"]


class Counter:
    """Characters that the modules' patterns and searches pass over, and lines of their code that run."""

    def __init__(self):
        self.visited = 0

    def pattern(self, pattern):
        return CountingPattern(pattern, self)

    def trace(self, frame, event, arg):
        if frame.f_code.co_filename not in FILES:
            return None
        self.visited += event == "line"
        return self.trace


class CountingPattern:
    def __init__(self, pattern, counter):
        self.pattern, self.counter = pattern, counter

    def count(self, found):
        self.counter.visited += 1 + (found.end() - found.start() if found else 0)
        return found

    def finditer(self, *arguments):
        return map(self.count, self.pattern.finditer(*arguments))

    def sub(self, replacement, text):
        self.counter.visited += len(text)
        return self.pattern.sub(replacement, text)

    def __getattr__(self, name):
        return lambda *arguments: self.count(getattr(self.pattern, name)(*arguments))


class CountingText(str):
    """A text that adds up how far its searches look."""

    __slots__ = ("counter",)

    def find(self, part, start=0, end=sys.maxsize):
        found = super().find(part, start, end)
        self.counter.visited += (found if found >= 0 else min(end, len(self))) - start
        return found

    def rfind(self, part, start=0, end=sys.maxsize):
        found = super().rfind(part, start, end)
        self.counter.visited += min(end, len(self)) - max(found, start)
        return found


@pytest.fixture
def visited(monkeypatch):
    counter = Counter()
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, counter.pattern(value))

    def count(text, dialect):
        counter.visited = 0
        counted = CountingText(text)
        counted.counter = counter
        before = sys.gettrace()
        sys.settrace(counter.trace)
        try:
            parse(counted, dialect)
        except PromptSyntaxError:
            pass
        finally:
            sys.settrace(before)
        return counter.visited

    return count


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("unit", UNITS)
def test_four_times_the_text_visits_four_times_as_much(visited, unit, dialect):
    for wrap in WRAPS:
        once, four = (visited(wrap.format(unit * n), dialect) for n in (24, 96))
        assert four < 5 * once + 500, wrap


def test_the_counter_sees_a_quadratic_reader(visited, monkeypatch):
    """The check above would fail for a reader that looks back at every word."""
    searched = CountingText("word " * 400)

    def look_back(source):
        for at in range(0, len(source), 5):
            source.find("nothing", 0, at)
        return plain.read(source)

    plain = DIALECTS["plain"]
    monkeypatch.setitem(DIALECTS, "plain", replace(plain, read=look_back))
    assert visited(searched, "plain") > 10 * visited("word " * 100, "plain")
