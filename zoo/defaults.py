"""What is taken where the user does not say. Imports nothing, so that the command line can show it without waiting."""

MODEL = "original"

AUTO = "auto"

RUNTIME = AUTO
