//! Which of the places that tell of the peer count, and what they tell together.
//!
//! That is for the deployment to say and not for a policy: whether a header is a proxy's word or the caller's own
//! text hangs on how Envoy is set up.

use crate::headers::{Headers, same_variable};
use crate::request::peer::xfcc::{self, Element, Trust};
use crate::request::peer::{BadPeer, Principal, UnverifiedChain, certificate, client_cert};
use crate::request::raw::RawPeer;
use crate::secret::Digest;

/// The places that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerSources {
    /// `source.certificate`: the leaf that Envoy's own TLS was shown.
    pub certificate: bool,
    /// `source.principal`: one name of that certificate, of which nothing can be checked but the form.
    pub principal: bool,
    /// `x-forwarded-client-cert`, as far as it is a trusted proxy's.
    pub xfcc: Option<Trust>,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440), which a trusted proxy always overwrites or removes.
    pub client_cert: bool,
}

impl Default for PeerSources {
    /// The certificate itself, and nothing else.
    fn default() -> Self {
        Self {
            certificate: true,
            principal: false,
            xfcc: None,
            client_cert: false,
        }
    }
}

impl PeerSources {
    /// Headers that tell of a peer and are nobody's word here: they are taken out, also in the spelling that
    /// CGI-like interfaces make of them.
    pub fn untrusted_headers(self) -> impl Iterator<Item = &'static str> + Clone {
        const XFCC: [&str; 2] = [xfcc::NAME, "x_forwarded_client_cert"];
        const CLIENT_CERT: [&str; 4] = [
            client_cert::LEAF,
            "client_cert",
            client_cert::CHAIN,
            "client_cert_chain",
        ];
        let xfcc: &[&str] = if self.xfcc.is_none() { &XFCC } else { &[] };
        let client_cert: &[&str] = if self.client_cert { &[] } else { &CLIENT_CERT };
        xfcc.iter().chain(client_cert).copied()
    }

    /// Whether a header is one of those that tell of a peer in a spelling that some upstream may take for it
    /// and that nobody is trusted to write. Those of [`untrusted_headers`](Self::untrusted_headers) are not
    /// told again.
    pub fn is_forged(self, name: &[u8]) -> bool {
        let of = [
            (xfcc::NAME, self.xfcc.is_some()),
            (client_cert::LEAF, self.client_cert),
            (client_cert::CHAIN, self.client_cert),
        ];
        of.into_iter().any(|(ours, trusted)| {
            let told = || self.untrusted_headers().any(|told| told.as_bytes() == name);
            same_variable(name, ours.as_bytes()) && !(trusted && name == ours.as_bytes()) && !told()
        })
    }
}

/// What Envoy handed over with one request, with what of it counts.
#[derive(Clone, Copy)]
pub struct Handed<'r> {
    peer: &'r RawPeer,
    headers: &'r Headers,
    sources: PeerSources,
}

/// What the sources tell of the caller. Nobody has verified it.
#[derive(Debug)]
pub enum Told {
    /// The certificate.
    Certificate {
        /// The leaf with what came along for building a chain.
        chain: UnverifiedChain,
        /// Whether the leaf is that of Envoy's own connection, of which `source.principal` tells, too.
        of_connection: bool,
        /// The names that a proxy wrote beside it.
        element: Option<Box<Element>>,
    },
    /// Names, without the certificate that they stand in.
    Names(Names),
}

/// Names of a certificate that was not handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// URI SANs, as far as they are told.
    pub uris: Vec<String>,
    /// DNS SANs, as far as they are told.
    pub dns_names: Vec<String>,
    /// The subject.
    pub subject: Option<String>,
    /// SHA-256 of the certificate.
    pub hash: Option<Digest>,
}

impl<'r> Handed<'r> {
    /// What came with a request.
    pub const fn new(peer: &'r RawPeer, headers: &'r Headers, sources: PeerSources) -> Self {
        Self {
            peer,
            headers,
            sources,
        }
    }

    /// Whether the sources that count are all empty.
    pub fn is_empty(&self) -> bool {
        let there = |name| self.headers.all(name).next().is_some();
        let Self { peer, sources, .. } = self;
        !(sources.certificate && !peer.certificate.is_empty()
            || sources.principal && !peer.principal.is_empty()
            || sources.xfcc.is_some() && there(xfcc::NAME)
            || sources.client_cert && (there(client_cert::LEAF) || there(client_cert::CHAIN)))
    }

    /// Whether Envoy tells of a peer in a place that does not count here.
    pub fn is_told_elsewhere(&self) -> bool {
        !self.peer.principal.is_empty() || !self.peer.certificate.is_empty()
    }

    /// The name that Envoy gives the certificate of its own connection; empty if there is none.
    pub fn principal(&self) -> &'r [u8] {
        &self.peer.principal
    }

    /// A digest of all that [`Handed::read`] and the comparisons after it depend on.
    pub fn digest(&self) -> Digest {
        let Self {
            peer,
            headers,
            sources,
        } = self;
        let hops = match sources.xfcc {
            None => [0, 0],
            Some(Trust::SanitizeSet) => [1, 0],
            Some(Trust::Hops(hops)) => [2, hops.get()],
        };
        let [how, hops] = hops;
        let counts = [sources.certificate, sources.principal, sources.client_cert].map(u8::from);
        let counts = [counts.as_slice(), &[how, hops]].concat();
        let mut parts: Vec<&[u8]> = vec![&counts, &peer.certificate, &peer.principal];
        for (counts, name) in [
            (sources.xfcc.is_some(), xfcc::NAME),
            (sources.client_cert, client_cert::LEAF),
            (sources.client_cert, client_cert::CHAIN),
        ] {
            // How many lines there are, so that none of one name reads as one of the next.
            if counts {
                let before = parts.len();
                parts.extend(headers.all(name));
                let end: &[u8] = if parts.len() == before { b"-" } else { b"" };
                parts.push(end);
                parts.push(name.as_bytes());
            }
        }
        Digest::of_parts(&parts)
    }

    /// Reads what the sources tell of the caller; `None` if they tell of nobody.
    ///
    /// # Errors
    /// [`BadPeer`]: what cannot be read, or contradicts itself. Nothing is passed over for another source.
    pub fn read(&self) -> Result<Option<Told>, BadPeer> {
        let Self {
            peer,
            headers,
            sources,
        } = self;
        let mut told = None;
        let forwarded = match sources.xfcc {
            Some(trust) => self.forwarded(trust)?,
            None => Forwarded::NoHeader,
        };
        match forwarded {
            Forwarded::NoHeader => {}
            Forwarded::Nobody => return Ok(None),
            Forwarded::Told(one) => told = Some(one),
        }
        if sources.client_cert {
            let Some(chain) = client_cert::read(headers)? else {
                // The certificate of the connection is that of the proxy which would have told of its caller.
                return Ok(told);
            };
            if let Some(Told::Certificate { chain: other, .. }) = &told
                && other.leaf != chain.leaf
            {
                return Err(BadPeer::Disagree(
                    "`client-cert` and x-forwarded-client-cert hold different certificates",
                ));
            }
            told.get_or_insert(Told::Certificate {
                chain,
                of_connection: false,
                element: None,
            });
        }
        if told.is_some() {
            return Ok(told);
        }
        if sources.certificate
            && let Some(leaf) = certificate(&peer.certificate)?
        {
            return Ok(Some(Told::Certificate {
                chain: UnverifiedChain {
                    leaf,
                    intermediates: Vec::new(),
                },
                of_connection: true,
                element: None,
            }));
        }
        if !sources.principal {
            return Ok(None);
        }
        Ok(Principal::read(&peer.principal)?.map(|principal| Told::Names(Names::of(principal))))
    }

    /// What `x-forwarded-client-cert` tells.
    fn forwarded(&self, trust: Trust) -> Result<Forwarded, BadPeer> {
        let every = Trust::Hops(std::num::NonZeroU8::MAX);
        let (read_as, hops) = match trust {
            Trust::SanitizeSet => (Trust::SanitizeSet, 1),
            Trust::Hops(hops) => (every, usize::from(hops.get())),
        };
        let Some(mut elements) = xfcc::read(self.headers, read_as)? else {
            return Ok(Forwarded::NoHeader);
        };
        let Some(last) = elements.pop() else {
            return Ok(Forwarded::NoHeader);
        };
        last.agree_with_principal(&self.peer.principal)?;
        let own = certificate(&self.peer.certificate)?;
        let beside = last.certificates()?;
        if let (Some(own), Some(beside)) = (&own, &beside)
            && *own != beside.leaf
        {
            return Err(BadPeer::Disagree(
                "x-forwarded-client-cert's last element and `source.certificate` hold different certificates",
            ));
        }
        if hops > 1 {
            return Self::behind(elements, hops);
        }
        let chain = match (own, beside) {
            (None, None) => {
                return Ok(Forwarded::Told(Told::Names(Names {
                    uris: last.uris,
                    dns_names: last.dns_names,
                    subject: last.subject,
                    hash: last.hash,
                })));
            }
            (_, Some(chain)) => chain,
            (Some(leaf), None) => UnverifiedChain {
                leaf,
                intermediates: Vec::new(),
            },
        };
        Ok(Forwarded::Told(Told::Certificate {
            chain,
            of_connection: true,
            element: Some(Box::new(last)),
        }))
    }

    /// What the outermost of several trusted proxies wrote, given all elements but the last. A name with a comma
    /// in it makes one element look like two, and what such a proxy wrote can be compared with nothing. So
    /// there have to be exactly as many as there are proxies, and the caller's holds the certificate.
    fn behind(elements: Vec<Element>, hops: usize) -> Result<Forwarded, BadPeer> {
        if elements.len() >= hops {
            return Err(BadPeer::Xfcc(
                "there are more elements than trusted proxies: the outermost one has to replace the header",
            ));
        }
        // The outermost proxy saw no certificate, or was not on the way: what is left names a proxy, and no
        // caller.
        if elements.len() + 1 < hops {
            return Ok(Forwarded::Nobody);
        }
        let Some(outermost) = elements.into_iter().next() else {
            return Ok(Forwarded::Nobody);
        };
        let chain = outermost.certificates()?.ok_or(BadPeer::Xfcc(
            "the element of the outermost trusted proxy holds no certificate (`Cert` or `Chain`), and its names can't be compared with anything",
        ))?;
        Ok(Forwarded::Told(Told::Certificate {
            chain,
            of_connection: false,
            element: Some(Box::new(outermost)),
        }))
    }
}

/// What `x-forwarded-client-cert` comes to.
enum Forwarded {
    /// There is none: other sources may tell.
    NoHeader,
    /// It tells of proxies, and not of who called them.
    Nobody,
    /// This.
    Told(Told),
}

impl Names {
    fn of(principal: Principal<'_>) -> Self {
        let mut names = Self::default();
        match principal {
            Principal::Uri(uri) => names.uris.push(uri.to_owned()),
            Principal::Dns(name) => names.dns_names.push(name.to_owned()),
            Principal::Subject(subject) => names.subject = Some(subject.to_owned()),
        }
        names
    }
}

#[cfg(test)]
mod tests;
