"""What MkDocs does besides, for mkdocs.yml.

Pages link to files outside docs/ (a recipe, a test, the changelog) as GitHub reads such links. Each of these files becomes a page
here, below repository/, and the links lead there. A public name that lacks a docstring or a place in docs/api fails the build.
"""

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
API = ROOT / "docs" / "api"
MADE = "repository/"
# code is found through the pages that speak of it
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
LINK = re.compile(r"(?<=\]\()[^)#:\s]+")

# whose `__all__` is public, beside clipcond's own
ROOMS = (
    "clip",
    "conditioning",
    "emoji",
    "errors",
    "evaluation",
    "precompute",
    "prompt",
    "score",
    "search",
    "weighting",
)

log = logging.getLogger("mkdocs.hooks")


def in_repository(page: str) -> str:
    """Where the source of a page is in the repository.

    Args:
        page: as MkDocs names it, relative to docs/.
    """
    if not page.startswith(MADE):
        return f"docs/{page}"
    path = page.removeprefix(MADE)
    return path if (ROOT / path).is_file() else path.removesuffix("/index.md").removesuffix(".md")


def site_page(path: str) -> str | None:
    """The page or file that the site has of something in the repository; None where there is no such thing.

    Args:
        path: relative to the repository's root.
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"{MADE}{path}/index.md"
    if (ROOT / path).is_file():
        return MADE + (path if path.endswith(".md") else f"{path}.md")
    return None


def target(link: str, page: str) -> str | None:
    """`site_page` of what a link of a page leads to."""
    folder = posixpath.dirname(in_repository(page))
    return site_page(posixpath.normpath(posixpath.join(folder, link)))


def content(page: str) -> str:
    """The Markdown of a page that is made of a file or a folder of the repository."""
    path = ROOT / in_repository(page)
    if path.is_dir():
        files = sorted(path.glob("*.py"))
        return f"# {path.name}/\n\n" + "".join(
            f"- [{file.name}]({path.name}/{file.name})\n" for file in files
        )
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"{UNSEARCHED}# {in_repository(page)}\n\n`````{path.suffix[1:]}\n{text}`````\n"


def made_pages(files: Files) -> Iterator[str]:
    """The pages to make: what the given pages link to outside docs/, and what those link to."""
    texts = [(file.src_uri, file.content_string) for file in files.documentation_pages()]
    seen: set[str] = set()
    while texts:
        page, text = texts.pop()
        for link in LINK.findall(text):
            found = target(link, page)
            if found and found.startswith(MADE) and found not in seen:
                seen.add(found)
                texts.append((found, content(found)))
                yield found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of the repository's files."""
    for problem in missing_from_reference():
        log.warning(problem)
    for page in list(made_pages(files)):
        files.append(File.generated(config, page, content=content(page)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links that leave docs/, or come from outside it, lead to the site's pages."""
    here = page.file.src_uri

    def lead(link: re.Match[str]) -> str:
        found = target(link[0], here)
        if found is None or not (here.startswith(MADE) or found.startswith(MADE)):
            return link[0]
        return posixpath.relpath(found, posixpath.dirname(here) or ".")

    return LINK.sub(lead, markdown)


def missing_from_reference() -> Iterator[str]:
    """A line for each public name that has no docstring or is on no page of docs/api."""
    package = griffe.load("clipcond", search_paths=[ROOT])
    pages = "\n".join(page.read_text(encoding="utf-8") for page in sorted(API.glob("*.md")))
    shown = {
        package[name].canonical_path for name in re.findall(r"^::: clipcond\.(\S+)", pages, re.M)
    }
    for room in (package, *(package[name] for name in ROOMS)):
        for name in room.exports or [n for n, member in room.members.items() if member.is_class]:
            found = room[str(name)]
            if found.is_module and str(name) in found.members:  # a function in a file of its name
                found = found[str(name)]
            # a constant shows its value
            if not found.is_attribute and not found.has_docstring:
                yield f"{room.path}.{name} has no docstring"
            if not found.is_module and found.canonical_path not in shown:
                yield f"{room.path}.{name} is on no page of docs/api"
