"""The system target decoder: for every rule a stream that breaks it and one that does not."""

import random

import clock
import pes as pes_layer
import stream as s
import tstd
from findings import Findings
from stream import AUDIO, MS, PAT_PID, PMT_PID, TICKS, VIDEO
from support import Case, verdict


class Decoder(Case):
    def test_transport_buffer_by_hand(self):
        """13818-1 2.4.2.3: while a packet arrives at R the buffer drains at Rx, so it gains 188 (1 - Rx/R)."""
        tb = tstd.Transport(512, 2_000_000)
        ticks = 188 * 8 * TICKS / 20_000_000
        for k in range(1, 4):
            level, *_ = tb.packet((k - 1) * ticks, k * ticks)
            self.assertAlmostEqual(level, k * 188 * 0.9)
        # 188 bytes take 0.752 ms to leave
        level, *_ = tb.packet(3 * ticks + 0.752 * MS, 4 * ticks + 0.752 * MS)
        self.assertAlmostEqual(level, 3 * 188 * 0.9 - 188 + 188 * 0.9)

    def chain(self, model, packets, units, slope):
        """Runs a chain over [(packet index, PES bytes)], and units (start, end, td)."""
        samples = clock.Samples()
        for k in range(0, 1500, 100):
            samples.index.append(k)
            samples.value.append(round((k * 188 + 10) * slope))
            samples.announced.append(0)
        line = clock.Timeline(samples)
        line.constant = True
        findings = Findings()
        chain = tstd.Chain(1, line.cursor(), findings)
        chain.set_model(model, None)
        pending = list(units)
        for index, payload in packets:
            chain.packet(index, payload)
            while pending and pending[0][1] <= chain.coordinate:
                start, end, td = pending.pop(0)
                chain.unit(start, end, td, chain.epoch, index)
            chain.run()
        return chain, findings

    def brute(self, model, packets, units, byte_ticks, steps):
        """The same by force: one step for each byte time, every byte moved by hand."""
        rx, held = byte_ticks / (8 * TICKS / model["rx"]), []
        arriving = {}
        for index, payload in packets:
            for k in range(188):
                arriving[index * 188 + k] = k >= 188 - payload
        tb_out = mb_out = 0.0
        tb_in = entered = passed = removed = 0
        high = {"tb": 0, "mb": 0, "eb": 0, "b": 0}
        under = 0
        due = sorted((td, end) for _, end, td in units)
        for step in range(steps):
            now = (step + 1) * byte_ticks
            if step in arriving:
                tb_in += 1
                held.append(arriving[step])
            tb_out = min(tb_out + rx, tb_in)
            while held and tb_in - len(held) + 1 <= tb_out + 1e-9:
                entered += held.pop(0)
            high["tb"] = max(high["tb"], tb_in - tb_out)
            if model["kind"] == "video":
                room = removed + model["eb"] - mb_out
                mb_out = min(mb_out + min(model["rbx"] / 8 / TICKS * byte_ticks, max(room, 0)), entered)
                high["mb"] = max(high["mb"], entered - mb_out)
                passed = mb_out
            else:
                passed = entered
            high["eb" if model["kind"] == "video" else "b"] = max(high["eb" if model["kind"] == "video" else "b"], passed - removed)
            while due and due[0][0] <= now:
                _, end = due.pop(0)
                under += passed < end - 2
                removed = max(removed, end)
        return high, under

    def test_the_fluid_model_against_brute_force(self):
        rng = random.Random(6)
        for turn in range(8):
            rate = rng.choice((1_000_000, 3_000_000, 9_000_000))
            slope = 8 * TICKS / rate
            video = turn % 2
            if video:
                model = {"kind": "video", "tb": 512, "rx": rng.choice((1_200_000, 4_800_000)), "mb": 3000, "eb": rng.choice((2500, 9000)),
                         "rbx": rng.choice((1_000_000, 2_500_000)), "low_delay": False, "leak": True, "delay": None}
            else:
                model = {"kind": "b", "tb": 512, "rx": 2_000_000, "b": 3584, "text": False, "delay": None}
            packets, units, coordinate, start, index = [], [], 0, 0, 0
            while index < 900:
                index += rng.choice((1, 1, 1, 2, 5, rng.randint(1, 25)))
                payload = rng.choice((184, 184, 184, 0, rng.randint(1, 184)))
                packets.append((index, payload))
                coordinate += payload
                if coordinate - start > rng.randint(200, 3000):
                    units.append((start, coordinate, (index + rng.randint(2, 60)) * 188 * slope))
                    start = coordinate
            units.sort(key=lambda x: x[0])
            tds = sorted(u[2] for u in units)
            units = [(a, b, td) for (a, b, _), td in zip(units, tds)]
            last = (index + 80) * 188
            packets.append((index + 80, 0))
            chain, findings = self.chain(model, packets, units, slope)
            high, under = self.brute(model, packets, [u for u in units if u[2] <= last * slope], slope, last)
            with self.subTest(turn=turn, model=model, rate=rate):
                self.assertAlmostEqual(chain.tb.high, high["tb"], delta=2)
                if video:
                    self.assertAlmostEqual(chain.mb_high, high["mb"], delta=8)
                    self.assertAlmostEqual(chain.eb_high, high["eb"], delta=8)
                    found = findings.counts.get("tstd_eb_underflow", 0)
                else:
                    self.assertAlmostEqual(chain.b_high, high["b"], delta=3)
                    found = findings.counts.get("tstd_b_underflow", 0)
                self.assertAlmostEqual(found, under, delta=1)

    def test_transport_buffer_of_audio(self):
        # a PES packet of 590 bytes is four packets: back to back they reach 4 * 188 (1 - 2/R)
        self.clean(s.clean(rate=6_000_000, audio_spacing=0))  # 501 bytes
        self.finds(s.clean(rate=7_000_000, audio_spacing=0), "tstd_tb_overflow")  # 537 bytes

    def test_multiplexing_buffer_of_video(self):
        # Low level: Rx 4.8, Rbx 4 Mbit/s, MB 2667 bytes with the largest VBV. At 4.7 Mbit/s it gains 0.15 of what comes in
        low = s.mpeg2_sequence(level=10, bit_rate=4_000_000, vbv=29)

        def big(size):
            def swap(k, data):
                if k != 20:
                    return data
                stamps = data[9:19]
                return s.pes(0xE0, s.mpeg2_picture(k, 2, size), pes_layer.stamp(stamps, 0, 3)[0], pes_layer.stamp(stamps, 5, 1)[0])
            return s.clean(rate=4_700_000, picture=500, sequence=low, video_pes=swap, video_burst=True,
                           audio_pes=lambda n, d: None if 25 <= n <= 45 else d)
        self.clean(big(12_000))
        self.finds(big(24_000), "tstd_mb_overflow")

    def test_elementary_stream_buffer(self):
        # 14 000 bytes come in 24 ms; the leak of 4 Mbit/s needs 28 ms: complete on arrival, but not yet in EB
        low = s.mpeg2_sequence(level=10, bit_rate=4_000_000, vbv=29)

        def stream(delay):
            def swap(k, data):
                stamps = data[9:19]
                return s.pes(0xE0, s.mpeg2_picture(k, 2, 14_000 if k == 20 else 500), pes_layer.stamp(stamps, 0, 3)[0],
                             pes_layer.stamp(stamps, 5, 1)[0]) if k % 12 else data
            return s.clean(rate=4_700_000, picture=500, sequence=low, video_pes=swap, video_burst=True, video_delay=delay,
                           audio_pes=lambda k, d: None if 30 <= k <= 40 else d)
        result = verdict(stream(100))
        self.assertEqual(result["findings"], {})
        tight = 100 - result["tstd"]["streams"][str(VIDEO)]["slack_min_ms"]  # when the last byte has come
        self.finds(stream(tight + 1), {"tstd_eb_underflow": 1})
        self.clean(stream(tight + 6))
        self.finds(stream(tight - 1), {"au_late", "tstd_eb_underflow"})

    def test_low_delay_excuses_an_underflow(self):
        stream = s.clean(video_delay=20, sequence=s.mpeg2_sequence(low_delay=1))
        self.finds(stream, "au_late")

    def test_main_buffer_of_audio(self):
        # 192 kbit/s in frames of 590 bytes each 24 ms: seven frames are in the buffer at once after 160 ms
        self.clean(s.clean(audio_delay=139))  # six, 3540 bytes
        result = self.finds(s.clean(audio_delay=167), "tstd_b_overflow")
        self.assertEqual(result["tstd"]["streams"][str(AUDIO)]["b"]["high"], 7 * 590)

    def test_main_buffer_underflow_alone(self):
        # a packet of 188 bytes takes 0.5 ms to arrive and 0.752 ms to pass TB
        slack = self.clean(s.clean(audio_delay=60))["tstd"]["streams"][str(AUDIO)]["slack_min_ms"]
        self.finds(s.clean(audio_delay=60 - slack + 0.1), "tstd_b_underflow")
        self.clean(s.clean(audio_delay=60 - slack + 0.4))

    def test_system_buffers(self):
        info = b"\x80\xc8" + bytes(200)
        # a PMT of five packets in a row at 3 Mbit/s: 5 * 188 * (1 - 1/3.008) = 628 bytes
        long = s.pmt(info=info * 4)
        self.assertGreater(len(long), 4 * 184)
        stream = s.clean(psi_every=250, pmt_section=long)
        self.clean(stream)  # written 3 ms apart
        mux = lambda m: [m.add((k * 250 + 100) * MS, *s.packetize([long], PMT_PID)) for k in range(12)]
        found = self.finds(s.clean(psi_every=5000, pmt_section=s.pmt(), extra=lambda m: (
            mux(m), [m.add((k * 250) * MS, *s.packetize([s.pat()], PAT_PID)) for k in range(1, 12)]),
        ), {"tstd_tbsys_overflow", "version_stale"})
        self.assertEqual(found["findings"]["tstd_tbsys_overflow"]["count"], 12)
        # 850 bytes each 50 ms are 136 kbit/s into a buffer that leaks 80
        self.finds(s.clean(psi_every=50, pmt_section=long), "tstd_bsys_overflow")

    def test_not_empty_for_a_second(self):
        # two packets of every three at 3 Mbit/s are 2 Mbit/s, the rate of the leak: one packet more and it never empties
        def flood(more):
            def add(mux):
                slot = 188 * 8 * TICKS / mux.rate
                for k in range(2000):
                    mux.add(500 * MS + (k // 2 * 3 + k % 2) * slot, s.packet(0x110))
                for k in range(more):
                    mux.add(500 * MS + (2 + k) * slot, s.packet(0x110))
            stream = s.Mux(rate=3_000_000)
            streams = ((3, 0x110, b""),)
            for k in range(30):
                stream.add((k * 100 - 3) * MS, *s.packetize([s.pat()], PAT_PID))
                stream.add((k * 100 - 2) * MS, *s.packetize([s.pmt(streams, pcr=VIDEO)], PMT_PID))
                stream.add(k * 90 * MS, lambda pcr: s.packet(VIDEO, pcr=pcr))
            add(stream)
            return stream.packets(2.5)
        self.finds(flood(2), {"tstd_not_empty": 1}, "--only", "tstd")
        self.clean(flood(0), "--only", "tstd")

    def test_delay(self):
        self.clean(s.clean(video_delay=990))
        self.finds(s.clean(video_delay=1010), "tstd_delay")
        self.clean(s.clean(video_delay=1500, codec="avc"))  # AVC may wait for 10 s

    def test_teletext(self):
        streams = ((2, VIDEO, b""), (3, AUDIO, b""), (6, 0x110, b"\x56\x05fra\x09\x00"))

        def add(delay):
            def jobs(mux):
                for k in range(20):
                    data = s.pes(0xBD, b"\x10" + b"\x02\x2c" * 22, (10_000 + k * 40 + 500 + delay) * 90)
                    mux.add((500 + k * 40) * MS, *s.split(0x110, data))
            return jobs
        self.clean(s.clean(pmt_section=s.pmt(streams), extra=add(30)))
        self.finds(s.clean(pmt_section=s.pmt(streams), extra=add(60)), "tstd_text_buffer")

    def test_private_data_is_not_judged(self):
        streams = ((2, VIDEO, b""), (3, AUDIO, b""), (6, 0x110, b""))

        def add(mux):
            mux.add(500 * MS, *s.split(0x110, s.pes(0xBD, bytes(3000), (10_000 + 501) * 90)))
        result = self.clean(s.clean(pmt_section=s.pmt(streams), extra=add))
        self.assertEqual(result["tstd"]["streams"][str(0x110)]["judged"], False)

    def test_sizes(self):
        video = {"codec": "mpeg2video", "tags": []}
        main = {"mpeg1": False, "escape": 0, "profile": 4, "level": 8, "vbv": 112, "bit_rate": 37_500, "low_delay": False}
        model, _ = tstd.model_of(video, main)
        self.assertEqual((model["rx"], round(model["mb"]), model["eb"], model["rbx"]), (18e6, 10_000, 229_376, 15e6))
        high = dict(main, level=4, vbv=597, bit_rate=50_000)
        model, _ = tstd.model_of(video, high)
        self.assertEqual((model["rx"], round(model["mb"]), model["eb"], model["rbx"]), (96e6, 53_333, 1_222_656, 21e6))
        model, _ = tstd.model_of({"codec": "h264"}, {"profile": 100, "constraints": 0, "level": 40, "hrd": None, "low_delay": False})
        self.assertEqual((model["rx"], round(model["mb"]), model["eb"], model["rbx"]), (36e6, 20_000, 4_687_500, 30e6))
        model, _ = tstd.model_of({"codec": "hevc"}, {"tier": 0, "profile": 1, "level": 123})
        self.assertEqual((model["rbx"], model["eb"], model["delay"]), (22e6, 2_750_000, 10 * TICKS))
        for channels, size in ((1, 3584), (2, 3584), (6, 8976), (7, 8976)):
            self.assertEqual(tstd.model_of({"codec": "aac"}, {"channels": channels})[0]["b"], size)
        self.assertIsNone(tstd.model_of({"codec": "scte35"}, None)[0])

    def test_schedules_by_hand(self):
        """2.4.2.3 and H.264 C.1.1, on three units of 1000 bytes behind PES headers of 14, decoded each 40 ms."""
        stretch = tstd.Stretch(0)
        stretch.headers = [(1014 * k, 14) for k in range(3)]
        at = lambda k: 1014 * k + 14
        td = lambda k: (100 + 40 * k) * MS

        def units(info):
            stretch.units = [(at(k), 1014 * (k + 1), td(k), k, info(k)) for k in range(3)]
        # the end of each picture start code, 26 bytes into its unit, goes on 50 ms before its decoding
        units(lambda k: {"vbv_delay": 4500, "code_at": at(k) + 26})
        (steps, due), = stretch.by_vbv_delay()
        self.assertEqual(steps, [((50 + 40 * k) * MS, 1000 * k + 26.0) for k in range(3)])
        self.assertEqual([(end, removed) for _, end, _, removed in due], [(1000, 0), (2000, 1000), (3000, 2000)])
        # 800 kbit/s, 10 ms a unit; delay 30 ms, offset 5 ms: the first 30 ms ahead, the others 35 at the most
        units(lambda k: {"initial": (2700, 450)} if k == 0 else {})
        (steps, _), = stretch.by_hrd(800_000, 10**6, 0)
        self.assertEqual(steps, [(70 * MS, 0), (80 * MS, 1000), (105 * MS, 1000), (115 * MS, 2000), (145 * MS, 2000), (155 * MS, 3000)])
        # at a constant rate there is no pause
        (steps, _), = stretch.by_hrd(800_000, 10**6, 1)
        self.assertEqual(steps, [(70 * MS, 0), (80 * MS, 1000), (90 * MS, 2000), (100 * MS, 3000)])

    def test_streams_by_vbv_delay(self):
        # a picture of 3000 bytes arrives within 40 ms, from 200 ms before its decoding on
        def by(delay, vbv):
            def swap(k, data):
                at = data.index(b"\0\0\1\0", 9) + 5
                value = int.from_bytes(data[at:at + 3], "big") & ~(0xFFFF << 3) | delay * 90 << 3
                return data[:at] + value.to_bytes(3, "big") + data[at + 3:]
            streams = ((2, VIDEO, b"\x11\x01\xfe"), (3, AUDIO, b""))
            return s.clean(pmt_section=s.pmt(streams), sequence=s.mpeg2_sequence(vbv=vbv), video_pes=swap)
        result = self.clean(by(190, 8))  # EB of 16 384 bytes holds 190 ms, 14 250 bytes and a little
        self.assertAlmostEqual(result["tstd"]["streams"][str(VIDEO)]["eb"]["high"], 14_250, delta=60)
        self.finds(by(190, 6), "tstd_eb_overflow")  # 12 288 bytes
        self.finds(by(205, 8), "tstd_mb_underflow")  # 5 ms before the picture comes
        self.finds(by(30, 8), "tstd_eb_underflow")  # it takes 40 ms

    def test_schedules_have_sizes_of_their_own(self):
        params = {"profile": 77, "constraints": 0, "level": 21, "low_delay": False,
                  "hrd": {"rate": 1_800_000, "cpb": 16_384, "last": (1_800_000, 16_384, 0)}}
        model, _ = tstd.model_of({"codec": "h264", "tags": [(0x2A, b"\xff\x7f")]}, params)
        self.assertEqual((model["eb"], model["mb"], model["schedule"]), (2048, 3200 + 600_000 - 2048, (1_800_000, 16_384, 0)))
        model, _ = tstd.model_of({"codec": "h264", "tags": [(0x2A, b"\x7f\x7f")]}, params)
        self.assertEqual((model["leak"], model["schedule"]), (True, None))
        model, _ = tstd.model_of({"codec": "h264", "tags": [(0x11, b"\xfe")]}, params)
        self.assertTrue(model["leak"])  # a STD_descriptor is of MPEG video
