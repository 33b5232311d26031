"""The documentation site of `make docs`: it builds, loads nothing from the network, and no link is dead."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pages
import pytest

import zoo

pytest.importorskip("material")
pytest.importorskip("mkdocstrings")
mkdocs_config = pytest.importorskip("mkdocs.config")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

_LOADED = re.compile(r"<(?:script|img|iframe)[^>]*? src=\"?([^\s\">]+)|<link[^>]*? href=\"?([^\s\">]+)[^>]*stylesheet")
_LINKED = re.compile(r"<(?:a|img|link|script)\s[^>]*?(?:href|src)=(?:\"([^\"]*)\"|([^\s>]+))")
_ANCHOR = re.compile(r"\s(?:id|name)=(?:\"([^\"]+)\"|([^\s>]+))")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: an error ends it at a dead link or anchor, or a page that the navigation lacks."""
    from mkdocs.commands.build import build

    folder = tmp_path_factory.mktemp("site")
    build(mkdocs_config.load_config(str(pages.ROOT / "mkdocs.yml"), site_dir=str(folder)))
    return folder


def anchors(text: str) -> set[str]:
    return {quoted or bare for quoted, bare in _ANCHOR.findall(text)}


def texts(site: Path) -> dict[Path, str]:
    return {path: path.read_text("utf-8") for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    loaded = {name for text in texts(site).values() for found in _LOADED.findall(text) for name in found if name}
    assert any(name.endswith(".js") for name in loaded)
    assert not [name for name in loaded if urlsplit(name).netloc]


def test_every_link_of_every_page_has_a_target(site: Path) -> None:
    found = {path: anchors(text) for path, text in texts(site).items()}
    links = 0
    for path, text in texts(site).items():
        for quoted, bare in _LINKED.findall(text):
            link = urlsplit((quoted or bare).replace("&amp;", "&"))
            if link.scheme or link.netloc:
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            assert target.exists(), f"{path.relative_to(site)}: {link.geturl()}"
            if link.fragment and target.suffix == ".html" and link.fragment != "__skip":
                assert unquote(link.fragment) in found[target], f"{path.relative_to(site)}: {link.geturl()}"
            links += 1
    assert links > 1000


def test_the_front_page_has_every_task_of_the_readme_and_the_pictures(site: Path) -> None:
    front = (site / "index.html").read_text("utf-8")
    readme = (pages.ROOT / "README.md").read_text("utf-8")
    table = readme.partition("\n| you want |")[2].partition("\n## ")[0]
    tasks = re.findall(r"^\| ([^|]+) \| [`\[]", table, re.MULTILINE)
    assert len(tasks) > 20
    assert not [task for task in tasks if task not in front]
    assert len(re.findall(r"<img", front)) >= 8
    assert "README.md#" not in front


def test_the_reference_has_every_public_name_and_what_the_pages_import(site: Path) -> None:
    named = [pages.ROOT / "docs" / name for name in ("python.md", "extending.md")]
    program = "\n".join(block.text for page in named for block in pages.blocks(page))
    imported = {
        f"{module}.{name.strip()}"
        for module, names in re.findall(r"^from (zoo\b[\w.]*) import (.+)$", program, re.MULTILINE)
        for name in names.split(",")
    }
    wanted = imported | {f"zoo.{name}" for name in zoo.__all__ if not isinstance(getattr(zoo, name), ModuleType)}
    found = set().union(*(anchors(path.read_text("utf-8")) for path in (site / "reference").glob("*.html")))
    assert len(imported) > 10
    assert not wanted - found
    assert {
        "zoo.explain.ism",
        "zoo.design.evolve",
        "zoo.experiments.hits",
        "zoo.contracts.Runtime.start",
        "zoo-predict",
    } <= found


def test_a_page_beside_docs_leads_to_pages_of_the_site(site: Path) -> None:
    assert 'href="extending.html"' in (site / "CHANGELOG.html").read_text("utf-8")
    assert "FROM python" in re.sub(r"<[^>]+>", "", (site / "repository/Dockerfile.html").read_text("utf-8"))
