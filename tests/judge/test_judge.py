"""The judge judged: for every rule a stream that breaks it and one that does not.

    python3 -m unittest discover -s tests/judge

HEADEND_SAMPLES names a folder of captures with the figures of TSDuck beside them (NAME.figures.json); without it, and
without ffmpeg, the tests that need them are skipped and say so.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import stream as s
from findings import CATALOGUE
from stream import AUDIO, EIT_PID, MS, PAT_PID, PMT_PID, SDT_PID, TICKS, VIDEO
from support import Case, cut_out, verdict

HERE = pathlib.Path(__file__).parent


class CleanStreams(Case):
    def test_mpeg2_and_mp2(self):
        result = self.clean(s.clean())
        self.assertTrue(result["clean"])
        self.assertEqual(result["packets"], 6000)
        self.assertEqual(result["duration_ms"], 3000.0)
        service, = result["services"]
        self.assertEqual((service["id"], service["name"], service["provider"], service["pcr_pid"]), (1, "Service", "Maker", VIDEO))
        self.assertEqual([p["codec"] for p in service["pids"]], ["mpeg2video", "mpegaudio"])
        self.assertEqual(result["pids"][str(VIDEO)]["pictures"], {"I": 7, "P": 67})
        self.assertEqual(result["pids"][str(AUDIO)]["access_units"], 124)

    def test_avc(self):
        self.clean(s.clean(codec="avc"))

    def test_at_other_rates(self):
        for rate in (2_000_000, 7_777_777, 38_014_706):
            with self.subTest(rate=rate):
                self.clean(s.clean(rate=rate), "--cbr", str(rate))

    def test_over_the_wrap_of_pcr_and_time_stamps(self):
        for before in (0.2, 1.5, 2.9):
            with self.subTest(before=before):
                result = self.clean(s.clean(start=(300 << 33) - int(before * TICKS)))
                self.assertEqual(result["duration_ms"], 3000.0)

    def test_other_framings(self):
        stream = s.clean()
        timed = b"".join(bytes([0x47, 0, k >> 8 & 255, k & 255]) + p for k, p in enumerate(map(bytes, stream)))
        self.assertEqual(self.clean(timed)["framing"], 192)
        coded = b"".join(bytes(p) + bytes(16) for p in stream)
        self.assertEqual(self.clean(coded)["framing"], 204)

    def test_an_announced_change_of_time_base(self):
        one, two = s.clean(2), s.clean(2, start=99 * TICKS)
        first = s.places(two, VIDEO)[0]
        self.assertEqual(first, 1)  # behind the PAT comes the PCR packet of the new time base
        two[first][5] |= 0x80
        for a in s.places(two, AUDIO)[:1]:
            self.assertGreater(a, first)
        self.clean(s.renumber(one + two))

    def test_two_programs_with_two_clocks(self):
        """Two streams, packet by packet in turn: twice the rate, each with its own time base and PCR."""
        moved = {PMT_PID: 0x200, VIDEO: 0x201, AUDIO: 0x202}
        both = s.pat(((1, PMT_PID), (2, 0x200)))
        one = s.clean(pat_section=both)
        two = s.clean(start=(300 << 33) - TICKS, pmt_section=s.pmt(((2, 0x201, b""), (3, 0x202, b"")), pcr=0x201, number=2))
        for p in two:
            pid = s.pid_of(p)
            if pid in moved:
                p[1], p[2] = p[1] & 0xE0 | moved[pid] >> 8, moved[pid] & 255
        cut_out(two, *s.places(two, PAT_PID), *s.places(two, SDT_PID))
        stream = [p for pair in zip(one, two) for p in pair]
        result = self.clean(stream, "--cbr", "6016000")
        self.assertEqual([x["pcr_pid"] for x in result["services"]], [VIDEO, 0x201])
        self.assertEqual(len(result["tstd"]["systems"]), 2)
        # what goes wrong in one program is found there, by its own clock
        at = next(i for i in s.places(stream, 0x202, True) if i > 6000)
        cut_out(stream, at)
        found = self.finds(stream, {"cc_error": 1})["findings"]
        self.assertEqual(found["cc_error"]["first"][0]["pid"], 0x202)

    def test_a_lone_packet_of_padding_pes(self):
        def padding(mux):
            mux.add(500 * MS, *s.split(AUDIO, b"\0\0\1\xbe\0\x04\xff\xff\xff\xff"))
        self.clean(s.clean(extra=padding))


class Options(Case):
    def test_only_and_ignore(self):
        stream = b"".join(map(bytes, s.clean())) + b"\x47" * 10
        self.finds(stream, {}, "--only", "pes,clock")
        self.finds(stream, {}, "--ignore", "trailing_bytes")
        self.finds(stream, {"trailing_bytes": 1}, "--only", "trailing_bytes")

    def test_duration(self):
        stream = s.clean()
        cut_out(stream, next(i for i in s.places(stream, AUDIO) if i > 4000))
        self.clean(stream, "--duration", "1.9")
        self.assertIn("cc_error", verdict(stream)["findings"])

    def run_it(self, *arguments, data=None):
        return subprocess.run([sys.executable, str(HERE / "judge.py"), *arguments], input=data, capture_output=True)

    def test_the_command(self):
        good = b"".join(map(bytes, s.clean(1.2)))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "good.ts")
            path.write_bytes(good)
            bad = pathlib.Path(folder, "bad.ts")
            bad.write_bytes(good + b"\x47")
            done = self.run_it(str(path), "--json")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertEqual(json.loads(done.stdout)["findings"], {})
            done = self.run_it(str(path), str(bad), "--json")
            self.assertEqual(done.returncode, 1)
            self.assertEqual([r["clean"] for r in json.loads(done.stdout)], [True, False])
            self.assertIn(b"trailing_bytes", self.run_it(str(bad)).stdout)
            self.assertEqual(self.run_it("-", "--json", data=good).returncode, 0)
            self.assertEqual(self.run_it(str(path) + ".none").returncode, 2)
        self.assertEqual(self.run_it().returncode, 2)
        self.assertEqual(self.run_it("--only", "nonsense", "x").returncode, 2)
        self.assertIn(b"cc_error", self.run_it("--list").stdout)

    def test_warnings_count_when_strict(self):
        def add(mux):
            mux.add(500 * MS, s.packet(0x333, bytes(184)))
        stream = s.clean(extra=add)
        self.assertTrue(verdict(stream)["clean"])
        self.assertFalse(verdict(stream, "--strict")["clean"])

    def test_the_manual_names_every_finding(self):
        manual = (HERE / "README.md").read_text()
        for name in CATALOGUE:
            self.assertIn(f"`{name}`", manual)

    def test_every_finding_is_tried(self):
        here = "".join(path.read_text() for path in HERE.glob("test_*.py"))
        for name in CATALOGUE:
            self.assertIn(f'"{name}"', here, name)


class Damage(unittest.TestCase):
    def test_no_damage_makes_it_fall_over(self):
        rng = random.Random(5)
        base = b"".join(map(bytes, s.clean(1.5, extra=lambda mux: [
            mux.add(k * 200 * MS, *s.packetize([s.eit(k & 1)], EIT_PID)) for k in range(7)])))
        avc = b"".join(map(bytes, s.clean(1.5, codec="avc")))
        for turn in range(40):
            data = bytearray((base, avc)[turn & 1])
            bytes_hit = rng.choice((3, 30, 3000))
            for _ in range(bytes_hit):
                at = rng.randrange(len(data))
                if rng.random() < 0.5:
                    at = at // 188 * 188 + rng.randrange(24)
                data[at % len(data)] = rng.randrange(256)
            if turn % 5 == 0:
                at = rng.randrange(len(data))
                del data[at:at + rng.randrange(2000)]
            with self.subTest(turn=turn):
                result = verdict(data)
                json.dumps(result)
                if bytes_hit > 100:  # a few bytes may all have hit stuffing and slices
                    self.assertTrue(result["findings"])
