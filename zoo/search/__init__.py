"""Architecture search: the space, the choice of the next point, trials in run folders, and the results.

Optuna proposes the points, the trainer trains them, and the statistics of `zoo evaluate` compare them. Needs the extras
`train` and `search`.
"""
