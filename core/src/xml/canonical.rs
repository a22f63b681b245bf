//! From strict tokens to the canonical form.

use super::XmlError;
use super::reader::{Attribute, Name, Reader, Token};
use super::writer::Writer;

/// Appends the element whose start token `reader` has just given, up to and including its end.
pub fn element(
    reader: &mut Reader<'_>,
    name: &Name<'_>,
    inherits: bool,
    out: &mut Vec<u8>,
) -> Result<(), XmlError> {
    let mut writer = Writer::new(out);
    let outside = reader.depth() - 1;
    start(&mut writer, name, inherits, reader.attributes());
    while reader.depth() > outside {
        match reader.next_token()? {
            Token::Start { name, inherits } => {
                start(&mut writer, &name, inherits, reader.attributes());
            }
            Token::End(local) => {
                writer.end(local);
            }
            Token::Text(text) => {
                writer.text(&text);
            }
            Token::Plain(text) => {
                writer.raw(text.as_bytes());
            }
        }
    }
    Ok(())
}

/// An attribute keeps its prefix, declared on the same element; the element itself has none.
fn start(writer: &mut Writer<'_>, name: &Name<'_>, inherits: bool, attributes: &[Attribute<'_>]) {
    writer.start(name.local, (!inherits).then_some(&*name.ns));
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
            writer.attribute(&format!("xmlns:{}", attribute.prefix), &attribute.ns);
        }
        let qualified = format!("{}:{}", attribute.prefix, attribute.local);
        writer.attribute(&qualified, &attribute.value);
    }
}
