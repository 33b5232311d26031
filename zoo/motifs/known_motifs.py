"""Known motifs of fly enhancers and of core promoters, from published consensus sequences; known.meme has them.

`python -m zoo.motifs.known_motifs` writes the file from the table below.
"""

from __future__ import annotations

from pathlib import Path

from zoo.dna import sites
from zoo.formats import meme

FILE = Path(__file__).with_name("known.meme")

CONSENSUS = {
    # Angel et al. 1987, doi:10.1016/0092-8674(87)90611-8
    "AP-1": "TGASTCA",
    # Montminy, Sevarino, Wagner, Mandel, Goodman 1986, doi:10.1073/pnas.83.18.6682: the cAMP-responsive element
    "CREB": "TGACGTCA",
    # Evans, Reitman, Felsenfeld 1988, doi:10.1073/pnas.85.16.5976
    "GATA": "WGATAR",
    # Wei et al. 2010, doi:10.1038/emboj.2010.106
    "ETS": "ACCGGAAGT",
    # Yan, Small, Desplan, Dearolf, Darnell 1996, Cell 84:421: Stat92E
    "STAT": "TTCCCGGAA",
    # van Steensel, Delrow, Bussemaker 2003, doi:10.1073/pnas.0438000100: the GAGA factor
    "Trl/GAGA": "GAGAGAGA",
    # de Almeida et al. 2022, doi:10.1038/s41588-022-01048-5: the sites of twist that they mutated
    "twist": "CATCTG",
    # Mauhin, Lutz, Dennefeld, Alberga 1993, doi:10.1093/nar/21.17.3951
    "snail": "RWRACAGGTGYAC",
    # Blackwell, Kretzner, Blackwood, Eisenman, Weintraub 1990, Science 250:1149: Myc
    "E-box": "CACGTG",
    # the sterol regulatory element, en.wikipedia.org/wiki/Sterol_regulatory_element-binding_protein; in the promoter of
    # the LDL receptor it is ATCACCCCAC (Briggs, Yokoyama, Wang, Brown, Goldstein 1993, J. Biol. Chem. 268:14490)
    "SREBP": "TCACNCCAC",
    # Perisic, Xiao, Lis 1989, doi:10.1016/0092-8674(89)90603-X: three units of the heat shock element
    "HSF": "GAANNTTCNNGAA",
    # Liang et al. 2008, doi:10.1038/nature07388: Zelda
    "vfl/Zelda": "CAGGTAG",
    # Osada, Yamamoto, Nishihara, Imagawa 1996, doi:10.1074/jbc.271.7.3891
    "C/EBP": "RTTGCGYAAY",
    # Biedenkapp, Borgmeyer, Sippel, Klempnauer 1988, doi:10.1038/335835a0
    "Myb": "YAACKG",
    # Minty, Kedes 1986, doi:10.1128/mcb.6.6.2125: the CArG box
    "SRF": "CCWWWWWWGG",
    # Lenardo, Baltimore 1989, doi:10.1016/0092-8674(89)90833-7: NF-kappa B, in the fly dorsal and its relatives
    "Rel/dorsal": "GGGRNNYYCC",
    # Tun et al. 1994, doi:10.1093/nar/22.6.965: RBP-J kappa
    "Su(H)": "CGTGGGAA",
    # Briggs, Kadonaga, Bell, Tjian 1986, doi:10.1126/science.3529394: the GC box
    "Sp1": "KRGGCGKRRY",
    # Hirose, Yamaguchi, Handa, Inomata, Matsukage 1993, J. Biol. Chem. 268:2092: Dref
    "DRE": "TATCGATA",
    # Ohler, Liao, Niemann, Rubin 2002, doi:10.1186/gb-2002-3-12-research0087: motifs 1 and 3 to 10
    "Ohler1": "YGGTCACACTR",
    "TATA": "STATAWAAR",
    "Inr": "TCAGTYKNNNTYNR",
    "Ohler5": "AWCAGCTGWT",
    "Ohler6": "KTYRGTATWTTT",
    "Ohler7": "KNNCAKCNCTRNY",
    "Ohler8": "MKSYGGCARCGSYSS",
    "DPE": "CRWMGCGWKCGGTTS",
    "MTE": "CSARCSSAACGS",
}
"""Name -> consensus, in IUPAC letters."""

ALLOWED = 0.97
"""Probability of the bases that a consensus allows at a position, all together."""


def write(path: Path) -> None:
    """Write the motifs in the MEME format, each with its name and its consensus."""
    made = [meme.Motif(name, sites.probabilities(letters, ALLOWED), letters) for name, letters in CONSENSUS.items()]
    meme.write(path, meme.Motifs(tuple(made)), overwrite=True)


if __name__ == "__main__":
    write(FILE)
