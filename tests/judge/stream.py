"""A small writer of transport streams for the judge's own tests: constant rate, one program, every byte made by hand.

Nothing here is shared with the judge but the standards; the CRC is computed the slow way on purpose.
"""

from dataclasses import dataclass, field

TICKS = 27_000_000
NULL = bytes([0x47, 0x1F, 0xFF, 0x10]) + b"\xff" * 184
PAT_PID, PMT_PID, VIDEO, AUDIO, SDT_PID, EIT_PID, TDT_PID = 0, 0x100, 0x101, 0x102, 0x11, 0x12, 0x14


def crc32(data):
    """CRC_32 of 13818-1 annex A, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            top = value >> 31 ^ byte >> bit & 1
            value = value << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if top else 0)
    return value.to_bytes(4, "big")


def section(table_id, extension, body, version=0, number=0, last=0, current=1, private=0):
    """A long section with its CRC."""
    length = len(body) + 9
    head = bytes([table_id, 0x80 | private << 6 | 0x30 | length >> 8, length & 255]) + extension.to_bytes(2, "big")
    data = head + bytes([0xC0 | version << 1 | current, number, last]) + body
    return data + crc32(data)


def pat(programs=((1, PMT_PID),), version=0, tsid=1, **more):
    return section(0, tsid, b"".join(n.to_bytes(2, "big") + (0xE000 | p).to_bytes(2, "big") for n, p in programs),
                   version, **more)


def pmt(streams=((0x02, VIDEO, b""), (0x03, AUDIO, b"")), pcr=VIDEO, version=0, number=1, info=b""):
    body = (0xE000 | pcr).to_bytes(2, "big") + (0xF000 | len(info)).to_bytes(2, "big") + info
    for kind, pid, tags in streams:
        body += bytes([kind]) + (0xE000 | pid).to_bytes(2, "big") + (0xF000 | len(tags)).to_bytes(2, "big") + tags
    return section(2, number, body, version)


def sdt(name=b"Service", provider=b"Maker", service=1, version=0, table_id=0x42):
    tag = bytes([1, len(provider)]) + provider + bytes([len(name)]) + name
    tag = bytes([0x48, len(tag)]) + tag
    body = b"\x00\x01\xff" + service.to_bytes(2, "big") + b"\xfc" + (0x8000 | len(tag)).to_bytes(2, "big") + tag
    return section(table_id, 1, body, version, private=1)


def eit(number=0, service=1, version=0, table_id=0x4E):
    return section(table_id, service, b"\x00\x01\x00\x01\x01\x4e", version, number, 1, private=1)


def packetize(sections, pid, pointer=0):
    """Sections back to back, one packet unit at a time; each section begins a packet."""
    out = []
    for data in sections:
        data = bytes([pointer]) + data
        first = True
        while data:
            part, data = data[:184], data[184:]
            out.append(packet(pid, part + b"\xff" * (184 - len(part)), start=first))
            first = False
    return out


def packet(pid, payload=b"", start=False, pcr=None, rai=False, discontinuity=False, scrambling=0):
    """A packet; an adaptation field is made where it is needed. Counters come later."""
    flags = (0x80 if discontinuity else 0) | (0x40 if rai else 0) | (0x10 if pcr is not None else 0)
    fields = b""
    if pcr is not None:
        base, extension = divmod(pcr % (300 << 33), 300)
        fields = (base << 15 | 0x7E00 | extension).to_bytes(6, "big")
    room = 184 - len(payload)
    if flags or room:
        adaptation = bytes([flags]) + fields if flags or room > 1 else b""
        adaptation += b"\xff" * (room - 1 - len(adaptation))
        assert len(adaptation) == room - 1, "too much payload"
        body = bytes([room - 1]) + adaptation + payload
    else:
        body = payload
    control = scrambling << 6 | (0x20 if room else 0) | (0x10 if payload else 0)
    return bytearray([0x47, (0x40 if start else 0) | pid >> 8, pid & 255, control]) + body


def stamp(value, prefix):
    value %= 1 << 33
    return bytes([prefix << 4 | value >> 29 & 14 | 1, value >> 22 & 255, value >> 14 & 254 | 1, value >> 7 & 255,
                  value << 1 & 254 | 1])


def pes(stream_id, payload, pts=None, dts=None, length=None):
    """`length`: None for the true one, or a number."""
    fields = b""
    if dts is not None:
        fields = stamp(pts, 3) + stamp(dts, 1)
    elif pts is not None:
        fields = stamp(pts, 2)
    head = bytes([0x80, (0xC0 if dts is not None else 0x80 if pts is not None else 0), len(fields)]) + fields
    if length is None:
        length = len(head) + len(payload)
    return b"\0\0\1" + bytes([stream_id]) + length.to_bytes(2, "big") + head + payload


# -- elementary streams

def bits(text):
    """Bytes of a string of 0 and 1, filled with zeros."""
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return bytes(int(text[k:k + 8], 2) for k in range(0, len(text), 8))


def u(value, n):
    return format(value, f"0{n}b")


def ue(value):
    text = format(value + 1, "b")
    return "0" * (len(text) - 1) + text


def mpeg2_sequence(level=8, bit_rate=2_000_000, vbv=112, low_delay=0):
    """Sequence header and extension, Main profile, 720x576 at 25 Hz; vbv in 16 384 bits."""
    rate = bit_rate // 400
    head = bits(u(720, 12) + u(576, 12) + u(2, 4) + u(3, 4) + u(rate & 0x3FFFF, 18) + "1" + u(vbv & 1023, 10) + "000")
    extension = bits(u(1, 4) + u(4 << 4 | level, 8) + "0 01 00 00" + u(rate >> 18, 12) + "1" + u(vbv >> 10, 8)
                     + u(low_delay, 1) + "00 00000")
    return b"\0\0\1\xb3" + head + b"\0\0\1\xb5" + extension


def mpeg2_picture(number, kind, size, sequence=b""):
    """A picture of so many bytes; kind 1, 2, 3 is I, P, B. The slice data holds no start code."""
    data = sequence
    if kind == 1:
        data += b"\0\0\1\xb8" + bits("0" + u(0, 5) + u(0, 6) + "1" + u(0, 6) + u(0, 6) + "1 0 00000")
    data += b"\0\0\1\x00" + bits(u(number & 1023, 10) + u(kind, 3) + u(0xFFFF, 16) + "0000 0")
    data += b"\0\0\1\xb5" + bits(u(8, 4) + "1111" * 4 + "00 11 1 1 0000001 1 0")
    data += b"\0\0\1\x01"
    return data + b"\x5a" * (size - len(data))


def avc_sps(profile=100, level=30):
    """A plain SPS without VUI: 640x352."""
    text = u(profile, 8) + u(0, 8) + u(level, 8) + ue(0)
    if profile == 100:
        text += ue(1) + ue(0) + ue(0) + "0" + "0"
    text += ue(0) + ue(2) + ue(1) + "0" + ue(39) + ue(21) + "1" + "1" + "0" + "0" + "1"
    return b"\0\0\0\1\x67" + bits(text)


def avc_picture(kind, size, sps=b"", aud=True, idr=False, number=0):
    """kind as slice_type: 2 I, 0 P, 1 B."""
    data = b"\0\0\0\1\x09\xf0" if aud else b""
    if sps:
        data += sps + b"\0\0\0\1\x68" + bits(ue(0) + ue(0) + "1")
    nal = 0x65 if idr else 0x41
    data += b"\0\0\0\1" + bytes([nal]) + bits(ue(0) + ue(kind + 5) + ue(0) + u(number & 15, 4) + "1")
    return data + b"\x5a" * (size - len(data))


def mp2_frame(rate_index=10, fill=0xA5):
    """MPEG-1 layer II, 48 kHz: 24 ms; index 10 is 192 kbit/s, 576 bytes."""
    kbit = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)[rate_index]
    size = 144 * kbit // 48
    return bytes([0xFF, 0xFD, rate_index << 4 | 4, 0x00]) + bytes([fill]) * (size - 4)


# -- the multiplex

@dataclass
class Mux:
    """Packets with the time they are due; each goes into the first free slot then, the rest are null packets."""

    rate: int = 3_008_000  # 2000 packets a second
    start: int = 10 * TICKS  # PCR of the first byte that a PCR could date, at position 0
    jobs: list = field(default_factory=list)  # (due in ticks, order, packet or a function of the PCR)

    def add(self, due, *packets, spacing=0):
        for k, p in enumerate(packets):
            self.jobs.append((due + k * spacing, len(self.jobs), p))

    def pcr_at(self, slot):
        return self.start + round((slot * 188 + 10) * 8 * TICKS / self.rate)

    def packets(self, seconds):
        """The stream, with PCRs filled in and counters set."""
        out = []
        jobs = sorted(self.jobs, key=lambda job: job[:2])
        at = 0
        for slot in range(int(seconds * self.rate / 8 / 188)):
            now = slot * 188 * 8 * TICKS / self.rate
            if at < len(jobs) and jobs[at][0] <= now:
                p = jobs[at][2]
                out.append(bytearray(p(self.pcr_at(slot)) if callable(p) else p))
                at += 1
            else:
                out.append(bytearray(NULL))
        return renumber(out)


def renumber(packets, only=None):
    """Sets the continuity counters anew."""
    counters = {}
    for p in packets:
        pid = (p[1] & 0x1F) << 8 | p[2]
        if pid == 0x1FFF or only is not None and pid != only:
            continue
        counter = counters.get(pid, -1)
        if p[3] & 0x10:
            counter = counter + 1 & 15
        counters[pid] = counter
        p[3] = p[3] & 0xF0 | counter & 15
    return packets


MS = TICKS // 1000


def split(pid, data, pcr_first=None, rai=False, discontinuity=False):
    """A PES packet in transport packets. With `pcr_first` the first is a function of the PCR."""
    out = []
    first = True
    while data:
        room = 184
        if first and (pcr_first or rai or discontinuity):
            room -= 8 if pcr_first else 2
        part, data = data[:room], data[room:]
        if first and pcr_first:
            def made(pcr, part=part):
                return packet(pid, part, True, pcr=pcr, rai=rai, discontinuity=discontinuity)
            out.append(made)
        else:
            out.append(packet(pid, part, first, rai=rai and first, discontinuity=discontinuity and first))
        first = False
    return out


def clean(seconds=3.0, rate=3_008_000, start=10 * TICKS, picture=3000, video_delay=200, audio_delay=40, pcr_every=30,
          psi_every=100, sdt_every=1000, sequence=None, stamps=None, audio_pes=None, video_pes=None, extra=None, pat_section=None,
          pmt_section=None, sdt_section=None, pcr_filter=None, audio_spacing=2, video_burst=False, codec="mpeg2", aud=True):
    """One program of MPEG-2 (or AVC) video and MP2 audio that breaks no rule. Times in ms.

    `stamps(pid, k, pts, dts)` may change time stamps, `audio_pes(k, data)` and `video_pes` whole PES packets (None drops
    one), `extra(mux)` adds to the multiplex, `pcr_filter(ms)` says whether a PCR goes out.
    """
    mux = Mux(rate, start)
    base = start // 300
    sequence = mpeg2_sequence() if sequence is None else sequence
    n = 0
    while n * psi_every < seconds * 1000:
        mux.add(n * psi_every * MS, *packetize([pat_section or pat()], PAT_PID))
        mux.add((n * psi_every + 3) * MS, *packetize([pmt_section or pmt(
            ((0x02 if codec == "mpeg2" else 0x1B, VIDEO, b""), (0x03, AUDIO, b"")))], PMT_PID), spacing=3 * MS)
        n += 1
    n = 0
    while sdt_every and n * sdt_every < seconds * 1000:
        mux.add((n * sdt_every + 7) * MS, *packetize([sdt_section or sdt()], SDT_PID))
        n += 1
    # video: 25 pictures a second, I every twelfth, all arriving evenly over their 40 ms
    k = 0
    while k * 40 + 60 < seconds * 1000:
        intra = k % 12 == 0
        if codec == "mpeg2":
            data = mpeg2_picture(k, 1 if intra else 2, picture, sequence if intra else b"")
        else:
            data = avc_picture(2 if intra else 0, picture, avc_sps() if intra else b"", aud, intra)
        td = base + round((10 + k * 40 + video_delay) * 90)
        pts, dts = td + 3600, td
        if stamps:
            pts, dts = stamps(VIDEO, k, pts, dts)
        data = pes(0xE0, data, pts, dts)
        if video_pes:
            data = video_pes(k, data)
        if data:
            parts = split(VIDEO, data, pcr_first=intra, rai=intra)
            mux.add((10 + k * 40) * MS, *parts, spacing=0 if video_burst else 38 * MS // max(len(parts), 1))
        k += 1
    # PCRs of their own
    k = 0
    while k * pcr_every < seconds * 1000:
        if pcr_filter is None or pcr_filter(k * pcr_every):
            mux.add(k * pcr_every * MS, lambda pcr: packet(VIDEO, pcr=pcr))
        k += 1
    # audio: frames of 24 ms, one a PES packet
    k = 0
    while k * 24 + 40 < seconds * 1000:
        pts = base + round((12 + k * 24 + audio_delay) * 90)
        if stamps:
            pts, _ = stamps(AUDIO, k, pts, None)
        data = pes(0xC0, mp2_frame(), pts)
        if audio_pes:
            data = audio_pes(k, data)
        if data:
            mux.add((12 + k * 24) * MS, *split(AUDIO, data), spacing=int(audio_spacing * MS))
        k += 1
    if extra:
        extra(mux)
    return mux.packets(seconds)


def pid_of(p):
    return (p[1] & 0x1F) << 8 | p[2]


def places(packets, pid, start=None, payload=None):
    """Indices of the packets of a PID."""
    return [i for i, p in enumerate(packets) if pid_of(p) == pid and (start is None or bool(p[1] & 0x40) == start)
            and (payload is None or bool(p[3] & 0x10) == payload)]
