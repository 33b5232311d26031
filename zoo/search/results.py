"""The text files of a study: trials.tsv, best.toml, pareto.tsv. Each is replaced whole after every trial."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.dataset import Source
from zoo.formats import table_writer
from zoo.search.objective import COST, Objective
from zoo.search.study import REASON, Study, on_front
from zoo.system.atomic import replacing

if TYPE_CHECKING:
    import optuna

TRIALS, BEST, PARETO = "trials.tsv", "best.toml", "pareto.tsv"

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
"""Optuna's state of a trial -> ours."""

FACTS = {"epochs": "epochs_done", "best_epoch": "best_epoch", "seconds": "seconds"}
"""Entry of run.json -> column of the tables; a parameter may be called `epochs`."""


def columns(study: Study) -> list[str]:
    """Columns of trials.tsv."""
    scores = dict.fromkeys([*map(str, study.objectives), COST])
    return ["trial", "state", *scores, *FACTS.values(), *_parameters(study), REASON]


def _parameters(study: Study) -> list[str]:
    return [parameter.name for parameter in study.space.parameters]


def rows(study: Study) -> list[dict[str, Any]]:
    """One row per trial, in order; absent values are omitted."""
    return [row(study, trial) for trial in study.trials()]


def row(study: Study, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Number, state, values, facts and parameters of a trial."""
    named = {**FACTS, COST: COST, REASON: REASON}
    facts = {column: trial.user_attrs[name] for name, column in named.items() if name in trial.user_attrs}
    values = dict(zip(map(str, study.objectives), trial.values or [], strict=False))
    return {"trial": trial.number, "state": STATES[trial.state.name], **facts, **values, **trial.params}


def front_objectives(study: Study) -> tuple[Objective, ...]:
    """Objectives of the front: with a single objective, the arithmetic is the second one."""
    single = len(study.objectives) == 1 and study.objectives[0].kind != COST
    return (*study.objectives, Objective(COST)) if single else study.objectives


def front(study: Study) -> list[dict[str, Any]]:
    """Rows of the finished trials that no other beats in the objectives of the front, the best first."""
    done = [row(study, trial) for trial in study.finished()]
    objectives = front_objectives(study)
    losses = [[-one[str(name)] if name.maximised else one[str(name)] for name in objectives] for one in done]
    best = on_front(np.array(losses, float).reshape(len(done), len(objectives)))
    return sorted(
        (one for one, kept in zip(done, best, strict=True) if kept),
        key=lambda one: -one[str(objectives[0])] if objectives[0].maximised else one[str(objectives[0])],
    )


def write(study: Study, source: Source) -> None:
    """Write trials.tsv, and best.toml and pareto.tsv if a trial is finished."""
    table_writer.write_records(study.folder / TRIALS, columns(study), rows(study))
    best = study.finished()[:1]
    if best:
        with replacing(study.folder / BEST, overwrite=True) as partial:
            partial.write_text(best_toml(study, best[0], source), "utf-8")
        names = ["trial", *map(str, front_objectives(study)), *_parameters(study)]
        table_writer.write_records(study.folder / PARETO, names, front(study))


def best_toml(study: Study, trial: optuna.trial.FrozenTrial, source: Source) -> str:
    """A file for `zoo train`: the network and the training of a trial, for the data of the study."""
    space = study.space
    scores = ", ".join(f"{name} {value:.6g}" for name, value in zip(study.objectives, trial.values, strict=True))
    config = dataclasses.replace(
        space.config(trial.params), sequence_length=source.sequence_length, targets=tuple(source.targets)
    )
    tables = {
        "model": {"architecture": space.architecture, **config.to_dict()},
        "train": space.train_config(trial.params, study.options.seed).to_dict(),
    }
    lines = [f"# Trial {trial.number} of {len(study.trials())}: {scores} on the validation split."]
    for title, table in tables.items():
        said = {name: value for name, value in table.items() if value is not None}  # TOML has no null
        lines += ["", f"[{title}]", *(f"{name} = {_toml(value)}" for name, value in said.items())]
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    """A JSON value as TOML on one line; only tables differ, such as the motifs of a Config."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(name)} = {_toml(one)}' for name, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
