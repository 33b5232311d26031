"""State dicts of PyTorch DeepSTARR ports (.pt, .pth, .ckpt, foreign .safetensors) -> canonical weights.

Never unpickled: torch.load reads with weights_only=True. Names do not matter, since every port has its own; layers are
told apart by their shapes and taken in order. The zoo's own names are recognised and need no order.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.models.deepstarr import BATCH_NORM_EPSILON, Config, importer
from zoo.spec import ALPHABET, SPEC_KEY
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.network import require_torch

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys under which a training checkpoint (PyTorch Lightning's, for example) keeps the state dict."""

OWN_NAME = re.compile(r"(conv|dense)\d+(_norm)?\.\w+|head\.\w+")
"""Names that the zoo's network gives; it flattens in (channel, length) order."""

LOAD_ERRORS = (RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError, struct.error)
"""What torch.load raises for a file that is damaged or not its own."""


def read_state_dict(
    path: Path,
    *,
    alphabet: str = ALPHABET,
    flatten: str | None = None,
    epsilon: float = BATCH_NORM_EPSILON,
    length: int | None = None,
    targets: Sequence[str] | None = None,
    source: str | None = None,
    licence: str | None = None,
) -> Checkpoint:
    """A PyTorch DeepSTARR of any size -> canonical weights.

    alphabet: base order that the port was trained on.  flatten: "channel" if it flattens (N, channel, length) as
    PyTorch does, "length" if it permutes first, as Keras has it; the file cannot tell unless its names are the zoo's.
    epsilon: of the port's batch normalization (PyTorch's own default is 1e-5), which no state dict tells.
    length: of the input sequences in bases; 249 where that fits the arrays.  targets: names of the outputs, by default
    dev, hk.  source, licence: for the ModelSpec; by default the file's name and md5.

    Raises ZooError that names the file and the first array which is not as in DeepSTARR, or a file that holds more
    than tensors.
    """
    arrays = _strip_prefix(_read(path))
    own = all(OWN_NAME.fullmatch(name) for name in arrays) and "head.weight" in arrays
    if flatten is None and not own:
        raise ZooError(
            f"{path}: cannot tell in which order the network flattens; give --flatten channel (plain PyTorch) or "
            "--flatten length (a port that permutes first, as weights from Keras need)"
        )
    layers = _layers(arrays, str(path))
    config, canonical = importer.assemble(
        layers,
        str(path),
        flatten=flatten or "channel",
        alphabet=alphabet,
        epsilon=epsilon,
        length=length,
        targets=targets or _target_names(importer.sort(layers, str(path))[2], path),
    )
    cited, terms = importer.provenance(path)
    return checkpoint.make("deepstarr", config, canonical, source or cited, licence or terms)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Float arrays of the file by name, in the file's order."""
    if not path.is_file():
        raise ZooError(f"{path}: no such file")
    arrays = _read_safetensors(path) if importer.kind(path) == "safetensors" else _read_torch(path)
    return {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            if SPEC_KEY in (file.metadata() or {}):
                raise ZooError(f"{path}: is a weights file of the zoo already; use it as it is")
            # this format keeps no order: conv2 before conv10 is the best that names can give
            names = sorted(file.keys(), key=_natural)
            return {name: file.get_tensor(name).astype(np.float32) for name in names}
    except (SafetensorError, OSError, TypeError) as error:
        raise ZooError(f"{path}: cannot be read as a .safetensors file, cut off or of another kind ({error})") from None


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d+)|(\D+)", name)]


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    require_torch()
    import torch

    try:
        with warnings.catch_warnings():
            # of a pickle that it is about to refuse, PyTorch says first that it may not understand it
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds {culprit[1]}" if culprit else "or it is damaged"
        raise ZooError(
            f"{path}: refused, a pickle with more than tensors in it could run any code ({reason}); "
            "save the weights alone with torch.save(model.state_dict(), ...)"
        ) from None
    except LOAD_ERRORS as error:
        reason = str(error).partition("\n")[0]
        raise ZooError(f"{path}: cannot be read as a PyTorch file, cut off or of another kind ({reason})") from None
    for key in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = content.items() if isinstance(content, Mapping) else ()
    if not tensors or not all(isinstance(tensor, torch.Tensor) for _, tensor in tensors):
        raise ZooError(
            f"{path}: expected a state dict, names with tensors, or one under {' or '.join(CONTAINERS)}; "
            f"got {type(content).__name__} of something else"
        )
    return {str(name): tensor.detach().float().numpy() for name, tensor in tensors}


def _strip_prefix(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without the parts that all names begin with: "model.", "module.", "_orig_mod." ..."""
    while len(arrays) > 1 and len({name.partition(".")[0] for name in arrays}) == 1:
        if not all("." in name for name in arrays):
            break
        arrays = {name.partition(".")[2]: array for name, array in arrays.items()}
    return arrays


def _layers(arrays: dict[str, np.ndarray], where: str) -> list[importer.Layer]:
    """Kernels in order, convolutions first, each with its bias and, in order too, its batch normalization.

    Convolutions that are all without a bias, which batch normalization makes superfluous, get zeros.
    """
    kernels = [name for name, array in arrays.items() if array.ndim > 1]
    kernels.sort(key=lambda name: -arrays[name].ndim)
    norms = [name.rpartition("running_mean")[0] for name in arrays if name.endswith("running_mean")]
    if len(norms) >= len(kernels):
        raise ZooError(
            f"{where}: expected outputs without batch normalization, got {len(norms)} of it for {len(kernels)}"
        )
    without_bias = not any(_bias_name(name) in arrays for name in kernels if arrays[name].ndim == 3)
    used: set[str] = set()
    layers = []
    for position, name in enumerate(kernels):
        kernel, norm = arrays[name], None
        if position < len(norms):
            names = {end: f"{norms[position]}{end}" for end in importer.NORM}
            norm = {end: _array(arrays, full, where) for end, full in names.items()}
            used |= set(names.values())
        if without_bias and norm and _bias_name(name) not in arrays:
            bias = np.zeros(len(kernel), np.float32)
        else:
            bias = _array(arrays, _bias_name(name), where)
        used |= {name, _bias_name(name)}
        layers.append(importer.Layer(name.removesuffix(".weight"), kernel, bias, norm))
    superfluous = [name for name in arrays if name not in used]
    if superfluous:
        raise ZooError(f"{where}: array {superfluous[0]}: has no place in a DeepSTARR network")
    return layers


def _bias_name(kernel: str) -> str:
    return f"{kernel.removesuffix('.weight')}.bias"


def _array(arrays: dict[str, np.ndarray], name: str, where: str) -> np.ndarray:
    if name not in arrays:
        raise ZooError(f"{where}: the array {name} is missing")
    return arrays[name]


def _target_names(heads: list[importer.Layer], path: Path) -> tuple[str, ...]:
    """Outputs called ..._dev and ..._hk in either order, else two outputs are dev, hk."""
    outputs = sum(len(head.bias) for head in heads)
    ends = tuple(re.split(r"[._]", head.name)[-1].lower() for head in heads)
    if sorted(ends) == sorted(Config.targets):
        return ends
    if outputs == len(Config.targets):
        return Config.targets
    raise ZooError(f"{path}: cannot tell the names of its {outputs} outputs; give them with --targets")
