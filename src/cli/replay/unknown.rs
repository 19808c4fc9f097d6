//! What the audit log does not hold, and which decisions hang on it.

use crate::cli::replay::record::Recorded;
use crate::policy::expression::Condition;
use crate::policy::field::{FieldPath, PrincipalField, RequestField, Who};
use crate::policy::route::Route;
use crate::verdict::Reason;

/// The longest text in a record, in bytes: longer ones are cut.
const MAX_TEXT_BYTES: usize = 1024;

/// Why a request cannot be made again, if so.
pub(super) fn cannot_rebuild(record: &Recorded) -> Option<&'static str> {
    match record.reason {
        Reason::RequestMalformed => return Some("the request could not be read"),
        Reason::PathAmbiguous => return Some("the path had more than one reading"),
        Reason::Preflight | Reason::CorsRefused => {
            return Some("a preflight, whose headers are not recorded");
        }
        Reason::PolicyUnknown if record.pinned.is_none() => {
            return Some("Envoy pinned a policy, and the record does not say which");
        }
        Reason::TlsRequired => return Some("refused before it was read, for want of TLS"),
        Reason::DependencyUnavailable
        | Reason::DeadlineExceeded
        | Reason::Overloaded
        | Reason::Cancelled
        | Reason::InternalFault
        | Reason::PolicyInvalid => return Some("decided by the state of the service"),
        _ => {}
    }
    if record.method.is_empty() || record.host.is_empty() || record.path.is_empty() {
        return Some("a record without method, host or path");
    }
    let texts = [&record.method, &record.host, &record.path];
    let mut texts = texts.into_iter().chain(&record.pinned);
    if texts.clone().any(|text| text.len() >= MAX_TEXT_BYTES) {
        return Some("the request is longer than what is recorded of it");
    }
    // What is not UTF-8 is recorded so.
    let lossy = texts.any(|text| text.contains('\u{fffd}'));
    lossy.then_some("the request was not UTF-8")
}

/// A field that decides about requests that come this far on a route, and is not recorded.
pub(super) fn unknown_field(route: &Route) -> Option<String> {
    let conditions = route.conditions.iter().map(|at| at.rule.as_ref());
    let condition = conditions.flat_map(Condition::fields);
    let unknown = condition.into_iter().find(|field| !is_recorded(field));
    if let Some(field) = unknown {
        return Some(format!("the route's condition reads {field}"));
    }
    let headers = route.inject.headers().iter();
    let denying = headers.filter(|header| header.required || header.expression.is_program());
    let mut fields = denying.flat_map(|header| header.expression.fields());
    let unknown = fields.find(|field| !is_recorded(field))?;
    Some(format!("a header that the route injects reads {unknown}"))
}

/// Whether a request that is made again has the same value here.
fn is_recorded(field: &FieldPath) -> bool {
    match field {
        FieldPath::Principal(_, field) => !matches!(field, PrincipalField::ExpiresAt),
        FieldPath::Claim(Who::Caller | Who::Authenticator(_), names) => {
            matches!(names.as_slice(), [name] if name == "sub" || name == "jti")
        }
        FieldPath::Request(field) => matches!(
            field,
            RequestField::Method
                | RequestField::Host
                | RequestField::Path
                | RequestField::ClientIp
                | RequestField::Time
        ),
        FieldPath::Authenticators
        | FieldPath::Consumer(_)
        | FieldPath::Metadata(_)
        | FieldPath::PathParameter(_)
        | FieldPath::Route(_) => true,
        FieldPath::Header(_)
        | FieldPath::HeaderValues(_)
        | FieldPath::AllHeaders
        | FieldPath::AllHeaderValues
        | FieldPath::Extension(_)
        | FieldPath::AllExtensions
        | FieldPath::Peer(_) => false,
    }
}
