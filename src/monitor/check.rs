//! The checks: one row each.

use std::fmt;

use serde::{Serialize, Serializer};

/// How much a check matters: the three priorities of ETSI TR 101 290 V1.4.1 §5.2, and 4 for what
/// stands beside them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The stream cannot be decoded.
    One = 1,
    /// What should be watched all the time.
    Two = 2,
    /// What matters to some applications.
    Three = 3,
    /// No check of TR 101 290.
    Four = 4,
}

impl Priority {
    /// 1 to 4.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $number:literal, $priority:ident;)*) => {
        /// A check, by the name of its indicator in TR 101 290.
        ///
        /// Where V1.4.1 splits or replaces an indicator, only the new ones are here: what raises
        /// an old one raises at least one of them.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $($(#[$doc])* $variant,)*
        }

        impl Check {
            /// Every check, by priority and number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name, in snake case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The number in TR 101 290 V1.4.1 §5.2; empty for what is not in it.
            pub const fn number(self) -> &'static str {
                match self { $(Self::$variant => $number,)* }
            }

            /// How much it matters.
            pub const fn priority(self) -> Priority {
                match self { $(Self::$variant => Priority::$priority,)* }
            }
        }
    };
}

checks! {
    /// Synchronisation was lost: two sync bytes in a row are not 0x47.
    TsSyncLoss = "ts_sync_loss", "1.1", One;
    /// A sync byte is not 0x47.
    SyncByteError = "sync_byte_error", "1.2", One;
    /// No section of a PAT for 0.5 s, another table on PID 0, or PID 0 is scrambled.
    PatError2 = "pat_error_2", "1.3.a", One;
    /// A packet is missing, out of order, or came more than twice.
    ContinuityCountError = "continuity_count_error", "1.4", One;
    /// No section of a PMT for 0.5 s on a PID that the PAT gives, or it is scrambled.
    PmtError2 = "pmt_error_2", "1.5.a", One;
    /// A PID that a PMT refers to is absent for the time set.
    PidError = "pid_error", "1.6", One;
    /// transport_error_indicator is set.
    TransportError = "transport_error", "2.1", Two;
    /// CRC_32 of a CAT, PAT, PMT, NIT, EIT, BAT, SDT or TOT is wrong.
    CrcError = "crc_error", "2.2", Two;
    /// More than 100 ms between two PCRs.
    PcrRepetitionError = "pcr_repetition_error", "2.3.a", Two;
    /// Two PCRs differ by other than 0 to 100 ms, and no discontinuity_indicator is set.
    PcrDiscontinuityIndicatorError = "pcr_discontinuity_indicator_error", "2.3.b", Two;
    /// A PCR is not within 500 ns of its place in a stream of constant rate.
    PcrAccuracyError = "pcr_accuracy_error", "2.4", Two;
    /// More than 700 ms between two PTS.
    PtsError = "pts_error", "2.5", Two;
    /// Scrambled packets without a CAT, or another table on PID 1.
    CatError = "cat_error", "2.6", Two;
    /// No NIT actual for 10 s, another table on PID 0x10, or two sections within 25 ms.
    NitActualError = "nit_actual_error", "3.1.a", Three;
    /// A section of a NIT other comes less often than every 10 s.
    NitOtherError = "nit_other_error", "3.1.b", Three;
    /// A table of service information comes less or more often than it must.
    SiRepetitionError = "si_repetition_error", "3.2", Three;
    /// A buffer of the T-STD overflows or underflows.
    BufferError = "buffer_error", "3.3", Three;
    /// A PID that no table refers to.
    UnreferencedPid = "unreferenced_pid", "3.4.a", Three;
    /// No SDT actual for 2 s, another table on PID 0x11, or two sections within 25 ms.
    SdtActualError = "sdt_actual_error", "3.5.a", Three;
    /// A section of an SDT other comes less often than every 10 s.
    SdtOtherError = "sdt_other_error", "3.5.b", Three;
    /// No EIT present/following actual for 2 s, another table on PID 0x12, or two within 25 ms.
    EitActualError = "eit_actual_error", "3.6.a", Three;
    /// An EIT present/following other comes less often than every 10 s.
    EitOtherError = "eit_other_error", "3.6.b", Three;
    /// The present event comes without the following one, or the other way round.
    EitPfError = "eit_pf_error", "3.6.c", Three;
    /// Another table than an RST on PID 0x13, or two sections within 25 ms.
    RstError = "rst_error", "3.7", Three;
    /// No TDT for 30 s, another table on PID 0x14, or two sections within 25 ms.
    TdtError = "tdt_error", "3.8", Three;
    /// A transport or multiplex buffer of the T-STD is not empty once in a second.
    EmptyBufferError = "empty_buffer_error", "3.9", Three;
    /// Data stays in the T-STD longer than it may.
    DataDelayError = "data_delay_error", "3.10", Three;
    /// Nothing comes from the network.
    InputLoss = "input_loss", "", Four;
    /// The kernel dropped datagrams that nobody fetched in time.
    KernelDrops = "kernel_drops", "", Four;
    /// RTP datagrams never came.
    RtpLoss = "rtp_loss", "", Four;
    /// A picture is black for 2 s.
    VideoBlack = "video_black", "", Four;
    /// A picture stands still for 2 s.
    VideoFrozen = "video_frozen", "", Four;
    /// Sound is below -60 dB for 5 s.
    AudioSilent = "audio_silent", "", Four;
    /// A service or PID that the profile requires is not there.
    ProfileMissing = "profile_missing", "", Four;
    /// A service or PID that the profile does not list is there.
    ProfileUnlisted = "profile_unlisted", "", Four;
    /// A bit rate is below or above what the profile allows.
    ProfileBitrate = "profile_bitrate", "", Four;
    /// What should be clear is scrambled, or the other way round.
    ProfileScrambling = "profile_scrambling", "", Four;
    /// An id, a name, a codec or a language is another than in the profile.
    ProfileDescription = "profile_description", "", Four;
}

impl Check {
    /// It rests on packets that were found: not on sync bytes, the reception or a decoder.
    pub const fn needs_sync(self) -> bool {
        !matches!(
            self,
            Self::TsSyncLoss
                | Self::SyncByteError
                | Self::InputLoss
                | Self::KernelDrops
                | Self::RtpLoss
                | Self::VideoBlack
                | Self::VideoFrozen
                | Self::AudioSilent
        )
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_report_and_stand_once() {
        let names: std::collections::BTreeSet<_> = Check::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        for check in Check::ALL {
            let first = check.number().split('.').next().unwrap_or_default();
            let expected = match check.priority() {
                Priority::Four => String::new(),
                priority => priority.number().to_string(),
            };
            assert_eq!(first, expected, "{check}");
        }
    }
}
