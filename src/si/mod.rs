//! What sections say: PSI (ISO/IEC 13818-1), SI (EN 300 468 V1.17.1) and SCTE 35 (2023r1).
//!
//! One table a file. A view borrows a checked [`Section`](crate::ts::Section), its accessors
//! neither allocate nor panic, and its iterators end where the bytes do; what is left over then is
//! told apart from an end by the iterator's `rest`. Next to each view stands its writer, a struct of
//! the same fields, which sets reserved bits as the clause says. [`Service`] gathers, as owned
//! values, what several tables say about one service.

pub mod descriptor;

mod cat;
mod eit;
mod id;
mod language;
mod pat;
mod pmt;
mod programme;
mod scte35;
mod sdt;
mod selector;
mod service;
mod tdt;
mod text;
mod time;

pub use cat::{Cat, CatFields};
pub use eit::{Eit, EitEvent, EitFields, EitKind};
pub use id::{EventId, OriginalNetworkId, ServiceId, TransportStreamId};
pub use language::Language;
pub use pat::{Pat, PatEntry, PatFields};
pub use pmt::{Pmt, PmtFields, PmtStream, StreamType};
pub use programme::Programme;
pub use scte35::{
    BreakDuration, Segmentation, SpliceCommand, SpliceError, SpliceFields, SpliceInfo,
    SpliceInsert, SpliceSchedule, SpliceTarget,
};
pub use sdt::{RunningStatus, Sdt, SdtFields, SdtService};
pub use selector::ServiceSelector;
pub use service::{Codec, ElementaryStream, Service, StreamKind};
pub use tdt::{Tdt, Tot};
pub use text::{Text, encode_text};
pub use time::{DvbDuration, DvbTime};
