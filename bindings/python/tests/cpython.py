"""Runs the interpreter's own tests of array.array against mmaparray.

The module test.test_array, as it was installed with the interpreter, is run with a stand-in for the module `array`
whose class is mmaparray. Every test must pass but those named below, and these must fail, so that the list
stays true.
"""

import importlib
import sys
import types
import unittest
import unittest.mock

import array as standard

import mmap_backed_array

# What fails on purpose, by the end of its name, and why.
EXPECTED = {
    # Growing under a view is what mmaparray is for; tests/test_views.py has what holds instead.
    "test_buffer": "array.array raises BufferError when it grows under a view",
    # A slice of an mmaparray is an array.array, and that takes nothing but array.array in its own slices.
    "test_assignment": "assigns an mmaparray to a slice of an array.array",
    # The size of array.array's C structure and of its heap block. Mapped memory isn't in the heap.
    "test_sizeof_with_buffer": "counts bytes of array.array's own structure",
    "test_sizeof_without_buffer": "counts bytes of array.array's own structure",
}


def stand_in():
    """A module like `array` whose class is mmaparray."""
    module = types.ModuleType("array")
    module.array = module.ArrayType = mmap_backed_array.mmaparray
    module.typecodes = mmap_backed_array.typecodes
    module._array_reconstructor = mmap_backed_array._array_reconstructor
    return module


def load():
    """test.test_array, which must be imported with the stand-in in place."""
    try:
        return importlib.import_module("test.test_array")
    except ImportError:
        sys.exit("test.test_array is missing: on Debian, install libpython3-testsuite")


def main():
    # Whoever else needs the real module has it by then.
    slices = mmap_backed_array.mmaparray("b", [1])[:]
    assert type(slices) is standard.array
    try:
        import test.support.import_helper
        import test.support.os_helper  # noqa: F401
    except ImportError:
        sys.exit("the interpreter's own tests are missing: on Debian, install libpython3-testsuite")
    result = unittest.TestResult()
    with unittest.mock.patch.dict(sys.modules, array=stand_in()):
        module = load()
        unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    failed = {}
    for test, text in result.failures + result.errors:
        failed.setdefault(test.id(), text)
    bad = [f"{name} failed:\n{text}" for name, text in failed.items() if name.split(".")[-1] not in EXPECTED]
    expected = [name for name in _ids(module) if name.split(".")[-1] in EXPECTED]
    bad += [f"{name} should fail: {EXPECTED[name.split('.')[-1]]}" for name in expected if name not in failed]
    for name in EXPECTED:
        if not any(each.endswith("." + name) for each in expected):
            bad.append(f"there is no {name} any more")
    print("\n".join(bad))
    print(
        f"{sys.version.split()[0]}: {result.testsRun} tests of array.array, {len(failed)} failed, "
        f"{len(expected)} of them on purpose, {len(result.skipped)} skipped"
    )
    return 1 if bad or result.testsRun < 500 else 0


def _ids(module):
    """The names of all tests; a suite forgets its tests as it runs them."""
    pending = [unittest.defaultTestLoader.loadTestsFromModule(module)]
    while pending:
        item = pending.pop()
        if isinstance(item, unittest.TestSuite):
            pending.extend(item)
        else:
            yield item.id()


if __name__ == "__main__":
    sys.exit(main())
