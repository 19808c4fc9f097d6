//! What an authenticator of this kind admits.

use std::time::Duration;

use crate::authn::signature::Freshness;
use crate::headers::is_header_name;

/// What an authenticator of this kind admits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The service that signatures have to name.
    pub service: Box<str>,
    /// The region that signatures have to name.
    pub region: Box<str>,
    /// How paths and bodies are signed.
    pub dialect: Dialect,
    /// How long a signature in a header holds; its `clock_skew` holds for presigned URLs too.
    pub freshness: Freshness,
    /// How long a presigned URL holds at most, whatever its `X-Amz-Expires` says; `None` refuses them all.
    pub max_expires: Option<Duration>,
    /// Whether `UNSIGNED-PAYLOAD` is admitted: the body may then be anything.
    pub unsigned_payload: bool,
    /// What has to be signed beside host, time and `x-amz-…`.
    pub require: Box<[Required]>,
}

impl Rules {
    /// The strict ones: the body is signed, and a presigned URL holds no longer than any other signature.
    pub fn new(service: &str, region: &str, freshness: Freshness) -> Self {
        Self {
            service: service.into(),
            region: region.into(),
            dialect: Dialect::of_service(service),
            freshness,
            max_expires: Some(freshness.max_age),
            unsigned_payload: false,
            require: Box::default(),
        }
    }
}

/// How paths and bodies are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The path, which is percent-encoded as it is sent, is encoded once more. A presigned URL signs the
    /// body.
    General,
    /// As S3 has it: the path is signed as it is sent. A presigned URL leaves the body unsigned unless it
    /// states a digest.
    S3,
}

impl Dialect {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::General, Self::S3];

    /// The one that SDKs use for a service of this name.
    pub fn of_service(service: &str) -> Self {
        match service {
            "s3" | "s3express" | "s3-object-lambda" | "s3-outposts" => Self::S3,
            _ => Self::General,
        }
    }

    /// Its name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::S3 => "s3",
        }
    }

    /// The dialect of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|dialect| dialect.as_str() == name)
    }
}

/// One word of `require`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Required {
    /// Method, path, query or host, which every signature has to cover anyway.
    Always,
    /// A header, in lower case. A request without it is refused: what is not there cannot be signed.
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
            "@scheme" | "@target-uri" => Err(
                "`sigv4` signs no scheme; `require_tls` in the settings keeps requests without TLS out",
            ),
            "@query-param" => Err("`sigv4` signs the whole query: `@query`"),
            "content-digest" | "x-amz-content-sha256" => {
                Err("`sigv4` signs the body itself, unless `unsigned_payload` lets it go")
            }
            "authorization" | "proxy-authorization" => {
                Err("this header holds the signature, which cannot cover itself")
            }
            word if word.starts_with('@') => Err(
                "not a part of a request that `sigv4` signs; there are `@method`, `@path`, `@query` and `@authority`",
            ),
            word if is_header_name(word) => Ok(Self::Header(word.into())),
            _ => Err("not the name of a header in lower case"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Required};

    #[test]
    fn reads_the_words_of_require() {
        let header = |name: &str| Some(Required::Header(name.into()));
        for (word, wanted) in [
            ("@method", Some(Required::Always)),
            ("@path", Some(Required::Always)),
            ("@query", Some(Required::Always)),
            ("host", Some(Required::Always)),
            ("content-type", header("content-type")),
            ("x-amz-target", header("x-amz-target")),
            ("@scheme", None),
            ("@status", None),
            ("@query-param", None),
            ("content-digest", None),
            ("authorization", None),
            ("Content-Type", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(Required::parse(word).ok(), wanted, "{word}");
        }
    }

    #[test]
    fn takes_the_dialect_from_the_service() {
        for (service, wanted) in [
            ("s3", Dialect::S3),
            ("s3-outposts", Dialect::S3),
            ("S3", Dialect::General),
            ("execute-api", Dialect::General),
            ("orders", Dialect::General),
        ] {
            assert_eq!(Dialect::of_service(service), wanted, "{service}");
        }
        for &dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
        }
        assert_eq!(Dialect::from_name("S3"), None);
    }
}
