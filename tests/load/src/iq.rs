//! IQ requests and the answers that a client owes (RFC 6120 §8.2.3).

use crate::error::{LoadError, Result};
use crate::link::Link;
use crate::scan;

/// Sends an IQ with this id and waits for its result; what the server asks meanwhile is answered.
pub async fn request(link: &mut Link, iq: &[u8], id: &[u8]) -> Result<Vec<u8>> {
    let mut answer = link.ask(iq).await?;
    loop {
        let ours = scan::attribute(&answer, b"id") == Some(id);
        match scan::attribute(&answer, b"type") {
            Some(b"result") if ours => return Ok(answer),
            Some(b"error") if ours => return Err(LoadError::refused("an IQ", &answer)),
            _ => answer_request(&answer, &mut link.out),
        }
        answer = link.element().await?;
    }
}

/// Answers a ping or roster push with an empty result; whatever is no request is passed over.
pub fn answer_request(element: &[u8], out: &mut Vec<u8>) {
    let asks = matches!(scan::attribute(element, b"type"), Some(b"get" | b"set"));
    let Some(id) = scan::attribute(element, b"id") else { return };
    if asks && scan::name(element) == b"iq" {
        out.extend_from_slice(b"<iq type='result' id=\"");
        out.extend_from_slice(id);
        out.extend_from_slice(b"\"/>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_are_answered() {
        let mut out = Vec::new();
        answer_request(b"<iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>", &mut out);
        assert_eq!(out, b"<iq type='result' id=\"p1\"/>");
        for other in ["<iq type='result' id='1'/>", "<iq type='get'/>", "<message id='1'/>"] {
            out.clear();
            answer_request(other.as_bytes(), &mut out);
            assert!(out.is_empty(), "{other}");
        }
    }
}
