//! What a 401 asks for (RFC 9110 section 11.6.1).

use crate::authn::credential::Container;
use crate::authn::http_signature::challenge::accept_signature;
use crate::authn::signed::Signed;
use crate::authn::{Authenticator, From, Method, sigv4};

/// One challenge of a 401, without what depends on the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Challenge {
    /// `Bearer realm="portcullis"`, say.
    pub text: Box<str>,
    /// Whether it is a `Bearer` challenge, which carries `error` (RFC 6750 section 3).
    pub bearer: bool,
    /// `Accept-Signature` (RFC 9421 section 5), for who is to sign.
    pub accept_signature: Option<Box<str>>,
}

/// The challenges of these authenticators, one for each place, each once.
pub(in crate::authn) fn challenges<'a>(
    authenticators: impl IntoIterator<Item = &'a Authenticator>,
) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut add = |challenge: Challenge| {
        if !challenges.contains(&challenge) {
            challenges.push(challenge);
        }
    };
    for authenticator in authenticators {
        if let Method::Signed(signed) = &authenticator.method {
            signed_challenges(signed).into_iter().for_each(&mut add);
            continue;
        }
        // No authentication scheme asks for a certificate; a 401 needs a challenge all the same.
        if let Method::Mtls(_) = &authenticator.method {
            add(Challenge {
                text: "Certificate realm=\"portcullis\"".into(),
                bearer: false,
                accept_signature: None,
            });
            continue;
        }
        authenticator.from.iter().map(challenge).for_each(&mut add);
    }
    challenges
}

/// How signatures of a kind are asked for. RFC 9421 has a header of its own for that, and no authentication
/// scheme; a 401 needs a challenge all the same.
fn signed_challenges(signed: &Signed) -> Vec<Challenge> {
    let plain = |text: String| Challenge {
        text: text.into(),
        bearer: false,
        accept_signature: None,
    };
    match signed {
        Signed::HttpSignature(rules, ..) => vec![Challenge {
            accept_signature: Some(accept_signature(rules, true).into()),
            ..plain("Signature realm=\"portcullis\"".to_owned())
        }],
        Signed::Hmac(rules, _) => {
            let dialects = rules.dialects.iter();
            dialects
                .map(|dialect| plain(format!("{} realm=\"portcullis\"", dialect.scheme())))
                .collect()
        }
        Signed::Webhook(rules, _) => {
            let headers = rules.scheme().signature_headers();
            let first = headers.first().copied().unwrap_or_default();
            vec![plain(format!(
                "Webhook realm=\"portcullis\", in=\"header\", name=\"{first}\""
            ))]
        }
        Signed::Sigv4(..) => vec![plain(format!("{} realm=\"portcullis\"", sigv4::ALGORITHM))],
        Signed::Oauth1(rules, _) => {
            let realm = rules.realm.as_deref().unwrap_or("portcullis");
            vec![plain(format!("OAuth realm=\"{realm}\""))]
        }
    }
}

fn challenge(from: &From) -> Challenge {
    match (&from.container, &from.scheme) {
        (Container::Header(name), Some(scheme)) if **name == *"authorization" => Challenge {
            text: format!("{scheme} realm=\"portcullis\"").into(),
            bearer: scheme.eq_ignore_ascii_case("bearer"),
            accept_signature: None,
        },
        (Container::Header(name), _) => place_challenge("header", name),
        (Container::Query(name), _) => place_challenge("query", name),
        (Container::Cookie(name), _) => place_challenge("cookie", name),
        (Container::Form(name), _) => place_challenge("form", name),
    }
}

/// For a credential that HTTP authentication has no place for: an `ApiKey` challenge that says where
/// the credential goes, in the words of OpenAPI's security schemes.
fn place_challenge(place: &str, name: &str) -> Challenge {
    let text = format!("ApiKey realm=\"portcullis\", in=\"{place}\", name=\"{name}\"").into();
    Challenge {
        text,
        bearer: false,
        accept_signature: None,
    }
}
