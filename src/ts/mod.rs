//! ISO/IEC 13818-1 (ITU-T H.222.0, 08/2023) syntax, read and written in place.
//!
//! Views borrow and never allocate. A constructor checks lengths once; after it no accessor
//! panics, whatever the bytes. What can be read can be written, and a write after a read changes
//! no other bit, reserved ones included. Nothing here knows time, files or logs.

mod adaptation;
mod clock;
mod crc;
mod cursor;
mod packet;
mod pes;
mod pid;
mod section;

pub use adaptation::Adaptation;
pub use clock::{Dts, Pcr, Pts};
pub use crc::crc32;
pub use cursor::{Put, Take};
pub use packet::{ContinuityCounter, PACKET_SIZE, Packet, SYNC_BYTE, Scrambling};
pub use pes::{PesHeader, StreamId};
pub use pid::{Pid, PidSet};
pub use section::{Section, SectionBuf, SectionError, SectionSyntax, TableId};
