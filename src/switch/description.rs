//! What an input carries, as its tables describe it.

use crate::si::descriptor::{AudioType, LanguageDescriptor};
use crate::si::{
    self, ElementaryStream, Language, Pmt, ServiceId, StreamKind, StreamType, TransportStreamId,
};
use crate::stream::Programs;
use crate::stream::codec::Codec;
use crate::ts::Pid;

/// A stream of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// elementary_PID in the input.
    pub pid: Pid,
    /// stream_type.
    pub stream_type: StreamType,
    /// The descriptors of its loop, those of conditional access left out.
    pub descriptors: Vec<u8>,
    /// What it is for.
    pub kind: StreamKind,
    /// How it is coded, if the tables tell.
    pub coded: Option<si::Codec>,
    /// The same, as far as a machine treats it in a way of its own.
    pub codec: Codec,
    /// Its first language, if the tables tell.
    pub language: Option<Language>,
    /// audio_type; 0 where none is said.
    pub role: u8,
}

/// The service of an input that is switched: the first of its PAT with a PMT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// transport_stream_id.
    pub transport_stream: TransportStreamId,
    /// service_id.
    pub service: ServiceId,
    /// Where its PMT is.
    pub pmt_pid: Pid,
    /// PCR_PID.
    pub pcr_pid: Pid,
    /// The descriptors of the program, those of conditional access left out.
    pub descriptors: Vec<u8>,
    /// Its streams, in the order of the PMT.
    pub streams: Vec<StreamDescription>,
    /// How many services there are beside it.
    pub others: usize,
}

impl Description {
    /// The first service with a PMT and a stream; `None` while there is none.
    pub fn of(programs: &Programs) -> Option<Self> {
        let known = |s: &&si::Service| s.pmt_version.is_some() && !s.streams.is_empty();
        let service = programs.services().find(known)?;
        let pmt = Pmt::new(programs.pmt_section(service.id)?.section())?;
        let program = pmt.descriptors();
        let streams = pmt.streams().map(|stream| {
            let es = ElementaryStream::new(&stream, program);
            let mut languages = stream.descriptors.all::<LanguageDescriptor<'_>>();
            let role = languages.find_map(|d| d.languages().next());
            StreamDescription {
                pid: stream.pid,
                stream_type: stream.stream_type,
                descriptors: stream.descriptors.without_access(),
                kind: es.kind,
                coded: es.codec,
                codec: Codec::of(stream.stream_type.0, stream.descriptors.as_bytes()),
                language: es.language,
                role: role.map_or(0, |(_, AudioType(role))| role),
            }
        });
        Some(Self {
            transport_stream: programs.transport_stream_id()?,
            service: service.id,
            pmt_pid: service.pmt_pid,
            pcr_pid: pmt.pcr_pid(),
            descriptors: program.without_access(),
            streams: streams.collect(),
            others: programs.services().len() - 1,
        })
    }

    /// The stream that decides where can be entered: the first video, else the first sound.
    pub fn main(&self) -> Option<usize> {
        let video = self.streams.iter().position(|s| s.codec.is_video());
        video.or_else(|| self.streams.iter().position(|s| s.codec.is_audio()))
    }
}
