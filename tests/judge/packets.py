"""Transport packets: framing of a file, the adaptation field, continuity (ISO/IEC 13818-1 2.4.3.2 to 2.4.3.5).

A position in the stream is counted in transport bytes, 188 a packet, whatever the framing of the file.
"""

SYNC = 0x47
PACKET = 188
NULL_PID = 0x1FFF
LOCK = 5  # sync bytes in a row that make a lock
FRAMINGS = {188: 0, 192: 4, 204: 0}  # bytes from one packet to the next: bytes before the sync byte
CHUNK = 8192  # packets read at once

PCR_CYCLE = (1 << 33) * 300
PTS_CYCLE = 1 << 33


def run_length(data, at, stride):
    """How many sync bytes stand at `at`, `at + stride`, ...; and how many could."""
    column = data[at::stride]
    good = 0
    for byte in column:
        if byte != SYNC:
            break
        good += 1
    return good, len(column)


def detect(head, framings=FRAMINGS):
    """Finds (stride, lead, offset of the first packet) in the first bytes of a file, or None.

    From the file's start if any framing fits there, else from the first place with five sync bytes in a row.
    A 192-byte header may hold 0x47 by chance: the longest run decides.
    """
    def whole(at, stride, lead):
        good, possible = run_length(head, at + lead, stride)
        return good if good >= min(LOCK, possible) and good else 0

    best = max(((whole(0, stride, lead), -stride) for stride, lead in framings.items()), default=(0, 0))
    if best[0]:
        return -best[1], framings[-best[1]], 0
    for at in range(len(head)):
        for stride, lead in framings.items():
            if at + lead < len(head) and head[at + lead] == SYNC:
                good, possible = run_length(head, at + lead, stride)
                if good >= LOCK or (good == possible and good >= 2):
                    return stride, lead, at
    return None


class Reader:
    """Reads a file as runs of packets that all begin with a sync byte. Can be run more than once."""

    def __init__(self, file, framing=None):
        self.file = file
        file.seek(0)
        head = file.read(128 * 1024)
        found = detect(head, {framing: FRAMINGS[framing]} if framing else FRAMINGS)
        self.found = found is not None
        self.stride, self.lead, self.first = found or (framing or 188, FRAMINGS[framing or 188], 0)
        self.packets = 0  # of the latest run through the file
        self.bytes = 0

    def runs(self, report=None, limit=None):
        """Yields (data, index of its first packet). `report(name, index, detail)` hears of damage."""
        report = report or (lambda *_: None)
        stride, lead, file = self.stride, self.lead, self.file
        file.seek(0)
        self.packets = self.bytes = 0
        index = 0
        if not self.found:
            file.seek(0, 2)
            self.bytes = file.tell()
            if self.bytes:
                report("sync_loss", 0, f"no packets in {self.bytes} bytes")
            return
        if self.first:
            file.seek(self.first)
            self.bytes = self.first
            report("sync_loss", 0, f"{self.first} bytes before the first packet")
        data = b""
        ended = False
        hunting = 0  # bytes thrown away since sync was lost
        while not ended:
            more = file.read(CHUNK * stride)
            ended = not more
            self.bytes += len(more)
            data += more
            at = 0
            while True:
                if hunting:
                    before = at
                    at, locked = self._relock(data, at, ended)
                    hunting += at - before
                    if not locked:
                        break
                    report("sync_loss", index, f"{hunting} bytes skipped")
                    hunting = 0
                # keep a few packets back while there is more to come: losing sync needs a look ahead
                n = (len(data) - at) // stride - (0 if ended else LOCK + 1)
                if limit is not None:
                    n = min(n, limit - index)
                if n <= 0:
                    break
                column = data[at + lead:at + n * stride:stride]
                good = n if column.count(SYNC) == n else next(i for i, b in enumerate(column) if b != SYNC)
                if good:
                    yield (data[at:at + good * stride], index)
                    at += good * stride
                    index += good
                    self.packets = index
                if good == n:
                    continue
                after = at + stride + lead
                if after >= len(data) or data[after] == SYNC:
                    report("sync_byte", index, f"0x{data[at + lead]:02X}")
                    at += stride
                    index += 1
                    self.packets = index
                else:
                    at += 1
                    hunting = 1
            if limit is not None and index >= limit:
                return
            data = data[at:]
        if hunting:
            report("sync_loss", index, f"{hunting} bytes skipped, no more packets")
        elif data:
            report("trailing_bytes", index, f"{len(data)} bytes")

    def _relock(self, data, at, ended):
        """The next place with sync bytes in a row; or the end of the data that was looked through."""
        stride, lead = self.stride, self.lead
        last = len(data) if ended else len(data) - LOCK * stride
        while True:
            found = data.find(SYNC, at + lead, max(last, 0))
            if found < 0:
                return max(at, last - lead), False
            good, possible = run_length(data[:found + LOCK * stride], found, stride)
            if good == LOCK or (ended and good == possible and good > 1):
                return found - lead, True
            at = found - lead + 1


def pcr_of(data, off):
    """The PCR of the packet at `off` in 27 MHz ticks, or None. The caller knows that there is an adaptation field."""
    if data[off + 4] < 7 or not data[off + 5] & 0x10:
        return None
    base = data[off + 6] << 25 | data[off + 7] << 17 | data[off + 8] << 9 | data[off + 9] << 1 | data[off + 10] >> 7
    return base * 300 + ((data[off + 10] & 1) << 8 | data[off + 11])


def adaptation(data, off, with_payload, found):
    """Checks the adaptation field at `off + 4` (2.4.3.4). Returns (payload start relative to `off`, flags byte).

    `found(name, detail)` hears of errors. An illegal length leaves no payload.
    """
    length = data[off + 4]
    if length > (182 if with_payload else 183) or (not with_payload and length != 183):
        found("af_length", f"{length}{' with payload' if with_payload else ' without payload'}")
        if length > 183:
            return PACKET, 0
    if length == 0:
        return 5, 0
    flags = data[off + 5]
    end = 5 + length
    at = 6
    if flags & 0x10:
        if at + 6 <= end:
            if ((data[off + 10] & 1) << 8 | data[off + 11]) > 299:
                found("pcr_extension", "")
            if data[off + 10] & 0x7E != 0x7E:
                found("pcr_reserved", "")
        at += 6
    if flags & 0x08:
        at += 6
    if flags & 0x04:
        at += 1
    if flags & 0x02:
        at += 1 + (data[off + at] if at < end else 0)
    if flags & 0x01:
        if at < end:
            extension = data[off + at]
            need = 1
            if at + 1 < end and extension:
                inner = data[off + at + 1]
                need += (2 if inner & 0x80 else 0) + (3 if inner & 0x40 else 0) + (5 if inner & 0x20 else 0)
            if extension < need:
                found("af_fields", "adaptation_field_extension_length too short")
            at += 1 + extension
        else:
            at += 1
    if at > end:
        found("af_fields", f"fields need {at - 5} bytes, length {length}")
    elif data.count(b"\xff", off + at, off + end) != end - at:
        found("af_stuffing", "")
    return end, flags


class Continuity:
    """The continuity counter of one PID (2.4.3.3)."""

    __slots__ = ("counter", "last", "had_payload", "repeated")

    NEW, REPEAT, GAP, REPEAT_ERROR, DIFFERS, ANNOUNCED = range(6)

    def __init__(self):
        self.counter = None
        self.last = b""
        self.had_payload = False
        self.repeated = False

    def step(self, packet, counter, payload, discontinuity):
        """Returns what the packet is. GAP, DIFFERS and ANNOUNCED: packets may be missing before this one."""
        before, self.counter = self.counter, counter
        last, self.last = self.last, packet
        had_payload, self.had_payload = self.had_payload, payload
        repeated, self.repeated = self.repeated, False
        if before is None:
            return self.NEW
        if discontinuity:
            return self.NEW if counter == (before + (1 if payload else 0)) & 15 else self.ANNOUNCED
        if not payload:
            return self.NEW if counter == before else self.GAP
        if counter == (before + 1) & 15:
            return self.NEW
        if counter == before and had_payload:
            self.repeated = True
            if packet == last or same_but_pcr(packet, last):
                return self.REPEAT if not repeated else self.REPEAT_ERROR
            self.repeated = False
            return self.DIFFERS
        return self.GAP


def same_but_pcr(one, two):
    """Are two packets byte-identical but for the value of the PCR?"""
    if not one[3] & two[3] & 0x20 or one[4] < 7 or not one[5] & two[5] & 0x10:
        return False
    return one[:6] == two[:6] and one[12:] == two[12:]
