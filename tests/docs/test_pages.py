"""README.md and docs/*.md: the code blocks of each page run in order. See tests/pages.py for the exceptions."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pages
import pytest
from command_line import Zoo
from pictures import undrawn  # noqa: F401

pytest.importorskip("torch")
pytest.importorskip("tf_keras")

RUN = ("weights.safetensors", "metrics.csv", "run.json", "curves.png", "seen.safetensors")

LEFT = {
    "README.md": [
        *(f"runs/{name}/{file}" for name in ("mine", "fine-tuned") for file in RUN),
        "scores.tsv.gz", "scores.tsv.gz.json", "scores.tsv", "port.safetensors", "found.safetensors", "original.onnx",
        "letters.onnx", "mine.h5", "report/metrics.json", "report/predictions.tsv", "report/scatter.png",
        "report/comparison.png",
    ],
    "train.md": ["runs/student/weights.safetensors", "runs/small/curves.png"],
    "explain.md": [
        *(f"explained/{file}" for file in ("report.html", "summary.tsv", "contributions.h5", "modisco.dev.hyp.npz")),
        "mutated/ism.npz", "quick/logos/0002.dev.png", "grouped/clusters/clusters.html", "two/clusters.tsv",
        *(f"strong/motifs/{file}" for file in ("motifs.html", "dev.patterns.tsv", "hk.patterns.png", "hk.meme")),
    ],
    "genome.md": [
        "strongest.tsv",
        "activities.tsv", "activities.tsv.json", "dm6.fa.fai", "ush.png", "tracks/ush.dev.bw", "tracks/ush.hk.bw",
        "tracks/ush.json", "tracks/mean.dev.bw", "tracks/peaks.hk.bedgraph",
    ],
    "variants.md": [
        "effects.tsv", "effects.tsv.json", "effects.vcf.gz", "effects.vcf.gz.tbi", "effects.parquet", "effects.png",
        "both.vcf.gz",
    ],
    "models.md": ["motifs.onnx", "gapped.tsv", "gapped/metrics.json", "compared/comparison.png"],
    "confidence.md": [
        "percentiles.png", "ranked.tsv", "ranked.dev_percentile.bw", "ranked.dev.narrowPeak", "effects.tsv",
    ],
    "cluster.md": ["tracks/dm6.dev.bw", "tracks/dm6.hk.bw", "tracks/dm6.json"],
    "evaluate.md": ["report/diagnosis-1.png", "report/diagnosis-2.png"],
}  # fmt: skip
"""Page -> files that its commands write."""

SMALLER = {
    "README.md": {
        "--epochs 3": "--epochs 1", "--epochs 2": "--epochs 1",
        "zoo parity ": "zoo parity --help ", "zoo bench ": "zoo bench --help ",  # parity.md runs the same commands
    },
    "evaluate.md": {"--epochs 2": "--epochs 1"},
    "train.md": {"--epochs 2": "--epochs 1", "--epoch-size 1000": "--epoch-size 200"},
    "explain.md": {
        "(50_000, 249)": "(10_000, 249)", "[:300]": "[:100]", "strong --shuffles 20": "strong --shuffles 2",
    },
}  # fmt: skip
"""Page -> what the reader runs -> what the test runs in its place."""

PAGES = {page.name: page for page in pages.PAGES if page.name not in ("design.md", "tutorial.md")}
"""test_design_page.py runs one of the others, and test_tutorial.py the tutorial as its notebook."""

UNDRAWN = ("search.md", "train.md")
"""Pages whose many trainings would each draw their curves."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(shutil.which("bash") is None, reason="the pages show commands of a POSIX shell")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in UNDRAWN else pytest.mark.drawn) for name in PAGES]
)
def test_the_blocks_of_a_page_run_in_order(
    name: str, reader: Path, zoo: Zoo, capfd: pytest.CaptureFixture[str]
) -> None:
    if absent := pages.missing(PAGES[name]):
        pytest.skip(f"{', '.join(absent)} is not installed; the extra dev brings it")
    pages.run(PAGES[name], reader, zoo, lambda: capfd.readouterr().out, SMALLER.get(name))
    for file in LEFT.get(name, ()):
        assert (reader / file).is_file(), file


def test_a_command_that_fails_or_a_program_that_prints_nothing_is_found(
    reader: Path, zoo: Zoo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    for text in (
        "```sh\nzoo predict none.fa\n```\n",
        "```sh\nfalse | cat\n```\n",
        "```python\nif 0:\n    print(1)\n```\n",
    ):
        page.write_text(text)
        with pytest.raises(AssertionError):
            pages.run(page, reader, zoo, lambda: capfd.readouterr().out)
    page.write_text("```toml\n# kept.toml\nx = 1\n```\n```sh\ngrep -q 'x = 1' kept.toml && zoo list > listed\n```\n")
    pages.run(page, reader, zoo, lambda: capfd.readouterr().out)
    assert "kmer-cpu" in (reader / "listed").read_text()


def test_pages_lead_to_each_other() -> None:
    """README.md links every page, and every link within the repository has a target."""
    linked = set()
    for page in pages.PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
            linked.add((page.parent / target).resolve())
    assert set(pages.PAGES[1:]) <= linked
