"""Checkpoints as programs write them: the tensors are read, whatever is beside them, and nothing in a file runs."""

from __future__ import annotations

import argparse
import collections
import io
import pathlib
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Zoo, one_line
from hostile import OPTIONS, WEIGHTS, refused_import
from ports import ported
from refusals import refuses

from zoo.weights import checkpoint
from zoo.weights.importers import importer, pickles, pytorch, torch_files

torch = pytest.importorskip("torch")

EPOCHS = {"epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.5.0"}


class Custom(torch.nn.Module):
    """A network of a program, which the reader cannot import under this name."""

    def __init__(self) -> None:
        super().__init__()
        for name, tensor in ported(WEIGHTS).items():
            *parents, last = name.split(".")
            owner: Any = self
            for parent in parents:
                if not hasattr(owner, parent):
                    owner.add_module(parent, torch.nn.Module())
                owner = getattr(owner, parent)
            if last.startswith("running"):
                owner.register_buffer(last, tensor)
            elif last != "num_batches_tracked":
                owner.register_parameter(last, torch.nn.Parameter(tensor))
        self.register_buffer("scratch", torch.zeros(3, 3), persistent=False)
        self.notes = argparse.Namespace(path=pathlib.PurePosixPath("/data"), seen={1, 2})


class Averaged:
    """The object of a program that keeps a moving average of the weights."""

    def __init__(self, shadow: dict[str, Any]) -> None:
        self.decay, self.shadow = 0.99, shadow


def begun(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def other() -> dict[str, Any]:
    """Weights of the same shapes, such as a moving average."""
    return {name: tensor * 2 if tensor.ndim else tensor for name, tensor in ported(WEIGHTS).items()}


def optimizer() -> dict[str, Any]:
    """The state of Adam, which has arrays of the shapes of the weights."""
    module = Custom()
    adam = torch.optim.Adam(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    return adam.state_dict()


def single() -> dict[str, Callable[[], Any]]:
    """What is in the file -> how it is made; each holds the network once."""
    state = ported(WEIGHTS)
    lightning = {**EPOCHS, "state_dict": begun("model.", state), "optimizer_states": [optimizer()], "lr_schedulers": []}
    return {
        "state dict": lambda: state,
        "with prefixes": lambda: begun("_orig_mod.module.model.", state),
        "lightning": lambda: {
            **lightning,
            "hyper_parameters": argparse.Namespace(lr=0.1, folder=pathlib.PurePosixPath("/data")),
            "callbacks": {
                "ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "kth": {"a.ckpt": torch.zeros(2)}}
            },
            "loops": collections.Counter(a=3),
        },
        "beside an optimizer": lambda: {
            "model": state,
            "optimizer": optimizer(),
            "args": argparse.Namespace(x=range(3)),
        },
        "an optimizer by names": lambda: {"model_state_dict": state, "optim": {"state": begun("exp_avg.", other())}},
        "another key": lambda: {"weights": state, "epoch": 3, "scaler": np.float64(2.0), "random": np.arange(5)},
        "module": lambda: Custom(),
        "module in parallel": lambda: torch.nn.DataParallel(Custom()),
        "module in a checkpoint": lambda: {"model": Custom(), "best": float("nan"), "when": complex(1, 2)},
        "parameters": lambda: {
            name: torch.nn.Parameter(t) if t.is_floating_point() else t for name, t in state.items()
        },
        "an object": lambda: {"net": Averaged(state), "epoch": 1},
    }


SINGLE = single()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("older", [False, True], ids=["archive", "older format"])
@pytest.mark.parametrize("kind", SINGLE)
def test_the_network_in_a_checkpoint_is_read(kind: str, older: bool, tmp_path: Path) -> None:
    path = tmp_path / "port.ckpt"
    torch.save(SINGLE[kind](), path, _use_new_zipfile_serialization=not older)
    assert importer.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_protocol_is_read(protocol: int, tmp_path: Path) -> None:
    for number, older in enumerate((False, True)):
        path = tmp_path / f"{number}.pt"
        torch.save({"state_dict": Custom()}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not older)
        assert importer.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id


TWICE: dict[str, tuple[Callable[[], Any], str, str]] = {
    "in a state dict": (
        lambda: {"state_dict": {**begun("model.", ported(WEIGHTS)), **begun("ema_model.module.", other()),
                                "ema_model.n_averaged": torch.tensor(5)}},
        "model.", "ema_model.",
    ),
    "state dicts": (lambda: {"model": ported(WEIGHTS), "ema": other()}, "model.", "ema."),
    "an object": (lambda: {"state_dict": ported(WEIGHTS), "averaged": Averaged(other())}, "state_dict.", "averaged."),
    "a callback": (
        lambda: {**EPOCHS, "state_dict": ported(WEIGHTS), "callbacks": {"EMA": {"ema_state_dict": other()}}},
        "state_dict", "callbacks.EMA.ema_state_dict",
    ),
    "two modules": (
        lambda: torch.nn.ModuleDict({"online": Custom(), "target": Custom()}), "online", "target",
    ),
}  # fmt: skip
"""Where the copy is -> the content of a file, and the prefixes of both networks."""


@pytest.mark.parametrize("kind", TWICE)
def test_a_network_and_its_average_are_never_chosen_in_silence(kind: str, tmp_path: Path) -> None:
    make, first, second = TWICE[kind]
    path = tmp_path / "port.ckpt"
    content = make()
    if kind == "two modules":
        with torch.no_grad():
            for parameter in [*content["target"].parameters(), *content["target"].buffers()]:
                parameter.mul_(2)
    torch.save(content, path)
    refused_import(path, first.partition(".")[0], second.partition(".")[0], "--prefix")
    found = {prefix: pytorch.read_arrays(path, prefix=prefix) for prefix in (first, second)}
    assert list(found[first]) == list(found[second])
    for name, array in found[first].items():
        np.testing.assert_array_equal(array * 2, found[second][name])
    with refuses("--prefix nope", first.partition(".")[0], second.partition(".")[0]):
        pytorch.read_arrays(path, prefix="nope")


def test_safetensors_with_an_average_are_not_chosen_in_silence_either(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "port.safetensors"
    both = {**begun("model.", ported(WEIGHTS)), **begun("ema.", other())}
    save_file({name: tensor.contiguous() for name, tensor in both.items()}, path)
    refused_import(path, "model.", "ema.", "--prefix")
    assert list(pytorch.read_arrays(path, True, "ema.")) == list(pytorch.read_arrays(path, True, "model."))


def test_a_list_of_averages_is_a_copy_too(tmp_path: Path) -> None:
    shadow = [tensor * 2 for tensor in Custom().parameters()]
    torch.save({"state_dict": ported(WEIGHTS), "ema": {"decay": 0.9, "shadow_params": shadow}}, tmp_path / "port.pt")
    refused_import(tmp_path / "port.pt", "state_dict.", "ema.", "--prefix")
    chosen = pytorch.read(tmp_path / "port.pt", prefix="state_dict")
    assert len(chosen.layers) == len(WEIGHTS.config.filters) + len(WEIGHTS.config.dense_units) + 1


def test_blocks_of_one_shape_are_no_copies(tmp_path: Path) -> None:
    block = {"a.weight": torch.ones(4, 4, 3), "b.weight": torch.ones(4, 4, 3)}
    tensors = {"stem.weight": torch.ones(4, 4, 3), **begun("one.", block), **begun("two.", block)}
    torch.save({**tensors, "head.weight": torch.ones(2, 4)}, tmp_path / "net.pt")
    assert len(pytorch.read_arrays(tmp_path / "net.pt")) == 6


def test_the_command_reads_a_prefix_and_notes_it(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": ported(WEIGHTS), "ema": other()}, "port.pt")
    given = [
        "import",
        "port.pt",
        "--alphabet",
        "ACGT",
        "--flatten",
        "channel",
        "--epsilon",
        "1e-3",
        "-o",
        "a.safetensors",
    ]
    one_line(zoo, ["port.pt: ", "model. (", "ema. (", "--prefix model."], *given)
    unsaid = ["--length", WEIGHTS.spec.sequence_length, "--targets", ",".join(WEIGHTS.spec.targets)]
    status, out, err = zoo(*given, "--prefix", "ema.", *unsaid)
    assert status == 0, err
    assert "prefix ema." in out
    found = checkpoint.load(tmp_path / "a.safetensors")
    assert "prefix ema." in found.spec.imported
    np.testing.assert_array_equal(found.arrays["head.bias"], WEIGHTS.arrays["head.bias"] * 2)
    (tmp_path / "k.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    one_line(zoo, ["--prefix", "k.h5"], "import", "k.h5", "--prefix", "a.", *given[2:-1], "b.safetensors")


@pytest.mark.filterwarnings("ignore")
def test_a_program_says_what_it_is(tmp_path: Path) -> None:
    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.dense(x)

    torch.jit.save(torch.jit.trace(Small(), torch.ones(1, 4)), str(tmp_path / "script.pt"))
    refused_import(tmp_path / "script.pt", "TorchScript", "torch.jit.load('script.pt').state_dict()")
    torch.export.save(torch.export.export(Small(), (torch.ones(1, 4),)), tmp_path / "program.pt2")
    refused_import(tmp_path / "program.pt2", "torch.export", "torch.export.load('program.pt2').state_dict")


class Calls:
    """A pickle that calls a function when it is loaded by anything that runs its code."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made_of = function, arguments

    def __reduce__(self) -> Any:
        return self.made_of


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "a call": lambda sign: Calls(Path.touch, sign),
    "exec": lambda sign: Calls(exec, f"open({str(sign)!r}, 'w')"),
    "a system command": lambda sign: Calls(__import__("os").system, f"touch {sign}"),
}
"""Pickles that would make a file `sign`."""


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("where", ["beside", "as a name", "as the weights", "older format"])
def test_nothing_in_a_file_runs(kind: str, where: str, tmp_path: Path) -> None:
    sign, path = tmp_path / "it_ran", tmp_path / "port.pt"
    bomb = HOSTILE[kind](sign)
    content = {
        "as the weights": {"state_dict": bomb},
        "as a name": {**ported(WEIGHTS), ("a", bomb): 1},
    }.get(where, {"state_dict": ported(WEIGHTS), "hyper_parameters": bomb, "more": [bomb, {"deep": (bomb,)}]})
    torch.save(content, path, _use_new_zipfile_serialization=where != "older format")
    assert not sign.exists()
    if where == "as the weights":
        refused_import(path, "state_dict")
    else:
        assert importer.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id
    assert not sign.exists()
    torch.load(path, weights_only=False)
    assert sign.exists()  # PyTorch itself runs it


def archive(pickle_bytes: bytes, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a/data.pkl", pickle_bytes)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02" + b"(" * 20_000 + b".",
        b"\x80\x02)" + b"\x85" * 20_000 + b".",  # a tuple in a tuple
        b"\x80\x02}" + b")" + b"\x85" * 20_000 + b"K\x01s.",  # as a key
        b"\x80\x02]" + b"2a" * 1_500 + b".",  # more instructions than allowed
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.",
        b"\x80\x02]r" + (2**32 - 1).to_bytes(4, "little") + b".",
        b"I" + b"9" * 100_000 + b"\n.",
        b"\x80\x02a.",
        b"\x80\x02h\x05.",
        b"\x80\x02\x97.",
        b"\x80\x09.",
        b"",
    ],
    ids=[
        "marks", "deep", "deep key", "endless", "bytes8", "bytearray8", "long", "memo", "digits", "empty stack",
        "no memo", "buffer", "protocol", "empty",
    ],
)  # fmt: skip
def test_a_pickle_that_cannot_be_is_refused(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if content.endswith(b"2a."):
        monkeypatch.setattr(pickles, "MOST_INSTRUCTIONS", 1_000)
    path = archive(content, tmp_path / "port.pt")
    refused_import(path)


def test_lists_in_lists_take_no_time(tmp_path: Path) -> None:
    level: Any = [torch.ones(2, 2)]
    for _ in range(40):
        level = {"a": level, "b": level}
    torch.save(level, tmp_path / "port.pt")
    assert len(torch_files.read(tmp_path / "port.pt").tensors) == 1


def test_the_reader_knows_every_instruction() -> None:
    """Each opcode of the standard library is handled, or pushes its argument."""
    from zoo.weights.importers.pickles import _Machine

    handled = set()
    for opcode in pickletools.opcodes:
        machine = _Machine(lambda *_: None, lambda _: None)
        machine._stack, machine._below, machine._memo = [[], pickles.Global("a.b"), ()], [[{}]], {0: 1}
        argument = {"GLOBAL": "a b", "INST": "a b"}.get(opcode.name, 0)
        try:
            if not machine._changes(opcode.name, argument):
                value = machine._value(opcode.name, argument)
                if opcode.arg is None and value is argument:
                    continue
            handled.add(opcode.name)
        except (ValueError, LookupError, TypeError):
            handled.add(opcode.name)
    assert {opcode.name for opcode in pickletools.opcodes} - handled == {"STOP"}


def test_a_pickle_of_objects_is_data() -> None:
    content = [argparse.Namespace(a=1, b=[2.5, None, True]), collections.OrderedDict(x=(1, b"y")), {"k": {1, 2}}]
    for protocol in range(6):
        namespace, ordered, plain = pickles.load(
            io.BytesIO(pickle.dumps(content, protocol)), torch_files._made, lambda _: None
        )
        assert namespace.attributes == {"a": 1, "b": [2.5, None, True]}
        assert protocol < 3 or ordered == {"x": (1, b"y")}
        assert protocol < 4 or sorted(plain["k"]) == [1, 2]
