"""README.md of a pack: YAML that a hub reads (huggingface_hub.ModelCard), then a card for people, in Markdown."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import zoo
from zoo.card import Card
from zoo.publish import licences
from zoo.spec import MOST_SHOWN, ModelSpec, listed
from zoo.weights import packs
from zoo.weights.test_tensors import SHARE, TestTensors

LIBRARY = "deepstarr-zoo"

TAGS = ("biology", "genomics", "dna", "regulatory-genomics")

DATASET = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
"""A data set on the hub, OWNER/NAME."""


@dataclasses.dataclass(frozen=True)
class Page:
    """What the README tells. repository: OWNER/NAME on the hub.  spec: of the weights, with a card.
    files: their names.  scores: name -> Pearson r on test data, if known."""

    repository: str
    spec: ModelSpec
    card: Card
    tests: TestTensors
    files: tuple[str, ...]
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def text(self) -> str:
        parts = ["---", *_yaml(self._metadata()), "---", "", f"# {_plain(self.repository.rpartition('/')[2])}", ""]
        parts += [self._summary(), "", *self._facts(), "", *self._usage(), "", *self._tests()]
        if self.scores:
            parts += ["", "## Scores", "", "Pearson r on the test split:", ""]
            parts += _table(("target", "r"), [(name, f"{value:.3f}") for name, value in self.scores.items()])
        if self.card.citation:
            parts += ["", "## Cite", "", _plain(self.card.citation)]
        return "\n".join([*parts, "", f"Made by {LIBRARY} {zoo.__version__}.", ""])

    def _metadata(self) -> dict[str, Any]:
        known = licences.hub_identifier(self.spec.licence)
        licence = {"license": known} if known else {
            "license": "other",
            "license_name": re.sub(r"[^a-z0-9.]+", "-", self.spec.licence.lower()).strip("-") or "other",
            "license_link": packs.LICENCE,
        }  # fmt: skip
        about = [*self.card.species.split(", "), self.card.tissue, self.card.assay.partition(" with ")[0]]
        metadata: dict[str, Any] = {
            **licence,
            "library_name": LIBRARY,
            "tags": [*TAGS, LIBRARY, self.spec.architecture, *filter(None, about)],
        }
        if DATASET.fullmatch(self.card.training_data):
            metadata["datasets"] = [self.card.training_data]
        if self.scores:
            metadata["metrics"] = ["pearsonr"]
        return metadata

    def _summary(self) -> str:
        spec, card = self.spec, self.card
        measured = f", as measured by {card.assay}" if card.assay else ""
        cells = f" in {card.tissue}" if card.tissue else ""
        species = f" of {card.species}" if card.species else ""
        what = "the activity" if len(spec.targets) == 1 else f"{len(spec.targets)} activities"
        return _plain(
            f"This network predicts {what} ({spec.unit}) of DNA{species}{cells}{measured}: {listed(spec.targets)}. "
            f"It takes sequences of {spec.sequence_length} bases, letters A, C, G, T, and N for an unknown base."
        )

    def _facts(self) -> list[str]:
        spec = self.spec
        facts = {
            "targets": listed(spec.targets),
            "sequence length": f"{spec.sequence_length} bases",
            **{name: text for name, text in self.card.lines().items() if name not in ("citation", "redistribution")},
            **(spec.frame.lines() if spec.frame else {"architecture": spec.architecture}),
            "source": spec.source,
            "licence": spec.licence,
            "weights id": spec.weights_id,
        }
        return _table(("", ""), list(facts.items()))

    def _usage(self) -> list[str]:
        name = self.repository
        return [
            "## Use", "", "```sh", f"pip install '{LIBRARY}[hub]'", f"zoo pull {packs.HUB}{name}",
            f"zoo predict seqs.fa --weights {packs.HUB}{name}", "```", "", "```python", "import zoo",
            f'model = zoo.from_pretrained("{name}")', f'model.predict(["{"ACGT" * 2}..."])  # float32 (1, '
            f"{len(self.spec.targets)})", "```", "",
            f"Files: {', '.join(f'`{file}`' for file in self.files)}.",
        ]  # fmt: skip

    def _tests(self) -> list[str]:
        expected = self.tests.expected[:, :MOST_SHOWN]
        columns = (("lowest", np.min), ("mean", np.mean), ("highest", np.max))
        rows = [
            (target, *(f"{function(values):.4f}" for _, function in columns))
            for target, values in zip(self.spec.targets, expected.T, strict=False)
        ]
        return [
            "## Test",
            "",
            f"`{packs.TESTS}` has {len(expected)} sequences (random ones, Ns, edge cases) and their predictions by "
            f"{_plain(self.tests.made_by)}. `zoo test {packs.HUB}{self.repository}` compares every runtime of a "
            f"machine with them; differences of up to {SHARE:g} of the largest prediction of a target pass. The "
            "predictions:",
            "",
            *_table(("target", *(name for name, _ in columns)), rows),
        ]


def _yaml(metadata: Mapping[str, Any]) -> list[str]:
    """Lines of YAML; a text in JSON is one in YAML too."""
    lines = []
    for name, value in metadata.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"- {json.dumps(one, ensure_ascii=False)}" for one in dict.fromkeys(value))]
        else:
            lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    cells = [header, ("---",) * len(header), *(tuple(map(_plain, row)) for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _plain(text: str) -> str:
    """A text of a user as Markdown that shows it as it is, in a table too."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))
