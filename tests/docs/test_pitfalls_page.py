"""docs/pitfalls.md is what its generator makes of the marks, and every row has a test or a reason."""

from tests import pitfalls


def test_the_page_is_what_the_generator_makes():
    versions = pitfalls.ran_with()
    assert "diffusers" in versions
    assert pitfalls.PAGE.read_text(encoding="utf-8") == pitfalls.page(versions), (
        "run python -m tests.pitfalls"
    )


def test_every_row_has_a_test_or_a_reason():
    tests = pitfalls.marked()
    assert list(tests) == list(range(1, 47))
    for number, row in pitfalls.ROWS.items():
        assert bool(tests[number]) != bool(row.untested), number
        assert tests[number] or row.untested.startswith(
            ("not built: ", "does not touch conditioning: ")
        ), number
