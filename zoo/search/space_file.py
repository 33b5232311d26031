"""A space as a TOML file: tables [model], [train] and [objective]. docs/search.md describes it. Needs no library.

In [model] and [train] a field of the architecture's Config or of TrainConfig has a value, or a table that makes it a
parameter: `choices`, or `low` and `high` with `log` or `step`, and `name` where it should be called otherwise. An entry
of a list may be such a table too. `entries_of` makes one the number of entries of the fields that it names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.defaults import MODEL
from zoo.errors import ZooError, did_you_mean
from zoo.options import check_kind, check_names, names
from zoo.search.space import Choices, Parameter, Range, Space, base
from zoo.training.config import TrainConfig, architecture_of, check_tables, read_toml

TABLES = ("model", "train", "objective")
DOMAIN = ("choices", "low", "high", "log", "step")
KEYS = (*DOMAIN, "name", "entries_of")


def read(path: Path) -> Space:
    """Raises ZooError if the file is no such space."""
    return from_tables(read_toml(path, TABLES), str(path))


def from_tables(document: Mapping[str, Any], source: str) -> Space:
    """Raises ZooError for whatever a space does not have. source: for messages."""
    document = check_tables(document, TABLES, source)
    table = dict(document.get("model", {}))
    variant, named_architecture = table.pop("variant", None), table.pop("architecture", None)
    for name, value in (("variant", variant), ("architecture", named_architecture)):
        check_kind(f"{source}, [model]: {name}", value, str | None)
    architecture = named_architecture or architecture_of(variant or MODEL, source)
    reader = _Reader(source, {field.name for field in dataclasses.fields(registry.load("models", architecture).Config)})
    model = reader.table("model", table)
    known = [*sorted(reader.fields), *(name for name in table if name in reader.counting)]
    check_names(model, known, f"{source}, [model]: unknown setting")
    train = reader.table("train", document.get("train", {}))
    check_names(document.get("train", {}), names(TrainConfig), f"{source}, [train]: unknown setting")
    return Space(
        architecture,
        base(architecture, variant, model, f"{source}, [model]"),
        train,
        tuple(reader.parameters),
        _metrics(document.get("objective", {}), source),
        source,
    )


def of_model(name: str) -> Space:
    """The space that an architecture's model offers. Raises ZooError if it offers none."""
    offered = offers()
    if name not in offered:
        there = ", ".join(sorted(offered)) or "none"
        raise ZooError(
            f"no space is called {name!r}{did_you_mean(name, offered)}; expected a .toml, .yaml or .json file, or the "
            f"name of an architecture that comes with one: {there}"
        )
    return dataclasses.replace(read(offered[name]), source=name)


def offers() -> dict[str, Path]:
    """Architecture -> file of the space that comes with it."""
    found = {name: getattr(module, "SEARCH_SPACE", None) for name, module in registry.working("models").items()}
    return {name: path for name, path in found.items() if path is not None}


class _Reader:
    """Takes parameters out of tables. fields: of the Config.  counting: names of what counts entries."""

    def __init__(self, source: str, fields: set[str]) -> None:
        self.source, self.fields = source, fields
        self.parameters: list[Parameter] = []
        self.counting: set[str] = set()

    def table(self, title: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """The values that stay when parameters are taken out; None where an entry of a list was one."""
        kept: dict[str, Any] = {}
        for name, value in table.items():
            where = f"{self.source}, [{title}], {name}"
            if isinstance(value, dict):
                self._parameter(title, name, name, value, where)
                continue
            kept[name] = value
            if isinstance(value, list):
                kept[name] = [None if isinstance(entry, dict) else entry for entry in value]
                for number, entry in enumerate(value, 1):
                    if isinstance(entry, dict):
                        self._parameter(title, name, f"{name}{number}", entry, f"{where}, entry {number}", number)
        return kept

    def _parameter(
        self, title: str, field: str, name: str, table: Mapping[str, Any], where: str, entry: int = 0
    ) -> None:
        check_names(table, KEYS, f"{where}: unknown key")
        check_kind(f"{where}: name", table.get("name", name), str)
        fields, counts = (field,), "entries_of" in table
        if counts:
            if not isinstance(table["entries_of"], list):
                raise ZooError(f"{where}: entries_of: expected a list of fields, got {table['entries_of']!r}")
            fields = tuple(table["entries_of"])
            self.counting.add(name)
            for one in fields:
                if title != "model" or one not in self.fields:
                    raise ZooError(f"{where}: entries_of expects fields of the model, got {one!r}")
        elif title == "model":
            check_names([field], sorted(self.fields), f"{self.source}, [model]: unknown setting")
        self.parameters.append(Parameter(table.get("name", name), title, fields, domain(table, where), entry, counts))


def domain(table: Mapping[str, Any], where: str) -> Choices | Range:
    """`choices`, or `low` and `high`. Raises ZooError if it is neither, or not as it should be."""
    try:
        if "choices" in table:
            extra = sorted(set(table) & set(DOMAIN) - {"choices"})
            if extra or not isinstance(table["choices"], list):
                raise ZooError(f"expected choices to be a list, alone; got {', '.join(extra) or table['choices']!r}")
            return Choices(tuple(table["choices"]))
        if "low" not in table or "high" not in table:
            raise ZooError("expected choices, or low and high")
        low, high, step = table["low"], table["high"], table.get("step")
        for value in (low, high, *([] if step is None else [step])):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ZooError(f"range: expected numbers, got {value!r}")
        whole = all(isinstance(value, int) for value in (low, high, step or 1))
        log = table.get("log", False)
        check_kind("log", log, bool)
        return Range(low, high, whole, log, step)
    except ZooError as error:
        raise ZooError(f"{where}: {error}") from None


def _metrics(table: Mapping[str, Any], source: str) -> tuple[str, ...]:
    check_names(table, ("metric", "metrics"), f"{source}, [objective]: unknown key")
    several = table.get("metrics", [])
    alone = [table["metric"]] if "metric" in table else []
    if not isinstance(several, list) or not all(isinstance(one, str) for one in (*alone, *several)):
        raise ZooError(f"{source}, [objective]: expected metric to be a text and metrics a list of them, got {table}")
    return (*alone, *several)
