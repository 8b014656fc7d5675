"""Bytes of length one and characters: what goes in, what comes back, and what is neither."""

import struct

import pytest

import mmap_backed_array
from mmap_backed_array import mmaparray
from typecodes import TYPES, codes

pytestmark = pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")


def refused(a, value, error):
    before = a.tobytes()
    for call in (
        lambda: a.append(value),
        lambda: a.insert(0, value),
        lambda: a.__setitem__(0, value),
        lambda: a.extend([value]),
        lambda: a.fromlist([a[0], value]),
    ):
        with pytest.raises(error):
            call()
        assert a.tobytes() == before


def test_bytes_of_length_one():
    a = mmaparray("c", b"ab\0\xff")
    assert a.tolist() == list(a) == [b"a", b"b", b"\0", b"\xff"] and a.tobytes() == b"ab\0\xff"
    a.append(b"c")
    a.append(bytearray(b"d"))
    a.extend(b"ef")
    a.extend([b"g"])
    a[0:1] = bytearray(b"xyz")
    assert a.tobytes() == b"xyzb\0\xffcdefg"
    assert (a.index(b"b"), a.count(b"c"), b"d" in a, b"q" in a, bytearray(b"d") in a) == (3, 1, True, False, True)
    for value in (b"", b"ab", "a", 97, None, bytearray(b"ab"), memoryview(b"a")):
        refused(a, value, TypeError)
    with pytest.raises(TypeError):
        mmaparray("c", "text")
    assert repr(mmaparray("c", b"a'\0")) == f"array('c', {bytes(b'a' + bytes([39, 0]))!r})"
    assert mmaparray("c", b"\x80") > mmaparray("c", b"\x7f")


@pytest.mark.parametrize("code", codes("text"))
def test_characters(code):
    text = "a\0\xe9\u20ac\U0001f600\ud800\U0010ffff"
    a = mmaparray(code, text)
    assert a.tolist() == list(a) == list(text) and a.tounicode() == text
    assert a.tobytes() == text.encode("utf-32", "surrogatepass")[4:]
    a.fromunicode("xyz")
    a.extend("pq")
    a.fromstring("r")
    a.append("\0")
    assert a.tounicode() == text + "xyzpqr\0"
    assert (a.index("\xe9"), a.count("\0"), "z" in a, "zz" in a) == (2, 2, True, False)
    a.fromunicode("")
    for value in ("", "ab", 97, b"a", None, ["a"]):
        refused(a, value, TypeError)
    for wrong in (b"a", 5, None, ["a"]):
        with pytest.raises(TypeError):
            a.fromunicode(wrong)
    assert repr(mmaparray(code, "a'\0")) == f"array('{code}', {'a' + chr(39) + chr(0)!r})"
    for other in set(TYPES) - set(codes("text")):
        b = mmaparray(other)
        for call in (lambda: b.fromunicode("a"), b.tounicode, lambda: b.fromstring("a")):
            with pytest.raises(ValueError, match="'u' or 'w'"):
                call()
        assert len(b) == 0


@pytest.mark.parametrize("code", codes("text"))
@pytest.mark.parametrize("bad", [0x110000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_what_is_no_character_raises_and_is_not_lost(code, bad):
    memory = struct.pack("=III", ord("a"), bad, bad)
    a = mmaparray(code, memory)
    for call in (
        lambda: a[1],
        lambda: a[-1],
        lambda: a.pop(),
        lambda: a.pop(1),
        lambda: a.tolist(),
        lambda: a.tounicode(),
        lambda: list(a),
        lambda: list(reversed(a)),
        lambda: repr(a),
        lambda: a.index(object()),
    ):
        with pytest.raises((ValueError, SystemError)):
            call()
        assert a.tobytes() == memory
    assert (a[0], a.count("a"), a.index("a"), "b" in a) == ("a", 1, 0, False)
    assert a == a and a != mmaparray(code, "abc")
    assert a[1:].tobytes() == memory[4:]
    del a[1:]
    assert a.tounicode() == "a"
