"""Bad input to the main job: one clear line, exit code 2, nothing left behind."""

import pytest

from clipcond.cli import main


@pytest.fixture
def refused(model, tmp_path, monkeypatch, capsys):
    """Run generate where it must fail; give the one line that it said."""

    def run(*arguments, text="a cat"):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        command = [
            "generate",
            text,
            "--model",
            str(model),
            "--steps",
            "1",
            "--candidates",
            "1",
            *arguments,
        ]
        try:
            code = main(command)
        except SystemExit as done:  # argparse leaves this way
            code = done.code
        out, err = capsys.readouterr()
        assert code == 2
        assert out == ""
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before, "something was left behind"
        return err

    return run


@pytest.mark.parametrize(
    ("arguments", "quote"),
    [
        (["--candidates", "0"], "--candidates: got 0"),
        (["--candidates", "many"], "--candidates: got 'many'"),
        (["--keep", "5"], "keep: got 5, more than the 1 candidates"),
        (["--guidance-scale", "nan"], "--guidance-scale: got nan"),
        (["--guidance-scale", "inf"], "--guidance-scale: got inf"),
        (["--steps", "0"], "--steps: got 0"),
        (["--seed", "-1"], "--seed: got -1"),
        (["--seed", "99999999999999999999"], "--seed: got 99999999999999999999"),
        (["--batch-size", "0"], "--batch-size: got 0"),
        (["--dialect", "klingon"], "klingon"),
        (["--weighting", "heavy"], "heavy"),
        (["--device", "abacus"], "--device: got 'abacus'"),
        (["--dtype", "int8"], "--dtype"),
        (["--model", "/no/such/model"], "/no/such/model"),
        (["--model", "nobody/no-such-model", "--scorer", "model"], "nobody/no-such-model"),
        (["--scorer", "/no/such/clip"], "/no/such/clip"),
        (["--out", "/proc/nowhere"], "/proc/nowhere: cannot write there"),
        (["--out", "model/model_index.json"], "model_index.json: cannot write there"),
    ],
)
def test_arguments(refused, arguments, quote):
    assert quote in refused(*arguments)


def test_an_output_folder_that_cannot_be_written_is_found_before_the_model_is_even_read(
    refused, model
):
    (model / "model_index.json").write_text("garbage")
    assert "cannot write there" in refused("--out", "/proc/nowhere")


def test_a_model_folder_that_is_empty_or_a_file(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert "empty" in refused(
        "--model", str(tmp_path / "empty"), "--scorer", str(tmp_path / "model")
    )
    assert "file" in refused("--model", str(tmp_path / "file"), "--scorer", str(tmp_path / "model"))


def test_a_model_without_a_clip_of_its_own_needs_a_scorer(refused, model):
    import shutil

    shutil.rmtree(model / "clip")
    assert "--scorer" in refused()


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "clip/model.safetensors",
        "clip/config.json",
    ],
)
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage"])
def test_a_damaged_file_is_named(refused, model, file, damage):
    content = (model / file).read_bytes()
    damaged = {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\xff" * 200}[damage]
    (model / file).write_bytes(damaged)
    assert file.split("/")[-1] in refused()


@pytest.mark.parametrize(
    "file", ["unet/config.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"]
)
def test_other_damage_is_one_line_too(refused, model, file):
    (model / file).write_text("garbage")
    refused()


def test_a_prompt_of_ten_thousand_words_works_or_says_why(model, tmp_path, capsys):
    text = " ".join(["a cat and a dog"] * 2000)
    out = tmp_path / "out"
    command = [
        "generate",
        text,
        "--model",
        str(model),
        "--out",
        str(out),
        "--steps",
        "1",
        "--candidates",
        "1",
    ]
    assert main(command) == 0
    err = capsys.readouterr().err
    assert "134 windows" in err
    assert "does not count in the score" in err
    assert len(list(out.iterdir())) == 2


def test_debug_shows_the_traceback(model):
    from clipcond.errors import CheckpointError

    (model / "clip" / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        main(
            [
                "generate",
                "a cat",
                "--model",
                str(model),
                "--debug",
                "--out",
                str(model.parent / "out"),
            ]
        )
