"""Sections and tables: ISO/IEC 13818-1 2.4.4, EN 300 468, and their repetition (TR 101 290, TR 101 211).

`Sections` puts the sections of one PID together; `Tables` says what is wrong with them and what they say.
"""

import copy
import unicodedata

from clock import MS

PAT, CAT, PMT, TSDT = 0x00, 0x01, 0x02, 0x03
NIT, NIT_OTHER, SDT, SDT_OTHER, BAT = 0x40, 0x41, 0x42, 0x46, 0x4A
EIT, EIT_OTHER, TDT, RST, STUFFING, TOT = 0x4E, 0x4F, 0x70, 0x71, 0x72, 0x73
SCTE35 = 0xFC

# table_ids that may stand on a PID (TR 101 290 1.3.a, 2.6, 3.1, 3.5 to 3.8)
ALLOWED = {
    0x00: {PAT},
    0x01: {CAT},
    0x02: {TSDT},
    0x10: {NIT, NIT_OTHER, STUFFING},
    0x11: {SDT, SDT_OTHER, BAT, STUFFING},
    0x12: set(range(0x4E, 0x70)) | {STUFFING},
    0x13: {RST, STUFFING},
    0x14: {TDT, TOT, STUFFING},
}
SI_PIDS = range(0x10, 0x15)

# TR 101 211 4.4 in ms; EIT p/f other is 20 s in terrestrial networks
SI_INTERVAL = {NIT: 10_000, NIT_OTHER: 10_000, BAT: 10_000, SDT: 2000, SDT_OTHER: 10_000, EIT: 2000,
               EIT_OTHER: 20_000, TDT: 30_000, TOT: 30_000}
REQUIRABLE = {"cat": CAT, "nit": NIT, "sdt": SDT, "bat": BAT, "eit": EIT, "tdt": TDT, "tot": TOT}
NAMES = {PAT: "PAT", CAT: "CAT", PMT: "PMT", TSDT: "TSDT", NIT: "NIT actual", NIT_OTHER: "NIT other", SDT: "SDT actual",
         SDT_OTHER: "SDT other", BAT: "BAT", EIT: "EIT p/f actual", EIT_OTHER: "EIT p/f other", TDT: "TDT", TOT: "TOT",
         RST: "RST"}


def name_of(table_id):
    return NAMES.get(table_id, f"table 0x{table_id:02X}")


def _crc_table():
    table = []
    for n in range(256):
        value = n << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def crc32(data):
    """CRC_32 of 13818-1 annex A; over a whole section with its CRC the result is zero."""
    value = 0xFFFFFFFF
    table = _CRC
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


class Sections:
    """Assembles the sections of one PID (2.4.4). `sink(section, first byte's position, last byte's, packet index)`."""

    def __init__(self, pid, sink, findings):
        self.pid, self.sink, self.findings = pid, sink, findings
        self.part = None  # bytes of the section under way, None when there is none
        self.begun = 0
        self.synced = False  # is it known what may stand in front of the next pointer target?

    def lose(self):
        """Packets are missing: what was begun cannot be finished."""
        self.part = None
        self.synced = False

    def packet(self, data, off, start, index, unit_start, position):
        """Payload `data[start:off + 188]` of the packet at `off`. Returns how many bytes belonged to sections."""
        at, end = start, off + 188
        base = position - off  # transport position = base + offset
        used = 0
        if unit_start:
            if at >= end:
                self.findings.add("pointer_field", index, self.pid, "no payload")
                return 0
            pointer = data[at]
            at += 1
            if at + pointer >= end:
                self.findings.add("pointer_field", index, self.pid, f"{pointer} of {end - at} bytes")
                self.lose()
                return 0
            if self.part is not None:
                took = self._take(data, at, at + pointer, base, index)
                used += took
                if self.part is not None:
                    self.findings.add("section_truncated", index, self.pid, f"{len(self.part)} bytes of it are there")
                    self.part = None
                elif took < pointer and data.count(b"\xff", at + took, at + pointer) != pointer - took:
                    self.findings.add("section_stuffing", index, self.pid, "between a section and the pointer's target")
            elif self.synced and data.count(b"\xff", at, at + pointer) != pointer:
                self.findings.add("section_stuffing", index, self.pid, "pointer_field skips bytes of no section")
            at += pointer
            self.synced = True
        elif self.part is not None:
            took = self._take(data, at, end, base, index)
            used += took
            at += took
            if self.part is None and at < end and data.count(b"\xff", at, end) != end - at:
                name = "section_stuffing" if data[at] == 0xFF else "section_unstarted"
                self.findings.add(name, index, self.pid, "after the end of a section")
                self.synced = False
            return used
        else:
            if self.synced and data.count(b"\xff", at, end) != end - at:
                self.findings.add("section_unstarted", index, self.pid, "bytes of no section")
                self.synced = False
            return 0
        while at < end:
            if data[at] == 0xFF:
                if data.count(b"\xff", at, end) != end - at:
                    self.findings.add("section_stuffing", index, self.pid, "after table_id 0xFF")
                break
            self.part, self.begun = bytearray(), base + at
            took = self._take(data, at, end, base, index)
            used += took
            at += took
        return used

    def _take(self, data, at, end, base, index):
        """Gives bytes to the section under way and hands it on when it is whole. Returns how many it took."""
        part = self.part
        took = 0
        if len(part) < 3:
            took = min(3 - len(part), end - at)
            part += data[at:at + took]
            if len(part) < 3:
                return took
        whole = 3 + ((part[1] & 0x0F) << 8 | part[2])
        more = min(whole - len(part), end - at - took)
        part += data[at + took:at + took + more]
        took += more
        if len(part) == whole:
            self.part = None
            self.sink(self.pid, bytes(part), self.begun, base + at + took, index)
        return took


def descriptors(data):
    """[(tag, body)] of a descriptor loop; None when the lengths do not add up."""
    found, at = [], 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return None
        found.append((data[at], bytes(data[at + 2:at + 2 + data[at + 1]])))
        at += 2 + data[at + 1]
    return found


def text(data):
    """Text of EN 300 468 annex A, near enough for names."""
    if not data:
        return ""
    first = data[0]
    if first >= 0x20:
        # ISO 6937: an accent (0xC1...0xCF) stands before its letter
        accents = {0xC1: "\u0300", 0xC2: "\u0301", 0xC3: "\u0302", 0xC4: "\u0303", 0xC5: "\u0304", 0xC6: "\u0306",
                   0xC7: "\u0307", 0xC8: "\u0308", 0xCA: "\u030a", 0xCB: "\u0327", 0xCD: "\u030b", 0xCE: "\u0328",
                   0xCF: "\u030c"}
        out, accent = [], ""
        for byte in data:
            if byte in accents:
                accent = accents[byte]
            elif byte < 0x80 or byte >= 0xA0:
                out.append(unicodedata.normalize("NFC", chr(byte) + accent))
                accent = ""
        return "".join(out)
    if first == 0x15:
        return data[1:].decode("utf-8", "replace")
    if first == 0x11:
        return data[1:].decode("utf-16-be", "replace")
    if first == 0x10 and len(data) > 2:
        return data[3:].decode(f"iso8859-{data[2]}", "replace")
    if 1 <= first <= 0x0B and first != 0x08:
        return data[1:].decode(f"iso8859-{first + 4}", "replace")
    return data[1:].decode("latin-1")


def codec_of(stream_type, tags):
    """(kind, codec) of an elementary stream from its PMT entry."""
    by_tag = dict(tags)
    registration = by_tag.get(0x05, b"")[:4]
    fixed = {
        0x01: ("video", "mpeg1video"), 0x02: ("video", "mpeg2video"), 0x1B: ("video", "h264"), 0x24: ("video", "hevc"),
        0x10: ("video", "mpeg4part2"), 0x33: ("video", "vvc"), 0xEA: ("video", "vc1"), 0x42: ("video", "avs"),
        0x03: ("audio", "mpegaudio"), 0x04: ("audio", "mpegaudio"), 0x0F: ("audio", "aac"), 0x11: ("audio", "latm"),
        0x05: ("sections", "private_sections"), 0x86: ("sections", "scte35"), 0x15: ("data", "metadata_pes"),
        0x81: ("audio", "ac3"), 0x87: ("audio", "eac3"),
    }
    if stream_type == 0x86 and registration not in (b"CUEI", b"") \
            or stream_type in (0x81, 0x87) and registration not in (b"AC-3", b"EAC3", b""):
        return "data", "user_private"
    if stream_type in fixed:
        return fixed[stream_type]
    if 0x0A <= stream_type <= 0x0D:
        return "sections", "dsmcc"
    if stream_type in (0x13, 0x14, 0x16, 0x17, 0x18, 0x19):
        return "sections", f"type_0x{stream_type:02X}"
    if stream_type >= 0x80:
        return "data", "user_private"  # PES packets or not: who knows
    if stream_type == 0x06:
        for tag, kind, codec in (
            (0x56, "teletext", "teletext"), (0x46, "teletext", "vbi_teletext"), (0x59, "subtitle", "dvb_subtitle"),
            (0x6A, "audio", "ac3"), (0x7A, "audio", "eac3"), (0x7B, "audio", "dts"), (0x7C, "audio", "aac_private"),
        ):
            if tag in by_tag:
                return kind, codec
        return {b"AC-3": ("audio", "ac3"), b"EAC3": ("audio", "eac3"), b"HEVC": ("video", "hevc"),
                b"BSSD": ("audio", "s302m"), b"Opus": ("audio", "opus"), b"DTS1": ("audio", "dts"),
                b"DTS2": ("audio", "dts"), b"DTS3": ("audio", "dts"), b"AV01": ("video", "av1"),
                b"KLVA": ("data", "klv")}.get(registration, ("data", "private"))
    return "data", f"type_0x{stream_type:02X}"


class Program:
    """What the PMT in force says of one program."""

    def __init__(self, number, pmt_pid):
        self.number, self.pmt_pid = number, pmt_pid
        self.pcr_pid = None
        self.streams = []  # dictionaries
        self.tags = []
        self.mapped = False  # has a PMT been seen?

    def parse(self, section):
        """Takes a PMT section. Returns an error text or None."""
        if len(section) < 16:
            return "shorter than a PMT"
        pcr_pid = (section[8] & 0x1F) << 8 | section[9]
        info = (section[10] & 0x0F) << 8 | section[11]
        at, end = 12 + info, len(section) - 4
        if at > end:
            return "program_info_length"
        tags = descriptors(section[12:at])
        if tags is None:
            return "descriptor lengths in the program loop"
        streams = []
        while at < end:
            if at + 5 > end:
                return "a rest in the stream loop"
            length = (section[at + 3] & 0x0F) << 8 | section[at + 4]
            inner = descriptors(section[at + 5:at + 5 + length]) if at + 5 + length <= end else None
            if inner is None:
                return "descriptor lengths in the stream loop"
            kind, codec = codec_of(section[at], inner)
            language = next((body[:3].decode("latin-1") for tag, body in inner
                             if tag in (0x0A, 0x56, 0x59) and len(body) >= 3), None)
            streams.append({"pid": (section[at + 1] & 0x1F) << 8 | section[at + 2], "stream_type": section[at],
                            "kind": kind, "codec": codec, "language": language, "tags": inner})
            at += 5 + length
        self.pcr_pid, self.streams, self.tags, self.mapped = pcr_pid, streams, tags, True
        return None

    def ca_pids(self):
        for _, body in [t for loop in [self.tags] + [s["tags"] for s in self.streams] for t in loop if t[0] == 0x09]:
            if len(body) >= 4:
                yield (body[2] & 0x1F) << 8 | body[3]


class Tables:
    """Checks each section and keeps what the tables say. `changed()` is called when PAT or PMT in force change."""

    def __init__(self, findings, clock=None, psi_interval=500, si_gap=25, si_interval=None, changed=lambda: None):
        self.findings, self.clock, self.changed = findings, clock, changed
        self.psi_interval, self.si_gap = psi_interval * MS, si_gap * MS
        self.si_interval = {k: v * MS for k, v in {**SI_INTERVAL, **(si_interval or {})}.items()}
        self.programs = {}  # number: Program
        self.network_pid = 0x10
        self.tsid = None
        self.cat_pids = set()
        self.ever_referenced = set()
        self.names = {}  # service: (name, provider, type)
        self.seen = {}  # table_id: count of sections
        self.latest = {}  # repetition key: (elapsed at its end, packet)
        self.ends = {}  # 25 ms key: elapsed at the end of the last section
        self.gaps = {}  # table_id: largest interval
        self.content = {}  # sub-table: {"version", "sections", "last", "whole"}
        self.pairs = {}  # EIT p/f sub-table: {section_number: packet}
        self.since = {}  # program: elapsed when the PAT first listed it
        self.pat = {}  # section_number: section, of the version in force
        self.first = {}  # program: what its first PMT said

    # -- one section

    def section(self, pid, data, begin, end, index):
        add = self.findings.add
        table_id = data[0]
        self.seen[table_id] = self.seen.get(table_id, 0) + 1
        allowed = ALLOWED.get(pid)
        # other tables may share a program_map_PID (2.4.4.1), but not PAT or CAT
        if table_id not in allowed if allowed else table_id in (PAT, CAT):
            add("table_id", index, pid, f"0x{table_id:02X}")
            return
        if table_id == STUFFING:
            return
        long_form = bool(data[1] & 0x80)
        must_be_long = table_id in (PAT, CAT, PMT, TSDT) or 0x40 <= table_id <= 0x42 or table_id in (SDT_OTHER, BAT) \
            or 0x4E <= table_id <= 0x6F
        small = table_id in (PAT, CAT, PMT, TSDT, NIT, NIT_OTHER, SDT, SDT_OTHER, BAT, TDT, RST, TOT)
        if len(data) - 3 > (1021 if small else 4093):
            add("section_length", index, pid, f"{name_of(table_id)}: {len(data) - 3}")
        if must_be_long and not long_form or table_id in (TDT, TOT, SCTE35) and long_form:
            add("section_syntax", index, pid, f"{name_of(table_id)}: section_syntax_indicator")
            return
        if long_form and len(data) < 12 or table_id == TDT and len(data) != 8:
            add("section_length", index, pid, f"{name_of(table_id)}: {len(data) - 3}")
            return
        if (long_form or table_id in (TOT, SCTE35)) and crc32(data):
            add("section_crc", index, pid, name_of(table_id))
            return
        if long_form and data[6] > data[7]:
            add("section_syntax", index, pid, f"{name_of(table_id)}: section {data[6]} of {data[7]}")
            return
        self._timing(pid, data, long_form, begin, end, index)
        if not long_form or not data[5] & 1:
            return  # nothing with a version, or not yet in force
        if must_be_long:
            self._versions(pid, data, index)
        if table_id == PAT and pid == 0:
            self._pat(data, index)
        elif table_id == CAT and pid == 1:
            tags = descriptors(data[8:-4])
            if tags is None:
                add("section_syntax", index, pid, "CAT: descriptor lengths")
            else:
                self.cat_pids |= {(b[2] & 0x1F) << 8 | b[3] for t, b in tags if t == 0x09 and len(b) >= 4}
                self.ever_referenced |= self.cat_pids
        elif table_id == PMT:
            self._pmt(pid, data, index)
        elif table_id == SDT:
            self._sdt(pid, data, index)
        elif table_id in (EIT, EIT_OTHER) and len(data) >= 18:
            when = self.clock.elapsed(begin) if self.clock is not None else 0
            self.pairs.setdefault((table_id, data[3:5], data[8:12]), {}).setdefault(data[6], (index, when))

    @staticmethod
    def _sub_table(pid, data):
        """What a version belongs to: EN 300 468 5.1.1 and 5.2."""
        table_id = data[0]
        if table_id in (SDT, SDT_OTHER):
            return pid, table_id, data[3:5], data[8:10]
        if 0x4E <= table_id <= 0x6F:
            return pid, table_id, data[3:5], data[8:12]
        return pid, table_id, data[3:5]

    # -- repetition

    def _timing(self, pid, data, long_form, begin, end, index):
        if self.clock is None:
            return
        table_id = data[0]
        first, last = self.clock.elapsed(begin), self.clock.elapsed(end)
        if pid in SI_PIDS:
            key = (pid, table_id, data[3:5] if long_form else None)
            before = self.ends.get(key)
            if before is not None and first - before < self.si_gap - MS / 1000:
                self.findings.add("si_gap", index, pid, f"{name_of(table_id)}: {(first - before) / MS:.3f} ms")
            self.ends[key] = last
        if long_form and not data[5] & 1:
            return
        key = self._sub_table(pid, data) + (data[6],) if long_form else (pid, table_id)
        limit = self.psi_interval if table_id in (PAT, PMT) else self.si_interval.get(table_id)
        before = self.latest.get(key)
        if before is None and table_id == PAT and not self.seen_pat():
            before = (0.0, 0)  # the file must begin with one within the interval
        if before is None and table_id == PMT:
            number = data[3] << 8 | data[4]
            before = (self.since[number], 0) if number in self.since else None
        if before is not None:
            gap = last - before[0]
            self.gaps[table_id] = max(self.gaps.get(table_id, 0), gap)
            if limit and gap > limit + MS / 100:
                name = "psi_interval" if table_id in (PAT, PMT) else "si_interval"
                self.findings.add(name, index, pid, f"{name_of(table_id)}: {gap / MS:.1f} ms")
        self.latest[key] = (last, index)

    def seen_pat(self):
        return any(key[1] == PAT for key in self.latest)

    # -- versions

    def _versions(self, pid, data, index):
        key = self._sub_table(pid, data)
        version, number, last = data[5] >> 1 & 31, data[6], data[7]
        state = self.content.get(key)
        body = data[:5] + data[6:-4]  # without version_number and CRC_32
        if state is None or state["version"] != version:
            whole = state["whole"] if state else None
            state = self.content[key] = {"version": version, "sections": {}, "last": last, "whole": None,
                                         "before": whole}
        before = state["sections"].get(number)
        if before is not None and before != body or state["last"] != last:
            self.findings.add("version_stale", index, pid, f"{name_of(data[0])} version {version} section {number}")
            state["sections"].clear()
            state["whole"] = state["before"] = None
            state["last"] = last
        if before is None or before != body:
            state["sections"][number] = body
            # EIT schedule sub-tables have gaps: nobody can tell when one is whole
            if not 0x50 <= data[0] <= 0x6F and len(state["sections"]) == last + 1:
                state["whole"] = tuple(state["sections"][k] for k in sorted(state["sections"]))
                if state["before"] is not None and state["before"] == state["whole"]:
                    self.findings.add("version_idle", index, pid, f"{name_of(data[0])} version {version}")
                state["before"] = None

    # -- what the tables say

    def _pat(self, data, index):
        tsid = data[3] << 8 | data[4]
        self.tsid = tsid
        if (len(data) - 12) % 4:
            self.findings.add("section_syntax", index, 0, "PAT: a rest in the program loop")
            return
        if self.pat and self.pat[next(iter(self.pat))][5] != data[5]:
            self.pat = {}
        if self.pat.get(data[6]) == data:
            return
        self.pat[data[6]] = data
        if len(self.pat) <= data[7]:
            return
        wanted = {}
        for section in self.pat.values():
            for at in range(8, len(section) - 4, 4):
                number, pid = section[at] << 8 | section[at + 1], (section[at + 2] & 0x1F) << 8 | section[at + 3]
                if not 0x10 <= pid <= 0x1FFE:
                    self.findings.add("program_pids", index, 0, f"PAT: program {number} on PID {pid}")
                if number == 0:
                    self.network_pid = pid
                elif number in wanted:
                    self.findings.add("program_pids", index, 0, f"PAT: program {number} twice")
                else:
                    wanted[number] = pid
        self.ever_referenced |= set(wanted.values()) | {self.network_pid}
        now = self.latest.get((0, PAT, data[3:5], data[6]), (0.0, 0))[0]
        for number, pid in wanted.items():
            program = self.programs.get(number)
            if program is None or program.pmt_pid != pid:
                self.programs[number] = Program(number, pid)
                self.since[number] = now
        for number in [n for n in self.programs if n not in wanted]:
            del self.programs[number]
            self.since.pop(number, None)
        self.changed()

    def _pmt(self, pid, data, index):
        number = data[3] << 8 | data[4]
        program = self.programs.get(number)
        if program is None or program.pmt_pid != pid:
            return
        if data[6] or data[7]:
            self.findings.add("section_syntax", index, pid, "PMT: section numbers are not zero")
        state = (data[5], data[8:])
        if getattr(program, "state", None) == state:
            return
        program.state = state
        wrong = program.parse(data)
        if wrong:
            self.findings.add("section_syntax", index, pid, f"PMT: {wrong}")
            return
        self.first.setdefault(number, copy.copy(program))
        pids = [s["pid"] for s in program.streams]
        for p in pids + [program.pcr_pid]:
            if not 0x10 <= p <= 0x1FFE and not (p == 0x1FFF and p == program.pcr_pid):
                self.findings.add("program_pids", index, pid, f"PMT of {number}: PID {p}")
        if len(set(pids)) < len(pids):
            self.findings.add("program_pids", index, pid, f"PMT of {number}: a PID twice")
        self.ever_referenced |= set(pids) | {program.pcr_pid} | set(program.ca_pids())
        self.changed()

    def _sdt(self, pid, data, index):
        at, end = 11, len(data) - 4
        while at + 5 <= end:
            length = (data[at + 3] & 0x0F) << 8 | data[at + 4]
            tags = descriptors(data[at + 5:at + 5 + length]) if at + 5 + length <= end else None
            if tags is None:
                self.findings.add("section_syntax", index, pid, "SDT: descriptor lengths")
                return
            for tag, body in tags:
                if tag == 0x48 and len(body) >= 3 and 3 + body[1] <= len(body):
                    provider = body[2:2 + body[1]]
                    name = body[3 + body[1]:3 + body[1] + body[2 + body[1]]]
                    self.names[data[at] << 8 | data[at + 1]] = (text(name), text(provider), body[0])
            at += 5 + length
        if at != end:
            self.findings.add("section_syntax", index, pid, "SDT: a rest in the service loop")

    # -- the end of the file

    def finish(self, total, required=()):
        """What only the end shows: absent tables, and intervals that run into it. `total`: elapsed, or None."""
        add = self.findings.add
        if not self.seen.get(PAT):
            add("pat_absent", detail="no section with table_id 0 on PID 0")
        for number, program in sorted(self.programs.items()):
            if not program.mapped:
                add("pmt_absent", pid=program.pmt_pid, detail=f"program {number}")
        for name in required:
            if not self.seen.get(REQUIRABLE[name]):
                add("table_absent", detail=name)
        if self.clock is not None and total is not None:
            newest = {}
            for key, (last, index) in self.latest.items():
                if key[1] in (PAT, SDT):
                    newest[key[:3]] = max(newest.get(key[:3], (0, 0)), (last, index))
                elif key[1] == PMT:
                    program = self.programs.get(key[2][0] << 8 | key[2][1])
                    if program is not None and program.pmt_pid == key[0]:
                        newest[key[:3]] = (last, index)
            for key, (last, index) in newest.items():
                limit = self.si_interval[SDT] if key[1] == SDT else self.psi_interval
                if total - last > limit + MS / 100:
                    add("si_interval" if key[1] == SDT else "psi_interval", index, key[0],
                        f"{name_of(key[1])}: {(total - last) / MS:.1f} ms to the end")
        for (table_id, service, _), numbers in self.pairs.items():
            if set(numbers) < {0, 1}:
                (number, (index, when)), = numbers.items()
                # the other one may still be due
                if total is not None and total - when > self.si_interval[table_id]:
                    add("eit_pf_pair", index, 0x12,
                        f"{name_of(table_id)} of service {service[0] << 8 | service[1]}: only section {number}")

    def report(self):
        return {
            "transport_stream_id": self.tsid,
            "sections": {name_of(t): n for t, n in sorted(self.seen.items())},
            "max_interval_ms": {name_of(t): round(g / MS, 3) for t, g in sorted(self.gaps.items())},
        }
