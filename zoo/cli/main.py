"""The command `zoo`: which commands there are, and every failure as one line with its exit status.

Only the file of the command that was asked for is imported, so that the start costs nothing that is not needed.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter

import zoo
from zoo.cli import notes, options, usage
from zoo.cli.help_screen import HelpScreen
from zoo.errors import ZooError, ZooWarning, one_line
from zoo.system import machine, signals

BUG = 1
"""Exit status after an error that should not have happened, as Python has it."""

DEBUG = "ZOO_DEBUG"

COMMANDS = {
    "Predict": {
        "predict": "Predict the activities of sequences in FASTA files, or of intervals of a genome.",
        "variants": "Predict what alleles of a VCF do: reference, alternative and their difference.",
        "scan": "Predict every window of a genome: tracks for a genome browser.",
        "serve": "Answer over HTTP by the Open Inference Protocol v2, and show a page for people.",
        "page": "Write the page of zoo serve as static files: models run in the browser, without a service.",
    },
    "Explain": {
        "explain": "Show which bases of sequences matter: contributions, substitutions, a report to open in a browser.",
        "motifs": "Find the motifs that a model has learned, with TF-MoDISco in what zoo explain left.",
        "design": "Make sequences to order: climb a target's prediction, one substitution a round.",
    },
    "Weights": {
        "import": "Import weights that were trained in Keras or PyTorch, of a network of any size.",
        "export": "Export a model to ONNX, to Keras or to another format, checked before it is written.",
        "pull": "Fetch the published data or weights into the cache, check them, and say where they are.\n\n"
        "A download that stopped goes on where it was.",
        "info": "Show what weights are: of a name, or of a file.",
        "list": "List models, weights, runtimes and formats, and what can be used here.",
    },
    "Train": {
        "train": "Train a network on labelled sequences.\n\n"
        "A setting comes from the command line, else from the [train] table of a .toml file, else from the model's "
        "recipe, which zoo info MODEL shows, else it is the default below.",
        "distill": "Train a network on a teacher's outputs: shrink a model, or move it to another variant.\n\n"
        "A setting comes from where zoo train takes it.",
        "search": "Search the settings of a network and of its training: Optuna draws, the trainer trains.",
        "evaluate": "Measure how well models agree with data: correlations, errors and intervals, tables and figures.",
    },
    "Check": {
        "parity": "Compare runtimes, starting from FASTA text. Exit status 1 if one departs from the reference.",
        "bench": "Measure the runtimes of this machine: sequences a second, memory, difference to the reference.",
        "doctor": "Show what this machine offers, and what would make each runtime run.",
    },
}
"""Group of the help -> command -> its help. The command NAME is the function `command` of commands/NAME.py, or of
NAME_.py where NAME is a word of Python or one of its functions."""

OWN_WORDS = ("import", "list")


def _app() -> App:
    app = App(
        name="zoo",
        help="Regulatory DNA models: one set of weights, any runtime, the same number everywhere.",
        version=f"zoo {zoo.__version__}",
        help_flags=("--help", "-h"),
        help_format="plaintext",
        help_formatter=HelpScreen(),
        help_epilogue=notes.HELP,
        group_commands=Group("Before the command", sort_key=len(COMMANDS)),
        group_arguments=options.ARGUMENTS,
        group_parameters=options.OPTIONS,
        default_parameter=options.EVERY_OPTION,
        config=options.READ,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        print_error=False,
        end_of_options_delimiter="--",
    )
    app["--help"].help = "Show this help, or that of the command."
    app["--version"].help = "Show the version."
    app.command(_nothing, name="--debug", help=f"Show the traceback of an error, as {DEBUG}=1 does.")
    app.command(_install_completion, name="--install-completion", help="Have the shell complete commands and options.")
    for place, (title, commands) in enumerate(COMMANDS.items()):
        group = Group(title, sort_key=place)
        for order, (name, text) in enumerate(commands.items()):
            module = f"zoo.cli.commands.{name}{'_' if name in OWN_WORDS else ''}"
            app.command(f"{module}:command", name=name, group=group, help=text, sort_key=order)
    return app


NO_THREAD = "can't start new thread"
"""What Python says where the user has no more processes or memory left; it has no class of its own."""


def _install_completion(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(help="By default the one that runs this.")
    ] = None,
    output: Annotated[
        Path | None,
        Parameter(help="File to write, instead of where the shell looks, and leave its settings."),
    ] = None,
) -> None:
    """Write what the shell needs to complete the words of `zoo`, and say where."""
    from cyclopts.completion.detect import ShellDetectionError

    try:
        path = app.install_completion(shell=shell, output=output, add_to_startup=output is None)
    except ShellDetectionError:
        raise ZooError("the shell is not known; name it, as in zoo --install-completion --shell bash") from None
    print(f"{path}: written; it works in the next shell that is started")


def _nothing() -> None:
    """--debug stands before a command, and `main` takes it off; here it is only shown."""


app = _app()


def main() -> None:
    """Entry point: exit status 0, 1 (a check failed), 2 (bad input or usage), 128 + N after signal N (130: Ctrl-C)."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--debug"]:
        os.environ[DEBUG] = "1"
        arguments = arguments[1:]
    arrived = signals.Arrived()
    try:
        with signals.raised(arrived):
            app(options.full_forms(notes.taken_from(arguments)) or ["--help"])
            sys.stdout.flush()
        return 0
    except BrokenPipeError:
        # the reader went away (`| head`): nothing to say, and nothing more to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG):
            raise
        # what a library made of the exception of a signal, as some do while they are imported, is not its own
        cause = error if isinstance(error, KeyboardInterrupt) else arrived.last or error
        line, status = _explained(cause)
        print(_bug_report(cause) if line is None else f"zoo: {one_line(line)}", file=sys.stderr)
        for more in getattr(cause, "__notes__", ()):
            notes.say(more)
        return status


def _bug_report(error: BaseException) -> str:
    """Three lines about what should not have happened."""
    return (
        f"zoo: this is a bug of zoo {zoo.__version__}: {one_line(f'{type(error).__name__}: {error}')}\n"
        f"zoo: the command was: {one_line(options.command_line())}\n"
        f"zoo: please report these lines with what `zoo --debug ...` prints"
    )


def _show_warning(message: Warning | str, category: type[Warning], *where: object) -> None:
    """A ZooWarning is one line; what libraries warn of is shown as Python does."""
    if issubclass(category, ZooWarning):
        notes.say(str(message))
    else:
        _python_shows(message, category, *where)  # type: ignore[arg-type]


_python_shows = warnings.showwarning


def _explained(error: BaseException) -> tuple[str | None, int]:
    """One line that says what went wrong, and the exit status; None for what should not have happened."""
    if isinstance(error, ZooError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        stopped = error if isinstance(error, signals.Stopped) else signals.Stopped(signal.SIGINT)
        return str(stopped), stopped.status
    if isinstance(error, ImportError):
        return _not_imported(error), ZooError.exit_code
    if NO_THREAD in str(error):
        return (
            f"no more threads can be started; fewer --threads may help{machine.memory_limit_note()}",
            ZooError.exit_code,
        )
    if isinstance(error, MemoryError):
        return "out of memory", ZooError.exit_code
    if isinstance(error, CycloptsError):
        return usage.explained(error, [name for commands in COMMANDS.values() for name in commands]), ZooError.exit_code
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}", ZooError.exit_code
    return None, BUG


def _not_imported(error: ImportError) -> str:
    """What could not be loaded and why, which some libraries wrap into advice of many lines."""
    first: BaseException = error
    while isinstance(cause := first.__cause__ or first.__context__, ImportError):
        first = cause
    reason = next(iter(str(first).splitlines()), "no reason given")
    return (
        f"a library cannot be loaded, {reason}{machine.memory_limit_note() or '; install it again, or see zoo doctor'}"
    )
