//! The stage that answers preflights (step 4 of the policy language).

use std::sync::Arc;

use bytes::Bytes;

use crate::headers::{Headers, Single, is_header_name};
use crate::policy::cors::Cors;
use crate::policy::route::{Route, RouteIndex};
use crate::request::{Method, Request};
use crate::verdict::{Reason, Refusal};

/// The most header names that a preflight may ask for.
const MAX_REQUESTED: usize = 128;

/// A preflight whose origin, method and headers are all admitted. Only [`judge`] makes one, and a
/// [`Reply`](crate::respond::reply::Reply) is made from this and from nothing else.
pub struct PreflightPermit {
    route: Arc<Route>,
    headers: Vec<(&'static str, String)>,
}

impl PreflightPermit {
    /// The route of the request that the browser asks for, and the headers of the answer.
    pub fn into_parts(self) -> (Arc<Route>, Vec<(&'static str, String)>) {
        (self.route, self.headers)
    }
}

/// Judges a preflight by the route that its requested method leads to. `None`: the request is no
/// preflight, or that route leaves the matter to others; it is judged like any other request. `route` is
/// filled where a route decides.
///
/// # Errors
/// `cors_refused`; `request_malformed` for what could be read as two preflights.
pub fn judge(
    request: &Request,
    routes: &RouteIndex,
    route: &mut Option<Arc<Route>>,
) -> Result<Option<PreflightPermit>, Refusal> {
    if request.method().as_str() != "OPTIONS" {
        return Ok(None);
    }
    let headers = request.headers();
    let origin = headers.single("origin");
    let method = headers.single("access-control-request-method");
    let (origin, method) = match (origin, method) {
        (Single::Absent, _) | (_, Single::Absent) => return Ok(None),
        (Single::One(origin), Single::One(method)) => {
            (headers.share(origin), Method::parse(&headers.share(method)))
        }
        _ => {
            return Err(malformed(
                "the preflight names more than one origin or method",
            ));
        }
    };
    let method = method.ok_or_else(|| malformed("the preflight asks for what is no method"))?;
    let Some((asked, methods)) = routes.preflight(request, method.as_str()) else {
        return Ok(None);
    };
    let Some(cors) = &asked.cors else {
        return Ok(None);
    };
    *route = Some(Arc::clone(asked));
    let requested = requested_headers(headers)?;
    cors.permit(&origin, &methods, &requested)
        .map(|headers| {
            let route = Arc::clone(asked);
            Some(PreflightPermit { route, headers })
        })
        .map_err(|why| Refusal::new(Reason::CorsRefused, why))
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::new(Reason::RequestMalformed, why)
}

/// The names in `Access-Control-Request-Headers`, lower-case.
fn requested_headers(headers: &Headers) -> Result<Vec<String>, Refusal> {
    let refuse = |why: &'static str| Refusal::new(Reason::CorsRefused, why);
    let mut requested = Vec::new();
    for line in headers.all("access-control-request-headers") {
        for name in line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            // Empty elements of a list count for nothing (RFC 9110 section 5.6.1.2).
            if name.is_empty() {
                continue;
            }
            let name = std::str::from_utf8(name).map(str::to_ascii_lowercase);
            match name {
                Ok(name) if is_header_name(&name) => requested.push(name),
                _ => return Err(refuse("the preflight asks for what is no header")),
            }
            if requested.len() > MAX_REQUESTED {
                return Err(refuse("the preflight asks for more than 128 headers"));
            }
        }
    }
    Ok(requested)
}

impl Cors {
    /// The headers of the answer to a preflight, or the operator's text on what is not admitted.
    fn permit(
        &self,
        origin: &Bytes,
        methods: &str,
        requested: &[String],
    ) -> Result<Vec<(&'static str, String)>, String> {
        let refused = || {
            let origin = origin.get(..256).unwrap_or(origin);
            format!(
                "`cors` does not admit the origin `{}`",
                origin.escape_ascii()
            )
        };
        let allowed = self
            .allowed_origin(Some(origin.clone()))
            .ok_or_else(refused)?;
        if let Some(name) = requested.iter().find(|name| !self.headers.admit(name)) {
            return Err(format!("`cors` does not admit the header `{name}`"));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers = vec![
            ("access-control-allow-origin", text(&allowed)),
            ("access-control-allow-methods", methods.to_owned()),
        ];
        if self.credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        if !requested.is_empty() {
            headers.push(("access-control-allow-headers", requested.join(", ")));
        }
        if let Some(seconds) = self.max_age {
            headers.push(("access-control-max-age", seconds.to_string()));
        }
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.push(("vary", vary.to_owned()));
        Ok(headers)
    }
}
