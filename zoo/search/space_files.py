"""A search space from a file: a TOML file, or a Weights & Biases sweep (YAML, JSON). Needs no library for TOML.

TOML: tables [model], [train] and [objective]. In [model] and [train], a field of the architecture's Config or of
TrainConfig has a value, or a table that makes it a parameter: `choices`, or `low` and `high` with `log` or `step`, and
`name` for another name. An entry of a list may be such a table too. `entries_of` makes the parameter the number of
entries of the fields that it names. docs/search.md describes it.

Sweep: parameters have the names that the architecture's own space gives them (SEARCH_SPACE), or are fields of its
Config and of TrainConfig. Keys are those of the reference of W&B sweep configuration; any other key is an error.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.errors import ZooError, did_you_mean, require
from zoo.formats.text_input import read_text
from zoo.options import check_kind, check_names, names
from zoo.search import objective
from zoo.search.space import DATA_FIELDS, SEED, Choices, Parameter, Range, Space
from zoo.training.config import TrainConfig, architecture_of, check_tables, read_toml, split_model_table

TABLES = ("model", "train", "objective")
DOMAIN = ("choices", "low", "high", "log", "step")

SWEEP_SUFFIXES = (".yaml", ".yml", ".json")

SWEEP_METHODS = {"bayes": "tpe", "random": "random", "grid": "grid"}
"""Method of a sweep -> our sampler."""

SWEEP_LABELS = ("name", "project")
"""Keys of a sweep that trackers receive."""

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max", "q"),
    "log_uniform_values": ("min", "max"),
}
"""Distribution of a sweep's parameter -> its keys."""

FORMS = (("values",), ("value",), ("min", "max"))
"""Keys of a sweep's parameter without a distribution."""


def read(path: Path) -> Space:
    """A TOML file. Raises ZooError if it is not a valid space."""
    return from_tables(read_toml(path, TABLES), str(path))


def from_tables(document: Mapping[str, Any], source: str) -> Space:
    """A TOML file as a dictionary. source: its name in messages. Raises ZooError if it is not a valid space."""
    tables = check_tables(document, TABLES, source)
    where = f"{source}, [model]"
    architecture, variant, model = split_model_table(tables["model"], where)
    config = registry.load("models", architecture).Config
    counting = [name for name, value in model.items() if isinstance(value, dict) and "entries_of" in value]
    check_names(model, [*sorted(names(config)), *counting], f"{where}: unknown setting")
    check_names(tables["train"], names(TrainConfig), f"{source}, [train]: unknown setting")
    parameters: list[Parameter] = []
    fixed: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
    for title, table in (("model", model), ("train", tables["train"])):
        for name, value in table.items():
            where = f"{source}, [{title}], {name}"
            if isinstance(value, dict):
                parameters.append(_parameter(title, name, value, where, names(config)))
                continue
            fixed[title][name] = value
            if isinstance(value, list):
                fixed[title][name] = [None if isinstance(entry, dict) else entry for entry in value]
                parameters += [
                    _parameter(title, name, entry, f"{where}, entry {number}", names(config), number)
                    for number, entry in enumerate(value, 1)
                    if isinstance(entry, dict)
                ]
    fields = {**(variant or config()).to_dict(), **fixed["model"]}
    return Space(architecture, fields, fixed["train"], tuple(parameters), _metrics(tables["objective"], source), source)


def of_model(name: str) -> Space:
    """The space that comes with an architecture. Raises ZooError if it has none."""
    offered = _offered()
    if name not in offered:
        raise ZooError(
            f"unknown search space {name!r}{did_you_mean(name, offered)}; expected a .toml, .yaml or .json file, or "
            f"the name of an architecture that comes with one: {', '.join(sorted(offered)) or 'none'}"
        )
    return dataclasses.replace(read(offered[name]), source=name)


def _offered() -> dict[str, Path]:
    """Architecture -> file of the space that comes with it."""
    found = {name: getattr(module, "SEARCH_SPACE", None) for name, module in registry.working("models").items()}
    return {name: path for name, path in found.items() if path is not None}


def _parameter(
    title: str, field: str, table: Mapping[str, Any], where: str, model_fields: list[str], entry: int = 0
) -> Parameter:
    check_names(table, (*DOMAIN, "name", "entries_of"), f"{where}: unknown key")
    name = table.get("name", f"{field}{entry}" if entry else field)
    check_kind(f"{where}: name", name, str)
    if "entries_of" not in table:
        return Parameter(name, title, (field,), _domain(table, where), entry)
    fields = table["entries_of"]
    if not isinstance(fields, list):
        raise ZooError(f"{where}: entries_of: expected a list of fields, got {fields!r}")
    for one in fields:
        if title != "model" or one not in model_fields:
            raise ZooError(f"{where}: entries_of: expected fields of the model, got {one!r}")
    return Parameter(name, title, tuple(fields), _domain(table, where), entry, counts=True)


def _domain(table: Mapping[str, Any], where: str, whole: bool | None = None) -> Choices | Range:
    """A table with `choices`, or `low` and `high`. whole: only whole numbers; by default if all its numbers are whole.

    Raises ZooError for any other table and for invalid values.
    """
    try:
        if "choices" in table:
            extra = sorted(set(table) & set(DOMAIN) - {"choices"})
            if extra or not isinstance(table["choices"], list):
                raise ZooError(f"expected choices to be a list, alone; got {', '.join(extra) or table['choices']!r}")
            return Choices(tuple(table["choices"]))
        if "low" not in table or "high" not in table:
            raise ZooError("expected choices, or low and high")
        low, high, step, log = table["low"], table["high"], table.get("step"), table.get("log", False)
        for value in (low, high, *([] if step is None else [step])):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ZooError(f"range: expected numbers, got {value!r}")
        check_kind("log", log, bool)
        if whole is None:
            whole = all(isinstance(value, int) for value in (low, high, step or 1))
        return Range(low, high, whole, log, step)
    except ZooError as error:
        raise ZooError(f"{where}: {error}") from None


def _metrics(table: Mapping[str, Any], source: str) -> tuple[str, ...]:
    check_names(table, ("metric", "metrics"), f"{source}, [objective]: unknown key")
    metrics = [table["metric"]] if "metric" in table else []
    more = table.get("metrics", [])
    if not isinstance(more, list) or not all(isinstance(one, str) for one in (*metrics, *more)):
        raise ZooError(f"{source}, [objective]: expected metric to be a text and metrics a list of them, got {table}")
    return (*metrics, *more)


def read_sweep(path: Path, model: str | None = None) -> Space:
    """A file with one of SWEEP_SUFFIXES. model: as in `from_sweep`."""
    text = read_text(path)
    if path.suffix != ".json":
        require("yaml", "search", str(path))
    try:
        document = json.loads(text) if path.suffix == ".json" else _yaml(text)
    except ValueError as error:
        raise ZooError(f"{path}: expected a sweep in {path.suffix[1:]} ({' '.join(str(error).split())})") from None
    return from_sweep(document, str(path), model)


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def from_sweep(document: Any, source: str = "the sweep", model: str | None = None) -> Space:
    """A sweep as a dictionary -> Space.

    model: the variant that gives the settings that are not searched. By default the architecture is the one that knows
    all parameter names. Raises ZooError for anything missing, unknown or unsupported.
    """
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        raise ZooError(f"{source}: expected a sweep with a table of parameters")
    keys = ("method", "metric", "parameters", "early_terminate", "run_cap", *SWEEP_LABELS)
    check_names(document, keys, f"{source}: unknown key")
    method = document.get("method", "bayes")
    if not isinstance(method, str) or method not in SWEEP_METHODS:
        raise ZooError(f"{source}: method: expected one of {', '.join(SWEEP_METHODS)}, got {method!r}")
    given = {str(name): table for name, table in document["parameters"].items()}
    architecture = architecture_of(model, source) if model else _architecture_with(given, source)
    known = _known_parameters(architecture)
    check_names(given, list(known), f"{source}: unknown parameter")
    parameters = tuple(
        dataclasses.replace(known[name], name=name, domain=_swept(table, f"{source}: {name}"))
        for name, table in given.items()
    )
    sweep = {"sampler": SWEEP_METHODS[method], **_early_terminate(document.get("early_terminate", {}), source)}
    sweep |= {name: document[name] for name in SWEEP_LABELS if name in document}
    if "run_cap" in document:
        sweep["trials"] = document["run_cap"]
    _, variant, _ = split_model_table({"variant": model, "architecture": architecture}, source)
    fields = (variant or registry.load("models", architecture).Config()).to_dict()
    metrics = _sweep_metric(document.get("metric"), architecture, source)
    return Space(architecture, _with_entries(fields, parameters, source), {}, parameters, metrics, source, sweep)


def _architecture_with(given: Mapping[str, Any], source: str) -> str:
    """The architecture that knows all parameter names; if none does, the one that knows most of them.

    Raises ZooError if several know them, and not exactly one of those by the names of its own space.
    """
    known = {name: _known_parameters(name) for name in sorted(registry.working("models"))}
    of_space = {name: read(path).parameters for name, path in _offered().items()}
    fitting = [name for name in known if not given.keys() - known[name].keys()]
    # a name that is also that of a setting may be meant for any model
    offered = [
        name
        for name in fitting
        if any(one.name in given and (one.name,) != one.fields for one in of_space.get(name, ()))
    ]
    if len(fitting) > 1 and len(offered) != 1:
        raise ZooError(f"{source}: its parameters may be those of {', '.join(fitting)}; give --model")
    if fitting:
        return (offered or fitting)[0]
    return min(known, key=lambda name: (len(given.keys() - known[name].keys()), -len(of_space.get(name, ()))))


def _known_parameters(architecture: str) -> dict[str, Parameter]:
    """Name -> parameter, of the architecture's own space and of all its settings; the domain is to be replaced."""
    path = _offered().get(architecture)
    found = {parameter.name: parameter for parameter in (read(path).parameters if path else ())}
    for table, kind in {"model": registry.load("models", architecture).Config, "train": TrainConfig}.items():
        for field in names(kind):
            if field not in (*DATA_FIELDS, SEED):
                found.setdefault(field, Parameter(field, table, (field,), Choices((None,))))
    return found


def _with_entries(fields: dict[str, Any], parameters: tuple[Parameter, ...], source: str) -> dict[str, Any]:
    """Lists as long as their searched entries make them, with None for each searched entry."""
    for parameter in sorted(parameters, key=lambda parameter: parameter.entry):
        if parameter.entry:
            entries = fields[parameter.fields[0]] = list(fields[parameter.fields[0]])
            if parameter.entry > len(entries) + 1:
                missing = f"entry {len(entries) + 1} of {parameter.fields[0]}"
                raise ZooError(f"{source}: {parameter.name} needs a value for {missing}")
            entries[parameter.entry - 1 : parameter.entry] = [None]
    return fields


def _swept(table: Any, where: str) -> Choices | Range:
    """The domain of a sweep's parameter."""
    if not isinstance(table, dict):
        raise ZooError(f"{where}: expected a table with values, value, or min and max, got {table!r}")
    name = table.get("distribution")
    if name is not None and (not isinstance(name, str) or name not in DISTRIBUTIONS):
        raise ZooError(f"{where}: distribution: expected one of {', '.join(DISTRIBUTIONS)}, got {name!r}")
    forms = (DISTRIBUTIONS[name],) if name else FORMS
    check_names(table, (*(key for form in forms for key in form), "distribution"), f"{where}: unknown key")
    given = [key for key in table if key != "distribution"]
    if not any(set(form) == set(given) for form in forms):  # one of two forms would be ignored; q is 1 for W&B
        wanted = " or ".join(" and ".join(form) for form in forms)
        raise ZooError(f"{where}: expected {wanted}, got {' and '.join(given) or 'nothing'}")
    if "values" in table or "value" in table:
        values = table.get("values", [table.get("value")])
        return _domain({"choices": [*map(_number, values)] if isinstance(values, list) else values}, where)
    low, high, step = (_number(table.get(key)) for key in ("min", "max", "q"))
    if not all(isinstance(value, int | float) for value in (low, high)):
        raise ZooError(f"{where}: expected min and max to be numbers, got {low!r} and {high!r}")
    whole = {None: None, "int_uniform": True}.get(name, False)
    return _domain({"low": low, "high": high, "step": step, "log": name == "log_uniform_values"}, where, whole)


def _number(value: Any) -> Any:
    """A number that YAML 1.1 reads as a text, such as 1e-4; any other value unchanged."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _early_terminate(table: Any, source: str) -> dict[str, Any]:
    if not table:
        return {}
    check_names(table, ("type", "min_iter"), f"{source}: early_terminate: unknown key")
    if table.get("type") != "hyperband":
        raise ZooError(f"{source}: early_terminate: type: expected hyperband, got {table.get('type')!r}")
    return {{"type": "pruner"}.get(name, name): value for name, value in table.items()}


def _sweep_metric(table: Any, architecture: str, source: str) -> tuple[str, ...]:
    """The metric of a sweep, which has the name under which the model's authors log it, as `--objective` takes it."""
    if table is None:
        return ()
    where = f"{source}: metric"
    if not isinstance(table, dict) or "name" not in table:
        raise ZooError(f"{where}: expected a name and a goal, got {table!r}")
    check_names(table, ("name", "goal"), f"{where}: unknown key")
    logged_as = getattr(registry.load("models", architecture), "LOGGED_AS", {})
    metric = objective.from_column(str(table["name"]), logged_as, where)
    direction = objective.Objective(*metric.split(":")).direction
    if table.get("goal", direction) != direction:
        raise ZooError(f"{where}: expected the goal {direction} for {table['name']}, got {table['goal']!r}")
    return (metric,)
