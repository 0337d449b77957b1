"""Sections and tables: for every rule a stream that breaks it and one that does not."""

import random

import codec
import pes as pes_layer
import psi
import stream as s
from findings import Findings
from stream import AUDIO, EIT_PID, MS, PAT_PID, PMT_PID, SDT_PID, TDT_PID, TICKS, VIDEO
from support import Case, cut_out, flip, verdict


class Sections(Case):
    def extra(self, pid, *data, at=500, spacing=30):
        def add(mux):
            mux.add(at * MS, *data, spacing=spacing * MS)
        return add

    def test_crc_of_the_annex(self):
        # the PAT that every beginner knows, CRC_32 2A B1 04 B2
        self.assertEqual(psi.crc32(bytes.fromhex("00b00d0001c100000001f0002ab104b2")), 0)
        data = bytearray(bytes.fromhex("00b00d0001c100000001f0002ab104b2"))
        for bit in range(len(data) * 8):
            data[bit // 8] ^= 0x80 >> bit % 8
            self.assertNotEqual(psi.crc32(data), 0)
            data[bit // 8] ^= 0x80 >> bit % 8

    def gathered(self, packets):
        out, findings = [], Findings()
        sections = psi.Sections(0x100, lambda pid, data, begin, end, index: out.append((data, begin, end)), findings)
        for i, p in enumerate(packets):
            start = 4 + (1 + p[4] if p[3] & 0x20 else 0)
            sections.packet(bytes(p), 0, start, i, p[1] & 0x40, i * 188)
        return out, set(findings.counts)

    def test_sections_however_they_lie_in_packets(self):
        """Any row of sections, packed tightly with pointer_fields or loosely, comes out as it went in."""
        rng = random.Random(7)
        for turn in range(60):
            wanted = [s.section(0xC0, k, rng.randbytes(rng.choice((0, 1, 30, 150, 171, 172, 300, 900))), private=1)
                      for k in range(rng.randint(1, 8))]
            flow = b"".join(wanted)
            edges, at = [0], 0
            for w in wanted:
                at += len(w)
                edges.append(at)
            packets, at = [], 0
            while at < len(flow):
                room = rng.choice((184, 184, 184, 100, 3, 2))
                # does a section begin in the next `room - 1` bytes?
                begins = [e for e in edges[:-1] if at <= e < at + room - 1]
                if begins:
                    part = flow[at:at + room - 1]
                    payload = bytes([begins[0] - at]) + part
                else:
                    part = flow[at:at + room]
                    # a section that would begin in the very last byte must wait for a packet with a pointer_field
                    later = [e for e in edges[:-1] if at < e < at + room]
                    part = part[:later[0] - at] if later else part
                    payload = part
                at += len(part)
                if at >= len(flow):
                    payload += b"\xff" * (184 - len(payload))
                packets.append(s.packet(0x100, payload, start=bool(begins)))
            got, wrong = self.gathered(packets)
            self.assertEqual(wrong, set())
            self.assertEqual([g[0] for g in got], wanted, f"turn {turn}")

    def test_where_a_section_begins_and_ends(self):
        data = s.section(0xC0, 1, bytes(200))
        packets = s.packetize([data], 0x100)
        (_, begin, end), = self.gathered(packets)[0]
        self.assertEqual((begin, end), (5, 188 + 4 + len(data) - 183))

    def test_pointer_field_outside(self):
        stream = s.clean()
        stream[s.places(stream, PAT_PID)[3]][4] = 183
        self.finds(stream, {"pointer_field": 1})

    def test_a_section_cut_short(self):
        long = s.section(0x42, 1, b"\0\1\xff" + bytes(300), version=1)
        first = s.packetize([long], SDT_PID)[0]
        self.finds(s.clean(extra=self.extra(SDT_PID, first)), {"section_truncated": 1})

    def test_a_section_without_its_pointer(self):
        p = s.packetize([s.sdt()], SDT_PID)[0]
        p[1] &= 0xBF
        self.finds(s.clean(extra=self.extra(SDT_PID, p)), {"section_unstarted": 1})

    def test_stuffing(self):
        p = s.packetize([s.sdt()], SDT_PID)[0]
        p[187] = 0
        self.finds(s.clean(extra=self.extra(SDT_PID, p)), {"section_stuffing": 1})

    def test_section_length(self):
        for body, expected in ((1013, {}), (1012, {})):
            # 1021 is the greatest section_length: 9 bytes around the body
            data = s.section(0x46, 9, b"\0\1\xff" + self.services(body - 1 - 3), private=1)
            with self.subTest(length=len(data) - 3):
                self.finds(s.clean(extra=self.extra(SDT_PID, *s.packetize([data], SDT_PID))), expected)
        data = s.section(0x46, 9, b"\0\1\xff" + bytes(1010 + 3), private=1)
        self.assertGreater(len(data) - 3, 1021)
        self.finds(s.clean(extra=self.extra(SDT_PID, *s.packetize([data], SDT_PID))), {"section_length": 1})

    @staticmethod
    def services(n):
        return bytes(n)

    def test_crc(self):
        for pid, data in ((PAT_PID, s.pat()), (PMT_PID, s.pmt()), (SDT_PID, s.sdt()), (EIT_PID, s.eit())):
            with self.subTest(pid=pid):
                broken = flip(bytearray(data), len(data) - 1, 1)
                stream = s.clean(extra=self.extra(pid, *s.packetize([bytes(broken)], pid)))
                self.finds(stream, {"section_crc": 1})

    def test_crc_of_the_tot_which_is_a_short_section(self):
        body = b"\xe0\x00\x12\x00\x00\xf0\x00"
        tot = b"\x73\x70" + bytes([len(body) + 4]) + body
        tot += s.crc32(tot)
        self.clean(s.clean(extra=self.extra(TDT_PID, *s.packetize([tot], TDT_PID))))
        tot = tot[:-1] + bytes([tot[-1] ^ 1])
        self.finds(s.clean(extra=self.extra(TDT_PID, *s.packetize([tot], TDT_PID))), {"section_crc": 1})

    def test_section_syntax(self):
        beyond = s.section(0x42, 1, b"\0\1\xff", version=3, number=2, last=1)
        self.finds(s.clean(extra=self.extra(SDT_PID, *s.packetize([beyond], SDT_PID))), {"section_syntax": 1})
        bad = s.pmt(((2, VIDEO, b"\x0a\x05abc"), (3, AUDIO, b"")), version=1)
        stream = s.clean(extra=self.extra(PMT_PID, *s.packetize([bad], PMT_PID)))
        self.assertIn("section_syntax", verdict(stream)["findings"])

    def test_table_id_on_a_wrong_pid(self):
        for pid, data in ((PAT_PID, s.sdt()), (SDT_PID, s.eit()), (EIT_PID, s.sdt()), (TDT_PID, s.sdt()),
                          (PMT_PID, s.pat(version=9))):
            with self.subTest(pid=pid):
                self.finds(s.clean(extra=self.extra(pid, *s.packetize([data], pid))), {"table_id": 1})
        stuffing = b"\x72\x70\x03\1\2\3"
        for pid in (SDT_PID, EIT_PID, TDT_PID):
            with self.subTest(stuffing=pid):
                self.clean(s.clean(extra=self.extra(pid, *s.packetize([stuffing], pid))))

    def test_scrambled_psi(self):
        stream = s.clean(extra=self.extra(1, *s.packetize([s.section(1, 0xFFFF, b"")], 1)))
        self.clean(stream)
        stream[s.places(stream, SDT_PID)[1]][3] |= 0x80
        self.finds(stream, {"psi_scrambled": 1})


    def test_an_announced_gap_in_a_section(self):
        parts = s.packetize([s.section(0x46, 9, b"\0\1\xff" + bytes(300), private=1)], SDT_PID)
        resumed = s.packet(SDT_PID, b"\0" + s.sdt(), True, discontinuity=True)

        def add(mux):
            mux.add(500 * MS, parts[0])
            mux.add(560 * MS, resumed)
        stream = s.clean(extra=add)
        at = next(i for i in s.places(stream, SDT_PID) if stream[i][3] & 0x20)
        for i in s.places(stream, SDT_PID):
            if i >= at:
                stream[i][3] = stream[i][3] & 0xF0 | stream[i][3] + 3 & 15
        self.clean(stream)


class Tables(Case):
    def test_no_pat(self):
        stream = s.clean()
        # without a PAT nothing is referred to: that follows
        self.finds(cut_out(stream, *s.places(stream, PAT_PID)), {"pat_absent", "unreferenced_pid"})

    def test_no_pmt(self):
        stream = s.clean()
        self.finds(cut_out(stream, *s.places(stream, PMT_PID)), {"pmt_absent", "unreferenced_pid"})

    def test_a_second_program_without_pmt(self):
        stream = s.clean(pat_section=s.pat(((1, PMT_PID), (2, 0x200))))
        self.finds(stream, {"pmt_absent": 1})

    def test_required_tables(self):
        self.clean(s.clean(), "--require", "sdt")
        self.finds(s.clean(), {"table_absent": 2}, "--require", "sdt,tdt,eit")

    def test_pat_interval(self):
        def gap(last):
            stream = s.clean()
            # PATs come each 100 ms: without those from 600 ms on the next is at `last`
            gone = [i for i in s.places(stream, PAT_PID) if 1100 < i < last * 2 - 20]
            return s.renumber(cut_out(stream, *gone), PAT_PID)
        self.clean(gap(1000))
        self.finds(gap(1100), {"psi_interval": 1})
        self.finds(gap(1000), {"psi_interval": 1}, "--psi-interval", "400")

    def test_pmt_interval(self):
        stream = s.clean()
        cut_out(stream, *[i for i in s.places(stream, PMT_PID) if 1100 < i < 2190])
        self.finds(s.renumber(stream, PMT_PID), {"psi_interval": 1})

    def test_intervals_at_both_ends(self):
        stream = s.clean()
        self.finds(cut_out(stream, *[i for i in s.places(stream, PAT_PID) if i < 1110]), {"psi_interval": 1})
        stream = s.clean()
        self.finds(cut_out(stream, *[i for i in s.places(stream, PAT_PID) if i > 4900]), {"psi_interval": 1})

    def test_sdt_interval(self):
        self.clean(s.clean(5, sdt_every=1950))
        self.finds(s.clean(5, sdt_every=2100), {"si_interval": 2})

    def test_25_ms_between_si_sections(self):
        def twice(gap, second):
            def add(mux):
                mux.add(1500 * MS, *s.packetize([s.sdt()], SDT_PID))
                mux.add((1500 + gap) * MS, *s.packetize([second], SDT_PID))
            return s.clean(extra=add)
        # from the last byte to the first: packets of 0.5 ms, the section ends early in its packet
        self.finds(twice(24, s.sdt()), {"si_gap": 1})
        self.clean(twice(26, s.sdt()))
        self.clean(twice(2, s.sdt(table_id=0x46)))  # another table_id
        other = s.section(0x42, 2, b"\0\1\xff", private=1)
        self.clean(twice(2, other))  # another table_id_extension

    def test_25_ms_is_not_for_psi(self):
        def add(mux):
            mux.add(1510 * MS, *s.packetize([s.pat()], PAT_PID))
        self.clean(s.clean(extra=add))

    def test_25_ms_holds_whatever_the_section_number(self):
        def add(gap):
            def jobs(mux):
                for k in range(3):
                    mux.add((300 + k * 1000) * MS, *s.packetize([s.eit(0)], EIT_PID))
                    mux.add((300 + k * 1000 + gap) * MS, *s.packetize([s.eit(1)], EIT_PID))
            return jobs
        self.clean(s.clean(extra=add(40)))
        self.finds(s.clean(extra=add(10)), {"si_gap": 3})

    def test_present_without_following(self):
        def add(mux):
            for k in range(4):
                mux.add((300 + k * 1000) * MS, *s.packetize([s.eit(0)], EIT_PID))
        self.finds(s.clean(4, extra=add), {"eit_pf_pair": 1})

    def test_a_change_needs_a_version(self):
        def add(mux):
            mux.add(1500 * MS, *s.packetize([s.sdt(name=b"Another", version=v)], SDT_PID))
            mux.add(2600 * MS, *s.packetize([s.sdt(name=b"Another", version=v)], SDT_PID))
        for v, expected in ((0, {"version_stale": 1}), (1, {})):
            with self.subTest(version=v):
                self.finds(s.clean(sdt_every=5000, extra=add), expected)

    def test_a_version_needs_a_change(self):
        def add(mux):
            mux.add(1500 * MS, *s.packetize([s.sdt(version=1)], SDT_PID))
        self.finds(s.clean(extra=add, sdt_every=5000), {"version_idle": 1})

    def test_a_table_of_several_sections(self):
        parts = [s.pat(((1, PMT_PID),), number=0, last=1), s.pat(((2, 0x200),), number=1, last=1)]
        pmt2 = s.pmt(((3, AUDIO, b""),), pcr=VIDEO, number=2)

        def add(mux):
            for k in range(30):
                mux.add((k * 100 + 10) * MS, *s.packetize([parts[1]], PAT_PID))
                mux.add((k * 100 + 20) * MS, *s.packetize([pmt2], 0x200))
        result = self.clean(s.clean(pat_section=parts[0], extra=add))
        self.assertEqual([x["id"] for x in result["services"]], [1, 2])

    def test_pids_out_of_range_or_twice(self):
        self.finds(s.clean(pmt_section=s.pmt(((2, VIDEO, b""), (3, AUDIO, b""), (3, AUDIO, b"")))), {"program_pids": 1})
        found = verdict(s.clean(pat_section=s.pat(((1, PMT_PID), (2, 0x0F)))))["findings"]
        self.assertIn("program_pids", found)

    def test_a_promised_pid_is_absent(self):
        more = ((2, VIDEO, b""), (3, AUDIO, b""))
        self.finds(s.clean(pmt_section=s.pmt(more + ((3, 0x110, b""),))), {"pid_absent": 1})
        # teletext and SCTE 35 may have nothing to say
        sparse = ((6, 0x110, b"\x56\x05fra\x09\x00"), (0x86, 0x111, b""))
        self.clean(s.clean(pmt_section=s.pmt(more + sparse)))

    def test_a_pid_pauses(self):
        stream = s.clean(audio_pes=lambda k, data: data if not 40 <= k < 60 else None)
        self.clean(stream)  # 0.5 s are not 5 s, nor 700 ms
        self.finds(stream, {"pid_gap": 1}, "--pid-gap", "300")
        self.finds(s.clean(audio_pes=lambda k, data: data if k < 60 else None), {"pid_gap": 1}, "--pid-gap", "300")

    def test_a_pid_nobody_refers_to(self):
        def add(mux):
            mux.add(500 * MS, s.packet(0x333, bytes(184)))
        self.finds(s.clean(extra=add), {"unreferenced_pid": 1})

    def test_scrambled_without_cat(self):
        cat = s.packetize([s.section(1, 0xFFFF, b"\x09\x04\x05\x00\xe4\x00")], 1)

        def scramble(stream):
            for i in s.places(stream, AUDIO):
                stream[i][3] |= 0xC0
            return stream
        self.finds(scramble(s.clean()), {"cat_absent": 1})
        self.clean(scramble(s.clean(extra=lambda mux: mux.add(50 * MS, *cat))))

    def test_a_pmt_that_names_another_pcr_pid(self):
        new = s.pmt(pcr=0x120, version=1)

        def add(mux):
            for k in range(15):
                mux.add((1500 + k * 100 + 8) * MS, *s.packetize([new], PMT_PID))
            for k in range(60):
                mux.add((1400 + k * 25) * MS, lambda pcr: s.packet(0x120, pcr=pcr + 1000 * TICKS))
        # from then on the time stamps are those of the new clock, too
        stream = s.clean(extra=add, stamps=lambda pid, k, pts, dts: (pts, dts) if (10 + k * 40 if pid == VIDEO else 12 + k * 24)
                         < 1505 else (pts + 90_000_000, dts and dts + 90_000_000))
        old = [i for i in s.places(stream, PMT_PID) if i > 3000 and b"\xe1\x20" not in bytes(stream[i])]
        result = self.finds(s.renumber(cut_out(stream, *old), PMT_PID), {"pts_interval": 2})
        self.assertEqual(result["services"][0]["pcr_pid"], 0x120)
        self.assertEqual(result["pids"][str(AUDIO)]["access_units"], 124)
        self.assertGreater(result["tstd"]["streams"][str(AUDIO)]["access_units"], 55)

    def test_a_pid_that_becomes_something_else(self):
        new = s.pmt(((2, VIDEO, b""), (0x0F, AUDIO, b"")), version=1)

        def add(mux):
            for k in range(15):
                mux.add((1500 + k * 100 + 8) * MS, *s.packetize([new], PMT_PID))
        adts = bytes.fromhex("fff14c80") + bytes([576 >> 3, (576 & 7) << 5 | 0x1F, 0xFC]) + bytes(569)

        def audio(k, data):
            return data if 12 + k * 24 < 1505 else data[:14] + adts
        stream = s.clean(extra=add, audio_pes=audio)
        old = [i for i in s.places(stream, PMT_PID) if i > 3000 and b"\x0f\xe1\x02" not in bytes(stream[i])]
        result = self.clean(s.renumber(cut_out(stream, *old), PMT_PID))
        self.assertEqual(result["pids"][str(AUDIO)]["codec"], "aac")
        self.assertAlmostEqual(result["pids"][str(AUDIO)]["access_units"], 124, delta=1)

    def test_private_streams_that_carry_no_pes(self):
        for kind, expected in ((0xC1, {}), (0x06, {"pes_start": 2})):
            streams = ((2, VIDEO, b""), (3, AUDIO, b""), (kind, 0x110, b""))

            def add(mux):
                for k in range(2):
                    mux.add((500 + 100 * k) * MS, s.packet(0x110, bytes(184), True))
            with self.subTest(kind=kind):
                self.finds(s.clean(pmt_section=s.pmt(streams), extra=add), expected)

    def test_sections_of_other_kinds(self):
        """SCTE 35 and DSM-CC PIDs are put together and their CRC_32 checked."""
        for kind, table_id, private in ((0x86, 0xFC, None), (0x0B, 0x3B, 0), (0x05, 0x74, 0)):
            streams = ((2, VIDEO, b""), (3, AUDIO, b""), (kind, 0x110, b""))
            if private is None:
                data = bytes([0xFC, 0x30, 17]) + bytes(13)
                data += s.crc32(data)
            else:
                data = s.section(table_id, 7, bytes(300), private=private)
            for broken in (False, True):
                body = data[:-1] + bytes([data[-1] ^ broken])
                with self.subTest(kind=kind, broken=broken):
                    self.finds(s.clean(pmt_section=s.pmt(streams), extra=lambda mux: mux.add(
                        500 * MS, *s.packetize([body], 0x110))), {"section_crc": 1} if broken else {})

    def test_names_in_the_character_sets_of_annex_a(self):
        self.assertEqual(psi.text(b"Caf\xc2e"), "Café")
        self.assertEqual(psi.text(b"\x15Caf\xc3\xa9"), "Café")
        self.assertEqual(psi.text(b"\x05Caf\xe9"), "Café")
        self.assertEqual(psi.text(b"\x10\x00\x0fCaf\xe9"), "Café")

    def test_a_pmt_that_changes(self):
        new = s.pmt(((2, VIDEO, b""), (3, AUDIO, b""), (3, 0x110, b"")), version=1)

        def add(mux):
            for k in range(15):
                mux.add((1500 + k * 100 + 8) * MS, *s.packetize([new], PMT_PID))
            for k in range(60):
                pts = (10_000 + 1530 + k * 24 + 40) * 90
                mux.add((1530 + k * 24) * MS, *s.split(0x110, s.pes(0xC1, s.mp2_frame(), pts)), spacing=2 * MS)
        stream = s.clean(extra=add)
        old = [i for i in s.places(stream, PMT_PID) if i > 3000 and b"\xe1\x10" not in bytes(stream[i])]
        result = self.clean(s.renumber(cut_out(stream, *old), PMT_PID))
        self.assertEqual(len(result["services"][0]["pids"]), 3)
        self.assertEqual(result["pids"][str(0x110)]["access_units"], 60)

    def test_a_pmt_that_moves_to_another_pid(self):
        there = 0x1100

        def add(mux):
            for k in range(15):
                at = 1500 + k * 100
                mux.add((at + 4) * MS, *s.packetize([s.pat(((1, there),), version=1)], PAT_PID))
                mux.add((at + 8) * MS, *s.packetize([s.pmt(version=1)], there))
        stream = s.clean(extra=add)
        old = [i for i in s.places(stream, PMT_PID) if i > 3000]
        old += [i for i in s.places(stream, PAT_PID) if i > 3000 and b"\xf1\x00" not in bytes(stream[i])]
        stream = s.renumber(s.renumber(cut_out(stream, *old), PAT_PID), there)
        result = self.clean(stream)
        self.assertEqual(result["services"][0]["pmt_pid"], there)
        self.assertEqual(len(result["services"][0]["pids"]), 2)

    def test_a_pid_that_changes_its_codec(self):
        """Each codec has its own parameters: those of one stream on a PID are not the other one's."""
        def avc(k, data):
            stamps, intra = data[9:19], k % 12 == 0
            picture = s.avc_picture(2 if intra else 0, 3000, s.avc_sps() if intra else b"", True, intra)
            return s.pes(0xE0, picture, pes_layer.stamp(stamps, 0, 3)[0], pes_layer.stamp(stamps, 5, 1)[0])
        kinds = {"mpeg2video": 0x02, "h264": 0x1B}
        for first, second in (("mpeg2video", "h264"), ("h264", "mpeg2video")):
            with self.subTest(first=first):
                maps = [s.packetize([s.pmt(((kinds[codec], VIDEO, b""), (3, AUDIO, b"")), version=version)], PMT_PID)[0]
                        for version, codec in enumerate((first, second))]
                stream = s.clean(video_pes=lambda k, data: avc(k, data) if (k < 36) == (first == "h264") else data)
                change = s.places(stream, VIDEO, True)[36]
                for i in s.places(stream, PMT_PID):
                    stream[i] = bytearray(maps[i > change])
                result = verdict(s.renumber(stream, PMT_PID))
                self.assertEqual(result["pids"][str(VIDEO)]["codec"], second)
