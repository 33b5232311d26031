"""Files of figures: the suffix decides the format, and the same figure gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import refuses

from zoo.system import figures

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")])
def test_the_suffix_decides_the_format(tmp_path: Path, suffix: str, start: bytes) -> None:
    contents = []
    for number in range(2):
        figure, ((axes,),) = figures.new(1, 1)
        axes.plot([1, 2_000_000], [1, 2])
        figures.thousands(axes, 2)
        path = tmp_path / f"{number}{suffix}"
        figures.check_name(path)
        figures.save(figure, path)
        contents.append(path.read_bytes())
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]
    if start == b"<?xml":
        assert b"2,000,000" in contents[0]


@pytest.mark.parametrize(("name", "facts"), [("a.gif", ".gif"), ("a.png.gz", ".gz"), ("a", "no suffix")])
def test_another_suffix_is_refused(name: str, facts: str) -> None:
    with refuses("--figure", name, facts, ".png, .svg, .pdf"):
        figures.check_name(Path(name))
