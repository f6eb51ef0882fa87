"""The JSON scanner beside Python's json: what one takes the other takes, and both read the same value from it.

Where they differ on purpose is written down here: Python takes NaN and Infinity, halves of surrogate pairs, any depth, and text
that is no UTF-8 once decoded otherwise; numbers beyond 64 bits become floats in ours, and -0 keeps its sign.
"""

import json
import math
import os
import random
import struct
import subprocess
import sys

import msgpack

DEPTH_MAX = 64
COUNT = 30000
ALPHABET = ["a", "\u00e9", "\u20ac", "\U0001F600", "\"", "\\", "\n", "\t", "\u2028", "\x7f", "/", "$", "\u0000", "z" * 40]


class Refused(Exception):
    pass


def refuse(name):
    raise Refused(name)


def integer(text):
    return -0.0 if text == "-0" else int(text)


def has_half_pair(text):
    return any(0xD800 <= ord(letter) < 0xE000 for letter in text)


def checked(value, depth=0):
    """The value as ours reads it."""
    if isinstance(value, str):
        if has_half_pair(value):
            raise Refused("half of a pair")
    elif isinstance(value, int) and not isinstance(value, bool) and not -2**63 <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return math.inf
    elif isinstance(value, Members):
        if depth == DEPTH_MAX:
            raise Refused("nesting")
        return Members((checked(key), checked(one, depth + 1)) for key, one in value)
    elif isinstance(value, list):
        if depth == DEPTH_MAX:
            raise Refused("nesting")
        return [checked(one, depth + 1) for one in value]
    return value


class Members(tuple):
    """An object, in order, with what is twice in it."""


def oracle(data):
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=refuse, parse_int=integer, object_pairs_hook=Members)
        return True, checked(value)
    except (ValueError, RecursionError, Refused):
        return False, None


def unpack(data):
    return msgpack.unpackb(data, object_pairs_hook=Members, strict_map_key=False)


def is_same(a, b):
    if isinstance(a, float) and isinstance(b, (float, type(None))):
        # Infinity has no form in JSON: 1e999 is null there.
        return a == b or (math.isinf(a) and (b is None or b == a))
    if isinstance(a, Members) or isinstance(b, Members):
        if dict(a).keys() & {"$binary", "$ext"}:
            return True         # has a form of its own in MessagePack; the unit tests look at it
        return isinstance(b, Members) and len(a) == len(b) and all(is_same(x, y) for x, y in zip(a, b))
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(is_same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b


def number(pick):
    return pick.choice([
        lambda: pick.randrange(-10, 10), lambda: pick.choice([1, -1]) * 2**pick.randrange(70) + pick.randrange(-2, 3),
        lambda: pick.uniform(-1, 1) * 10**pick.randrange(-30, 30), lambda: pick.choice([0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1]),
    ])()


def value(pick, depth=0):
    kind = pick.randrange(5 if depth > 4 else 8)
    if kind == 0:
        return pick.choice([None, True, False])
    if kind < 3:
        return number(pick)
    if kind < 5:
        return "".join(pick.choices(ALPHABET, k=pick.randrange(6)))
    if kind == 5:
        return {"".join(pick.choices(ALPHABET, k=2)): value(pick, depth + 1) for _ in range(pick.randrange(4))}
    return [value(pick, depth + 1) for _ in range(pick.randrange(4))]


def spoil(pick, data):
    """Small mistakes, as generators and people make them."""
    data = bytearray(data)
    for _ in range(pick.randrange(1, 4)):
        at = pick.randrange(len(data) + 1)
        what = pick.randrange(5)
        if what == 0 and data:
            del data[min(at, len(data) - 1)]
        elif what == 1:
            data[at:at] = pick.choice([b",", b"]", b"}", b"[", b"{", b'"', b"\\", b"0", b"-", b"e", b".", b"+", b" ", b"\x0b", b"\xa0", b"\x00",
                                       b"\xef\xbb\xbf", b"\\u", b"\\ud800", b"\\udc00", b"NaN", b"null", b"Infinity", b"\xff", b"\xc0\x80"])
        elif what == 2 and data:
            data[min(at, len(data) - 1)] = pick.randrange(256)
        elif what == 3:
            del data[at:]
        else:
            data[at:at] = data[at // 2:at]
    return bytes(data)


def texts(corpus, seed):
    pick = random.Random(seed)
    for folder in ("json", "transcode", "envelope"):
        for name in sorted(os.listdir(os.path.join(corpus, folder))):
            with open(os.path.join(corpus, folder, name), "rb") as file:
                yield file.read()
    for depth in (1, 63, 64, 65, 1000):
        yield b"[" * depth + b"]" * depth
        yield b'{"a":' * depth + b"1" + b"}" * depth
    for text in (b"", b" ", b"1e999", b"-1e999", b"1e-999", b"-0", b"-0.0", b"00", b"1.", b".5", b"1e", b"+1", b"0x1", b'"\\u0000"', b'"\\/"',
                 b'"\\x"', b"'a'", b"[1,]", b'{"a":1,}', b'{a:1}', b"nul", b"true ", b"\ttrue\r\n", b'{"a":1,"a":2}', b"1 2", b"[] []",
                 b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1" * 400):
        yield text
    for _ in range(COUNT):
        data = json.dumps(value(pick), ensure_ascii=pick.random() < 0.5, indent=pick.choice([None, None, 1]),
                          separators=pick.choice([None, (",", ":"), (" , ", " : ")])).encode("utf-8")
        yield data if pick.random() < 0.4 else spoil(pick, data)


def main():
    program, corpus = sys.argv[1:]
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    cases = list(texts(corpus, seed))
    result = subprocess.run([program], input=b"".join(struct.pack("<I", len(case)) + case for case in cases), capture_output=True, check=False)
    if result.returncode:
        sys.exit(f"SEED={seed}: json_values ended with {result.returncode}: {result.stderr.decode(errors='replace')}")
    at, differ, taken = 0, [], 0
    for case in cases:
        length = struct.unpack_from("<I", result.stdout, at)[0]
        ours = result.stdout[at + 4:at + 4 + length]
        at += 4 + length
        is_taken, expected = oracle(case)
        taken += is_taken
        if bool(length) != is_taken:
            differ.append((case[:200], "taken" if length else "refused", "by Python:", "taken" if is_taken else "refused"))
        elif length and not is_same(expected, unpack(ours)):
            differ.append((case[:200], unpack(ours), "by Python:", expected))
    print("\n".join(map(str, differ[:20])))
    print(f"SEED={seed}: {len(cases)} texts, {taken} of them JSON, {len(differ)} differences")
    sys.exit(bool(differ) or taken < COUNT // 5)


if __name__ == "__main__":
    main()
