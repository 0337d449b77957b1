"""Program clocks: when a byte arrives, and how good the PCRs are.

ISO/IEC 13818-1 2.4.2.2 (equations 2-4 and 2-5): between two PCRs of a program the bytes arrive at a constant rate; a PCR
dates the byte that holds the last bit of its base, the eleventh of its packet. Time is in 27 MHz ticks, position in
transport bytes, 188 a packet.
"""

from array import array
from bisect import bisect_right
from math import sqrt

from packets import PACKET, PCR_CYCLE, pcr_of

TICKS = 27_000_000
MS = TICKS // 1000
PCR_BYTE = 10  # offset of the byte that a PCR dates
JUMP = TICKS  # a step of more than this between two PCRs is another time base, whatever the flags say
ASTRAY = 10 * MS  # nor does a PCR go this far off at a constant rate within one time base
NEAR = MS // 5  # PCRs of a constant rate lie this near to a line, and nearer than a packet
BLOCK = 10 * TICKS  # longest stretch fitted with one line: a clock may drift by 2.8e-9 a second, 35 ns over this


class Samples:
    """The PCRs of one PID: packet indices, values as carried, and whether a discontinuity was announced."""

    def __init__(self):
        self.index = array("Q")
        self.value = array("Q")
        self.announced = bytearray()
        self.pending = False

    def __len__(self):
        return len(self.index)


def collect(reader, limit=None):
    """One fast pass: {pid: Samples}. Packets with transport_error_indicator are left out."""
    found = {}
    flagged = set()
    for data, index in reader.runs(limit=limit):
        stride, lead = reader.stride, reader.lead
        # packets with an adaptation field, found by slicing the two bytes that tell
        controls = data[lead + 3::stride]
        lengths = data[lead + 4::stride]
        for i, (control, length) in enumerate(zip(controls, lengths)):
            if not control & 0x20 or not length:
                continue
            off = lead + i * stride
            flags = data[off + 5]
            if not flags & 0x90 or data[off + 1] & 0x80 or length > 183:
                continue
            pid = (data[off + 1] & 0x1F) << 8 | data[off + 2]
            if flags & 0x80:
                flagged.add(pid)
            value = pcr_of(data, off)
            if value is None:
                continue
            samples = found.setdefault(pid, Samples())
            samples.index.append(index + i)
            samples.value.append(value)
            samples.announced.append(pid in flagged)
            flagged.discard(pid)
    return found


def step(before, after):
    """Signed distance between two PCRs, the short way round the circle."""
    return (after - before + PCR_CYCLE // 2) % PCR_CYCLE - PCR_CYCLE // 2


class Timeline:
    """Maps transport byte positions to the time of one PCR PID.

    An epoch is a stretch of one time base. Within it values are unwrapped; from one to the next nothing is comparable,
    but `elapsed` goes on: over the seam it assumes the rate before it.
    """

    def __init__(self, samples, slope=None):
        """`slope`: ticks a byte, where the stream is known to run at a constant rate; shows jumps that look like time."""
        self.starts = array("d")  # position from which each piece holds
        self.at = array("d")  # anchor of each piece ...
        self.time = array("d")  # ... and its time
        self.slope = array("d")  # ticks a byte
        self.epoch = array("L")
        self.shift = array("d")  # time + shift = elapsed
        self.epochs = []  # (position of its first packet, first dated byte, last dated byte)
        self.constant = False
        self._build(samples, slope)

    @property
    def usable(self):
        return len(self.starts) > 0

    def _build(self, samples, slope):
        n = len(samples)
        groups = []  # (positions, unwrapped times)
        for k in range(n):
            position = samples.index[k] * PACKET + PCR_BYTE
            delta = step(samples.value[k - 1], samples.value[k]) if k else None
            away = 0 if slope is None or not k else delta - (samples.index[k] - samples.index[k - 1]) * PACKET * slope
            if k == 0 or not 0 <= delta <= JUMP or samples.announced[k] or abs(away) > ASTRAY:
                groups.append(([position], [float(samples.value[k])]))
            elif delta:
                groups[-1][0].append(position)
                groups[-1][1].append(groups[-1][1][-1] + delta)
        # the rate of the nearest group serves a group of a single PCR
        slopes = [(t[-1] - t[0]) / (p[-1] - p[0]) if len(p) > 1 else None for p, t in groups]
        known = [s for s in slopes if s]
        if not known:
            return
        last = known[0]
        elapsed_end = None
        for e, (positions, times) in enumerate(groups):
            start = positions[0] - PCR_BYTE if e else 0
            end = groups[e + 1][0][0] - PCR_BYTE if e + 1 < len(groups) else None
            self.epochs.append((start, positions[0], positions[-1]))
            pieces = [
                (positions[k], times[k], (times[k + 1] - times[k]) / (positions[k + 1] - positions[k]))
                for k in range(len(positions) - 1)
            ] or [(positions[0], times[0], last)]
            first_time = pieces[0][1] - (pieces[0][0] - start) * pieces[0][2]
            shift = -first_time if elapsed_end is None else elapsed_end - first_time
            for k, (at, time, slope) in enumerate(pieces):
                self.starts.append(start if k == 0 else at)
                self.at.append(at)
                self.time.append(time)
                self.slope.append(slope)
                self.epoch.append(e)
                self.shift.append(shift)
            last = pieces[-1][2]
            if end is not None:
                elapsed_end = pieces[-1][1] + (end - pieces[-1][0]) * last + shift

    def piece(self, position):
        return max(bisect_right(self.starts, position) - 1, 0)

    def elapsed(self, position):
        """Ticks since the start of the file, across all epochs."""
        k = self.piece(position)
        return self.time[k] + (position - self.at[k]) * self.slope[k] + self.shift[k]

    def cursor(self):
        return Cursor(self)


class Cursor:
    """Walks a timeline forward. `seek` before each use; then time = time0 + (position - at0) * slope."""

    __slots__ = ("line", "k", "limit", "at0", "time0", "slope", "epoch", "low", "high")

    def __init__(self, line):
        self.line = line
        self._load(0)

    def _load(self, k):
        line = self.line
        self.k = k
        self.limit = line.starts[k + 1] if k + 1 < len(line.starts) else float("inf")
        self.at0, self.time0, self.slope, self.epoch = line.at[k], line.time[k], line.slope[k], line.epoch[k]
        if line.constant:
            self.low, self.high = -1, float("inf")
        else:
            # the first dated packet counts from its first byte, the last to its end
            self.low = line.epochs[self.epoch][1] - PACKET
            self.high = line.epochs[self.epoch][2] + PACKET

    def seek(self, position):
        """Moves to the piece of a position not before the last one. Says whether time there is interpolated."""
        while position >= self.limit:
            self._load(self.k + 1)
        return self.low <= position <= self.high


def fit(positions, times):
    """Least squares line: (slope, time at the mean position, mean position)."""
    n = len(positions)
    mp, mt = sum(positions) / n, sum(times) / n
    spp = sum((p - mp) ** 2 for p in positions)
    spt = sum((p - mp) * (t - mt) for p, t in zip(positions, times))
    return spt / spp, mt, mp


def robust_residuals(positions, times):
    """Fits a line to most of the points; returns (slope, residuals of all points in ticks)."""
    ps, ts = positions, times
    for _ in range(4):
        slope, mt, mp = fit(ps, ts)
        residuals = [t - mt - (p - mp) * slope for p, t in zip(positions, times)]
        middle = sorted(abs(r) for r in residuals)[len(residuals) // 2]
        keep = [i for i, r in enumerate(residuals) if abs(r) <= max(3 * 1.4826 * middle, 1.0)]
        if len(keep) < max(3, len(positions) // 2) or len(keep) == len(ps):
            break
        ps, ts = [positions[i] for i in keep], [times[i] for i in keep]
    return slope, residuals, list(zip(ps, ts))


def hull(points, side):
    """The upper (side 1) or lower (side -1) convex hull of points in order of position."""
    out = []
    for p, t in points:
        while len(out) > 1:
            (ap, at), (bp, bt) = out[-2:]
            if side * ((bt - at) * (p - ap) - (t - at) * (bp - ap)) > 0:
                break
            out.pop()
        out.append((p, t))
    return out


def strip(points):
    """The narrowest strip, measured along time, that holds all points: (slope, time of its middle at position 0).

    One of its edges goes along an edge of the hull, the other through a corner of the other side.
    """
    upper, lower = hull(points, 1), hull(points, -1)
    best = None
    for edges, corners, side in ((upper, lower, 1), (lower, upper, -1)):
        for (ap, at), (bp, bt) in zip(edges, edges[1:]):
            slope = (bt - at) / (bp - ap)
            here = at - ap * slope
            far = min(side * (t - p * slope) for p, t in corners) * side
            if best is None or abs(here - far) < best[0]:
                best = abs(here - far), slope, (here + far) / 2
    return best[1:]


class Accuracy:
    """PCR_AC of one PID (TR 101 290 5.3.2.5), by a straight line through blocks of up to 10 s instead of a filter.

    ISO/IEC 13818-1 2.4.2.2 allows a PCR 500 ns from what a legal clock shows, not from the mean of the PCRs: through PCRs
    that jitter the line of least squares is itself off by some ticks at its ends. So of each PCR the error is the smaller
    of those from that line and from the middle of the narrowest strip that the block, but for its wild ones, lies in.
    """

    def __init__(self, samples, losses=(), forced=False):
        self.residuals = array("d")  # ticks
        self.places = array("Q")  # packet index of each
        self.rates = []  # (first packet, last packet, bit/s)
        self.skipped = 0  # PCRs not judged
        self.reason = None
        self.blocks = 0
        losses = sorted(losses)
        block_p, block_t = [], []
        runs = []
        for k in range(len(samples)):
            delta = step(samples.value[k - 1], samples.value[k]) if k else 0
            if k:
                first = bisect_right(losses, samples.index[k - 1])
                broken = (
                    not 0 <= delta <= 100 * MS
                    or samples.announced[k]
                    or first < len(losses) and losses[first] <= samples.index[k]
                )
                if broken or block_t[-1] + delta - block_t[0] > BLOCK:
                    runs.append((block_p, block_t, broken))
                    block_p, block_t = [], []
            block_t.append(block_t[-1] + delta if block_t else float(samples.value[k]))
            block_p.append(samples.index[k] * PACKET + PCR_BYTE)
        if block_p:
            runs.append((block_p, block_t, True))
        # the short rest of a long run joins the block before it
        joined = []
        for p, t, ends in runs:
            if joined and not joined[-1][2] and t[-1] - t[0] < TICKS * 2:
                q, u, _ = joined.pop()
                turn = round((u[-1] - t[0]) / PCR_CYCLE) * PCR_CYCLE
                joined.append((q + p, u + [x + turn for x in t], ends))
            else:
                joined.append((p, t, ends))
        for p, t, _ in joined:
            self._block(p, t, forced)
        if not self.residuals:
            self.reason = self.reason or "fewer than five PCRs in a row"

    def _block(self, positions, times, forced):
        if len(positions) < 5 or positions[-1] == positions[0] or times[-1] == times[0]:
            self.skipped += len(positions)
            return
        slope, residuals, kept = robust_residuals(positions, times)
        near = sum(abs(r) <= min(PACKET * slope, NEAR) for r in residuals)
        if slope <= 0 or not forced and near < 0.8 * len(residuals):
            self.skipped += len(positions)
            self.reason = "the rate is not constant"
            return
        self.blocks += 1
        first_p, first_t = positions[0], times[0]  # near zero nothing is rounded away
        tilt, middle = strip([(p - first_p, t - first_t - (p - first_p) * slope) for p, t in kept])
        others = (t - first_t - (p - first_p) * (slope + tilt) - middle for p, t in zip(positions, times))
        for p, r in zip(positions, map(lambda *both: min(both, key=abs), residuals, others)):
            self.residuals.append(r)
            self.places.append(int(p) // PACKET)
        self.rates.append((int(positions[0]) // PACKET, int(positions[-1]) // PACKET, 8 * TICKS / slope))

    @property
    def judged(self):
        return len(self.residuals) > 0

    @property
    def slope(self):
        """Ticks a byte, if the rate is constant."""
        return 8 * TICKS * len(self.rates) / sum(rate for *_, rate in self.rates) if self.constant else None

    @property
    def constant(self):
        """Was (nearly) all of the stream found to run at a constant rate?"""
        return self.judged and self.skipped < 5 + 0.05 * len(self.residuals)

    def report(self):
        if not self.judged:
            return {"judged": False, "reason": self.reason, "pcrs_not_judged": self.skipped}
        ns = sorted(abs(r) * 1e9 / TICKS for r in self.residuals)
        return {
            "judged": True,
            "max_ns": round(ns[-1], 1),
            "p99_ns": round(ns[min(len(ns) - 1, len(ns) * 99 // 100)], 1),
            "rms_ns": round(sqrt(sum(x * x for x in ns) / len(ns)), 1),
            "rate_bps": round(sum(rate for *_, rate in self.rates) / len(self.rates), 3),
            "rate_spread_ppm": round(1e6 * (max(r for *_, r in self.rates) / min(r for *_, r in self.rates) - 1), 4),
            "blocks": self.blocks,
            "pcrs": len(ns),
            "pcrs_not_judged": self.skipped,
            "method": "line through blocks of at most 12 s",
        }


def check(pid, samples, accuracy, findings, interval=100 * MS, tolerance_ns=500, rate=None):
    """Repetition, continuity and accuracy of the PCRs of one PID. Returns the report on it."""
    steps = []
    announced = jumps = 0
    ticks_a_byte = 8 * TICKS / rate if rate else accuracy.slope
    for k in range(1, len(samples)):
        delta = step(samples.value[k - 1], samples.value[k])
        index = samples.index[k]
        if samples.announced[k] and not 0 <= delta <= 100 * MS:
            announced += 1
            by_value = None
        elif 0 <= delta <= JUMP:
            by_value = delta
            steps.append(delta)
        else:
            by_value = None
        # at a constant rate the bytes between tell the time better than the values
        passed = (index - samples.index[k - 1]) * PACKET * ticks_a_byte if ticks_a_byte else by_value
        if passed is not None and passed > interval + MS // 100:
            findings.add("pcr_repetition", index, pid, f"{passed / MS:.3f} ms")
        if not samples.announced[k] and not 0 <= delta <= 100 * MS:
            jumps += 1
            findings.add("pcr_discontinuity", index, pid, f"{delta / MS:+.3f} ms")
    for place, residual in zip(accuracy.places, accuracy.residuals):
        if abs(residual) * 1e9 / TICKS > tolerance_ns:
            findings.add("pcr_accuracy", place, pid, f"{residual * 1e9 / TICKS:+.0f} ns")
    report = {
        "count": len(samples),
        "first": samples.value[0] if len(samples) else None,
        "last": samples.value[-1] if len(samples) else None,
        "announced_discontinuities": announced,
        "jumps": jumps,
        "accuracy": accuracy.report(),
    }
    if steps:
        report["interval_ms"] = {
            "min": round(min(steps) / MS, 4), "mean": round(sum(steps) / len(steps) / MS, 4),
            "max": round(max(steps) / MS, 4),
        }
    return report
