"""clipcond tokens: the table, JSON, the page, and what is refused."""

import json

import pytest

from clipcond.cli import main
from tests import doubles as tiny
from tests.tiny import save_tiny_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model"))


def test_the_table_has_a_line_a_token(folder, capsys):
    assert main(["tokens", "a (red:1.3) cat BREAK sky", "--model", folder]) == 0
    out = capsys.readouterr().out
    assert "text_encoder, prompt: 4 tokens, 2 windows" in out
    assert "text_encoder, negative: 0 tokens, 1 window" in out
    rows = [line.split() for line in out.splitlines() if "red" in line or "sky" in line]
    assert (rows[0][0], rows[0][-1]) == ("1.3", "red")
    assert (rows[1][0], rows[1][-1]) == ("2", "sky")


def test_json_is_the_report(folder, capsys):
    assert (
        main(["tokens", "a (red:1.3) cat", "--negative", "bad", "--model", folder, "--json"]) == 0
    )
    seen = json.loads(capsys.readouterr().out)["text_encoder"]
    assert [t["weight"] for t in seen["prompts"][0]["tokens"]] == [1.0, 1.3, 1.0]
    assert seen["negative_prompts"][0]["text"] == "bad"


def test_every_encoder_of_a_family(tmp_path, capsys):
    tiny.flux().save_pretrained(tmp_path)
    assert main(["tokens", "a (red:1.3) cat", "--model", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "text_encoder, prompt" in out
    assert "text_encoder_2, prompt" in out
    assert "negative" not in out  # Flux reads none unless given one


def test_page(folder, tmp_path, capsys):
    page = tmp_path / "tokens.html"
    assert main(["tokens", "a (red:1.3) <cat>", "--model", folder, "--html", str(page)]) == 0
    assert "hsla(0," in page.read_text()
    assert "<cat>" not in page.read_text()
    there = str(tmp_path / "no" / "page.html")
    assert main(["tokens", "a", "--model", folder, "--html", there]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_what_is_cut_and_what_looks_wrong_is_said(folder, capsys):
    words = "cat " * 80
    assert main(["tokens", f"(a {words}", "--model", folder, "--long-prompt", "truncate"]) == 0
    err = capsys.readouterr().err
    assert "cut: 'cat" in err
    assert "never closed" in err
    assert "^" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--long-prompt", "cut"], "no long_prompt policy 'cut'"),
        (["--dialect", "klingon"], "no dialect 'klingon'"),
        (["--normalization", "max"], "no normalization 'max'"),
        (["--long-prompt", "error"], "longer than the 75 tokens"),
    ],
)
def test_refused(folder, options, message, capsys):
    assert main(["tokens", "cat " * 80, "--model", folder, *options]) == 2
    assert message in capsys.readouterr().err


def test_what_is_open_is_chosen_first(folder, tmp_path, capsys):
    (tmp_path / "colour.txt").write_text("red\n")
    asked = ["tokens", "a __colour__ {cat}", "--negative", "{sky}", "--model", folder, "--json"]
    assert main([*asked, "--wildcards", str(tmp_path), "--seed", "3"]) == 0
    seen = json.loads(capsys.readouterr().out)["text_encoder"]
    assert seen["prompts"][0]["text"] == "a red cat"
    assert seen["negative_prompts"][0]["text"] == "sky"


def test_a_schedule_is_shown_state_by_state(folder, capsys):
    asked = ["--steps", "20", "--model", folder]
    assert main(["tokens", "[cat:dog:0.5] (sky", *asked]) == 0
    out, err = capsys.readouterr()
    assert "text_encoder, prompt: steps 1-10: cat (sky:1.1): 2 tokens, 1 window" in out
    assert "text_encoder, prompt: steps 11-20: dog (sky:1.1): 2 tokens, 1 window" in out
    assert err.count("never closed") == 1, "said once, not for each state"
    assert main(["tokens", "[cat:dog:0.5] AND red:0.5", *asked, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["text_encoder"]["prompts"]
    assert [(row["prompt"], row["said"]) for row in rows] == [
        (0, "AND :1, steps 1-10: cat"),
        (0, "AND :1, steps 11-20: dog"),
        (0, "AND :0.5"),
    ]


def test_regions_are_shown(folder, tmp_path, capsys):
    (tmp_path / "r.json").write_text('[{"prompt": "a fox", "box": [0, 0, 0.5, 1]}]')
    asked = ["tokens", "sky", "--regions", str(tmp_path / "r.json"), "--model", folder]
    assert main(asked) == 0
    assert "text_encoder, prompt: region (0, 0, 0.5, 1): 2 tokens" in capsys.readouterr().out
