"""`zoo info`: what weights say of themselves, how near bundled ones come to the published, how a model is trained."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from zoo.cli import options


def command(
    weights: Annotated[str, Parameter(help="A name, see zoo list, or a .safetensors or .onnx file of this zoo.")],
    /,
    *,
    as_json: options.Json = False,
) -> None:
    import json

    from zoo.checks import inventory

    description = inventory.describe(weights)
    if as_json:
        print(json.dumps(description, indent=2))
        return
    own_lines = ("sequence_length", "targets")
    shown = {
        **_file(description),
        "architecture": description["architecture"],
        **{f"  {name}": _short(value) for name, value in description["config"].items() if name not in own_lines},
        "sequence length": f"{description['sequence_length']} bases, alphabet {description['alphabet']}",
        "targets": ", ".join(description["targets"]),
        "numbers": f"{description['numbers']:,} in {len(description['arrays'])} arrays",
        **_origin(description),
    }
    if description["recipe"]:
        options = (f"--{name.replace('_', '-')} {value}" for name, value in description["recipe"].items())
        shown["recipe"] = f"{' '.join(options)}, unless zoo train is told otherwise"
    if description["imitates"]:
        shown["imitates"] = f"{description['imitates']}; agreement with it, Pearson r and root mean square error:"
        shown |= {f"  {name}": value for name, value in _agreement(description).items()}
    width = max(map(len, shown))
    for name, value in shown.items():
        print(f"{name:<{width}}  {value}")


def _file(description: dict[str, Any]) -> dict[str, str]:
    if description["file"] is None:
        return {"file": "none; no weights of this model are bundled with this release"}
    return {"file": f"{description['file']} ({description['bytes']:,} bytes)"}


def _origin(description: dict[str, Any]) -> dict[str, str]:
    """What is known of weights beside their network; nothing where there are none."""
    if description["file"] is None:
        return {}
    imported = {"imported": description["imported"]} if description["imported"] else {}
    known = ("source", "licence")
    return {"weights id": description["weights_id"], **{name: description[name] for name in known}, **imported}


LONGEST = 200
"""Characters of a field of the config; --json has all of it."""


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"


def _agreement(description: dict[str, Any]) -> dict[str, str]:
    """Kind of sequences -> how near the outputs are, target by target."""
    near, found = description["fidelity"], {}
    targets = description["targets"]
    kinds = [name.removesuffix(f"_{targets[0]}_pearson") for name in near if name.endswith(f"_{targets[0]}_pearson")]
    for kind in kinds:
        numbers = {name: (near[f"{kind}_{name}_pearson"], near[f"{kind}_{name}_rmse"]) for name in targets}
        shown = (f"{name} {r:.3f} and {error:.3f}" for name, (r, error) in numbers.items())
        found[kind.replace("_", " ")] = ", ".join(shown)
    return found
