//! The one way out over HTTP: short, bounded, and never where an answer points elsewhere.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;

/// How long one exchange may take, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Fetches documents. Made only where a configuration names a URL, since it brings the machine's
/// root certificates and a connection pool along.
#[derive(Clone, Debug)]
pub struct HttpClient {
    /// For https; through a proxy where the environment names one.
    secure: reqwest::Client,
    /// For plain http, which is only trusted where nobody stands in between: never through a proxy.
    plain: reqwest::Client,
}

/// A document and how long its server says it may be kept.
#[derive(Debug)]
pub struct Document {
    /// Its bytes.
    pub bytes: Bytes,
    /// `max-age` of `Cache-Control` (RFC 9111 section 5.2.2.1).
    pub max_age: Option<Duration>,
}

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum CannotFetch {
    /// No client can be made.
    #[error("cannot set up an HTTP client{0}; are the machine's CA certificates installed?")]
    Client(String),
    /// No connection, no answer in time, or a broken one.
    #[error("{0}{1}")]
    Exchange(reqwest::Error, String),
    /// An answer that is not 200.
    #[error("the server answered {0}{1}")]
    Status(u16, &'static str),
    /// More than 1 MiB.
    #[error("the answer is longer than 1 MiB")]
    TooLong,
}

impl HttpClient {
    /// A client that follows no redirect: the configuration names who is trusted.
    ///
    /// # Errors
    /// [`CannotFetch::Client`], when the machine's root certificates cannot be loaded, say.
    pub fn new() -> Result<Self, CannotFetch> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .timeout(TIMEOUT)
                .pool_idle_timeout(Duration::from_secs(90))
        };
        let made = |built: reqwest::Result<reqwest::Client>| {
            built.map_err(|error| CannotFetch::Client(causes(&error)))
        };
        Ok(Self {
            secure: made(builder().build())?,
            plain: made(builder().no_proxy().build())?,
        })
    }

    /// Fetches a JSON document.
    ///
    /// # Errors
    /// [`CannotFetch`].
    pub async fn get_json(&self, url: &Url) -> Result<Document, CannotFetch> {
        let client = if url.scheme() == "https" {
            &self.secure
        } else {
            &self.plain
        };
        let request = client
            .get(url.clone())
            .header("accept", "application/json, application/jwk-set+json");
        let mut response = request.send().await.map_err(exchange)?;
        let status = response.status().as_u16();
        if status != 200 {
            let hint = match status {
                300..=399 => "; redirects are not followed, name the final address",
                _ => "",
            };
            return Err(CannotFetch::Status(status, hint));
        }
        let max_age = response
            .headers()
            .get("cache-control")
            .and_then(|value| value.to_str().ok())
            .and_then(max_age);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(exchange)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(CannotFetch::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Document {
            bytes: bytes.into(),
            max_age,
        })
    }
}

/// reqwest's own text names the URL and little more: what failed stands in the sources.
fn exchange(error: reqwest::Error) -> CannotFetch {
    let causes = causes(&error);
    CannotFetch::Exchange(error.without_url(), causes)
}

fn causes(error: &reqwest::Error) -> String {
    let mut causes = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push_str(": ");
        causes.push_str(&inner.to_string());
        cause = inner.source();
    }
    causes
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let mut directives = cache_control.split(',').map(str::trim);
    let seconds = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age")
            .then(|| value.trim_matches('"').parse().ok())
            .flatten()
    })?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::max_age;
    use std::time::Duration;

    #[test]
    fn reads_max_age() {
        for (text, age) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age=60, must-revalidate", Some(60)),
            ("max-age=\"5\"", Some(5)),
            ("s-maxage=5", None),
            ("max-age=-1", None),
            ("no-store", None),
        ] {
            assert_eq!(max_age(text), age.map(Duration::from_secs), "{text}");
        }
    }
}
