"""PES packets and access units: for every rule a stream that breaks it and one that does not."""

import random
import unittest

import codec
import pes as pes_layer
import stream as s
from stream import AUDIO, MS, TICKS, VIDEO
from support import Case, cut_out, flip


class PesLayer(Case):
    def change(self, k, change):
        return s.clean(audio_pes=lambda n, data: change(bytearray(data)) if n == k else data)

    def test_start_code_prefix(self):
        self.finds(self.change(20, lambda d: flip(d, 2, 2)), {"pes_start": 1})

    def test_fixed_bits(self):
        # byte 6 '10', bytes 9, 11, 13 the marker bits of the PTS, 9 its prefix
        for at, mask in ((6, 0x40), (6, 0x80), (9, 0x01), (11, 0x01), (13, 0x01), (9, 0x10), (9, 0x20), (9, 0x80)):
            with self.subTest(byte=at, mask=mask):
                self.finds(self.change(20, lambda d: flip(d, at, mask)), {"pes_header": 1})

    def test_flags_01(self):
        self.finds(self.change(20, lambda d: flip(d, 7, 0xC0)), {"pes_header": 1})

    def test_header_length(self):
        self.finds(self.change(20, lambda d: flip(d, 8, 1)), {"pes_header": 1})  # 4: no room for the PTS

    def test_stuffing_in_the_header(self):
        def stuffed(value):
            return lambda d: s.pes(0xC0, b"", None, length=0)[:4] + (len(d) - 6 + 2).to_bytes(2, "big") + d[6:8] \
                + bytes([7]) + d[9:14] + bytes([value, 0xFF]) + d[14:]
        self.clean(self.change(20, stuffed(0xFF)))
        self.finds(self.change(20, stuffed(0)), {"pes_header": 1})

    def test_every_bit_of_a_time_stamp(self):
        for bit in range(33):
            data = s.pes(0xE0, b"x", 1 << bit, (1 << 32) >> bit)
            _, pts, dts, error = pes_layer.header(data)
            self.assertEqual((pts, dts, error), (1 << bit, (1 << 32) >> bit, None))

    def test_length(self):
        for more in (1, -1):
            def other(d):
                length = (d[4] << 8 | d[5]) + more
                d[4:6] = length.to_bytes(2, "big")
                return d
            with self.subTest(more=more):
                # one byte less than there is cuts the last frame of audio: its bytes are not PES bytes any more
                self.finds(self.change(20, other), {"pes_length": 1})

    def test_no_length(self):
        def zero(d):
            d[4:6] = b"\0\0"
            return d
        self.finds(self.change(20, zero), {"pes_length_zero": 1})
        self.clean(s.clean(video_pes=lambda k, d: d[:4] + b"\0\0" + d[6:]))  # legal for video

    def test_cut_off_at_the_end(self):
        stream = s.clean()
        self.finds(cut_out(stream, s.places(stream, AUDIO)[-1]), {"truncated_pes": 1})
        stream = s.clean()
        self.clean(stream, "--max-packets", str(s.places(stream, AUDIO)[-1]))  # the judge's own cut is none

    def test_orphans(self):
        stream = s.clean()
        self.finds(cut_out(stream, s.places(stream, AUDIO)[0]), {"orphan_payload": 1})

    def test_no_time_stamps(self):
        def bare(k, d):
            return s.pes(0xC0, bytes(d[14:]))
        self.finds(s.clean(audio_pes=bare), {"pts_absent": 1})

    def test_time_stamps_too_rare(self):
        def sparse(every):
            return s.clean(audio_pes=lambda k, d: d if k % every == 0 else s.pes(0xC0, bytes(d[14:])))
        self.clean(sparse(29))  # 696 ms
        self.finds(sparse(30), {"pts_interval": 4})  # 720 ms

    def test_pts_before_dts(self):
        self.finds(s.clean(stamps=lambda pid, k, pts, dts: (dts - 90 if pid == VIDEO and k == 9 else pts, dts)),
                   {"pts_before_dts": 1})

    def test_order(self):
        def wrong(by):
            return lambda pid, k, pts, dts: (pts, dts) if pid != VIDEO or k != 9 else (pts, dts - by * 90)
        self.clean(s.clean(stamps=wrong(39)))
        self.finds(s.clean(stamps=wrong(40)), {"dts_order": 1})
        self.finds(s.clean(stamps=wrong(41)), {"dts_order": 1})

    def test_late(self):
        # the audio of one PES packet arrives 6.5 ms after its start; it is then too late for the model, too
        def early(by):
            return s.clean(audio_delay=by)
        self.clean(early(10))
        result = self.finds(early(6), {"au_late", "tstd_b_underflow"})
        self.assertEqual(result["findings"]["au_late"]["count"], 124)
        self.assertAlmostEqual(result["tstd"]["streams"][str(AUDIO)]["slack_min_ms"], 6 - 6.5, delta=1)  # other packets push it

    def test_late_video(self):
        self.finds(s.clean(video_delay=20), {"au_late", "tstd_eb_underflow"})
        self.clean(s.clean(video_delay=40))

    def test_delimiters(self):
        self.finds(s.clean(codec="avc", aud=False), "aud_absent")


class AccessUnits(unittest.TestCase):
    def units(self, codec_name, data, cuts):
        parser = codec.parser_for(codec_name)
        at = 0
        for cut in cuts + [len(data)]:
            parser.feed(data[at:cut], at)
            at = cut
        parser.flush()
        return [(unit.start, unit.info.get("type")) for unit in parser.units]

    def test_however_the_stream_is_cut(self):
        """Access units are found at the same places wherever PES packets begin."""
        rng = random.Random(3)
        sizes = [rng.randint(200, 900) for _ in range(20)]
        starts = [sum(sizes[:k]) for k in range(20)]
        mpeg2 = b"".join(s.mpeg2_picture(k, 1 + k % 3, n, s.mpeg2_sequence() if k % 3 == 0 else b"")
                         for k, n in enumerate(sizes))
        avc = b"".join(s.avc_picture((2, 0, 1)[k % 3], n, s.avc_sps() if k % 3 == 0 else b"")
                       for k, n in enumerate(sizes))
        for name, data in (("mpeg2video", mpeg2), ("h264", avc)):
            wanted = list(zip(starts, "IPB" * 7))
            for _ in range(200):
                cuts = sorted(rng.sample(range(1, len(data)), rng.randint(0, 30)))
                got = self.units(name, data, cuts)
                # a zero_byte that ends a PES packet may be counted to either side
                self.assertEqual([(g[0], w[1]) if 0 <= g[0] - w[0] <= 1 else g for g, w in zip(got, wanted)],
                                 [(g[0], w[1]) for g, w in zip(got, wanted)], (name, cuts))
                self.assertEqual([g[1] for g in got], [w[1] for w in wanted], (name, cuts))

    def test_audio_frames(self):
        rng = random.Random(4)
        data = b"".join(s.mp2_frame(rng.randint(1, 14)) for _ in range(30))
        plain = self.units("mpegaudio", data, [])
        self.assertEqual(len(plain), 30)
        for _ in range(100):
            cuts = sorted(rng.sample(range(1, len(data)), rng.randint(0, 40)))
            self.assertEqual(self.units("mpegaudio", data, cuts), plain)

    def test_mpeg_audio_headers(self):
        p = codec.MpegAudio()
        for header, size, ms in (("fffda400", 576, 24), ("fffb9064", 417, 1152 / 44.1), ("fff34044", 104, 576 / 22.05)):
            got = p.header(bytes.fromhex(header), 0)
            with self.subTest(header=header):
                self.assertEqual(got[0], size)
                self.assertAlmostEqual(got[1], ms * MS, delta=1)
        self.assertIsNone(p.header(bytes.fromhex("fffdf400"), 0))
        self.assertIsNone(p.header(bytes.fromhex("ffe9a400"), 0))

    def test_other_audio_headers(self):
        adts = bytes.fromhex("fff14c80173ffc") + b"\0"  # 48 kHz, 2 channels
        length, duration, info = codec.Adts().header(adts, 0)
        self.assertEqual((length, duration, info), (0x17 << 3 | 0x3F >> 5, 1024 * TICKS / 48000, {"channels": 2}))
        ac3 = bytes.fromhex("0b77aaaa1e40e100")  # fscod 0, frmsizecod 30: 448 kbit/s at 48 kHz
        self.assertEqual(codec.Ac3().header(ac3, 0)[:2], (1792, 1536 * TICKS / 48000))
        eac3 = bytes.fromhex("0b7701ff3f8670fb")  # frmsiz 0x1FF, 48 kHz, six blocks, bsid 16
        self.assertEqual(codec.Ac3().header(eac3, 0)[:2], (1024, 1536 * TICKS / 48000))
        latm = bytes.fromhex("56e0ff")
        self.assertEqual(codec.Latm().header(latm, 0)[0], 258)

    def test_sequence_header(self):
        parser = codec.Mpeg2()
        parser.feed(s.mpeg2_picture(5, 1, 300, s.mpeg2_sequence(8, 15_000_000, 112)), 0)
        self.assertEqual({k: parser.params[k] for k in ("profile", "level", "vbv", "bit_rate", "low_delay")},
                         {"profile": 4, "level": 8, "vbv": 112, "bit_rate": 37500, "low_delay": False})
        info = parser.units[0].info
        self.assertEqual((info["temporal_reference"], info["type"], info["structure"], info["gop"]),
                         (5, "I", "frame", {"closed": True, "broken_link": False}))
        parser = codec.Mpeg2()
        parser.feed(s.mpeg2_picture(5, 1, 300, s.mpeg2_sequence(4, 80_000_000, 597, 1)), 0)
        self.assertEqual((parser.params["level"], parser.params["vbv"], parser.params["bit_rate"], parser.params["low_delay"]),
                         (4, 597, 200_000, True))

    def test_sequence_parameter_set(self):
        parser = codec.Avc()
        parser.feed(s.avc_picture(2, 300, s.avc_sps(100, 40), idr=True, number=3), 0)
        self.assertEqual((parser.params["profile"], parser.params["level"], parser.params["frame_num_bits"],
                          parser.params["frame_mbs_only"]), (100, 40, 4, 1))
        info = parser.units[0].info
        self.assertEqual((info["type"], info["idr"], info["frame_num"], info["nals"]), ("I", True, 3, [9, 7, 8, 5]))
