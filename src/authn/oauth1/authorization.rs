//! The `Authorization` header of scheme `OAuth` (RFC 5849 section 3.5.1).

use crate::authn::oauth1::encoding::decode;
use crate::authn::oauth1::malformed;
use crate::authn::oauth1::parameters::Pair;
use crate::headers::Headers;
use crate::verdict::{Reason, Refusal};

/// The longest header that is read, in bytes.
pub const MAX_AUTHORIZATION_BYTES: usize = 16 * 1_024;

const SCHEME: &[u8] = b"OAuth";

/// What the header says.
#[derive(Debug, Default)]
pub(super) struct Authorization {
    /// `realm` (RFC 2617 section 1.2), its quoting taken off. It is signed by nobody.
    pub(super) realm: Option<Vec<u8>>,
    /// All other parameters, decoded, in order.
    pub(super) pairs: Vec<Pair>,
}

impl Authorization {
    /// Reads it; `None` where no `Authorization` is of this scheme.
    ///
    /// # Errors
    /// `credentials_ambiguous` beside another line, `signature_malformed`.
    pub(super) fn read(headers: &Headers) -> Result<Option<Self>, Refusal> {
        let Some(parameters) = headers.all("authorization").find_map(of_scheme) else {
            return Ok(None);
        };
        if headers.all("authorization").nth(1).is_some() {
            return Err(Refusal::new(
                Reason::CredentialsAmbiguous,
                "more than one `Authorization` line, one of them of scheme OAuth",
            ));
        }
        if parameters.len() > MAX_AUTHORIZATION_BYTES {
            return Err(malformed("`Authorization` is longer than 16,384 bytes"));
        }
        Self::parse(parameters).map(Some)
    }

    /// `name="value"` and commas between.
    fn parse(text: &[u8]) -> Result<Self, Refusal> {
        const SHAPE: &str = "`Authorization: OAuth` is followed by parameters `name=\"value\"` with commas between; something else stands there";
        let mut read = Self::default();
        let mut rest = text.trim_ascii();
        loop {
            let (name, after) = split_at(rest, b'=').ok_or_else(|| malformed(SHAPE))?;
            let inside = match after.trim_ascii_start() {
                [b'"', inside @ ..] => inside,
                _ => return Err(malformed(SHAPE)),
            };
            let (value, after) = quoted(inside).ok_or_else(|| malformed(SHAPE))?;
            read.take(name.trim_ascii_end(), value)?;
            rest = match after.trim_ascii_start() {
                [] => return Ok(read),
                [b',', next @ ..] => next.trim_ascii_start(),
                _ => return Err(malformed(SHAPE)),
            };
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"realm") {
            let realm =
                unquote(value).ok_or_else(|| malformed("`realm` holds a control character"))?;
            return match self.realm.replace(realm) {
                Some(_) => Err(malformed("`realm` stands twice in `Authorization`")),
                None => Ok(()),
            };
        }
        // Two lines reach a check joined by a comma, so that the second's scheme looks like part of a name.
        let name = decode(name).ok_or_else(|| {
            malformed(
                "the name of a parameter in `Authorization` is not percent-encoded (are there two `Authorization` lines?)",
            )
        })?;
        let value = decode(value).ok_or_else(|| {
            malformed(
                "the value of a parameter in `Authorization` is not percent-encoded as RFC 5849 section 3.6 says",
            )
        })?;
        self.pairs.push((name, value));
        Ok(())
    }
}

/// What follows the scheme, if it is this one. Its letters may be of either case.
fn of_scheme(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.trim_ascii().split_at_checked(SCHEME.len())?;
    let ends = rest.first().is_none_or(|byte| byte.is_ascii_whitespace());
    (scheme.eq_ignore_ascii_case(SCHEME) && ends).then_some(rest)
}

/// What stands before and after the first `mark`.
pub(super) fn split_at(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == mark)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

/// The inside of a quoted string up to its closing mark, backslashes left in, and what follows.
fn quoted(inside: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = inside.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    Some((inside.get(..end)?, inside.get(end + 1..)?))
}

/// A quoted string's text (RFC 9110 section 5.6.4).
fn unquote(inside: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(inside.len());
    let mut escaped = false;
    for &byte in inside {
        if byte.is_ascii_control() {
            return None;
        }
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            text.push(byte);
            escaped = false;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::Authorization;
    use crate::headers::Headers;
    use crate::verdict::Reason;

    type Read = Result<Option<(Option<String>, Vec<(String, String)>)>, (Reason, String)>;

    fn read(lines: &[&str]) -> Read {
        let headers = Headers::new(lines.iter().map(|line| ("authorization", line)));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match Authorization::read(&headers) {
            Ok(None) => Ok(None),
            Ok(Some(read)) => {
                let pairs = read.pairs.into_iter().map(|(n, v)| (text(n), text(v)));
                Ok(Some((read.realm.map(text), pairs.collect())))
            }
            Err(refusal) => Err((refusal.reason, refusal.detail.into_owned())),
        }
    }

    #[test]
    fn reads_rfc_5849_section_3_5_1() {
        let line = "OAuth realm=\"Example\",\toauth_consumer_key=\"0685bd9184jfhq22\", oauth_token=\"ad180jjd733klru7\",oauth_signature=\"wOJIO9A2W5mFwDgiDvZbTSMK%2FPY%3D\" , oauth_version = \"1.0\"";
        let (realm, pairs) = read(&[line]).unwrap().unwrap();
        assert_eq!(realm.as_deref(), Some("Example"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs,
            [
                pair("oauth_consumer_key", "0685bd9184jfhq22"),
                pair("oauth_token", "ad180jjd733klru7"),
                pair("oauth_signature", "wOJIO9A2W5mFwDgiDvZbTSMK/PY="),
                pair("oauth_version", "1.0"),
            ]
        );
    }

    #[test]
    fn reads_a_realm_as_a_quoted_string() {
        for (written, realm) in [
            ("http://sp.example.com/", "http://sp.example.com/"),
            ("a, b=\\\"c\\\"", "a, b=\"c\""),
            ("back\\\\", "back\\"),
            ("%41", "%41"),
            ("", ""),
        ] {
            let line = format!("oauth Realm=\"{written}\", a=\"b\"");
            let (read, pairs) = read(&[&line]).unwrap().unwrap();
            assert_eq!(read.as_deref(), Some(realm));
            assert_eq!(pairs.len(), 1);
        }
    }

    #[test]
    fn leaves_other_schemes_alone() {
        for lines in [
            &[][..],
            &["Bearer abc"],
            &["OAuth2 abc"],
            &["OAuthx=\"1\""],
            &["OAut"],
            &[""],
            &["Bearer a", "Basic b"],
        ] {
            assert_eq!(read(lines), Ok(None), "{lines:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_list_of_parameters() {
        for line in [
            "OAuth",
            "OAuth ",
            "OAuth token",
            "OAuth a",
            "OAuth a=b",
            "OAuth a=\"b",
            "OAuth a=\"b\" c=\"d\"",
            "OAuth a=\"b\";c=\"d\"",
            "OAuth a=\"b\",",
            "OAuth ,a=\"b\"",
            "OAuth a=\"b\",,c=\"d\"",
            "OAuth a=\"b\", Bearer xyz",
            "OAuth a=\"b\",OAuth c=\"d\"",
            "OAuth a=\"b\",Digest username=\"d\"",
            "OAuth a=\"b+c\"",
            "OAuth a=\"b/c=\"",
            "OAuth a=\"b%4\"",
            "OAuth a=\"\\b\"",
            "OAuth a=\"é\"",
            "OAuth a b=\"c\"",
            "OAuth realm=\"a\", realm=\"b\", c=\"d\"",
            "OAuth realm=\"a\", Realm=\"a\"",
            "OAuth realm=\"a\u{1}\"",
        ] {
            let (reason, detail) = read(&[line]).unwrap_err();
            assert_eq!(reason, Reason::SignatureMalformed, "{line}");
            assert!(
                detail.contains("Authorization") || detail.contains("realm"),
                "{detail}"
            );
        }
        let long = format!("OAuth a=\"{}\"", "b".repeat(16 * 1_024));
        assert_eq!(read(&[&long]).unwrap_err().0, Reason::SignatureMalformed);
    }

    #[test]
    fn refuses_another_line_beside_it() {
        for lines in [
            ["OAuth a=\"b\"", "OAuth a=\"b\""],
            ["OAuth a=\"b\"", "Bearer c"],
            ["Bearer c", "OAuth a=\"b\""],
        ] {
            assert_eq!(read(&lines).unwrap_err().0, Reason::CredentialsAmbiguous);
        }
    }
}
