//! XEP-0203: Delayed Delivery. The stamp is written where messages wait.

use super::Xep;
use crate::ns;

pub static XEP: Xep =
    Xep { number: 203, name: "Delayed Delivery", version: "2.0", features: &[ns::DELAY], iqs: &[] };
