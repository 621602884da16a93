"""What a browser may send, and the address that draws the same again."""

import math
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError
from clipcond.prompt import DIALECTS
from clipcond.weighting import MODES
from demos.settings import MAX_SEED, Settings, checked, from_query

GOOD = dict(
    prompt="a fox",
    negative="",
    dialect="a1111",
    weighting="comfy",
    candidates=4,
    guidance=3.0,
    steps=20,
    seed=0,
)


@given(
    st.builds(
        Settings,
        prompt=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip),
        negative=st.text(st.characters(codec="utf-8"), max_size=40),
        dialect=st.sampled_from(list(DIALECTS)),
        weighting=st.sampled_from(list(MODES)),
        candidates=st.integers(1, 16),
        guidance=st.floats(0, 30),
        steps=st.integers(1, 100),
        seed=st.integers(0, MAX_SEED),
    )
)
def test_an_address_draws_the_same_again(settings):
    query = dict(parse_qsl(settings.query(), keep_blank_values=True))
    assert from_query(query, Settings(prompt="another")) == settings


def test_an_address_may_name_only_the_prompt():
    defaults = Settings(prompt="x", seed=5, steps=7)
    assert from_query({"prompt": "a cat", "__theme": "dark"}, defaults) == Settings(
        prompt="a cat", seed=5, steps=7
    )
    assert from_query({"__theme": "dark"}, defaults) is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("prompt", "", "nothing typed"),
        ("prompt", "  \n", "nothing typed"),
        ("prompt", None, "needs a text"),
        ("prompt", "x" * 2**20, "1,048,576 characters"),
        ("negative", "y" * 5000, "5,000 characters"),
        ("dialect", "klingon", "klingon"),
        ("weighting", "heavy", "heavy"),
        ("guidance", math.nan, "guidance: got nan"),
        ("guidance", math.inf, "guidance: got inf"),
        ("guidance", "much", "guidance: got 'much'"),
        ("steps", 0, "1 to 100"),
        ("steps", 2.5, "whole number"),
        ("steps", math.nan, "steps: got nan"),
        ("candidates", 17, "1 to 16"),
        ("candidates", None, "candidates: got None"),
        ("seed", -1, "seed: got -1"),
        ("seed", math.inf, "seed: got inf"),
    ],
)
def test_what_makes_no_sense_is_refused_and_quoted(name, value, says):
    with pytest.raises(ClipcondError, match=says) as error:
        checked(**{**GOOD, name: value})
    assert len(str(error.value)) < 300
