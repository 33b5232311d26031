"""Operations on arrays of bases: encoding, shuffling, augmentation, windows, sites. Knows no file and no model."""
