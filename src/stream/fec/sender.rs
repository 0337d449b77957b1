//! Makes FEC datagrams out of the media datagrams that are sent.

use std::collections::VecDeque;

use super::FecLine;
use super::sum::{Set, Sum};
use crate::stream::RTP_HEADER_SIZE;

/// The matrix: how many datagrams are summed, and over which.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FecLayout {
    columns: u8,
    rows: u8,
    both: bool,
}

impl FecLayout {
    /// L columns of D datagrams; with `both`, rows are summed as well. `None` beyond the limits of
    /// SMPTE ST 2022-1: L of 1 to 20 (with rows 4 to 20), D of 4 to 20, L x D of 100 at most.
    pub const fn new(columns: u8, rows: u8, both: bool) -> Option<Self> {
        let least = if both { 4 } else { 1 };
        let fits = columns >= least && columns <= 20 && rows >= 4 && rows <= 20;
        if fits && columns as u16 * rows as u16 <= 100 {
            Some(Self {
                columns,
                rows,
                both,
            })
        } else {
            None
        }
    }

    /// L.
    pub const fn columns(self) -> u8 {
        self.columns
    }

    /// D.
    pub const fn rows(self) -> u8 {
        self.rows
    }

    /// True when rows are summed as well.
    pub const fn has_rows(self) -> bool {
        self.both
    }
}

/// A FEC datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FecDatagram {
    /// Where it goes: columns to the port + 2, rows to the port + 4.
    pub line: FecLine,
    /// The datagram, its RTP header included.
    pub bytes: Vec<u8>,
}

/// Fed with each media datagram as it is sent, gives the FEC datagrams that are to follow it. That
/// of a row follows the row; those of the columns follow in the course of the next matrix, one
/// every D media datagrams, so that a burst of losses does not take a column and its FEC.
///
/// Holds the sums of two matrices: 2 L + 1 payloads (61 kB at most where they are 1316 bytes, 370 kB
/// with the largest of a jumbo frame).
///
/// ```
/// use headend::stream::RtpHeader;
/// use headend::stream::fec::{FecLayout, FecLine, FecSender};
/// let mut fec = FecSender::new(FecLayout::new(4, 4, true).unwrap());
/// let mut lines = Vec::new();
/// for sequence in 0..32 {
///     let header = RtpHeader { sequence, timestamp: 0, ssrc: 1, marker: false };
///     fec.push(&header.write(), b"payload");
///     lines.extend(std::iter::from_fn(|| fec.pop()).map(|d| (sequence, d.line)));
/// }
/// let of = |wanted| lines.iter().filter(move |(_, l)| *l == wanted).map(|(s, _)| *s);
/// assert!(of(FecLine::Row).eq([3, 7, 11, 15, 19, 23, 27, 31]));
/// assert!(of(FecLine::Column).eq([16, 20, 24, 28]));
/// ```
#[derive(Debug)]
pub struct FecSender {
    layout: FecLayout,
    /// Datagrams of this matrix so far.
    place: usize,
    row: Sum,
    columns: Vec<Sum>,
    /// The number of this matrix' first datagram.
    base: u16,
    /// Columns of the matrix before, each with its first number.
    due: VecDeque<(u16, Sum)>,
    spare: Vec<Sum>,
    ready: VecDeque<FecDatagram>,
    /// Numbers of the FEC datagrams: each port has its own.
    column_sequence: u16,
    row_sequence: u16,
    timestamp: u32,
}

impl FecSender {
    /// A machine that has sent nothing.
    pub fn new(layout: FecLayout) -> Self {
        let columns = usize::from(layout.columns);
        Self {
            layout,
            place: 0,
            row: Sum::default(),
            columns: vec![Sum::default(); columns],
            base: 0,
            due: VecDeque::with_capacity(columns),
            spare: vec![Sum::default(); columns],
            ready: VecDeque::new(),
            column_sequence: 0,
            row_sequence: 0,
            timestamp: 0,
        }
    }

    /// A media datagram was sent: its RTP header, and what follows that.
    pub fn push(&mut self, head: &[u8; RTP_HEADER_SIZE], body: &[u8]) {
        let number = u16::from_be_bytes([head[2], head[3]]);
        self.timestamp = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let (width, height) = (usize::from(self.layout.columns), self.layout.rows);
        if self.place == 0 {
            self.base = number;
        }
        let column = self.place % width;
        if let Some(sum) = self.columns.get_mut(column) {
            sum.add(head, body);
        }
        if self.layout.both {
            self.row.add(head, body);
            if column + 1 == width {
                self.put_row(number);
            }
        }
        if self.place.is_multiple_of(usize::from(height)) {
            self.put_column();
        }
        self.place += 1;
        if self.place == width * usize::from(height) {
            self.place = 0;
            let bases = (0..).map(|column| self.base.wrapping_add(column));
            self.due.extend(bases.zip(self.columns.drain(..)));
            std::mem::swap(&mut self.columns, &mut self.spare);
        }
    }

    /// The next FEC datagram that is to be sent now.
    pub fn pop(&mut self) -> Option<FecDatagram> {
        self.ready.pop_front()
    }

    /// At the end: the columns that are whole need not wait for a next matrix. What came after the
    /// last whole matrix stays without, but for its rows.
    pub fn finish(&mut self) {
        while self.put_column() {}
    }

    fn put_row(&mut self, last: u16) {
        let columns = self.layout.columns;
        let set = Set {
            base: last.wrapping_sub(u16::from(columns) - 1),
            line: FecLine::Row,
            offset: 1,
            count: columns,
        };
        let bytes = self.row.write(set, self.row_sequence, self.timestamp);
        self.row.clear();
        self.row_sequence = self.row_sequence.wrapping_add(1);
        let line = FecLine::Row;
        self.ready.push_back(FecDatagram { line, bytes });
    }

    /// The next column of the matrix before; false when there is none.
    fn put_column(&mut self) -> bool {
        let Some((base, mut sum)) = self.due.pop_front() else {
            return false;
        };
        let set = Set {
            base,
            line: FecLine::Column,
            offset: self.layout.columns,
            count: self.layout.rows,
        };
        let bytes = sum.write(set, self.column_sequence, self.timestamp);
        self.column_sequence = self.column_sequence.wrapping_add(1);
        let line = FecLine::Column;
        self.ready.push_back(FecDatagram { line, bytes });
        sum.clear();
        self.spare.push(sum);
        true
    }
}
