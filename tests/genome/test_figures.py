"""Figures of tracks with genes, and of the effects of variants: what they show, and what is refused before any work."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command_line import RUNTIME, Zoo, one_line
from refusals import refuses

from zoo.card import Card
from zoo.formats.genes import Gene
from zoo.genome import figures
from zoo.genome.figures import Columns, EffectPlot, Region
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

Figure = pytest.importorskip("matplotlib.figure").Figure
Text = pytest.importorskip("matplotlib.text").Text
pytest.importorskip("pysam")
bigwig = pytest.importorskip("pyBigWig")

MODEL = ("--weights", "w.safetensors", *RUNTIME)
GENES = 'chr2\tx\texon\t{}\t{}\t.\t{}\t.\tgene_id "{}";\n'


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written."""
    made: list[Figure] = []
    write = figures.figures.write
    monkeypatch.setattr(figures.figures, "write", lambda figure, *rest: (made.append(figure), write(figure, *rest)))
    return made


def texts(figure: Figure) -> str:
    return "\n".join(one.get_text() for one in figure.findobj(lambda one: hasattr(one, "get_text")))


def test_columns_have_the_mean_and_the_range_of_their_bases() -> None:
    region = Region("c", 1000, 1000 + 4 * figures.MOST_COLUMNS)
    columns = Columns(region, ["a", "b"])
    generator = np.random.default_rng(0)
    starts = np.sort(generator.choice(np.arange(900, region.end + 100), 3000, replace=False))
    ends = np.append(starts[1:], region.end + 200)
    ends = np.minimum(ends, starts + 7)
    values = generator.normal(size=(3000, 2)).astype(np.float32)
    for part in np.array_split(np.arange(3000), 7):
        columns.add(starts[part], ends[part], values[part])
    bases = np.full((region.end + 300, 2), np.nan)
    for start, end, value in zip(starts, ends, values, strict=True):
        bases[start:end] = value
    expected = bases[region.start : region.end].reshape(-1, 4, 2)
    there = ~np.isnan(expected).all(axis=1)
    np.testing.assert_allclose(columns.means[there], [np.nanmean(one, axis=0)[k] for one, k in pairs(expected, there)])
    np.testing.assert_array_equal(columns.lowest[there], [np.nanmin(one[:, k]) for one, k in pairs(expected, there)])
    np.testing.assert_array_equal(columns.highest[there], [np.nanmax(one[:, k]) for one, k in pairs(expected, there)])
    assert np.isnan(columns.means[~there]).all()


def pairs(columns: np.ndarray, there: np.ndarray) -> list[tuple[np.ndarray, int]]:
    return [(columns[column], target) for column, target in np.argwhere(there)]


def test_a_scan_draws_its_region_with_genes(zoo: Zoo, contigs: dict[str, str], drawn: list[Figure]) -> None:
    del contigs
    Path("g.gtf").write_text(GENES.format(300, 400, "+", "inside") + GENES.format(700, 800, "-", "behind"))
    words = ("scan", "g.fa", *MODEL, "-o", "t", "--region", "chr2:201-600", "--stride", 5)
    status, _, err = zoo(*words, "--figure", "r.pdf", "--genes", "g.gtf")
    assert (status, err.count("\n")) == (0, 1)
    assert Path("r.pdf").read_bytes().startswith(b"%PDF")
    said = texts(drawn[0])
    for text in ("log2 enrichment", "position on chr2 (bases)", "chr2:201-600", "inside", *"abc"):
        assert text in said
    assert "behind" not in said
    assert zoo(*words, "--figure", "r.svg", "--scale", "linear", "--overwrite")[0] == 0
    assert "log2" not in texts(drawn[1])


def test_axes_show_the_unit_of_the_weights(
    zoo: Zoo, contigs: dict[str, str], drawn: list[Figure], tmp_path: Path
) -> None:
    del contigs
    made = checkpoint.load(Path("w.safetensors"))
    for unit, scale in (("log2 $x$ & <y>", "log2"), ("log10 reads", "linear")):
        spec = dataclasses.replace(made.spec, card=Card(unit=unit))
        checkpoint.save(Checkpoint(spec, made.arrays), tmp_path / "own.safetensors", overwrite=True)
        words = (
            "--weights",
            tmp_path / "own.safetensors",
            *MODEL[2:],
            "-o",
            f"own-{scale}",
            "--region",
            "chr2:201-600",
        )
        shown = zoo("scan", "g.fa", *words, "--stride", 5, "--figure", f"{scale}.svg", "--scale", scale)
        if scale == "log2":
            assert shown[0] == 0, shown[2]
            assert unit in texts(drawn[0])
        else:
            assert (shown[0], "log10 reads" in shown[2]) == (2, True)


def test_finished_tracks_are_drawn_like_a_scan(zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG001
    for format_ in ("bigwig", "bedgraph"):
        words = ("scan", "g.fa", *MODEL, "-o", "t", "--region", "chr2:201-600", "--stride", 3, "--format", format_)
        assert zoo(*words)[0] == 0
        Path("t.json").unlink()
    found = [
        figures.of_tracks("chr2:251-500", {target: Path(f"t.{target}{suffix}") for target in "abc"})
        for suffix in (".bw", ".bedgraph")
    ]
    assert np.isfinite(found[0].means).any()
    for name in ("means", "lowest", "highest"):
        np.testing.assert_allclose(getattr(found[0], name), getattr(found[1], name), rtol=1e-6)
    with bigwig.open("t.b.bw") as file:
        np.testing.assert_array_equal(found[0].means[:, 1], file.values("chr2", 250, 500, numpy=True))
    for suffix in (".bw", ".bedgraph"):
        with refuses(f"t.a{suffix}", "chr7", "chr2"):
            figures.of_tracks("chr7:1-50", {"a": Path(f"t.a{suffix}")})


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (("--figure", "r.gif", "--region", "chr2:1-300"), ["--figure r.gif", ".png, .svg, .pdf", "got .gif"]),
        (("--figure", "r", "--region", "chr2:1-300"), ["--figure r", "no suffix"]),
        (("--figure", "r.png"), ["--figure", "one region", "2", "--region"]),
        (("--genes", "g.gtf", "--region", "chr2:1-300"), ["--genes g.gtf", "--figure"]),
        (("--figure", "r.png", "--genes", "g.gtf", "--region", "chr2:1-300"), ["g.gtf", "no such file"]),
        (("--figure", "g.fa", "--region", "chr2:1-300"), ["--figure g.fa"]),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused_before_any_work(
    zoo: Zoo, contigs: dict[str, str], words: tuple[str, ...], facts: list[str]
) -> None:
    del contigs
    before = sorted(Path().iterdir())
    one_line(zoo, facts, "scan", "g.fa", *MODEL, "-o", "t", *words)
    assert sorted(path for path in Path().iterdir() if path.suffix != ".fai") == before


def test_a_region_that_is_too_wide_is_refused() -> None:
    with refuses("c:1-20,000,001", "20,000,000"):
        Region("c", 0, figures.MOST_BASES + 1)


def test_genes_in_a_row_do_not_overlap_and_their_names_do_not() -> None:
    region = Region("c", 0, 100_000)
    generator = np.random.default_rng(0)
    found = [
        Gene(f"gene{number}", int(start), int(start) + 3000, "+", ((int(start), int(start) + 500),))
        for number, start in enumerate(np.sort(generator.integers(0, 100_000, 60)))
    ]
    stack = figures._stacked(found, region)
    assert (stack.named, stack.hidden) == (True, 0)
    for row in set(stack.rows):
        extents = [
            figures._extent(gene, region, named=True)
            for gene, its in zip(stack.genes, stack.rows, strict=True)
            if its == row
        ]
        assert all(one[1] < following[0] for one, following in pairwise(extents))
        assert all(left >= 0 and right <= 100_000 for left, right in extents)
    many = figures._stacked(found * 30, region)
    assert not many.named
    assert many.hidden + len(many.genes) == 30 * 60
    assert many.hidden > 0


def test_variants_draw_all_effects_and_name_the_largest(zoo: Zoo, contigs: dict[str, str], drawn: list[Figure]) -> None:
    del contigs
    status, _, err = zoo("variants", "v.vcf", "--genome", "g.fa", *MODEL, "-o", "e.tsv", "--figure", "e.svg")
    assert status == 0, err
    said = texts(drawn[0])
    points = sum(len(one.get_offsets()) for one in drawn[0].axes[0].collections)
    for text in ("effect (log2 enrichment)", f"a: ALT minus REF of {points:,} alleles", "chr2", "chr10", "rs"):
        assert text in said
    rows = [line.split("\t") for line in Path("e.tsv").read_text().splitlines()]
    deltas = [float(row[rows[0].index("delta_a")]) for row in rows[1:] if row[rows[0].index("delta_a")] != "NA"]
    heights = np.concatenate([one.get_offsets()[:, 1] for one in drawn[0].axes[0].collections])
    np.testing.assert_allclose(np.sort(heights), np.sort(deltas), atol=1e-6)
    one_line(zoo, ["e.gif"], "variants", "v.vcf", "--genome", "g.fa", *MODEL, "-o", "n.tsv", "--figure", "e.gif")


def test_labels_of_thousands_of_effects_stay_apart(tmp_path: Path, drawn: list[Figure]) -> None:
    plot = EffectPlot({"c": 10_000}, ["a"])
    effects = np.random.default_rng(0).normal(size=(3000, 1)).astype(np.float32)
    effects[7] = np.nan
    rows = range(3000)
    for part in (rows[:1000], rows[1000:]):
        columns = [
            ["c"] * len(part),
            [row + 1 for row in part],
            ["."] * len(part),
            ["A"] * len(part),
            ["C"] * len(part),
        ]
        plot.add(columns, effects[list(part)])
    plot.draw(tmp_path / "e.pdf")
    (panel,) = drawn[0].axes
    renderer = drawn[0].canvas.get_renderer()
    for one in panel.texts:
        one.update_positions(renderer)
    boxes = [Text.get_window_extent(one, renderer) for one in panel.texts]
    # those with a name are the largest, none of them is left out
    largest = np.argsort(-np.abs(np.nan_to_num(effects[:, 0])))[: len(boxes)]
    assert [one.get_text() for one in panel.texts] == [f"{row + 1:,} A>C" for row in largest]
    assert len(boxes) == figures.MOST_LABELS
    assert f"the {len(boxes)} largest by size" in panel.get_title("left")
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
