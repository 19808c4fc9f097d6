//! gRPC's frames around the one message of a unary call (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::convert::Infallible;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

/// A flag and a length of four bytes.
const PREFIX_BYTES: usize = 5;

/// Why a call has no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Compression is negotiated, and was not.
    #[error("its message is compressed")]
    Compressed,
    /// Over the bound.
    #[error("its message of {0} bytes is longer than `max_check_bytes` ({1})")]
    TooLong(u32, usize),
    /// The call ended before its message did.
    #[error("its message is cut off")]
    Cut,
    /// A unary call has one message.
    #[error("there is more than one message")]
    Several,
    /// The stream was reset, or the connection is gone.
    #[error("the stream broke: {0}")]
    Broken(String),
}

/// The message of a unary call, at most `most` bytes long. Copies nothing where it comes in one piece, as
/// it mostly does.
///
/// # Errors
/// [`Unreadable`]; a message over the bound is refused before it has come.
pub async fn read<B>(body: B, most: usize) -> Result<Bytes, Unreadable>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut gathered = BytesMut::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|error| Unreadable::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.is_empty() && gathered.is_empty() {
            first = data;
        } else {
            gathered.extend_from_slice(&std::mem::take(&mut first));
            gathered.extend_from_slice(&data);
        }
        let so_far = if gathered.is_empty() {
            &first
        } else {
            &gathered[..]
        };
        judge(so_far, most)?;
        if body.is_end_stream() {
            break;
        }
    }
    if !gathered.is_empty() {
        first = gathered.freeze();
    }
    match judge(&first, most)? {
        Some(length) if first.len() == PREFIX_BYTES.saturating_add(length) => {
            Ok(first.slice(PREFIX_BYTES..))
        }
        _ => Err(Unreadable::Cut),
    }
}

/// The length of the message that begins here, as soon as that is known.
fn judge(so_far: &[u8], most: usize) -> Result<Option<usize>, Unreadable> {
    let [flag, a, b, c, d, rest @ ..] = so_far else {
        return Ok(None);
    };
    if *flag != 0 {
        return Err(Unreadable::Compressed);
    }
    let said = u32::from_be_bytes([*a, *b, *c, *d]);
    let length = usize::try_from(said).unwrap_or(usize::MAX);
    if length > most {
        return Err(Unreadable::TooLong(said, most));
    }
    if rest.len() > length {
        return Err(Unreadable::Several);
    }
    Ok(Some(length))
}

/// A response's body: one message, and the trailers of success.
pub struct OneMessage {
    data: Option<Bytes>,
    ended: bool,
}

impl OneMessage {
    /// Around what `message` appends to the buffer that it is given.
    pub fn new(message: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut frame = Vec::with_capacity(1024);
        frame.put_bytes(0, PREFIX_BYTES);
        message(&mut frame);
        let length = u32::try_from(frame.len().saturating_sub(PREFIX_BYTES)).unwrap_or(u32::MAX);
        let length = length.to_be_bytes();
        let prefix = frame.iter_mut().skip(1);
        prefix.zip(length).for_each(|(place, byte)| *place = byte);
        Self {
            data: Some(frame.into()),
            ended: false,
        }
    }
}

impl Body for OneMessage {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use http_body::{Body, Frame};
    use proptest::prelude::{any, prop, proptest};

    use super::{PREFIX_BYTES, Unreadable, read};

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn read_pieces(pieces: &[&[u8]], most: usize) -> Result<Bytes, Unreadable> {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
        read(Pieces(pieces.collect()), most).now_or_never().unwrap()
    }

    #[test]
    fn reads_a_message_in_one_piece_or_in_many() {
        for pieces in [
            &[&b"\0\0\0\0\x03abc"[..]][..],
            &[b"", b"\0\0\0\0\x03abc"],
            &[b"\0\0\0\0\x03", b"abc"],
            &[b"\0\0", b"\0\0\x03a", b"", b"bc"],
        ] {
            assert_eq!(read_pieces(pieces, 3).unwrap(), "abc", "{pieces:?}");
        }
        assert_eq!(read_pieces(&[b"\0\0\0\0\0"], 3).unwrap(), "");
    }

    #[test]
    fn refuses_what_is_not_one_message() {
        for (pieces, why) in [
            (&[][..], Unreadable::Cut),
            (&[&b"\0\0\0\0"[..]], Unreadable::Cut),
            (&[b"\0\0\0\0\x03ab"], Unreadable::Cut),
            (&[b"\0\0\0\0\x03ab", b"cd"], Unreadable::Several),
            (&[b"\0\0\0\0\0\0\0\0\0\0"], Unreadable::Several),
            (&[b"\x01\0\0\0\x03abc"], Unreadable::Compressed),
            (&[b"\0\0\0\0\x04"], Unreadable::TooLong(4, 3)),
            (
                &[b"\0\xff\xff\xff", b"\xff"],
                Unreadable::TooLong(u32::MAX, 3),
            ),
        ] {
            assert_eq!(read_pieces(pieces, 3), Err(why), "{pieces:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            message in prop::collection::vec(any::<u8>(), 0..64),
            cuts in prop::collection::vec(0usize..80, 0..6),
        ) {
            let mut frame = vec![0];
            frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            frame.extend(&message);
            assert_eq!(frame.len(), PREFIX_BYTES + message.len());
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(frame.len())).collect();
            cuts.sort_unstable();
            cuts.push(frame.len());
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|&to| &frame[std::mem::replace(&mut from, to)..to]).collect();
            assert_eq!(read_pieces(&pieces, 64).unwrap(), message);
        }
    }
}
