"""The main job from the command line: files, table, JSON, and what the PNGs say."""

import json

import numpy as np
import pytest
from PIL import Image

from clipcond.cli import main
from clipcond.score import ClipScorer

SMALL = ["--candidates", "3", "--keep", "2", "--steps", "1", "--device", "cpu"]


@pytest.fixture
def generate(model, tmp_path, capsys):
    def run(text, *more):
        code = main(
            ["generate", text, "--model", str(model), "--out", str(tmp_path / "out"), *SMALL, *more]
        )
        return (code, *capsys.readouterr())

    return run


def test_json_names_files_that_say_the_same(generate, model, tmp_path):
    code, out, _ = generate("a (cat:1.3)", "--negative", "bad", "--seed", "40", "--json")
    result = json.loads(out)
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        [
            "0001-grid.png",
            *(f"0001-{p['rank']:02d}-seed{p['seed']}.png" for p in result["pictures"]),
        ]
    )
    assert [p["rank"] for p in result["pictures"]] == [1, 2]
    assert result["pictures"][0]["score"] >= result["pictures"][1]["score"]
    scorer = ClipScorer.from_pretrained(model / "clip")
    for picture in result["pictures"]:
        assert 40 <= picture["seed"] < 43
        with Image.open(picture["file"]) as opened:
            record = json.loads(opened.text["clipcond"])
            assert opened.text["parameters"].startswith(
                "a (cat:1.3)\nNegative prompt: bad\nSteps: 1,"
            )
            assert opened.size == (32, 32)
        assert (record["seed"], record["score"]) == (picture["seed"], picture["score"])
        assert record["prompt"] == "a (cat:1.3)"
        again = scorer.score(picture["file"], "a cat").values.item()
        assert again == pytest.approx(picture["score"], abs=1e-6)


def test_table_has_rank_seed_and_score(generate):
    code, out, err = generate("a cat")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["rank", "seed", "CLIP", "score", "file"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2"]
    assert "Traceback" not in err
    assert "it/s" not in err, "no bar where nobody watches"


def test_earlier_runs_are_kept(generate, tmp_path):
    generate("a cat")
    first = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    generate("a dog")
    after = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert first.items() <= after.items()
    assert "0002-grid.png" in after


def test_a_seed_can_be_drawn_again_alone(generate, tmp_path):
    _, out, _ = generate("a cat", "--seed", "5", "--json")
    best = json.loads(out)["pictures"][0]
    _, out, _ = generate(
        "a cat", "--seed", str(best["seed"]), "--candidates", "1", "--keep", "1", "--json"
    )
    again = json.loads(out)["pictures"][0]
    one, other = (np.asarray(Image.open(p["file"]), np.int16) for p in (best, again))
    assert np.abs(one - other).max() <= 1


def test_all_candidates_are_kept_by_default(model, tmp_path, capsys):
    command = [
        "generate",
        "a cat",
        "--model",
        str(model),
        "--out",
        str(tmp_path),
        "--candidates",
        "3",
    ]
    assert main([*command, "--steps", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pictures"]) == 3


def test_a_shared_clip_is_called_circular(tmp_path, capsys):
    from tests.tiny import save_tiny_clip, tiny_pipeline

    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path / "model")
    save_tiny_clip(tmp_path / "model" / "clip")
    from safetensors.torch import load_file, save_file

    file = tmp_path / "model" / "clip" / "model.safetensors"
    ours = {
        f"text_model.{name}": value.contiguous()
        for name, value in pipe.text_encoder.state_dict().items()
    }
    save_file({**load_file(file), **ours}, file, metadata={"format": "pt"})
    command = [
        "generate",
        "a cat",
        "--model",
        str(tmp_path / "model"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, *SMALL, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["provenance"]["circular"] is True
    assert err.count("circular") == 1
