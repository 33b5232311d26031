"""Pages of the documentation site that are not in docs/: a hook of MkDocs, which mkdocs.yml names.

Links in docs/ and the pages beside it are those of the repository, relative to their page. The site has a place for
each of their targets: README.md is the front page, a page beside it keeps its name, a picture outside docs/ is copied,
and any other file is a page that shows it. In docs/index.md a paragraph that is only a link to a section of README.md
becomes that section. The reference is made from the help of the commands and from docstrings.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

import zoo

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

MODULES = ("zoo.confidence", "zoo.errors")
"""Public modules beside those in zoo.__all__."""

ALSO = (
    "zoo.design.options.DesignOptions",
    "zoo.evaluation.compare.compare",
    "zoo.evaluation.intervals.paired_difference",
    "zoo.spec.ModelSpec",
    "zoo.weights.checkpoint.Checkpoint",
    "zoo.options.RunOptions",
    "zoo.card.Card",
)
"""What the pages of docs/ use besides."""

PLUG_INS = (
    "zoo.contracts",
    "zoo.layers.config.NetworkConfig",
    "zoo.layers.config.check_flanks",
    "zoo.layers.config.network_in",
    "zoo.options.Bounds",
    "zoo.spec.ALPHABET",
    "zoo.spec.SPEC_KEY",
    "zoo.system.atomic.replacing",
    "zoo.system.machine",
    "zoo.weights.exports",
    "zoo.weights.model_arrays.Shapes",
)
"""The contracts of plug-ins, and what docs/extending.md imports to keep them."""

PICTURES = (".png", ".svg", ".jpg")

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
_SECTION = re.compile(r"^\[[^\]]+\]\(\.\./README\.md#([\w-]+)\)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    pages = {path.name: path for path in sorted(ROOT.glob("*.md")) if path.name != "README.md"}
    sources = [*pages.values(), ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for name, path in pages.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    for target in sorted({target for path in sources for target in _targets(path)}):
        uri = site_path(target)
        if files.get_file_from_path(uri):
            continue
        if target.suffix in PICTURES:
            files.append(File.generated(config, uri, abs_src_path=str(target)))
        else:
            files.append(File.generated(config, uri, content=shown(target)))
    for name, text in reference().items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Put sections of README.md in their places, and lead each link to its place in the site."""
    if page.file.abs_src_path is None:
        return markdown
    path = Path(page.file.abs_src_path)
    if page.file.src_uri == "index.md":
        page.meta["hide"] = ["navigation"]
        sections = {slug(heading): text for heading, text in readme_sections().items()}
        markdown = _SECTION.sub(lambda found: relinked(sections[found[1]], ROOT, ""), markdown)
    return relinked(markdown, path.parent, posixpath.dirname(page.file.src_uri))


def relinked(markdown: str, folder: Path, place: str) -> str:
    """Markdown of a page in `folder` with the links of the page at the site's folder `place`."""

    def relink(found: re.Match[str]) -> str:
        target = (folder / found[1]).resolve()
        if not target.exists():
            return found[1]  # MkDocs says what is wrong with it
        return posixpath.relpath(site_path(target), place or ".")

    return _LINK.sub(relink, markdown)


def site_path(target: Path) -> str:
    """Path in the site of a file of the repository."""
    name = target.relative_to(ROOT).as_posix()
    if name.startswith("docs/"):
        return name.removeprefix("docs/") + "/index.md" * target.is_dir()
    if name == "README.md":
        return "index.md"
    if "/" not in name and name.endswith(".md"):
        return name
    return f"repository/{name}" if target.suffix in PICTURES else f"repository/{name}.md"


def shown(path: Path) -> str:
    """A page that shows a file, or lists those of a folder."""
    if path.is_dir():
        lines = [f"- [{file.name}]({file.name})" for file in sorted(path.iterdir())]
        return "\n".join([f"# {path.name}", "", *lines, ""])
    language = {".py": "python", "": "docker"}.get(path.suffix, "text")
    return f"# {path.relative_to(ROOT).as_posix()}\n\n````{language}\n{path.read_text('utf-8')}\n````\n"


def readme_sections() -> dict[str, str]:
    """Heading -> what follows it, up to the next heading. The title is left out of its own section."""
    text = re.sub(r"^```.*?^```$", lambda block: block[0].replace("\n#", "\n\0"), _readme(), flags=re.M | re.S)
    found = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in found[1:]), len(text)]
    return {
        heading[1]: text[heading.start() if number else heading.end() : end].replace("\0", "#").strip()
        for number, (heading, end) in enumerate(zip(found, ends, strict=True))
    }


def slug(heading: str) -> str:
    """The anchor of a heading, as on GitHub."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def reference() -> dict[str, str]:
    """Name of a page -> its Markdown."""
    return {"commands.md": commands(), "python.md": python(), "plug-ins.md": plug_ins()}


def commands() -> str:
    """The help of every command."""
    from zoo.cli.commands import COMMANDS

    parts = ["# Commands", "Every command shows this text with `--help`."]
    for title, group in COMMANDS.items():
        parts.append(f"## {title}")
        for command in group:
            name = command.partition(":")[2].rstrip("_").replace("_", "-")
            parts.append(f"### zoo {name}\n\n```text\n{_help(name)}\n```")
    return "\n\n".join(parts) + "\n"


def python() -> str:
    """Every public name, with its signature and docstring."""
    inner = [name for name in zoo.__all__ if importlib.util.find_spec(f"zoo.{name}")]
    parts = ["# Python", *(f"::: zoo.{name}" for name in zoo.__all__ if name not in inner)]
    for module in (*(f"zoo.{name}" for name in inner), *MODULES):
        parts += [f"## {module}", *(f"::: {module}.{name}" for name in _public(module))]
    return "\n\n".join([*parts, "## Also in these pages", *(f"::: {name}" for name in ALSO)]) + "\n"


def plug_ins() -> str:
    return "\n\n".join(["# Plug-ins", *(f"::: {name}" for name in PLUG_INS)]) + "\n"


def _targets(path: Path) -> set[Path]:
    """Files outside docs/ that a page links, or that are no pages of their own."""
    found = {(path.parent / name).resolve() for name in _LINK.findall(path.read_text("utf-8"))}
    return {target for target in found if target.exists() and (target.is_dir() or ROOT / "docs" not in target.parents)}


def _readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def _public(module: str) -> list[str]:
    """The names in __all__, else the exceptions and warnings."""
    held = importlib.import_module(module)
    return getattr(held, "__all__", None) or [
        name for name, value in vars(held).items() if inspect.isclass(value) and value.__module__ == module
    ]


def _help(name: str) -> str:
    from zoo.cli import main

    text, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(text):
            main.app([name, "--help"])
    finally:
        os.environ.pop("COLUMNS") if columns is None else os.environ.update(COLUMNS=columns)
    return text.getvalue().strip()
