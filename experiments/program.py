"""How every program begins and ends: flags, then work, then at most one line of error.

A program ends with `if __name__ == "__main__": program.run(main)`.
"""

import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence

import jax
from absl import app, flags, logging

from perceiver_jax.cluster import signals
from perceiver_jax.engine.costs import libtpu

_TRACEBACK = flags.DEFINE_bool(
    "traceback", False, "Show where in the code an error came from."
)

_COMPILE_CACHE = flags.DEFINE_string(
    "compile_cache",
    "~/.cache/perceiver_jax",
    "Folder of compiled programs, which all runs share.",
)

# What a user can mend: a wrong value, a missing file, a machine that is too small. All
# else is a fault of the code, whose place is worth seeing.
EXPECTED = (
    ValueError,
    OSError,
    RuntimeError,
    FloatingPointError,
    ImportError,
    MemoryError,
    flags.Error,
)
EXPECTED_OF_FLAGS = (*EXPECTED, AttributeError, KeyError)  # a field that is not there


def run(
    main: Callable[[Sequence[str]], None],
    parse: Callable[[Sequence[str]], list[str]] = flags.FLAGS,
    takes_arguments: bool = False,
) -> None:
    """Parses flags and calls main(arguments); the last line of an error is its message.

    Args:
      main: takes the arguments that are no flags.
      parse: argv -> argv without flags.
      takes_arguments: whether there may be any.
    """
    libtpu.configure()
    logging.set_verbosity(logging.ERROR)  # of other libraries
    in_help(_TRACEBACK.name, _COMPILE_CACHE.name)

    def parse_or_stop(argv):
        try:
            _check_config_file(argv)
            return parse(argv)
        except Exception as error:
            stop(error, EXPECTED_OF_FLAGS)

    def start(argv):
        try:
            if argv[1:] and not takes_arguments:
                raise app.UsageError(
                    f"Unexpected: {' '.join(argv[1:])}. All is said by flags."
                )
            _keep_compiled()
            main(argv[1:])
        except app.UsageError:
            raise
        except signals.Stopped as stopped:
            print(message(stopped), "Start it again to go on.", file=sys.stderr)
            signals.end_at_once(signals.UNFINISHED)
        except Exception as error:
            stop(error, EXPECTED)

    app.run(start, flags_parser=parse_or_stop)


def stop(error: Exception, expected: tuple[type[Exception], ...]) -> None:
    """Ends the program: with the error's message, or with all of it where asked to.

    It ends at once. Threads that read data may hang, as may other processes: nothing
    waits for them.
    """
    if "--traceback" in sys.argv or not isinstance(error, expected):
        # The message stays last: JAX and Grain add that they left out frames.
        notes = getattr(error, "__notes__", [])
        error.__notes__ = [note for note in notes if "has removed its" not in note]
        traceback.print_exception(error)
        signals.end_at_once(1)
    print(message(error), file=sys.stderr)
    signals.end_at_once(1)


def _keep_compiled() -> None:
    """Has JAX keep what it compiles, so that a restart need not compile it again."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # which JAX heeds
        folder = pathlib.Path(_COMPILE_CACHE.value).expanduser()
        jax.config.update("jax_compilation_cache_dir", str(folder))
        # Small programs too: there are hundreds, each compiled in less than a second.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def message(error: BaseException) -> str:
    """Returns what an error says; its type where it says nothing."""
    text = str(error).strip()
    if isinstance(error, flags.Error) and "Traceback" in text:
        # Of a config file, whose own error is at the end.
        return text.splitlines()[-1].partition(": ")[2]
    # ml_collections raises KeyError, or AttributeError of one, for an unknown field.
    field = error.args[0] if isinstance(error, AttributeError) else error
    if isinstance(field, KeyError):
        return f"The config has no field {field.args[0]}".replace("\n", ". ")
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}."
    return text or repr(error)


def in_help(*names: str) -> None:
    """Lists flags of other modules in the program's --help."""
    for name in names:
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def _check_config_file(argv: Sequence[str]) -> None:
    """Raises FileNotFoundError, before a flag of it does with a page of errors."""
    for argument, following in zip(argv[1:], [*argv[2:], ""]):
        name, equals, value = argument.partition("=")
        path = (value if equals else following).partition(":")[0]
        if name in ("--config", "-config") and not pathlib.Path(path).is_file():
            raise FileNotFoundError(f"There is no config file '{path}'.")
