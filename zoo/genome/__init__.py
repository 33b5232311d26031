"""Runs over a genome: intervals, scans, effects of variants, shared out in parts."""
