//! What the reader accepts, another strict parser accepts, and both see the same names and text.
#![no_main]

use hearth::ns;
use hearth::xml::Element;
use libfuzzer_sys::fuzz_target;
use rxml::Parse;

fuzz_target!(|data: &[u8]| {
    let Ok(element) = Element::parse(data) else { return };
    // The reader lends namespaces that a lone document lacks: compare what it has written.
    let mut canonical = Vec::new();
    element.write("", &mut canonical);
    assert_eq!(Element::parse(&canonical).as_ref(), Ok(&element));
    let mut ours = String::new();
    flatten(&element, &mut ours);
    assert_eq!(oracle(&canonical), ours, "{}", String::from_utf8_lossy(&canonical));
});

fn flatten(element: &Element, out: &mut String) {
    out.push_str(&format!("<{}|{}>", element.ns, element.name));
    for child in element.children() {
        flatten(child, out);
    }
    out.push_str("</>");
}

fn oracle(mut octets: &[u8]) -> String {
    let mut parser = rxml::Parser::new();
    let mut out = String::new();
    loop {
        match parser.parse(&mut octets, true).expect("canonical XML is well-formed") {
            Some(rxml::Event::StartElement(_, (namespace, name), _)) => {
                let namespace: &str = &namespace;
                assert_ne!(namespace, ns::XMLNS);
                out.push_str(&format!("<{namespace}|{name}>"));
            }
            Some(rxml::Event::EndElement(_)) => out.push_str("</>"),
            Some(_) => {}
            None => return out,
        }
    }
}
