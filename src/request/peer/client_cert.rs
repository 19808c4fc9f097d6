//! `Client-Cert` and `Client-Cert-Chain` (RFC 9440): the leaf as a byte sequence, and the other
//! certificates as a list of them (RFC 9651 sections 3.1 and 3.3.5).

use sfv::{BareItem, FieldType as _, Item, List, ListEntry, Parser};

use crate::headers::{Headers, Single};
use crate::request::peer::{
    BadPeer, MAX_CERTIFICATE_BYTES, MAX_CHAIN, MAX_SOURCE_BYTES, UnverifiedChain,
};

/// The header with the leaf.
pub const LEAF: &str = "client-cert";
/// The header with the other certificates.
pub const CHAIN: &str = "client-cert-chain";

/// Reads both headers; `None` if neither is there. Section 2.2 has one `Client-Cert` alone, and section 2.3
/// allows the chain on several lines.
///
/// # Errors
/// [`BadPeer`], also for parameters, for anything but byte sequences, and for a chain without a leaf.
pub fn read(headers: &Headers) -> Result<Option<UnverifiedChain>, BadPeer> {
    let chain: Vec<&[u8]> = headers.all(CHAIN).collect();
    let leaf = match headers.single(LEAF) {
        Single::Absent if chain.is_empty() => return Ok(None),
        Single::Absent => return Err(BadPeer::ChainWithoutLeaf),
        Single::Several => return Err(BadPeer::Several(LEAF)),
        Single::One(value) => value,
    };
    if leaf.len() > MAX_SOURCE_BYTES {
        return Err(BadPeer::TooLong(LEAF));
    }
    let chain = chain.join(&b","[..]);
    if chain.len() > MAX_SOURCE_BYTES {
        return Err(BadPeer::TooLong(CHAIN));
    }
    let item: Item = Parser::new(leaf)
        .parse()
        .map_err(|_| BadPeer::ByteSequence(LEAF))?;
    Ok(Some(UnverifiedChain {
        leaf: byte_sequence(item, LEAF)?,
        intermediates: list(&chain)?,
    }))
}

fn list(chain: &[u8]) -> Result<Vec<Vec<u8>>, BadPeer> {
    const BAD: BadPeer = BadPeer::ByteSequence(CHAIN);
    let entries: List = Parser::new(chain).parse().map_err(|_| BAD)?;
    if entries.len() >= MAX_CHAIN {
        return Err(BadPeer::Pem(
            CHAIN,
            crate::request::peer::pem::BadPem::TooMany,
        ));
    }
    let entries = entries.into_iter().map(|entry| match entry {
        ListEntry::Item(item) => byte_sequence(item, CHAIN),
        ListEntry::InnerList(_) => Err(BAD),
    });
    entries.collect()
}

fn byte_sequence(item: Item, name: &'static str) -> Result<Vec<u8>, BadPeer> {
    match item.bare_item {
        BareItem::ByteSequence(bytes) if !bytes.is_empty() && item.params.is_empty() => {
            if bytes.len() > MAX_CERTIFICATE_BYTES {
                return Err(BadPeer::Pem(
                    name,
                    crate::request::peer::pem::BadPem::TooLarge,
                ));
            }
            Ok(bytes)
        }
        _ => Err(BadPeer::ByteSequence(name)),
    }
}

/// Writes the headers' values, for those that stand in for a proxy.
pub fn write(chain: &UnverifiedChain) -> (String, Option<String>) {
    let item = |der: &[u8]| Item::new(BareItem::ByteSequence(der.to_vec())).serialize();
    let rest: List = chain
        .intermediates
        .iter()
        .map(|der| ListEntry::Item(Item::new(BareItem::ByteSequence(der.clone()))))
        .collect();
    (item(&chain.leaf), rest.serialize())
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::headers::Headers;
    use crate::request::peer::pem::BadPem;
    use crate::request::peer::{BadPeer, UnverifiedChain};

    fn of(lines: &[(&str, &str)]) -> Result<Option<UnverifiedChain>, BadPeer> {
        read(&Headers::new(lines.iter().copied()))
    }

    #[test]
    fn reads_leaf_and_chain() {
        let chain = |leaf: &[u8], rest: &[&[u8]]| UnverifiedChain {
            leaf: leaf.to_vec(),
            intermediates: rest.iter().map(|der| der.to_vec()).collect(),
        };
        for (lines, expected) in [
            (vec![], None),
            (vec![("client-cert", ":AAE=:")], Some(chain(&[0, 1], &[]))),
            (
                vec![
                    ("client-cert", " :AAE=: "),
                    ("client-cert-chain", ":Ag==:, :Aw==:"),
                ],
                Some(chain(&[0, 1], &[&[2], &[3]])),
            ),
            (
                vec![
                    ("client-cert-chain", ":Ag==:"),
                    ("client-cert", ":AAE=:"),
                    ("client-cert-chain", ":Aw==:"),
                ],
                Some(chain(&[0, 1], &[&[2], &[3]])),
            ),
        ] {
            assert_eq!(of(&lines), Ok(expected.clone()), "{lines:?}");
            if let Some(expected) = expected {
                let (leaf, rest) = write(&expected);
                let mut lines = vec![("client-cert", leaf.as_str())];
                lines.extend(rest.as_deref().map(|rest| ("client-cert-chain", rest)));
                assert_eq!(of(&lines), Ok(Some(expected)));
            }
        }
    }

    #[test]
    fn refuses_what_rfc_9440_does_not_have() {
        const LEAF: BadPeer = BadPeer::ByteSequence("client-cert");
        const CHAIN: BadPeer = BadPeer::ByteSequence("client-cert-chain");
        for (lines, why) in [
            (vec![("client-cert", "")], LEAF),
            (vec![("client-cert", "AAE=")], LEAF),
            (vec![("client-cert", ":AAE=")], LEAF),
            (vec![("client-cert", ":A*E=:")], LEAF),
            (vec![("client-cert", "::")], LEAF),
            (vec![("client-cert", "\"AAE=\"")], LEAF),
            (vec![("client-cert", ":AAE=:;v=1")], LEAF),
            (vec![("client-cert", ":AAE=:,:AAE=:")], LEAF),
            (vec![("client-cert", "-----BEGIN%20CERTIFICATE-----")], LEAF),
            (
                vec![("client-cert", ":AAE=:"), ("client-cert", ":AAE=:")],
                BadPeer::Several("client-cert"),
            ),
            (
                vec![("client-cert-chain", ":AAE=:")],
                BadPeer::ChainWithoutLeaf,
            ),
            (
                vec![("client-cert", ":AA==:"), ("client-cert-chain", "x")],
                CHAIN,
            ),
            (
                vec![("client-cert", ":AA==:"), ("client-cert-chain", ":AA==:,")],
                CHAIN,
            ),
            (
                vec![("client-cert", ":AA==:"), ("client-cert-chain", "(:AA==:)")],
                CHAIN,
            ),
            (
                vec![("client-cert", ":AA==:"), ("client-cert-chain", ":AA==:;a")],
                CHAIN,
            ),
            (
                vec![
                    ("client-cert", ":AA==:"),
                    ("client-cert-chain", &[":AA==:"; 8].join(",")),
                ],
                BadPeer::Pem("client-cert-chain", BadPem::TooMany),
            ),
            (
                vec![("client-cert", &format!(":{}:", "AAAA".repeat(6000)))],
                BadPeer::Pem("client-cert", BadPem::TooLarge),
            ),
            (
                vec![("client-cert", &"A".repeat(70_000))],
                BadPeer::TooLong("client-cert"),
            ),
        ] {
            let shown = format!("{lines:?}");
            assert_eq!(
                of(&lines),
                Err(why),
                "{}",
                shown.get(..90).unwrap_or(&shown)
            );
        }
    }
}
