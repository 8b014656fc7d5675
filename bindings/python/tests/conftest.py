"""What the tests share."""

import array
import importlib
import os
import pathlib
import subprocess
import sys
import textwrap

import hypothesis
import pytest

import mmap_backed_array

hypothesis.settings.register_profile(
    "project",
    deadline=None,  # time proves nothing
    derandomize=True,
    max_examples=int(os.environ.get("MBA_HYPOTHESIS_EXAMPLES", "60")),
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("project")

# Where files can lie: on a disk, and in memory.
PLACES = ["/var/tmp", "/dev/shm"]


@pytest.fixture(params=PLACES)
def place(request, tmp_path_factory):
    """An empty directory on a disk or in memory."""
    directory = pathlib.Path(request.param) / f"mmaparray-{os.getpid()}-{tmp_path_factory.mktemp('place').name}"
    directory.mkdir()
    yield directory
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


@pytest.fixture
def shm_name():
    name = f"mmaparray-{os.getpid()}"
    yield name
    try:
        mmap_backed_array.shm_unlink(name)
    except FileNotFoundError:
        pass


def needs(name):
    """Imports what a test can't do without. Only MBA_SKIP skips."""
    if name in os.environ.get("MBA_SKIP", "").split(","):
        pytest.skip(f"MBA_SKIP names {name}")
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.fail(f"{name} is missing: pip install {name}, or MBA_SKIP={name}")


@pytest.fixture
def two(place):
    """Two handles of one file with three elements."""
    path = place / "array"
    with mmap_backed_array.open(path, "I", "w+") as a, mmap_backed_array.open(path, "I", "r+") as b:
        a.extend([1, 2, 3])
        a.unlock()
        b.refresh()
        yield a, b


def python(code, *arguments, **options):
    """Runs a program in an interpreter of its own, which must end well; returns what it prints."""
    environment = {**os.environ, **options.pop("env", {})}
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-X", "faulthandler", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        **options,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == "", result.stderr
    return result.stdout


def standard_codes():
    """The type codes that this Python's array.array has."""
    codes = []
    for code in mmap_backed_array.typecodes:
        try:
            array.array(code)
        except ValueError:
            continue
        except DeprecationWarning:
            pass
        codes.append(code)
    return codes
