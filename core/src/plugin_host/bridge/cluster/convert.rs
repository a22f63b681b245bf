//! The words of both sides.

use hearth_plugin_api::cluster as api;
use hearth_plugin_api::{Error, ErrorKind, abi};

use crate::router::cluster::{Ack, ClusterError, Member, Outcome, Ownership, Parcel, View};
use crate::session::{Delta, Node};
use crate::storage::lease::LeaseError;

pub fn node(node: abi::Node) -> Node {
    Node { id: node.id, incarnation: node.incarnation }
}

pub fn abi_node(node: Node) -> abi::Node {
    abi::Node { id: node.id, incarnation: node.incarnation }
}

pub fn ownership(owner: api::Ownership) -> Ownership {
    let api::Ownership { owner, deputy, epoch } = owner;
    Ownership { owner: node(owner), deputy: node(deputy), epoch }
}

pub fn view(view: api::View) -> View {
    let member = |member: api::Member| {
        let api::Member { node: of, name, version, draining } = member;
        Member { node: node(of), name, version, draining }
    };
    View { epoch: view.epoch, members: view.members.into_iter().map(member).collect() }
}

pub fn parcel<'a>(envelope: &abi::Envelope<'a>) -> Parcel<'a> {
    let abi::Envelope { lane, ticket, bytes } = *envelope;
    Parcel { lane, ticket, bytes: bytes.as_slice() }
}

/// An outcome of a newer level is none of ours: the message is found another home.
pub fn ack(ack: &abi::Ack) -> Ack {
    let outcome = match ack.outcome {
        0 => Outcome::Delivered,
        1 => Outcome::Committed,
        _ => Outcome::Refused,
    };
    Ack { ticket: ack.ticket, outcome }
}

pub fn abi_ack(ack: &Ack) -> abi::Ack {
    let outcome = match ack.outcome {
        Outcome::Delivered => 0,
        Outcome::Committed => 1,
        Outcome::Refused => 2,
    };
    abi::Ack { ticket: ack.ticket, outcome }
}

pub fn delta(delta: &abi::Delta<'_>) -> Delta {
    Delta {
        gone: delta.op == 1,
        host: delta.host,
        account: delta.account.as_str().into(),
        resource: delta.resource.as_str().into(),
        session: delta.session,
        epoch: delta.epoch,
        bound_ms: delta.bound_ms,
        priority: delta.priority,
        flags: delta.flags,
    }
}

pub fn abi_delta(delta: &Delta) -> abi::Delta<'_> {
    abi::Delta {
        op: delta.gone.into(),
        priority: delta.priority,
        flags: delta.flags,
        host: delta.host,
        session: delta.session,
        epoch: delta.epoch,
        bound_ms: delta.bound_ms,
        account: delta.account.as_str().into(),
        resource: delta.resource.as_str().into(),
    }
}

pub fn delta_buf(delta: Delta) -> abi::DeltaBuf {
    abi::DeltaBuf {
        op: delta.gone.into(),
        priority: delta.priority,
        flags: delta.flags,
        host: delta.host,
        session: delta.session,
        epoch: delta.epoch,
        bound_ms: delta.bound_ms,
        account: delta.account.as_str().into(),
        resource: delta.resource.as_str().into(),
    }
}

/// What the plugin answered, as core understands it.
pub fn api_delta(delta: Delta) -> api::Delta {
    api::Delta::from_buf(delta_buf(delta))
}

pub fn failed(error: Error) -> ClusterError {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Stopped | ErrorKind::Full => ClusterError::Unavailable,
        ErrorKind::Timeout => ClusterError::Timeout,
        ErrorKind::NotFound => ClusterError::NotFound(error.message),
        ErrorKind::Conflict => ClusterError::Conflict(error.message),
        ErrorKind::Unsupported => ClusterError::Unsupported(error.message),
        _ => ClusterError::Failed(error.message),
    }
}

/// What core answered, as the plugin understands it.
pub fn told(error: &ClusterError) -> Error {
    let kind = match error {
        ClusterError::Unavailable => ErrorKind::Unavailable,
        ClusterError::Timeout => ErrorKind::Timeout,
        ClusterError::NotFound(_) => ErrorKind::NotFound,
        ClusterError::Conflict(_) => ErrorKind::Conflict,
        ClusterError::Unsupported(_) => ErrorKind::Unsupported,
        ClusterError::Failed(_) => ErrorKind::Internal,
    };
    Error::new(kind, error.to_string())
}

pub fn lease(error: &LeaseError) -> Error {
    let kind = match error {
        LeaseError::Refused(_) | LeaseError::NotEntered(_) => ErrorKind::Conflict,
        LeaseError::Late => ErrorKind::Timeout,
        LeaseError::Embedded => ErrorKind::Unsupported,
        LeaseError::Storage(_) => ErrorKind::Unavailable,
    };
    Error::new(kind, error.to_string())
}
