"""parse, --help and start-up: nothing heavy is loaded for words."""

import json
import subprocess
import sys

import pytest

from clipcond.cli import main

HEAVY = {"torch", "numpy", "transformers", "diffusers", "PIL", "tokenizers"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["generate", "--help"], ["--version"], ["parse", "a (cat:1.2)"]]
)
def test_words_load_no_models(arguments):
    script = (
        "import sys; from clipcond.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as done: assert done.code == 0\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_clipcond_is_the_command():
    command = [sys.executable, "-m", "clipcond", "parse", "a [cat]", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"segments": [["a ", 1.0], ["cat", 1 / 1.1]]}


def test_diagnostics_go_to_standard_error(capsys):
    assert main(["parse", "a (cat", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["segments"] == [["a ", 1.0], ["cat", 1.1]]
    assert "character 2" in err


def test_table(capsys):
    assert main(["parse", "a (cat:1.25)"]) == 0
    assert "1.25" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["parse", "x", "--dialect", "klingon"], ["parse", "(a:" + "9" * 500 + ")"]]
)
def test_what_cannot_be_read_is_exit_code_2(arguments, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("clipcond: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [[], ["paint"], ["parse"], ["parse", "x", "--steps", "0"]])
def test_what_cannot_be_typed_is_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
