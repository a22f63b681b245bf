//! XEP-0115: Entity Capabilities, of the server itself: they save its clients a disco#info. The
//! verification string is made by [`crate::services::disco`].

use super::Xep;
use crate::ns;

pub static XEP: Xep = Xep {
    number: 115,
    name: "Entity Capabilities",
    version: "1.6.0",
    features: &[ns::CAPS],
    iqs: &[],
};
