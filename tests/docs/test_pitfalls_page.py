"""docs/pitfalls.md is what its generator makes of the marks, and every row has a test or a reason."""

import pytest

from tests import pitfalls


def test_the_page_is_what_the_generator_makes():
    versions = pitfalls.ran_with()
    assert "diffusers" in versions
    assert pitfalls.PAGE.read_text(encoding="utf-8") == pitfalls.page(versions), (
        "run python -m tests.pitfalls"
    )


@pytest.mark.parametrize("number", pitfalls.ROWS)
def test_every_row_has_a_test_or_a_reason(number):
    reason = pitfalls.ROWS[number].untested
    assert pitfalls.marked()[number] or reason.startswith(
        ("not built: ", "does not touch conditioning: ")
    )


def test_all_of_them():
    assert list(pitfalls.ROWS) == list(range(1, 37))
