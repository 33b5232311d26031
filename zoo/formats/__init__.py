"""Files in and out: FASTA, compressed streams, tables of labels, tables of predictions, genomes. Knows no model."""
