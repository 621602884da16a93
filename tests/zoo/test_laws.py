"""The table of docs/laws.md is what is computed."""

import pytest

from tests.zoo.laws import KINDS, LAWS, PAGE, kept, page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_page_says_what_is_kept():
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("pipeline", ["CogView4Pipeline", "Flux2Pipeline"])  # padding in front
@pytest.mark.parametrize("mode", ["compel", "attention_bias"])
@pytest.mark.filterwarnings("ignore")
def test_modes_that_attend_by_weights_are_continuous_at_1(pipeline, mode):
    assert pipeline in KINDS.values()
    assert set(kept(pipeline, mode)) == set(LAWS) - {"o"}
