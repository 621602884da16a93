"""parse, --help and start-up: nothing heavy is loaded for words."""

import json
import subprocess
import sys

import pytest

from clipcond.cli import main

HEAVY = {"torch", "numpy", "transformers", "diffusers", "PIL", "tokenizers"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["generate", "--help"],
        ["parse", "a (cat:1.2)"],
        ["convert", "a [cat]", "--to", "compel"],
    ],
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
    assert json.loads(done.stdout) == {
        "segments": [["a ", 1.0], ["cat", 1 / 1.1]],
        "schedule": [[20, "a [cat]"]],
    }


def test_diagnostics_go_to_standard_error(capsys):
    assert main(["parse", "a (cat", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["segments"] == [["a ", 1.0], ["cat", 1.1]]
    assert "character 2" in err
    source, carets = err.splitlines()[1:]
    assert source[carets.index("^")] == "("


def test_the_schedule_is_of_the_steps_asked_for(capsys):
    assert main(["parse", "a [cat:dog:0.5]", "--steps", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "segments": [["a cat", 1.0]],
        "schedule": [[5, "a cat"], [10, "a dog"]],
    }


def test_other_dialects_branches_and_loras(capsys):
    assert main(["parse", '("a", "b+").blend(1, 3)', "--dialect", "compel", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["segments"], result["joined"]) == (None, "blend")
    assert [(b["weight"], b["segments"]) for b in result["branches"]] == [
        (0.25, [["a", 1.0]]),
        (0.75, [["b", 1.1]]),
    ]
    assert main(["parse", "<lora:x:0.5>", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loras"] == [["x", 0.5]]


def test_tables_of_branches_and_schedules(capsys):
    assert main(["parse", "a AND [dog:cat:0.5] (b :0.3"]) == 0
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines() if "cat" in line] == [["11-20", "cat", "(b"]]
    assert "AND, weight 0.3" in out.splitlines()
    assert ":cat:" not in out
    assert "[dog:cat:0.5]" in err, "no emoji for what stands between colons"


def test_operators_and_stretches_of_steps(capsys):
    asked = ["parse", "a [x|y|y] AND_PERP b :-1", "--dialect", "a1111+", "--steps", "4"]
    assert main(asked) == 0
    out = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "AND_PERP, weight -1" in out
    assert [line.split() for line in out if line[:1].isdigit()] == [
        ["1", "a", "x"],  # a weight
        ["1", "a", "x"],
        ["2-3", "a", "y"],
        ["4", "a", "x"],
        ["1", "b"],
    ]
    assert main([*asked, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [[b["operator"], b["weight"], b["text"]] for b in result["branches"]] == [
        ["AND", 1.0, "a [x|y|y]"],
        ["AND_PERP", -1.0, " b"],
    ]
    assert main(["parse", '("a", "b").blend(1, 1)', "--dialect", "compel", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [b["operator"] for b in result["branches"]] == ["blend", "blend"]


def test_convert(capsys):
    assert main(["convert", "a (cat:1.3) [dog]", "--to", "compel"]) == 0
    assert capsys.readouterr().out == "a (cat)1.3 (dog)0.9090909090909091\n"
    assert main(["convert", "(a)1.3", "--dialect", "compel", "--to", "a1111", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"text": "(a:1.3)", "losses": []}


def test_what_convert_loses_is_said(capsys):
    assert main(["convert", "a [b:c:3]", "--to", "comfy", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["text"] == "a b"
    assert "schedules are not kept" in result["losses"][0]
    assert "schedules are not kept" in err


def test_table(capsys):
    assert main(["parse", "a (cat:1.25)"]) == 0
    assert "1.25" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["parse", "x", "--dialect", "klingon"],
        ["convert", "x", "--to", "klingon"],
        ["parse", "(a:" + "9" * 500 + ")"],
    ],
)
def test_what_cannot_be_read_is_exit_code_2(arguments, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("clipcond: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [[], ["paint"], ["parse"], ["parse", "x", "--steps", "0"], ["convert", "x"]]
)
def test_what_cannot_be_typed_is_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_open_is_chosen_by_a_seed(capsys, tmp_path):
    (tmp_path / "animal.txt").write_text("cat\ndog\n")
    said = set()
    for seed in range(12):
        asked = ["parse", "a (__animal__:1.2)", "--wildcards", str(tmp_path), "--seed", str(seed)]
        assert main([*asked, "--json"]) == 0
        out, err = capsys.readouterr()
        animal = json.loads(out)["segments"][1][0]
        assert f"expanded: a ({animal}:1.2)" in err
        said.add(animal)
    assert said == {"cat", "dog"}
    assert main(["parse", "a __animl__", "--wildcards", str(tmp_path)]) == 2
    assert "did you mean __animal__?" in capsys.readouterr().err
    assert main(["parse", "a {b|c}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["segments"] == [["a {b|c}", 1.0]]
    assert "--wildcards" in err


def test_tags(capsys):
    assert main(["parse", "<lora:x:0.5:unet=1><hypernet:y>", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["loras"] == [["x", 0.5]]
    assert result["tags"] == [["lora", ["x", "0.5"], {"unet": "1"}], ["hypernet", ["y"], {}]]
