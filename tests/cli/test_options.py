"""Options come from frozen dataclasses and signatures: every field is there, once, with its default and its help."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo, one_line
from cyclopts.argument import Argument, ArgumentCollection
from cyclopts.exceptions import CycloptsError
from refusals import refuses

from zoo import registry
from zoo.cli import main, options, parsing
from zoo.cli.commands import COMMANDS, train, weights
from zoo.defaults import MODEL
from zoo.errors import ZooError
from zoo.training.config import StudentConfig, TrainConfig
from zoo.weights import checkpoint, lookup

NAMES = sorted(main.NAMES)


@functools.cache
def arguments(command: str) -> ArgumentCollection:
    _, apps, _ = main.app.parse_commands([command])
    with main.app.app_stack(apps):
        return apps[-1].assemble_argument_collection(parse_docstring=True)


def groups() -> Iterator[tuple[str, Argument]]:
    """Every dataclass that a command takes the fields of."""
    for command in NAMES:
        for argument in arguments(command):
            if dataclasses.is_dataclass(argument.hint):
                yield command, argument


GROUPS = list(groups())


def test_every_file_of_commands_has_a_command() -> None:
    folder = Path(main.__file__).parent / "commands"
    files = {command.partition(":")[0] for commands in COMMANDS.values() for command in commands}
    assert {path.stem for path in folder.glob("[!_]*.py")} == files


def test_commands_share_groups_of_options() -> None:
    used = {(command, group.hint.__name__) for command, group in GROUPS}
    shared = {("train", "Layout"), ("evaluate", "Layout"), ("train", "TrainingOptions"), ("distill", "TrainingOptions")}
    assert shared <= used
    assert {("predict", "RunOptions"), ("evaluate", "RunOptions"), ("import", "ImportOptions")} <= used


GROUP_IDS = [f"{name}-{group.hint.__name__}" for name, group in GROUPS]


def option_fields(group: Argument) -> list[dataclasses.Field[Any]]:
    """The fields that are options; the others are groups of their own."""
    inner = {child.keys[-1] for child in group.children if dataclasses.is_dataclass(child.hint)}
    return [field for field in dataclasses.fields(group.hint) if field.name not in inner]


@pytest.mark.parametrize(("command", "group"), GROUPS, ids=GROUP_IDS)
def test_every_field_is_an_option_with_the_default_and_the_help_of_the_dataclass(command: str, group: Argument) -> None:
    assert group.hint.__dataclass_params__.frozen
    there = arguments(command)
    for field in option_fields(group):
        option = there[option_name(field.name)]
        assert option.keys[-1] == field.name
        assert option.field_info.default == (
            option.field_info.empty if field.default is dataclasses.MISSING else field.default
        )
        assert option.parameter.help, f"{field.name}: no docstring below the field"
        assert ("-o" in option.names) is (field.name == "output")


@pytest.mark.parametrize(("command", "group"), GROUPS, ids=GROUP_IDS)
def test_every_field_takes_its_value_from_the_command_line(command: str, group: Argument) -> None:
    required = [word for option in arguments(command) if option.required for word in needed(option)]

    def check(fields: list[dataclasses.Field[Any]]) -> None:
        """On one command line, since to read one takes time; fields that exclude each other are on two."""
        options = {field.name: arguments(command)[option_name(field.name)] for field in fields}
        words = [word for option in options.values() for word in typed(command, option)]
        try:
            _, bound, _ = main.app.parse_args([command, *required, *words], exit_on_error=False, print_error=False)
            for name, option in options.items():
                assert bound_value(bound.arguments, group, name) == example(option)[1]
        except (AssertionError, CycloptsError, ZooError):
            if len(fields) == 1:
                raise
            check(fields[::2])
            check(fields[1::2])

    check(option_fields(group))


def typed(command: str, option: Argument) -> list[str]:
    """The words that give an option its example, and another one that it needs."""
    text, value = example(option)
    # a number below zero is joined to its option, see parsing.full_forms
    words = [option.name] if value is True else [option.name, text]
    words = [f"{option.name}={text}"] if text.startswith("-") else words
    with_it = NEEDS.get(option.name, [])
    return words + (with_it if any(name in other.names for other in arguments(command) for name in with_it[:1]) else [])


def bound_value(bound: dict[str, Any], group: Argument, field: str) -> Any:
    """The value of a field of a group, which may be inside other groups."""
    (found,) = {id(one): one for value in bound.values() for one in within(value) if type(one) is group.hint}.values()
    return getattr(found, field)


def within(value: Any) -> Iterator[Any]:
    """A value, and of a dataclass all that is in its fields."""
    yield value
    if dataclasses.is_dataclass(value):
        for inner in vars(value).values():
            yield from within(inner)


NEEDS = {
    "--against": ["--confirm", "2"],
    "--best": ["--confirm", "2"],
    "--name": ["--storage", "x"],
    "--name-column": ["--column", "x"],
    "--genes": ["--figure", "x.png"],
    "--variants": ["--random-variants", "3"],
    "--threshold-percentile": ["--background", "x"],
    "--coverage": ["--calibration", "x"],
}
"""Option -> what has to be typed with it."""

TUPLES = {"--keep": "hk<0.5", "--protect": "100-120", "--avoid": "GAATTC"}
"""Option that takes several values of a form of its own -> one of them."""


def option_name(field: str) -> str:
    return parsing.FLAGS[field][0] if field in parsing.FLAGS else f"--{field.replace('_', '-')}"


def needed(option: Argument) -> list[str]:
    if option.children:
        return []
    return [MODEL] if option.index is not None else [option.name, "x"]


OWN_FORM: dict[str, tuple[str, Any]] = {
    "--keep": ("hk<0.5, dev>-1", ("hk<0.5", "dev>-1")),
    "--protect": ("100-120, 7", ("100-120", "7")),
    "--gc": ("0.35-0.55", "0.35-0.55"),
    "--loss": ("dev=l1, hk=poisson", ("dev=l1", "hk=poisson")),
    "--target-weights": ("1, 0.5", ("1", "0.5")),
    "--positions": ("100-150", "100-150"),
    "--distances": ("5, 20-40", ("5", "20-40")),
    "--host": ("::1", "::1"),
    "--max-wait": ("3ms", "3ms"),
    "--time-limit": ("3s", "3s"),
    "--allow-origin": ("https://lab.example", "https://lab.example"),
}
"""Option whose text has a form of its own -> an example, and what it becomes."""


TEXTS = {
    "--both-strands": "average",
    "--alphabet": "TGCA",
    "--shard": "3/20",
    "--source-sha256": "0123456789abcdef" * 4,
    "--repository": "owner/name",
}
"""Option whose text is checked when it is read -> such a text."""


def example(option: Argument) -> tuple[str, Any]:
    """A value of an option, as text and as what it becomes."""
    kind, default, choices = option.resolved_hint, option.field_info.default, option.get_choices(force=True)
    if kind is bool:
        return "", True
    if choices:
        return choices[-1], (choices[-1],) if default == () else choices[-1]
    if kind in (int, float):
        value = (3 if kind is int else 0.5) if default is None else default
        return str(value), kind(value)
    if option.name in OWN_FORM:
        return OWN_FORM[option.name]
    if kind is Path:
        name = "some/file.png" if option.name == "--figure" else "some/file"
        return name, Path(name)
    if option.name in TUPLES:
        return TUPLES[option.name], (TUPLES[option.name],)
    if get_origin(kind) is tuple and get_args(kind)[0] is Path:
        return "A, B", (Path("A"), Path("B"))
    if get_origin(kind) is tuple:
        return ("-3, 4", (-3, 4)) if get_args(kind)[0] is int else ("A, B", ("A", "B"))
    text = TEXTS.get(option.name, "text")
    return text, text


@pytest.mark.parametrize("command", NAMES)
def test_no_option_of_a_command_has_two_homes(command: str) -> None:
    names = [name for argument in arguments(command) if argument.show for name in argument.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["", *NAMES])
def test_every_help_fits_the_terminal(zoo: Zoo, monkeypatch: pytest.MonkeyPatch, command: str, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, err = zoo(*filter(None, [command]), "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: {' '.join(filter(None, ['zoo', command]))} ")
    assert max(map(len, out.splitlines())) <= columns
    if command:
        assert columns != 80 or zoo(command, "-h") == (0, out, "")
        for argument in arguments(command):
            if argument.show:
                name = argument.names[0] if argument.index is None else argument.names[0].removeprefix("--")
                assert out.count(f" {name} ") + out.count(f" {name}\n") >= 1
    assert "None" not in out
    assert "[]" not in out


def test_the_help_says_a_default_and_the_choices_once(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    out = zoo("train", "--help")[1]
    assert re.search(r"\n  --learning-rate X  +\w.* \(default: 0\.002\)\n", out)
    assert re.search(r"\n  --device auto\|cpu\|cuda  +\w.* \(default: auto\)\n", out)
    assert " ".join(out.split()).count("reverse-complement, shift") == 1
    assert re.search(r"\n  --epochs N  +\w.* \(default: 50\)\n", zoo("distill", "--help")[1])


@pytest.mark.parametrize(
    ("typed", "facts"),
    [
        (["predct"], ["'predct'", "predict?", "zoo --help"]),
        (["predict", "x.fa", "--weight", "w"], ["--weight,", "--weights?", "zoo predict --help"]),
        (["predict", "x.fa", "--nonsense=3"], ["--nonsense", "zoo predict --help"]),
        (["info", "x", "y"], ["'y'", "zoo info --help"]),
        (["predict", "x.fa", "--output"], ["--output", "value", "zoo predict --help"]),
        (["predict", "x.fa", "-o", "--rc"], ["-o", "value", "zoo predict --help"]),
        (["predict", "--rc", "average"], ["FILE", "missing", "zoo predict --help"]),
        (["train", "original", "--data", "x"], ["--output", "missing", "zoo train --help"]),
        (["train", "original", "--epochs", "2.5"], ["--epochs", "whole number", "'2.5'", "zoo train --help"]),
        (
            ["train", "original", "--data", "x", "-o", "y", "--epsilon", "no"],
            ["--epsilon", "number", "'no'", "zoo train --help"],
        ),
        (
            ["train", "original", "--data", "x", "-o", "y", "--device", "tpu"],
            ["--device", "auto, cpu, cuda", "'tpu'"],
        ),
        (
            ["train", "original", "--data", "x", "-o", "y", "--augment", "shift,flip"],
            ["--augment", "reverse-complement", "mutation", "'flip'"],
        ),
        (["evaluate", "--split-by", "coin"], ["--split-by", "chromosome or fraction", "'coin'"]),
    ],
)
def test_a_mistyped_command_line_is_one_line(zoo: Zoo, typed: list[str], facts: list[str]) -> None:
    one_line(zoo, facts, *typed)


@pytest.fixture
def settings(zoo: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The settings that a command line of `zoo train` or `zoo distill` leads to, as run.json would hold them."""

    caught: list[dict[str, Any]] = []

    def catch(model: str, settings: Any, options: Any, **changes: Any) -> None:  # noqa: ARG001
        caught.append(json.loads(json.dumps(settings.to_dict())))
        raise ZooError("caught")

    monkeypatch.setattr(train, "_prepare", catch)
    needed = {"train": ("--data", "x"), "distill": ("--teacher", "original", "--genome", "x")}

    def run(command: str, *typed: object) -> dict[str, Any]:
        status, out, err = zoo(command, *typed, *needed[command], "-o", tmp_path / "run")
        assert (status, out) == (2, "")
        return caught.pop() if caught else {"error": err}

    return run


@pytest.mark.parametrize("command", ["train", "distill"])
def test_the_command_line_wins_over_toml_and_toml_over_the_defaults(
    settings: Any, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "small.toml"
    path.write_text('[train]\nepochs = 7\nlearning_rate = 1\naugment = ["shift", "mutation"]\nrescale_start = true\n')
    default, given, both = (
        settings(command, *typed) for typed in (["original"], [path], [path, "--epochs", 9, "--augment", "mutation"])
    )
    table = {"epochs": 7, "learning_rate": 1.0, "augment": ["shift", "mutation"], "rescale_start": True}
    assert default["epochs"] == {"train": 100, "distill": 50}[command]
    assert given == {**default, **table}
    assert both == {**given, "epochs": 9, "augment": ["mutation"]}


@pytest.mark.parametrize("model", sorted(lookup.variants()))
def test_a_models_recipe_goes_before_the_defaults_of_a_training_and_after_what_is_typed(
    settings: Any, model: str, tmp_path: Path
) -> None:
    plugin = registry.load("models", lookup.variants()[model])
    recipe = registry.recipe(plugin, plugin.VARIANTS[model])
    path = tmp_path / "mine.toml"
    path.write_text(f'[model]\nvariant = "{model}"\n[train]\nbatch_size = 77\n')
    trained = TrainConfig(**recipe).to_dict()
    assert settings("train", model) == trained
    assert settings("train", path) == {**trained, "batch_size": 77}
    assert settings("train", model, "--learning-rate", 0.5)["learning_rate"] == 0.5
    own = ("epochs", "patience", "schedule", "warmup", "weight_average")
    assert settings("distill", model) == {**trained, **{name: getattr(StudentConfig(), name) for name in own}}


def test_losses_and_weights_of_targets_are_lists_or_tables(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "mixed.toml"
    path.write_text('[train]\nloss = {dev = "mse", hk = "poisson"}\ntarget_weights = {dev = 1, hk = 0.5}\n')
    table = settings("train", path)
    typed = settings("train", "original", "--loss", "dev=mse,hk=poisson", "--target-weights", "dev=1,hk=0.5")
    assert table == typed
    assert (typed["loss"], typed["target_weights"]) == (["dev=mse", "hk=poisson"], ["dev=1", "hk=0.5"])
    path.write_text('[train]\nloss = ["mse", "poisson"]\ntarget_weights = [1, 0.5]\n')
    assert settings("train", path)["target_weights"] == ["1", "0.5"]
    assert settings("train", path, "--loss", "huber")["loss"] == ["huber"]
    for fact in ("loss", "hubber", "huber"):
        assert fact in settings("train", path, "--loss", "hubber")["error"]


def test_a_wrong_name_or_value_in_the_table_is_one_line(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text("[train]\nepoch = 7\n")
    line = settings("train", path)["error"]
    assert line.count("\n") == 1
    for fact in (str(path), "[train]", "'epoch'", "epochs?", "loss, target_weights, "):
        assert fact in line
    for value, shown in (("2.5", "'2.5'"), ("0", "0")):
        path.write_text(f"[train]\nepochs = {value}\n")
        line = settings("train", path)["error"]
        assert "epochs: expected" in line
        assert f"got {shown}" in line
    assert "none.toml: " in settings("train", tmp_path / "none.toml")["error"]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two export formats of another package, `plain` with two options, and what `plain` was asked to write."""
    asked: dict[str, Any] = {}

    def write(
        weights: Any,  # noqa: ARG001
        path: Path,
        *,
        overwrite: bool = False,
        digits: Annotated[int, "Digits of a number."] = 6,
        internal: bool = True,
        **rest: Any,
    ) -> None:
        asked.update(digits=digits, internal=internal, overwrite=overwrite, **rest)
        path.write_text("numbers")

    def bare(weights: Any, path: Path, *, overwrite: bool = False) -> None:
        raise NotImplementedError

    modules: dict[str, Any] = {
        "plain": types.SimpleNamespace(SUFFIX=".txt", export=write),
        "bare": types.SimpleNamespace(SUFFIX=".bin", export=bare),
    }
    names, load, working = registry.names, registry.load, registry.working
    monkeypatch.setattr(registry, "names", lambda kind: sorted(modules) if kind == "exporters" else names(kind))
    monkeypatch.setattr(registry, "working", lambda kind: modules if kind == "exporters" else working(kind))
    monkeypatch.setattr(registry, "load", lambda kind, name: modules[name] if kind == "exporters" else load(kind, name))
    return asked


def test_the_options_of_an_exporter_come_from_its_signature(plain: dict[str, Any]) -> None:
    assert list(options.of_function(registry.load("exporters", "plain").export)) == ["digits"]
    assert options.of_function(registry.load("exporters", "bare").export) == {}
    offered = {option.name: option for option in weights.plugin_options()}
    assert list(offered) == ["bare", "plain", "digits"]
    assert offered["digits"].default == 6
    with refuses("--digits", "bare"):
        weights.export("original", bare=True, digits=3)
    assert plain == {}


def test_only_what_is_given_reaches_the_exporter(
    plain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    weights.export("original", plain=True, weights="w.safetensors", digits=3)
    assert plain == {"digits": 3, "internal": True, "overwrite": False}
    assert capsys.readouterr().out.startswith("original.txt: plain, 7 bytes, ")


def test_export_offers_every_format_and_its_options(zoo: Zoo) -> None:
    out = zoo("export", "--help")[1]
    for name in registry.names("exporters"):
        assert f"  --{name} " in out
        offered = options.of_function(registry.load("exporters", name).export)
        for option in offered:
            assert f"  --{option.replace('_', '-')} " in out[out.index(f"Format {name}:") :]
    assert "--opset" in out
    assert "--widen" not in out
