//! What a 401 asks for (RFC 9110 section 11.6.1).

use crate::authn::credential::Container;
use crate::authn::{Authenticator, From};

/// One challenge of a 401, without what depends on the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Challenge {
    /// `Bearer realm="portcullis"`, say.
    pub text: Box<str>,
    /// Whether it is a `Bearer` challenge, which carries `error` (RFC 6750 section 3).
    pub bearer: bool,
}

/// The challenges of these authenticators, one for each place, each once.
pub(in crate::authn) fn challenges<'a>(
    authenticators: impl IntoIterator<Item = &'a Authenticator>,
) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for from in authenticators.into_iter().flat_map(|a| &a.from) {
        let challenge = challenge(from);
        if !challenges.contains(&challenge) {
            challenges.push(challenge);
        }
    }
    challenges
}

fn challenge(from: &From) -> Challenge {
    match (&from.container, &from.scheme) {
        (Container::Header(name), Some(scheme)) if **name == *"authorization" => Challenge {
            text: format!("{scheme} realm=\"portcullis\"").into(),
            bearer: scheme.eq_ignore_ascii_case("bearer"),
        },
        (Container::Header(name), _) => place_challenge("header", name),
        (Container::Query(name), _) => place_challenge("query", name),
        (Container::Cookie(name), _) => place_challenge("cookie", name),
    }
}

/// For a credential that HTTP authentication has no place for: an `ApiKey` challenge that says where
/// the credential goes, in the words of OpenAPI's security schemes.
fn place_challenge(place: &str, name: &str) -> Challenge {
    let text = format!("ApiKey realm=\"portcullis\", in=\"{place}\", name=\"{name}\"").into();
    Challenge {
        text,
        bearer: false,
    }
}
