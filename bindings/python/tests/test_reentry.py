"""Python code that runs in the midst of a call, and closes the array under it: an error, never old memory."""

import io

import pytest

from conftest import python
from mmap_backed_array import mmaparray


def test_a_value_that_closes_the_array_while_it_is_converted():
    class Closing:
        def __index__(self):
            a.close()
            return 1

        def __eq__(self, other):
            a.close()
            return False

        def __iter__(self):
            a.close()
            yield 1

    closing = Closing()
    for call in (
        lambda: a.append(closing),
        lambda: a.insert(0, closing),
        lambda: a.insert(closing, 0),
        lambda: a.__setitem__(0, closing),
        lambda: a.__setitem__(closing, 0),
        lambda: a[closing],
        lambda: a[closing:],
        lambda: a.__delitem__(closing),
        lambda: a.__delitem__(slice(closing, None)),
        lambda: a.extend([2, closing]),
        lambda: a.extend(closing),
        lambda: a.fromlist([2, closing]),
        lambda: a.pop(closing),
        lambda: a.reserve(closing),
        lambda: a.index(1, closing),
        lambda: a * closing,
        lambda: a.__imul__(closing),
        lambda: a.fromfile(io.BytesIO(bytes(100)), closing),
    ):
        a = mmaparray("i", range(5))
        with pytest.raises(ValueError, match="closed array"):
            call()
        assert a.closed
    for call in (lambda: closing in a, lambda: a.count(closing), lambda: a.index(closing), lambda: a.remove(closing)):
        a = mmaparray("i", range(5))
        try:
            call()
        except ValueError:
            pass
        assert a.closed


def test_a_collection_of_garbage_that_closes_the_array_in_the_midst_of_a_call():
    python(
        """
        import array, copy, gc
        from mmap_backed_array import mmaparray

        def close(phase, info):
            try:
                a.close()
            except BufferError:
                pass

        model = array.array("i", range(20_000))
        own, text = mmaparray("i", model[:10]), model.tobytes()
        gc.callbacks.append(close)
        for call in (
            lambda a: a[:], lambda a: a[:10], lambda a: a[::3], copy.copy, lambda a: a + own, lambda a: a * 2,
            lambda a: a.tolist(), lambda a: a.tobytes(), list, repr, iter, lambda a: a == model, lambda a: a < own,
            lambda a: a.extend(own), lambda a: a.extend(iter(own)), lambda a: a.frombytes(text), lambda a: a.lock(),
            lambda a: a.__setitem__(slice(0, 5), own), lambda a: memoryview(a).tolist(), lambda a: a.capsule(),
        ):
            for threshold in range(1, 6):
                gc.set_threshold(0)
                a = mmaparray("i", model)
                gc.set_threshold(threshold)
                try:
                    result = call(a)
                except (ValueError, BufferError, RuntimeError):
                    result = None
                gc.set_threshold(0)
                if isinstance(result, (array.array, mmaparray)) and not getattr(result, "closed", False):
                    assert result[0] == 0 and result[-1] in (9, 19_998, 19_999), result[-1]
        gc.callbacks.clear()
        """
    )
