"""Architecture search: which points there are, which to train next, trials in run folders, what came out.

Optuna draws the points, the trainer trains them, compared with `zoo evaluate`'s statistics. Needs the extras `train`
and `search`.
"""
