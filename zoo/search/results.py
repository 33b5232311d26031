"""What a study leaves as text: trials.tsv, best.toml, pareto.tsv. Each is replaced whole, after every trial."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.dataset import Source
from zoo.search.objective import COST, Objective
from zoo.search.space import Space
from zoo.search.study import REASON, Study, pareto
from zoo.system.atomic import replacing

if TYPE_CHECKING:
    import optuna

TRIALS, BEST, PARETO = "trials.tsv", "best.toml", "pareto.tsv"

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
"""Of Optuna -> as the table has it."""

FACTS = {"epochs": "epochs_done", "best_epoch": "best_epoch", "seconds": "seconds"}
"""Of run.json, kept beside the values of a trial -> column of the tables: `epochs` may be a parameter."""


def columns(study: Study) -> list[str]:
    """Of trials.tsv."""
    return [
        "trial",
        "state",
        *_scores(study),
        *FACTS.values(),
        *(parameter.name for parameter in study.space.parameters),
        REASON,
    ]


def rows(study: Study) -> list[dict[str, Any]]:
    """A row a trial, in order; what there is not is missing."""
    found = []
    for trial in study.trials():
        values = dict(zip(map(str, study.objectives), trial.values or [], strict=False))
        named = {**FACTS, COST: COST, REASON: REASON}
        facts = {column: trial.user_attrs[name] for name, column in named.items() if name in trial.user_attrs}
        state = STATES[trial.state.name]
        found.append({"trial": trial.number, "state": state, **facts, **values, **trial.params})
    return found


def front(study: Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that none beats in all objectives; of one objective, in that and the arithmetic."""
    done = study.finished()
    return pareto([with_cost(trial, study.objectives) for trial in done], objectives_with_cost(study.objectives))


def objectives_with_cost(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """Those of the front: of one objective, the arithmetic beside it."""
    alone = len(objectives) == 1 and objectives[0].kind != COST
    return (*objectives, Objective(COST)) if alone else tuple(objectives)


def with_cost(trial: optuna.trial.FrozenTrial, objectives: Sequence[Objective]) -> optuna.trial.FrozenTrial:
    """A finished trial with values for `objectives_with_cost`, and the number that it has in the study."""
    import optuna

    if len(objectives_with_cost(objectives)) == len(objectives):
        return trial
    made = optuna.trial.create_trial(
        values=[*trial.values, float(trial.user_attrs[COST])],
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
    )
    made.number = trial.number
    return made


def write(study: Study, source: Source) -> None:
    """Write the files that there can be."""
    folder = study.folder
    write_table(folder / TRIALS, columns(study), rows(study))
    best = study.finished()[:1]
    if not best:
        return
    with replacing(folder / BEST, overwrite=True) as partial:
        partial.write_text(best_toml(study, best[0], source), "utf-8")
    names = objectives_with_cost(study.objectives)
    table = [
        {"trial": trial.number, **dict(zip(map(str, names), trial.values, strict=True)), **trial.params}
        for trial in front(study)
    ]
    parameters = [parameter.name for parameter in study.space.parameters]
    write_table(folder / PARETO, ["trial", *map(str, names), *parameters], table)


def best_toml(study: Study, trial: optuna.trial.FrozenTrial, source: Source) -> str:
    """A file for `zoo train`: the network and the training of a trial, for the data of the study."""
    scores = ", ".join(f"{name} {value:.6g}" for name, value in zip(study.objectives, trial.values, strict=True))
    tables = settings(study.space, trial.params, source, study.options.seed)
    lines = [f"# Trial {trial.number} of {len(study.trials())}: {scores} on the validation split."]
    for title, table in tables.items():
        lines += ["", f"[{title}]", *(f"{name} = {_toml(value)}" for name, value in table.items())]
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    """A JSON value as TOML has it in one line: a table, such as a motif of a Config, is written otherwise."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(name)} = {_toml(one)}' for name, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def settings(space: Space, point: Mapping[str, Any], source: Source, seed: int) -> dict[str, dict[str, Any]]:
    """Tables [model] and [train] of a point, JSON types."""
    config = dataclasses.replace(
        space.config(point), sequence_length=source.sequence_length, targets=tuple(source.targets)
    )
    return {
        "model": {"architecture": space.architecture, **config.to_dict()},
        "train": space.train_config(point, seed).to_dict(),
    }


def _scores(study: Study) -> list[str]:
    names = list(map(str, study.objectives))
    return [*names, *([] if COST in names else [COST])]


def write_table(path: Path, names: Sequence[str], table: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table separated by tabs; what a row lacks is an empty cell."""
    lines = ["\t".join(names)]
    lines += ["\t".join(_text(row.get(name)) for name in names) for row in table]
    with replacing(path, overwrite=True) as partial:
        partial.write_text("\n".join([*lines, ""]), "utf-8")


def _text(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())
