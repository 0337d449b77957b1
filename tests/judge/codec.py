"""Elementary streams: where access units begin, what they are, and the figures the T-STD needs.

ISO/IEC 13818-2 6.2, 14496-10 7.3 and 7.4.1.2.3, 23008-2 7.3 and 7.4.2.4.4, 11172-3 2.4.1, 13818-7 (ADTS), 14496-3 1.7
(LOAS), ETSI TS 102 366 (AC-3, E-AC-3). A parser is fed the payload of one PES packet at a time, with its position in the
elementary stream, and lists the access units that begin in it.
"""

from clock import TICKS


class Unit:
    """One access unit. `start` is its position in the elementary stream."""

    __slots__ = ("start", "duration", "info")

    def __init__(self, start, duration=None, info=None):
        self.start, self.duration, self.info = start, duration, info if info is not None else {}


class Whole:
    """A stream of unknown make: every PES packet is one unit."""

    params = None
    resyncs = 0

    def __init__(self):
        self.units = []

    def feed(self, data, position):
        if data:
            self.units.append(Unit(position))

    def flush(self):
        pass

    def lose(self):
        pass


class Subtitle(Whole):
    """DVB subtitles: a PES packet is a unit; notes a display definition segment (EN 300 743 7.2.1)."""

    def __init__(self):
        super().__init__()
        self.params = {"display_definition": False}

    def feed(self, data, position):
        super().feed(data, position)
        at = 2
        while at + 6 <= len(data) and data[at] == 0x0F:
            if data[at + 1] == 0x14:
                self.params = {"display_definition": True}
            at += 6 + (data[at + 4] << 8 | data[at + 5])


# -- video

class Video:
    """Walks the start codes of a video stream."""

    HEAD = 12  # bytes of a unit that a look at its header may need
    ZERO_BYTE = True
    LONG = 2048  # bytes of a parameter set that are waited for

    def __init__(self):
        self.units = []
        self.unit = None
        self.params = None
        self.carry = b""
        self.resyncs = 0

    def lose(self):
        """Bytes are missing: the unit under way is not whole, what follows begins anew."""
        self.carry = b""
        self.unit = None
        self.reset()

    def feed(self, data, position):
        held = len(self.carry)
        self._walk(self.carry + data if self.carry else data, position - held, held, False)

    def flush(self):
        if self.carry:
            self._walk(self.carry, self.end - len(self.carry), 0, True)

    def _walk(self, data, base, edge, last):
        # a zero byte before the prefix is the unit's, but not across the edge between two PES packets
        zero_byte = self.ZERO_BYTE
        find = data.find
        size = len(data)
        self.end = base + size
        i = find(b"\0\0\1")
        while i >= 0:
            j = find(b"\0\0\1", i + 3)
            if j < 0 and not last and (size - i < self.HEAD or self.is_long(data[i + 3]) and size - i < self.LONG):
                self.carry = data[max(i - 1, 0):]
                return
            if i + 4 <= size:
                self.value_at = base + i + 3
                begin = i - 1 if zero_byte and i and i != edge and data[i - 1] == 0 else i
                self.start_code(data, i + 3, j if j >= 0 else size, base + begin)
            i = j
        self.carry = data[-4:] if not last else b""

    def begin(self, position):
        self.unit = Unit(position)
        self.units.append(self.unit)
        return self.unit.info


class Mpeg2(Video):
    ZERO_BYTE = False
    TYPES = {1: "I", 2: "P", 3: "B", 4: "D"}

    def __init__(self, mpeg1=False):
        super().__init__()
        self.mpeg1 = mpeg1
        self.sequence = None
        self.no_vbv = False  # vbv_delay is 0xFFFF
        self.reset()

    def reset(self):
        self.picture = False

    def is_long(self, code):
        return code in (0xB3, 0xB5)

    def start_code(self, data, at, end, position):
        code = data[at]
        if 1 <= code <= 0xAF or code == 0xB2:
            return
        if code in (0xB3, 0xB8, 0x00) and (self.unit is None or self.picture):
            self.begin(position)
            self.picture = False
        if self.unit is None:
            return
        info = self.unit.info
        if code == 0xB3 and end - at >= 9:
            info["sequence"] = True
            # 12 bits width, 12 height, 4 aspect, 4 rate, 18 bit_rate, marker, 10 vbv_buffer_size
            self.sequence = {
                "mpeg1": True, "profile": None, "level": None, "low_delay": False,
                "bit_rate": (data[at + 5] << 10 | data[at + 6] << 2 | data[at + 7] >> 6),
                "vbv": (data[at + 7] & 0x1F) << 5 | data[at + 8] >> 3,
            }
            if self.mpeg1:
                self.params = dict(self.sequence, no_vbv=self.no_vbv)
        elif code == 0xB5 and end - at >= 7 and data[at + 1] >> 4 == 1 and self.sequence is not None:
            # id 4, profile_and_level 8, progressive 1, chroma 2, h 2, v 2, bit_rate 12, marker 1, vbv 8, low_delay 1
            level = (data[at + 1] & 15) << 4 | data[at + 2] >> 4
            rate = (data[at + 3] & 0x1F) << 7 | data[at + 4] >> 1
            s = dict(self.sequence, mpeg1=False, profile=level >> 4 & 7, level=level & 15, escape=level >> 7,
                     low_delay=bool(data[at + 6] & 0x80), no_vbv=self.no_vbv)
            s["bit_rate"] = (rate << 18 | self.sequence["bit_rate"] & 0x3FFFF)
            s["vbv"] = data[at + 5] << 10 | self.sequence["vbv"] & 0x3FF
            if s != self.params:
                self.params = s
        elif code == 0xB8 and end - at >= 5:
            info["gop"] = {"closed": bool(data[at + 4] & 0x40), "broken_link": bool(data[at + 4] & 0x20)}
        elif code == 0x00 and end - at >= 5:
            self.picture = True
            info["temporal_reference"] = data[at + 1] << 2 | data[at + 2] >> 6
            info["type"] = self.TYPES.get(data[at + 2] >> 3 & 7, "?")
            info["vbv_delay"] = (data[at + 2] & 7) << 13 | data[at + 3] << 5 | data[at + 4] >> 3
            info["code_end"] = self.value_at + 1
            self.no_vbv = info["vbv_delay"] == 0xFFFF
            if self.params and self.params["no_vbv"] != self.no_vbv:
                self.params = dict(self.params, no_vbv=self.no_vbv)
        elif code == 0xB5 and end - at >= 4 and data[at + 1] >> 4 == 8:
            info["structure"] = {1: "top", 2: "bottom", 3: "frame"}.get(data[at + 3] & 3, "?")


class Bits:
    """Reads a raw byte sequence payload bit by bit; emulation prevention bytes are taken out first."""

    def __init__(self, nal):
        clean = nal.replace(b"\0\0\3", b"\0\0")
        self.value = int.from_bytes(clean, "big")
        self.left = len(clean) * 8

    def u(self, n):
        if n > self.left:
            raise ValueError("too short")
        self.left -= n
        return self.value >> self.left & (1 << n) - 1

    def ue(self):
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self):
        k = self.ue()
        return (k + 1) // 2 if k & 1 else -(k // 2)


def vui_head(b):
    """Passes over what VUI parameters of AVC (E.1.1) and HEVC (E.2.1) begin with: aspect ratio,
    overscan, video signal, place of chroma samples."""
    if b.u(1) and b.u(8) == 255:
        b.u(32)
    if b.u(1):
        b.u(1)
    if b.u(1):
        b.u(4)
        if b.u(1):
            b.u(24)
    if b.u(1):
        b.ue(), b.ue()


class Avc(Video):
    SLICES = "PBIpi"  # slice_type modulo 5: P, B, I, SP, SI

    def __init__(self):
        super().__init__()
        self.reset()
        self.sps = None

    def reset(self):
        self.coded = False

    def is_long(self, code):
        return code & 31 in (6, 7, 8)

    def start_code(self, data, at, end, position):
        kind = data[at] & 31
        slice_nal = kind in (1, 2, 5)
        if kind in (6, 7, 8, 9, 14, 15, 16, 17, 18):
            new = self.unit is None or self.coded
        else:
            new = slice_nal and (self.unit is None or self.coded and end - at > 1 and data[at + 1] & 0x80)
        if new:
            self.begin(position).update(nals=[], aud=kind == 9, idr=False, slices="")
            self.coded = False
        if self.unit is None:
            return
        info = self.unit.info
        nals = info["nals"]
        if not slice_nal or not nals or nals[-1] != kind:
            nals.append(kind)
        if slice_nal:
            self.coded = True
            if kind == 5:
                info["idr"] = True
            try:
                bits = Bits(data[at + 1:min(end, at + 16)])
                bits.ue()
                letter = self.SLICES[bits.ue() % 5]
                if letter not in info["slices"]:
                    info["slices"] += letter
                info["type"] = "B" if "B" in info["slices"] else "P" if set("Pp") & set(info["slices"]) else "I"
                if "frame_num" not in info and self.sps:
                    bits.ue()
                    if self.sps["separate"]:
                        bits.u(2)
                    info["frame_num"] = bits.u(self.sps["frame_num_bits"])
                    info["field"] = None
                    if not self.sps["frame_mbs_only"] and bits.u(1):
                        info["field"] = "bottom" if bits.u(1) else "top"
            except ValueError:
                pass
        elif kind == 6 and "initial" not in info:
            try:
                self._sei(Bits(data[at + 1:end]), info)
            except ValueError:
                pass
        elif kind == 7:
            try:
                self.sps = self._sps(Bits(data[at + 1:end]))
            except (ValueError, IndexError):
                return
            if self.sps != self.params:
                self.params = self.sps

    def _sei(self, b, info):
        """D.1.1: the buffering period message comes first; of several schedules the last counts."""
        hrd = self.sps and self.sps["hrd"]
        if not hrd or b.u(8) != 0:
            return
        b.u(8), b.ue()
        for _ in range(hrd["count"]):
            info["initial"] = b.u(hrd["delay_bits"]), b.u(hrd["delay_bits"])

    @staticmethod
    def _sps(b):
        profile, constraints, level = b.u(8), b.u(8), b.u(8)
        b.ue()
        sps = {"profile": profile, "constraints": constraints, "level": level, "separate": 0, "hrd": None,
               "low_delay": False}
        if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
            chroma = b.ue()
            if chroma == 3:
                sps["separate"] = b.u(1)
            b.ue(), b.ue(), b.u(1)
            if b.u(1):
                for k in range(8 if chroma != 3 else 12):
                    if b.u(1):
                        last = after = 8
                        for _ in range(16 if k < 6 else 64):
                            if after:
                                after = (last + b.se()) % 256
                            last = after or last
        sps["frame_num_bits"] = b.ue() + 4
        order = b.ue()
        if order == 0:
            b.ue()
        elif order == 1:
            b.u(1), b.se(), b.se()
            for _ in range(b.ue()):
                b.se()
        b.ue(), b.u(1), b.ue(), b.ue()
        sps["frame_mbs_only"] = b.u(1)
        if not sps["frame_mbs_only"]:
            b.u(1)
        b.u(1)
        if b.u(1):
            for _ in range(4):
                b.ue()
        if b.u(1):
            Avc._vui(b, sps)
        return sps

    @staticmethod
    def _vui(b, sps):
        vui_head(b)
        if b.u(1):
            sps["tick"], sps["scale"] = b.u(32), b.u(32)
            b.u(1)
        nal = b.u(1)
        if nal:
            sps["hrd"] = Avc._hrd(b)
        vcl = b.u(1)
        if vcl:
            Avc._hrd(b)
        if nal or vcl:
            sps["low_delay"] = bool(b.u(1))

    @staticmethod
    def _hrd(b):
        count = b.ue() + 1
        rate_scale, size_scale = b.u(4), b.u(4)
        entries = []
        for _ in range(count):
            rate = (b.ue() + 1) << 6 + rate_scale
            size = (b.ue() + 1) << 4 + size_scale
            entries.append((rate, size, b.u(1)))
        delay_bits = b.u(5) + 1
        b.u(15)
        return {"rate": max(r for r, *_ in entries), "cpb": max(s for _, s, _ in entries), "last": entries[-1],
                "count": count, "delay_bits": delay_bits}


class Hevc(Video):
    def __init__(self):
        super().__init__()
        self.extra = {}  # PPS id: num_extra_slice_header_bits
        self.vps_hrd = None
        self.reset()

    def reset(self):
        self.coded = False

    def is_long(self, code):
        return 32 <= code >> 1 & 63 <= 34 or code >> 1 & 63 == 39

    def start_code(self, data, at, end, position):
        if end - at < 3:
            return
        kind = data[at] >> 1 & 63
        if (data[at] & 1) << 5 | data[at + 1] >> 3:
            return  # another layer
        slice_nal = kind < 32
        if 32 <= kind <= 35 or kind == 39 or 41 <= kind <= 44 or 48 <= kind <= 55:
            new = self.unit is None or self.coded
        else:
            new = slice_nal and (self.unit is None or self.coded and data[at + 2] & 0x80)
        if new:
            self.begin(position).update(nals=[], aud=kind == 35, irap=False, slices="")
            self.coded = False
        if self.unit is None:
            return
        info = self.unit.info
        nals = info["nals"]
        if not slice_nal or not nals or nals[-1] != kind:
            nals.append(kind)
        try:
            if slice_nal:
                self.coded = True
                info["irap"] |= 16 <= kind <= 23
                bits = Bits(data[at + 2:min(end, at + 20)])
                if bits.u(1):  # only the first slice segment: others need the picture's size
                    if 16 <= kind <= 23:
                        bits.u(1)
                    bits.u(self.extra.get(bits.ue(), 0))
                    info["slices"] = info["type"] = "BPI"[bits.ue()]
            elif kind == 32:
                self.vps_hrd = self._vps(Bits(data[at + 2:end]))
            elif kind == 39 and "initial" not in info:
                self._sei(Bits(data[at + 2:end]), info)
            elif kind == 33:
                # sps_video_parameter_set_id 4, sub_layers 3, nesting 1, space 2, tier 1, profile 5, 32, 48, level 8
                bits = Bits(data[at + 2:min(end, at + 40)])
                bits.u(10)
                tier, profile = bits.u(1), bits.u(5)
                bits.u(80)
                params = {"tier": tier, "profile": profile, "level": bits.u(8)}
                try:
                    hrd = self._sps_hrd(Bits(data[at + 2:end]))
                except ValueError:
                    hrd = None
                params["hrd"] = hrd or self.vps_hrd
                if params != self.params:
                    self.params = params
            elif kind == 34:
                bits = Bits(data[at + 2:min(end, at + 20)])
                number = bits.ue()
                bits.ue()
                bits.u(2)
                self.extra[number] = bits.u(3)
        except (ValueError, IndexError):
            pass

    # -- HRD parameters: 7.3.2.1, 7.3.2.2, 7.3.3, 7.3.4, 7.3.7, E.2.1, E.2.2, and D.2.2

    def _sei(self, b, info):
        hrd = self.params and self.params["hrd"]
        if not hrd or b.u(8) != 0:
            return
        b.u(8), b.ue()
        other = hrd["parts"]
        if not other and b.u(1):
            other = True
            b.u(hrd["removal_bits"]), b.u(hrd["output_bits"])
        b.u(1), b.u(hrd["removal_bits"])
        for _ in range(hrd["count"]):
            info["initial"] = b.u(hrd["delay_bits"]), b.u(hrd["delay_bits"])
            if other:
                b.u(2 * hrd["delay_bits"])

    @staticmethod
    def _profile(b, layers):
        b.u(88), b.u(8)
        there = [(b.u(1), b.u(1)) for _ in range(layers)]
        if layers:
            b.u(2 * (8 - layers))
        for profile, level in there:
            b.u(88 * profile + 8 * level)

    @staticmethod
    def _order(b, layers):
        for _ in range(layers + 1 if b.u(1) else 1):
            b.ue(), b.ue(), b.ue()

    @classmethod
    def _vps(cls, b):
        try:
            b.u(12)
            layers = b.u(3)
            b.u(17)
            cls._profile(b, layers)
            cls._order(b, layers)
            highest = b.u(6)
            for _ in range(b.ue()):
                b.u(highest + 1)
            if not b.u(1):
                return None
            b.u(64)
            if b.u(1):
                b.ue()
            if not b.ue():
                return None
            b.ue()
            return cls._hrd(b, layers)
        except ValueError:
            return None

    @classmethod
    def _sps_hrd(cls, b):
        b.u(4)
        layers = b.u(3)
        b.u(1)
        cls._profile(b, layers)
        b.ue()
        if b.ue() == 3:
            b.u(1)
        b.ue(), b.ue()
        if b.u(1):
            b.ue(), b.ue(), b.ue(), b.ue()
        b.ue(), b.ue()
        order_bits = b.ue() + 4
        cls._order(b, layers)
        for _ in range(6):
            b.ue()
        if b.u(1) and b.u(1):  # scaling lists
            for size in range(4):
                for _ in range(2 if size == 3 else 6):
                    if not b.u(1):
                        b.ue()
                    else:
                        if size > 1:
                            b.se()
                        for _ in range(min(64, 16 << 2 * size)):
                            b.se()
        b.u(2)
        if b.u(1):  # PCM
            b.u(8), b.ue(), b.ue(), b.u(1)
        before = 0  # pictures of the reference set before
        for n in range(b.ue()):
            if n and b.u(1):
                b.u(1), b.ue()
                before = sum(1 for _ in range(before + 1) if b.u(1) or b.u(1))
            else:
                before = b.ue() + b.ue()
                for _ in range(before):
                    b.ue(), b.u(1)
        if b.u(1):
            for _ in range(b.ue()):
                b.u(order_bits + 1)
        b.u(2)
        if not b.u(1):
            return None
        vui_head(b)
        b.u(3)
        if b.u(1):
            b.ue(), b.ue(), b.ue(), b.ue()
        if not b.u(1):
            return None
        b.u(64)
        if b.u(1):
            b.ue()
        return cls._hrd(b, layers) if b.u(1) else None

    @staticmethod
    def _hrd(b, layers):
        """hrd_parameters with common information: the NAL HRD of the highest sub-layer, or None."""
        nal, vcl = b.u(1), b.u(1)
        hrd, parts = None, 0
        rate_scale = size_scale = delay_bits = removal_bits = output_bits = 0
        if nal or vcl:
            parts = b.u(1)
            if parts:
                b.u(19)
            rate_scale, size_scale = b.u(4), b.u(4)
            if parts:
                b.u(4)
            delay_bits, removal_bits, output_bits = b.u(5) + 1, b.u(5) + 1, b.u(5) + 1
        for _ in range(layers + 1):
            fixed = b.u(1) or b.u(1)
            low_delay = 0
            if fixed:
                b.ue()
            else:
                low_delay = b.u(1)
            count = 1 if low_delay else b.ue() + 1
            for which in ["nal"] * nal + ["vcl"] * vcl:
                for _ in range(count):
                    rate, size = (b.ue() + 1) << 6 + rate_scale, (b.ue() + 1) << 4 + size_scale
                    if parts:
                        b.ue(), b.ue()
                    entry = rate, size, b.u(1)
                if which == "nal":
                    hrd = {"last": entry, "count": count, "delay_bits": delay_bits, "removal_bits": removal_bits,
                           "output_bits": output_bits, "parts": bool(parts), "low_delay": bool(low_delay)}
        return hrd


# -- audio

class Audio:
    """Walks the frames of an audio stream by their headers."""

    NEED = 8

    def __init__(self):
        self.units = []
        self.params = None
        self.carry = b""
        self.after = None  # where the next header should stand
        self.resyncs = 0

    def lose(self):
        self.carry, self.after = b"", None

    def feed(self, data, position):
        base = position - len(self.carry)
        data = self.carry + data if self.carry else data
        at = 0 if self.after is None else self.after - base
        size = len(data)
        while at + self.NEED <= size:
            frame = self.header(data, at)
            if frame is None:
                if self.after is not None:
                    self.resyncs += 1
                self.after = None
                at = self._hunt(data, at + 1)
                continue
            length, duration, info = frame
            if info is not None:
                self.units.append(Unit(base + at, duration, info))
            at += length
            self.after = base + at
        self.carry = data[at:] if at < size else b""
        if self.after is None and not self.carry:
            self.after = None

    def _hunt(self, data, at):
        """The next place that looks like a header, and is followed by another where that can be seen."""
        while at + self.NEED <= len(data):
            frame = self.header(data, at)
            if frame:
                follow = at + frame[0]
                if follow + self.NEED > len(data) or self.header(data, follow):
                    return at
            at += 1
        return at

    def flush(self):
        pass


class MpegAudio(Audio):
    RATES = {
        (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
        (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
        (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
        (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    }
    NEED = 4

    def header(self, data, at):
        b1, b2 = data[at + 1], data[at + 2]
        if data[at] != 0xFF or b1 & 0xE0 != 0xE0:
            return None
        version, layer = b1 >> 3 & 3, 4 - (b1 >> 1 & 3)
        rate, frequency = b2 >> 4, b2 >> 2 & 3
        if version == 1 or layer == 4 or rate in (0, 15) or frequency == 3:
            return None
        hz = (44100, 48000, 32000)[frequency] >> {3: 0, 2: 1, 0: 2}[version]
        low = version != 3
        bits = self.RATES[(2, min(layer, 2)) if low else (1, layer)][rate] * 1000
        pad = b2 >> 1 & 1
        if layer == 1:
            return (12 * bits // hz + pad) * 4, 384 * TICKS / hz, {"layer": 1}
        samples = 576 if layer == 3 and low else 1152
        return samples // 8 * bits // hz + pad, samples * TICKS / hz, {"layer": layer}


class Adts(Audio):
    HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)

    def header(self, data, at):
        if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
            return None
        frequency = data[at + 2] >> 2 & 15
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        if frequency >= len(self.HZ) or length < 7:
            return None
        channels = (data[at + 2] & 1) << 2 | data[at + 3] >> 6
        if self.params is None or self.params["channels"] != channels:
            self.params = {"channels": channels}
        return length, 1024 * ((data[at + 6] & 3) + 1) * TICKS / self.HZ[frequency], {"channels": channels}


class Latm(Audio):
    NEED = 3

    def header(self, data, at):
        if data[at] != 0x56 or data[at + 1] & 0xE0 != 0xE0:
            return None
        return ((data[at + 1] & 0x1F) << 8 | data[at + 2]) + 3, None, {}


class Ac3(Audio):
    RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)

    def header(self, data, at):
        if data[at] != 0x0B or data[at + 1] != 0x77:
            return None
        bsid = data[at + 5] >> 3
        if bsid <= 10:
            frequency, code = data[at + 4] >> 6, data[at + 4] & 63
            if frequency == 3 or code >= 38:
                return None
            rate = self.RATES[code >> 1]
            length = (rate * 4, (320 * rate // 147 + (code & 1)) * 2, rate * 6)[frequency]
            return length, 1536 * TICKS / (48000, 44100, 32000)[frequency], {"bsid": bsid}
        if bsid > 16:
            return None
        kind, sub = data[at + 2] >> 6, data[at + 2] >> 3 & 7
        length = (((data[at + 2] & 7) << 8 | data[at + 3]) + 1) * 2
        frequency, low = data[at + 4] >> 6, data[at + 4] >> 4 & 3
        if frequency == 3:
            if low == 3:
                return None
            hz, blocks = (24000, 22050, 16000)[low], 6
        else:
            hz, blocks = (48000, 44100, 32000)[frequency], (1, 2, 3, 6)[low]
        # dependent and further independent substreams belong to the unit that was begun
        info = None if kind == 1 or sub else {"bsid": bsid}
        return length, 256 * blocks * TICKS / hz, info


PARSERS = {
    "mpeg1video": lambda: Mpeg2(mpeg1=True), "mpeg2video": Mpeg2, "h264": Avc, "hevc": Hevc,
    "mpegaudio": MpegAudio, "aac": Adts, "latm": Latm, "ac3": Ac3, "eac3": Ac3, "dvb_subtitle": Subtitle,
}


def parser_for(codec):
    return PARSERS.get(codec, Whole)()
