"""`inspect`: the PES packets and access units of a file. `compare`: is one file a contiguous part of another?"""

import argparse
import hashlib
import json
import sys

import packets
from findings import Findings
from packets import PTS_CYCLE


def silent():
    return Findings(only=("none",))


def learn(judge_class, reader, options):
    """A first look at a file: its programs."""
    probe = judge_class(reader, silent(), options)
    probe.run(limit=(64 << 20) // packets.PACKET, enough=probe.learnt)
    probe.finish(cut=True)
    return probe


def records(judge_class, file, options, on_record):
    """Goes through a file; `on_record(stream, record)` hears of each PES packet. Returns the finished run."""
    reader = packets.Reader(file, options.framing)
    probe = learn(judge_class, reader, options)
    run = judge_class(reader, silent(), options, probe=probe, on_record=on_record)
    run.run()
    run.finish(cut=False)
    return run


def described(stream, record):
    out = {"pid": stream.pid, "packet": record.packet, "stream_id": record.stream_id, "pts": record.pts,
           "dts": record.dts, "bytes": record.size, "sha1": record.sha1, "random_access": record.rai,
           "codec": stream.info["codec"], "units": [unit.info for unit in record.units]}
    if record.damaged:
        out["damaged"] = True
    return out


def inspect(judge_class, options, defaults, opened):
    summary = {}

    def show(stream, record):
        if options.pid and stream.pid not in options.pid:
            return
        if not options.summary:
            print(json.dumps(described(stream, record)))
        s = summary.setdefault(stream.pid, {"pid": stream.pid, "codec": stream.info["codec"], "pes": 0, "units": 0,
                                            "random_access": 0, "bytes": 0, "pictures": {}})
        s["pes"] += 1
        s["units"] += len(record.units)
        s["random_access"] += record.rai
        s["bytes"] += record.size
        for unit in record.units:
            kind = unit.info.get("type")
            if kind:
                s["pictures"][kind] = s["pictures"].get(kind, 0) + 1

    with opened(options.file) as file:
        records(judge_class, file, defaults, show)
    if options.summary:
        for pid in sorted(summary):
            print(json.dumps(summary[pid]))
    return 0


# -- compare

class Item:
    """One thing that is compared: its fingerprint, where it was, and its time stamps."""

    __slots__ = ("mark", "packet", "size", "pts", "dts")

    def __init__(self, mark, packet, size, pts=None, dts=None):
        self.mark, self.packet, self.size, self.pts, self.dts = mark, packet, size, pts, dts


def pes_items(judge_class, file, options):
    found = {}

    def keep(stream, record):
        mark = (record.stream_id, record.sha1)
        found.setdefault(stream.pid, []).append(Item(mark, record.packet, record.size, record.pts, record.dts))

    run = records(judge_class, file, options, keep)
    return run, found


def packet_items(file, options, wanted, exact):
    """Every packet of the wanted PIDs; PID and continuity counter masked unless `exact`."""
    found = {}
    reader = packets.Reader(file, options.framing)
    stride, lead = reader.stride, reader.lead
    for data, index in reader.runs():
        for k, off in enumerate(range(lead, len(data), stride)):
            pid = (data[off + 1] & 0x1F) << 8 | data[off + 2]
            if pid not in wanted:
                continue
            packet = data[off:off + 188]
            if not exact:
                packet = bytes((data[off + 1] & 0xE0, data[off + 3] & 0xF0)) + packet[4:]
            found.setdefault(pid, []).append(Item(hashlib.sha1(packet).digest(), index + k, 188))
    return found


def elementary(judge_class, file, options):
    """{pid: all elementary stream bytes}; the file must fit in memory."""
    found = {}
    reader = packets.Reader(file, options.framing)
    probe = learn(judge_class, reader, options)
    run = judge_class(reader, silent(), options, probe=probe,
                      on_payload=lambda pid, payload: found.setdefault(pid, bytearray()).extend(payload))
    run.run()
    run.finish(cut=False)
    return run, found


def place(a, b):
    """Where list b stands in list a: (offset or None, offset of the longest beginning, its length)."""
    best = (None, 0)
    marks = [item.mark for item in b]
    for offset, item in enumerate(a):
        if item.mark != marks[0]:
            continue
        n = 1
        while n < len(b) and offset + n < len(a) and a[offset + n].mark == marks[n]:
            n += 1
        if n == len(b):
            return offset, offset, n
        if n > best[1]:
            best = (offset, n)
    return None, best[0], best[1]


def lists(a, b):
    """Compares two lists of items."""
    out = {"a": len(a), "b": len(b), "equal": False, "offset": None}
    if not b:
        out["equal"] = not a
        return out
    offset, near, matched = place(a, b)
    out.update(offset=offset, matched=matched, equal=offset is not None)
    if offset is None:
        odd = b[matched]
        difference = {"b_index": matched, "b_packet": odd.packet, "b_bytes": odd.size}
        if near is not None and near + matched < len(a):
            other = a[near + matched]
            difference.update(a_index=near + matched, a_packet=other.packet, a_bytes=other.size)
        out["first_difference"] = difference
        return out
    shifts = []
    for x, y in zip(a[offset:], b):
        if x.pts is not None and y.pts is not None:
            shifts.append((y.pts - x.pts) % PTS_CYCLE)
        elif (x.pts is None) != (y.pts is None):
            shifts.append(None)
        if x.dts is not None and y.dts is not None:
            shifts.append((y.dts - x.dts) % PTS_CYCLE)
        elif (x.dts is None) != (y.dts is None):
            shifts.append(None)
    if shifts:
        if len(set(shifts)) == 1 and shifts[0] is not None:
            out["stamp_shift"] = shifts[0] if shifts[0] < PTS_CYCLE // 2 else shifts[0] - PTS_CYCLE
        else:
            out["stamp_shift"] = "varies"
    return out


def texts(a, b):
    """Compares two byte strings."""
    at = a.find(b)
    out = {"a": len(a), "b": len(b), "equal": at >= 0 and (len(b) > 0 or not a), "offset": at if at >= 0 else None}
    if at < 0:
        # how much of b's beginning is there?
        low, high = 0, len(b)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if a.find(b[:middle]) >= 0 else (low, middle - 1)
        out["first_difference"] = {"b_byte": low, "a_byte": a.find(b[:low]) + low if low else None}
    return out


def compare(judge_class, options, defaults, opened):
    mapping = dict(options.map)
    with opened(options.a) as file_a, opened(options.b) as file_b:
        if options.level == "es":
            _, a = elementary(judge_class, file_a, defaults)
            run, b = elementary(judge_class, file_b, defaults)
        else:
            run_a, a = pes_items(judge_class, file_a, defaults)
            run, b = pes_items(judge_class, file_b, defaults)
        kinds = {s["pid"]: s["kind"] for p in list(run.known.values()) + list(run.tables.programs.values())
                 for s in p.streams}
        wanted = set(options.pid or kinds)
        plain = {pid for pid in wanted if kinds.get(pid) == "sections" or options.level == "packets"}
        plain |= {pid for pid in wanted if pid not in kinds and pid not in b}
        back = {b_pid: a_pid for a_pid, b_pid in mapping.items()}
        if plain:
            a.update(packet_items(file_a, defaults, {back.get(pid, pid) for pid in plain}, options.exact))
            b.update(packet_items(file_b, defaults, plain, options.exact))
    out = {"a": options.a, "b": options.b, "level": options.level, "equal": bool(wanted), "pids": {}}
    for pid in sorted(wanted):
        x, y = a.get(back.get(pid, pid)), b.get(pid)
        judge_by = texts if isinstance(x, bytearray) or isinstance(y, bytearray) else lists
        empty = bytearray() if judge_by is texts else []
        result = judge_by(x if x is not None else empty, y if y is not None else empty)
        if not result["b"] and kinds.get(pid) not in ("video", "audio"):
            result["equal"] = True  # a sparse stream may have nothing to say for a while
        out["pids"][str(pid)] = result
        out["equal"] &= result["equal"]
    out["equal"] &= any(result["b"] for result in out["pids"].values())
    shifts = {r["stamp_shift"] for r in out["pids"].values() if "stamp_shift" in r}
    out["stamp_shift"] = shifts.pop() if len(shifts) == 1 else "varies" if shifts else None
    if options.stamps == "same" and out["stamp_shift"] not in (0, None):
        out["equal"] = False
    if options.stamps == "shifted" and out["stamp_shift"] == "varies":
        out["equal"] = False
    if options.json:
        json.dump(out, sys.stdout, indent=1)
        print()
    else:
        if not wanted:
            print("nothing to compare: no PMT in B, and no --pid")
        for pid, r in out["pids"].items():
            text = (f"from {r['offset']}" if r["b"] else "nothing") if r["equal"] else f"differs: {r.get('first_difference', 'nothing there')}"
            shift = f", stamps {r['stamp_shift']}" if "stamp_shift" in r else ""
            print(f"PID {pid}: {r['b']} of {r['a']}, {text}{shift}")
    return 0 if out["equal"] else 1


def number(text):
    return int(text, 0)


def pair(text):
    a, _, b = text.partition("=")
    return int(a, 0), int(b, 0)


def main(word, argv, judge_class, defaults, opened):
    p = argparse.ArgumentParser(prog=f"judge.py {word}")
    p.add_argument("--framing", type=int, choices=sorted(packets.FRAMINGS))
    p.add_argument("--pid", type=number, action="append", default=[], help="only this PID (repeat; of B in compare)")
    if word == "inspect":
        p.add_argument("file", metavar="FILE")
        p.add_argument("--summary", action="store_true", help="one line for each PID")
    else:
        p.add_argument("a", metavar="A", help="the source")
        p.add_argument("b", metavar="B", help="what should be a part of it")
        p.add_argument("--level", choices=("pes", "es", "packets"), default="pes",
                       help="pes: payload of each PES packet; es: elementary stream bytes; packets: transport packets")
        p.add_argument("--exact", action="store_true", help="packets: PID and continuity counter too")
        p.add_argument("--map", type=pair, action="append", default=[], metavar="A=B", help="PID A became PID B")
        p.add_argument("--stamps", choices=("any", "shifted", "same"), default="any",
                       help="what time stamps may be: anything, shifted by one constant for all PIDs, the same")
        p.add_argument("--json", action="store_true")
    options = p.parse_args(argv)
    defaults.framing = options.framing
    try:
        return (inspect if word == "inspect" else compare)(judge_class, options, defaults, opened)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"judge.py: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
