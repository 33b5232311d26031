"""Readers and writers of files: text, FASTA, BED, VCF, MEME, tables, genomes and tracks. Knows no model."""
