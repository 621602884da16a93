"""Every Python block of every page runs, in order, and every `clipcond` command of a page is understood."""

import shlex
from pathlib import Path

import pytest

from clipcond.cli.main import build_parser
from tests.docs.readers import ELSEWHERE, PAGES, ROOT, blocks, pages_with


def test_every_page_with_python_is_run_by_a_test():
    assert {*pages_with("python", "py", "pycon")} ^ {*PAGES, *ELSEWHERE} == set()
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text()


@pytest.mark.filterwarnings(
    "ignore:a1111",  # a random encoder's states have mean zero
    "ignore:This DataLoader will create",  # more workers than a small machine has cores
    "ignore::clipcond.errors.HeldOutWarning",
    "ignore::clipcond.errors.CircularScoreWarning",
)
@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=pytest.mark.slow) if PAGES[p].slow else p for p in PAGES]
)
def test_every_block_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = PAGES[page].given(tmp_path)
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)
    assert PAGES[page].shows(names)
    printed = capsys.readouterr().out
    for said in (*PAGES[page].prints, *blocks(page, "text")):
        assert said in printed


@pytest.mark.parametrize("page", pages_with("sh"))
def test_every_command_is_understood(page):
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and Path(words[0]).name == "clipcond" and words[1:] != ["--help"]:
                build_parser().parse_args(words[1:])
