"""`clipcond evaluate`: what is typed is done, said and left behind; what is wrong is one line."""

import json

import pytest

from clipcond import emoji
from clipcond.cli import main
from clipcond.tables import Column, read_rows, write_rows


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("prompt,category\na red heart,one\na fox,one\ntwo foxes,two\n")
    return file


def test_run_compare_and_the_table(prompts, tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "scores.csv"
    typed = [
        "evaluate",
        "run",
        "--prompts",
        str(prompts),
        "--steps",
        "1,2",
        "--seeds",
        "1",
        "--out",
        str(out),
    ]
    judged = ["--scorer", "judge", "--scorer", "oracle"]
    assert main([*typed, *judged, "--table", str(table), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 6
    assert {each["scorer"] for each in told["summary"]} == {"judge", "oracle"}
    assert (out / "report.html").is_file()
    read = list(read_rows(table, [Column("model", ""), Column("file", "")]))
    assert [model for model, _ in read] == ["emoji, 1 steps"] * 3 + ["emoji, 2 steps"] * 3
    assert all((out / file).is_file() for _, file in read)
    assert main([*typed, *judged]) == 0  # nothing to do
    said = capsys.readouterr()
    assert "emoji, 2 steps" in said.out
    assert "report.html shows them" in said.err
    page = tmp_path / "both.html"
    assert main(["evaluate", "compare", str(out), "--report", str(page)]) == 0
    assert "cannot tell" in capsys.readouterr().out
    assert page.is_file()
    assert main(["evaluate", "compare", str(out), "--baseline", "emoji, 1 steps", "--json"]) == 0
    assert {c["second"] for c in json.loads(capsys.readouterr().out)["comparisons"]} == {
        "emoji, 1 steps"
    }


def test_a_file_says_what_to_run(prompts, tmp_path, capsys):
    spec = tmp_path / "spec.toml"
    spec.write_text(
        'prompts = "prompts.csv"\nseeds = 1\nfirst_seed = 7\nscorers = ["oracle"]\n'
        '[[models]]\nname = "a"\nsteps = [1, 2]\n[[models]]\nname = "b"\nsteps = 1\ntemplate = "{prompt} on a pink background"\n'
    )
    assert (
        main(
            [
                "evaluate",
                "run",
                str(spec),
                "--first-seed",
                "0",
                "--out",
                str(tmp_path / "out"),
                "--json",
            ]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    table = (tmp_path / "out" / "scores.jsonl").read_text().splitlines()
    assert {json.loads(line)["seed"] for line in table} == {0}  # typed, though the file says 7
    models = {each["model"] for each in told["summary"]}
    assert models == {"a, steps 1", "a, steps 2", "b"}


def test_what_draws_is_said_in_one_place(tmp_path, capsys):
    spec = tmp_path / "spec.toml"
    spec.write_text("[[models]]\n")
    assert main(["evaluate", "run", str(spec), "--steps", "5", "--out", str(tmp_path / "out")]) == 2
    assert "--steps: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n[[models]]", "'x' is not known"),
        ("seeds = 1", r"has no [[models]]"),
        ("[[models]]\nstep = 3", "model 1: 'step' is no setting; choose among"),
        ("[[models]]\nsteps = 0", "model 1: steps: got 0"),
        ('[[models]]\ntemplate = "x"', "needs {prompt} in it"),
        ("seeds = -1\n[[models]]", "seeds is -1; write a whole number"),
        ("[[models]]\n[[models]]", "2 models are called 'emoji'"),
        ("[[models", "not readable as TOML"),
    ],
)
def test_a_file_that_says_what_there_is_not_is_one_line(text, said, tmp_path, capsys):
    spec = tmp_path / "spec.toml"
    spec.write_text(text)
    assert main(["evaluate", "run", str(spec), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_pictures_that_fail_are_named_and_the_rest_is_done(tmp_path, capsys):
    emoji.render(emoji.sample(0), 32).save(tmp_path / "0.png")
    rows = [
        {"file": "0.png", "prompt": emoji.caption(emoji.sample(0), 0)},
        {"file": "1.png", "prompt": "a fox"},
    ]
    write_rows(rows, tmp_path / "t.csv")
    out = tmp_path / "out"
    assert (
        main(
            [
                "evaluate",
                "pictures",
                str(tmp_path / "t.csv"),
                "--scorer",
                "oracle",
                "--out",
                str(out),
                "--write-geneval",
                str(tmp_path / "g.jsonl"),
            ]
        )
        == 1
    )
    said = capsys.readouterr().err
    assert "1.png: no such picture file; check the path" in said
    assert json.loads((tmp_path / "g.jsonl").read_text())["correct"] is True
    (tmp_path / "0.png").unlink()
    assert (
        main(
            [
                "evaluate",
                "pictures",
                str(tmp_path / "t.csv"),
                "--scorer",
                "oracle",
                "--out",
                str(tmp_path / "none"),
            ]
        )
        == 2
    )
    assert "none of the 2 pictures could be judged" in capsys.readouterr().err


def test_retrieval(tmp_path, capsys):
    rows = []
    for number in range(6):
        emoji.render(emoji.sample(number), 32).save(tmp_path / f"{number}.png")
        rows.append(
            {"file": f"{number}.png", "prompt": emoji.caption(emoji.sample(number), number)}
        )
    write_rows(rows, tmp_path / "t.csv")
    assert (
        main(["evaluate", "retrieval", str(tmp_path / "t.csv"), "--scorer", "judge", "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["text_to_image"]["10"] == 1.0
    assert main(["evaluate", "retrieval", str(tmp_path / "t.csv"), "--scorer", "judge"]) == 0
    assert "text to image R@1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["run", "--model", "emojii", "--out", "out"], "emojii: no such model"),
        (["run", "--prompts", "none.csv", "--out", "out"], "none.csv: no such file"),
        (["run", "--scorer", "nobody", "--out", "out"], "nobody"),
        (["pictures", "nowhere", "--out", "out"], "nowhere: no such folder or table"),
        (["compare", "nothing"], "holds no finished evaluation"),
    ],
)
def test_nothing_could_be_done_is_one_line_and_leaves_nothing(
    typed, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *typed]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not any(tmp_path.iterdir())


def test_evaluate_alone_tells_its_verbs(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    said = capsys.readouterr().out
    assert all(verb in said for verb in ("run", "pictures", "compare", "retrieval"))
