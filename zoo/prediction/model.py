"""A model that is loaded and ready, `Model`, how to load it, and where it comes from.

Text or base codes go in, activities come out, the same numbers as `zoo predict`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from zoo.defaults import AUTO, MODEL, RUNTIME
from zoo.dna.encoding import check_codes, reverse_complement, texts_of
from zoo.errors import ZooError
from zoo.formats import texts
from zoo.formats.read_options import PYTHON, STRICT, ReadOptions
from zoo.options import RunOptions, check_kind, made
from zoo.prediction import session, strands
from zoo.prediction.session import Session
from zoo.spec import ModelSpec
from zoo.system.files import file_sha256
from zoo.weights import lookup


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What `load` was given, so that a pickled Model can be loaded again, in another process.

    file: of the weights, absolute, with its `state` when it was read; None for bundled weights.
    """

    model: str | None
    weights: str | None
    runtime: str
    settings: RunOptions
    file: Path | None
    state: tuple[int, ...] = ()
    rc: str | None = None
    reading: ReadOptions = STRICT

    def again(self, spec: ModelSpec, digest: str | None) -> Model:
        """Load it. Raises ZooError if the file, by its digest, or the model, by its spec, is not what it was."""
        if self.file is not None and digest != _digest(self.file):
            raise ZooError(f"{self.file}: has changed since the model was loaded from it; load the model anew")
        choices = {"rc": self.rc, **dataclasses.asdict(self.reading), **dataclasses.asdict(self.settings)}
        loaded = load(self.model, self.weights, self.runtime, **choices)
        if loaded.spec != spec:
            raise ZooError(
                f"{self.weights or self.model or MODEL}: names other weights than when the model was loaded; load anew"
            )
        return loaded


class Model:
    """A model, loaded and ready: text or base codes in, activities out, the same numbers as `zoo predict`.

    It can be pickled: what is kept is where it came from, and it is loaded again on the other side. So it can be given
    to processes that are started with spawn; one that is forked raises ZooError when it predicts.
    """

    def __init__(
        self, running: Session, loaded: Loaded | None = None, rc: str | None = None, reading: ReadOptions = STRICT
    ) -> None:
        self._session = running
        self._loaded = loaded
        self._submit = strands.with_choice(running.submit, rc)
        self.rc = rc
        self.reading = reading

    def __reduce__(self) -> tuple[Any, ...]:
        loaded = self._loaded
        if loaded is None:
            raise ZooError("a Model can be pickled if zoo.load made it; this one was made of a session")
        if loaded.file is None:
            return Loaded.again, (loaded, self.spec, None)
        if loaded.state != _state(loaded.file):
            raise ZooError(f"{loaded.file}: has changed since the model was loaded from it; load the model anew")
        return Loaded.again, (loaded, self.spec, _digest(loaded.file))

    @property
    def spec(self) -> ModelSpec:
        """What the weights say of themselves: architecture, sequence length, targets, weights id, source, licence."""
        return self._session.spec

    @property
    def session(self) -> Session:
        """What computes, for what is asked of base codes and one strand."""
        return self._session

    @property
    def runtime(self) -> str:
        return self._session.runtime

    @property
    def provider(self) -> str:
        """The device or execution provider that computes, as the engine reports it."""
        return self._session.provider

    @property
    def batch_size(self) -> int:
        return self._session.batch_size

    def predict(self, sequences: Sequence[str], *, rc: str | None = None, resize: str | None = None) -> np.ndarray:
        """N sequences of `spec.sequence_length` letters of ACGTN, either case -> float32 (N, T), T = `spec.targets`.

        rc: "average" for the mean of both strands.  resize: "center" to crop or pad with N; see `load`, whose choices
        hold where these are None.
        Raises ZooError that names the sequence, counted from 1, if a length or a letter is not what the model takes.
        """
        codes = self.codes(sequences, resize=resize)
        if rc is None or rc == self.rc:
            return self.predict_codes(codes)
        return strands.with_choice(self._session.submit, rc)(codes).result()

    def codes(self, sequences: Sequence[str] | np.ndarray, *, resize: str | None = None) -> np.ndarray:
        """N texts as `predict` takes them -> base codes, uint8 (N, L); such an array is checked and comes back.

        Raises ZooError as `predict` does.
        """
        length = self.spec.sequence_length
        if isinstance(sequences, np.ndarray) and sequences.dtype.kind not in "UO":
            check_codes(sequences, length)
            return sequences
        reading = ReadOptions(resize, self.reading.ambiguous) if resize else self.reading  # type: ignore[arg-type]
        return texts.encode(texts_of(sequences), length, reading, lambda number: f"sequence {number}", PYTHON)

    def predict_codes(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L): A 0, C 1, G 2, T 3, N 4 -> float32 (N, T). Raises ZooError for any other array."""
        return self._session.predict(codes) if self.rc is None else self._submit(codes).result()

    def settle(self) -> None:
        """From now on a batch gives the same bits whatever was predicted before, see Session.settle."""
        self._session.settle()

    def windows(self, codes: np.ndarray, stride: int = 1) -> np.ndarray:
        """Base codes along a contig, uint8 (B,) -> activities of every window, `stride` bases apart, float32 (W, T).

        Window i is [i * stride, i * stride + L); only whole windows count. The numbers are those of `predict_codes`, up
        to rounding, the mean of both strands where the model was loaded so; most runtimes take the time of as many
        sequences, "kmer-cpu" much less, since neighbours share their work. Raises ZooError as `predict_codes` does.
        """
        given = self._session.windows(codes, stride)
        if self.rc is None or not len(given):
            return given
        # read from the other end, windows begin where these end
        covered = codes[: (len(given) - 1) * stride + self.spec.sequence_length]
        other = self._session.windows(reverse_complement(covered), stride)
        return strands.mean([given, other[::-1]])

    def submit_codes(self, codes: np.ndarray) -> Future[np.ndarray]:
        """As `predict_codes`, but returns at once where a GPU computes: a Future, whose `result()` waits.

        So a program that makes sequences while others are predicted keeps the GPU busy.
        """
        return self._submit(codes)


def load(
    model: str | None = None,
    weights: str | Path | None = None,
    runtime: str = RUNTIME,
    *,
    rc: str | None = None,
    resize: str | None = None,
    ambiguous: str | None = None,
    **options: Any,
) -> Model:
    """Start a model.

    model: a name such as "original", which is the default, for its bundled weights, or "original:published" for those
        of the paper.
    weights: a file instead: .safetensors, or .onnx where the runtime takes it. It says itself which network it holds.
    runtime: engine and device, such as "onnx-cpu" or "torch-cuda"; see `zoo list`. "auto" takes the fastest that can
        run here.
    rc: "average" for the mean over a sequence and its reverse complement, for twice the time, as --both-strands does.
    resize: "center" to crop a longer text to its middle and pad a shorter one with N, as --crop-or-pad does.
    ambiguous: "n" to take any other letter, such as the IUPAC codes R or Y, as N, as --ambiguous-as-n does.
    options: batch_size, threads, precision; see zoo.options.RunOptions.

    Raises ZooError for unknown names, options and files, and for weights of another model than the one that is named;
    MissingDependency where the runtime cannot run here.
    """
    settings = made(RunOptions, options, beside=("rc", "resize", "ambiguous"))
    check_kind("model", model, str | None)
    check_kind("weights", weights, str | Path | None)
    check_kind("runtime", runtime, str)
    strands.check(rc)
    reading = ReadOptions(resize, ambiguous)  # type: ignore[arg-type]
    file = lookup.file_of(weights or model or MODEL)
    given = None if weights is None else str(file or weights)
    loaded = Loaded(model, given, runtime, settings, file, _state(file) if file else (), rc, reading)
    if runtime == AUTO:
        running = session.open_automatic(lambda files: lookup.resolve(model, weights, files), settings)
    else:
        running = session.open_session(lookup.resolve(model, weights, session.files(runtime)), runtime, settings)
    return Model(running, loaded, rc, reading)


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """The arguments of zoo.load."""

    model: str | None = None
    weights: str | None = None
    runtime: str = RUNTIME
    running: RunOptions = dataclasses.field(default_factory=RunOptions)
    rc: str | None = None

    @property
    def file(self) -> Path | None:
        """Of the weights, absolute; None for bundled ones."""
        return lookup.file_of(self.weights or self.model or MODEL)

    def absolute(self) -> ModelSource:
        """The same wherever the current folder is."""
        return dataclasses.replace(self, weights=str(self.file)) if self.weights and self.file else self

    def spec(self) -> ModelSpec:
        """What the weights say of themselves, without a runtime. Raises ZooError as zoo.weights.lookup does."""
        chosen = self.weights or self.model or MODEL
        return lookup.read_spec(lookup.path_of(chosen) if lookup.is_name(chosen) else self.file or Path(chosen))

    def load(self, threads: int | None = None) -> Model:
        """A model that is settled, see Model.settle. threads: unless their number was given.

        Raises ZooError as zoo.load does.
        """
        settings = dataclasses.asdict(self.running)
        settings["threads"] = settings["threads"] or threads
        model = load(self.model, self.weights, self.runtime, rc=self.rc, **settings)
        model.settle()
        return model


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
    letters = list(sequences.values()) if isinstance(sequences, Mapping) else texts_of(sequences)
    if isinstance(model, Model):
        if weights is not None or options:
            raise ZooError(f"{next(iter(options), 'weights')}: give it to zoo.load, not with a model that is loaded")
        loaded = model
    else:
        loaded = load(model, weights, **options)
    index = list(sequences) if isinstance(sequences, Mapping) else getattr(sequences, "index", None)
    activities = loaded.predict(letters)
    targets = loaded.spec.targets
    if importlib.util.find_spec("pandas") is None:
        return {target: activities[:, column].copy() for column, target in enumerate(targets)}
    import pandas

    labelled = isinstance(sequences, Mapping | pandas.Series)
    return pandas.DataFrame(activities, index=index if labelled else None, columns=list(targets))


def _state(file: Path) -> tuple[int, ...]:
    """What changes when a file does, without reading it; empty for one that is not there."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _digest(file: Path) -> str | None:
    """sha256 (hex); None for a file that is not there."""
    try:
        return file_sha256(file)
    except OSError:
        return None
