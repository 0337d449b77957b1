"""Forward error correction beside RTP (SMPTE ST 2022-1, with the parity of RFC 2733): a second implementation.

Works on a record of datagrams as they passed a point of the network. One of them is a byte that tells the port (0 media,
1 columns, 2 rows), a byte that is 1 when it was lost behind that point, its length in two bytes, big-endian, and itself.

    python3 tests/judge/fec.py check RECORD L D [rows]    every FEC datagram is what the clauses say; exit status 1 if not
    python3 tests/judge/fec.py recover RECORD OUT         writes the payloads that a receiver can have at all, in order
"""

import sys
from typing import NamedTuple


class Fec(NamedTuple):
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    base: int
    row: bool
    offset: int
    count: int
    rest: bytes  # the bytes of both headers that are to be fixed
    sum: int     # as `protected` makes it of media

    def numbers(self):
        return [(self.base + n * self.offset) % 65536 for n in range(self.count)]


WIDTH = 9000  # bytes; every protected string is filled up with zeros to that


def protected(media):
    """RFC 2733 section 3, as one number: P X CC, M PT, time stamp, length, what stands behind 12 bytes."""
    body = media[12:]
    head = bytes([media[0] & 0x3F, media[1]]) + media[4:8] + len(body).to_bytes(2, "big")
    return int.from_bytes((head + body).ljust(WIDTH, b"\0"), "big")


def read(datagram):
    rtp, fec, body = datagram[:12], datagram[12:28], datagram[28:]
    carried = bytes([rtp[0] & 0x3F, rtp[1] & 0x80 | fec[4] & 0x7F]) + fec[8:12] + fec[2:4] + body
    number = lambda part: int.from_bytes(part, "big")
    return Fec(number(rtp[2:4]), number(rtp[4:8]), number(rtp[8:12]), rtp[1] & 0x7F, number(fec[:2]),
               bool(fec[12] & 0x40), fec[13], fec[14],
               bytes([rtp[0] & 0xC0, fec[4] & 0x80]) + fec[5:8] + bytes([fec[12] & 0xBF, fec[15]]),
               number(carried.ljust(WIDTH, b"\0")))


def datagram_of(total, sequence, ssrc):
    """The media datagram whose protected string this is."""
    string = total.to_bytes(WIDTH, "big")
    length = int.from_bytes(string[6:8], "big")
    assert not any(string[8 + length:]), "something stands behind the end"
    return (bytes([0x80 | string[0], string[1]]) + sequence.to_bytes(2, "big") + string[2:6]
            + ssrc + string[8:8 + length])


def solve(media, fecs):
    """Adds to `media` (by number) what follows from `fecs`, until nothing more does."""
    open_sets = list(fecs)
    while open_sets:
        left = []
        for fec in open_sets:
            missing = [n for n in fec.numbers() if n not in media]
            if len(missing) > 1:
                left.append(fec)
                continue
            total = fec.sum
            for number in fec.numbers():
                if number in media:
                    total ^= protected(media[number])
            if missing:
                ssrc = next(iter(media.values()))[8:12]
                media[missing[0]] = datagram_of(total, missing[0], ssrc)
            else:
                assert total == 0, f"the sum of {fec.numbers()} is another"
        if len(left) == len(open_sets):
            return
        open_sets = left


def records(path):
    with open(path, "rb") as file:
        while head := file.read(4):
            yield head[0], bool(head[1]), file.read(int.from_bytes(head[2:], "big"))


def recover(path, out):
    media, fecs = {}, []
    first = None
    for port, lost, datagram in records(path):
        if lost:
            continue
        if port:
            fecs.append(read(datagram))
        else:
            number = int.from_bytes(datagram[2:4], "big")
            first = number if first is None else first
            media[number] = datagram
    came = len(media)
    solve(media, fecs)
    order = sorted(media, key=lambda n: (n - first + 32768) % 65536)
    with open(out, "wb") as file:
        for number in order:
            file.write(media[number][12:])
    print(len(media) - came)


def check(path, width, height, with_rows):
    """What is wrong with the FEC of a record in which nothing is lost."""
    media, order, ports = {}, [], {1: [], 2: []}
    for port, _, datagram in records(path):
        if port:
            ports[port].append(read(datagram))
        else:
            number = int.from_bytes(datagram[2:4], "big")
            media[number] = datagram
            order.append(number)
    stamp = lambda place: int.from_bytes(media[order[place]][4:8], "big")
    size = width * height
    matrices = len(order) // size
    rows = len(order) // width if with_rows else 0
    wrong = []

    def expect(what, is_so):
        if not is_so:
            wrong.append(what)

    expect(f"{len(ports[1])} columns", len(ports[1]) == matrices * width)
    expect(f"{len(ports[2])} rows", len(ports[2]) == rows)
    for fec in ports[1] + ports[2]:
        expect(f"fixed fields {fec.rest.hex()}", fec.rest == bytes.fromhex("80 80 000000 00 00"))
        expect(f"payload type {fec.payload_type}", fec.payload_type == 96)
        expect(f"SSRC {fec.ssrc}", fec.ssrc == 0)
        total = fec.sum
        for number in fec.numbers():
            total ^= protected(media[number])
        expect(f"sum of {fec.base}", total == 0)
    for line in ports.values():
        for one, other in zip(line, line[1:]):
            expect(f"number {other.sequence}", other.sequence == (one.sequence + 1) % 65536)
    for n, fec in enumerate(ports[1]):
        matrix, column = divmod(n, width)
        expect(f"column {n}", not fec.row and fec.numbers() == [
            order[matrix * size + column + k * width] for k in range(height)])
        # In the course of the next matrix, one every D; at the end of the stream at once.
        behind = (matrix + 1) * size + column * height
        expect(f"time of column {n}", fec.timestamp == stamp(min(behind, len(order) - 1)))
    for n, fec in enumerate(ports[2]):
        expect(f"row {n}", fec.row and fec.numbers() == order[n * width:(n + 1) * width])
        expect(f"time of row {n}", fec.timestamp == stamp((n + 1) * width - 1))
    return wrong


def main(words):
    if words[:1] == ["recover"] and len(words) == 3:
        return recover(*words[1:])
    if words[:1] == ["check"] and len(words) in (4, 5):
        wrong = check(words[1], int(words[2]), int(words[3]), words[4:] == ["rows"])
        print("\n".join(wrong[:20]))
        return 1 if wrong else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
