"""The main job from the command line: files, table, JSON, and what the PNGs say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clipcond import emoji
from clipcond.cli import main
from clipcond.cli.drawing import oracle_verdicts, report
from clipcond.gallery.save import Saved
from clipcond.generation import Generation
from clipcond.score import ClipScorer
from clipcond.score.candidates import pictures_in

TO = {"out": Path("out")}
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


def generation_of(scenes, text):
    """As if the shipped model had drawn these scenes."""
    images = tuple(emoji.render(scene, 32) for scene in scenes)
    provenance = {"prompt": text, "scored_text": text, "circular": True, "prompt_windows": 1}
    return Generation(
        images=images,
        seeds=tuple(range(len(images))),
        scores=torch.linspace(0.3, 0.2, len(images)),
        order=tuple(range(len(images))),
        candidate_scores=torch.linspace(0.3, 0.2, len(images)),
        provenance={**provenance, "scored_text_truncated": False},
    )


def test_the_oracle_marks_each_picture_of_its_world(capsys):
    right, wrong = emoji.sample(0), emoji.sample(1)
    generation = generation_of([right, wrong], emoji.caption(right, 0))
    verdicts = oracle_verdicts(generation)
    assert [bool(v) for v in verdicts] == [True, False]
    report(
        generation,
        verdicts,
        Saved(grid="g.png", pictures=("a.png", "b.png")),
        **TO,
        json=False,
    )
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split()[:5] == ["rank", "seed", "CLIP", "score", "oracle"]
    assert "✓ as asked" in first
    assert "✗ missed: " in second
    report(generation, verdicts, Saved(grid="g.png", pictures=("a.png", "b.png")), **TO, json=True)
    pictures = json.loads(capsys.readouterr().out)["pictures"]
    assert [p["oracle"]["passed"] for p in pictures] == [True, False]


def test_a_text_of_another_world_has_no_verdict_and_says_why(capsys):
    generation = generation_of([emoji.sample(0)], "a lighthouse in oil, dramatic light")
    assert oracle_verdicts(generation) == []
    report(generation, [], Saved(grid="g.png", pictures=("a.png",)), **TO, json=False)
    out, err = capsys.readouterr()
    assert "no oracle verdict: " in err
    assert "oracle" not in out


def test_wildcards_are_chosen_by_the_seed(generate, tmp_path):
    (tmp_path / "colours").mkdir()
    (tmp_path / "colours" / "warm.txt").write_text("red\n")
    code, out, err = generate(
        "a __warm__ cat", "--negative", "{sky}", "--wildcards", str(tmp_path / "colours"), "--json"
    )
    assert code == 0
    assert "expanded: a red cat" in err
    with Image.open(json.loads(out)["pictures"][0]["file"]) as opened:
        assert opened.text["parameters"].startswith("a red cat\nNegative prompt: sky\n")


def pixels(out):
    return [np.asarray(Image.open(p["file"]), np.int16) for p in json.loads(out)["pictures"]]


def test_schedules_and_and_are_drawn(generate):
    code, out, _ = generate("[cat:dog:1] AND red :0.5", "--steps", "2", "--json")
    provenance = json.loads(out)["provenance"]
    assert code == 0
    assert provenance["scored_text"] == "dog red"
    assert provenance["schedule"] == [[1, "cat AND red :0.5"], [2, "dog AND red :0.5"]]


def test_regions_stand_where_the_file_says(generate, tmp_path):
    file = tmp_path / "regions.json"
    file.write_text(
        '[{"prompt": "a fox", "box": [0, 0, 0.5, 1]}, {"prompt": "(dog", "box": [0.5, 0, 1, 1], "weight": 2}]'
    )
    _, plain, _ = generate("sky", "--json")
    code, out, err = generate("sky", "--regions", str(file), "--json")
    assert code == 0
    assert json.loads(out)["provenance"]["regions"] == [
        {"prompt": "a fox", "where": "region (0, 0, 0.5, 1)"},
        {"prompt": "(dog", "where": "region (0.5, 0, 1, 1) :2"},
    ]
    assert "region 2: " in err, "what looks like a mistake in a region's prompt is said"
    assert not np.array_equal(pixels(out), pixels(plain))


def test_guidance_within_an_interval(generate):
    _, whole, _ = generate("a cat", "--steps", "4", "--json")
    _, same, _ = generate("a cat", "--steps", "4", "--guidance-interval", "0:1", "--json")
    code, out, _ = generate("a cat", "--steps", "4", "--guidance-interval", "0.5:1", "--json")
    assert code == 0
    assert json.loads(out)["provenance"]["guidance_interval"] == [0.5, 1.0]
    assert np.array_equal(pixels(same), pixels(whole))
    assert not np.array_equal(pixels(out), pixels(whole))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("0.2", "got '0.2'; needs START:END"),
        ("0.8:0.2", "got '0.8:0.2'; needs the smaller number first"),
        ("0:2", "got 2.0; needs 0 to 1"),
        ("a:1", "got 'a'; needs a number"),
    ],
)
def test_an_interval_that_is_none_is_refused_before_anything_is_loaded(typed, message, capsys):
    with pytest.raises(SystemExit):
        main(["generate", "a cat", "--guidance-interval", typed])
    assert message in capsys.readouterr().err


def test_regions_that_are_none_leave_nothing_behind(generate, tmp_path):
    file = tmp_path / "regions.json"
    file.write_text('[{"prompt": "a fox", "box": [0, 0, 5, 1]}]')
    for name, message in (
        ("no.json", "no such file"),
        ("regions.json", "entry 1 of 1: Region('a fox'): box="),
    ):
        code, _, err = generate("sky", "--regions", str(tmp_path / name))
        assert code == 2
        assert message in err
    assert not (tmp_path / "out").exists()


def test_maps_of_attention_lie_beside_the_pictures(generate, tmp_path):
    asked = ["--attention", "cat, red sky", "--batch-size", "1", "--json"]
    code, out, _ = generate("a cat, (red:1.2) sky", *asked)
    assert code == 0
    pictures = json.loads(out)["pictures"]
    for picture in pictures:
        stem = Path(picture["file"]).stem
        assert picture["attention"] == {
            "cat": str(tmp_path / "out" / f"{stem}-attention-cat.png"),
            "red sky": str(tmp_path / "out" / f"{stem}-attention-red-sky.png"),
        }
    maps = [np.asarray(Image.open(file)) for p in pictures for file in p["attention"].values()]
    assert {shown.shape for shown in maps} == {(32, 32, 3)}
    assert len({shown.tobytes() for shown in maps}) == 4, "each picture and word has its own"
    found, skipped = pictures_in(tmp_path / "out")
    assert [path.name for path in found] == [Path(p["file"]).name for p in pictures]
    assert "a map of attention of clipcond generate" in {each.reason for each in skipped}


def test_a_word_of_no_prompt_is_refused_before_anything_is_drawn(generate, tmp_path):
    code, _, err = generate("a cat", "--attention", "cat,dog")
    assert code == 2
    assert "--attention: 'dog' is in no prompt" in err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        generate("a cat", "--attention", "cat,,dog")
