//! XEP-0160: Best Practices for Handling Offline Messages. The table is the business of `im`.

use super::Xep;
use crate::ns;

pub static XEP: Xep = Xep {
    number: 160,
    name: "Best Practices for Handling Offline Messages",
    version: "1.0.1",
    features: &[ns::MSGOFFLINE],
    iqs: &[],
};
