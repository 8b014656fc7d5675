"""Builds the Rust library with cargo, and the extension over it with a C compiler.

Everything static is in pyproject.toml. MBA_WERROR=1 makes the C compiler's warnings errors.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# The crate: in a source distribution it lies within, in the repository around.
CRATE = next(path for path in (HERE / "core", HERE.parent.parent) if (path / "Cargo.toml").is_file())
VERSION = tomllib.loads((CRATE / "Cargo.toml").read_text())["package"]["version"]
# As in build.rs.
MAJOR, MINOR = VERSION.split(".")[:2]
SONAME = f"libmmap_backed_array.so.{MAJOR if MAJOR != '0' else f'0.{MINOR}'}"
# The interpreter without a GIL has no limited API.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")


def cargo(*arguments):
    try:
        subprocess.run(["cargo", *arguments, "--manifest-path", CRATE / "Cargo.toml"], check=True)
    except FileNotFoundError:
        sys.exit("cargo is missing: building mmap_backed_array from source takes Rust 1.95 or later")


def target():
    """Where cargo puts what it builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or CRATE / "target").resolve()


def built():
    """Where the libraries are then; for another platform it is a folder of that name."""
    return target() / os.environ.get("CARGO_BUILD_TARGET", "") / "release"


class Build(build):
    """Starts afresh: what an earlier build left could be of another version."""

    def run(self):
        for path in (self.build_lib, self.build_temp):
            shutil.rmtree(path, ignore_errors=True)
        super().run()


class BuildExtension(build_ext):
    """The static library goes into the extension; the shared one and the header lie beside it for others."""

    def run(self):
        # Rust doesn't optimize across crates where a library for Rust is made too, so that these are named.
        more = os.environ.get("MBA_CARGO_OPTIONS", "").split()
        cargo("rustc", "--release", "--lib", "--crate-type", "cdylib,staticlib", *more)
        if shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
            sys.exit("a C compiler is missing: install gcc, or set CC")
        super().run()
        package = Path(self.get_ext_fullpath("mmap_backed_array._core")).parent
        (package / "include").mkdir(parents=True, exist_ok=True)
        (package / "lib").mkdir(exist_ok=True)
        shutil.copy(CRATE / "include/mmap_backed_array.h", package / "include")
        shutil.copy(built() / "libmmap_backed_array.so", package / "lib" / SONAME)
        # A wheel has no symbolic links; to the linker this text is one.
        (package / "lib/libmmap_backed_array.so").write_text(f"INPUT ( -l:{SONAME} )\n")


class SourceDistribution(sdist):
    """Takes the crate along."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        if CRATE == HERE / "core":
            shutil.copytree(CRATE, Path(base_dir) / "core", dirs_exist_ok=True)
            return
        cargo("package", "--package", "mmap_backed_array", "--allow-dirty", "--no-verify", "--quiet")
        name = f"mmap_backed_array-{VERSION}"
        with tarfile.open(target() / f"package/{name}.crate") as crate:
            crate.extractall(base_dir, filter="data")
        shutil.rmtree(Path(base_dir) / "core", ignore_errors=True)
        (Path(base_dir) / name).rename(Path(base_dir) / "core")


core = Extension(
    "mmap_backed_array._core",
    sources=sorted(str(path.relative_to(HERE)) for path in (HERE / "src/core").glob("*.c")),
    depends=sorted(map(str, (HERE / "src/core").glob("*.h"))) + [str(CRATE / "include/mmap_backed_array.h")],
    include_dirs=[str(CRATE / "include")],
    extra_objects=[str(built() / "libmmap_backed_array.a")],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
    py_limited_api=LIMITED,
    extra_compile_args=["-std=c11", "-O3", "-fno-plt", "-Wall", "-Wextra", "-fvisibility=hidden"]
    + ["-Werror"] * (os.environ.get("MBA_WERROR") == "1"),
    extra_link_args=[f"-Wl,--version-script={HERE / 'src/core/exports.map'}", "-Wl,--gc-sections", "-Wl,-s"],
)

setup(
    version=VERSION,
    ext_modules=[core],
    cmdclass={"build": Build, "build_ext": BuildExtension, "sdist": SourceDistribution},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
