"""Genes of GTF and GFF3 with their exons."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from refusals import refuses

from zoo.formats import genes
from zoo.formats.genes import Gene

GTF = """\
#!genome-build x
2L	x	gene	101	400	.	-	.	gene_id "g1"; gene_name "first";
2L	x	exon	101	150	.	-	.	gene_id "g1"; transcript_id "a"; gene_name "first";
2L	x	exon	140	200	.	-	.	gene_id "g1"; transcript_id "b"; gene_name "first";
2L	x	exon	301	400	.	-	.	gene_id "g1"; transcript_id "a"; gene_name "first"; tag "a;b";
2L	x	CDS	310	390	.	-	0	gene_id "g1"; transcript_id "a";
2L	x	exon	900	950	.	+	.	gene_id "g2"; gene_symbol "second";
2R	x	exon	120	130	.	+	.	gene_id "g3";
"""

GFF = """\
##gff-version 3
2L	x	exon	101	150	.	-	.	ID=e1;Parent=t1,t2
2L	x	exon	140	200	.	-	.	Parent=t2
2L	x	exon	301	400	.	-	.	Parent=t1
2L	x	mRNA	101	400	.	-	.	ID=t1;Parent=gene:g1
2L	x	mRNA	101	200	.	-	.	ID=t2;Parent=gene:g1
2L	x	gene	101	400	.	-	.	ID=gene:g1;Name=first;gene_id=g1
2L	x	gene	900	950	.	+	.	ID=gene:g2;Name=second%2C%20long
##FASTA
>2L
ACGT
"""

FIRST = Gene("first", 100, 400, "-", ((100, 200), (300, 400)))


@pytest.mark.parametrize(("text", "second"), [(GTF, "second"), (GFF, "second, long")])
def test_transcripts_of_a_gene_are_joined(tmp_path: Path, text: str, second: str) -> None:
    path = tmp_path / "genes.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert genes.read(path, "2L", 0, 1000) == [FIRST, Gene(second, 899, 950, "+", ((899, 950),))]
    assert genes.read(path, "2L", 399, 899) == [FIRST]
    assert genes.read(path, "2L", 400, 899) == []


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("2L\tx\texon\t5\t9\t.\t+\t.", ["line 2", "9 fields", "got 8"]),
        ("2L\tx\texon\t1e3\t9\t.\t+\t.\tgene_id g;", ["line 2", "1e3 9"]),
        ("2L\tx\texon\t0\t9\t.\t+\t.\tgene_id g;", ["line 2", "got 0 and 9"]),
        ("2L\tx\texon\t10\t9\t.\t+\t.\tgene_id g;", ["line 2", "got 10 and 9"]),
        ("chr2L\tx\texon\t1\t9\t.\t+\t.\tgene_id g;", ["exons or genes on 2L", "chr2L"]),
        ("", ["no features"]),
    ],
)
def test_bad_genes_are_refused(tmp_path: Path, line: str, facts: list[str]) -> None:
    path = tmp_path / "genes.gtf"
    path.write_text(f"# comment\n{line}\n")
    with refuses(path, *facts):
        genes.read(path, "2L", 0, 1000)
