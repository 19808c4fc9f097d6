//! W3C Trace Context: whose trace a check belongs to.

use crate::secret::hex_value;

/// The parts of a `traceparent` header (W3C Trace Context, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, never zero.
    pub trace_id: u128,
    /// The caller's span, never zero.
    pub parent_id: u64,
    /// `trace-flags`.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` for anything that section 3.2 calls invalid.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut parts = value.split(|&byte| byte == b'-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let parent_id = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        // Version 00 has four parts; later ones may have more.
        let known_length = version > 0 || parts.next().is_none();
        if version == 0xff || trace_id == 0 || parent_id == 0 || !known_length {
            return None;
        }
        Some(Self {
            trace_id,
            parent_id: u64::try_from(parent_id).ok()?,
            flags: u8::try_from(flags).ok()?,
        })
    }

    /// The trace id as 32 hexadecimal digits.
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// Whether the caller samples this trace.
    pub const fn sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

fn hex(digits: &[u8], width: usize) -> Option<u128> {
    if digits.len() != width || digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    digits.iter().try_fold(0u128, |value, &digit| {
        Some(value << 4 | u128::from(hex_value(digit)?))
    })
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn reads_what_the_recommendation_calls_valid() {
        let good = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .unwrap();
        assert_eq!(good.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(good.parent_id, 0x00f0_67aa_0ba9_02b7);
        assert!(good.sampled());
        assert!(
            TraceContext::parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more")
                .is_some()
        );
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
