"""What the tests of the judge share: verdicts, and streams to break."""

import io
import json
import unittest

import judge
import stream as s
from stream import NULL


def verdict(stream, *arguments):
    data = stream if isinstance(stream, (bytes, bytearray)) else b"".join(map(bytes, stream))
    return judge.judge(io.BytesIO(data), judge.parser().parse_args(["-", *arguments]))


class Case(unittest.TestCase):
    maxDiff = None

    def finds(self, stream, expected, *arguments):
        """The findings are exactly these: names, or {name: count}."""
        result = verdict(stream, *arguments)
        found = {name: f["count"] for name, f in result["findings"].items()}
        if isinstance(expected, dict):
            self.assertEqual(found, expected, json.dumps(result["findings"], indent=1))
        else:
            expected = {expected} if isinstance(expected, str) else set(expected)
            self.assertEqual(set(found), expected, json.dumps(result["findings"], indent=1))
        return result

    def clean(self, stream, *arguments):
        return self.finds(stream, {}, *arguments)


def flip(packet, at, mask):
    packet[at] ^= mask
    return packet


def cut_out(stream, *indices):
    """Null packets in place of some: what was sent is gone, the time it took stays."""
    for i in indices:
        stream[i] = bytearray(NULL)
    return stream


def nulls_after(stream, at):
    return [i for i in range(at, len(stream)) if s.pid_of(stream[i]) == 0x1FFF]
