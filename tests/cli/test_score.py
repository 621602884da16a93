"""score, rerank and classify: all, some or none of the files, and the exit code that says which."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clipcond.cli import main
from clipcond.cli.reranking import move_all
from clipcond.clip import load_picture
from clipcond.errors import ScoreError
from clipcond.score import ClipScorer, ranking
from clipcond.tables import Column, read_rows, write_rows
from tests.score.test_ranking import LivePictures
from tests.tiny import save_tiny_clip, tiny_clip


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_score_equals_the_library(files, model, capsys):
    paths = [str(files / f"{i}.png") for i in range(3)]
    assert main(["score", *paths, "--prompt", "a cat", "--scorer", str(model), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    own = ClipScorer.from_pretrained(model).score(paths, "a cat")
    assert [p["score"] for p in result["pictures"]] == pytest.approx(own.values.tolist(), abs=1e-6)
    assert result["mean"] == pytest.approx(own.mean())
    assert result["truncated"] is False


def test_files_that_fail_are_named_and_the_rest_done(files, model, capsys):
    (files / "bad.png").write_bytes(b"no picture")
    paths = [str(files / "0.png"), str(files / "bad.png"), str(files / "none.png")]
    assert main(["score", *paths, "--prompt", "a cat", "--scorer", str(model)]) == 1
    out, err = capsys.readouterr()
    assert "0.png" in out
    assert "bad.png: not a picture" in err
    assert "none.png: no such picture file" in err


def test_nothing_scored_is_exit_code_2(files, model, capsys):
    assert (
        main(["score", str(files / "none.png"), "--prompt", "a cat", "--scorer", str(model)]) == 2
    )
    assert "none of the 1 files" in capsys.readouterr().err


def test_a_cut_prompt_is_told(files, model, capsys):
    command = [
        "score",
        str(files / "0.png"),
        "--prompt",
        "cat " * 10_000,
        "--scorer",
        str(model),
        "--json",
    ]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["truncated"] is True
    assert "77 tokens" in err


def test_rerank_sorts_the_folder_and_skips_our_grids(files, model, capsys):
    Image.new("RGB", (40, 40)).save(files / "0001-grid.png")
    (files / "notes.txt").write_text("no picture")
    assert (
        main(
            [
                "rerank",
                str(files),
                "--prompt",
                "a cat",
                "--top",
                "2",
                "--scorer",
                str(model),
                "--json",
            ]
        )
        == 0
    )
    shown = json.loads(capsys.readouterr().out)["pictures"]
    scores = ClipScorer.from_pretrained(model).score(sorted(files.glob("?.png")), "a cat").values
    best = scores.argsort(descending=True, stable=True)[:2].tolist()
    assert [p["file"] for p in shown] == [str(files / f"{i}.png") for i in best]


def test_rerank_of_a_partly_damaged_folder(files, model, capsys):
    (files / "bad.png").write_bytes(b"")
    assert main(["rerank", str(files), "--prompt", "a cat", "--scorer", str(model)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert "bad.png" in err


@pytest.mark.parametrize(
    ("arguments", "quote"),
    [
        (["--top", "9"], "top_k: got 9"),
        (["--scorer", "no/where"], "no/where"),
    ],
)
def test_rerank_complaints(files, model, capsys, arguments, quote):
    assert main(["rerank", str(files), "--prompt", "x", "--scorer", str(model), *arguments]) == 2
    err = capsys.readouterr().err
    assert quote in err
    assert len(err.splitlines()) == 1


def test_folders_without_pictures(tmp_path, model, capsys):
    for folder in (tmp_path, tmp_path / "none"):
        assert main(["rerank", str(folder), "--prompt", "x", "--scorer", str(model)]) == 2
        assert str(folder) in capsys.readouterr().err


def test_unknown_variant(files, model, capsys):
    assert main(["score", str(files / "0.png"), "--prompt", "x", "--variant", "fid"]) == 2
    assert "'fid'" in capsys.readouterr().err


def write_prompts(folder):
    """A table that pairs by name, in another order than the names sort."""
    table = folder / "prompts.csv"
    table.write_text("file,prompt\n2.png,a dog\n0.png,a cat\n1.png,a red fox\n")
    return table


def test_prompts_are_paired_by_name_and_the_table_is_written(files, model, tmp_path, capsys):
    table, out = write_prompts(files), tmp_path / "scores.csv"
    options = ["--prompts", str(table), "--scorer", str(model), "--out", str(out), "--json"]
    assert main(["score", *options]) == 0
    result = json.loads(capsys.readouterr().out)
    scorer = ClipScorer.from_pretrained(model)
    own = scorer.score(
        [files / "2.png", files / "0.png", files / "1.png"], ["a dog", "a cat", "a red fox"]
    )
    assert [p["score"] for p in result["pictures"]] == pytest.approx(own.values.tolist(), abs=1e-6)
    assert result["interval"]["clusters"] == 3
    assert result["interval"]["low"] <= result["mean"] <= result["interval"]["high"]
    assert result["n_truncated"] == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["prompt"] for row in rows] == ["a dog", "a cat", "a red fox"]
    assert [float(row["score"]) for row in rows] == [p["score"] for p in result["pictures"]]


def scored(table, model, capsys, *options):
    command = ["score", "--prompts", str(table), "--scorer", str(model), *options, "--json"]
    assert main(command) == 0
    shown = json.loads(capsys.readouterr().out)["pictures"]
    return [(Path(row["file"]).name, row["prompt"], row["score"]) for row in shown]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_several_captions_a_picture_and_several_pictures_a_caption(ending, files, model, capsys):
    pairs = [
        ("1.png", "a cat, \u2028 asleep"),
        ("0.png", "a dog"),
        ("1.png", 'a "red"\nfox'),
        ("2.png", "a dog"),
        ("1.png", "a dog"),
    ]
    table, out = files / f"t.{ending}", files / f"out.{ending}"
    write_rows([{"id": "x", "caption": p, "picture": f} for f, p in pairs], table)
    options = ["--file-column", "picture", "--prompt-column", "caption"]
    found = scored(table, model, capsys, *options, "--out", str(out))
    scorer = ClipScorer.from_pretrained(model)
    own = scorer.score([files / f for f, _ in pairs], [p for _, p in pairs]).values.tolist()
    assert [(f, p) for f, p, _ in found] == pairs
    assert [score for *_, score in found] == pytest.approx(own, abs=1e-6)
    written = list(read_rows(out, [Column("file", ""), Column("prompt", "")]))
    assert [(Path(file).name, prompt) for file, prompt in written] == pairs
    some = scored(table, model, capsys, str(files / "1.png"), *options)
    assert [row[:2] for row in some] == [row[:2] for row in found if row[0] == "1.png"]


def test_a_picture_of_several_captions_that_fails_is_named_once(files, model, capsys):
    (files / "t.csv").write_text("file,prompt\nnone.png,a\n0.png,b\nnone.png,c\n")
    assert main(["score", "--prompts", str(files / "t.csv"), "--scorer", str(model)]) == 1
    out, err = capsys.readouterr()
    assert err.count("none.png: no such picture file") == 1
    assert "0.png" in out


@pytest.mark.parametrize(
    ("content", "quote"),
    [
        (b"file,prompt\n0.png,a fox, a red heart\n", "row 1 (line 2) does not fit"),
        (b'file,prompt\n0.png,"a fox\n1.png,a dog\n', "the row that begins in line 2"),
        (b"file,prompt,prompt\n0.png,a,b\n", "2 columns 'prompt'"),
        (b"file;prompt\n0.png;a fox\n", "separated by semicolons"),
        (b"file,caption\n0.png,a fox\n", "name one with --prompt-column"),
        ("file,prompt\n0.png,a fox\n".encode("utf-16"), "is UTF-16"),
    ],
)
def test_a_table_that_cannot_be_read_scores_nothing(content, quote, files, model, capsys):
    (files / "t.csv").write_bytes(content)
    out = files / "out.csv"
    command = ["score", "--prompts", str(files / "t.csv"), "--scorer", str(model)]
    assert main([*command, "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert quote in err
    assert len(err.splitlines()) == 1
    assert not out.exists()


def test_what_score_says_of_its_mean(files, model, capsys):
    paths = [str(files / f"{i}.png") for i in range(3)]
    assert main(["score", *paths, "--prompt", "a cat", "--scorer", str(model)]) == 0
    err = capsys.readouterr().err
    assert "95 % interval over 3 pictures of one prompt" in err
    assert "0 prompts truncated" in err
    assert "scored by tiny (weights " in err
    assert "cosine, center 32 x 32, float32" in err


@pytest.mark.parametrize(
    ("arguments", "quote"),
    [
        (["--prompt", "x"], "got no picture"),
        (["{0}", "--prompts", "{none}"], "no such file"),
        (["{other}", "--prompts", "{table}"], "has no prompt for it"),
        (["{0}", "--prompt", "x", "--prompt-column", "p"], "are of a table: give --prompts"),
        (["{0}", "--prompt", "x", "--out", "t.xlsx"], "ending says no table"),
        (["{0}", "--prompt", "x", "--out", "no/where/t.csv"], "there is no folder"),
    ],
)
def test_score_complaints(files, model, capsys, arguments, quote):
    names = {
        "0": files / "0.png",
        "none": files / "none.csv",
        "other": files / "x.png",
        "table": write_prompts(files),
    }
    filled = [
        a.format(files / "0.png", **{k: v for k, v in names.items() if k != "0"}) for a in arguments
    ]
    assert main(["score", *filled, "--scorer", str(model)]) == 2
    err = capsys.readouterr().err
    assert quote in err
    assert len(err.splitlines()) == 1


def test_rerank_moves_the_best_or_nothing(files, model, tmp_path, capsys):
    scores = ClipScorer.from_pretrained(model).score(sorted(files.glob("*.png")), "a cat").values
    best = f"{int(scores.argmax())}.png"
    command = ["rerank", str(files), "--prompt", "a cat", "--top", "1", "--scorer", str(model)]
    out = tmp_path / "a" / "best"
    assert main([*command, "--move", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [p["file"] for p in shown["pictures"]] == [str(out / best)]
    assert [p.name for p in out.iterdir()] == [best]
    assert not (files / best).exists()
    left = sorted(p.name for p in files.iterdir())
    assert len(left) == 2
    for name in left:
        (out / name).write_text("taken")
    assert main([*command, "--move", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert sorted(p.name for p in files.iterdir()) == left


def test_a_move_that_fails_midway_is_undone(tmp_path):
    (tmp_path / "a.png").write_text("a")
    with pytest.raises(ScoreError, match="nothing was moved"):
        move_all([tmp_path / "a.png", tmp_path / "gone.png"], tmp_path / "out")
    assert (tmp_path / "a.png").read_text() == "a"


def test_rerank_with_judge_minimum_and_diversity(files, model, tmp_path, capsys):
    judge = save_tiny_clip(tmp_path / "judge", seed=9)
    command = ["rerank", str(files), "--prompt", "a cat", "--scorer", str(model)]
    assert main([*command, "--top", "1", "--judge", str(judge), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["considered"] == 3
    assert result["held_out"]["gain"] > 0
    assert result["held_out"]["alarm"] == (result["held_out"]["judge_gain"] <= 0)
    file = result["pictures"][0]["file"]
    own = ClipScorer.from_pretrained(judge).score([file], "a cat").values[0]
    assert result["pictures"][0]["judge_score"] == pytest.approx(own.item(), abs=1e-6)
    assert main([*command, "--minimum", "2"]) == 0
    assert "none of the 3 pictures scores 2.0 or more" in capsys.readouterr().err
    assert main([*command, "--top", "2", "--diversity", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pictures"]) == 2
    with pytest.raises(SystemExit):
        main([*command, "--diversity", "2"])


def test_a_folder_of_nothing_readable_is_exit_code_2(tmp_path, model, capsys):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert main(["rerank", str(tmp_path), "--prompt", "x", "--scorer", str(model)]) == 2
    err = capsys.readouterr().err
    assert "bad.png: not a picture" in err
    assert "none of the 1 files" in err


def test_a_caption_with_a_nul_is_named_and_the_rest_goes_on(tmp_path, capsys):
    folder = save_tiny_clip(tmp_path / "clip")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32), "red").save(tmp_path / name)
    table = tmp_path / "prompts.jsonl"
    rows = [{"file": "a.png", "prompt": "a \0 cat"}, {"file": "b.png", "prompt": "a cat"}]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["score", "--prompts", str(table), "--scorer", str(folder), "--json"]
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert [Path(row["file"]).name for row in json.loads(out)["pictures"]] == ["b.png"]
    assert "a.png" in err
    assert "NUL" in err
    assert main(["score", str(tmp_path / "a.png"), "--prompt", "\0", "--scorer", str(folder)]) == 2


def overflowing_on_half(files, folder):
    """A CLIP whose image tower overflows in float16 on one of the three pictures; which one."""
    paths = [files / f"{i}.png" for i in range(3)]
    largest = ClipScorer.from_pretrained(save_tiny_clip(folder)).clip.encode_pictures(
        [load_picture(path) for path in paths]
    )
    order = largest.abs().amax(1).sort()
    model, *_ = tiny_clip()
    with torch.no_grad():
        model.visual_projection.weight.mul_(65504 / float(order.values[-2:].mean()))
    model.save_pretrained(folder)
    return f"{int(order.indices[-1])}.png"


def test_pictures_that_overflow_are_named_and_the_rest_done(files, tmp_path, capsys):
    bad = overflowing_on_half(files, tmp_path / "clip")
    options = ["--scorer", str(tmp_path / "clip"), "--dtype", "float16", "--json"]
    paths = [str(files / f"{i}.png") for i in range(3)]
    for command in (
        ["score", *paths, "--prompt", "a cat"],
        ["rerank", str(files), "--prompt", "a cat"],
        ["classify", *paths, "--classes", "cat,dog"],
    ):
        assert main([*command, *options]) == 1
        out, err = capsys.readouterr()
        names = [Path(row["file"]).name for row in json.loads(out)["pictures"]]
        assert sorted(names) == [f"{i}.png" for i in range(3) if f"{i}.png" != bad]
        assert f"{bad}: the image tower gives it NaN or infinity in float16" in err
        assert "--dtype float32" in err
        assert main([*command, "--scorer", str(tmp_path / "clip")]) == 0
        capsys.readouterr()


def test_the_scorers_options_are_the_librarys(files, model, capsys):
    Image.open(files / "0.png").resize((90, 40)).save(files / "0.png")
    paths = [str(files / f"{i}.png") for i in range(3)]
    options = ["--dtype", "bfloat16", "--crop", "pad", "--batch-size", "2", "--device", "cpu"]
    own = ClipScorer.from_pretrained(model, dtype=torch.bfloat16, crop="pad", batch_size=2)
    values = own.score(paths, "a cat").values
    for command in (["score", *paths], ["rerank", str(files)]):
        assert (
            main([*command, "--prompt", "a cat", "--scorer", str(model), *options, "--json"]) == 0
        )
        told = json.loads(capsys.readouterr().out)
        found = {row["file"]: row["score"] for row in told["pictures"]}
        assert [found[path] for path in paths] == pytest.approx(values.tolist(), abs=1e-6)
        assert told["provenance"]["dtype"] == "bfloat16"
        assert told["provenance"]["crop"].startswith("pad")
    command = ["classify", *paths, "--classes", "cat,dog", "--scorer", str(model), *options]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["scorer"]["dtype"] == "bfloat16"


def test_files_that_carry_little_are_helped_by_options(files, tmp_path, capsys):
    folder = save_tiny_clip(tmp_path / "clip")
    names = ("tokenizer.json", "tokenizer_config.json")
    (tmp_path / "words").mkdir()
    for name in names:
        (folder / name).rename(tmp_path / "words" / name)
    command = ["score", str(files / "0.png"), "--prompt", "a cat", "--scorer", str(folder)]
    assert main(command) == 2
    assert "tokenizer" in capsys.readouterr().err
    assert main([*command, "--tokenizer", str(tmp_path / "words")]) == 0
    assert main([*command, "--tokenizer", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize(
    ("options", "quote"),
    [
        (["--device", "cuda:99"], "--device: got 'cuda:99'"),
        (["--device", "gpu"], "--device: got 'gpu'"),
        (["--crop", "stretch"], "crop: got 'stretch'; choose one of center"),
        (["--scorer", "none", "--quick-gelu"], "none"),
    ],
)
def test_complaints_on_the_scorers_options(files, model, capsys, options, quote):
    commands = (
        ["score", str(files / "0.png"), "--prompt", "x"],
        ["rerank", str(files), "--prompt", "x"],
        ["classify", str(files / "0.png"), "--classes", "a,b"],
    )
    for command in commands:
        assert main([*command, "--scorer", str(model), *options]) == 2
        err = capsys.readouterr().err
        assert quote in err
        assert len(err.splitlines()) == 1
    for typo in (["--dtype", "int8"], ["--batch-size", "0"]):
        with pytest.raises(SystemExit):
            main([*commands[0], *typo])


def test_rerank_names_what_it_passes_over_and_keeps_sub_folders(files, model, tmp_path, capsys):
    (files / "deep").mkdir()
    (files / "1.png").rename(files / "deep" / "0.png")
    (files / "._0.png").write_bytes(b"\0\5\x16\7")
    command = ["rerank", str(files), "--prompt", "a cat", "--scorer", str(model)]
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert {p["file"] for p in told["pictures"]} == {
        str(files / name) for name in ("0.png", "2.png", "deep/0.png")
    }
    assert told["skipped"] == [
        {"file": str(files / "._0.png"), "reason": "hidden", "failed": False}
    ]
    assert "._0.png: hidden; passed over" in err
    best = files / "best"
    assert main([*command, "--move", str(best)]) == 0
    assert sorted(p.relative_to(best).as_posix() for p in best.rglob("*.png")) == [
        "0.png", "2.png", "deep/0.png",
    ]  # fmt: skip
    capsys.readouterr()
    assert main([*command, "--move", str(best)]) == 2
    assert "holds no picture but those in" in capsys.readouterr().err
    Image.new("RGB", (40, 40)).save(files / "new.png")
    assert main([*command, "--move", str(best)]) == 0
    assert "is where --move puts the best" in capsys.readouterr().err


def test_rerank_of_a_folder_holds_one_batch_of_pictures(files, model, monkeypatch, capsys):
    for i in range(3, 12):
        Image.new("RGB", (40, 40), (20 * i, 0, 0)).save(files / f"{i}.png")
    pictures = LivePictures()
    monkeypatch.setattr(ranking, "load_picture", pictures.load)
    command = ["rerank", str(files), "--prompt", "a cat", "--scorer", str(model)]
    assert main([*command, "--batch-size", "3"]) == 0
    assert len(pictures.counts) == 12
    assert max(pictures.counts) <= 3
    assert len(capsys.readouterr().out.splitlines()) == 13


def test_cut_prompts_are_marked_in_every_table(files, model, tmp_path, capsys):
    judge = save_tiny_clip(tmp_path / "judge", seed=9)
    table = files / "prompts.jsonl"
    rows = [{"file": "0.png", "prompt": "a cat"}, {"file": "1.png", "prompt": "cat " * 100}]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["score", "--prompts", str(table), "--scorer", str(model)]) == 0
    out, _ = capsys.readouterr()
    assert [line.endswith("(prompt cut)") for line in out.splitlines()] == [False, False, True]
    command = ["rerank", str(files), "--prompt", "cat " * 100, "--scorer", str(model), "--top", "1"]
    assert main([*command, "--judge", str(judge), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["truncated"] is json.loads(out)["held_out"]["truncated"] is True
    assert "77 tokens that the judge reads" in err
    command = ["classify", str(files / "0.png"), "--classes", f"dog,{'cat ' * 100}"]
    assert main([*command, "--scorer", str(model), "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["truncated"]) == 1
    assert "longer than the 77 tokens" in err


def test_names_of_classes_among_the_others_are_named(files, model, tmp_path, capsys):
    (tmp_path / "others.txt").write_text("Cat\nhat\nsky\ncar\n")
    command = ["classify", str(files / "0.png"), "--classes", "cat,dog", "--scorer", str(model)]
    assert main([*command, "--unknown", str(tmp_path / "others.txt")]) == 0
    assert "--unknown: 'Cat' is a class" in capsys.readouterr().err
