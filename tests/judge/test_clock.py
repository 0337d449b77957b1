"""PCRs: for every rule a stream that breaks it and one that does not."""

import random

import clock
import packets as layer
import pes as pes_layer
import stream as s
from stream import AUDIO, MS, TICKS, VIDEO
from support import Case, flip, verdict


class Clocks(Case):
    def test_no_pcr(self):
        stream = s.clean(pmt_section=s.pmt(pcr=AUDIO))
        result = self.finds(stream, {"pcr_absent": 1})
        self.assertFalse(result["tstd"]["streams"][str(VIDEO)]["judged"])

    def test_the_first_pcr_is_late(self):
        stream = s.clean(pcr_filter=lambda ms: ms > 0)
        first = s.places(stream, VIDEO, True)[0]
        body = bytes(stream[first])
        stream[first] = s.packet(VIDEO, body[12:], True)
        self.finds(stream, {"pcr_late": 1})

    def test_pcr_interval(self):
        def without(low, high):
            return s.clean(pcr_every=20, pcr_filter=lambda ms: not low < ms < high)
        # pictures with their own PCR stand at 10, 490, 970 ms ...
        self.clean(without(600, 700))
        # values apart by more than 100 ms are both 2.3.a and, by the letter, 2.3.b
        self.finds(without(600, 720), {"pcr_repetition": 1, "pcr_discontinuity": 1})
        self.finds(without(600, 660), {"pcr_repetition": 1}, "--pcr-interval", "40", "--pcr-accuracy", "500")

    def jump(self, by, announced):
        """From 1.5 s on PCRs and time stamps are `by` ms away."""
        stream = s.clean(pcr_every=20)
        out = []
        seen = False
        for i, p in enumerate(stream):
            if i >= 3000 and s.pid_of(p) in (VIDEO, AUDIO):
                pcr = layer.pcr_of(bytes(p), 0) if p[3] & 0x20 else None
                if pcr is not None:
                    pcr = (pcr + by * MS) % (300 << 33)
                    p[6:12] = (pcr // 300 << 15 | 0x7E00 | pcr % 300).to_bytes(6, "big")
                    if announced and not seen:
                        p[5] |= 0x80
                        seen = True
                if p[1] & 0x40 and seen or p[1] & 0x40 and not announced:
                    at = bytes(p).index(b"\0\0\1")
                    for field, prefix in ((at + 9, p[at + 9] >> 4), (at + 14, 1))[:2 if p[at + 7] & 0x40 else 1]:
                        value, good = pes_layer.stamp(bytes(p), field, prefix)
                        assert good
                        p[field:field + 5] = s.stamp(value + by * 90, prefix)
            out.append(p)
        return out

    def test_pcrs_that_begin_late_or_end_early(self):
        def silence(low, high):
            stream = s.clean()
            for i in s.places(stream, VIDEO):
                if low <= i < high and stream[i][3] & 0x20 and stream[i][4] >= 7:
                    stream[i][5] &= 0xEF
                    stream[i][6:12] = b"\xff" * 6
            return stream
        self.finds(silence(0, 400), {"pcr_repetition", "pcr_late", "rai_without_pcr"})
        self.clean(silence(5900, 6000))
        self.finds(silence(5600, 6000), {"pcr_repetition": 1, "rai_without_pcr": 1})

    def test_pcr_discontinuity(self):
        self.finds(self.jump(300, False), {"pcr_discontinuity": 1})
        # backward, decoding times run backward too
        self.finds(self.jump(-300, False), {"pcr_discontinuity": 1, "dts_order": 2})

    def test_an_announced_one_is_legal(self):
        for by in (300, -300, 5_000_000, 20):
            with self.subTest(by=by):
                self.clean(self.jump(by, True))

    def test_pcr_accuracy(self):
        for ticks, expected in ((12, {}), (-12, {}), (15, {"pcr_accuracy": 1}), (-15, {"pcr_accuracy": 1}),
                                (27_000, {"pcr_accuracy": 1})):
            with self.subTest(ticks=ticks):
                stream = s.clean()
                at = [i for i in s.places(stream, VIDEO, payload=False) if i > 2000][0]
                pcr = layer.pcr_of(bytes(stream[at]), 0) + ticks
                stream[at][6:12] = (pcr // 300 << 15 | 0x7E00 | pcr % 300).to_bytes(6, "big")
                result = self.finds(stream, expected)
                accuracy = result["pcr"][str(VIDEO)]["accuracy"]
                self.assertAlmostEqual(accuracy["max_ns"], abs(ticks) * 1000 / 27, delta=abs(ticks) * 2)

    def test_accuracy_of_pcrs_all_over_the_place(self):
        rng = random.Random(1)
        stream = s.clean()
        for i in s.places(stream, VIDEO):
            if stream[i][3] & 0x20 and stream[i][4] >= 7 and stream[i][5] & 0x10:
                pcr = layer.pcr_of(bytes(stream[i]), 0) + rng.randint(-2700, 2700)
                stream[i][6:12] = (pcr // 300 << 15 | 0x7E00 | pcr % 300).to_bytes(6, "big")
        result = self.finds(stream, "pcr_accuracy")
        self.assertGreater(result["findings"]["pcr_accuracy"]["count"], 90)

    def test_pcrs_at_the_limit_to_both_sides(self):
        """13 ticks are 481 ns: at their places all of them are legal, whatever a line fitted to them says. 15 are not."""
        for seed in range(8):
            for ticks, expected in ((13, {}), (15, "pcr_accuracy")):
                with self.subTest(seed=seed, ticks=ticks):
                    rng = random.Random(seed)
                    stream = s.clean()
                    for i in s.places(stream, VIDEO):
                        if stream[i][3] & 0x20 and stream[i][4] >= 7 and stream[i][5] & 0x10:
                            pcr = layer.pcr_of(bytes(stream[i]), 0) + rng.choice((-ticks, ticks))
                            stream[i][6:12] = (pcr // 300 << 15 | 0x7E00 | pcr % 300).to_bytes(6, "big")
                    self.finds(stream, expected, "--only", "clock")

    def test_the_narrowest_strip(self):
        # by hand: the hull's upper edge runs from (0, 1) to (4, 5), (3, 2) is lowest below it, by 2
        slope, middle = clock.strip([(0, 1), (1, 2), (2, 2), (3, 2), (4, 5)])
        self.assertEqual((slope, middle), (1, 0))

    def test_a_slow_clock_is_not_inaccurate(self):
        # 30 ppm off: nobody can tell without another clock, but a given rate can
        stream = s.clean(rate=3_008_000)
        for i in s.places(stream, VIDEO):
            if stream[i][3] & 0x20 and stream[i][4] >= 7 and stream[i][5] & 0x10:
                pcr = 10 * TICKS + round((layer.pcr_of(bytes(stream[i]), 0) - 10 * TICKS) * 1.00005)
                stream[i][6:12] = (pcr // 300 << 15 | 0x7E00 | pcr % 300).to_bytes(6, "big")
        self.clean(stream)
        self.finds(stream, "not_cbr", "--cbr", "3008000")

    def test_losses_do_not_spoil_the_accuracy(self):
        stream = s.clean()
        del stream[3000:3100]  # a hundred packets are lost
        found = verdict(stream)["findings"]
        self.assertIn("cc_error", found)
        self.assertNotIn("pcr_accuracy", found)

    def test_variable_rate_is_not_judged(self):
        rng = random.Random(2)
        stream = [p for p in s.clean() if s.pid_of(p) != 0x1FFF or rng.random() < 0.3]
        result = verdict(stream, "--only", "clock")
        self.assertEqual(result["findings"], {})
        self.assertFalse(result["pcr"][str(VIDEO)]["accuracy"]["judged"])
        self.assertIn("pcr_accuracy", verdict(stream, "--cbr")["findings"])

    def test_extension(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, VIDEO, payload=False)
                  if i > 100 and layer.pcr_of(bytes(stream[i]), 0) % 300 < 200)
        pcr = layer.pcr_of(bytes(stream[at]), 0)
        base, extension = pcr // 300 - 1, pcr % 300 + 300
        stream[at][6:12] = (base << 15 | 0x7E00 | extension).to_bytes(6, "big")
        self.assertEqual(layer.pcr_of(bytes(stream[at]), 0), pcr)
        self.finds(stream, {"pcr_extension": 1})

    def test_every_bit_of_a_pcr(self):
        for bit in range(33):
            p = s.packet(VIDEO, pcr=(1 << bit) * 300)
            self.assertEqual(layer.pcr_of(bytes(p), 0), (1 << bit) * 300)
        for bit in range(9):
            p = s.packet(VIDEO)
            p[5] = 0x10
            p[6:12] = (0x7E00 | 1 << bit).to_bytes(6, "big")
            self.assertEqual(layer.pcr_of(bytes(p), 0), 1 << bit)

    def test_reserved_bits(self):
        for mask in (0x40, 0x02):
            stream = s.clean()
            flip(stream[s.places(stream, VIDEO, payload=False)[9]], 10, mask)
            self.finds(stream, {"pcr_reserved": 1})

    def test_random_access_without_pcr(self):
        stream = s.clean()
        at = next(i for i in s.places(stream, VIDEO) if i > 500 and stream[i][3] & 0x30 == 0x30 and stream[i][4]
                  and not stream[i][5] & 0x10)
        stream[at][5] |= 0x40
        self.finds(stream, {"rai_without_pcr": 1})

    def test_input_time_of_a_byte(self):
        """Equations 2-4 and 2-5, by hand: PCRs 0 and 27 000 on packets 0 and 10, 54 000 on packet 110."""
        samples = clock.Samples()
        for index, value in ((0, 0), (10, 27_000), (110, 54_000)):
            samples.index.append(index), samples.value.append(value), samples.announced.append(0)
        line = clock.Timeline(samples)
        cursor = line.cursor()
        for position, time in ((10, 0), (950, 13_500), (1890, 27_000), (1890 + 9400, 40_500), (1890 + 18800, 54_000)):
            cursor.seek(position)
            self.assertAlmostEqual(cursor.time0 + (position - cursor.at0) * cursor.slope, time)
        self.assertAlmostEqual(line.elapsed(10) - line.elapsed(0), 27_000 / 188)
