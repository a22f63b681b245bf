//! `/certificates`: what this node shows its clients.

use std::time::{Duration, SystemTime};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Problem, Route};
use crate::clock::Timestamp;
use crate::net::tls::{CertificateError, Certificates, Described};

pub const ROUTES: &[Route] = &[
    Route::list("/certificates", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::PUT, "/certificates", |call| Box::pin(install(call))),
    Route::new(Method::POST, "/certificates/self-signed", |call| Box::pin(self_sign(call))),
];

const COLUMNS: &[&str] = &[
    "subject",
    "names",
    "issuer",
    "not_before",
    "not_after",
    "days_left",
    "key",
    "fingerprint",
    "self_signed",
];
/// A warning is due so long before the end.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// The served chain, the server's certificate first, and what is wrong with it.
async fn list(call: Call) -> Result<Answer, Problem> {
    let certificates = &call.running()?.certificates;
    let (chain, domain) = (certificates.describe(), &call.api.about.domain);
    let now = call.api.clock.now();
    Answer::ok(json!({
        "items": chain.iter().map(|one| shown(one, now)).collect::<Vec<_>>(),
        "next": null,
        "domain": domain,
        "warnings": warnings(certificates, &chain, domain, now),
    }))
}

fn shown(one: &Described, now: Timestamp) -> Value {
    let [from, to] = [one.not_before, one.not_after].map(Timestamp::from);
    json!({
        "subject": one.subject,
        "issuer": one.issuer,
        "names": one.names,
        "not_before": from.to_string(),
        "not_after": to.to_string(),
        "days_left": (to.0 - now.0).div_euclid(86_400_000),
        "key": one.key,
        "fingerprint": one.fingerprint,
        "self_signed": one.self_signed,
    })
}

/// `expired`, `not-yet-valid`, `expires-soon`, `self-signed`, `other-domain`.
pub(super) fn warnings(
    certificates: &Certificates,
    chain: &[Described],
    domain: &str,
    now: Timestamp,
) -> Vec<&'static str> {
    let now = SystemTime::from(now);
    let soon = now + SOON;
    // An authority's certificate that ends makes clients refuse the chain, too.
    let ends = chain.iter().map(|one| one.not_after).min();
    [
        ("expired", ends.is_some_and(|ends| ends <= now)),
        ("expires-soon", ends.is_some_and(|ends| ends > now && ends <= soon)),
        ("not-yet-valid", chain.iter().any(|one| one.not_before > now)),
        ("self-signed", chain.first().is_some_and(|leaf| leaf.self_signed)),
        ("other-domain", !certificates.covers(domain)),
    ]
    .into_iter()
    .filter_map(|(warning, holds)| holds.then_some(warning))
    .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    /// PEM: the server's certificate, then its intermediates.
    chain: String,
    /// PEM, without a passphrase.
    key: String,
}

async fn install(call: Call) -> Result<Answer, Problem> {
    let New { chain, key } = call.json()?;
    let key = zeroize::Zeroizing::new(key);
    let domain = call.api.about.domain.clone();
    let now = call.api.clock.now().into();
    let work =
        move |certificates: &Certificates| certificates.install([&chain, &key], &domain, now);
    change(&call, work).await?;
    noted(call, "certificate.install").await
}

async fn self_sign(call: Call) -> Result<Answer, Problem> {
    let now = call.api.clock.now().into();
    change(&call, move |certificates: &Certificates| certificates.self_sign(now)).await?;
    noted(call, "certificate.self-sign").await
}

async fn change(
    call: &Call,
    work: impl FnOnce(&Certificates) -> Result<(), CertificateError> + Send + 'static,
) -> Result<(), Problem> {
    let running = call.running()?;
    let certificates = running.certificates.clone();
    let done = running.tracker.blocking("certificates", move || work(&certificates)).await;
    done.ok_or(Problem::Internal)?.map_err(Problem::from)
}

/// The audit log names the certificate by its fingerprint.
async fn noted(call: Call, action: &'static str) -> Result<Answer, Problem> {
    let leaf = call.running()?.certificates.describe().into_iter().next();
    call.note(action, leaf.map(|leaf| leaf.fingerprint).as_deref().unwrap_or_default()).await?;
    list(call).await
}

impl From<CertificateError> for Problem {
    fn from(error: CertificateError) -> Problem {
        use CertificateError as E;
        let field = match &error {
            E::NoKey { .. } | E::Mismatch { .. } => "key",
            E::NoCertificate { .. } | E::OutOfDate { .. } | E::Elsewhere { .. } => "chain",
            E::Unusable { path, .. } if path.ends_with("the key") => "key",
            E::Unusable { .. } => "chain",
            E::Unreadable { .. } | E::Half { .. } | E::Unwritable { .. } | E::Generate { .. } => {
                tracing::error!(%error, "the certificate was not changed");
                return Problem::Unavailable(error.to_string());
            }
        };
        Problem::Invalid(error.to_string()).at(field)
    }
}
