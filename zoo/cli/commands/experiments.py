"""Experiments on a network: `zoo marginalize`, `zoo ablate`, `zoo flanks` and their relatives."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.commands.predict import Files, prediction_job
from zoo.cli.parsing import command_line
from zoo.dna.read_options import STRICT, ReadOptions
from zoo.errors import ZooError, counted
from zoo.experiments.options import (
    BackgroundSequences,
    DependencyOptions,
    FlankOptions,
    HitOptions,
    InsertOptions,
    PairOptions,
    PlaceOptions,
    ReplacementOptions,
    ShownOptions,
    SiteOptions,
    SpacingOptions,
    WindowOptions,
)
from zoo.genome.options import IntervalOptions
from zoo.prediction.options import TableOptions

if TYPE_CHECKING:
    import numpy as np

    from zoo.experiments.backgrounds import Backgrounds
    from zoo.experiments.measure import Experiment
    from zoo.experiments.stretches import Edits, Sample

Folder = Annotated[Path, options.output("Folder for the table, the arrays and the figure.")]


@dataclasses.dataclass(frozen=True)
class Given:
    """Options of all experiments: the sequences, the model, and what is shown."""

    overwrite: options.Overwrite = False
    shown: Annotated[ShownOptions, options.SHOWN] = ShownOptions()  # noqa: RUF009 - frozen
    table: Annotated[TableOptions, options.READING] = TableOptions()  # noqa: RUF009
    reading: Annotated[ReadOptions, options.READING] = STRICT
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions()  # noqa: RUF009
    model: options.Loaded = options.DEFAULT


class Run:
    """An experiment that begins: its outputs are checked, then its model is loaded and its sequences are read."""

    def __init__(
        self,
        name: str,
        files: Files,
        output: Path,
        given: Given,
        others: tuple[Path | None, ...] = (),
        summary: str = "",
        needs_sequences: bool = False,
    ) -> None:
        """others: further files that are read.  summary: see Outputs.  needs_sequences: raise ZooError without any."""
        from zoo.experiments.files import Outputs
        from zoo.prediction.run import chunk_of

        job = None
        if files or given.intervals.given or needs_sequences:
            job = prediction_job(
                name, files, given.table, given.intervals, given.reading, None, given.overwrite, given.model
            )
        read = job.inputs if job else ()
        self._shown = given.shown
        self.outputs = Outputs(
            name, output, given.shown.figure_format, given.overwrite, (*read, *others), command_line(), summary
        )
        self.outputs.check()
        if job:
            job.check_sources()
        self.model = given.model.load()
        self.names: list[str] = []
        self.codes: np.ndarray | None = None
        if job:
            import numpy as np

            length = self.model.spec.sequence_length
            batches = list(job.records(length, chunk_of(self.model)))
            self.names = [" ".join(map(str, row)) for labels, _ in batches for row in zip(*labels, strict=True)]
            self.codes = np.concatenate([np.empty((0, length), np.uint8), *(codes for _, codes in batches)])

    def backgrounds(self, sampling: BackgroundSequences) -> Backgrounds:
        """The sequences that were read, or random ones."""
        from zoo.experiments.backgrounds import Backgrounds

        return Backgrounds(sampling, self.model.spec.sequence_length, self.codes)

    def save(self, experiment: Experiment, sampling: BackgroundSequences, *used: Any) -> None:
        """Do an experiment, write its folder, and say so. used: dataclasses of options, for the description."""
        from zoo.experiments import measure

        written = _written(sampling, *used, self._shown)
        with notes.Bar("backgrounds") as bar:
            described = measure.save(
                self.model, experiment, self.backgrounds(sampling), self.outputs, written, bar.update_of
            )
        self.say(described, "backgrounds")

    def sequences(self) -> tuple[np.ndarray, list[str]]:
        """The sequences that were read, uint8 (N, L), and their names. Raises ZooError if there are none."""
        if self.codes is None or not len(self.codes):
            raise ZooError(f"zoo {self.outputs.name}: expected one or more sequences, got none")
        return self.codes, self.names

    def save_stretches(self, sample: Sample, edits: Edits, *used: Any) -> None:
        """Edit stretches of the sequences, write the folder, and say so. used: as for `save`."""
        from zoo.experiments import stretches

        targets = self.model.spec.target_indices(self._shown.targets)
        with notes.Bar("stretches") as bar:
            described = stretches.save(
                self.model, sample, edits, targets, self.outputs, _written(*used, self._shown), bar.update_of
            )
        self.say(described, "sequences")

    def say(self, described: dict[str, Any], unit: str) -> None:
        """Say what ran, and what was written. unit: plural name of a record."""
        notes.summarize(described, unit)
        notes.say(f"{self.outputs.folder}: {self.outputs.listed()}")


def _written(*used: Any) -> dict[str, Any]:
    """The fields of dataclasses of options, for the description."""
    return {name: value for one in used for name, value in dataclasses.asdict(one).items()}


def marginalize(
    files: Files = None,
    /,
    *,
    output: Folder,
    inserting: Annotated[InsertOptions, options.FINDING] = InsertOptions(),
    placing: Annotated[PlaceOptions, options.EXPERIMENT] = PlaceOptions(),
    sampling: Annotated[BackgroundSequences, options.BACKGROUND] = BackgroundSequences(),
    given: Annotated[Given, Parameter(name="*")] = Given(),
) -> None:
    from zoo.experiments.marginalization import Marginalization

    run = Run("marginalize", files, output, given, (inserting.known,))
    experiment = Marginalization(run.model, inserting, placing, sampling.seed, given.shown.targets)
    run.save(experiment, sampling, inserting, placing)


def ablate(
    files: Files = None,
    /,
    *,
    output: Folder,
    finding: Annotated[SiteOptions, options.FINDING] = SiteOptions(),
    windows: Annotated[WindowOptions, options.EXPERIMENT] = WindowOptions(),
    replacing: Annotated[ReplacementOptions, options.EXPERIMENT] = ReplacementOptions(),
    given: Annotated[Given, Parameter(name="*")] = Given(),
) -> None:
    from zoo.experiments import ablation

    summary = "motifs" if windows.window is None else "windows"
    run = Run("ablate", files, output, given, (finding.known,), summary, needs_sequences=True)
    sample = ablation.sample(*run.sequences(), finding, windows)
    run.save_stretches(sample, ablation.Ablation(replacing, sample.by_place), finding, windows, replacing)


def flanks(
    files: Files = None,
    /,
    *,
    output: Folder,
    finding: Annotated[SiteOptions, options.FINDING] = SiteOptions(),
    exchanging: Annotated[FlankOptions, options.EXPERIMENT] = FlankOptions(),
    replacing: Annotated[ReplacementOptions, options.EXPERIMENT] = ReplacementOptions(),
    given: Annotated[Given, Parameter(name="*")] = Given(),
) -> None:
    from zoo.experiments import ablation, flank_swaps

    run = Run("flanks", files, output, given, (finding.known,), "motifs", needs_sequences=True)
    sample = ablation.sample(*run.sequences(), finding)
    run.save_stretches(sample, flank_swaps.FlankSwaps(sample, exchanging, replacing), finding, exchanging, replacing)


def spacing(
    files: Files = None,
    /,
    *,
    output: Folder,
    inserting: Annotated[InsertOptions, options.FINDING] = InsertOptions(),
    arranging: Annotated[SpacingOptions, options.EXPERIMENT] = SpacingOptions(),
    sampling: Annotated[BackgroundSequences, options.BACKGROUND] = BackgroundSequences(),
    given: Annotated[Given, Parameter(name="*")] = Given(),
) -> None:
    from zoo.experiments.motif_spacing import Spacing

    run = Run("spacing", files, output, given, (inserting.known,))
    experiment = Spacing(run.model, inserting, arranging, sampling.seed, given.shown.targets)
    run.save(experiment, sampling, inserting, arranging)


def pairs(
    files: Files = None,
    /,
    *,
    output: Folder,
    inserting: Annotated[InsertOptions, options.FINDING] = InsertOptions(),
    arranging: Annotated[PairOptions, options.EXPERIMENT] = PairOptions(),
    sampling: Annotated[BackgroundSequences, options.BACKGROUND] = BackgroundSequences(),
    given: Annotated[Given, Parameter(name="*")] = Given(),
) -> None:
    from zoo.experiments.motif_pairs import Pairs

    run = Run("pairs", files, output, given, (inserting.known,))
    experiment = Pairs(run.model, inserting, arranging, sampling.seed, given.shown.targets)
    run.save(experiment, sampling, inserting, arranging)


def dependency(
    files: Files = None,
    /,
    *,
    output: Folder,
    depending: Annotated[DependencyOptions, options.EXPERIMENT] = DependencyOptions(),
    given: Annotated[Given, Parameter(name="*")] = Given(),
) -> None:
    from zoo.experiments import dependencies

    run = Run("dependency", files, output, given, needs_sequences=True)
    measure = dependencies.Dependencies(run.model, depending, given.shown.targets)
    with notes.Bar("positions") as bar:
        described = dependencies.save(
            run.model, measure, *run.sequences(), run.outputs, _written(depending, given.shown), bar.update_of
        )
    run.say(described, "sequences")


def hits(
    folder: Annotated[Path, Parameter(name="DIR", help="Output folder of zoo explain.")],
    /,
    *,
    motifs: Annotated[
        Path | None,
        options.input_("Output folder of zoo motifs, by default motifs in DIR; or a MEME file of motifs to look for."),
    ] = None,
    output: Annotated[Path, options.output("Folder for the tables, the BED file, the arrays and the figure.")],
    overwrite: options.Overwrite = False,
    finding: Annotated[HitOptions, options.FINDING] = HitOptions(),
    shown: Annotated[ShownOptions, options.SHOWN] = ShownOptions(),
) -> None:
    from zoo.experiments import hit_motifs, motif_hits
    from zoo.experiments.files import Outputs
    from zoo.explain import files as explained_files

    explained = explained_files.read(folder)
    targets, among = explained.targets(shown.targets), hit_motifs.source(motifs, folder)
    outputs = Outputs("hits", output, shown.figure_format, overwrite, (folder, motifs), command_line(), "motifs")
    outputs.check()
    with notes.Bar("sequences") as bar:
        described = motif_hits.save(
            explained, among, targets, finding, outputs, _written(finding, shown), bar.update_of
        )
    counts = described["counts"]
    notes.say(f"{counted(counts['hits'], 'hits')} in {counted(counts['records'], 'sequences')}")
    notes.say(f"{output}: {outputs.listed()}, {motif_hits.BED}")
