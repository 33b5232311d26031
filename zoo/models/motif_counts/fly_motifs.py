"""Motifs of Drosophila enhancers and promoters, from published consensus sequences: the default of motif-counts.

A consensus says which bases a position allows, but not how often each occurs; here the allowed bases share ALLOWED
equally. The motifs are those that de Almeida et al. discuss (2022, doi:10.1038/s41588-022-01048-5), if their consensus
is rare enough to search for, and core promoter motifs.
"""

from __future__ import annotations

import numpy as np

from zoo.dna import sites

CONSENSUS = {
    # Ohler, Liao, Niemann, Rubin 2002, doi:10.1186/gb-2002-3-12-research0087, motifs 1, 3 and 5 to 10
    "Ohler1": "YGGTCACACTR",
    "TATA": "STATAWAAR",
    "Ohler5": "AWCAGCTGWT",
    "Ohler6": "KTYRGTATWTTT",
    "Ohler7": "KNNCAKCNCTRNY",
    "Ohler8": "MKSYGGCARCGSYSS",
    "DPE": "CRWMGCGWKCGGTTS",
    "MTE": "CSARCSSAACGS",
    # Hirose, Yamaguchi, Handa, Inomata, Matsukage 1993: the DNA replication-related element
    "DRE": "TATCGATA",
    # Angel et al. 1987, doi:10.1016/0092-8674(87)90611-8
    "AP-1": "TGACTCA",
    # Montminy et al. 1986: the cAMP-responsive element
    "CREB": "TGACGTCA",
    # WGATAR of Evans, Reitman, Felsenfeld 1988, made longer because its words are too common
    "GATA": "WGATAAGR",
    # the ETS core GGAA with the flanks of Wei et al. 2010, doi:10.1038/emboj.2010.106
    "ETS": "ACCGGAAGT",
    # Yan, Small, Desplan, Dearolf, Darnell 1996, Cell 84:421: Stat92E
    "STAT": "TTCCCGGAA",
    # van Steensel, Delrow, Bussemaker 2003, doi:10.1073/pnas.0438000100: the GAGA factor
    "Trl": "GAGAGAGA",
}
"""Name -> consensus, in IUPAC letters."""

ALLOWED = 0.97
"""Probability of the bases that a consensus allows at a position, all together."""

SITES = 100.0
"""Assumed number of sites behind each matrix; with this many, pseudocounts change little."""

BACKGROUND = (0.29, 0.21, 0.21, 0.29)
"""Frequencies of A, C, G, T in the euchromatin of Drosophila melanogaster, 42% GC (Adams et al. 2000,
doi:10.1126/science.287.5461.2185)."""


def motifs() -> list[tuple[str, np.ndarray, float]]:
    """Name, probabilities (width, 4) and number of sites of each motif."""
    return [(name, probabilities(consensus), SITES) for name, consensus in CONSENSUS.items()]


def probabilities(consensus: str) -> np.ndarray:
    """IUPAC letters -> float64 (width, 4), in the order A, C, G, T."""
    return sites.probabilities(consensus, ALLOWED)
