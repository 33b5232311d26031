"""Figures: what a user named stays within its panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.evaluation import figures, metrics

Figure = pytest.importorskip("matplotlib.figure").Figure


def test_long_names_of_runs_and_targets_are_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.append(figure) or Path(path).touch())
    observed = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    names = ["a_run_" + 10 * "of_many_words_" + "end", "short"]
    targets = ("activity_" * 5,)
    scores = {name: metrics.score(observed, observed) for name in names}
    figures.scatter(observed, dict.fromkeys(names, observed), scores, targets, tmp_path / "x.png")
    titles = [panel.get_title() for panel in drawn[0].axes[:2]]
    assert titles[0].startswith("a_run_of_many_")
    assert titles[0].splitlines()[0].endswith("words_end")
    assert len(titles[0].splitlines()[0]) == figures.WIDEST_TITLE
    assert titles[1].startswith("short\n")
    assert all(len(line) <= 2 * figures.WIDEST_TITLE for title in titles for line in title.splitlines())
    for panel in drawn[0].axes[:2]:
        assert "..." in panel.get_title()
        assert "..." in panel.get_xlabel()
