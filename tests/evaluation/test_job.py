"""Runs and pictures: rows say what was drawn and judged, whoever does the work and whatever interrupts it."""

import json

import pytest
from filelock import FileLock
from PIL import Image

from clipcond import emoji, generate
from clipcond.bulk import find_engine
from clipcond.errors import ClipcondError
from clipcond.evaluation import Evaluation, Prompt, PromptSet, Setting, evaluate, find_judges
from clipcond.evaluation.numbers import read_table
from clipcond.models import load_pipeline
from clipcond.score import ClipScorer
from clipcond.tables import write_rows
from tests.evaluation import kills
from tests.evaluation.conftest import PROMPTS, SCORERS, SETTINGS
from tests.tiny import save_tiny_pipeline

SLOW = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def rows(evaluation):
    return list(read_table(evaluation.folder / "scores.jsonl"))


def test_every_setting_prompt_and_seed_has_its_row_and_picture(run):
    found = rows(run)
    assert [(r["model"], r["id"], r["seed"]) for r in found] == [
        (s.label, p.id, seed) for s in SETTINGS for p in PROMPTS.prompts for seed in range(2)
    ]
    assert {(r["prompt"], r["category"]) for r in found} == {
        (p.text.replace("(blue:1.2)", "blue"), p.category) for p in PROMPTS.prompts
    }
    assert not any(r["error"] for r in found)
    assert run.models == ("short", "long")
    assert run.scorers == SCORERS
    assert run.about["circular"] == {"short": ["emoji"], "long": ["emoji"]}
    assert run.failures == ()


def test_scores_are_those_of_the_scorer_and_verdicts_those_of_the_oracle(run):
    scorer = ClipScorer.from_pretrained("judge")
    for row in rows(run)[::5]:
        with Image.open(run.folder / row["file"]) as picture:
            picture.load()
        assert row["judge"] == pytest.approx(
            float(scorer.score([picture], [row["prompt"]]).values), abs=1e-6
        )
        (verdict,) = emoji.verdicts([picture], row["prompt"])
        assert row["oracle"] == bool(verdict)
        assert row["oracle_missed"] == ", ".join(map(str, verdict.missed))


def test_pictures_are_those_of_generate_and_say_so(run):
    import torch

    row = next(r for r in rows(run) if r["id"] == "p2" and r["model"] == "long" and r["seed"] == 1)
    pipe = load_pipeline("emoji", device=torch.device("cpu"), dtype=torch.float32)
    settings = {"num_inference_steps": 4, "guidance_scale": emoji.DEFAULT_GUIDANCE_SCALE}
    own = generate(
        pipe, "a (blue:1.2) square", scorer=ClipScorer.from_pretrained("judge"), candidates=1, keep=1, seed=1, **settings
    )  # fmt: skip
    with Image.open(run.folder / row["file"]) as picture:
        told = json.loads(picture.text["clipcond"])
        differences = [
            abs(a - b) for a, b in zip(picture.tobytes(), own.images[0].tobytes(), strict=True)
        ]
    assert max(differences) <= 1  # another batch: rounding
    assert told["prompt"] == "a (blue:1.2) square"
    assert told["scored_text"] == row["prompt"] == "a blue square"
    assert told["settings"] | settings == told["settings"]
    assert told["scores"] == {name: row[name] for name in SCORERS}
    about = json.loads((run.folder / row["file"]).parents[1].joinpath("metadata.jsonl").read_text())
    assert about == {"tag": "single", "include": [], "prompt": "a blue square"}


def test_a_shard_is_a_function_of_its_items(run, tmp_path):
    """What a worker judged before does not show, not in the last bit."""
    from clipcond.evaluation.pictures import find_pictures
    from clipcond.evaluation.rows import judge_rows, look

    judges = find_judges(["judge"])
    seen = [look(each) for each in find_pictures(run.folder / "scores.jsonl")()]
    alone, _ = judge_rows(judges, seen[6:12], run.folder)
    judge_rows(judges, seen[8:], run.folder)
    again, _ = judge_rows(judges, seen[6:12], run.folder)
    assert alone == again
    # nothing is kept of other shards: features differ in their last bits by the batch that a text was in
    texts = {each.picture.prompt.text for each in seen[6:12]}
    assert set(judges["judge"].scorer._known) == texts


def test_called_again_it_makes_nothing_and_changes_nothing(run):
    before = kills.contents(run.folder)
    evaluate(SETTINGS, PROMPTS, scorers=SCORERS, out=run.folder, seeds=2, batch_size=4)
    assert kills.contents(run.folder) == before


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param({"workers": 2}, marks=SLOW),
        pytest.param({"name": "ray", "workers": 2}, marks=SLOW),
    ],
)
def test_it_is_the_same_whoever_does_it(run, engine, tmp_path):
    found = evaluate(
        SETTINGS,
        PROMPTS,
        scorers=SCORERS,
        out=tmp_path / "out",
        seeds=2,
        batch_size=4,
        engine=find_engine(**engine),
    )
    assert kills.contents(found.folder) == kills.contents(run.folder)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seeds": 3}, "other seeds"),
        ({"scorers": ("judge",)}, "other scorers"),
        ({"prompts": PromptSet(PROMPTS.prompts[1:])}, "other prompts"),
        ({"source": SETTINGS[:1]}, "other models"),
    ],
)
def test_a_folder_of_another_evaluation_is_refused(run, other, said):
    asked = {
        "source": SETTINGS,
        "prompts": PROMPTS,
        "scorers": SCORERS,
        "seeds": 2,
        "batch_size": 4,
    }
    with pytest.raises(ClipcondError, match=said):
        evaluate(**asked | other, out=run.folder)


def test_a_folder_that_another_process_writes_to_is_refused(run):
    with (
        FileLock(run.folder / ".lock"),
        pytest.raises(ClipcondError, match="another process is writing to it"),
    ):
        evaluate(SETTINGS, PROMPTS, scorers=SCORERS, out=run.folder, seeds=2, batch_size=4)


def test_what_cannot_be_drawn_is_named_and_the_rest_is_done(tmp_path):
    tiny = save_tiny_pipeline(tmp_path / "tiny")
    settings = [
        Setting(name="good", steps=1),
        Setting(name="typo", model="emojii"),
        Setting(name="sampler", steps=1, scheduler="EulerScheduler"),
        Setting(name="tiny", model=str(tiny), steps=1),
    ]
    prompts = PromptSet(
        (Prompt("a fox"), Prompt("a (fox:1e999)"), Prompt("a fluffy cat")), ("line 4: bad",)
    )
    found = evaluate(settings, prompts, scorers=("oracle",), out=tmp_path / "out", seeds=1)
    said = "\n".join(found.failures)
    assert "typo: left out: emojii: no such model" in said
    assert "scheduler: diffusers has no 'EulerScheduler'" in said
    assert "line 4: bad" in said
    assert "the emoji world does not understand" in said
    by_model = {model: [r for r in rows(found) if r["model"] == model] for model in found.models}
    good = by_model["good"]
    assert [r["oracle"] is None for r in good] == [False, True, True]
    assert all(r["oracle"] is None for r in by_model["sampler"])
    assert "1e999" in good[1]["error"]
    assert (found.folder / good[2]["file"]).is_file()  # drawn, though nobody could judge it


def test_no_model_at_all_is_one_line_and_leaves_nothing(tmp_path):
    with pytest.raises(ClipcondError, match="emojii: no such model"):
        evaluate(Setting(model="emojii"), PROMPTS, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pipeline_of_your_own_is_drawn_with_and_left_as_it_was(tmp_path):
    import torch

    pipe = load_pipeline(
        save_tiny_pipeline(tmp_path / "tiny"), device=torch.device("cpu"), dtype=torch.float32
    )
    own = pipe.scheduler
    setting = Setting(name="mine", model=pipe, steps=1, scheduler="DDIMScheduler")
    found = evaluate(setting, PromptSet((Prompt("a cat"),)), out=tmp_path / "out", seeds=1)
    assert rows(found)[0]["error"] == ""
    assert found.models == ("mine",)
    assert pipe.scheduler is own


@pytest.fixture
def pictures(tmp_path):
    """Nine of ten are there, one of them no picture."""
    listed = []
    for number in range(10):
        scene = emoji.sample(number)
        if number != 3:
            emoji.render(scene, 32).save(tmp_path / f"{number}.png")
        listed.append(
            {"file": f"{number}.png", "prompt": emoji.caption(scene, number), "category": "c"}
        )
    (tmp_path / "5.png").write_text("no picture")
    write_rows(listed, tmp_path / "table.csv")
    return tmp_path / "table.csv"


def test_pictures_that_exist_are_judged_and_those_that_do_not_are_named(pictures, tmp_path):
    found = evaluate(pictures, scorers=("judge", "oracle"), out=tmp_path / "out")
    assert len(rows(found)) == 10
    assert [r["oracle"] for r in rows(found) if not r["error"]] == [1.0] * 8
    missing, broken = found.failures
    assert "3.png: no such picture file" in missing
    assert "5.png: not a picture that Pillow can read" in broken
    assert found.about["failed"] == 2


def test_a_table_of_an_evaluation_can_be_judged_again(run, tmp_path):
    again = evaluate(run.folder / "scores.jsonl", scorers=("judge",), out=tmp_path / "out")
    assert [r["judge"] for r in rows(again)] == pytest.approx(
        [r["judge"] for r in rows(run)], abs=1e-6
    )
    assert again.models == run.models
    folder = evaluate(
        run.folder / "pictures" / "00-short", scorers=("oracle",), out=tmp_path / "folder"
    )
    assert [r["oracle"] for r in rows(folder)] == [
        r["oracle"] for r in rows(run) if r["model"] == "short"
    ]


def test_a_prompt_longer_than_clip_reads_is_judged_and_marked(pictures, tmp_path):
    listed = [
        {"file": "0.png", "prompt": "a fox and " * 100_000},
        {"file": "1.png", "prompt": "a fox"},
    ]
    write_rows(listed, tmp_path / "long.jsonl")
    found = evaluate(tmp_path / "long.jsonl", scorers=("judge",), out=tmp_path / "out")
    assert [r["judge_truncated"] for r in rows(found)] == [True, False]


def test_an_unfinished_evaluation_is_no_evaluation(tmp_path):
    with pytest.raises(ClipcondError, match="holds no finished evaluation"):
        Evaluation.load(tmp_path)


def test_judges_may_be_objects_of_your_own(pictures, tmp_path):
    judges = find_judges(["oracle"])
    found = evaluate(pictures, scorers={"mine": judges["oracle"]}, out=tmp_path / "out")
    assert found.scorers == ("mine",)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["run", "pictures"])
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(verb, tmp_path):
    count, alike = kills.ends_alike(verb, kills.sources(tmp_path)[verb], "local", times=2, seed=1)
    assert alike
    assert count
