//! The claims of a token, judged by configuration.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::authn::jwt::VerifiedToken;
use crate::policy::scope::ScopeSet;
use crate::verdict::{Reason, Refusal};

/// How far ahead `nbf` and `iat` may lie unless the configuration says otherwise, in seconds: the
/// clocks of an issuer and of this machine are never quite the same, and a token is often used in the
/// second it was made.
pub const DEFAULT_CLOCK_SKEW_SECONDS: u64 = 30;

/// 9999-12-31T23:59:59Z: a date behind it is a mistake or an attack on arithmetic.
const LATEST: i64 = 253_402_300_799;

/// The longest `sub`, in bytes (RFC 9068 sets none; OpenID Connect Core section 2 says 255 characters).
const MAX_SUBJECT_BYTES: usize = 1024;

/// What a token of one issuer must say.
#[derive(Debug)]
pub struct ClaimRules {
    /// The authenticator's name, before the subject in `principal.id`.
    pub authenticator: Box<str>,
    /// `iss`, compared byte by byte.
    pub issuer: Box<str>,
    /// `aud` must name one of these; `None`: any audience, or none.
    pub audiences: Option<Vec<Box<str>>>,
    /// How far ahead `nbf` and `iat` may lie, in seconds.
    pub clock_skew: u64,
    /// What tokens may claim at most; `None`: whatever they do. The issuer of a tenant's own speaks of the
    /// tenant's scopes only.
    pub ceiling: Option<ScopeSet>,
    /// Which claimed roles count; `None`: none.
    pub roles: Option<ClaimedRoles>,
}

/// Which roles a claim stands for.
#[derive(Debug)]
pub struct ClaimedRoles {
    /// The claim of this very name, or, where there is none, the one that its dots lead to.
    pub claim: Box<str>,
    /// What the claim says, and the role that it stands for.
    pub map: Vec<(Box<str>, Arc<str>)>,
}

impl ClaimedRoles {
    /// The roles of these claims: a string is one claimed role, an array several. What the map does not
    /// name means nothing, and neither does a claim of another form.
    fn of(&self, claims: &Map<String, Value>) -> Box<[Arc<str>]> {
        let at_path = || {
            let mut parts = self.claim.split('.');
            let first = claims.get(parts.next()?)?;
            parts.try_fold(first, |at, part| at.get(part))
        };
        let said: Vec<&str> = match claims.get(self.claim.as_ref()).or_else(at_path) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mapped = self
            .map
            .iter()
            .filter(|(claimed, _)| said.contains(&claimed.as_ref()));
        let mut roles: Vec<Arc<str>> = mapped.map(|(_, role)| Arc::clone(role)).collect();
        roles.sort();
        roles.dedup();
        roles.into()
    }
}

/// Claims that nobody has proven.
pub struct UnverifiedClaims(Map<String, Value>);

impl UnverifiedClaims {
    /// Reads the second part of a compact JWS.
    ///
    /// # Errors
    /// `token_malformed`.
    pub fn read(payload: &str) -> Result<Self, Refusal> {
        let value = URL_SAFE_NO_PAD
            .decode(payload)
            .ok()
            .and_then(|b| crate::authn::json::parse(&b).ok());
        match value {
            Some(Value::Object(claims)) => Ok(Self(claims)),
            _ => Err(Refusal::new(
                Reason::TokenMalformed,
                "the token's payload is not base64url of a JSON object whose members are named once",
            )),
        }
    }

    fn text(&self, claim: &'static str) -> Result<Option<&str>, Refusal> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format!("`{claim}` is not a string"))),
        }
    }

    /// A NumericDate (RFC 7519 section 2) that is a whole number between 1970 and 9999.
    fn date(&self, claim: &'static str) -> Result<Option<i64>, Refusal> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(seconds @ 0..=LATEST) => Ok(Some(seconds)),
                _ => Err(invalid(format!(
                    "`{claim}` is not a whole number of seconds up to the year 9999"
                ))),
            },
            Some(_) => Err(invalid(format!("`{claim}` is not a number"))),
        }
    }

    /// `scope` (RFC 8693 section 4.2), else `scp`: a string of words or an array of them.
    fn scopes(&self) -> Result<ScopeSet, Refusal> {
        let refused = |scope: &str| {
            invalid(format!(
                "a claimed scope of {} bytes is no scope-token (RFC 6749)",
                scope.len()
            ))
        };
        let claim = self.0.get("scope").or_else(|| self.0.get("scp"));
        match claim {
            None | Some(Value::Null) => Ok(ScopeSet::default()),
            Some(Value::String(words)) => {
                ScopeSet::claimed(words.split(' ').filter(|word| !word.is_empty())).map_err(refused)
            }
            Some(Value::Array(items)) => {
                let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                let words = words.ok_or_else(|| invalid("a claimed scope is not a string"))?;
                ScopeSet::claimed(words).map_err(refused)
            }
            Some(_) => Err(invalid("`scope` is neither a string nor an array")),
        }
    }
}

fn invalid(what: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::TokenClaimInvalid, what)
}

impl ClaimRules {
    /// Judges every claim but the times, which are judged on each use. `token_bytes` is the token's
    /// length.
    ///
    /// # Errors
    /// `token_issuer_unknown`, `token_audience_mismatch`, `token_claim_invalid`.
    pub fn judge(
        &self,
        claims: UnverifiedClaims,
        token_bytes: usize,
    ) -> Result<VerifiedToken, Refusal> {
        if claims.text("iss")? != Some(&self.issuer) {
            return Err(Refusal::new(
                Reason::TokenIssuerUnknown,
                "`iss` is not the configured issuer",
            ));
        }
        self.judge_audience(&claims)?;
        let expires_at = claims
            .date("exp")?
            .ok_or_else(|| invalid("`exp` is missing"))?;
        let earliest = claims.date("nbf")?.max(claims.date("iat")?).unwrap_or(0);
        let skew = i64::try_from(self.clock_skew).unwrap_or(0);
        let subject: Box<str> = match claims.text("sub")? {
            Some(subject) if !subject.is_empty() && subject.len() <= MAX_SUBJECT_BYTES => {
                subject.into()
            }
            Some(_) => return Err(invalid("`sub` is empty or longer than 1,024 bytes")),
            None => return Err(invalid("`sub` is missing")),
        };
        let token_id = claims
            .text("jti")?
            .filter(|id| !id.is_empty())
            .map(Into::into);
        Ok(VerifiedToken {
            principal_id: format!("{}:{subject}", self.authenticator).into(),
            subject,
            scopes: match &self.ceiling {
                Some(ceiling) => claims.scopes()?.cut_to(ceiling),
                None => claims.scopes()?,
            },
            roles: self
                .roles
                .as_ref()
                .map(|roles| roles.of(&claims.0))
                .unwrap_or_default(),
            expires_at,
            not_before: earliest.saturating_sub(skew),
            token_id,
            claims: Value::Object(claims.0),
            weight: u32::try_from(token_bytes).unwrap_or(u32::MAX),
        })
    }

    fn judge_audience(&self, claims: &UnverifiedClaims) -> Result<(), Refusal> {
        let Some(accepted) = &self.audiences else {
            return Ok(());
        };
        let is_ours = |audience: &Value| {
            audience
                .as_str()
                .is_some_and(|audience| accepted.iter().any(|ours| **ours == *audience))
        };
        let ours = match claims.0.get("aud") {
            Some(single @ Value::String(_)) => is_ours(single),
            Some(Value::Array(several)) => {
                if !several.iter().all(Value::is_string) {
                    return Err(invalid("`aud` holds something that is not a string"));
                }
                several.iter().any(is_ours)
            }
            Some(_) => return Err(invalid("`aud` is neither a string nor an array")),
            None => false,
        };
        if ours {
            Ok(())
        } else {
            Err(Refusal::new(
                Reason::TokenAudienceMismatch,
                "`aud` names none of the configured audiences",
            ))
        }
    }
}
