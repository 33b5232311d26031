"""`zoo.list_models`: all models and weights that have a name, with what helps to choose one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from zoo import registry
from zoo.card import Card, latin
from zoo.errors import ZooError
from zoo.options import Bounds, check, made
from zoo.spec import ModelSpec
from zoo.weights import checkpoint, lookup, packs

Weights = Literal["bundled", "published", "hub", "none"]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which models to list. Texts match a part of what the card says, in any case."""

    pretrained: bool = False
    """Only models with weights."""

    species: str | None = None
    """Species, by Latin or common name: fly, human, mouse, yeast."""

    assay: str | None = None
    """Assay, such as STARR-seq."""

    length: Annotated[int | None, Bounds(1)] = None
    """Sequence length in bases."""

    licence: str | None = None
    """Licence of the weights, such as MIT."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class KnownModel:
    """A model or weights, by the name that `zoo.load` and --weights take.

    weights: where they come from: the package ("bundled"), `zoo pull` ("published"), a hub, or "none" for a model that
    can only be trained.  here: whether they are on this machine.  obstacle: why they cannot be used, None if they can.
    sequence_length: bases.  species, tissue, assay, unit, licence: see zoo.card.Card; "" if unknown.
    """

    name: str
    weights: Weights
    here: bool
    architecture: str
    sequence_length: int
    targets: tuple[str, ...]
    species: str = ""
    tissue: str = ""
    assay: str = ""
    unit: str = ""
    licence: str = ""
    obstacle: str | None = None


def list_models(pretrained: bool = False, **wanted: Any) -> list[KnownModel]:
    """All models and weights with a name that fit, weights of hubs in the cache of `zoo pull` among them.

    pretrained: only models with weights.  wanted: `species`, by Latin or common name ("fly"), `assay`, `length` (bases)
    and `licence`; without them, everything.
    Raises ZooError for another keyword or a bad value.
    """
    asked = made(Wanted, {"pretrained": pretrained, **wanted})
    return [one for one in known_models() if _fits(one, asked)]


def known_models() -> Iterator[KnownModel]:
    """The variants of every architecture with their bundled weights, published weights, and packs in the cache."""
    bundled = lookup.catalog()
    for name, architecture in lookup.variants().items():
        plugin = registry.load("models", architecture)
        spec = checkpoint.describe(architecture, plugin.VARIANTS[name])
        entry = bundled.get(name)
        if entry:
            spec = dataclasses.replace(spec, weights_id=entry["weights_id"], licence=entry["licence"])
            yield _known(name, "bundled", spec, lookup.card(spec))
        else:
            yield _known(name, "none", spec, registry.card(plugin, name), "no weights; train it, or give a file")
    for name, architecture in lookup.published().items():
        plugin = registry.load("models", architecture)
        spec = checkpoint.describe(architecture, plugin.VARIANTS[name])
        licence = next((licence for _, licence in plugin.PUBLISHED.citations.values()), "")
        here = lookup.published_path(name).is_file()
        obstacle = None if here else f"not on this machine; run zoo pull {name}"
        spec = dataclasses.replace(spec, weights_id=plugin.PUBLISHED.weights_id, licence=licence)
        yield _known(f"{name}:{lookup.PUBLISHED}", "published", spec, lookup.card(spec), obstacle)
    for name in packs.pulled():
        try:
            spec = lookup.read_spec(lookup.path_of(name))
        except ZooError as error:
            yield KnownModel(name, "hub", False, "", 0, (), obstacle=f"{error}; zoo pull {name} fetches it again")
        else:
            yield _known(name, "hub", spec, spec.card)


def _known(name: str, weights: Weights, spec: ModelSpec, card: Card | None, obstacle: str | None = None) -> KnownModel:
    about = {field: getattr(card, field) for field in ("species", "tissue", "assay", "unit")} if card else {}
    licence = "" if weights == "none" or spec.licence == "unknown" else spec.licence
    return KnownModel(
        name, weights, obstacle is None, spec.architecture, spec.sequence_length, spec.targets, **about,
        licence=licence, obstacle=obstacle,
    )  # fmt: skip


def _fits(one: KnownModel, asked: Wanted) -> bool:
    texts = (
        (one.species, asked.species and ", ".join(map(latin, asked.species.split(",")))),
        (one.assay, asked.assay),
        (one.licence, asked.licence),
    )
    return (
        (one.weights != "none" or not asked.pretrained)
        and asked.length in (None, one.sequence_length)
        and all(wanted is None or wanted.lower() in text.lower() for text, wanted in texts)
    )
