//! Protocol Buffers on the wire, as far as reading texts and messages needs it (Protocol Buffers
//! Documentation, "Encoding").

use std::ops::Range;

/// How deep unknown groups may nest; generated readers allow as much.
const MAX_GROUPS: usize = 100;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A number runs over the end of the message, or over 64 bits.
    #[error("a varint has no end")]
    Varint,
    /// A field's key is 0, over 32 bits, or of a wire type that does not exist.
    #[error("a field's key is invalid")]
    Key,
    /// A field says that it is longer than what is left.
    #[error("a field runs over the end of its message")]
    Overrun,
    /// A field of a known number has another wire type.
    #[error("a field has the wrong wire type")]
    WireType,
    /// Groups nest deeper than [`MAX_GROUPS`], or end without a beginning.
    #[error("groups are not balanced")]
    Groups,
}

/// The fields of one message, which stands somewhere in `whole`.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    whole: &'a [u8],
    at: usize,
    end: usize,
}

/// One field's value.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    whole: &'a [u8],
    /// `None` where the wire type is none of a length and bytes.
    bytes: Option<(usize, usize)>,
}

impl<'a> Fields<'a> {
    /// The fields of a message that is all of `whole`.
    pub(super) const fn of(whole: &'a [u8]) -> Self {
        Self {
            whole,
            at: 0,
            end: whole.len(),
        }
    }

    /// The next field with its number.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, Malformed> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let mut field = Field {
            whole: self.whole,
            bytes: None,
        };
        match wire_type {
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Overrun)?;
                let start = self.at;
                self.skip(length)?;
                field.bytes = Some((start, self.at));
            }
            3 => self.skip_group(number)?,
            4 => return Err(Malformed::Groups),
            other => self.skip_scalar(other)?,
        }
        Ok(Some((number, field)))
    }

    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed::Key)?;
        let number = key >> 3;
        if number == 0 {
            return Err(Malformed::Key);
        }
        Ok((number, (key & 7) as u8))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self
                .whole
                .get(self.at)
                .filter(|_| self.at < self.end)
                .ok_or(Malformed::Varint)?;
            self.at += 1;
            // The tenth byte has one bit left to say.
            if shift == 63 && byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint)
    }

    const fn skip(&mut self, length: usize) -> Result<(), Malformed> {
        if length > self.end - self.at {
            return Err(Malformed::Overrun);
        }
        self.at += length;
        Ok(())
    }

    fn skip_scalar(&mut self, wire_type: u8) -> Result<(), Malformed> {
        match wire_type {
            0 => self.varint().map(|_| ()),
            1 => self.skip(8),
            5 => self.skip(4),
            _ => Err(Malformed::Key),
        }
    }

    /// Skips what follows the beginning of a group, its end included; without descending.
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let (number, wire_type) = self.key()?;
            match wire_type {
                2 => {
                    let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Overrun)?;
                    self.skip(length)?;
                }
                3 if open.len() < MAX_GROUPS => open.push(number),
                4 if number == innermost => {
                    open.pop();
                }
                3 | 4 => return Err(Malformed::Groups),
                other => self.skip_scalar(other)?,
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    /// Where the value stands in the whole: text or bytes.
    pub(super) fn bytes(self) -> Result<Range<usize>, Malformed> {
        let (start, end) = self.bytes.ok_or(Malformed::WireType)?;
        Ok(start..end)
    }

    /// The value as a message.
    pub(super) fn message(self) -> Result<Fields<'a>, Malformed> {
        let (at, end) = self.bytes.ok_or(Malformed::WireType)?;
        Ok(Fields {
            whole: self.whole,
            at,
            end,
        })
    }
}
