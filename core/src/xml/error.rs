//! Why a peer's XML is refused.

/// A stream error of RFC 6120 §4.9.3 with the reason in words, fit for its `<text/>`. Always the
/// peer's fault; the stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// §4.9.3.13: violates XML or Namespaces in XML.
    #[error("{0}")]
    NotWellFormed(&'static str),
    /// §4.9.3.18: comments, processing instructions, DTDs, entities (§11.1).
    #[error("{0}")]
    RestrictedXml(&'static str),
    /// §4.9.3.10: the stream or content namespace is not one that is served.
    #[error("{0}")]
    InvalidNamespace(&'static str),
    /// §4.9.3.2: a prefix that XMPP reserves is used for something else.
    #[error("{0}")]
    BadNamespacePrefix(&'static str),
    /// §4.9.3.14: a limit of this server is exceeded.
    #[error("{0}")]
    PolicyViolation(&'static str),
    /// §4.9.3.22: not UTF-8.
    #[error("{0}")]
    UnsupportedEncoding(&'static str),
    /// §4.9.3.1: well-formed XML that has no meaning at its place.
    #[error("{0}")]
    BadFormat(&'static str),
}

impl XmlError {
    /// Name of the element that reports it within `<stream:error/>`.
    pub fn condition(&self) -> &'static str {
        match self {
            XmlError::NotWellFormed(_) => "not-well-formed",
            XmlError::RestrictedXml(_) => "restricted-xml",
            XmlError::InvalidNamespace(_) => "invalid-namespace",
            XmlError::BadNamespacePrefix(_) => "bad-namespace-prefix",
            XmlError::PolicyViolation(_) => "policy-violation",
            XmlError::UnsupportedEncoding(_) => "unsupported-encoding",
            XmlError::BadFormat(_) => "bad-format",
        }
    }
}
