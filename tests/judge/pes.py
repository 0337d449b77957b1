"""PES packets of one PID: ISO/IEC 13818-1 2.4.3.6 and 2.4.3.7, time stamps, access units."""

import hashlib
from collections import deque

from clock import MS
from codec import PARSERS, parser_for
from packets import PCR_CYCLE, PTS_CYCLE

# stream_ids whose PES packets have no optional header (table 2-21)
BARE = {0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF}
FLUSH = 64 << 20  # bytes of one PES packet that are kept
MEDIA = ("video", "audio")
WITH_PARAMS = {"mpeg1video", "mpeg2video", "h264", "hevc", "aac"}  # codecs whose buffers depend on the stream
# codecs of which access units are found; of others a PES packet may hold many
EXACT = set(PARSERS) | {"teletext"}


def stamp(data, at, prefix):
    """A 33-bit time stamp of five bytes: (value, are the fixed bits right?)."""
    good = data[at] >> 4 == prefix and data[at] & data[at + 2] & data[at + 4] & 1
    value = (data[at] >> 1 & 7) << 30 | data[at + 1] << 22 | (data[at + 2] >> 1) << 15 | data[at + 3] << 7 | data[at + 4] >> 1
    return value, bool(good)


def header(data):
    """(payload offset, pts, dts, error text or None) of a PES packet that begins with its prefix."""
    if data[3] in BARE:
        return 6, None, None, None
    if len(data) < 9:
        return len(data), None, None, "cut short"
    flags, length = data[7], data[8]
    end = 9 + length
    if data[6] >> 6 != 2:
        return min(end, len(data)), None, None, "no '10' behind PES_packet_length"
    need = {0: 0, 1: 0, 2: 5, 3: 10}[flags >> 6]
    need += 6 * (flags >> 5 & 1) + 3 * (flags >> 4 & 1) + (flags >> 3 & 1) + (flags >> 2 & 1) + 2 * (flags >> 1 & 1)
    if flags >> 6 == 1:
        return min(end, len(data)), None, None, "PTS_DTS_flags '01'"
    if need > length or end > len(data):
        return min(end, len(data)), None, None, f"PES_header_data_length {length}"
    pts = dts = error = None
    at = 9
    if flags >> 6:
        pts, good = stamp(data, at, flags >> 6)
        error = error or (None if good else "fixed bits of the PTS")
        at += 5
    if flags >> 6 == 3:
        dts, good = stamp(data, at, 1)
        error = error or (None if good else "fixed bits of the DTS")
        at += 5
    if flags & 0x20:
        # ESCR: marker bits as in 2.4.3.6
        if not data[at] & 4 or not data[at + 2] & 4 or not data[at + 4] & 4 or not data[at + 5] & 1:
            error = error or "marker bits of the ESCR"
        at += 6
    if flags & 0x10:
        if not data[at] & 0x80 or not data[at + 2] & 1:
            error = error or "marker bits of the ES_rate"
        at += 3
    at += flags >> 3 & 1
    if flags & 0x04 and not data[at] & 0x80:
        error = error or "marker bit of additional_copy_info"
    at += (flags >> 2 & 1) + 2 * (flags >> 1 & 1)
    if flags & 0x01:
        at += 1  # the extension has its own lengths
    elif any(b != 0xFF for b in data[at:end]):
        error = error or "a stuffing byte of the header is not 0xFF"
    return end, pts, dts, error


class Record:
    """One PES packet."""

    __slots__ = ("packet", "coordinate", "payload_at", "arrival", "epoch", "rai", "es", "pts", "dts", "td", "stream_id",
                 "size", "sha1", "units", "damaged", "declared", "stamped", "new_base")

    def __init__(self, packet, coordinate, rai, new_base):
        self.packet, self.coordinate, self.rai, self.new_base = packet, coordinate, rai, new_base
        self.arrival = self.epoch = None
        self.pts = self.dts = self.td = self.stream_id = self.sha1 = None
        self.payload_at = coordinate
        self.es = self.size = self.declared = 0
        self.units = []
        self.damaged = self.stamped = False


class Stream:
    """Puts the PES packets of a PID together, checks them, and tells the T-STD of their access units."""

    def __init__(self, pid, info, findings, chain=None, elapsed=None, limits=None, on_record=None, hashes=False):
        self.pid, self.info, self.findings, self.chain, self.elapsed = pid, info, findings, chain, elapsed
        limits = limits or {}
        self.pts_interval = limits.get("pts_interval", 700) * 90
        self.pid_gap = limits.get("pid_gap", 5000) * MS
        self.media = info["kind"] in MEDIA
        self.parser = parser_for(info["codec"])
        self.first_params = None
        self.told_params = None
        self.on_record, self.hashes = on_record, hashes
        self.on_payload = None  # (pid, elementary stream bytes)
        self.parts, self.size = [], 0
        self.record = None
        self.records = deque()
        self.es = 0
        self.open = None  # the access unit whose end is not known yet
        self.waiting = []  # access units without a time stamp
        self.last_td = None  # (td in ticks, duration) of the last unit that had one
        self.count = self.stamped = self.damaged = self.scrambled_pes = 0
        self.units = 0
        self.types = {}
        self.auds = 0
        self.no_aud = 0
        self.first_start = None
        self.first_packet = None
        self.orphans = 0
        self.lost = False
        self.last_stamp = None
        self.new_base = False
        self.first_pts = self.last_pts = None
        self.largest_step = 0
        self.distance = [None, 0, None, 0]  # min, sum, max, count of td - arrival, in ticks
        self.last_elapsed = None

    # -- packets

    def packet(self, data, off, start, index, unit_start, rai):
        """A fresh packet with payload `data[start:off + 188]`. Returns how many bytes are PES bytes."""
        end = off + 188
        if self.first_packet is None:
            self.first_packet = index
        if unit_start:
            if self.record is not None:
                self._finish(index)
            elif self.orphans and self.first_start is None and not self.lost:
                self._orphans()
            self.lost = False
            if self.first_start is None:
                self.first_start = index
            chain = self.chain
            self.record = Record(index, chain.coordinate if chain else 0, rai, self.new_base)
            self.new_base = False
        elif self.record is None:
            if not self.lost:
                self.orphans += 1
            return 0
        if self.size < FLUSH:
            self.parts.append(data[start:end])
        self.size += end - start
        return end - start

    def arrived(self, time, epoch, solid):
        """The time of the packet that was just given, when it began a PES packet."""
        if self.record is not None and self.record.arrival is None and solid:
            self.record.arrival, self.record.epoch = time, epoch

    def break_off(self, packet=None, announced=False):
        """Packets were lost or scrambled: the PES packet under way is damaged; wait for the next start."""
        if self.record is not None:
            self.record.damaged = True
            self._finish(packet)
        self.lost = True
        self.parser.lose()
        self._forget()
        if self.chain is not None:
            self.chain.reset()

    def new_time_base(self):
        """Time stamps of PES packets begun before and after this point cannot be compared (2.4.3.5)."""
        self.new_base = True

    def change_clock(self, chain):
        """The PMT names another PCR_PID: goes on with a chain that follows it; nothing before counts there."""
        if chain is not None and self.chain is not None:
            chain.coordinate = self.chain.coordinate
            chain.reset()
        self.chain = chain
        self.waiting, self.last_td = [], None
        if self.open is not None:
            self.open = (*self.open[:3], None)
        for record in [*self.records, *([self.record] if self.record else ())]:
            record.arrival = record.epoch = record.td = None

    def _forget(self):
        self.open, self.waiting, self.last_td = None, [], None

    def _orphans(self):
        self.findings.add("orphan_payload", self.first_packet, self.pid, f"{self.orphans} packets")
        self.orphans = 0

    # -- one PES packet

    def _finish(self, next_packet, last=False, cut=False):
        record, self.record = self.record, None
        data = b"".join(self.parts)
        size, self.parts, self.size = self.size, [], 0
        add, pid, index = self.findings.add, self.pid, record.packet
        self.count += 1
        if record.damaged:
            self.damaged += 1
        if size < 6 or data[:3] != b"\0\0\1":
            if not record.damaged and not cut and self.info["codec"] != "user_private":
                add("pes_start", index, pid, data[:4].hex())
            self.parser.lose()
            self._forget()
            return
        record.stream_id = data[3]
        record.declared = declared = data[4] << 8 | data[5]
        if declared:
            if size != 6 + declared and not record.damaged:
                if not last:
                    add("pes_length", index, pid, f"{declared} declared, {size - 6} there")
                elif size > 6 + declared:
                    add("pes_length", index, pid, f"{declared} declared, {size - 6} there")
                elif not cut:
                    add("truncated_pes", index, pid, f"{declared} declared, {size - 6} there")
            data = data[:6 + declared]
        elif self.info["kind"] != "video" and record.stream_id & 0xF0 != 0xE0:
            add("pes_length_zero", index, pid, f"stream_id 0x{record.stream_id:02X}")
        start, pts, dts, error = header(data)
        if error and not (record.damaged and error == "cut short"):
            add("pes_header", index, pid, error)
        record.pts, record.dts = pts, dts
        if record.stream_id not in BARE and len(data) > 6 and data[6] & 0x30:
            self.scrambled_pes += 1
        self._stamps(record)
        payload = data[start:]
        record.size = len(payload)
        if self.on_payload is not None:
            self.on_payload(pid, payload)
        if self.hashes:
            record.sha1 = hashlib.sha1(payload).hexdigest()
        record.es = self.es
        record.payload_at = record.coordinate + start
        if self.chain is not None:
            self.chain.pes_header(record.coordinate, start)
        self.records.append(record)
        if record.damaged or record.stream_id in BARE or len(data) > 6 and data[6] & 0x30:
            self.parser.lose()
            self._forget()
        else:
            known = len(self.parser.units)
            self.parser.feed(payload, self.es)
            if self.parser.params is not self.told_params:
                self.told_params = self.parser.params
                self.first_params = self.first_params or self.parser.params
                self.on_params()
            self._begun(self.parser.units[known:])
            self.parser.units.clear()
        self.es += len(payload)
        while len(self.records) > 2 and (self.open is None or self.open[0] is not self.records[0]):
            self._emit(self.records.popleft())
        if self.chain is not None:
            self.chain.run()

    def on_params(self):
        """Replaced by whoever wants to know of new parameters."""

    def _emit(self, record):
        if self.on_record is not None:
            self.on_record(self, record)

    def _stamps(self, record):
        add, pid, index = self.findings.add, self.pid, record.packet
        if self.elapsed is not None and self.media:
            now = self.elapsed(index * 188)
            if self.last_elapsed is not None and now - self.last_elapsed > self.pid_gap:
                add("pid_gap", index, pid, f"{(now - self.last_elapsed) / MS:.0f} ms without a unit start")
            self.last_elapsed = now
        pts, dts = record.pts, record.dts
        if record.new_base:
            self.last_stamp = None
        if pts is None:
            return
        self.stamped += 1
        if self.first_pts is None:
            self.first_pts = pts
        self.last_pts = pts
        if dts is not None and (pts - dts) % PTS_CYCLE >= PTS_CYCLE // 2:
            add("pts_before_dts", index, pid, f"PTS {pts}, DTS {dts}")
        td = dts if dts is not None else pts
        if self.last_stamp is not None:
            ahead = (td - self.last_stamp + PTS_CYCLE // 2) % PTS_CYCLE - PTS_CYCLE // 2
            if ahead < 0 or ahead == 0 and self.media:
                add("dts_order", index, pid, f"{ahead / 90:+.3f} ms")
            elif self.media:
                self.largest_step = max(self.largest_step, ahead)
                if ahead > self.pts_interval:
                    add("pts_interval", index, pid, f"{ahead / 90:.1f} ms")
        self.last_stamp = td
        if record.arrival is not None:
            away = (td * 300 - record.arrival + PCR_CYCLE / 2) % PCR_CYCLE - PCR_CYCLE / 2
            record.td = record.arrival + away
            d = self.distance
            d[0] = away if d[0] is None else min(d[0], away)
            d[2] = away if d[2] is None else max(d[2], away)
            d[1] += away
            d[3] += 1

    # -- access units

    def _begun(self, units):
        """Access units were found to begin; each ends the one before it."""
        for unit in units:
            owner = self._owner(unit.start)
            if owner is None:
                continue
            self._close(unit.start)
            owner.units.append(unit)
            self.units += 1
            first = not owner.stamped
            owner.stamped = True
            at = owner.payload_at + unit.start - owner.es
            self.open = (owner, at, unit, owner.td if first else None)

    def _owner(self, position):
        for record in reversed(self.records):
            if record.es <= position:
                return record
        return None

    def _close(self, position):
        """The open unit ends before a position in the elementary stream."""
        if self.open is None:
            return
        owner, at, unit, td = self.open
        self.open = None
        last = self._owner(position - 1)
        end = last.payload_at + position - last.es
        info = unit.info
        if "code_end" in info:  # as a coordinate of the chain
            at_code = self._owner(info["code_end"] - 1) or last
            info["code_at"] = at_code.payload_at + info.pop("code_end") - at_code.es
        if "aud" in info:
            if not info["aud"]:
                self.no_aud += 1
                self.findings.add("aud_absent", owner.packet, self.pid, f"NAL units {info['nals'][:6]}")
        kind = info.get("type")
        if kind:
            self.types[kind] = self.types.get(kind, 0) + 1
        if self.chain is None:
            return
        if self.last_td is not None and self.last_td[2] != owner.epoch:
            self._drop_waiting()
            self.last_td = None
        if td is None and unit.duration is not None and self.last_td is not None and self.last_td[1] is not None:
            td = self.last_td[0] + self.last_td[1]
        if td is None:
            self.waiting.append((at, end, owner, info))
            if len(self.waiting) > 64:
                self._drop_waiting()
            return
        if self.waiting:
            # units without a stamp share the time between their neighbours
            n = len(self.waiting) + 1
            for k, (a, e, o, i) in enumerate(self.waiting):
                between = None if self.last_td is None else self.last_td[0] + (k + 1) * (td - self.last_td[0]) / n
                self.chain.unit(a, e, between, o.epoch, o.packet, i)
            self.waiting = []
        self.last_td = (td, unit.duration, owner.epoch)
        self.chain.unit(at, end, td, owner.epoch, owner.packet, info)

    def _drop_waiting(self):
        for a, e, o, i in self.waiting:
            self.chain.unit(a, e, None, o.epoch, o.packet, i)
        self.waiting = []

    # -- the end

    def finish(self, cut=False):
        """The end of the file; `cut` when it was cut there by a limit of the judge's own."""
        if self.orphans and self.first_start is None and not self.lost and self.first_packet is not None:
            self._orphans()
        if self.record is not None:
            self._finish(None, last=True, cut=cut)
        known = len(self.parser.units)
        self.parser.flush()
        self._begun(self.parser.units[known:])
        self.parser.units.clear()
        self._close(self.es)
        for record in self.records:
            self._emit(record)
        self.records.clear()
        if self.chain is not None:
            self._drop_waiting()
            self.chain.run(final=True)
        if self.media and self.count >= 2 and not self.stamped and not self.scrambled_pes and self.damaged < self.count:
            self.findings.add("pts_absent", self.first_start, self.pid, f"{self.count} PES packets")

    def report(self):
        out = {"pes": self.count, "with_pts": self.stamped, "access_units": self.units}
        if self.types:
            out["pictures"] = dict(sorted(self.types.items()))
        if self.damaged:
            out["damaged_pes"] = self.damaged
        if self.scrambled_pes:
            out["scrambled_pes"] = self.scrambled_pes
        if self.parser.resyncs:
            out["frame_resyncs"] = self.parser.resyncs
        if self.stamped:
            out.update(first_pts=self.first_pts, last_pts=self.last_pts,
                       max_stamp_step_ms=round(self.largest_step / 90, 3))
        low, total, high, n = self.distance
        if n:
            out["stamp_minus_pcr_ms"] = {"min": round(low / MS, 3), "mean": round(total / n / MS, 3),
                                         "max": round(high / MS, 3)}
        return out
