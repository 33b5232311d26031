"""Arrays of bases in, arrays out: encoding, both strands, shuffling, augmentation. Knows no file and no model."""
