"""Models trained on the same data and compared: `zoo compare-models`, and the trainings of `zoo search --confirm`."""
