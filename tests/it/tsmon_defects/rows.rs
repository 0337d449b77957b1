//! The defects, and what each raises.

use headend::monitor::Check;
use headend::ts::{Pid, TableId};

use crate::healthy::{AUDIO, FAST, MEGABIT, PMT, VIDEO, seconds};
use crate::inject::{Defect, Strike, Table};

/// Long enough to miss a TDT.
pub const LONG: Stream = Stream {
    ticks: MEGABIT,
    seconds: 40,
};
/// Fast enough to fill a transport buffer.
pub const SHORT: Stream = Stream {
    ticks: FAST,
    seconds: 6,
};

/// A healthy stream.
#[derive(Copy, Clone)]
pub struct Stream {
    pub ticks: i64,
    pub seconds: i64,
}

/// A defect, and what it raises.
pub struct Row {
    pub what: &'static str,
    pub stream: Stream,
    pub strikes: Vec<Strike>,
    pub found: Vec<(Check, u64)>,
}

/// One strike on the long stream, once it has settled.
fn row(what: &'static str, defect: Defect, pid: Pid, found: &[(Check, u64)]) -> Row {
    let strike = Strike::new(defect, pid).within(seconds(LONG.ticks, 2, 38));
    Row {
        what,
        stream: LONG,
        strikes: vec![strike],
        found: found.to_vec(),
    }
}

/// The same on the fast one.
fn fast(what: &'static str, defect: Defect, pid: Pid, found: &[(Check, u64)]) -> Row {
    let strike = Strike::new(defect, pid).within(seconds(SHORT.ticks, 2, 4));
    Row {
        stream: SHORT,
        strikes: vec![strike],
        ..row(what, defect, pid, found)
    }
}

pub fn priority_1() -> Vec<Row> {
    use Check::*;
    let pat = Table::all(0);
    let rename = |to| Defect::Rename {
        table: pat,
        to: TableId(to),
    };
    let omit = |id, sections| Defect::OmitTable {
        table: Table::all(id),
        sections,
    };
    let sync = |packets| Defect::BreakSync { packets };
    vec![
        row(
            "two sync bytes",
            sync(2),
            Pid::NULL,
            &[(TsSyncLoss, 1), (SyncByteError, 2)],
        ),
        row("one sync byte", sync(1), Pid::NULL, &[(SyncByteError, 1)]),
        row(
            "junk between two packets",
            Defect::Junk { bytes: 100 },
            Pid::NULL,
            &[(TsSyncLoss, 1), (SyncByteError, 2)],
        ),
        row("a PAT left out: 480 ms", omit(0, 1), Pid::PAT, &[]),
        row(
            "two PATs left out: 720 ms",
            omit(0, 2),
            Pid::PAT,
            &[(PatError2, 1)],
        ),
        row(
            "another table on PID 0",
            rename(2),
            Pid::PAT,
            &[(PatError2, 1)],
        ),
        row(
            "a scrambled PAT",
            Defect::Scramble { packets: 1 },
            Pid::PAT,
            &[(PatError2, 1)],
        ),
        row(
            "a lost packet",
            Defect::Drop { packets: 1 },
            AUDIO,
            &[(ContinuityCountError, 1)],
        ),
        row(
            "a packet twice",
            Defect::Duplicate { copies: 1 },
            AUDIO,
            &[],
        ),
        row(
            "a packet three times",
            Defect::Duplicate { copies: 2 },
            AUDIO,
            &[(ContinuityCountError, 1)],
        ),
        // Of 1 3 2 4, three are not the one due.
        row(
            "two packets swapped",
            Defect::Reorder,
            AUDIO,
            &[(ContinuityCountError, 3)],
        ),
        row("a PMT left out: 480 ms", omit(2, 1), PMT, &[]),
        row(
            "two PMTs left out: 720 ms",
            omit(2, 2),
            PMT,
            &[(PmtError2, 1)],
        ),
        row(
            "a scrambled PMT",
            Defect::Scramble { packets: 1 },
            PMT,
            &[(PmtError2, 1)],
        ),
        // 69 frames are away for 5.04 s, 68 for 4.968 s: as stamps they are missed each 1.7 s.
        row(
            "no sound for 5.04 s",
            Defect::OmitPid { packets: 69 },
            AUDIO,
            &[(PidError, 1), (PtsError, 2)],
        ),
        row(
            "no sound for 4.968 s",
            Defect::OmitPid { packets: 68 },
            AUDIO,
            &[(PtsError, 2)],
        ),
    ]
}

pub fn priority_2() -> Vec<Row> {
    use Check::*;
    let break_crc = |id| Defect::BreakCrc {
        table: Table::all(id),
    };
    let jump = |ticks, announced| Defect::Jump { ticks, announced };
    const HOUR: i64 = 3600 * 27_000_000;
    let mut rows = vec![
        row(
            "a null packet marked as damaged",
            Defect::TransportError,
            Pid::NULL,
            &[(TransportError, 1)],
        ),
        row(
            "a packet of sound marked as damaged",
            Defect::TransportError,
            AUDIO,
            &[(TransportError, 1), (ContinuityCountError, 1)],
        ),
        row(
            "a PCR left out: 70.7 ms",
            Defect::OmitPcrs { pcrs: 1 },
            VIDEO,
            &[],
        ),
        // By the letter the longer step is a discontinuity too.
        row(
            "two PCRs left out: 106 ms",
            Defect::OmitPcrs { pcrs: 2 },
            VIDEO,
            &[(PcrRepetitionError, 1), (PcrDiscontinuityIndicatorError, 1)],
        ),
        row("a jump that is announced", jump(HOUR, true), VIDEO, &[]),
        row(
            "a jump",
            jump(HOUR, false),
            VIDEO,
            &[(PcrDiscontinuityIndicatorError, 1)],
        ),
        row(
            "a jump back",
            jump(-HOUR, false),
            VIDEO,
            &[(PcrDiscontinuityIndicatorError, 1)],
        ),
        row(
            "a PCR 481 ns late",
            Defect::ShiftPcr { ticks: 13 },
            VIDEO,
            &[],
        ),
        row(
            "a PCR 519 ns early",
            Defect::ShiftPcr { ticks: -14 },
            VIDEO,
            &[(PcrAccuracyError, 1)],
        ),
        row(
            "PCRs that jitter by 370 ns",
            Defect::JitterPcrs {
                ticks: 10,
                pcrs: 500,
            },
            VIDEO,
            &[],
        ),
        row(
            "8 frames without PTS: 648 ms",
            Defect::OmitStamps { pes: 8 },
            AUDIO,
            &[],
        ),
        row(
            "9 frames without PTS: 720 ms",
            Defect::OmitStamps { pes: 9 },
            AUDIO,
            &[(PtsError, 1)],
        ),
        row(
            "another table on PID 1",
            Defect::Rename {
                table: Table::all(1),
                to: TableId(2),
            },
            Pid::CAT,
            &[(CatError, 1)],
        ),
    ];
    // Each table that 2.2 names; of each a section more or less is no error.
    for (id, pid) in [
        (0x00, Pid::PAT),
        (0x01, Pid::CAT),
        (0x02, PMT),
        (0x40, Pid::NIT),
        (0x42, Pid::SDT),
        (0x4A, Pid::SDT),
        (0x4E, Pid::EIT),
        (0x73, Pid::TDT),
    ] {
        rows.push(row("a wrong CRC_32", break_crc(id), pid, &[(CrcError, 1)]));
    }
    // Sound is scrambled from the third second on; two CATs, of which one comes each 4.8 s, are left
    // out.
    let scrambled = Defect::Scramble { packets: 490 };
    rows.push(row("scrambled sound and a CAT", scrambled, AUDIO, &[]));
    let mut row = row(
        "scrambled sound without a CAT for 14.4 s",
        scrambled,
        AUDIO,
        &[(CatError, 1)],
    );
    let omit = Defect::OmitTable {
        table: Table::all(1),
        sections: 2,
    };
    let reach = seconds(LONG.ticks, 2, 38);
    row.strikes.push(Strike::new(omit, Pid::CAT).within(reach));
    rows.push(row);
    rows
}

pub fn priority_3() -> Vec<Row> {
    use Check::*;
    let omit = |table, sections| Defect::OmitTable { table, sections };
    let mut rows = vec![
        row(
            "an unreferenced packet",
            unreferenced(),
            Pid::NULL,
            &[(UnreferencedPid, 1)],
        ),
        // At 8 Mbit/s a packet brings 188 bytes and 47 leave TBn, which holds 512.
        fast(
            "three packets of sound in a row",
            Defect::Bunch { packets: 3 },
            AUDIO,
            &[],
        ),
        fast(
            "four packets of sound in a row",
            Defect::Bunch { packets: 4 },
            AUDIO,
            &[(BufferError, 1)],
        ),
        // Four packets' time is 20 300 ticks; TBn is empty 2.2 packets' time after the last.
        fast(
            "a transport buffer in use for 0.99 s",
            Defect::Fill {
                packets: 1_310,
                every: 4,
            },
            AUDIO,
            &[],
        ),
        fast(
            "a transport buffer in use for 1.01 s",
            Defect::Fill {
                packets: 1_340,
                every: 4,
            },
            AUDIO,
            &[(EmptyBufferError, 1)],
        ),
        // 400 ms of lead; what comes before its frame in the packet is 5 us of it.
        row(
            "sound that waits 990 ms",
            Defect::ShiftPts { ticks: 590 * 90 },
            AUDIO,
            &[],
        ),
        row(
            "sound that waits 1010 ms",
            Defect::ShiftPts { ticks: 610 * 90 },
            AUDIO,
            &[(DataDelayError, 1)],
        ),
    ];
    // (table, PID, its own check): one left out is in time, two are not.
    for (table, pid, check) in [
        (Table::all(0x40), Pid::NIT, Some(NitActualError)),
        (Table::all(0x41), Pid::NIT, Some(NitOtherError)),
        (Table::all(0x42), Pid::SDT, Some(SdtActualError)),
        (Table::all(0x46), Pid::SDT, Some(SdtOtherError)),
        (Table::all(0x4A), Pid::SDT, None),
        (Table::one(0x4E, 0), Pid::EIT, Some(EitActualError)),
        (Table::one(0x4E, 1), Pid::EIT, Some(EitActualError)),
        (Table::one(0x4F, 0), Pid::EIT, Some(EitOtherError)),
    ] {
        let found: Vec<_> = check
            .into_iter()
            .chain([SiRepetitionError])
            .map(|c| (c, 1))
            .collect();
        rows.push(row("a section left out", omit(table, 1), pid, &[]));
        rows.push(row("two sections left out", omit(table, 2), pid, &found));
    }
    // It comes three times in the whole stream.
    let mut tdt = row(
        "a TDT left out: 30.4 s",
        omit(Table::all(0x70), 1),
        Pid::TDT,
        &[(TdtError, 1), (SiRepetitionError, 1)],
    );
    tdt.strikes = vec![Strike::new(omit(Table::all(0x70), 1), Pid::TDT)];
    rows.push(tdt);
    // The following event is away for 3.84 s and 4.8 s: late each 2 s, alone after 4 s.
    rows.push(row(
        "no following event for 3.84 s",
        omit(Table::one(0x4E, 1), 3),
        Pid::EIT,
        &[(EitActualError, 1), (SiRepetitionError, 1)],
    ));
    rows.push(row(
        "no following event for 4.8 s",
        omit(Table::one(0x4E, 1), 4),
        Pid::EIT,
        &[(EitPfError, 1), (EitActualError, 2), (SiRepetitionError, 2)],
    ));
    for (id, to, pid, check) in [
        (0x40, 0x4E, Pid::NIT, NitActualError),
        (0x42, 0x40, Pid::SDT, SdtActualError),
        (0x4E, 0x42, Pid::EIT, EitActualError),
        (0x71, 0x70, Pid::RST, RstError),
        (0x73, 0x40, Pid::TDT, TdtError),
    ] {
        let rename = Defect::Rename {
            table: Table::all(id),
            to: TableId(to),
        };
        rows.push(row("another table on its PID", rename, pid, &[(check, 1)]));
    }
    // A packet takes 1.504 ms: 24.1 ms and 27.1 ms lie between 16 and 18 packets behind one
    // another, ends of sections and beginnings of packets being what counts.
    for (id, pid, check) in [
        (0x40, Pid::NIT, NitActualError),
        (0x42, Pid::SDT, SdtActualError),
        (0x4E, Pid::EIT, EitActualError),
        (0x70, Pid::TDT, TdtError),
        (0x71, Pid::RST, RstError),
    ] {
        let again = |behind| Defect::RepeatTable {
            table: Table::all(id),
            behind,
        };
        let found = [(check, 1), (SiRepetitionError, 1)];
        rows.push(row("a section again within 25 ms", again(8), pid, &found));
        rows.push(row("a section again after 27 ms", again(18), pid, &[]));
    }
    rows
}

fn unreferenced() -> Defect {
    Defect::Unreferenced {
        pid: Pid::from_field(0x321),
    }
}
