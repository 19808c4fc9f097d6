//! What a policy asks signatures to cover, in the words of RFC 9421.

use crate::headers::is_header_name;

/// One word of `require`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Required {
    /// Method, path, query or host: a part of the request that every dialect has to cover anyway.
    Always,
    /// `content-digest`: the body. Every dialect has to cover the body too, where there is one.
    Body,
    /// A header, in lower case.
    Header(Box<str>),
}

impl Required {
    /// Reads a word.
    ///
    /// # Errors
    /// What is wrong with it, and the way out.
    pub fn parse(word: &str) -> Result<Self, &'static str> {
        match word {
            "@method" | "@path" | "@query" | "@authority" | "@request-target" | "host" => {
                Ok(Self::Always)
            }
            "content-digest" | "digest" => Ok(Self::Body),
            "@scheme" | "@target-uri" => Err(
                "`hmac` signs no scheme; `require_tls` in the settings keeps requests without TLS out",
            ),
            "@query-param" => Err("`hmac` signs the whole query: `@query`"),
            "authorization" | "proxy-authorization" | "signature" => {
                Err("this header holds the signature, which cannot cover itself")
            }
            word if word.starts_with('@') => Err(
                "not a part of a request that `hmac` signs; there are `@method`, `@path`, `@query` and `@authority`",
            ),
            word if is_header_name(word) => Ok(Self::Header(word.into())),
            _ => Err("not the name of a header in lower case"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Required;

    #[test]
    fn reads_the_words_of_rfc_9421() {
        for (word, wanted) in [
            ("@method", Some(Required::Always)),
            ("@path", Some(Required::Always)),
            ("@query", Some(Required::Always)),
            ("@authority", Some(Required::Always)),
            ("@request-target", Some(Required::Always)),
            ("host", Some(Required::Always)),
            ("content-digest", Some(Required::Body)),
            ("x-tenant", Some(Required::Header("x-tenant".into()))),
            ("date", Some(Required::Header("date".into()))),
            ("@scheme", None),
            ("@target-uri", None),
            ("@query-param", None),
            ("@status", None),
            ("X-Tenant", None),
            ("authorization", None),
            ("", None),
            ("a b", None),
            (":path", None),
        ] {
            assert_eq!(Required::parse(word).ok(), wanted, "{word}");
        }
    }
}
