"""The trainer of all models, for every source of data. Needs the extra `train`.

A source (zoo/data/dataset.py) gives the training sequences of each epoch and one validation split. A run with
given weights measures them first, as epoch 0, which may be the best epoch. All randomness of an epoch follows from
(seed, epoch) and the saved state of PyTorch's generator. A run that was killed and resumed therefore ends with the same
weights, bit for bit on a CPU.

The trainer follows Keras where PyTorch differs:
- Adam: Keras adds epsilon to sqrt(v) before the bias correction, PyTorch after it, so Keras's epsilon counts 32 times
  more in the first step. PyTorch's Adam gets epsilon / sqrt(1 - beta2^t) at step t. AdamW is PyTorch's as it is.
- Batch norm: the running variance follows the biased variance of the batch (zoo/layers/batch_norm.py).
- A last batch of one sequence has no batch variance and is left out of the epoch.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo import registry
from zoo.card import Card
from zoo.data.dataset import Source
from zoo.data.labelled import Split
from zoo.dna.augment import NOISE, augment
from zoo.errors import CheckFailed, ZooError
from zoo.system import signals
from zoo.system.signals import Stopped
from zoo.training import optimizer, profile_loss, schedules, scores, trainable
from zoo.training.config import TrainConfig, difference
from zoo.training.distributed import Group
from zoo.training.profile_loss import ProfileLoss
from zoo.training.run_folder import RunFolder, State
from zoo.training.scores import one_hot
from zoo.weights import checkpoint, lookup, model_arrays, network
from zoo.weights.checkpoint import Checkpoint

REPORT_EVERY = 50
"""Steps between reports of progress."""

DIVERGED = 1e3
"""A run has diverged if the loss of a batch is this many times the first loss, and this many times the loss of a
constant prediction of the same batch, so that a batch with an outlier is not mistaken for it."""


@dataclasses.dataclass(frozen=True)
class Reporter:
    """Receives progress from rank 0: `step(done, total)` at intervals, `epoch(row)` after each epoch, `note(line)` for
    the user, `finished(best row)` at the end.

    enough: called after each epoch; true ends the run there. Only for runs of one process.
    """

    step: Callable[[int, int], None] = lambda *_: None
    epoch: Callable[[dict[str, Any]], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    finished: Callable[[dict[str, Any]], None] = lambda _: None
    enough: Callable[[dict[str, Any]], bool] = lambda _: False


class Trainer:
    """One run. `run()` trains to the end or to an interruption; `resume()` then continues."""

    def __init__(
        self,
        architecture: str,
        config: Any,
        source: Source,
        settings: TrainConfig,
        folder: RunFolder,
        device: str = "cpu",
        compiled: bool = False,
        group: Group | None = None,
        licence: str = "unknown",
        start: Checkpoint | None = None,
        card: Card | None = None,
    ) -> None:
        stated = (card or Card()).filled(source.card)
        unseen = lookup.held_out_too(stated.held_out, start.spec if start else None)
        self.card = dataclasses.replace(stated, held_out=unseen)
        self.architecture, self.source, self.settings, self.folder = architecture, source, settings, folder
        self.config = dataclasses.replace(config, sequence_length=source.sequence_length, targets=source.targets)
        self.device = torch.device(device)
        self.loss = profile_loss.loss_for(architecture, self.config, settings, source)
        self.has_profiles = isinstance(self.loss, ProfileLoss)
        self.loss.check(source.validation.targets)
        self.group = group or Group()
        self.licence = licence
        self.start = start
        torch.manual_seed(settings.seed)
        self.dtype = torch.float64 if settings.precision == "fp64" else torch.float32
        self.model = registry.load("models", architecture).network(self.config)
        self.fresh_head = start is not None and self._begin_with(start)
        if start is None and settings.rescale_start:
            raise ZooError("rescale_start: there are no weights to rescale; give some with --start")
        self.frozen_norms = trainable.prepare(self.model, architecture, settings, given=start is not None)
        self.model.to(self.device, self.dtype)
        self._forward = self._make_forward(compiled)
        self.progress = Progress()
        self._best: dict[str, torch.Tensor] = {}
        self._begin_optimizing()
        self._stopped: Stopped | None = None
        self._seen = np.empty((0, 0), np.float32)

    def _begin_optimizing(self) -> None:
        """A new optimizer and a new moving average of the weights."""
        trained = (parameter for parameter in self.model.parameters() if parameter.requires_grad)
        self.optimiser = optimizer.make(self.settings, trained)
        self.average = optimizer.average(self.model, self.settings.weight_average)
        self.progress.updates = 0

    @property
    def batch_norms(self) -> list[nn.Module]:
        """Batch norms that update their running statistics."""
        return [norm for norm in trainable.batch_norms(self.model) if norm not in self.frozen_norms]

    @property
    def kept(self) -> nn.Module:
        """The weights that are validated and kept: the moving average where there is one."""
        return self.average.module if self.average is not None else self.model

    def facts(self) -> dict[str, Any]:
        """What has to be the same for a run to be resumed."""
        return {
            "architecture": self.architecture,
            "model": self.config.to_dict(),
            "train": self.settings.to_dict(),
            "start": {"weights_id": self.start.spec.weights_id} if self.start else {},
            "data": self.source.identity(),
        }

    def resume(self) -> None:
        """Load the newest undamaged checkpoint; do nothing if the run was killed before the first one.

        Raises ZooError if it belongs to other settings or other data.
        """
        state = self.folder.load_state()
        if state is None:
            return
        if (differs := difference(state.facts["run"], self.facts())) is not None:
            raise ZooError(f"{self.folder.path}: cannot resume, {differs}")
        self._load(state)

    def run(self, reporter: Reporter | None = None) -> dict[str, Any]:
        """Train until the last epoch or until patience ends. Returns the row of the best epoch.

        Raises CheckFailed if the loss diverges: if it is not finite, or see DIVERGED. The folder then keeps the best
        weights and the state of the epoch before. Raises KeyboardInterrupt after the state was saved if interrupted.
        """
        reporter = reporter or Reporter()
        with self._interruptible():
            if self.start is not None and not self.progress.history:
                reporter.epoch(self._measure_start())
            while not self.finished:
                if self._first_part_done and not self._fine_tuning:
                    self._begin_fine_tuning(reporter)
                row = self._epoch(reporter)
                reporter.epoch(row)
                if reporter.enough(row):
                    break
        return next(row for row in self.progress.history if row["epoch"] == self.progress.best_epoch)

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done or patience has ended, and the epochs of fine-tuning are done."""
        if self.progress.augmented_epochs is None:
            return self._first_part_done and not self.settings.fine_tune_epochs
        return self.progress.epoch >= self.progress.augmented_epochs + self.settings.fine_tune_epochs

    @property
    def _first_part_done(self) -> bool:
        """Whether all epochs before fine-tuning are done, or patience has ended them."""
        progress, patience = self.progress, self.settings.patience
        if progress.epoch >= self.settings.epochs:
            return True
        return patience > 0 and progress.best_epoch is not None and progress.epoch - progress.best_epoch >= patience

    @property
    def _fine_tuning(self) -> bool:
        return self.progress.augmented_epochs is not None

    def _begin_fine_tuning(self, reporter: Reporter) -> None:
        """Go on from the best weights, with a new optimizer. The state is saved, so that a run which is killed later
        never looks for the best weights again."""
        progress = self.progress
        progress.augmented_epochs, progress.fine_tuned_from = progress.epoch, progress.best_epoch
        self.model.load_state_dict(self._best)
        self._best = {}
        self._begin_optimizing()
        if self.group.writes:
            self._save()
        reporter.note(f"fine-tuning without augmentation, from the weights of epoch {progress.best_epoch}")

    def _epoch(self, reporter: Reporter) -> dict[str, Any]:
        number = self.progress.epoch + 1
        split = self.source.epoch(number)
        self.loss.check(split.targets)
        order = np.random.default_rng((self.settings.seed, number)).permutation(len(split.codes))
        batches = [order[i : i + self.settings.batch_size] for i in range(0, len(order), self.settings.batch_size)]
        if len(batches) > 1 and len(batches[-1]) < 2 * self.group.size:
            order = order[: -len(batches.pop())]
        if self.progress.step == 0:
            torch.manual_seed(int(np.random.default_rng((self.settings.seed, number, self.group.rank)).integers(2**62)))
            self._seen = np.full((len(split), self.loss.columns), np.nan, np.float32)
        self._training_mode()
        started = time.perf_counter()
        first = self.progress.step
        for step in range(first, len(batches)):
            self._set_rate(len(batches))
            loss, predicted = self._step(split, batches[step], (self.settings.seed, number, step, 1))
            self._seen[batches[step]] = predicted
            self.progress.step = step + 1
            self._check_loss(float(loss), split.observed(batches[step]), number, step)
            if step % REPORT_EVERY == 0 or step + 1 == len(batches):
                reporter.step(step + 1, len(batches))
            if self._stopped:
                self._save()
                raise self._stopped
        seconds = time.perf_counter() - started
        row = {"epoch": number, **self._part(), "learning_rate": self.optimiser.param_groups[0]["lr"]}
        row.update(self._columns("train", split.targets[order], self._seen[order]))
        rate = (len(batches) - first) * self.settings.batch_size / seconds
        return self._end_epoch({**row, **self._validate(), "sequences_per_second": round(rate, 1)})

    def _step(self, split: Split, rows: np.ndarray, seed: tuple[int, ...]) -> tuple[torch.Tensor, np.ndarray]:
        """One step of the optimizer on the rows of a batch -> the loss before the step, and what is kept of its
        predictions."""
        mine = self.group.share(rows)
        predicted = self._forward(self._one_hot(split.codes[mine], seed))
        observed = torch.from_numpy(split.observed(mine)).to(self.device, self.dtype)
        loss = self.loss(predicted, observed, self.group.sum(self.loss.measured(observed).sum(0)))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._share_gradients()
        if self.settings.clip_gradient:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_gradient)
        self.progress.updates += 1
        optimizer.step(self.optimiser, self.settings, self.progress.updates)
        if self.average is not None:
            self.average.update_parameters(self.model)
        kept = self.loss.kept(predicted.detach(), observed)
        gathered = self.group.gather_rows(kept.float().cpu().numpy(), len(rows))
        return self.group.sum(loss.detach().clone()), gathered

    def _one_hot(self, codes: np.ndarray, seed: tuple[int, ...]) -> torch.Tensor:
        """Base codes, uint8 (N, L) -> (N, L, 4) on the device, augmented."""
        strengths, noise = self.settings.strengths(self._fine_tuning), None
        if strengths and not self.has_profiles:  # the source turns regions with their profiles
            generator = np.random.default_rng((*seed, self.group.rank))
            codes, noise = augment(codes, strengths, generator, self.settings.augmentations_per_sequence)
        hot = one_hot(codes, self.device, self.dtype)
        return hot if noise is None else hot + torch.from_numpy(noise).to(self.device, self.dtype)

    def _share_gradients(self) -> None:
        """Sum the gradients of all processes: each loss is a share of the loss of the joint batch."""
        if self.group.size > 1:
            with_gradient = [p.grad for p in self.model.parameters() if p.grad is not None]
            flat = torch.cat([gradient.reshape(-1) for gradient in with_gradient])
            self.group.sum(flat)
            for gradient, part in zip(with_gradient, flat.split([g.numel() for g in with_gradient]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def _training_mode(self) -> None:
        self.model.train()
        for norm in self.frozen_norms:
            norm.training = False

    def _measure_start(self) -> dict[str, Any]:
        """Epoch 0: metrics of the initial weights. The columns of training are None."""
        nothing = np.full((1, self.loss.columns), np.nan, np.float32)
        columns = self._columns("train", nothing[:, : len(self.source.targets)], nothing)
        row = {"epoch": 0, **self._part(), "learning_rate": None, **columns}
        return self._end_epoch({**row, **self._validate(), "sequences_per_second": None})

    def _part(self) -> dict[str, Any]:
        """Column of a row: 1 in an epoch of fine-tuning, 0 before; absent if there are no such epochs."""
        return {"fine_tuning": int(self._fine_tuning)} if self.settings.fine_tune_epochs else {}

    def _validate(self) -> dict[str, Any]:
        """Columns of a row: metrics of the kept weights on the validation split."""
        validation = self.source.validation
        return self._columns("validation", validation.targets, self.measure(self.kept, validation))

    def measure(self, module: Any, split: Split) -> np.ndarray:
        """What Loss.kept keeps of the predictions of a network for a split."""
        outputs = module.trained_outputs if self.has_profiles else module

        def kept(hot: torch.Tensor, rows: slice) -> torch.Tensor:
            return self.loss.kept(outputs(hot), torch.from_numpy(split.observed(rows)).to(self.device))

        return scores.predict(module, split.codes, self.device, kept)

    def _columns(self, split: str, observed: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
        return scores.columns(split, self.loss, observed, predicted)

    def _end_epoch(self, row: dict[str, Any]) -> dict[str, Any]:
        """Record the row of a finished epoch; keep the weights if it is the best so far. Returns rank 0's row."""
        progress = self.progress
        row = self.group.agree([row])[0]  # type: ignore[assignment]
        number = row["epoch"]
        if row["validation_loss"] is None:
            raise CheckFailed(f"epoch {number}: the validation loss is not finite; {self._advice(number)}")
        progress.epoch, progress.step = number, 0
        progress.history.append(row)
        if row["validation_loss"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = row["validation_loss"], number
            if self.settings.fine_tune_epochs and not self._fine_tuning:
                self._best = {name: value.clone() for name, value in self.kept.state_dict().items()}
            if self.group.writes:
                checkpoint.save(self.weights(), self.folder.weights, overwrite=True)
        if self.group.writes:
            self._save()
            self.folder.write_metrics(progress.history)
        return row

    def weights(self) -> Checkpoint:
        """A copy of the kept weights. If they are still the initial ones, they keep their source and licence."""
        source, start = (
            f"trained by deepstarr-zoo on {self.source.identity().get('source', 'unknown data')}",
            self.start,
        )
        if start is not None:
            source += f", beginning with weights {start.spec.weights_id[:12]} ({start.spec.source})"
        made = checkpoint.make(self.architecture, self.config, trainable.merged(self.kept), source, self.licence)
        if start is None or made.spec.weights_id != start.spec.weights_id:
            return dataclasses.replace(made, spec=dataclasses.replace(made.spec, card=self.card))
        kept = {name: getattr(start.spec, name) for name in ("source", "licence", "card")}
        spec = dataclasses.replace(made.spec, **kept)
        return dataclasses.replace(made, spec=spec)

    def _set_rate(self, steps: int) -> None:
        """Set learning rate and momentum of the next step. steps: in an epoch."""
        done, all_steps = self.progress.updates, steps * self.settings.epochs
        losses = [row["validation_loss"] for row in self.progress.history]
        rate = schedules.rate(self.settings, done, all_steps, losses)
        beta1 = schedules.beta1(self.settings, done, all_steps)
        if self._fine_tuning:
            rate = self.settings.fine_tune_learning_rate or self.settings.learning_rate / 10
            beta1 = self.settings.beta1
        optimizer.set_rate(self.optimiser, self.settings, rate, beta1)

    def _check_loss(self, loss: float, observed: np.ndarray, epoch: int, step: int) -> None:
        """Raise CheckFailed if the loss of a batch shows that the run diverges. observed: its measurements, see
        Split.observed."""
        where = f"epoch {epoch}, step {step + 1}"
        if not math.isfinite(loss):
            raise CheckFailed(f"{where}: the loss is not finite; {self._advice(epoch)}")
        if self.progress.first_loss is None:
            self.progress.first_loss = loss
        first = self.progress.first_loss
        if loss > DIVERGED * first and loss > DIVERGED * self.loss.of_a_constant(observed):
            raise CheckFailed(
                f"{where}: the training diverges, the loss is {loss:.3g} and was {first:.3g} at first; "
                f"{self._advice(epoch)}"
            )

    def _advice(self, epoch: int) -> str:
        if epoch == 0:
            return "the weights given with --start do not fit this data"
        lower, best = f"a --learning-rate below {self.settings.learning_rate:g}", self.progress.best_epoch
        if best is None:
            return f"try {lower}; no epoch was finished, so there are no weights yet"
        return f"the weights of epoch {best} are kept; go on with --start {self.folder.path} and {lower}"

    def _begin_with(self, start: Checkpoint) -> bool:
        """Load initial weights. Returns whether the head starts fresh because the targets differ."""
        if not self.settings.rescale_start:
            return network.begin_with(self.model, start)
        norms = model_arrays.layer_norms(self.architecture, self.config)
        if not norms:
            raise ZooError(f"rescale_start: {self.architecture} names no layers with a batch norm right after them")
        fresh = network.sizes(self.model, norms)
        fresh_head = network.begin_with(self.model, start)
        network.rescale(self.model, norms, fresh)
        return fresh_head

    def _make_forward(self, compiled: bool) -> Callable[[torch.Tensor], torch.Tensor]:
        """One-hot (N, L, 4) on the device -> activities (N, T), in training mode."""
        dtype = torch.bfloat16 if self.settings.precision == "bf16" else self.dtype
        own = getattr(registry.load("models", self.architecture), "training_forward", None)
        # training_forward normalises by the batch, trains every array, and takes one-hot bases without noise
        noise, whole = NOISE in self.settings.augment, all(one.requires_grad for one in self.model.parameters())
        if self.device.type == "cpu" and not compiled and own and whole and not self.frozen_norms and not noise:
            return lambda hot: own(self.model, hot, dtype)
        outputs: Any = self.model.trained_outputs if self.has_profiles else self.model
        module = torch.compile(outputs) if compiled else outputs

        def forward(hot: torch.Tensor) -> torch.Tensor:
            with torch.autocast(self.device.type, dtype, enabled=dtype == torch.bfloat16):
                return module(hot.transpose(1, 2))

        return forward

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """After a signal, finish the step and save the state; a second signal ends the run at once."""

        def note(stopped: Stopped) -> None:
            self._stopped = stopped

        with signals.noted(note):
            yield

    def _save(self) -> None:
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            tensors.update({f"average/{name}": value for name, value in self.average.state_dict().items()})
        tensors.update({f"best/{name}": value for name, value in self._best.items()})
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors.update({f"optimiser/{number}/{name}": torch.as_tensor(value) for name, value in moments.items()})
        tensors["generator"] = torch.get_rng_state()
        arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
        if self.progress.step:
            arrays["seen"] = self._seen
        self.folder.save_state(State(arrays, {**dataclasses.asdict(self.progress), "run": self.facts()}))

    def _load(self, state: State) -> None:
        tensors = {name: torch.from_numpy(array) for name, array in state.tensors.items()}

        def under(prefix: str) -> dict[str, torch.Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.model.load_state_dict(under("model/"))
        if self.average is not None:
            self.average.load_state_dict(under("average/"))
        self._best = {name: value.to(self.device) for name, value in under("best/").items()}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in under("optimiser/").items():
            number, _, field = name.partition("/")
            moments.setdefault(int(number), {})[field] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(tensors["generator"])
        self._seen = state.tensors.get("seen", self._seen)
        fields = [field.name for field in dataclasses.fields(Progress)]
        self.progress = Progress(**{name: state.facts[name] for name in fields if name in state.facts})


@dataclasses.dataclass
class Progress:
    """epoch: epochs done.  step: steps done of the next epoch.  updates: steps of the optimizer.  history: one row per
    epoch, from 0 if the run began with given weights.  best_epoch: by validation loss, None before the first one.
    first_loss: of the first batch, before the first step.  augmented_epochs: epochs before fine-tuning, None until it
    begins.  fine_tuned_from: the epoch whose weights it began with."""

    epoch: int = 0
    step: int = 0
    updates: int = 0
    best_loss: float = math.inf
    best_epoch: int | None = None
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    first_loss: float | None = None
    augmented_epochs: int | None = None
    fine_tuned_from: int | None = None
