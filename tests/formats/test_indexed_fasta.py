"""A genome on disk: any stretch as base codes, an index that is made, refused or kept elsewhere."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import genomes
import numpy as np
import pytest
from refusals import refuses

from zoo.dna.encoding import encode
from zoo.errors import ZooError
from zoo.formats import indexed_fasta
from zoo.formats.indexed_fasta import IndexedFasta, OtherLetter

pysam = pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")

MADE = genomes.contigs({"chr2": 700, "chr10": 61, "chrM": 120}, unknown=0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return genomes.write(tmp_path / "g.fa", MADE)


@pytest.mark.parametrize("blocks", [1, 7, 100, 1 << 20])
def test_any_stretch_is_what_the_file_says(path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    monkeypatch.setattr(indexed_fasta, "BLOCK_BASES", blocks)
    monkeypatch.setattr(indexed_fasta, "BLOCKS", 3)
    with IndexedFasta(path) as genome:
        assert genome.contigs == {"chr2": 700, "chr10": 61, "chrM": 120}
        assert list(genome.contigs) == ["chr2", "chr10", "chrM"]
        for name, sequence in MADE.items():
            for start, stop in ((0, len(sequence)), (3, 4), (50, 61), (17, 17), (len(sequence), len(sequence))):
                expected = encode([sequence[start:stop]])[0] if stop > start else np.empty(0)
                np.testing.assert_array_equal(genome.codes(name, start, stop), expected)


@pytest.mark.parametrize("centre", [-500, -5, 0, 30, 60, 61, 80, 1000])
def test_a_window_beyond_its_contig_holds_n(path: Path, centre: int) -> None:
    with IndexedFasta(path) as genome:
        expected = encode([genomes.window(MADE["chr10"], centre, 101)])[0]
        np.testing.assert_array_equal(genome.window("chr10", centre - 50, 101), expected)


def test_other_letters_are_n(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">c\nARYN*-T\n")
    with IndexedFasta(tmp_path / "g.fa") as genome:
        assert genome.codes("c", 0, 7).tolist() == [0, 4, 4, 4, 4, 4, 3]


@pytest.mark.parametrize("blocks", [1, 3, 1 << 20])
def test_other_letters_are_known_with_their_lines_and_refused_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    monkeypatch.setattr(indexed_fasta, "BLOCK_BASES", blocks)
    (tmp_path / "g.fa").write_text(">c\nACGT\nAryN\nac*\n>d x\nAC\nGM\n")
    for name in ("g.fa", "g.fa.gz"):
        with IndexedFasta(tmp_path / name) as genome:
            assert genome.ambiguous("c", 0, 11) == [(5, "R"), (6, "Y"), (10, "*")]
            assert genome.ambiguous("c", -9, 6) == [(5, "R")]
            assert genome.ambiguous("c", 90, 99) == []
            assert genome.letters("c", 3, 11) == "TARYNAC*"
            assert genome.letters("c", 3, 3) == ""
            assert [genome.place("c", place) for place in (0, 4, 10)] == [
                f"contig c, position {place} (line {line})" for place, line in ((1, 2), (5, 3), (11, 4))
            ]
            assert genome.named("d", genome.ambiguous("d", 0, 4)) == ["M at contig d, position 4 (line 7)"]
        with IndexedFasta(tmp_path / name, "refuse") as genome:
            assert genome.codes("c", 0, 5).tolist() == [0, 1, 2, 3, 0]
            assert genome.letters("c", 5, 6) == "R"
            with refuses(name, "contig c", "position 7", "line 3", "'Y'", kind=OtherLetter):
                genome.window("c", 6, 20)
        pysam.tabix_compress(str(tmp_path / "g.fa"), str(tmp_path / "g.fa.gz"), force=True)


def test_a_missing_index_is_made_beside_the_genome(path: Path) -> None:
    with IndexedFasta(path) as genome:
        assert genome.made_index == path.with_name("g.fa.fai")
    assert path.with_name("g.fa.fai").read_text().splitlines()[0] == "chr2\t700\t17\t60\t61"
    with IndexedFasta(path) as genome:
        assert genome.made_index is None
    assert sorted(found.name for found in path.parent.iterdir()) == ["g.fa", "g.fa.fai"]


@pytest.mark.skipif(os.name == "nt", reason="folders as on POSIX")
def test_where_the_folder_is_read_only_the_index_is_in_the_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = indexed_fasta.IndexedFasta._make_index

    def refuse_beside(self: IndexedFasta, index: Path, packed: bool) -> None:
        # as root, who may write everywhere, a folder cannot be read-only
        if index.parent == path.parent:
            raise ZooError("cannot be written (Permission denied)")
        made(self, index, packed)

    monkeypatch.setattr(indexed_fasta.IndexedFasta, "_make_index", refuse_beside)
    monkeypatch.setattr(indexed_fasta.os, "access", lambda *_: False)
    with IndexedFasta(path) as genome:
        assert genome.made_index is not None
        assert genome.made_index.parent.name == "genomes"
        assert genome.codes("chrM", 0, 5).tolist() == encode([MADE["chrM"][:5]])[0].tolist()
    with IndexedFasta(path) as genome:
        assert genome.made_index is None
    assert not path.with_name("g.fa.fai").exists()


def test_bgzip_is_read_and_gzip_is_refused(path: Path) -> None:
    packed = path.with_name("b.fa.gz")
    pysam.tabix_compress(str(path), str(packed))
    with IndexedFasta(packed) as genome:
        np.testing.assert_array_equal(genome.codes("chr2", 600, 700), encode([MADE["chr2"][600:]])[0])
    assert {"b.fa.gz.fai", "b.fa.gz.gzi"} < {found.name for found in path.parent.iterdir()}
    with IndexedFasta(packed) as genome:
        assert genome.made_index is None
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with refuses(packed, "gunzip", "bgzip"):
        IndexedFasta(packed)


CHANGES = {
    "a base more": lambda text: text.replace(">chr10", "A\n>chr10"),
    "a base less": lambda text: text[:-2] + "\n",
    "another name": lambda text: text.replace(">chr10", ">chr11"),
    "a contig more": lambda text: text + ">x\nACGT\n",
    "a contig less": lambda text: text[: text.index(">chrM")],
    "other lines": lambda text: text.replace("\n", "\r\n"),
}


WHERE = {
    "a base more": "contig chr10, near line 13",
    "a base less": "contig chrM, near line 16",
    "another name": "contig chr10, near line 13",
    "a contig more": "after line 19",
    "a contig less": "contig chrM, near line 16",
    "other lines": "contig chr2, near line 1",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_genome_that_changed_since_its_index_is_refused(path: Path, change: str) -> None:
    IndexedFasta(path)
    path.write_text(CHANGES[change](path.read_text()), newline="")
    with refuses(path, f"{path}.fai", "changed", WHERE[change]):
        IndexedFasta(path)


def test_a_copy_whose_index_is_older_is_taken(path: Path, tmp_path: Path) -> None:
    IndexedFasta(path)
    os.utime(tmp_path / "g.fa.fai", (0, 0))
    assert IndexedFasta(path).made_index is None
    packed = path.with_name("b.fa.gz")
    pysam.tabix_compress(str(path), str(packed))
    IndexedFasta(packed)
    os.utime(tmp_path / "b.fa.gz.fai", (0, 0))
    assert IndexedFasta(packed).made_index is None
    pysam.tabix_compress(str(genomes.write(tmp_path / "h.fa", {"c": "ACGT"})), str(packed), force=True)
    for time in (None, (0, 0)):  # an older file may take its place, as mv and cp -p leave it
        os.utime(packed, time)
        with refuses(packed, "changed"):
            IndexedFasta(packed)


def test_an_index_of_other_blocks_is_refused(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    texts = {f"c{n}": "".join(generator.choice(list("ACGT"), size)) for n, size in enumerate((90_000, 7, 150_000))}
    packed, other = tmp_path / "g.fa.gz", tmp_path / "o.fa.gz"
    pysam.tabix_compress(str(genomes.write(tmp_path / "g.fa", texts)), str(packed))
    pysam.tabix_compress(str(genomes.write(tmp_path / "o.fa", texts, width=71)), str(other))
    for made in (packed, other, packed):  # the second time with the index that is there
        with IndexedFasta(made) as genome:
            for name, text in texts.items():
                np.testing.assert_array_equal(genome.codes(name, 0, len(text)), encode([text])[0])
    index = tmp_path / "g.fa.gz.gzi"
    whole = index.read_bytes()
    for wrong in (whole[:-3], whole[:5], whole[:8], whole[:8] + bytes(byte ^ 1 for byte in whole[8:])):
        index.write_bytes(wrong)
        with refuses(packed, "changed"):
            IndexedFasta(packed)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "empty"),
        (b"ACGT\n", "'>'"),
        (b">a\nACGT\nAC\nACGT\n", "line 4|contig a|4 after 2"),
        (b">a\nACGT\nACGTA\n", "line 3|contig a|lines of 4|5"),
        (b">a\n\nACGT\n", "line 3|contig a|blank line"),
        (b">a\nACGT\n\nACG\n", "line 4|contig a|blank line"),
        (b">x\nACGT\n>a\nACGT\n>a\nACGT\n", "line 5|different names|a"),
        (b">a\nACGT\n>b\n>c\nACGT\n", "line 3|contig b|none"),
        (b">a\nACGT\n>b\n", "line 3|contig b|none"),
    ],
)
def test_what_is_no_genome_is_one_line(tmp_path: Path, content: bytes, fact: str) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    with refuses(path, *fact.split("|")):
        IndexedFasta(path)


def test_an_index_that_is_none_is_refused(path: Path) -> None:
    path.with_name("g.fa.fai").write_text("chr2\t700\n")
    with refuses(f"{path}.fai", "line 1"):
        IndexedFasta(path)


def test_a_contig_that_differs_by_chr_is_said_so(path: Path) -> None:
    with IndexedFasta(path) as genome:
        for name, facts in (("2", ["'2'", "'chr2'", "'chr'"]), ("X", ["'X'", "chr2, chr10, chrM"])):
            message = genome.unknown_contig(name)
            assert not [fact for fact in (str(path), *facts) if fact not in message], message


def test_a_copy_elsewhere_needs_no_index_of_its_own(path: Path, tmp_path: Path) -> None:
    IndexedFasta(path)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("g.fa", "g.fa.fai"):
        shutil.copy(tmp_path / name, other / name)
    assert IndexedFasta(other / "g.fa").made_index is None
    assert IndexedFasta(other / "g.fa").digest() == IndexedFasta(path).digest()


def test_what_a_contig_has_not_is_refused(path: Path) -> None:
    with IndexedFasta(path) as genome:
        for start, stop in ((-1, 5), (5, 4), (0, 62)):
            with refuses("chr10", "0 to 61", f"{start} to {stop}"):
                genome.codes("chr10", start, stop)
        with refuses("'10'", "'chr10'"):
            genome.codes("10", 0, 5)
