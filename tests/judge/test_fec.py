"""The FEC of fec.py against sums made by hand."""

import os
import tempfile
import unittest

import fec


def media(number, stamp, marker, body):
    head = bytes([0x80, (0x80 if marker else 0) | 33]) + number.to_bytes(2, "big") + stamp.to_bytes(4, "big")
    return head + bytes([0, 0, 0, 7]) + body


# L = 1, D = 5: length 3^2^4^1^2 = 6, PT 33, TS 1^10^100^1000^80000000, M of the second, body by columns.
MEDIA = [media(0xFFFE, 1, False, b"\x47\x01\x02"), media(0xFFFF, 0x10, True, b"\x47\x04"),
         media(0, 0x100, False, b"\x47\x10\x20\x30"), media(1, 0x1000, False, b"\x47"),
         media(2, 0x80000000, False, b"\x47\xFF"), media(3, 0x80000384, False, b"\x47")]
FEC = bytes.fromhex("80E00000 80000384 00000000 FFFE0006 A1000000 80001111 00010500 47EA2230")


class ByHand(unittest.TestCase):
    def test_each_one_left_out_comes_back(self):
        for gone in range(5):
            there = {int.from_bytes(m[2:4], "big"): m for n, m in enumerate(MEDIA) if n != gone}
            fec.solve(there, [fec.read(FEC)])
            self.assertEqual(sorted(there.values()), sorted(MEDIA))

    def test_two_left_out_stay_away_and_a_wrong_sum_is_seen(self):
        there = {int.from_bytes(m[2:4], "big"): m for m in MEDIA[2:]}
        fec.solve(there, [fec.read(FEC)])
        self.assertEqual(len(there), 4)
        whole = {int.from_bytes(m[2:4], "big"): m for m in MEDIA}
        with self.assertRaises(AssertionError):
            fec.solve(whole, [fec.read(FEC[:-1] + b"\x31")])

    def test_a_record_is_checked(self):
        for bytes_of_fec, faults in [(FEC, 0), (FEC[:24] + b"\x40" + FEC[25:], 1), (FEC[:1] + b"\x61" + FEC[2:], 2)]:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "record")
                with open(path, "wb") as file:
                    for port, datagram in [(0, m) for m in MEDIA] + [(1, bytes_of_fec)]:
                        file.write(bytes([port, 0]) + len(datagram).to_bytes(2, "big") + datagram)
                self.assertEqual(len(fec.check(path, 1, 5, False)), faults, bytes_of_fec.hex())


if __name__ == "__main__":
    unittest.main()
