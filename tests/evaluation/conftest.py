"""One small run of the shipped model, made once: two settings, six prompts of two categories, two seeds."""

import pytest

from clipcond.evaluation import Prompt, PromptSet, Setting, evaluate

PROMPTS = PromptSet(
    tuple(
        Prompt(text, id=f"p{number}", category=category)
        for number, (text, category) in enumerate(
            [
                ("a red heart", "single"),
                ("a fox", "single"),
                ("a (blue:1.2) square", "single"),
                ("two foxes", "counting"),
                ("three red hearts", "counting"),
                ("two pumpkins", "counting"),
            ]
        )
    )
)
SETTINGS = [Setting(name="short", steps=1), Setting(name="long", steps=4)]
SCORERS = ("emoji", "judge", "oracle")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "run"
    return evaluate(SETTINGS, PROMPTS, scorers=SCORERS, out=out, seeds=2, batch_size=4)
