"""A model that is loaded and ready, `Model`, how to load it, and where it comes from.

Text or base codes go in, activities come out, the same numbers as `zoo predict`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zoo.defaults import AUTO, RUNTIME
from zoo.dna.encoding import check_codes, encode_as, sequence_list
from zoo.dna.read_options import PYTHON, STRICT, ReadOptions
from zoo.errors import ZooError
from zoo.options import RunOptions, check, made
from zoo.prediction import members, session, strands
from zoo.prediction.automatic import open_automatic
from zoo.prediction.columns import opened as columns_of
from zoo.prediction.held_out import HeldOut
from zoo.prediction.members import AnySession, Each
from zoo.prediction.options import COVERAGE, calibrated_by
from zoo.prediction.session import Session
from zoo.spec import ModelSpec
from zoo.system.files import file_sha256
from zoo.weights import ensembles, lookup, packs, spread
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.ensembles import Weights


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """The arguments of `load`, from which a model can be loaded later, or once more in another process.

    Default weights are chosen when this is made, so that all processes of a run use the same. So are the members of an
    ensemble, which `weights` then lists.
    """

    model: str | Path | tuple[str | Path, ...] | None = None
    weights: str | Path | tuple[str | Path, ...] | None = None
    runtime: str = RUNTIME
    running: RunOptions = dataclasses.field(default_factory=RunOptions)
    rc: Literal["average"] | None = None
    reading: ReadOptions = STRICT

    def __post_init__(self) -> None:
        check(self)
        if self.model is None and self.weights is None:
            object.__setattr__(self, "weights", lookup.default())
        given = self.model if self.weights is None else self.weights
        found = ensembles.members_of(() if given is None else given)
        if len(found) > 1 or isinstance(given, tuple):
            if self.weights is None:
                object.__setattr__(self, "model", None)
            object.__setattr__(self, "weights", found[0] if len(found) == 1 else tuple(found))

    @property
    def names(self) -> list[str | Path]:
        """The file or name of the weights, or of each member of an ensemble."""
        given = self.model if self.weights is None else self.weights
        return [] if given is None else [given] if isinstance(given, str | Path) else list(given)

    @property
    def name(self) -> str:
        """What the user named as weights."""
        return ",".join(map(str, self.names))

    @property
    def files(self) -> tuple[Path, ...]:
        """Absolute paths of the weights files; bundled weights have none."""
        return tuple(ensembles.files_of(self.names))

    def absolute(self) -> ModelSource:
        """The same source, whatever the current folder is."""
        if not self.files:
            return self
        model = None if self.weights is None else self.model  # without weights, the model was the file
        found = tuple(_absolute(name) for name in self.names)
        return dataclasses.replace(self, model=model, weights=found if len(found) > 1 else found[0])

    def spec(self) -> ModelSpec:
        """Read the spec of the weights, without a runtime, and warn of bundled ones. Raises ZooError as
        zoo.weights.lookup and zoo.weights.ensembles do."""
        found = []
        for name in self.names:
            path = lookup.path_of(name) if lookup.is_name(name) else lookup.file_of(name)
            found.append(lookup.read_spec(path or Path(name)))
            lookup.warn_of_imitation(found[-1].weights_id)
        return ensembles.combined(self.names, found)

    def held_out(self, spec: ModelSpec, wanted: bool) -> HeldOut | None:
        """Which members of these weights predict a chromosome, if that is `wanted`. Raises ZooError if they do not say
        it."""
        return HeldOut(ensembles.members_in(self.name, spec)) if wanted else None

    def load(self, threads: int | None = None, settled: bool = False) -> Model:
        """Load the model. threads: used unless `running` has a number.  settled: see Session.settle.

        Raises ZooError as `load` does.
        """
        state = _state(self.files)
        options = dataclasses.replace(self.running, threads=self.running.threads or threads)
        opened = [self._open(name, options) for name in self.names]
        spec = ensembles.combined(self.names, [one.spec for one in opened])
        for one in opened if settled else ():
            one.settle()
        each = [strands.with_strands(one, self.rc) for one in opened]
        return Model(members.as_one(each, spec), self.reading, self.absolute(), state)

    def _open(self, name: str | Path, options: RunOptions) -> Session:
        """A session on weights, or on a member of an ensemble."""
        model, weights = (name, None) if self.weights is None else (self.model, name)

        def find(suffixes: tuple[str, ...]) -> Checkpoint | Path:
            return lookup.resolve(model, weights, suffixes)  # type: ignore[arg-type]  # a model beside weights is a name

        if self.runtime == AUTO:
            return open_automatic(find, options)
        return session.open_session(find(session.files(self.runtime)), self.runtime, options)


def load(
    model: Weights | None = None,
    weights: Weights | None = None,
    runtime: str = RUNTIME,
    *,
    rc: str | None = None,
    resize: str | None = None,
    ambiguous: str | None = None,
    **options: Any,
) -> Model:
    """Start a model.

    model: the weights: a name such as "original" or "original:bundled", "original:published"; a file, .safetensors, or
        .onnx where the runtime takes it; or a run folder. Several, as a list or as a folder of run folders, are an
        ensemble, whose mean is predicted. By default the published weights of "original" if zoo pull has fetched them,
        else the bundled ones.
    weights: the same; beside it, `model` is the name of the network that they must be of.
    runtime: engine and device, such as "onnx-cpu" or "torch-cuda"; see `zoo list`. "auto" takes the fastest that can
        do the job here: contributions may be computed by another runtime than predictions.
    rc: "average" for the mean over a sequence and its reverse complement, for twice the time, as --both-strands does.
    resize: "center" to crop a longer text to its middle and pad a shorter one with N, as --crop-or-pad does.
    ambiguous: "n" to take any other letter, such as the IUPAC codes R or Y, as N, as --ambiguous-as-n does.
    options: batch_size, threads, precision; see zoo.options.RunOptions.

    Gives a zoo.errors.ImitationWarning for bundled weights that imitate published ones.
    Raises ZooError for unknown names, options and files, for weights of another model than the one that is named, and
    for members of an ensemble that differ in sequence length, targets or unit, or are the same; MissingDependency where
    the runtime cannot run here.
    """
    running = made(RunOptions, options, beside=("rc", "resize", "ambiguous"))
    reading = ReadOptions(resize, ambiguous)  # type: ignore[arg-type]
    named, given = (tuple(one) if isinstance(one, list) else one for one in (model, weights))
    return ModelSource(named, given, runtime, running, rc, reading).load()  # type: ignore[arg-type]


class Model:
    """A model, loaded and ready: text or base codes in, activities out, the same numbers as `zoo predict`.

    session: what computes, of one strand or of both.
    A Model can be pickled: it is loaded again from its source. So it can be given to processes that are started with
    spawn; in a process that is forked, it raises ZooError when it predicts.
    """

    def __init__(
        self,
        session: AnySession,
        reading: ReadOptions = STRICT,
        source: ModelSource | None = None,
        state: tuple[int, ...] = (),
    ) -> None:
        """source: where it can be loaded again. state: that of its file when it was read."""
        self.session = session
        self.reading = reading
        self._source = source
        self._state = state

    def __reduce__(self) -> tuple[Any, ...]:
        source = self._source
        if source is None:
            raise ZooError("a Model can be pickled if zoo.load made it; this one was made from a session")
        if self._state != _state(source.files):
            raise _changed(source)
        return _load_again, (source, self.spec, _digests(source.files))

    @property
    def spec(self) -> ModelSpec:
        """Architecture, sequence length, targets, weights id, source and licence, as the weights have them."""
        return self.session.spec

    @property
    def rc(self) -> str | None:
        """ "average" if predictions are the mean of both strands, else None."""
        return self.session.rc

    @property
    def runtime(self) -> str:
        return self.session.runtime

    @property
    def provider(self) -> str:
        """The device or execution provider that computes, as the engine reports it."""
        return self.session.provider

    @property
    def batch_size(self) -> int:
        return self.session.batch_size

    def predict(self, sequences: Sequence[str], *, rc: str | None = None, resize: str | None = None) -> np.ndarray:
        """N sequences of `spec.sequence_length` letters of ACGTN, either case -> float32 (N, T), T = `spec.targets`.

        rc: "average" for the mean of both strands.  resize: "center" to crop or pad with N. Where these are None, the
        choices of `load` hold.
        Raises ZooError that names the sequence, counted from 1, if a length or a letter is not what the model takes.
        """
        return members.with_strands(self.session, rc).predict(self.codes(sequences, resize=resize))

    @property
    def each(self) -> Each:
        """The numbers of all members: what means and standard deviations are made of."""
        return Each(members.parts_of(self.session))

    def held_out(self, wanted: bool = True) -> HeldOut | None:
        """Which members predict a chromosome, if that is `wanted`. Raises ZooError if the weights do not say it."""
        name = self._source.name if self._source else ""
        return HeldOut(ensembles.members_in(name, self.spec)) if wanted else None

    def members(self, sequences: Sequence[str] | np.ndarray) -> np.ndarray:
        """Predictions of each member of an ensemble: N sequences, or base codes, uint8 (N, L) -> float32 (M, N, T); M
        is 1 for a single network. Raises ZooError as `predict` does."""
        return spread.by_member(self.each.predict(self.codes(sequences)), self.spec)

    def spread(self, sequences: Sequence[str] | np.ndarray) -> np.ndarray:
        """Standard deviation over the members of an ensemble, that of a sample (ddof=1): N sequences, or base codes,
        uint8 (N, L) -> float32 (N, T). Raises ZooError as `predict` does, and for a single network."""
        if not self.spec.members:
            raise ZooError("spread: expected an ensemble, such as zoo.load([A, B]); this is a single network")
        return spread.mean_and_sd(self.members(sequences))[1]

    def codes(self, sequences: Sequence[str] | np.ndarray, *, resize: str | None = None) -> np.ndarray:
        """N texts as `predict` takes them -> base codes, uint8 (N, L); an array of base codes is checked and returned.

        Raises ZooError as `predict` does.
        """
        length = self.spec.sequence_length
        if isinstance(sequences, np.ndarray) and sequences.dtype.kind not in "UO":
            check_codes(sequences, length)
            return sequences
        reading = ReadOptions(resize, self.reading.ambiguous) if resize else self.reading  # type: ignore[arg-type]
        with self.spec.naming_flanks():
            return encode_as(sequence_list(sequences), length, reading, lambda number: f"sequence {number}", PYTHON)

    def predict_codes(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L): A 0, C 1, G 2, T 3, N 4 -> float32 (N, T). Raises ZooError for any other array."""
        return self.session.predict(codes)

    def submit_codes(self, codes: np.ndarray) -> Future[np.ndarray]:
        """As `predict_codes`, but returns at once where a GPU computes: a Future, whose `result()` waits.

        A program that makes sequences while others are predicted keeps the GPU busy with it.
        """
        return self.session.submit(codes)

    def profiles(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """Base codes, uint8 (N, L), N >= 1 -> name of each profile of the network -> float32 (N, S, P), S tracks
        and P positions along the strand that is given. Raises ZooError as `predict_codes` does, and without profiles
        or for both strands."""
        return self.session.profiles(codes)

    def windows(self, codes: np.ndarray, stride: int = 1) -> np.ndarray:
        """Base codes along a contig, uint8 (B,) -> activities of every window, `stride` bases apart, float32 (W, T).

        Window i is [i * stride, i * stride + L); only whole windows count. The numbers are those of `predict_codes`, up
        to rounding. Most runtimes take as long as for as many sequences; "kmer-cpu" is much faster, since neighbouring
        windows share their work. Raises ZooError as `predict_codes` does.
        """
        return self.session.windows(codes, stride)

    def settle(self) -> None:
        """Make results bit-identical regardless of earlier batches, see Session.settle."""
        self.session.settle()


def predict(
    sequences: Mapping[Any, str] | Sequence[str],
    model: Weights | Model | None = None,
    weights: Weights | None = None,
    *,
    background: str | Path | None = None,
    calibration: str | Path | None = None,
    coverage: float = COVERAGE,
    **options: Any,
) -> Any:
    """Predict texts: a DataFrame of float32 with a row for each sequence and a column for each target; for an ensemble
    also its spread, such as dev_sd.

    sequences: texts, whose rows are numbered from 0; a mapping of names to texts, or a pandas Series, whose keys or
        index name the rows.
    model, weights, options: as for zoo.load, `runtime`, `rc` and `resize` among them; or a loaded model from zoo.load,
    which saves time if there are many calls.
    background: file of `zoo background`; a column such as dev_percentile then stands beside each target, with the
    share of the background below the number (and half of the share equal to it), times 100.
    calibration: file of `zoo calibrate`; columns such as dev_low and dev_high are then the interval that contains the
    measurement with the probability `coverage`.

    Without pandas: a dict of target -> float32 (N,). Raises ZooError as zoo.load and Model.predict do.
    """
    letters = list(sequences.values()) if isinstance(sequences, Mapping) else sequence_list(sequences)
    loaded = loaded_model(model, weights, options)
    calibrated = calibrated_by(calibration, coverage)
    shown = columns_of(loaded.spec, loaded.rc, background, calibrated)
    index = list(sequences) if isinstance(sequences, Mapping) else getattr(sequences, "index", None)
    numbers = shown.of(loaded.each.predict(loaded.codes(letters)))
    columns = {name: numbers[:, column].copy() for column, name in enumerate(shown.names)}
    return data_frame(columns, None if callable(index) else index)  # the index of a list is a method


def data_frame(columns: Mapping[str, Any], index: Any = None) -> Any:
    """A pandas DataFrame of columns; without pandas, a dict of them. index: names of the rows, numbers if None."""
    if importlib.util.find_spec("pandas") is None:
        return dict(columns)
    import pandas

    return pandas.DataFrame(columns, index=index)


def loaded_model(model: Weights | Model | None, weights: Weights | None, options: Mapping[str, Any]) -> Model:
    """A loaded model as it is, or `load(model, weights, **options)`. Raises ZooError for both."""
    if not isinstance(model, Model):
        return load(model, weights, **options)
    if weights is not None or options:
        raise ZooError(f"{next(iter(options), 'weights')}: give it to zoo.load; this model is loaded already")
    return model


def _state(files: Sequence[Path]) -> tuple[int, ...]:
    """Size and times of files, which differ once one has changed."""
    state: list[int] = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        state += (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    return tuple(state)


def _digests(files: Sequence[Path]) -> list[str | None]:
    """sha256 (hex) of files; None for one that cannot be read."""
    return [_digest(file) for file in files]


def _digest(file: Path) -> str | None:
    try:
        return file_sha256(file)
    except OSError:
        return None


def _absolute(name: str | Path) -> str | Path:
    """Weights by name or path, as an absolute path if they are a file. Of a pack, some runtimes take another file."""
    file = lookup.file_of(name)
    return name if file is None else str(packs.pack_of(file) or file)


def _load_again(source: ModelSource, spec: ModelSpec, digests: list[str | None]) -> Model:
    """Load a pickled Model. Raises ZooError if a file, by its digest, or the model, by its spec, has changed."""
    if digests != _digests(source.files):
        raise _changed(source)
    model = source.load()
    if model.spec != spec:
        raise ZooError(f"{source.name}: refers to other weights than when the model was loaded; load it again")
    return model


def _changed(source: ModelSource) -> ZooError:
    return ZooError(
        f"{','.join(map(str, source.files))}: has changed since the model was loaded from it; load it again"
    )
