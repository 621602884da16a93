"""The report: one page that asks nobody for anything, and shows what it is of."""

import re

import pytest
from PIL import Image

from clipcond import emoji
from clipcond.evaluation import evaluate
from clipcond.evaluation.lacking import lowest_clauses
from clipcond.evaluation.report import write_report
from clipcond.score import ClipScorer
from clipcond.tables import write_rows


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    clauses = lowest_clauses(run, "judge", ClipScorer.from_pretrained("judge"))
    out = tmp_path_factory.mktemp("report") / "report.html"
    return write_report([run], out, clauses=clauses)


def test_it_needs_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:|#)", text)
    assert "url(http" not in text
    assert "@import" not in text


def test_it_shows_models_scorers_verdicts_categories_and_pictures(page, run):
    text = page.read_text(encoding="utf-8")
    for said in (
        "short",
        "long",
        "emoji",
        "judge",
        "oracle",
        "single",
        "counting",
        "a blue square",
    ):
        assert said in text
    assert "is better" in text or "cannot tell" in text
    assert text.count("data:image/png") >= 12
    assert "also conditioned the pictures (circular)" in text
    assert "What is missing" in text
    assert "&#34;weights_sha256&#34;" in text or '"weights_sha256"' in text


def test_it_is_the_same_each_time(page, run, tmp_path):
    first, again = (run.report(tmp_path / f"{name}.html").read_bytes() for name in "ab")
    assert first == again


def test_a_scorer_that_could_judge_nothing_is_left_out(tmp_path):
    rows = []
    for number in range(4):
        emoji.render(emoji.sample(number), 32).save(tmp_path / f"{number}.png")
        rows.append(
            {"file": f"{number}.png", "prompt": f"a lady {number // 2}", "model": f"m{number % 2}"}
        )
    write_rows(rows, tmp_path / "t.csv")
    found = evaluate(tmp_path / "t.csv", scorers=("oracle", "judge"), out=tmp_path / "out")
    text = found.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "judged by judge." in text
    assert "Who is better" in text


def test_prompts_are_text_and_no_markup(tmp_path):
    hostile = '<script>alert("x")</script> & $\\alpha$ </svg>'
    rows = []
    for number in range(4):
        emoji.render(emoji.sample(number), 32).save(tmp_path / f"{number}.png")
        model = f"m{number % 2} {hostile}"
        rows.append(
            {
                "file": f"{number}.png",
                "prompt": f"{hostile} {number // 2}",
                "model": model,
                "category": f"{hostile} c{number // 2}",
            }
        )
    write_rows(rows, tmp_path / "t.csv")
    found = evaluate(tmp_path / "t.csv", scorers=("judge",), out=tmp_path / "out")
    text = found.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("</svg>") == text.count("<svg")


@pytest.mark.slow
def test_one_model_two_evaluations_and_missing_pictures(run, tmp_path):
    table = run.folder / "scores.jsonl"
    lines = table.read_text().splitlines(keepends=True)
    for name, kept in (("one", "short"), ("two", "long")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "evaluation.json").write_bytes(
            (run.folder / "evaluation.json").read_bytes()
        )
        own = [line for line in lines if f'"model": "{kept}"' in line]
        (tmp_path / name / "scores.jsonl").write_text("".join(own))
    from clipcond.evaluation import Evaluation

    one, two = (Evaluation.load(tmp_path / name) for name in ("one", "two"))
    alone = one.report(tmp_path / "alone.html").read_text(encoding="utf-8")
    assert "Who is better" not in alone
    assert "picture gone" in alone
    assert "Who is better" in one.report(tmp_path / "both.html", two).read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("width", "scheme"), [(1240, "dark"), (390, "light")])
def test_in_a_browser_it_filters_by_category_and_fits_a_phone(
    browser, page, width, scheme, tmp_path
):
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    errors = []
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.on(
        "request",
        lambda asked: errors.append(asked.url) if asked.url.startswith("http") else None,
    )
    view.goto(page.as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    shown = "document.querySelectorAll('[data-category]:not([hidden])')"
    every = view.evaluate(f"{shown}.length")
    view.select_option("#category", "counting")
    kinds = view.evaluate(f"[...new Set([...{shown}].map(e => e.dataset.category))]")
    panels = view.evaluate(
        "[...new Set([...document.querySelectorAll('[data-panel]:not([hidden])')].map(e => e.dataset.panel))]"
    )
    assert kinds == panels == ["counting"]
    view.select_option("#category", "all")
    assert view.evaluate(f"{shown}.length") == every
    view.screenshot(path=tmp_path / "page.png")
    assert errors == []
    view.close()
    with Image.open(tmp_path / "page.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
