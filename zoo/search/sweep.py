"""A Weights & Biases sweep, a YAML or JSON file or a dictionary, as a Space. What is not read is refused by its name.

Parameters are known by the names that the space of an architecture's model gives them (SEARCH_SPACE), or as fields of
its Config and of TrainConfig. Keys as in the reference of W&B sweep configuration.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.errors import MissingDependency, ZooError, did_you_mean
from zoo.search import objective, space_file
from zoo.search.space import DATA_FIELDS, SEED, Choices, Parameter, Range, Space, base
from zoo.training.config import TrainConfig, architecture_of

SUFFIXES = (".yaml", ".yml", ".json")

METHODS = {"bayes": "tpe", "random": "random", "grid": "grid"}
"""Method of a sweep -> our sampler."""

LABELS = ("name", "project")
"""What trackers are told."""

KEYS = ("method", "metric", "parameters", "early_terminate", "run_cap", *LABELS)

EARLY = {"type": "pruner", "min_iter": "min_iter"}
"""Keys of early_terminate."""

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max", "q"),
    "log_uniform_values": ("min", "max"),
}
"""Distribution -> the keys that it has."""

FORMS = (("values",), ("value",), ("min", "max"))
"""Keys of a parameter without a distribution."""


def read(path: Path, model: str | None = None) -> Space:
    """A file of SUFFIXES. model: as in `from_dict`."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        document = json.loads(text) if path.suffix == ".json" else _yaml(text)
    except ValueError as error:
        raise ZooError(f"{path}: expected a sweep in {path.suffix[1:]} ({' '.join(str(error).split())})") from None
    return from_dict(document, str(path), model)


def from_dict(document: Any, source: str = "the sweep", model: str | None = None) -> Space:
    """A sweep as a dictionary -> Space. model: the variant that gives what is not searched; by default the architecture
    is the one whose model knows all names. Raises ZooError for whatever is missing, unknown or not read."""
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        raise ZooError(f"{source}: expected a sweep with a table of parameters")
    _known(document, KEYS, source)
    method = document.get("method", "bayes")
    if not isinstance(method, str) or method not in METHODS:
        raise ZooError(f"{source}: method: expected one of {', '.join(METHODS)}, got {method!r}")
    given = {str(name): table for name, table in document["parameters"].items()}
    architecture, template = _architecture(given, source, model)
    parameters = tuple(
        dataclasses.replace(template[name], name=name, domain=_domain(table, f"{source}: {name}"))
        for name, table in given.items()
    )
    sweep = {"sampler": METHODS[method], **_early(document.get("early_terminate", {}), source)}
    sweep |= {name: document[name] for name in LABELS if name in document}
    if "run_cap" in document:
        sweep["trials"] = document["run_cap"]
    start = base(architecture, model, {}, source)
    return Space(
        architecture,
        _with_entries(start, parameters, source),
        {},
        parameters,
        _metric(document.get("metric"), architecture, source),
        source,
        sweep,
    )


def _architecture(given: Mapping[str, Any], source: str, model: str | None) -> tuple[str, dict[str, Parameter]]:
    """The architecture that knows all names, and name -> Parameter, whose domain is to be replaced."""
    wanted = [architecture_of(model, source)] if model else sorted(registry.working("models"))
    templates = {name: _templates(name) for name in wanted}
    unknown = {name: [word for word in given if word not in known] for name, known in templates.items()}
    offered_names = {name: set(given) & {parameter.name for parameter in _offered(name)} for name in wanted}
    fewest = min(unknown, key=lambda name: (len(unknown[name]), -len(offered_names[name]), -len(_offered(name))))
    if unknown[fewest]:
        word, known = unknown[fewest][0], templates[fewest]
        raise ZooError(
            f"{source}: no parameter is called {word!r}{did_you_mean(word, known)}; there are {', '.join(known)}"
        )
    fitting = [name for name in unknown if not unknown[name]]
    offered = [name for name in fitting if offered_names[name]]
    if len(fitting) > 1 and len(offered) != 1:
        raise ZooError(f"{source}: its parameters may be those of {', '.join(fitting)}; say which with --model")
    chosen = offered[0] if offered else fitting[0]
    return chosen, templates[chosen]


def _offered(architecture: str) -> tuple[Parameter, ...]:
    path = space_file.offers().get(architecture)
    return space_file.read(path).parameters if path else ()


def _templates(architecture: str) -> dict[str, Parameter]:
    found = {parameter.name: parameter for parameter in _offered(architecture)}
    kinds = {"model": registry.load("models", architecture).Config, "train": TrainConfig}
    for table, kind in kinds.items():
        for field in dataclasses.fields(kind):
            if field.name not in (*DATA_FIELDS, SEED):
                found.setdefault(field.name, Parameter(field.name, table, (field.name,), Choices((None,))))
    return found


def _with_entries(start: dict[str, Any], parameters: tuple[Parameter, ...], source: str) -> dict[str, Any]:
    """Lists as long as their searched entries make them, None where an entry is searched."""
    model = {name: list(value) if isinstance(value, list) else value for name, value in start.items()}
    for parameter in sorted(parameters, key=lambda parameter: parameter.entry):
        if parameter.entry:
            field = parameter.fields[0]
            if parameter.entry > len(model[field]) + 1:
                raise ZooError(f"{source}: {parameter.name} needs a value for entry {len(model[field]) + 1} of {field}")
            model[field][parameter.entry - 1 : parameter.entry] = [None]
    return model


def _domain(table: Any, where: str) -> Choices | Range:
    if not isinstance(table, dict):
        raise ZooError(f"{where}: expected a table with values, value, or min and max, got {table!r}")
    name = table.get("distribution")
    if name is not None and (not isinstance(name, str) or name not in DISTRIBUTIONS):
        raise ZooError(f"{where}: distribution: expected one of {', '.join(DISTRIBUTIONS)}, got {name!r}")
    forms = (DISTRIBUTIONS[name],) if name else FORMS
    _known(table, (*(key for form in forms for key in form), "distribution"), where)
    given = [key for key in table if key != "distribution"]
    if not any(set(form) == set(given) for form in forms):  # of two forms one would be ignored; q is 1 for W&B
        wanted = " or ".join(" and ".join(form) for form in forms)
        raise ZooError(f"{where}: expected {wanted}, got {' and '.join(given) or 'nothing'}")
    try:
        if "values" in table:
            if not isinstance(table["values"], list):
                raise ZooError(f"values: expected a list, got {table['values']!r}")
            return Choices(tuple(_number(value) for value in table["values"]))
        if "value" in table:
            return Choices((_number(table["value"]),))
        low, high, step = (_number(table.get(word)) for word in ("min", "max", "q"))
        if not all(isinstance(value, int | float) for value in (low, high)):
            raise ZooError(f"expected min and max to be numbers, got {low!r} and {high!r}")
        whole = name == "int_uniform" or (name is None and all(isinstance(value, int) for value in (low, high)))
        return Range(low, high, whole, name == "log_uniform_values", step)
    except ZooError as error:
        raise ZooError(f"{where}: {error}") from None


def _early(table: Any, source: str) -> dict[str, Any]:
    if not table:
        return {}
    _known(table, tuple(EARLY), f"{source}: early_terminate")
    if table.get("type") != "hyperband":
        raise ZooError(f"{source}: early_terminate: type: expected hyperband, got {table.get('type')!r}")
    return {EARLY[name]: value for name, value in table.items()}


def _metric(table: Any, architecture: str, source: str) -> tuple[str, ...]:
    """`--objective` of the metric that the sweep names as its authors log it."""
    if table is None:
        return ()
    where = f"{source}: metric"
    if not isinstance(table, dict) or "name" not in table:
        raise ZooError(f"{where}: expected a name and a goal, got {table!r}")
    _known(table, ("name", "goal"), where)
    logged_as = getattr(registry.load("models", architecture), "LOGGED_AS", {})
    text = objective.from_column(str(table["name"]), logged_as, where)
    direction = objective.direction(text)
    if "goal" in table and table["goal"] != direction:
        raise ZooError(f"{where}: expected the goal {direction} for {table['name']}, got {table['goal']!r}")
    return (text,)


def _known(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in known:
            raise ZooError(f"{where}: the key {name!r} is not read here; those that are: {', '.join(known)}")


def _number(value: Any) -> Any:
    """YAML 1.1 takes 1e-4 for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingDependency("PyYAML is not installed; pip install 'deepstarr-zoo[search]' brings it") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
