"""The transport stream system target decoder: ISO/IEC 13818-1 2.4.2, TR 101 290 checks 3.3, 3.9 and 3.10.

Arrival times are those of the program's own clock (equations 2-4, 2-5). Everything is fluid: a packet enters TBn while it
arrives, TBn drains at Rxn in the order of arrival, and what leaves is PES bytes for the buffers behind. PES bytes are
numbered from the start of the stream; this number is the `coordinate` below, and headers count.
"""

from bisect import bisect_left, bisect_right
from collections import deque

from clock import MS, TICKS
from packets import PACKET

SLACK = 1.0  # bytes: a PCR rounds to 37 ns, a fifth of a byte at 40 Mbit/s
CAP = 400_000  # packets that may wait for their access unit

# MPEG-2 video by (profile group, level): Rmax bit/s and VBVmax bits
MPEG2_MAIN = {10: (4_000_000, 475_136), 8: (15_000_000, 1_835_008), 6: (60_000_000, 7_340_032),
              4: (80_000_000, 9_781_248)}
MPEG2_422 = {5: (50_000_000, 9_437_184), 2: (300_000_000, 47_185_920)}
# AVC table A-1: MaxBR and MaxCPB in units of 1000 (times the profile's factor) bits
AVC_LEVELS = {
    9: (128, 350), 10: (64, 175), 11: (192, 500), 12: (384, 1000), 13: (768, 2000), 20: (2000, 2000), 21: (4000, 4000),
    22: (4000, 4000), 30: (10000, 10000), 31: (14000, 14000), 32: (20000, 20000), 40: (20000, 25000),
    41: (50000, 62500), 42: (50000, 62500), 50: (135000, 135000), 51: (240000, 240000), 52: (240000, 240000),
    60: (240000, 240000), 61: (480000, 480000), 62: (800000, 800000),
}
AVC_FACTOR = {66: 1200, 77: 1200, 88: 1200, 100: 1500, 110: 3600, 122: 4800, 244: 4800, 44: 4800}
# HEVC table A.7: MaxBR = MaxCPB in units of 1000 (times 1.1) bits, by general_level_idc
HEVC_MAIN = {30: 128, 60: 1500, 63: 3000, 90: 6000, 93: 10000, 120: 12000, 123: 20000, 150: 25000, 153: 40000,
             156: 60000, 180: 60000, 183: 120000, 186: 240000}
HEVC_HIGH = {120: 30000, 123: 50000, 150: 100000, 153: 160000, 156: 240000, 180: 240000, 183: 480000, 186: 800000}
# AAC in ADTS by channels: Rx bit/s and Bn bytes
AAC = ((2, 2_000_000, 3584), (8, 5_529_600, 8976), (12, 8_294_400, 12_804), (48, 33_177_600, 51_216))


def model_of(stream, params):
    """The buffers of a stream, or (None, why not). `params` is what its parser found, or None."""
    codec = stream["codec"]
    tags = dict(stream.get("tags", ()))
    if 0x23 in tags:
        return None, "multiplex_buffer_descriptor"
    if codec in ("mpeg1video", "mpeg2video", "h264", "hevc") and params is None:
        return None, "no sequence header or parameter set"
    if codec in ("mpeg1video", "mpeg2video"):
        return _mpeg2(tags, params)
    if codec == "h264":
        return _avc(tags, params)
    if codec == "hevc":
        return _hevc(tags, params)
    if codec == "aac":
        if params is None:
            return None, "no ADTS header"
        channels = params["channels"] if params["channels"] != 7 else 8
        rate, size = next((r, s) for n, r, s in AAC if channels <= n)
        # channel configuration 0 is told in the stream only: take the looser figures
        return _simple(*((5_529_600, 8976) if channels == 0 else (rate, size))), None
    if codec == "latm":
        return _simple(5_529_600, 8976), None  # channels unknown: the looser figures
    if codec == "mpegaudio":
        return _simple(2_000_000, 3584), None
    if codec in ("ac3", "eac3"):
        return _simple(2_000_000, 2592 if stream["stream_type"] == 0x81 else 5696), None
    if codec == "teletext":
        return dict(_simple(6_750_000, 1504), tb=480, text=True, delay=40 * MS), None
    if codec == "dvb_subtitle":
        if params and params["display_definition"]:
            return dict(_simple(400_000, 102_400), tb=1024, text=True, delay=None), None
        return dict(_simple(192_000, 24_576), text=True, delay=None), None
    return None, f"no model for {codec}"


def _simple(rate, size):
    return {"kind": "b", "tb": 512, "rx": rate, "b": size, "text": False, "delay": TICKS}


def _leak(tags):
    """Does the leak method rule MPEG video? (2.4.2.3: no STD_descriptor, or leak_valid_flag.)"""
    return 0x11 not in tags or not tags[0x11] or tags[0x11][0] & 1


def _video(rx, bsmux_bsoh, spare, eb, rbx, delay, low_delay, leak):
    """Sizes and rates come in bits."""
    return {"kind": "video", "tb": 512, "rx": rx, "mb": (bsmux_bsoh + spare) / 8, "eb": eb / 8, "rbx": rbx,
            "low_delay": low_delay, "leak": leak, "schedule": None, "delay": delay}


def _mpeg2(tags, params):
    vbv = params["vbv"] * 16384
    bit_rate = params["bit_rate"] * 400
    if params["mpeg1"]:
        if bit_rate > 1_856_000 or params["vbv"] > 20:
            return None, "MPEG-1 video beyond constrained parameters"
        rmax, vbv_max, low = 1_856_000, 20 * 16384, True
    else:
        table = MPEG2_422 if params["escape"] else MPEG2_MAIN
        if params["level"] not in table:
            return None, f"MPEG-2 level {params['level']}"
        rmax, vbv_max = table[params["level"]]
        low = not params["escape"] and params["level"] in (10, 8)
    base = 0.004 * rmax + rmax / 750
    leak = _leak(tags) or params.get("no_vbv", False)  # vbv_delay 0xFFFF: the leak method in any case
    model = _video(1.2 * rmax, base, max(vbv_max - vbv, 0) if low else 0, vbv,
                   rmax if low else min(1.05 * bit_rate, rmax), TICKS, params["low_delay"], leak)
    if not leak:
        model["schedule"] = "vbv_delay"
        model["low_delay"] = False  # TR 101 290 3.3 excuses it with the leak method only
    return model, None


def _avc(tags, params):
    level = params["level"]
    if level == 11 and params["constraints"] & 0x10 and params["profile"] in (66, 77, 88):
        level = 9
    if level not in AVC_LEVELS or params["profile"] not in AVC_FACTOR:
        return None, f"AVC profile {params['profile']} level {params['level']}"
    k = AVC_FACTOR[params["profile"]]
    max_rate, max_cpb = (k * n for n in AVC_LEVELS[level])
    floor = max(max_rate, 2_000_000)
    base = 0.004 * floor + floor / 750
    # AVC timing and HRD descriptor with hrd_management_valid: the NAL HRD's schedule, not the leak (2.14.3.1)
    managed = bool(0x2A in tags and tags[0x2A] and tags[0x2A][0] & 0x80)
    cpb = params["hrd"]["cpb"] if params["hrd"] else max_cpb
    if managed and params["hrd"]:
        cpb = params["hrd"]["last"][1]
    rx = 1.2 * (params["hrd"]["rate"] if params["hrd"] else max_rate)
    model = _video(rx, base, max(max_cpb - cpb, 0), cpb, max_rate, 10 * TICKS, params["low_delay"], not managed)
    model["schedule"] = params["hrd"]["last"] if managed and params["hrd"] else None
    return model, None


def _hevc(tags, params):
    table = HEVC_HIGH if params["tier"] else HEVC_MAIN
    if params["level"] not in table:
        return None, f"HEVC level {params['level']}"
    rate = 1100 * table[params["level"]]
    floor = max(rate, 2_000_000)
    managed = bool(0x3F in tags and len(tags[0x3F]) > 1 and tags[0x3F][0] == 0x03 and tags[0x3F][1] & 0x80)
    hrd = params.get("hrd") if managed else None
    cpb = min(hrd["last"][1], rate) if hrd else rate
    model = _video(1.1 * rate, 0.004 * floor + floor / 750, rate - cpb, cpb, rate, 10 * TICKS,
                   bool(hrd and hrd["low_delay"]), not managed)
    model["schedule"] = hrd["last"] if hrd else None
    return model, None


class Transport:
    """A transport buffer of a size in bytes that drains at a rate in bit/s."""

    def __init__(self, size, rate):
        self.size = size
        self.high = 0.0
        self.set_rate(rate)
        self.reset()

    def set_rate(self, rate):
        self.ticks = 8 * TICKS / rate  # a byte
        self.whole = PACKET * self.ticks

    def reset(self):
        self.busy = float("-inf")  # when the last byte so far will have left
        self.full_since = None

    def packet(self, t0, t1):
        """A packet arrives from t0 to t1. Returns (level at t1, when its bytes begin to leave, when the last has left)."""
        if self.busy > t0:
            begin = self.busy
        else:
            begin = t0
            self.full_since = t0
        end = begin + self.whole
        if end < t1:
            end = t1
        self.busy = end
        level = (end - t1) / self.ticks
        if level > self.high:
            self.high = level
        return level, begin, end

    def stuck(self, t1):
        """Not empty once in a second (3.9)? Counts once for each second."""
        if self.full_since is not None and t1 - self.full_since > TICKS and self.busy > t1:
            self.full_since = t1
            return True
        return False


class Line:
    """A line through points (time, value), asked for times that do not decrease."""

    def __init__(self, points):
        self.points, self.k = points, 0

    def at(self, time):
        points = self.points
        while self.k + 2 < len(points) and points[self.k + 1][0] <= time:
            self.k += 1
        (t0, v0), (t1, v1) = points[self.k], points[self.k + 1]
        return v0 + (v1 - v0) * (time - t0) / (t1 - t0) if t1 > t0 else v1


class Arrival:
    """What has entered MB: points (time, bytes of the elementary stream, coordinate)."""

    def __init__(self, points):
        self.points = points
        self.times = [p[0] for p in points]

    def at(self, time):
        k = bisect_right(self.times, time)
        if k == 0:
            return self.points[0][1:] if self.points else (0.0, 0.0)
        t0, e0, c0 = self.points[k - 1]
        if k == len(self.points):
            return e0, c0
        t1, e1, c1 = self.points[k]
        part = (time - t0) / (t1 - t0)
        return e0 + (e1 - e0) * part, c0 + (c1 - c0) * part


class Stretch:
    """Video whose bytes go to EB by a schedule, from one break to the next: judged when it is over.

    Coordinates count PES headers, bytes of the elementary stream do not.
    """

    def __init__(self, start):
        self.start = start
        self.pieces = []  # (begin, end, bytes, coordinate after) that leave TB
        self.headers = []  # (coordinate, bytes)
        self.units = []  # (start, end, td, packet index, info)
        self.index = None

    def es(self, coordinate):
        """The byte of the elementary stream at a coordinate; inside a header the one behind it."""
        k = bisect_left(self.places, coordinate)
        if not k:
            return coordinate
        place, size = self.headers[k - 1]
        return max(coordinate, place + size) - self.sums[k]

    def headers_before(self, byte):
        """Bytes of headers that are gone when the elementary stream has gone on up to a byte."""
        return self.sums[bisect_left(self.bytes, byte)]

    def arrival(self):
        points = []
        for begin, end, size, after in self.pieces:
            before = after - size
            cuts = {before, after}
            k = bisect_right(self.places, before) - 1
            for place, length in self.headers[max(k, 0):k + 3]:
                cuts |= {c for c in (place, place + length) if before < c < after}
            for c in sorted(cuts):
                points.append((begin + (end - begin) * (c - before) / size, self.es(c), c))
        return Arrival(points)

    def _index(self):
        self.index = self.units[0][3]
        self.places = [c for c, _ in self.headers]
        self.sums, self.bytes, total = [0], [], 0
        for place, size in self.headers:
            self.bytes.append(place - total)
            total += size
            self.sums.append(total)

    def by_vbv_delay(self):
        """2.4.2.3: the last byte of picture start code j goes on at td(j) - vbv_delay(j)."""
        self._index()
        runs, steps, units = [], [], []
        removed = None
        for start, end, td, index, info in self.units:
            if "code_at" not in info:
                continue
            time = td - info["vbv_delay"] * 300
            if steps and time <= steps[-1][0]:
                runs.append((steps, units))  # no time at all, or less: nothing follows from it
                steps, units, removed = [], [], None
            steps.append((time, float(self.es(info["code_at"]))))
            removed = self.es(start) if removed is None else removed
            units.append((td, self.es(end), index, removed))
            removed = self.es(end)
        runs.append((steps, units))
        return runs

    def by_hrd(self, rate, size, cbr):
        """H.264 C.1.1, H.265 C.2.2: a unit begins to go on at tai and has gone on at taf."""
        self._index()
        steps, units = [], []
        initial = final = removed = None
        for start, end, td, index, info in self.units:
            period = "initial" in info
            if period:
                initial = info["initial"]
            if initial is None:
                continue
            earliest = td - 300 * (initial[0] + (0 if period else initial[1]))
            if final is None:
                begin = earliest
            elif cbr:
                begin = earliest if period and earliest - final > 600 else final
            else:
                begin = max(final, earliest)
            a, b = self.es(start), self.es(end)
            final = begin + (b - a) * 8 * TICKS / rate
            if not steps or begin > steps[-1][0]:
                steps.append((begin, float(a)))
            steps.append((final, float(b)))
            units.append((td, b, index, a if removed is None else removed))
            removed = b
        return [(steps, units)]


class Chain:
    """The buffers of one elementary stream, and the arrival of its access units."""

    def __init__(self, pid, cursor, findings, exact=True, judge_buffers=True):
        self.pid, self.cursor, self.findings = pid, cursor, findings
        self.exact = exact  # are units access units, or PES packets of many?
        self.judge_buffers = judge_buffers
        self.model, self.why = None, "no model yet"
        self.tb = None
        self.coordinate = 0
        self.epoch = None
        self.solid = False
        self.now = None
        self.units = 0
        self.resets = 0
        self.delay_high = self.slack_low = self.delay_low = None
        self.mb_high = self.eb_high = self.b_high = 0.0
        self.eb_low = self.b_low = None
        self.stretch = None
        self._clear()

    def set_model(self, model, why):
        if model == self.model and why == self.why:
            return
        self.model, self.why = model, why
        if model is None or not self.judge_buffers:
            return
        if self.tb is None:
            self.tb = Transport(model["tb"], model["rx"])
            self._clear()
        else:
            self.tb.size = model["tb"]
            self.tb.set_rate(model["rx"])
        self.tb_size, self.rx = model["tb"], model["rx"]
        if model["kind"] == "video":
            self.rbx = model["rbx"] / 8 / TICKS  # bytes a tick

    def _clear(self):
        if self.stretch is not None:
            self._settle()
        self.stretch = Stretch(self.coordinate)
        self.arrivals = deque()  # (coordinate after the packet, payload bytes, t0, t1, packet index)
        self.inflow = deque()  # [begin, end, bytes, coordinate after]
        self.queue = deque()  # (td, coordinate of its end, judged, packet index)
        self.valid = self.coordinate  # nothing before this was followed
        self.reached = float(self.coordinate)  # coordinate that has entered MB or B
        self.passed = float(self.coordinate)  # coordinate that has entered EB
        self.removed = float(self.coordinate)
        self.time = None  # of the simulation of MB and EB
        self.mb_empty = None
        if self.tb is not None:
            self.tb.reset()

    def reset(self):
        """Forgets what is under way: time base, packets or scrambling made it unknowable."""
        if self.arrivals or self.queue or self.inflow:
            self.resets += 1
        self._clear()

    def packet(self, index, payload):
        """A packet of the PID; `payload` of its bytes go on behind TBn (none of a duplicate). Returns its time or None."""
        position = index * PACKET
        cursor = self.cursor
        if position >= cursor.limit:
            cursor.seek(position)
        solid = cursor.low <= position <= cursor.high
        if cursor.epoch != self.epoch or solid != self.solid:
            self.epoch, self.solid = cursor.epoch, solid
            self.reset()
        t0 = cursor.time0 + (position - cursor.at0) * cursor.slope
        t1 = t0 + PACKET * cursor.slope
        self.now = t1
        if not solid:
            self.coordinate += payload
            self.valid = self.coordinate
            self.reached = self.passed = self.removed = float(self.coordinate)
            return t0
        if self.tb is not None:
            level, begin, end = self.tb.packet(t0, t1)
            if level > self.tb_size + SLACK:
                self.findings.add("tstd_tb_overflow", index, self.pid, f"{level:.0f} of {self.tb_size} bytes")
            if self.tb.stuck(t1):
                self.findings.add("tstd_not_empty", index, self.pid, "TB")
        if payload:
            self.coordinate += payload
            self.arrivals.append((self.coordinate, payload, t0, t1, index))
            if self.tb is not None:
                into = end - payload * (end - begin) / PACKET
                if self.model["kind"] == "video" and not self.model["leak"]:
                    if self.model["schedule"]:
                        self.stretch.pieces.append((into, end, payload, self.coordinate))
                else:
                    self.inflow.append([into, end, payload, self.coordinate])
            if len(self.arrivals) > CAP or len(self.inflow) > CAP:
                self.why = f"more than {CAP} packets without an access unit"
                self.reset()
        return t0

    def pes_header(self, coordinate, size):
        """A PES header of so many bytes begins at a coordinate."""
        if self.model is not None and self.model.get("schedule"):
            self.stretch.headers.append((coordinate, size))

    def unit(self, start, end, td, epoch, index, info=None):
        """An access unit takes the coordinates start...end and is decoded at td (None: unknown) in an epoch."""
        arrivals = self.arrivals
        while arrivals and arrivals[0][0] <= start:
            arrivals.popleft()
        if not self.solid or not arrivals:
            return
        whole, payload, t0, t1, _ = arrivals[0]
        first = t0 + (PACKET - (whole - start)) * (t1 - t0) / PACKET
        while arrivals and arrivals[0][0] < end:
            arrivals.popleft()
        if not arrivals:
            return
        if epoch != self.epoch or start < self.valid or td is None:
            # nothing to judge, but its bytes must not stay in the buffers for ever
            if end > self.valid and self.tb is not None:
                self.queue.append((float("-inf") if epoch != self.epoch or td is None else td, end, index, False))
            return
        whole, payload, t0, t1, at = arrivals[0]
        last = t1 - (whole - end) * (t1 - t0) / PACKET if self.exact else first
        self.units += 1
        slack, delay = td - last, td - first
        if self.slack_low is None or slack < self.slack_low:
            self.slack_low = slack
        if self.delay_high is None or delay > self.delay_high:
            self.delay_high = delay
        if self.delay_low is None or delay < self.delay_low:
            self.delay_low = delay
        if slack < -1:
            self.findings.add("au_late", at, self.pid, f"{'last' if self.exact else 'first'} byte {-slack / MS:.3f} ms after its decoding time")
        model = self.model
        if model is not None and model["delay"] is not None and delay > model["delay"]:
            name = "tstd_text_buffer" if model.get("text") else "tstd_delay"
            self.findings.add(name, index, self.pid, f"{delay / MS:.1f} ms in the decoder")
        if self.tb is not None:
            if model is not None and model.get("schedule"):
                self.stretch.units.append((start, end, td, index, info or {}))
            else:
                self.queue.append((td, end, index, True))

    def run(self, final=False):
        """Removes every access unit that is due by now."""
        if self.tb is None or self.model is None or self.now is None:
            return
        queue = self.queue
        remove = self._remove_video if self.model["kind"] == "video" else self._remove_b
        while queue and queue[0][0] <= self.now:
            remove(*queue.popleft())
        if final and self.solid:
            remove(self.now, self.removed, None, False)
        if final:
            self._settle()

    # -- multiplexing and elementary stream buffer of video by a schedule

    def _settle(self):
        """Judges MB and EB of what has been followed without a break."""
        stretch, model = self.stretch, self.model
        self.stretch = Stretch(self.coordinate)
        if model is None or not model.get("schedule") or not stretch.units:
            return
        if model["schedule"] == "vbv_delay":
            runs = stretch.by_vbv_delay()
        else:
            runs = stretch.by_hrd(*model["schedule"])
        for steps, units in runs:
            self._follow(stretch, steps, units)

    def _follow(self, stretch, steps, units):
        """`steps`: (time, byte of the elementary stream) in order; `units`: (td, end, index, removed before)."""
        if len(steps) < 2:
            return
        model, add = self.model, self.findings.add
        begin, horizon = steps[0][0], steps[-1][0]
        arrived = stretch.arrival()
        over = under = full = False
        times = {t for t, _ in steps} | {t for t, *_ in arrived.points if begin <= t <= horizon}
        times |= {td for td, *_ in units if begin <= td <= horizon}
        passed = 0.0
        due = deque(sorted(units))
        schedule = Line(steps)
        for time in sorted(times):
            wanted, (there, place) = schedule.at(time), arrived.at(time)
            passed = max(passed, min(wanted, there))
            gone = passed + stretch.headers_before(passed)
            index = stretch.index
            level = place - gone
            self.mb_high = max(self.mb_high, level)
            was, over = over, level > model["mb"] + SLACK
            if over and not was:
                add("tstd_mb_overflow", index, self.pid, f"{level:.0f} of {model['mb']:.0f} bytes")
            was, under = under, wanted - there > SLACK
            if under and not was:
                add("tstd_mb_underflow", index, self.pid, f"{wanted - there:.0f} bytes missing")
            while due and due[0][0] <= time:
                _, end, index, removed = due.popleft()
                level = passed - removed
                self.eb_high = max(self.eb_high, level)
                was, full = full, level > model["eb"] + SLACK
                if full and not was:
                    add("tstd_eb_overflow", index, self.pid, f"{level:.0f} of {model['eb']:.0f} bytes")
                if passed < end - SLACK and not model["low_delay"]:
                    add("tstd_eb_underflow", index, self.pid, f"{end - passed:.0f} bytes missing")
                low = max(passed - end, 0.0)
                if self.eb_low is None or low < self.eb_low:
                    self.eb_low = low

    # -- main buffer of audio and data

    def _remove_b(self, td, end, index, judged):
        inflow = self.inflow
        while inflow and inflow[0][1] <= td:
            self.reached = inflow.popleft()[3]
        reached = self.reached
        if inflow and inflow[0][0] < td:
            begin, finish, size, after = inflow[0]
            reached = after - size * (finish - td) / (finish - begin)
        level = reached - self.removed
        size, text = self.model["b"], self.model["text"]
        if level > self.b_high:
            self.b_high = level
        if level > size + SLACK:
            self.findings.add("tstd_text_buffer" if text else "tstd_b_overflow", index, self.pid,
                              f"{level:.0f} of {size} bytes")
        if judged and reached < end - SLACK:
            self.findings.add("tstd_text_buffer" if text else "tstd_b_underflow", index, self.pid,
                              f"{end - reached:.0f} bytes missing")
        self.removed = max(self.removed, float(end))
        low = max(reached - self.removed, 0.0)
        if judged and (self.b_low is None or low < self.b_low):
            self.b_low = low

    # -- multiplexing and elementary stream buffer of video, leak method

    def _remove_video(self, td, end, index, judged):
        if not self.model["leak"]:
            return
        inflow = self.inflow
        if self.time is None:
            if td == float("-inf"):
                self.removed = max(self.removed, float(end))
                return
            self.time = self.mb_empty = inflow[0][0] if inflow else td
        td = max(td, self.time)
        while inflow and inflow[0][0] < td:
            piece = inflow[0]
            begin, finish, size, after = piece
            if begin > self.time:
                self._flow(begin, 0.0, index)
            if finish <= td:
                inflow.popleft()
                if finish > self.time:
                    self._flow(finish, (after - self.reached) / (finish - self.time), index)
                self.reached = float(after)
            else:
                rate = (after - self.reached) / (finish - self.time)
                self._flow(td, rate, index)
                piece[0], piece[2] = td, after - self.reached
                break
        if td > self.time:
            self._flow(td, 0.0, index)
        level = self.passed - self.removed
        if level > self.eb_high:
            self.eb_high = level
        if judged and self.passed < end - SLACK and not self.model["low_delay"]:
            self.findings.add("tstd_eb_underflow", index, self.pid, f"{end - self.passed:.0f} bytes missing")
        self.removed = max(self.removed, float(end))
        low = max(self.passed - self.removed, 0.0)
        if judged and (self.eb_low is None or low < self.eb_low):
            self.eb_low = low

    def _flow(self, until, rate, index):
        """From `self.time` to `until` bytes enter MB at a rate, and leak to EB at Rbx unless EB is full."""
        time, reached, passed = self.time, self.reached, self.passed
        rbx = self.rbx
        ceiling = self.removed + self.model["eb"]
        while time < until:
            left = until - time
            mb = reached - passed
            if passed >= ceiling - 1e-6:
                out = 0.0
            elif mb > 1e-6:
                out = rbx
                if rate < rbx:
                    left = min(left, mb / (rbx - rate))
            else:
                out = rate if rate < rbx else rbx
            if out > 0.0:
                left = min(left, (ceiling - passed) / out)
            if left <= 1e-9:
                left = min(1e-3, until - time)
            time += left
            reached += rate * left
            passed = min(passed + out * left, reached)
            mb = reached - passed
            if mb > self.mb_high:
                self.mb_high = mb
            if mb < SLACK:
                self.mb_empty = time
        self.time, self.reached, self.passed = until, reached, passed
        if reached - passed > self.model["mb"] + SLACK:
            self.findings.add("tstd_mb_overflow", index, self.pid,
                              f"{reached - passed:.0f} of {self.model['mb']:.0f} bytes")
        if until - self.mb_empty > TICKS:
            self.findings.add("tstd_not_empty", index, self.pid, "MB")
            self.mb_empty = until

    # -- report

    def report(self):
        out = {"access_units": self.units, "resets": self.resets}
        if self.units:
            out.update(slack_min_ms=round(self.slack_low / MS, 3), delay_min_ms=round(self.delay_low / MS, 3),
                       delay_max_ms=round(self.delay_high / MS, 3))
        if self.tb is None:
            return dict(out, judged=False, reason=self.why)
        out["judged"] = True
        out["tb"] = {"size": self.tb_size, "rx_bps": round(self.rx), "high": round(self.tb.high, 1)}
        if self.model["kind"] == "b":
            out["b"] = {"size": self.model["b"], "high": round(self.b_high, 1), "low": self.b_low and round(self.b_low, 1)}
        elif self.model["leak"] or self.model["schedule"]:
            out["mb"] = {"size": round(self.model["mb"]), "rbx_bps": round(self.model["rbx"]),
                         "high": round(self.mb_high, 1)}
            out["eb"] = {"size": round(self.model["eb"]), "high": round(self.eb_high, 1),
                         "low": self.eb_low and round(self.eb_low, 1)}
        else:
            out["mb"] = out["eb"] = "not judged: hrd_management_valid_flag without a NAL HRD"
        return out


class Systems:
    """TBsys and Bsys of one program: PIDs 0, 1, 2, 3 and its program_map_PID."""

    RX = 1_000_000
    SIZE = 1536

    def __init__(self, number, cursor, findings):
        self.number, self.cursor, self.findings = number, cursor, findings
        self.tb = Transport(512, self.RX)
        self.epoch, self.solid = None, False
        self.high = 0.0
        self._clear()

    def _clear(self):
        self.tb.reset()
        self.level, self.time = 0.0, None

    def packet(self, index, pid, section_bytes):
        """A packet of a system PID, of which so many bytes belong to sections."""
        position = index * PACKET
        cursor = self.cursor
        if position >= cursor.limit:
            cursor.seek(position)
        solid = cursor.low <= position <= cursor.high
        if cursor.epoch != self.epoch or solid != self.solid:
            self.epoch, self.solid = cursor.epoch, solid
            self._clear()
        if not solid:
            return
        t0 = cursor.time0 + (position - cursor.at0) * cursor.slope
        t1 = t0 + PACKET * cursor.slope
        level, begin, end = self.tb.packet(t0, t1)
        if level > 512 + SLACK:
            self.findings.add("tstd_tbsys_overflow", index, pid, f"program {self.number}: {level:.0f} of 512 bytes")
        if self.tb.stuck(t1):
            self.findings.add("tstd_not_empty", index, pid, f"program {self.number}: TBsys")
        # Rsys = max(80 kbit/s, transport rate / 500), here in bytes a tick
        leak = max(80_000 / 8 / TICKS, 1 / cursor.slope / 500)
        # section bytes stand behind the header and pointer_field, stuffing behind them
        byte = (end - begin) / PACKET
        first = begin + 5 * byte
        if self.time is not None:
            self.level = max(self.level - leak * (first - self.time), 0.0)
        self.level = max(self.level + section_bytes * (1 - leak * byte), 0.0)
        self.time = first + section_bytes * byte
        if self.level > self.high:
            self.high = self.level
        if self.level > self.SIZE + SLACK:
            self.findings.add("tstd_bsys_overflow", index, pid,
                              f"program {self.number}: {self.level:.0f} of {self.SIZE} bytes")

    def report(self):
        return {"program": self.number, "tbsys": {"size": 512, "high": round(self.tb.high, 1)},
                "bsys": {"size": self.SIZE, "high": round(self.high, 1)}}
