//! The few forms of DER (X.690 section 10) that names and extensions are made of, read without leniency:
//! one-byte tags, the shortest definite length, nothing left over.

/// A SEQUENCE.
pub(crate) const SEQUENCE: u8 = 0x30;
/// A SET.
pub(crate) const SET: u8 = 0x31;
/// An OBJECT IDENTIFIER.
pub(crate) const OID: u8 = 0x06;

/// The elements that stand one after another in a content.
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// Its tag, with class and constructed bit.
    pub(crate) tag: u8,
    /// What it holds.
    pub(crate) content: &'a [u8],
    /// The whole of it.
    pub(crate) whole: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The next element; `None` for what is no DER.
    pub(crate) fn next(&mut self) -> Option<Element<'a>> {
        let [tag, first, rest @ ..] = self.0 else {
            return None;
        };
        // A tag number above 30 has more bytes; nothing in a certificate has one.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = match (first, rest) {
            (0..=0x7f, _) => (usize::from(*first), rest),
            (0x81, [a @ 0x80..=0xff, rest @ ..]) => (usize::from(*a), rest),
            (0x82, [a @ 1..=0xff, b, rest @ ..]) => {
                (usize::from(u16::from_be_bytes([*a, *b])), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let (whole, _) = self.0.split_at_checked(self.0.len() - after.len())?;
        self.0 = after;
        Some(Element {
            tag: *tag,
            content,
            whole,
        })
    }

    /// The next element, if it has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|element| element.tag == tag)
            .map(|element| element.content)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The content of `der`, which is one element of this tag and nothing else.
pub(crate) fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    let mut elements = Elements(der);
    let content = elements.expect(tag)?;
    elements.is_empty().then_some(content)
}

/// One element of up to 65,535 bytes.
pub(crate) fn wrap(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    let [high, low] = length.to_be_bytes();
    let mut whole = vec![tag];
    match (high, low) {
        (0, 0..=0x7f) => whole.push(low),
        (0, _) => whole.extend([0x81, low]),
        _ => whole.extend([0x82, high, low]),
    }
    whole.extend_from_slice(content);
    Some(whole)
}

/// An object identifier in numbers: `2.5.4.3`. `None` for what is none, and for arcs above 2^63.
pub(crate) fn oid(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut arc: u64 = 0;
    let mut fresh = true;
    for &byte in content {
        // X.690 section 8.19.2: no arc begins with a zero digit.
        if (fresh && byte == 0x80) || arc > u64::MAX >> 8 {
            return None;
        }
        arc = arc << 7 | u64::from(byte & 0x7f);
        fresh = byte & 0x80 == 0;
        if !fresh {
            continue;
        }
        if text.is_empty() {
            let root = (arc / 40).min(2);
            text = format!("{root}.{}", arc - root * 40);
        } else {
            text.push_str(&format!(".{arc}"));
        }
        arc = 0;
    }
    (fresh && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{Elements, oid, only, wrap};
    use proptest::prelude::{any, proptest};

    #[test]
    fn reads_the_shortest_lengths_only() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 128]].concat();
        let longer = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        assert_eq!(only(&[0x04, 0x02, 1, 2], 4), Some(&[1, 2][..]));
        assert_eq!(only(&long, 4).map(<[u8]>::len), Some(128));
        assert_eq!(only(&longer, 4).map(<[u8]>::len), Some(256));
        for bad in [
            &[][..],
            &[0x04],
            &[0x04, 0x02, 1],
            &[0x04, 0x01, 1, 0],
            &[0x04, 0x80, 0, 0],
            &[0x04, 0x81, 0x01, 1],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x83, 0x00, 0x00, 0x01, 1],
            &[0x04, 0xff],
            &[0x1f, 0x04, 0x00],
            &[0x05, 0x00],
        ] {
            assert_eq!(only(bad, 4), None, "{bad:?}");
        }
    }

    #[test]
    fn writes_object_identifiers_in_numbers() {
        for (bytes, text) in [
            (&[0x55, 0x04, 0x03][..], Some("2.5.4.3")),
            (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d],
                Some("1.2.840.113549"),
            ),
            (&[0x88, 0x37], Some("2.999")),
            (&[0x00], Some("0.0")),
            (&[0x7f], Some("2.47")),
            (&[], None),
            (&[0x55, 0x80, 0x01], None),
            (&[0x55, 0x84], None),
            (&[0xff; 12], None),
        ] {
            assert_eq!(oid(bytes).as_deref(), text, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..700)) {
            let whole = wrap(0x30, &content).unwrap();
            assert_eq!(only(&whole, 0x30), Some(&content[..]));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut elements = Elements(&bytes);
            while elements.next().is_some() {}
            let _ = oid(&bytes);
        }
    }
}
