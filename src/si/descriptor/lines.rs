//! Descriptors that are nothing but lines of one size.

/// Defines a descriptor of lines of `$size` bytes, each read by `$read`.
macro_rules! lines_descriptor {
    (
        $(#[$doc:meta])*
        $name:ident($tag:literal), $(#[$lines_doc:meta])* $lines:ident: [u8; $size:literal] =>
        $line:ty = $read:expr
    ) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            entries: &'a [u8],
        }

        impl<'a> $name<'a> {
            /// A descriptor of the lines whose bytes are `entries`.
            pub const fn new(entries: &'a [u8]) -> Self {
                Self { entries }
            }

            $(#[$lines_doc])*
            /// A broken tail is left out.
            pub fn $lines(&self) -> impl Iterator<Item = $line> + use<'a> {
                let (whole, _) = self.entries.as_chunks::<$size>();
                whole.iter().map($read)
            }
        }

        impl<'a> super::DescriptorSyntax<'a> for $name<'a> {
            const TAG: super::DescriptorTag = super::DescriptorTag($tag);

            fn read(payload: &'a [u8]) -> Option<Self> {
                Some(Self::new(payload))
            }

            fn write_payload(&self, put: &mut crate::ts::Put<'_>) {
                put.bytes(self.entries);
            }
        }
    };
}

pub(super) use lines_descriptor;
