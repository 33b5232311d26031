"""`zoo train` and `zoo distill`: train a network on labelled sequences, or on a teacher's outputs.

The options of a model are those of its `configure`. PyTorch is imported when a training begins, which keeps --help
fast.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zoo import registry
from zoo.card import Card
from zoo.cli import notes, options
from zoo.cli.parsing import command_line
from zoo.data import regions
from zoo.data.labelled import Layout
from zoo.data.regions import RegionOptions
from zoo.defaults import RUNTIME
from zoo.dna.read_options import Ambiguous
from zoo.errors import ZooError, counted, require
from zoo.spec import listed
from zoo.system import machine
from zoo.training.config import StudentConfig, TrainConfig, TrainingOptions
from zoo.training.distill import DistillConfig
from zoo.weights import checkpoint

if TYPE_CHECKING:
    from zoo.data.dataset import DividedFile, Source
    from zoo.training.run import TrainingJob
    from zoo.training.trainer import Reporter


def train(
    model: Annotated[
        str,
        Parameter(
            help="A model's name (see zoo list), or a .toml file with tables [model] and [train].",
            completer=options.names_of("models"),
        ),
    ],
    /,
    *,
    data: options.Data,
    targets: Annotated[
        tuple[str, ...], options.input_("Columns to predict, or TARGET=COLUMN; by default the model's targets.")
    ] = (),
    allow_leakage: options.AllowLeakage = False,
    where: Annotated[TrainingOptions, options.JOB],
    settings: Annotated[TrainConfig, options.TRAINING] = TrainConfig(),
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
    replicates: Annotated[
        int, options.under(options.LAYOUT, "Trainings of each of --folds, with one seed after another.")
    ] = 1,
    region: Annotated[RegionOptions, options.REGIONS] = RegionOptions(),
    card: Annotated[Card, options.CARD] = Card(),
    **given: Any,
) -> None:
    from zoo.data import dataset

    job = dataclasses.replace(_prepare(model, settings, where, **model_settings(model, given)), card=card)
    config = job.config
    if regions.are_regions(data, region):
        if targets:
            raise ZooError("--targets: does not apply to regions; each target has its files in --signal")
        for option, is_given in (("--allow-leakage", allow_leakage), ("--replicates", replicates != 1)):
            if is_given:
                raise regions.refused(option)
        _train_on_regions(job, model, data, region, layout)
        return
    if layout.folds and layout.fold is None:
        _train_folds(
            job,
            dataset.read_folds(data, targets or config.targets, length=config.sequence_length, layout=layout),
            replicates,
        )
        return
    if replicates != 1:
        raise ZooError("--replicates: only applies with --folds, without --fold")
    read = dataset.read(data, targets or config.targets, allow_leakage, length=config.sequence_length, layout=layout)
    for note in read.notes:
        notes.say(note)
    columns = ["--targets", ",".join(targets)] if any("=" in text for text in targets) else []
    _train(job, read, ["--data", str(data), *columns, *_as_typed(layout)])


def _train_folds(job: TrainingJob, data: DividedFile, replicates: int) -> None:
    """Train a network for each fold, with notes on progress and on the scores."""
    from zoo.spec import MOST_SHOWN
    from zoo.training import cross_validation, run
    from zoo.training.notes import correlations, number

    output = job.options.output

    def train(member: TrainingJob, source: Source) -> None:
        with _reporting(member, source.targets, output) as reporter:
            run.run(member, source, reporter)

    rows = cross_validation.run(job, data, replicates, train, notes.say)
    mean, sd, joint = cross_validation.SUMMARIES
    for name in data.targets if len(data.targets) <= MOST_SHOWN else ():
        column = f"pearson_{name}"
        spread = f"{number(rows[mean].get(column))}, sd {number(rows[sd].get(column))}"
        notes.say(f"r({name}) over the folds: {spread}")
    every = correlations({name: rows[joint][f"pearson_{name}"] for name in data.targets})
    notes.say(f"all sequences, each by a network that did not see it: {every}")
    notes.say(f"{output}: {cross_validation.SCORES}, {cross_validation.OUT_OF_FOLD} and the runs")
    notes.say(f"next: {shlex.join(['zoo', 'predict', 'seqs.fa', '--weights', str(output)])}")


def _train_on_regions(job: TrainingJob, model: str, data: Path, region: RegionOptions, layout: Layout) -> None:
    """Train on a BED file of regions and their signal."""
    spec = checkpoint.describe(job.architecture, job.config)
    shape = regions.shape_of(spec.sequence_length, spec.targets, checkpoint.profiles_of(spec), model)
    others = [name for name in job.settings.augment if name != "reverse-complement"]
    if others:
        raise ZooError(f"augment: only reverse-complement applies to regions, beside --jitter, got {others[0]}")
    seed, flip = job.settings.seed, "reverse-complement" in job.settings.augment
    source = regions.read(data, region, layout, shape, seed=seed, flip=flip)
    for note in source.notes:
        notes.say(note)
    _train(job, source, ["--data", str(data), *_as_typed(layout), *_as_typed(region)])


def model_settings(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """Fields of the model's Config from the options of the model. Raises ZooError for an option of another model."""
    from zoo.training.config import read_model

    if not given:
        return {}
    configure: Any = getattr(registry.load("models", read_model(model)[0]), "configure", None)
    options.check_known(given, configure, f"the model {model}")
    return dict(configure(**given))


_CONFIGURE = {name: getattr(model, "configure", None) for name, model in registry.working("models").items()}
options.extend(
    train, options.of_plugins({f"Model {name}": function for name, function in _CONFIGURE.items() if function})
)


def distill(
    model: Annotated[
        str,
        Parameter(
            help="The student: a model's name (see zoo list), or a .toml file with tables [model] and [train].",
            completer=options.names_of("models"),
        ),
    ],
    /,
    *,
    teacher: Annotated[
        str,
        options.input_(
            "Weights of the teacher: a name (see zoo list) or a file.", completer=options.names_of("weights")
        ),
    ],
    genome: Annotated[Path, options.input_("FASTA of the genome that sequences are drawn from.")],
    ambiguous: Annotated[
        Ambiguous,
        options.input_("Read letters of the genome other than ACGTN as N; --ambiguous refuse refuses them."),
    ] = "n",
    runtime: Annotated[
        str,
        options.input_(
            "Runtime of the teacher, such as onnx-cuda, or auto; see zoo list.", completer=options.names_of("runtimes")
        ),
    ] = RUNTIME,
    dropout: Annotated[
        float, options.under(options.TRAINING, "Dropout of the student; labels without noise need none.")
    ] = 0.0,
    where: Annotated[TrainingOptions, options.JOB],
    settings: Annotated[StudentConfig, options.TRAINING] = StudentConfig(),
    drawing: Annotated[DistillConfig, options.DRAWING] = DistillConfig(),
) -> None:
    from zoo.formats import genome as genomes
    from zoo.options import names
    from zoo.prediction.model import load
    from zoo.training.config import read_model
    from zoo.training.distill import DistillSource
    from zoo.weights import lookup

    architecture = read_model(model, kind=StudentConfig)[0]
    has_dropout = "dropout" in names(registry.load("models", architecture).Config)
    job = _prepare(model, settings, where, **({"dropout": dropout} if has_dropout or dropout else {}))
    loaded = load(None, teacher, runtime, threads=where.threads)
    for name in ("sequence_length", "targets"):
        own, teachers = (_shown(getattr(spec, name)) for spec in (job.config, loaded.spec))
        if own != teachers:
            notes.say(f"{name}: {teachers} as in the teacher, instead of {own} as in {model}")
    notes.detail(f"the teacher's labels are computed by {loaded.runtime}")
    read = genomes.read(genome, loaded.spec.sequence_length, ambiguous)
    if read.ambiguous_letters:
        notes.say(
            f"{genome}: {counted(read.ambiguous_letters, 'ambiguous letters')} read as N, the first "
            f"{read.first_ambiguous}"
        )
    source = DistillSource(
        read,
        loaded.predict_codes,
        f"weights {loaded.spec.weights_id[:12]} ({loaded.spec.source})",
        loaded.spec.targets,
        drawing,
        settings.seed,
        ahead=job.device != "cpu",
        card=lookup.card(loaded.spec),
    )
    try:
        _train(job, source)
    finally:
        source.close()


def _shown(value: int | tuple[str, ...]) -> str:
    return listed(value) if isinstance(value, tuple) else str(value)


def _prepare(model: str, settings: TrainConfig, options: TrainingOptions, **changes: Any) -> TrainingJob:
    """Return what to train, see zoo.training.run.prepare. changes: replace fields of the model's Config.

    Raises MissingDependency without PyTorch, and ZooError for an unknown model or unknown weights.
    """

    machine.sleep_soon()
    require("torch", "train")
    from zoo.training import run

    return run.prepare(model, settings, options, command_line(), changes)


def _train(job: TrainingJob, source: Source, data: Sequence[str] = ()) -> None:
    """Train, with notes on progress. data: options with which zoo evaluate reads the data of the training."""
    from zoo.training import run

    output = str(job.options.output)

    def on_finished(best: dict[str, Any]) -> None:
        before = _BEFORE if best["epoch"] == 0 else ""
        notes.say(f"best epoch {best['epoch']}{before}; weights and logs are in {output}")
        predict = ["zoo", "predict", "seqs.fa", "--weights", output]
        if data:
            split = [] if source.test is not None else ["--split", "validation"]
            notes.say(f"next: {shlex.join(['zoo', 'evaluate', '--weights', output, *data, *split])}")
        notes.say(f"{'or' if data else 'next'}: {shlex.join(predict)}")

    with _reporting(job, source.targets, job.options.output) as reporter:
        run.run(job, source, dataclasses.replace(reporter, finished=on_finished))


def _as_typed(options: Any) -> list[str]:
    """The options of a dataclass that differ from their defaults, as words of a command line."""
    words: list[str] = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [flag] if value is True else [flag, text]
    return words


@contextmanager
def _reporting(job: TrainingJob, targets: tuple[str, ...], output: Path) -> Iterator[Reporter]:
    """A Reporter that shows progress on standard error. output: what --resume continues."""
    from zoo.training.trainer import Reporter

    with notes.Bar("sequences", job.settings.most_epochs) as bar:
        done_epochs = 0

        def on_step(done: int, total: int) -> None:
            batch = job.settings.batch_size
            bar.update(done_epochs + done / total, (done_epochs * total + done) * batch)

        def on_epoch(row: dict[str, Any]) -> None:
            nonlocal done_epochs
            done_epochs = row["epoch"]
            notes.say(_line(row, targets))

        try:
            yield Reporter(on_step, on_epoch, notes.say)
        except KeyboardInterrupt:
            notes.say(f"stopped; the same command with --resume continues in {output}")
            raise


_BEFORE = ", before training"


def _line(row: dict[str, Any], targets: tuple[str, ...]) -> str:
    from zoo.training.notes import correlations, number

    validation = f"validation {number(row['validation_loss'])}, " + correlations(
        {name: row[f"validation_pearson_{name}"] for name in targets}
    )
    if row["epoch"] == 0:
        return f"epoch 0{_BEFORE}: {validation}"
    rate = f"{row['sequences_per_second']:,.0f} sequences a second"
    return f"epoch {row['epoch']}: loss {number(row['train_loss'])}, {validation}, {rate}"
