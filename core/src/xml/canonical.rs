//! From strict tokens to the canonical form.

use smallvec::SmallVec;

use super::XmlError;
use super::reader::{Attribute, MAX_ATTRIBUTES, Name, Reader, Token};
use super::writer::Writer;

/// Octets of the canonical children of one stanza. It spells namespaces out where the peer wrote a
/// prefix, so that a stanza within the frame limits could become thousands of times as large.
const MAX_OCTETS: usize = 512 * 1024;

/// Appends the element whose start token `reader` has just given, up to and including its end, to
/// the canonical children of a stanza.
pub fn element(
    reader: &mut Reader<'_>,
    name: &Name<'_>,
    inherits: bool,
    out: &mut Vec<u8>,
) -> Result<(), XmlError> {
    let mut writer = Writer::new(out);
    let mut scope = Scope::default();
    let outside = reader.depth() - 1;
    scope.enter(start(&mut writer, name, inherits, reader.attributes()))?;
    while reader.depth() > outside {
        match reader.next_token()? {
            Token::Start { name, inherits } => {
                scope.enter(start(&mut writer, &name, inherits, reader.attributes()))?;
            }
            Token::End(local) => {
                scope.leave();
                writer.end(local);
            }
            Token::Text(text) => {
                writer.text(&text);
            }
            Token::Plain(text) => {
                writer.raw(text.as_bytes());
            }
        }
        if writer.position() > MAX_OCTETS {
            return Err(XmlError::PolicyViolation("with its namespaces the stanza is too large"));
        }
    }
    Ok(())
}

/// Namespace declarations in force. No more than a reader takes, so that what is written here can
/// always be read again.
#[derive(Default)]
struct Scope {
    /// Declarations of each open element.
    open: SmallVec<[u8; 8]>,
    all: usize,
}

impl Scope {
    fn enter(&mut self, declared: u8) -> Result<(), XmlError> {
        self.open.push(declared);
        self.all += usize::from(declared);
        if self.all > MAX_ATTRIBUTES {
            return Err(XmlError::PolicyViolation("too many namespaces within each other"));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.all -= usize::from(self.open.pop().unwrap_or(0));
    }
}

/// An attribute keeps its prefix, declared on the same element; the element itself has none.
/// Returns how many namespaces the tag declares: at most one for each of its attributes, and one.
fn start(
    writer: &mut Writer<'_>,
    name: &Name<'_>,
    inherits: bool,
    attributes: &[Attribute<'_>],
) -> u8 {
    writer.start(name.local, (!inherits).then_some(&*name.ns));
    let mut declarations = u8::from(!inherits);
    for (at, attribute) in attributes.iter().enumerate() {
        if attribute.prefix.is_empty() && attribute.plain {
            writer.plain_attribute(attribute.local, &attribute.value);
            continue;
        }
        if attribute.prefix.is_empty() {
            writer.attribute(attribute.local, &attribute.value);
            continue;
        }
        let declared = attribute.prefix == "xml"
            || attributes[..at].iter().any(|other| other.prefix == attribute.prefix);
        if !declared {
            declarations += 1;
            writer.attribute(&format!("xmlns:{}", attribute.prefix), &attribute.ns);
        }
        let qualified = format!("{}:{}", attribute.prefix, attribute.local);
        writer.attribute(&qualified, &attribute.value);
    }
    declarations
}
