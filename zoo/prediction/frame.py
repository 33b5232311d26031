"""Sequences to a labelled table in one call, for notebooks: a pandas DataFrame where pandas is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.dna.encoding import texts_of
from zoo.errors import ZooError
from zoo.prediction.predict import Model, load


def predict(
    sequences: Mapping[Any, str] | Sequence[str],
    model: str | Model | None = None,
    weights: str | Path | None = None,
    **options: Any,
) -> Any:
    """Predict texts: a DataFrame of float32 with a row a sequence and a column a target.

    sequences: texts, whose rows are numbered from 0; a mapping of names to texts, or a pandas Series, whose keys or
        index name the rows.
    model, weights, options: as for zoo.load, `runtime`, `rc` and `resize` among them; or a model that zoo.load gave,
        which is worth it for many calls.

    Without pandas: a dict of target -> float32 (N,). Raises ZooError as zoo.load and Model.predict do.
    """
    texts = list(sequences.values()) if isinstance(sequences, Mapping) else texts_of(sequences)
    if isinstance(model, Model):
        if weights is not None or options:
            raise ZooError(f"{next(iter(options), 'weights')}: give it to zoo.load, not with a model that is loaded")
        loaded = model
    else:
        loaded = load(model, weights, **options)
    index = list(sequences) if isinstance(sequences, Mapping) else getattr(sequences, "index", None)
    activities = loaded.predict(texts)
    targets = loaded.spec.targets
    if importlib.util.find_spec("pandas") is None:
        return {target: activities[:, column].copy() for column, target in enumerate(targets)}
    import pandas

    named = isinstance(sequences, Mapping | pandas.Series)
    return pandas.DataFrame(activities, index=index if named else None, columns=list(targets))
