//! The codec between gRPC frames and checks. A message that is no check is an item like any other, so
//! that it is answered with a denial and not with a gRPC error, which Envoy may be told to let pass.

use bytes::{Buf, BufMut};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::envoy::decode::{self, Undecodable};
use crate::request::raw::RawCheck;

/// What the decoder yields for every message.
pub type Decoded = Result<RawCheck, Undecodable>;

/// Checks in, encoded responses out.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckCodec;

impl Codec for CheckCodec {
    type Encode = Vec<u8>;
    type Decode = Decoded;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self
    }
}

impl Encoder for CheckCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.len());
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for CheckCodec {
    type Item = Decoded;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Decoded>, Status> {
        // Taken out as one piece: sharing parts of that is cheaper than splitting the buffer at each field.
        let message = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(decode::check(message)))
    }
}
