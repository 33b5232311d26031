"""The measurements that the default targets dev and hk are, for the cards of all models with these targets."""

from __future__ import annotations

from zoo.card import Card
from zoo.spec import UNIT

S2 = Card(
    species="Drosophila melanogaster",
    tissue="S2 cells",
    assay="STARR-seq",
    unit=UNIT,
    training_data="UMI-STARR-seq of the genome (dm3) with the core promoters DSCP (dev) and RpS12 (hk), windows of 249 "
    "bp on both strands; Zenodo record 5502060",
    held_out=("chr2R",),  # one half validates, the other tests
)
