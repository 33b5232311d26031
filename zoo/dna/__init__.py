"""Arrays of bases in, arrays out: encoding, shuffling, augmentation. Knows no file and no model."""
