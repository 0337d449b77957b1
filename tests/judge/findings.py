"""What the judge can find: the catalogue of stable names, and the counter of occurrences.

Clause numbers of ISO/IEC 13818-1 are those of the 2000-2007 editions, which TR 101 290 cites.
"""

ERROR = "error"
WARNING = "warning"

# name: (group, level, clause, what it means)
CATALOGUE = {
    # -- packet layer
    "trailing_bytes": ("packet", ERROR, "13818-1 2.4.3.2", "the file does not end with a whole packet"),
    "sync_byte": ("packet", ERROR, "13818-1 2.4.3.3", "one packet whose first byte is not 0x47"),
    "sync_loss": ("packet", ERROR, "TR 101 290 1.1", "two or more sync bytes missing, or bytes that belong to no packet"),
    "transport_error": ("packet", ERROR, "TR 101 290 2.1", "transport_error_indicator is set"),
    "afc_reserved": ("packet", ERROR, "13818-1 table 2-5", "adaptation_field_control is '00'"),
    "af_length": ("packet", ERROR, "13818-1 2.4.3.5", "adaptation_field_length is not 183 without payload, or over 182 with payload"),
    "af_fields": ("packet", ERROR, "13818-1 2.4.3.4", "the flagged fields do not fit into the adaptation field"),
    "af_stuffing": ("packet", ERROR, "13818-1 2.4.3.5", "a stuffing byte of the adaptation field is not 0xFF"),
    "null_packet": ("packet", ERROR, "13818-1 2.4.3.3", "a null packet with a unit start, scrambling or an adaptation field"),
    "cc_error": ("packet", ERROR, "13818-1 2.4.3.3", "continuity_counter out of order, or a packet more than twice"),
    "duplicate_differs": ("packet", ERROR, "13818-1 2.4.3.3", "same counter as the packet before, but other bytes (PCR apart)"),
    # -- sections and tables
    "pat_absent": ("psi", ERROR, "TR 101 290 1.3.a", "no program association section at all"),
    "pmt_absent": ("psi", ERROR, "TR 101 290 1.5.a", "a program of the PAT has no program map section"),
    "cat_absent": ("psi", ERROR, "TR 101 290 2.6", "scrambled packets, but no conditional access section"),
    "table_absent": ("psi", ERROR, "--require", "a table the caller asked for is not there"),
    "psi_scrambled": ("psi", ERROR, "TR 101 290 1.3.a, 1.5.a", "PAT, CAT, PMT or SI packets with scrambling control"),
    "table_id": ("psi", ERROR, "TR 101 290 1.3.a, 2.6, 3.1-3.8", "a table_id that does not belong on its PID"),
    "pointer_field": ("psi", ERROR, "13818-1 2.4.4.2", "pointer_field points outside the packet, or has no byte to stand in"),
    "section_truncated": ("psi", ERROR, "13818-1 2.4.4", "a section is cut short by the start of the next (no packet was lost)"),
    "section_unstarted": ("psi", ERROR, "13818-1 2.4.3.3", "section bytes without payload_unit_start_indicator and pointer_field"),
    "section_stuffing": ("psi", ERROR, "13818-1 2.4.4", "bytes other than 0xFF after the last section of a packet"),
    "section_length": ("psi", ERROR, "13818-1 2.4.4.5, EN 300 468 5.1.1", "section_length over the limit of its table, or too short"),
    "section_syntax": ("psi", ERROR, "13818-1 2.4.4", "section_syntax_indicator, section numbers or inner lengths do not add up"),
    "section_crc": ("psi", ERROR, "TR 101 290 2.2", "CRC_32 is wrong"),
    "version_stale": ("psi", ERROR, "13818-1 2.4.4.5", "a section changed, its version_number did not"),
    "version_idle": ("psi", ERROR, "13818-1 2.4.4.5", "version_number changed, the table did not"),
    "psi_interval": ("psi", ERROR, "TR 101 290 1.3.a, 1.5.a", "PAT or PMT section not repeated in time"),
    "si_interval": ("psi", ERROR, "TR 101 211 4.4", "NIT, BAT, SDT, EIT p/f, TDT or TOT section not repeated in time"),
    "si_gap": ("psi", ERROR, "EN 300 468 5.1.4.1", "less than 25 ms from a section's end to the next start, same PID, table_id and extension"),
    "eit_pf_pair": ("psi", ERROR, "TR 101 290 3.6.c", "EIT present without following, or the reverse"),
    "program_pids": ("psi", ERROR, "13818-1 2.4.4.4, table 2-3", "PAT or PMT names a PID outside 0x0010-0x1FFE, or a PID twice"),
    "pid_absent": ("psi", WARNING, "TR 101 290 1.6", "no packet of an audio or video PID that a PMT lists"),
    "pid_gap": ("psi", WARNING, "TR 101 290 1.6", "an audio or video PID pauses for longer than the limit"),
    "unreferenced_pid": ("psi", WARNING, "TR 101 290 3.4.a", "packets of a PID that no PAT, CAT or PMT refers to"),
    # -- clocks
    "pcr_absent": ("clock", ERROR, "13818-1 2.7.2", "the PCR_PID of a program carries no PCR"),
    "pcr_late": ("clock", WARNING, "13818-1 2.7.2", "an access unit starts on the PCR_PID before its first PCR"),
    "pcr_repetition": ("clock", ERROR, "TR 101 290 2.3.a", "more time between two PCRs than the limit"),
    "pcr_discontinuity": ("clock", ERROR, "TR 101 290 2.3.b", "PCR difference outside 0...100 ms without discontinuity_indicator"),
    "pcr_accuracy": ("clock", ERROR, "TR 101 290 2.4", "PCR against its byte position off by more than the limit, constant rate"),
    "pcr_extension": ("clock", ERROR, "13818-1 2.4.3.5", "program_clock_reference_extension over 299"),
    "pcr_reserved": ("clock", WARNING, "13818-1 2.1.65", "reserved bits of the PCR field are not all ones"),
    "rai_without_pcr": ("clock", WARNING, "13818-1 2.4.3.5", "random_access_indicator on the PCR_PID in a packet without PCR"),
    "not_cbr": ("clock", ERROR, "--cbr", "the stream was said to have a constant rate and has not"),
    # -- PES
    "pes_start": ("pes", ERROR, "13818-1 2.4.3.7", "payload_unit_start without packet_start_code_prefix 0x000001"),
    "pes_header": ("pes", ERROR, "13818-1 2.4.3.7", "fixed bits, marker bits, PTS_DTS_flags or PES_header_data_length illegal"),
    "pes_length": ("pes", ERROR, "13818-1 2.4.3.7", "PES_packet_length is not the number of bytes up to the next start (no packet was lost)"),
    "pes_length_zero": ("pes", ERROR, "13818-1 2.4.3.7", "PES_packet_length 0 in a stream that is not video"),
    "truncated_pes": ("pes", ERROR, "13818-1 2.4.3.7", "the last PES packet of a PID is shorter than its length says"),
    "orphan_payload": ("pes", ERROR, "13818-1 2.4.3.3", "PES bytes before the first payload_unit_start of a PID"),
    "pts_absent": ("pes", ERROR, "13818-1 2.7.4", "an audio or video stream without any PTS"),
    "pts_interval": ("pes", ERROR, "TR 101 290 2.5, 13818-1 2.7.4", "more than 700 ms from one PTS to the next"),
    "pts_before_dts": ("pes", ERROR, "13818-1 2.4.3.7", "PTS earlier than DTS"),
    "dts_order": ("pes", ERROR, "13818-1 2.4.3.7", "decoding times do not increase"),
    "au_late": ("pes", ERROR, "13818-1 2.4.2.3", "the last byte of an access unit arrives after its decoding time"),
    "aud_absent": ("pes", WARNING, "13818-1 2.14.1, 2.17.1", "AVC or HEVC access unit without access unit delimiter"),
    # -- T-STD
    "tstd_tb_overflow": ("tstd", ERROR, "TR 101 290 3.3", "transport buffer TBn overflows"),
    "tstd_mb_overflow": ("tstd", ERROR, "TR 101 290 3.3", "multiplexing buffer MBn overflows"),
    "tstd_mb_underflow": ("tstd", ERROR, "TR 101 290 3.3", "MBn lacks bytes that vbv_delay or the HRD want in EBn"),
    "tstd_eb_overflow": ("tstd", ERROR, "TR 101 290 3.3", "elementary stream buffer EBn overflows by vbv_delay or the HRD"),
    "tstd_eb_underflow": ("tstd", ERROR, "TR 101 290 3.3", "an access unit is not complete in EBn at its decoding time"),
    "tstd_b_overflow": ("tstd", ERROR, "TR 101 290 3.3", "main buffer Bn overflows"),
    "tstd_b_underflow": ("tstd", ERROR, "TR 101 290 3.3", "an access unit is not complete in Bn at its decoding time"),
    "tstd_text_buffer": ("tstd", WARNING, "EN 300 472 5, EN 300 743 5", "main buffer of a teletext or subtitle decoder overflows or underflows"),
    "tstd_tbsys_overflow": ("tstd", ERROR, "TR 101 290 3.3", "TBsys of a program overflows"),
    "tstd_bsys_overflow": ("tstd", ERROR, "TR 101 290 3.3", "Bsys of a program overflows"),
    "tstd_not_empty": ("tstd", ERROR, "TR 101 290 3.9", "TBn, TBsys or leaking MBn not empty once in a second"),
    "tstd_delay": ("tstd", ERROR, "TR 101 290 3.10", "an access unit waits longer in the decoder than its type may"),
}

GROUPS = ("packet", "psi", "clock", "pes", "tstd")


class Findings:
    """Counts every finding and keeps the first few of each name."""

    def __init__(self, first=10, only=(), ignore=()):
        self.first = first
        self.counts = {}
        self.kept = {}
        self.wanted = {
            name
            for name, (group, *_) in CATALOGUE.items()
            if (not only or name in only or group in only) and name not in ignore and group not in ignore
        }

    def wants(self, group):
        """Is any finding of this group asked for?"""
        return any(CATALOGUE[name][0] == group for name in self.wanted)

    def add(self, name, packet=None, pid=None, detail="", count=1):
        """Counts an occurrence, seen at a packet index (or nowhere in particular)."""
        if name not in CATALOGUE:
            raise KeyError(name)
        if name not in self.wanted:
            return
        self.counts[name] = self.counts.get(name, 0) + count
        kept = self.kept.setdefault(name, [])
        if len(kept) < self.first:
            kept.append({"packet": packet, "pid": pid, "detail": detail})

    def errors(self, strict=False):
        return sum(n for name, n in self.counts.items() if strict or CATALOGUE[name][1] == ERROR)

    def report(self):
        return {
            name: {"count": self.counts[name], "level": CATALOGUE[name][1], "clause": CATALOGUE[name][2],
                   "first": self.kept[name]}
            for name in CATALOGUE
            if name in self.counts
        }
