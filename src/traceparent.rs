//! The header `traceparent` of W3C Trace Context, by which a caller says to which trace its request belongs.
//!
//! Anybody can send it, so it is believed only as far as the configuration says.

/// `traceparent` (W3C Trace Context, section 3.2): version 00, in the one form that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; not all zeros.
    pub trace_id: [u8; 16],
    /// The caller's span; not all zeros.
    pub parent_id: [u8; 8],
    /// The bit `sampled` of the flags.
    pub is_sampled: bool,
}

/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;

impl TraceParent {
    /// Reads a header's value; `None` for everything that is not exactly of the form. A broken one is ignored by the
    /// standard's own rule (section 3.2.2.5), and so are later versions, whose meaning this broker does not know.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut parts = text.split('-');
        let (version, trace_id, parent_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "00" || parts.next().is_some() {
            return None;
        }
        let (trace_id, parent_id, [flags]) = (lower_hex(trace_id)?, lower_hex(parent_id)?, lower_hex(flags)?);
        if trace_id == [0; 16] || parent_id == [0; 8] {
            return None;
        }
        Some(Self { trace_id, parent_id, is_sampled: flags & 1 == 1 })
    }
}

/// Bytes of digits that are all there and none in upper case.
fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TraceParent;

    #[test]
    fn reads_the_example_of_the_standard() {
        let parsed = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(hex::encode(parsed.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(hex::encode(parsed.parent_id), "00f067aa0ba902b7");
        assert!(parsed.is_sampled);
    }

    #[test]
    fn everything_else_is_nothing() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), tail in "[0-9a-fé-]{50,56}") {
            let _ = TraceParent::parse(&text);
            let _ = TraceParent::parse(&format!("00-{tail}"));
        }

        #[test]
        fn what_is_read_is_what_was_written(
            trace_id: [u8; 16], parent_id: [u8; 8], flags: u8
        ) {
            prop_assume!(trace_id != [0; 16] && parent_id != [0; 8]);
            let text = format!("00-{}-{}-{flags:02x}", hex::encode(trace_id), hex::encode(parent_id));
            let expected = TraceParent { trace_id, parent_id, is_sampled: flags & 1 == 1 };
            prop_assert_eq!(TraceParent::parse(&text), Some(expected));
        }
    }
}
