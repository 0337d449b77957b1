//! How often tables and PIDs must come: every limit in one place.

use crate::si::StreamKind;
use crate::ts::{PidSet, TableId};
use crate::units::{BitRate, Ticks27M};

/// Where a multiplex is received: TR 101 211 V1.9.1 §4.4 gives each its own intervals.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Satellite and cable (§4.4.1).
    #[default]
    SatelliteOrCable,
    /// Terrestrial (§4.4.2). Its intervals of EIT schedules are advice ("if practicable"): what is
    /// slower is counted, and is no error.
    Terrestrial,
}

/// When the tables that every DVB stream has (NIT, SDT, EIT present/following, TDT) are missed.
///
/// TR 101 290 takes a DVB stream for granted. Contribution, ATSC and IPTV streams often have none
/// of these tables at all, and that is no fault in them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ExpectSi {
    /// Once any section of service information came: where one of these tables is, the others
    /// belong too. Before that, the checks that miss them are not judged.
    #[default]
    OnceAny,
    /// From the first packet.
    Always,
}

/// How long a PID that a PMT refers to may stay away (1.6), by what it is for; `None`: any time.
///
/// TR 101 290 leaves the period to the user. What carries no continuous signal is silent in good
/// health, and is exempt as long as nobody sets a time for it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AbsenceLimits {
    /// Video. 5 s.
    pub video: Option<Ticks27M>,
    /// Audio. 5 s.
    pub audio: Option<Ticks27M>,
    /// A PID that carries nothing but PCRs. 5 s.
    pub clock: Option<Ticks27M>,
    /// DVB subtitles. Exempt.
    pub subtitle: Option<Ticks27M>,
    /// Teletext. Exempt.
    pub teletext: Option<Ticks27M>,
    /// Splice information. Exempt.
    pub scte35: Option<Ticks27M>,
    /// Applications, carousels, metadata, and what the tables do not explain. Exempt.
    pub data: Option<Ticks27M>,
    /// ECMs, by the CA_descriptors of a PMT. Exempt.
    pub ecm: Option<Ticks27M>,
}

impl AbsenceLimits {
    /// The limit of a kind of stream.
    pub const fn of(&self, kind: StreamKind) -> Option<Ticks27M> {
        match kind {
            StreamKind::Video => self.video,
            StreamKind::Audio => self.audio,
            StreamKind::Subtitle => self.subtitle,
            StreamKind::Teletext => self.teletext,
            StreamKind::Scte35 => self.scte35,
            StreamKind::Data => self.data,
        }
    }

    /// The shortest limit that is set.
    pub(super) fn shortest(&self) -> Option<Ticks27M> {
        let all = [
            self.video,
            self.audio,
            self.clock,
            self.subtitle,
            self.teletext,
            self.scte35,
            self.data,
            self.ecm,
        ];
        all.into_iter().flatten().min()
    }
}

impl Default for AbsenceLimits {
    fn default() -> Self {
        Self {
            video: Some(Ticks27M::SECOND * 5),
            audio: Some(Ticks27M::SECOND * 5),
            clock: Some(Ticks27M::SECOND * 5),
            subtitle: None,
            teletext: None,
            scte35: None,
            data: None,
            ecm: None,
        }
    }
}

/// The limits of the checks of tables, with those of TR 101 290 V1.4.1 §5.2 and TR 101 211 V1.9.1
/// §4.4 as default. A limit that is `None` is not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct TableLimits {
    /// Where it is received: decides the limits of EIT schedules.
    pub delivery: Delivery,
    /// When NIT, SDT, EIT and TDT are missed.
    pub expect_si: ExpectSi,
    /// Longest time without a section of the PAT (1.3.a). 0.5 s.
    pub pat: Ticks27M,
    /// Longest time without a section of a PMT on a PID of the PAT (1.5.a). 0.5 s.
    pub pmt: Ticks27M,
    /// Longest time without a section of the CAT while packets are scrambled (2.6). TR 101 290
    /// names none. 10 s.
    pub cat: Ticks27M,
    /// Longest time without a section of the NIT actual (3.1.a, 3.2). 10 s.
    pub nit_actual: Option<Ticks27M>,
    /// Longest time between two of a section of a NIT other (3.1.b, 3.2). 10 s.
    pub nit_other: Option<Ticks27M>,
    /// Longest time without a section of the SDT actual (3.5.a, 3.2). 2 s.
    pub sdt_actual: Option<Ticks27M>,
    /// Longest time between two of a section of an SDT other (3.5.b, 3.2). 10 s.
    pub sdt_other: Option<Ticks27M>,
    /// Longest time without section 0 or 1 of an EIT present/following actual (3.6.a, 3.2). 2 s.
    pub eit_actual: Option<Ticks27M>,
    /// The same of an EIT present/following other (3.6.b, 3.2). 10 s; terrestrial 20 s.
    pub eit_other: Option<Ticks27M>,
    /// EIT schedules are looked at (3.2); their limits go by the day and by `delivery`.
    pub eit_schedule: bool,
    /// Longest time between two of a section of a BAT (3.2). 10 s.
    pub bat: Option<Ticks27M>,
    /// Longest time without a TDT (3.8, 3.2). 30 s.
    pub tdt: Option<Ticks27M>,
    /// Longest time between two TOTs (3.2). 30 s.
    pub tot: Option<Ticks27M>,
    /// Shortest time from the last byte of a section to the first byte of the next one of the same
    /// PID, table_id and table_id_extension (EN 300 468 §5.1.4.1; 3.1.a, 3.5.a, 3.6.a, 3.7, 3.8,
    /// 3.2). Service information only. 25 ms.
    pub gap: Ticks27M,
    /// The shortest time holds for streams up to this rate (EN 300 468 §5.1.4.1). 100 Mb/s.
    pub gap_up_to: BitRate,
    /// How long a PID may be there without a table that refers to it (3.4.a). 0.5 s.
    pub unreferenced: Ticks27M,
    /// PIDs that need no table: private ones, declared by the user (3.4.a).
    pub declared: PidSet,
    /// How long a referred PID may stay away (1.6).
    pub absence: AbsenceLimits,
}

impl TableLimits {
    /// The limits for what is received there.
    pub fn new(delivery: Delivery) -> Self {
        let seconds = |n| Ticks27M::SECOND * n;
        let eit_other = match delivery {
            Delivery::SatelliteOrCable => seconds(10),
            Delivery::Terrestrial => seconds(20),
        };
        Self {
            delivery,
            expect_si: ExpectSi::default(),
            pat: Ticks27M::from_millis(500),
            pmt: Ticks27M::from_millis(500),
            cat: seconds(10),
            nit_actual: Some(seconds(10)),
            nit_other: Some(seconds(10)),
            sdt_actual: Some(seconds(2)),
            sdt_other: Some(seconds(10)),
            eit_actual: Some(seconds(2)),
            eit_other: Some(eit_other),
            eit_schedule: true,
            bat: Some(seconds(10)),
            tdt: Some(seconds(30)),
            tot: Some(seconds(30)),
            gap: Ticks27M::from_millis(25),
            gap_up_to: BitRate::new(100_000_000),
            unreferenced: Ticks27M::from_millis(500),
            declared: PidSet::new(),
            absence: AbsenceLimits::default(),
        }
    }

    /// The longest time between two sections of that number of a table, `None` where none is set.
    pub(super) fn of(&self, id: TableId, section: u8) -> Option<Ticks27M> {
        match id.0 {
            0x40 => self.nit_actual,
            0x41 => self.nit_other,
            0x42 => self.sdt_actual,
            0x46 => self.sdt_other,
            0x4A => self.bat,
            0x4E => self.eit_actual,
            0x4F => self.eit_other,
            0x50..=0x6F if self.eit_schedule => Some(self.schedule(id.0, section)),
            0x70 => self.tdt,
            0x73 => self.tot,
            _ => None,
        }
    }

    /// TR 101 211 §4.4: a schedule's table holds four days in 256 sections, 64 a day (§4.1.4).
    fn schedule(&self, id: u8, section: u8) -> Ticks27M {
        let (other, table) = (id >= 0x60, id & 0x0F);
        let seconds = match self.delivery {
            // The first eight days; those that follow.
            Delivery::SatelliteOrCable if table < 2 => 10,
            Delivery::SatelliteOrCable => 30,
            // The first day; those that follow.
            Delivery::Terrestrial => match (other, table == 0 && section < 64) {
                (false, true) => 10,
                (false, false) => 30,
                (true, true) => 60,
                (true, false) => 300,
            },
        };
        Ticks27M::SECOND * seconds
    }

    /// The limit of a table is advice: what is slower is counted, and is no error.
    pub(super) fn is_advice(&self, id: TableId) -> bool {
        self.delivery == Delivery::Terrestrial && (0x50..=0x6F).contains(&id.0)
    }
}

impl Default for TableLimits {
    fn default() -> Self {
        Self::new(Delivery::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intervals_are_those_of_the_guideline() {
        // TR 101 211 §4.4.1 and §4.4.2, in seconds, by table_id and section_number.
        let rows = [
            (0x40, 0, 10, 10),
            (0x41, 0, 10, 10),
            (0x42, 0, 2, 2),
            (0x46, 0, 10, 10),
            (0x4A, 0, 10, 10),
            (0x4E, 1, 2, 2),
            (0x4F, 1, 10, 20),
            (0x50, 63, 10, 10),
            (0x50, 64, 10, 30),
            (0x51, 255, 10, 30),
            (0x52, 0, 30, 30),
            (0x5F, 0, 30, 30),
            (0x60, 0, 10, 60),
            (0x60, 64, 10, 300),
            (0x61, 0, 10, 300),
            (0x62, 0, 30, 300),
            (0x70, 0, 30, 30),
            (0x73, 0, 30, 30),
        ];
        let satellite = TableLimits::new(Delivery::SatelliteOrCable);
        let terrestrial = TableLimits::new(Delivery::Terrestrial);
        for (id, section, a, b) in rows {
            let of = |limits: &TableLimits| limits.of(TableId(id), section);
            assert_eq!(of(&satellite), Some(Ticks27M::SECOND * a), "{id:#x}");
            assert_eq!(of(&terrestrial), Some(Ticks27M::SECOND * b), "{id:#x}");
        }
        for id in [0x00, 0x01, 0x02, 0x71, 0x72, 0x80] {
            assert_eq!(satellite.of(TableId(id), 0), None, "{id:#x}");
        }
        assert!(terrestrial.is_advice(TableId(0x60)) && !terrestrial.is_advice(TableId(0x4F)));
        assert!(!satellite.is_advice(TableId(0x60)));
    }
}
