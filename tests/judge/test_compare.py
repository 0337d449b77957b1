"""Two streams compared."""

import json
import pathlib
import subprocess
import sys
import tempfile

import stream as s
from stream import AUDIO, PAT_PID, PMT_PID, TICKS, VIDEO
from support import Case

HERE = pathlib.Path(__file__).parent


class Comparing(Case):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, stream):
        path = pathlib.Path(self.folder.name, name)
        path.write_bytes(b"".join(map(bytes, stream)))
        return str(path)

    def judge(self, *arguments):
        done = subprocess.run([sys.executable, str(HERE / "judge.py"), *arguments], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def marked(self, **more):
        """A stream whose every PES packet is unlike every other."""
        def mark(k, data):
            return data[:-4] + (k + 1000).to_bytes(4, "big")
        return s.clean(audio_pes=mark, video_pes=mark, **more)

    def test_a_part_is_found(self):
        whole = self.marked()
        video = s.places(whole, VIDEO, True)
        audio = s.places(whole, AUDIO, True)
        # pictures 12 to 36 and the audio that stands between, on PES edges
        a = {VIDEO: (video[12], video[36]), AUDIO: (audio[30], audio[70])}
        part = [p for i, p in enumerate(whole) if s.pid_of(p) in (PAT_PID, PMT_PID)
                or s.pid_of(p) in a and a[s.pid_of(p)][0] <= i < a[s.pid_of(p)][1]]
        one, two = self.file("a.ts", whole), self.file("b.ts", part)
        for level in ("pes", "es", "packets"):
            with self.subTest(level=level):
                code, text = self.judge("compare", one, two, "--json", "--level", level)
                self.assertEqual(code, 0, text)
        result = json.loads(self.judge("compare", one, two, "--json", "--stamps", "same")[1])
        self.assertEqual((result["pids"][str(VIDEO)]["b"], result["pids"][str(VIDEO)]["offset"]), (24, 12))
        self.assertEqual((result["pids"][str(AUDIO)]["b"], result["pids"][str(AUDIO)]["offset"]), (40, 30))
        self.assertEqual(result["stamp_shift"], 0)
        self.assertEqual(self.judge("compare", one, self.file("none.ts", [p for p in part if s.pid_of(p) == 0]))[0], 1)

    def test_a_difference_is_shown(self):
        whole = self.marked()
        part = [bytearray(p) for p in whole]
        at = s.places(part, VIDEO, False, True)[100]
        part[at][100] ^= 1
        one, two = self.file("a.ts", whole), self.file("b.ts", part)
        for level in ("pes", "es", "packets"):
            code, text = self.judge("compare", one, two, "--json", "--level", level)
            result = json.loads(text)
            self.assertEqual((code, result["equal"]), (1, False))
            self.assertIn("first_difference", result["pids"][str(VIDEO)])
            self.assertTrue(result["pids"][str(AUDIO)]["equal"])
        self.assertEqual(self.judge("compare", one, two, "--pid", str(AUDIO))[0], 0)

    def test_a_missing_pes_packet_in_the_middle(self):
        whole = self.marked()
        one = self.file("a.ts", whole)
        gone = s.clean(audio_pes=lambda k, d: d[:-4] + (k + 1000).to_bytes(4, "big") if k != 50 else None,
                       video_pes=lambda k, d: d[:-4] + (k + 1000).to_bytes(4, "big"))
        code, text = self.judge("compare", one, self.file("b.ts", gone), "--json")
        self.assertEqual(code, 1)
        self.assertEqual(json.loads(text)["pids"][str(AUDIO)]["first_difference"]["b_index"], 50)

    def test_shifted_stamps(self):
        one = self.file("a.ts", self.marked())
        two = self.file("b.ts", self.marked(start=77 * TICKS))
        self.assertEqual(self.judge("compare", one, two)[0], 0)
        self.assertEqual(self.judge("compare", one, two, "--stamps", "same")[0], 1)
        code, text = self.judge("compare", one, two, "--stamps", "shifted", "--json")
        self.assertEqual((code, json.loads(text)["stamp_shift"]), (0, 67 * 90_000))
        crooked = self.marked(stamps=lambda pid, k, pts, dts: (pts + (pid == AUDIO), dts))
        self.assertEqual(self.judge("compare", one, self.file("c.ts", crooked), "--stamps", "shifted")[0], 1)

    def test_other_pids(self):
        whole = self.marked()
        moved = [bytearray(p) for p in self.marked(pmt_section=s.pmt(((2, VIDEO, b""), (3, 0x144, b""))))]
        for p in moved:
            if s.pid_of(p) == AUDIO:
                p[1], p[2] = p[1] & 0xE0 | 1, 0x44
        one, two = self.file("a.ts", whole), self.file("b.ts", moved)
        self.assertEqual(self.judge("compare", one, two)[0], 1)
        self.assertEqual(self.judge("compare", one, two, "--map", "0x102=0x144")[0], 0)
        self.assertEqual(self.judge("compare", one, two, "--map", "0x102=0x144", "--level", "packets")[0], 0)

    def test_inspect(self):
        path = self.file("a.ts", self.marked())
        code, text = self.judge("inspect", path, "--pid", str(VIDEO))
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual((code, len(lines)), (0, 74))
        self.assertEqual(lines[0]["units"][0]["type"], "I")
        self.assertEqual((lines[0]["random_access"], lines[1]["random_access"]), (True, False))
        self.assertEqual((lines[0]["dts"], lines[0]["pts"]), ((10_000 + 210) * 90, (10_000 + 210) * 90 + 3600))
        self.assertEqual((lines[5]["bytes"], lines[5]["stream_id"]), (3000, 0xE0))
        summary = {x["pid"]: x for x in map(json.loads, self.judge("inspect", path, "--summary")[1].splitlines())}
        self.assertEqual(summary[VIDEO]["pictures"], {"I": 7, "P": 67})
        self.assertEqual((summary[VIDEO]["units"], summary[AUDIO]["units"], summary[VIDEO]["random_access"]), (74, 124, 7))
