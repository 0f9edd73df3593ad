"""How a program ends: with a message alone, or with the place of a bug."""

import os
import re
import subprocess
import sys

import pytest
from absl import flags
from programs import ROOT

from experiments import program

SCRIPT = """
import threading
from absl import app, flags
from ml_collections import config_flags
from experiments import program

class Noted(ZeroDivisionError):
    __notes__ = ["For simplicity, JAX has removed its internal frames"]

ERROR = flags.DEFINE_string("error", "None", "What to raise.")
CONFIG = config_flags.DEFINE_config_file("config")

def main(arguments):
    error = eval(ERROR.value)
    if error is not None:
        raise error
    print(arguments, CONFIG.value and CONFIG.value.batch_size)

program.run(main, takes_arguments={takes_arguments})
"""


def run(tmp_path, *arguments, takes_arguments=False):
    """A program's exit status, and what it says."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(takes_arguments=takes_arguments))
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_program_without_an_error_says_what_it_says(tmp_path):
    done = run(tmp_path, "--config", "configs/digits.py:conv", "--config.batch_size=3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[] 3\n", "")
    done = run(tmp_path, "a", "--", "-b", takes_arguments=True)
    assert done.stdout == "['a', '-b'] None\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('ValueError("first\\nlast")', "first\nlast\n"),
        ("FileNotFoundError(2, 'Not there', 'a.txt')", "a.txt: Not there.\n"),
        ("FloatingPointError('loss is nan')", "loss is nan\n"),
        ("MemoryError()", "MemoryError()\n"),
    ],
)
def test_expected_error_is_its_message_alone(tmp_path, error, told):
    done = run(tmp_path, f"--error={error}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def test_a_thread_that_hangs_does_not_keep_a_program_that_failed(tmp_path):
    hang = "threading.Thread(target=threading.Event().wait).start()"
    done = run(tmp_path, f"--error={hang} or ValueError('wrong')")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "wrong\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--error=ValueError('wrong')", "--traceback"],
        ["--error=KeyError('wrong')"],
        ["--error=TypeError('wrong')"],
        ["--error=ZeroDivisionError('wrong')"],
        ["--error=Noted('wrong')"],
    ],
)
def test_a_bug_or_what_was_asked_for_has_its_place(tmp_path, arguments):
    done = run(tmp_path, *arguments)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and 'script.py", line' in done.stderr
    assert "wrong" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["stray", "word"], "Unexpected: stray word. All is said by flags."),
        (["--eror=1"], "Unknown command line flag 'eror'. Did you mean: error ."),
        (["--config=nowhere.py:a"], "There is no config file 'nowhere.py'."),
        (["--config", "nowhere.py"], "There is no config file 'nowhere.py'."),
        (["--config"], "There is no config file ''."),
        (
            ["--config=tests/programs.py"],
            ".* has no attribute 'get_config'.*",
        ),
        (
            ["--config=configs/digits.py:nine"],
            "Variant 'nine' is unknown; configs/imagenet.py has fourier, .*",
        ),
        (
            ["--config=configs/digits.py", "--config.optimizer.learning_rat=1"],
            "The config has no field 'learning_rat'. Did you mean \"learning_rate\" .*",
        ),
        (
            ["--config=configs/digits.py", "--config.optimiser.name=lamb"],
            "The config has no field 'optimiser'.*",
        ),
        (
            ["--config=configs/digits.py", "--config.batch_size=1.5"],
            "flag --config.batch_size=1.5: invalid literal for int.*'1.5'",
        ),
        (
            ["--config=configs/digits.py", "--config.data.flip=maybe"],
            "flag --config.data.flip=maybe: .*Non-boolean.*",
        ),
    ],
)
def test_wrong_command_line_is_told_in_the_last_line(tmp_path, arguments, told):
    done = run(tmp_path, *arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.fullmatch(told, done.stderr.strip().splitlines()[-1])


def test_messages():
    assert program.message(flags.Error("flag --a=b: wrong")) == "flag --a=b: wrong"
    assert program.message(ValueError()) == "ValueError()"
    assert program.message(OSError("disk")) == "disk"
