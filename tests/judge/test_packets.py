"""Packets and their counters: for every rule a stream that breaks it and one that does not."""

import packets as layer
import stream as s
from stream import AUDIO, PAT_PID, PMT_PID, SDT_PID, TICKS, VIDEO
from support import Case, cut_out, flip, nulls_after, verdict


class PacketLayer(Case):
    def test_a_rest_at_the_end(self):
        self.finds(b"".join(map(bytes, s.clean())) + b"\x47" * 100, {"trailing_bytes": 1})

    def test_a_wrong_sync_byte(self):
        stream = s.clean()
        stream[nulls_after(stream, 100)[0]][0] = 0x48
        self.finds(stream, {"sync_byte": 1})

    def test_sync_lost(self):
        stream = b"".join(map(bytes, s.clean()))
        self.finds(stream[:188 * 40] + b"\x11" * 50 + stream[188 * 40:], {"sync_loss": 1})
        self.finds(b"\x11" * 50 + stream, {"sync_loss": 1})
        self.finds(stream + b"\x11" * 188 * 3, {"sync_loss": 1})

    def test_no_packets_at_all(self):
        found = set(verdict(b"\0" * 1000)["findings"])
        self.assertIn("sync_loss", found)
        self.assertEqual(verdict(b"")["packets"], 0)

    def test_transport_error_indicator(self):
        stream = s.clean()
        stream[nulls_after(stream, 100)[0]][1] |= 0x80
        self.finds(stream, {"transport_error": 1})

    def test_reserved_adaptation_field_control(self):
        stream = s.clean()
        at = nulls_after(stream, s.places(stream, AUDIO)[5])[0]
        stream[at] = s.packet(AUDIO, bytes(184))
        stream[at][3] &= 0xCF
        self.finds(stream, {"afc_reserved": 1})

    def test_adaptation_field_length(self):
        stream = s.clean()
        alone = next(i for i in s.places(stream, VIDEO, payload=False) if i > 50)
        stream[alone][4] = 182
        self.finds(stream, {"af_length": 1})
        stream[alone][4] = 183
        self.clean(stream)
        # 182 leaves one byte of payload and is legal, 183 leaves none
        for length, expected in ((182, {}), (183, {"af_length"}), (184, {"af_length"})):
            with self.subTest(length=length):
                stream = s.clean()
                at = nulls_after(stream, 100)[0]
                stream[at] = s.packet(0x300, b"\xff")
                stream[at][4] = length
                self.finds(stream, expected, "--ignore", "unreferenced_pid")

    def test_fields_that_do_not_fit(self):
        for flag, inner, fits in ((0x10, 7, True), (0x10, 6, False), (0x08, 7, True), (0x08, 6, False), (0x04, 2, True),
                                  (0x04, 1, False), (0x02, 2, True), (0x02, 1, False), (0x01, 3, True),
                                  (0x01, 1, False)):
            with self.subTest(flag=flag, length=inner):
                body = {0x10: b"\0\0\0\0\x7e\0", 0x08: b"\0\0\0\0\x7e\0", 0x04: b"\0", 0x02: b"\0", 0x01: b"\x01\x1f"}[flag]
                field = bytes([inner, flag]) + body[:inner - 1]
                packet = bytearray([0x47, 0x03, 0x00, 0x30]) + field
                packet += bytes(188 - len(packet))
                got = []
                layer.adaptation(bytes(packet), 0, True, lambda name, detail: got.append(name))
                self.assertEqual(got, [] if fits else ["af_fields"])

    def test_private_data_longer_than_the_field(self):
        packet = bytearray([0x47, 0x03, 0x00, 0x30, 5, 0x02, 4, 1, 2, 3]) + bytes(178)
        got = []
        layer.adaptation(bytes(packet), 0, True, lambda name, detail: got.append(name))
        self.assertEqual(got, ["af_fields"])

    def test_stuffing_of_the_adaptation_field(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, VIDEO, payload=False) if i > 50)
        stream[at][187] = 0
        self.finds(stream, {"af_stuffing": 1})

    def test_null_packets(self):
        for at, mask in ((1, 0x40), (3, 0x40), (3, 0x80), (3, 0x20)):
            with self.subTest(byte=at, mask=mask):
                stream = s.clean()
                flip(stream[nulls_after(stream, 100)[0]], at, mask)
                self.finds(stream, {"null_packet": 1})
        stream = s.clean()  # counters and contents of null packets mean nothing
        for i in nulls_after(stream, 0):
            stream[i][3] |= i & 15
            stream[i][9] = i & 255
        self.clean(stream)


class ContinuityCounter(Case):
    def test_a_lost_packet(self):
        stream = s.clean()
        lost = next(i for i in s.places(stream, VIDEO, False, True) if i > 100)
        self.finds(cut_out(stream, lost), {"cc_error": 1})

    def test_as_many_as_may_be_lost(self):
        def verdict_after(lost):
            continuity = layer.Continuity()
            first, second = s.packet(AUDIO, b"a" * 184), s.packet(AUDIO, b"b" * 184)
            self.assertEqual(continuity.step(bytes(first), 3, True, False), continuity.NEW)
            return continuity.step(bytes(second), 3 + lost + 1 & 15, True, False)
        for lost in range(1, 15):
            self.assertEqual(verdict_after(lost), layer.Continuity.GAP, lost)
        self.assertEqual(verdict_after(15), layer.Continuity.DIFFERS)  # looks like a duplicate, and is none
        self.assertEqual(verdict_after(16), layer.Continuity.NEW)  # no counter of four bits can see that

    def test_two_packets_changed_places(self):
        stream = s.clean()
        a, b = [i for i in s.places(stream, SDT_PID)][:2]
        stream[a], stream[b] = stream[b], stream[a]
        self.finds(stream, {"cc_error": 2})

    def test_one_duplicate_is_legal(self):
        stream = s.clean()
        for pid in (VIDEO, AUDIO, PAT_PID, PMT_PID):
            at = next(i for i in s.places(stream, pid, payload=True) if i > 100 and s.pid_of(stream[i + 1]) == 0x1FFF)
            stream[at + 1] = bytearray(stream[at])
        result = self.clean(stream)
        self.assertEqual(sum(p["duplicates"] for p in result["pids"].values()), 4)

    def test_three_times_is_not(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, AUDIO) if s.pid_of(stream[i + 1]) == s.pid_of(stream[i + 2]) == 0x1FFF)
        stream[at + 1], stream[at + 2] = bytearray(stream[at]), bytearray(stream[at])
        self.finds(stream, {"cc_error": 1})

    def test_a_duplicate_may_have_another_pcr(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, VIDEO, True) if i > 100 and s.pid_of(stream[i + 1]) == 0x1FFF
                  and stream[i][3] & 0x20 and stream[i][5] & 0x10)
        copy = bytearray(stream[at])
        pcr = layer.pcr_of(bytes(copy), 0) + 188 * 8 * TICKS // 3_008_000
        copy[6:12] = (pcr // 300 << 15 | 0x7E00 | pcr % 300).to_bytes(6, "big")
        stream[at + 1] = copy
        self.clean(stream)

    def test_a_duplicate_that_differs(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, SDT_PID) if s.pid_of(stream[i + 1]) == 0x1FFF)
        stream[at + 1] = flip(bytearray(stream[at]), 187, 0xFE)
        result = verdict(stream)
        self.assertEqual(result["findings"]["duplicate_differs"]["count"], 1)
        self.assertNotIn("cc_error", result["findings"])

    def test_packets_without_payload_do_not_count(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, VIDEO, payload=False) if i > 100)
        stream[at][3] = stream[at][3] & 0xF0 | stream[at][3] + 1 & 15
        self.assertIn("cc_error", verdict(stream)["findings"])

    def test_discontinuity_indicator_allows_a_jump(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, AUDIO, True) if i > 3000)
        for i in s.places(stream, AUDIO):
            if i >= at:
                stream[i][3] = stream[i][3] & 0xF0 | stream[i][3] + 7 & 15
        self.finds(stream, {"cc_error": 1})
        frame = s.pes(0xC0, s.mp2_frame(), 0)
        # the same jump in a packet that announces it (one PES packet in the place of another)
        old = bytes(stream[at])
        start = old.index(b"\0\0\1\xc0")
        pts = old[start:start + 14]
        again = s.split(AUDIO, pts + frame[14:], discontinuity=True)
        places = [i for i in s.places(stream, AUDIO) if i >= at][:4]
        for i, p in zip(places, again):
            p[3] = p[3] & 0xF0 | stream[i][3] & 15
            stream[i] = p
        self.clean(stream)
