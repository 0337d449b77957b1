#!/usr/bin/env python3
"""Judges transport stream files by the clauses of the specifications. See README.md beside this file.

    judge.py FILE... [--json] [options]     findings; exit status 0 none, 1 some, 2 wrong usage
    judge.py inspect FILE [--pid P]         one JSON line for each PES packet, with its access units
    judge.py compare A B [--pid P]          is what B carries a contiguous part of A?
"""

import argparse
import json
import sys
import tempfile

import clock
import compare
import packets
import pes
import psi
import tstd
from findings import CATALOGUE, GROUPS, Findings

PROBE = 64 << 20  # bytes that are looked through at most for PMTs and parameter sets before the judging


class State:
    """One PID."""

    __slots__ = ("pid", "packets", "continuity", "cc_errors", "duplicates", "scrambled", "sections", "stream", "chain",
                 "systems", "pcr", "pcr_pid", "role", "gaps", "first", "last",
                 "clock")

    def __init__(self, pid):
        self.pid = pid
        self.packets = self.cc_errors = self.duplicates = self.scrambled = self.pcr = 0
        self.continuity = packets.Continuity()
        self.sections = self.stream = self.chain = None
        self.systems = []
        self.pcr_pid = False
        self.role = None
        self.gaps = []
        self.first = self.last = self.clock = None


class Judge:
    """One way through one file. `timelines` is {} for the first look, which learns what is in the file."""

    def __init__(self, reader, findings, options, timelines=None, samples=None, reference=None, probe=None,
                 on_record=None, on_payload=None):
        self.reader, self.findings, self.options = reader, findings, options
        self.timelines, self.samples, self.reference = timelines or {}, samples or {}, reference
        self.on_record = on_record
        self.on_payload = on_payload
        self.states = [None] * 8192
        self.nulls = 0
        self.systems = {}  # program: tstd.Systems
        self.streams = []  # every stream there ever was, with its PID
        self.known = probe.tables.first if probe else {}  # programs, before their PMT has come
        # what the first stream of a codec on a PID says of itself; a PID may change its codec
        self.params = {}
        for pid, stream in probe.streams if probe else ():
            if stream.first_params:
                self.params.setdefault((pid, stream.info["codec"]), stream.first_params)
        self.tables = psi.Tables(
            findings, clock=reference, psi_interval=options.psi_interval, si_gap=options.si_gap,
            si_interval={psi.EIT_OTHER: options.eit_other_interval}, changed=self.assign)
        self.assign()

    # -- who is who

    def state(self, pid):
        state = self.states[pid]
        if state is None:
            state = self.states[pid] = State(pid)
        return state

    def assign(self):
        """Gives every PID its part, after the PAT and PMTs in force."""
        programs = dict(self.known)
        if self.tables.pat:
            programs = {n: p if p.mapped else self.known.get(n, p) for n, p in self.tables.programs.items()}
        sections = {0, 1, 2, 0x10, 0x11, 0x12, 0x13, 0x14, self.tables.network_pid}
        wanted = {}
        clocks = set()
        # a PMT that has moved is awaited on its new PID; until then its streams are those that are known
        moved = {p.pmt_pid for p in self.tables.programs.values()}
        sections |= moved
        self.psi_pids = {p.pmt_pid for p in programs.values()} | moved
        for number, program in sorted(programs.items()):
            sections.add(program.pmt_pid)
            clocks.add(program.pcr_pid)
            for stream in program.streams:
                if stream["kind"] == "sections":
                    sections.add(stream["pid"])
                else:
                    wanted.setdefault(stream["pid"], (program, stream))
        for state in self.states:
            if state is None:
                continue
            if state.sections is not None and state.pid not in sections:
                state.sections = None
            if state.stream is not None and state.role == "referenced" and state.pid not in wanted:
                state.stream.finish(cut=True)
                state.stream = state.chain = None
                state.role = None
            state.pcr_pid = False
            state.systems = []
        for pid in sections:
            state = self.state(pid)
            if state.sections is None:
                state.sections = psi.Sections(pid, self.tables.section, self.findings)
        for pid, (program, info) in wanted.items():
            self._give(pid, program, info)
        for pid in clocks - {None, 0x1FFF}:
            self.state(pid).pcr_pid = True
        for number, program in sorted(programs.items()):
            line = self.timelines.get(program.pcr_pid)
            if line is None or not program.mapped or not self.findings.wants("tstd"):
                continue
            entry = self.systems.get(number)
            if entry is None or entry[0] != program.pcr_pid:
                entry = self.systems[number] = (program.pcr_pid, tstd.Systems(number, line.cursor(), self.findings))
            for pid in {0, 1, 2, 3, program.pmt_pid}:
                self.state(pid).systems.append(entry[1])

    def _give(self, pid, program, info):
        state = self.state(pid)
        if state.sections is not None:
            return
        line = self.timelines.get(program.pcr_pid)
        chain = None
        if line is not None:
            chain = tstd.Chain(pid, line.cursor(), self.findings,
                               exact=info["codec"] in pes.EXACT, judge_buffers=self.findings.wants("tstd"))
        before = state.stream
        if before is not None and state.role == "referenced" and before.info["codec"] == info["codec"]:
            before.info = info
            if state.clock == program.pcr_pid:
                return
            stream = before
            stream.change_clock(chain)
        else:
            if before is not None:
                before.finish(cut=True)
            stream = self._stream(pid, info, chain)
            stream.lost = before is not None  # the middle of what went on before is no orphan
        state.stream, state.chain, state.role, state.clock = stream, chain, "referenced", program.pcr_pid
        if chain is not None:
            chain.set_model(*tstd.model_of(info, stream.told_params or self.params.get((pid, info["codec"]))))
            stream.on_params = lambda: chain.set_model(*tstd.model_of(stream.info, stream.told_params))

    def _stream(self, pid, info, chain):
        elapsed = self.reference.elapsed if self.reference is not None else None
        stream = pes.Stream(pid, info, self.findings, chain, elapsed,
                            {"pts_interval": self.options.pts_interval, "pid_gap": self.options.pid_gap},
                            self.on_record, hashes=self.on_record is not None)
        if self.on_payload is not None:
            stream.on_payload = self.on_payload
        self.streams.append((pid, stream))
        return stream

    # -- packets

    def run(self, limit=None, enough=None):
        """Goes through the file. `enough()` is asked now and then whether to stop early."""
        reader, findings, states = self.reader, self.findings, self.states
        add = findings.add
        stride, lead = reader.stride, reader.lead
        REPEAT, REPEAT_ERROR = packets.Continuity.REPEAT, packets.Continuity.REPEAT_ERROR
        adaptation, step = packets.adaptation, packets.Continuity.step
        for data, index in reader.runs(lambda name, at, detail: add(name, at, None, detail), limit):
            index -= 1
            for off in range(lead, len(data), stride):
                index += 1
                b1 = data[off + 1]
                pid = (b1 & 0x1F) << 8 | data[off + 2]
                control = data[off + 3]
                if b1 & 0x80:
                    add("transport_error", index, pid)
                    continue
                if pid == 0x1FFF:
                    self.nulls += 1
                    if b1 & 0x40 or control & 0xF0 != 0x10:
                        add("null_packet", index, pid, f"{data[off + 1]:02X}{data[off + 2]:02X}{control:02X}")
                    continue
                state = states[pid]
                if state is None:
                    state = self.state(pid)
                if state.first is None:
                    state.first = index
                state.last = index
                state.packets += 1
                fields = control & 0x30
                flags = 0
                start = off + 4
                if fields != 0x10:
                    if fields == 0:
                        add("afc_reserved", index, pid)
                        continue
                    shift, flags = adaptation(data, off, fields == 0x30,
                                              lambda name, detail: add(name, index, pid, detail))
                    start = off + shift if fields == 0x30 else off + 188
                    if flags:
                        if flags & 0x10:
                            state.pcr += 1
                        elif flags & 0x40 and state.pcr_pid:
                            add("rai_without_pcr", index, pid)
                        if flags & 0x80:
                            if state.stream is not None:
                                state.stream.new_time_base()
                            if state.pcr_pid:
                                self._new_time_base(pid)
                verdict = step(state.continuity, data[off:off + 188], control & 0x0F, control & 0x10, flags & 0x80)
                fresh = True
                if verdict:
                    fresh = verdict not in (REPEAT, REPEAT_ERROR)
                    self._uneven(state, verdict, index, control & 0x0F)
                scrambled = control & 0xC0
                if scrambled:
                    state.scrambled += 1
                    if state.sections is not None and (pid < 0x20 or pid in self.psi_pids):
                        add("psi_scrambled", index, pid)
                stream = state.stream
                if stream is not None:
                    used = 0
                    if scrambled:
                        if not stream.lost:
                            stream.break_off(index)
                    elif fresh and start < off + 188:
                        used = stream.packet(data, off, start, index, b1 & 0x40, bool(flags & 0x40))
                    chain = state.chain
                    if chain is not None:
                        time = chain.packet(index, used)
                        if b1 & 0x40:
                            stream.arrived(time, chain.epoch, chain.solid)
                elif state.sections is not None:
                    used = 0
                    if fresh and not scrambled and start < off + 188:
                        used = state.sections.packet(data, off, start, index, b1 & 0x40, index * 188)
                    for system in state.systems:
                        system.packet(index, pid, used)
                elif b1 & 0x40 and pid >= 0x20 and not scrambled and data[start:start + 3] == b"\0\0\1" and fresh:
                    state.stream = self._stream(pid, {"kind": "unreferenced", "codec": "unknown"}, None)
                    state.role = "unreferenced"
                    state.stream.packet(data, off, start, index, True, bool(flags & 0x40))
                else:
                    for system in state.systems:
                        system.packet(index, pid, 0)
            if enough is not None and enough():
                return

    def _uneven(self, state, verdict, index, counter):
        """A packet that is not simply the next of its PID."""
        kinds = packets.Continuity
        if verdict == kinds.REPEAT:
            state.duplicates += 1
            return
        if verdict != kinds.ANNOUNCED:
            state.cc_errors += 1
            if verdict == kinds.DIFFERS:
                self.findings.add("duplicate_differs", index, state.pid, f"counter {counter}")
            else:
                self.findings.add("cc_error", index, state.pid,
                                  "more than twice" if verdict == kinds.REPEAT_ERROR else f"counter {counter}")
        if verdict == kinds.REPEAT_ERROR:
            return
        if len(state.gaps) < 100_000:
            state.gaps.append(index)
        if state.sections is not None:
            state.sections.lose()
        if state.stream is not None:
            state.stream.break_off(index)

    def _new_time_base(self, pcr_pid):
        for program in self.tables.programs.values():
            if program.pcr_pid == pcr_pid:
                for stream in program.streams:
                    state = self.states[stream["pid"]]
                    if state is not None and state.stream is not None:
                        state.stream.new_time_base()

    def finish(self, cut):
        for state in self.states:
            if state is not None and state.stream is not None:
                state.stream.finish(cut)

    def learnt(self):
        """Has the first look seen the PAT, each PMT, and the parameters of each video stream?"""
        tables = self.tables
        if not tables.pat or any(not p.mapped for p in tables.programs.values()):
            return False
        return all(s.first_params is not None or s.info["codec"] not in pes.WITH_PARAMS for _, s in self.streams)


def judge(file, options, name="-"):
    """The whole verdict on one file, as a dictionary."""
    findings = Findings(options.first, options.only, options.ignore)
    reader = packets.Reader(file, options.framing)
    samples = clock.collect(reader, options.max_packets)
    total_packets = reader.packets
    silent = Findings(only=("none",))
    accuracy, timelines = {}, {}
    for pid, s in samples.items():
        accuracy[pid] = clock.Accuracy(s, forced=options.cbr is not None)
        line = clock.Timeline(s, accuracy[pid].slope)
        if line.usable:
            line.constant = accuracy[pid].constant
            timelines[pid] = line
    probe = Judge(reader, silent, options)
    probe.run(limit=min(options.max_packets or PROBE, PROBE // 188), enough=probe.learnt)
    probe.finish(cut=True)
    pcr_pids = {p.pcr_pid for p in probe.tables.first.values()}
    best = max(timelines, key=lambda pid: (pid in pcr_pids, len(samples[pid]), -pid), default=None)
    reference = timelines.get(best)
    limit = options.max_packets
    if options.duration is not None and reference is None:
        raise ValueError("no PCR by which a duration could be measured")
    if options.duration is not None and reference is not None:
        low, high = 0, total_packets
        while low < high:
            middle = (low + high) // 2
            if reference.elapsed(middle * 188) < options.duration * clock.TICKS:
                low = middle + 1
            else:
                high = middle
        limit = min(limit or low, low)
        for s in samples.values():
            while len(s) and s.index[-1] >= limit:
                s.index.pop(), s.value.pop(), s.announced.pop()
    run = Judge(reader, findings, options, timelines, samples, reference, probe)
    run.run(limit)
    cut = limit is not None and reader.packets >= limit
    run.finish(cut)
    total = reference.elapsed(reader.packets * 188) if reference is not None else None
    # how much later than the last PCR a file ends is known of a constant rate alone
    known = total if total is None or reference.constant else reference.elapsed(
        min(reader.packets * 188, reference.epochs[-1][2]))
    run.tables.finish(known, options.require)
    clocks = judge_clocks(run, samples, findings, options)
    absences(run, samples, findings, known, reference, options)
    return verdict(run, reader, findings, options, name, clocks, best, total)


def judge_clocks(run, samples, findings, options):
    """The PCRs, now that it is known where packets were lost."""
    losses = sorted({i for s in run.states if s is not None for i in s.gaps})
    out = {}
    rate = options.cbr or None
    judged = False
    for pid, s in sorted(samples.items()):
        exact = clock.Accuracy(s, losses, forced=options.cbr is not None)
        out[str(pid)] = clock.check(pid, s, exact, findings, options.pcr_interval * clock.MS, options.pcr_accuracy, rate)
        if options.cbr is not None and exact.judged:
            judged = True
            wanted = rate or exact.report()["rate_bps"]
            for first, _, found in exact.rates:
                if abs(found / wanted - 1) > 30e-6:
                    findings.add("not_cbr", first, pid, f"{found:.0f} instead of {wanted:.0f} bit/s")
    if options.cbr is not None and not judged:
        findings.add("not_cbr", detail="fewer than five PCRs in a row")
    return out


def absences(run, samples, findings, total, reference, options):
    """What a PMT promises and the file does not hold, or the reverse."""
    tables = run.tables
    programs = {n: p if p.mapped else run.known.get(n, p) for n, p in tables.programs.items()}
    for number, program in sorted(programs.items()):
        if not program.mapped:
            continue
        pcr = samples.get(program.pcr_pid)
        if program.pcr_pid != 0x1FFF and not pcr:
            findings.add("pcr_absent", pid=program.pcr_pid, detail=f"program {number}")
        starts = [(st.stream.first_start, s["pid"]) for s in program.streams
                  if (st := run.states[s["pid"]]) is not None and st.stream is not None
                  and st.stream.first_start is not None and s["kind"] in pes.MEDIA]
        own = [x for x in starts if x[1] == program.pcr_pid] or starts
        before = run.known.get(number)
        same_clock = before is None or before.pcr_pid == program.pcr_pid
        if pcr and own and same_clock and min(own)[0] < pcr.index[0]:
            findings.add("pcr_late", min(own)[0], min(own)[1], f"first PCR at packet {pcr.index[0]}")
        if pcr and reference is not None and same_clock:
            edges(run, program, pcr, findings, reference, options)
        for stream in program.streams:
            state = run.states[stream["pid"]]
            if stream["kind"] in pes.MEDIA and (state is None or not state.packets):
                findings.add("pid_absent", pid=stream["pid"], detail=f"program {number}, {stream['codec']}")
            elif total is not None and state is not None and state.stream is not None and stream["kind"] in pes.MEDIA:
                last = state.stream.last_elapsed
                if last is not None and total - last > state.stream.pid_gap:
                    findings.add("pid_gap", None, stream["pid"], f"{(total - last) / clock.MS:.0f} ms to the end")
    referenced = tables.ever_referenced | {p.pcr_pid for p in run.known.values()}
    scrambled = 0
    for state in run.states:
        if state is None or not state.packets:
            continue
        scrambled += state.scrambled
        if state.pid >= 0x20 and state.pid not in referenced and state.pid != 0x1FFB:
            findings.add("unreferenced_pid", state.first, state.pid, f"{state.packets} packets")
    if scrambled and not tables.seen.get(psi.CAT):
        findings.add("cat_absent", detail=f"{scrambled} scrambled packets")


def edges(run, program, pcr, findings, reference, options):
    """Do the PCRs begin and end with the program? Only a clock that runs on can tell."""
    states = [st for s in program.streams if (st := run.states[s["pid"]]) is not None and st.packets]
    if not states:
        return
    def solid(index):
        return index if reference.constant else min(max(index, reference.epochs[0][1] // 188), reference.epochs[-1][2] // 188)
    for first, last, where in ((min(st.first for st in states), pcr.index[0], "to the first PCR"),
                               (pcr.index[-1], max(st.last for st in states), "after the last PCR")):
        gap = reference.elapsed(solid(last) * 188) - reference.elapsed(solid(first) * 188)
        if gap > options.pcr_interval * clock.MS + clock.MS / 100:
            findings.add("pcr_repetition", first, program.pcr_pid, f"{gap / clock.MS:.1f} ms {where}")


def verdict(run, reader, findings, options, name, clocks, best, total):
    """Everything that was found and measured, ready for JSON."""
    tables = run.tables
    pids = {}
    roles = {0: "pat", 1: "cat", 2: "tsdt", 0x10: "nit", 0x11: "sdt", 0x12: "eit", 0x13: "rst", 0x14: "tdt"}
    entries = {}
    for program in list(run.known.values()) + list(tables.programs.values()):
        roles[program.pmt_pid] = "pmt"
        entries.update({s["pid"]: s for s in program.streams})
    streams = {}
    for pid, stream in run.streams:
        streams.setdefault(pid, []).append(stream)
    for state in run.states:
        if state is None or not state.packets:
            continue
        pid = state.pid
        entry = entries.get(pid)
        out = {"packets": state.packets, "kind": roles.get(pid) or (entry["kind"] if entry else "other"),
               "codec": entry["codec"] if entry else None, "language": entry["language"] if entry else None,
               "cc_errors": state.cc_errors, "duplicates": state.duplicates, "scrambled": state.scrambled,
               "pcrs": state.pcr}
        for stream in streams.get(pid, ()):
            for key, value in stream.report().items():
                # a PID that changed its codec has been several streams
                out[key] = out[key] + value if key in ("pes", "with_pts", "access_units") and key in out else value
        pids[str(pid)] = out
    services = []
    for number, program in sorted(tables.programs.items()):
        label = tables.names.get(number, (None, None, None))
        services.append({
            "id": number, "name": label[0], "provider": label[1], "type": label[2], "pmt_pid": program.pmt_pid,
            "pcr_pid": program.pcr_pid, "pids": [
                {"pid": s["pid"], "stream_type": s["stream_type"], "kind": s["kind"], "codec": s["codec"],
                 "language": s["language"]} for s in program.streams],
        })
    decoder = {}
    for pid, (*_, stream) in streams.items():
        if stream.chain is not None and run.states[pid].packets:
            decoder[str(pid)] = dict(stream.chain.report(), codec=stream.info["codec"])
        elif pid in entries and findings.wants("tstd"):
            decoder[str(pid)] = {"judged": False, "reason": "no usable PCR", "codec": entries[pid]["codec"]}
    not_judged = []
    if total is None:
        not_judged.append("intervals, arrival times and buffers: no usable PCR")
    elif not run.reference.constant:
        not_judged.append("PCR accuracy, and arrival before the first and after the last PCR: the rate is not constant")
    not_judged += [f"buffers of PID {pid}: {d['reason']}" for pid, d in decoder.items() if not d["judged"]]
    return {
        "file": name,
        "clean": findings.errors(options.strict) == 0,
        "packets": reader.packets,
        "bytes": reader.bytes,
        "framing": reader.stride,
        "null_packets": run.nulls,
        "duration_ms": round(total / clock.MS, 3) if total is not None else None,
        "reference_pcr_pid": best,
        "findings": findings.report(),
        "not_judged": not_judged,
        "pids": pids,
        "pcr": clocks,
        "psi": tables.report(),
        "services": services,
        "tstd": {"streams": decoder, "systems": [s.report() for _, s in run.systems.values()]},
    }


def print_text(result, out):
    line = f"{result['file']}: {result['packets']} packets"
    if result["duration_ms"] is not None:
        line += f", {result['duration_ms'] / 1000:.3f} s"
    print(line + (": clean" if not result["findings"] else ""), file=out)
    for name, found in result["findings"].items():
        print(f"  {found['level']} {name}: {found['count']} ({found['clause']}: {CATALOGUE[name][3]})", file=out)
        for hit in found["first"]:
            where = [f"packet {hit['packet']}" if hit["packet"] is not None else "",
                     f"PID {hit['pid']}" if hit["pid"] is not None else ""]
            print("    " + ", ".join(filter(None, where + [hit["detail"]])), file=out)
    for pid, found in result["pcr"].items():
        a = found["accuracy"]
        text = (f"{a['rate_bps']:.0f} bit/s, accuracy {a['max_ns']} ns" if a["judged"] else
                f"accuracy not judged: {a['reason']}")
        print(f"  PCR PID {pid}: {found['count']} PCRs, {text}", file=out)
    for text in result["not_judged"]:
        print(f"  not judged: {text}", file=out)


def opened(name):
    """A file that can be read twice; standard input is spooled."""
    if name != "-":
        return open(name, "rb")
    spool = tempfile.TemporaryFile()
    while block := sys.stdin.buffer.read(1 << 20):
        spool.write(block)
    return spool


def listed(text):
    return tuple(filter(None, text.replace(" ", ",").split(",")))


def names(text):
    found = listed(text)
    for name in found:
        if name not in CATALOGUE and name not in GROUPS:
            raise argparse.ArgumentTypeError(f"no such finding or group: {name}")
    return found


def tables_named(text):
    for name in listed(text):
        if name not in psi.REQUIRABLE:
            raise argparse.ArgumentTypeError(f"{name}: one of {', '.join(psi.REQUIRABLE)}")
    return listed(text)


def parser():
    p = argparse.ArgumentParser(prog="judge.py", description="Judge transport stream files by the specifications.",
                                epilog="Also: judge.py inspect FILE, judge.py compare A B (see --help of each).")
    p.add_argument("files", nargs="*", metavar="FILE", help="transport stream file; - is standard input")
    p.add_argument("--json", action="store_true", help="print one JSON object (a list for several files)")
    p.add_argument("--list", action="store_true", help="list the findings there are, and end")
    p.add_argument("--only", type=names, default=(), metavar="NAMES", help="only these findings or groups, comma-separated")
    p.add_argument("--ignore", type=names, default=(), metavar="NAMES", help="not these findings or groups")
    p.add_argument("--first", type=int, default=10, metavar="N", help="occurrences listed of each finding (10)")
    p.add_argument("--strict", action="store_true", help="warnings count for the exit status")
    p.add_argument("--framing", type=int, choices=sorted(packets.FRAMINGS), help="bytes from packet to packet (found out)")
    p.add_argument("--max-packets", type=int, metavar="N", help="judge the first N packets")
    p.add_argument("--duration", type=float, metavar="S", help="judge the first S seconds by the reference PCR")
    p.add_argument("--cbr", type=float, nargs="?", const=0.0, metavar="RATE",
                   help="the stream has a constant rate (of RATE bit/s): judge every PCR by it")
    p.add_argument("--psi-interval", type=float, default=500, metavar="MS", help="PAT and PMT repetition (500)")
    p.add_argument("--pcr-interval", type=float, default=100, metavar="MS", help="PCR repetition (100)")
    p.add_argument("--pcr-accuracy", type=float, default=500, metavar="NS", help="PCR accuracy (500)")
    p.add_argument("--pts-interval", type=float, default=700, metavar="MS", help="PTS repetition (700)")
    p.add_argument("--si-gap", type=float, default=25, metavar="MS", help="least time between SI sections (25)")
    p.add_argument("--eit-other-interval", type=float, default=20_000, metavar="MS",
                   help="EIT p/f other repetition (20000, terrestrial; satellite and cable 10000)")
    p.add_argument("--pid-gap", type=float, default=5000, metavar="MS", help="longest pause of an audio or video PID (5000)")
    p.add_argument("--require", type=tables_named, default=(), metavar="TABLES",
                   help="tables that must be there: cat, nit, sdt, bat, eit, tdt, tot")
    return p


def main(argv):
    if argv and argv[0] in ("inspect", "compare"):
        return compare.main(argv[0], argv[1:], Judge, parser().parse_args([]), opened)
    options = parser().parse_args(argv)
    if options.list:
        for name, (group, level, clause, meaning) in CATALOGUE.items():
            print(f"{name:20} {group:7} {level:8} {clause}: {meaning}")
        return 0
    if not options.files:
        parser().error("no FILE")
    results = []
    for name in options.files:
        try:
            with opened(name) as file:
                results.append(judge(file, options, name))
        except (OSError, ValueError) as error:
            print(f"judge.py: error: {name}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            return 2
        if not options.json:
            print_text(results[-1], sys.stdout)
    if options.json:
        json.dump(results[0] if len(results) == 1 else results, sys.stdout, indent=1, ensure_ascii=False)
        print()
    return 0 if all(r["clean"] for r in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
