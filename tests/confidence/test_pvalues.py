"""p, q and percentiles of variants: kinds by hand, numbers by brute force, and uniform p of random variants."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import genomes
import numpy as np
import pytest
from alleles import random_alleles, write_vcf
from checkpoints import ODD
from command_line import RUNTIME, Zoo, one_line
from refusals import refuses
from scipy.stats import false_discovery_control, kstest

import zoo as package
from zoo.confidence import background
from zoo.confidence.places import CONTEXTS, Places
from zoo.confidence.random_variants import Lengths, RandomVariants, kinds_in
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.genome import pvalues
from zoo.genome.alleles import UNMOVED
from zoo.genome.options import MOST_PART_SIZE, ShardOptions, VariantOptions
from zoo.genome.pvalues import Ranks, kind_of, q_values
from zoo.genome.variants import Scoring, VariantsJob
from zoo.prediction import background as backgrounds
from zoo.prediction.model import Model, load

L = ODD.sequence_length
VARIANTS = ("variants", "v.vcf", "--genome", "g.fa", "--weights", "w.safetensors", *RUNTIME)
FLANKS = ("--flank", "right", "--shifts", "-3,0")


def model() -> Model:
    return load(weights="w.safetensors", runtime=RUNTIME[1])


@pytest.fixture
def long(contigs: dict[str, str]) -> dict[str, str]:  # noqa: ARG001
    """Of a genome in which every kind has places."""
    made = genomes.contigs({"chr2": 4000, "chr10": 3000}, seed=5, unknown=0.001)
    genomes.write(Path("g.fa"), made)
    Path("g.fa.fai").unlink(missing_ok=True)
    write_vcf(Path("v.vcf"), random_alleles(made, 40), made)
    return made


@pytest.mark.parametrize(
    ("place", "ref", "alt", "kind"),
    [
        (2, "C", "T", "A[C>T]G"),
        (1, "AC", "AT", "A[C>T]G"),
        (2, "cg", "tg", "A[C>T]G"),
        (2, "C", "CTT", "insertion of 2"),
        (2, "CG", "C", "deletion of 1"),
        (1, "ACG", "A", "deletion of 2"),
        (1, "ACGT", "AT", "deletion of 2"),
        (1, "AC", "TG", "2 replaced by 2"),
        (1, "ACG", "TGG", "2 replaced by 2"),
        (1, "A", "TG", "1 replaced by 2"),
        (0, "T", "A", "unknown kind"),  # the first base of the contig
        (7, "A", "C", "unknown kind"),  # beside an N
        (2, "C", "N", "unknown kind"),
        (2, "C", "C", "unknown kind"),
        (2, "C", "CNT", "unknown kind"),
    ],
)
def test_the_kind_of_an_allele(contigs: dict[str, str], place: int, ref: str, alt: str, kind: str) -> None:  # noqa: ARG001
    genomes.write(Path("small.fa"), {"c": "TACGTTCAN"})
    with IndexedFasta("small.fa") as genome:
        assert kind_of(genome, "c", place, ref, alt) == kind


def test_random_variants_are_of_their_kinds_at_random_places(long: dict[str, str]) -> None:
    others = [Lengths(0, 4), Lengths(3, 0), Lengths(1, 2), Lengths(2, 1), Lengths(2, 2), Lengths(5, 3)]
    with IndexedFasta("g.fa") as genome:
        drawn = RandomVariants(genome, 20, others, seed=3)
        places = Places(genome, 40, 40)
        found = list(drawn._variants(places))
        assert found == list(drawn._variants(places))
        assert found != list(RandomVariants(genome, 20, others, seed=4)._variants(places))
        counts = Counter(kind_of(genome, one.contig, one.position, one.ref, alt) for one in found for alt in one.alts)
        expected = {
            pvalues.substitution(context, alt): 20 for context in CONTEXTS for alt in "ACGT" if alt != context[1]
        }
        assert counts == expected | {pvalues.named(*kind): 20 for kind in others}
        for one in found:
            around = long[one.contig].upper()[one.position - 40 : one.position + 40]
            assert len(around) == 80
            assert "N" not in around
            assert around[40:].startswith(one.ref)
        inserted = {one.alts[0][1:] for one in found if one.ref == one.alts[0][0] and len(one.alts[0]) == 5}
        assert len(inserted) > 15
        assert kinds_in(Path("v.vcf"), genome, L) == sorted(
            {
                Lengths(len(ref), len(alt))
                for ref, alt in map(_trimmed, random_alleles(long, 40))
                if max(len(ref), len(alt)) > 1 or len(ref) != len(alt)
                if "N" not in ref + alt
            }
        )


def _trimmed(allele: tuple[str, int, str, str]) -> tuple[str, str]:
    ref, alt = allele[2].upper(), allele[3].upper()
    if max(len(ref), len(alt)) > L:
        return "", ""
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt = ref[1:], alt[1:]
    return ref, alt


def test_p_of_random_variants_is_uniform(long: dict[str, str]) -> None:  # noqa: ARG001
    """For 20 seeds; and it is not if variants are compared with those of another kind."""
    running, others, contexts = model(), [Lengths(0, 2), Lengths(4, 0)], ("ACG", "TTA")
    found, mixed = [], []
    sharing = ShardOptions(part_size=MOST_PART_SIZE)
    job = VariantsJob(Path("g.fa"), Path("e"), VariantOptions(), variants=Path("v"), sharing=sharing)
    with IndexedFasta("g.fa") as genome:
        places = Places(genome, 40, 40)
        for seed in range(20):
            null = RandomVariants(genome, 200, others, seed, contexts).sizes(running, UNMOVED, lambda _: None)
            about = {backgrounds.KINDS: {kind: some.shape[1] for kind, some in null.items()}}
            sizes = np.concatenate([*null.values()], axis=1)
            among = backgrounds.Background(Path("b"), about, np.zeros((3, 1), np.float32), sizes)
            tested = RandomVariants(genome, 40, others, 1000 + seed, contexts)
            # the alleles of one place are not independent
            alone = (one._replace(alts=one.alts[:1]) for one in tested._variants(places))
            work = Scoring(job, genome, running.spec)
            work.model = running
            effects, _ = work.in_memory(alone)
            p = np.concatenate([one[pvalues.P] for one in Ranks(among, genome).columns(effects)])
            assert p.shape == (160, 3)
            found.append([kstest(column, "uniform").pvalue for column in p.T])
            deletions = np.abs(effects[-1].alt - effects[-1].ref)[-40:, 0]
            wrong = [(1 + np.count_nonzero(null["A[C>A]G"][0] >= one)) / 201 for one in deletions]
            mixed.append(kstest(wrong, "uniform").pvalue)
    assert np.min(found) > 1e-3
    assert kstest(np.ravel(found), "uniform").pvalue > 1e-3
    assert np.median(mixed) < 1e-3


def test_numbers_of_a_table(zoo: Zoo, long: dict[str, str]) -> None:
    others = [("chr2", place, long["chr2"][place - 1], alt) for place, alt in ((9, "N"), (12, "<DEL>"))]
    write_vcf(Path("v.vcf"), [*random_alleles(long, 40), *others], long)
    make = ("background", "--genome", "g.fa", "--weights", "w.safetensors", *RUNTIME, "-o", "bg.npz")
    kinds = ("--random-variants", 30, "--variants", "v.vcf", "--windows", 500)
    status, _, err = zoo(*make, *kinds, *FLANKS)
    assert status == 0
    assert "random variants" in err
    words = (*VARIANTS, *FLANKS, "--background", "bg.npz", "--max-mismatch", 1)
    status, _, err = zoo(*words, "-o", "e.tsv")
    assert status == 0
    assert "without a p-value" in err
    assert "unknown kind" in err
    described = json.loads(Path("e.tsv.json").read_text())
    assert described["flank"] == "right"
    among = backgrounds.read(Path("bg.npz"))
    assert among.effects.shape == (3, 30 * len(among.about["kinds"]))
    ends = dict(zip(among.about["kinds"], np.cumsum([*among.about["kinds"].values()]), strict=True))
    header, *lines = [line.split("\t") for line in Path("e.tsv").read_text().splitlines()]
    assert header[5:11] == ["ref_a", "alt_a", "delta_a", "a_active_percentile", "a_p", "a_q"]
    scored = [cells for cells in lines if cells[5] != "NA"]
    assert len(lines) > len(scored) > 80
    numbers = np.array([[np.nan if cell == "NA" else float(cell) for cell in cells[5:11]] for cells in scored])
    with IndexedFasta("g.fa") as genome:
        of = [kind_of(genome, cells[0], int(cells[1]) - 1, cells[3], cells[4]) for cells in scored]
    assert described["kinds_without_p"] == {"unknown kind": of.count("unknown kind")}
    assert of.count("unknown kind") > 0
    for kind, (ref, alt, delta, active, p, _) in zip(of, numbers, strict=True):
        higher = max(ref, alt)
        rank = np.count_nonzero(among.values[0] < higher) + np.count_nonzero(among.values[0] == higher) / 2
        np.testing.assert_allclose(active, rank / 5, rtol=1e-6)
        if kind in ends:
            at_least = np.count_nonzero(among.effects[0, ends[kind] - 30 : ends[kind]] >= abs(np.float32(delta)))
            np.testing.assert_allclose(p, (at_least + 1) / 31, rtol=1e-6)
    p, q = numbers[:, 4], numbers[:, 5]
    assert np.isnan(p).tolist() == np.isnan(q).tolist() == [kind not in ends for kind in of]
    np.testing.assert_allclose(q[~np.isnan(p)], false_discovery_control(p[~np.isnan(p)]), rtol=1e-5)

    # shards, Python and VCF have the same numbers
    first = Path("e.tsv").read_bytes()
    for shard in ("--shard=1/2", "--shard=2/2", "--merge"):
        assert zoo(*words, "-o", "e.tsv", "--overwrite", "--part-size", 30, shard)[0] == 0
    assert Path("e.tsv").read_bytes() == first
    with pytest.warns(package.errors.ZooWarning, match="p-value"):
        frame = package.variant_effects(
            "v.vcf", "g.fa", model(), flank="right", shifts=(-3, 0), background="bg.npz", skip_bad=False
        )
    assert list(frame) == header
    np.testing.assert_allclose(frame[frame["ref_a"].notna()][header[5:11]].to_numpy(float), numbers, rtol=1e-6)
    assert zoo(*words, "-o", "e.vcf")[0] == 0
    text = Path("e.vcf").read_text()
    for name in ("ZOO_ACTIVE_PERCENTILE_a", "ZOO_P_a", "ZOO_Q_a"):
        assert f"##INFO=<ID={name},Number=A,Type=Float" in text
    assert "right flank" in text
    cells = scored[int(np.nanargmin(q))]
    assert f"ZOO_P_a={cells[9]};ZOO_Q_a={cells[10]};" in text
    assert "ZOO_P_a=.;ZOO_Q_a=.;" in text

    # what does not fit
    plain = (*VARIANTS, "--background", "bg.npz", "-o", "n.tsv")
    one_line(zoo, ["bg.npz", "--shifts -3,0"], *plain)
    one_line(zoo, ["bg.npz", "--flank right"], *plain, "--shifts", "-3,0")
    one_line(zoo, ["bg.npz", "one strand"], *plain, *FLANKS, "--rc", "average")
    one_line(zoo, ["bg.npz", "weights"], *[word if word != "w.safetensors" else "tuned" for word in plain], *FLANKS)


def test_without_random_variants_there_are_only_percentiles(zoo: Zoo, long: dict[str, str]) -> None:  # noqa: ARG001
    background("bg.npz", model(), genome="g.fa", windows=50)
    assert zoo(*VARIANTS, "--background", "bg.npz", "-o", "e.tsv", *FLANKS, "--max-mismatch", 1)[0] == 0
    header = Path("e.tsv").read_text().splitlines()[0].split("\t")
    assert header[5:9] == ["ref_a", "alt_a", "delta_a", "a_active_percentile"]
    assert "a_p" not in header
    make = ("background", "--weights", "w.safetensors", *RUNTIME, "-o", "n.npz")
    one_line(zoo, ["--variants", "--random-variants"], *make, "--genome", "g.fa", "--variants", "v.vcf")
    one_line(zoo, ["--random-variants", "--genome"], *make, "g.fa", "--random-variants", 3)
    one_line(zoo, ["--shifts", "--random-variants"], *make, "--genome", "g.fa", "--shifts", "-3,0")
    one_line(zoo, ["shifts", "999"], *make, "--genome", "g.fa", "--shifts", 999, "--random-variants", 3)
    one_line(zoo, ["--random-variants", "3 targets"], *make, "--genome", "g.fa", "--random-variants", 1_000_000)
    one_line(zoo, ["v.txt"], *make, "--genome", "g.fa", "--variants", "v.txt", "--random-variants", 3)
    assert not Path("n.npz").exists()
    with refuses("flank", "middle"):
        package.variant_effects("v.vcf", "g.fa", model(), flank="middle")


def test_q_is_that_of_benjamini_and_hochberg() -> None:
    p = np.array([[0.01, 0.5], [0.02, np.nan], [0.03, 0.5], [np.nan, 0.5], [0.9, 1]], np.float32)
    expected = [[0.04, 2 / 3], [0.04, np.nan], [0.04, 2 / 3], [np.nan, 2 / 3], [0.9, 1]]
    np.testing.assert_allclose(q_values(p), expected, rtol=1e-6)
    assert q_values(np.full((2, 1), np.nan, np.float32)).shape == (2, 1)
