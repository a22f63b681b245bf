//! Wire pieces that several extensions share: no behaviour.

pub mod forms;
