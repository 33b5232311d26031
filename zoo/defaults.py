"""Default model and runtime. Imports nothing, so the command line can show them at once."""

MODEL = "original"

AUTO = "auto"

RUNTIME = AUTO
