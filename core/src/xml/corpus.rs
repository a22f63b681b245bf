//! Hostile and odd input, each case with the stream error it must get, however it is split.

use super::{Frame, FrameLimits, Framer, StreamContext, StreamHeader, XmlError, single_element};
use crate::stanza::{AddressMemo, Parsed, RootNamespace, parse};

const HEADER: &str = "<stream:stream xmlns='jabber:client' version='1.0' \
                      xmlns:stream='http://etherx.jabber.org/streams' xmlns:k='urn:k'>";

/// What came of a stream: canonical stanzas and elements, or the condition of the error.
type Outcome = Result<String, &'static str>;

struct Peer {
    framer: Framer,
    context: Option<StreamContext>,
    memo: AddressMemo,
    log: String,
}

impl Peer {
    fn new() -> Peer {
        let framer = Framer::new(FrameLimits::AUTHENTICATED);
        Peer { framer, context: None, memo: AddressMemo::default(), log: String::new() }
    }

    fn feed(&mut self, mut input: &[u8]) -> Result<(), XmlError> {
        while let Some(frame) = self.framer.next(&mut input)? {
            match (frame, &self.context) {
                (Frame::Header(tag), None) => {
                    self.context = Some(StreamHeader::parse(tag)?.context());
                    self.log.push_str("header;");
                }
                (Frame::Element(octets), Some(context)) => {
                    let mut out = Vec::new();
                    match parse(octets, context, &mut self.memo)? {
                        Parsed::Stanza(stanza) | Parsed::Invalid { stanza, .. } => {
                            stanza.render(None, RootNamespace::Inherited, &mut out);
                        }
                        Parsed::Element(element) => element.write(crate::ns::CLIENT, &mut out),
                    }
                    self.log.push_str(std::str::from_utf8(&out).expect("canonical is UTF-8"));
                    self.log.push(';');
                }
                (Frame::End, Some(_)) => self.log.push_str("end;"),
                (frame, _) => panic!("{frame:?} out of place"),
            }
        }
        Ok(())
    }
}

fn outcome<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut peer = Peer::new();
    for chunk in chunks {
        peer.feed(chunk).map_err(|error| error.condition())?;
    }
    Ok(peer.log)
}

/// The outcome of `stream`, the same for every split.
#[track_caller]
fn everywhere(stream: &[u8]) -> Outcome {
    let whole = outcome([stream]);
    let shown = String::from_utf8_lossy(&stream[..stream.len().min(300)]).into_owned();
    assert_eq!(outcome(stream.chunks(1)), whole, "octet by octet: {shown}");
    assert_eq!(outcome(stream.chunks(7)), whole, "by seven: {shown}");
    if stream.len() <= 2048 {
        for at in 0..=stream.len() {
            let (front, back) = stream.split_at(at);
            assert_eq!(outcome([front, back]), whole, "split at {at}: {shown}");
        }
    }
    whole
}

#[track_caller]
fn refuse_in_stream(cases: &[(&[u8], &'static str)]) {
    for (body, condition) in cases {
        let stream = [HEADER.as_bytes(), body].concat();
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert_eq!(everywhere(&stream), Err(*condition), "{shown}");
    }
}

const MALFORMED: &str = "not-well-formed";
const RESTRICTED: &str = "restricted-xml";
const POLICY: &str = "policy-violation";

#[test]
fn headers() {
    let xmlns = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
    let declared = |declaration: &str| format!("{declaration}{HEADER}");
    let cases = [
        (declared("<?xml version='1.1'?>"), MALFORMED),
        (declared("<?xml version='1.0' encoding='utf-16'?>"), "unsupported-encoding"),
        (declared("<?xml version='1.0' encoding=\"ISO-8859-1\"?>"), "unsupported-encoding"),
        (declared("<?xml version='1.0' bogus='1'?>"), MALFORMED),
        (declared("<?xml encoding='utf-8'?>"), MALFORMED),
        (declared("<?xml?>"), RESTRICTED),
        (declared("<?XML version='1.0'?>"), RESTRICTED),
        (declared("<?xml-stylesheet href='a'?>"), RESTRICTED),
        (declared(" <?xml version='1.0'?>"), RESTRICTED),
        (declared("<?xml version='1.0'?><?xml version='1.0'?>"), RESTRICTED),
        (declared("<!DOCTYPE a>"), RESTRICTED),
        (declared("<!-- a -->"), RESTRICTED),
        (declared("\u{FEFF}"), MALFORMED),
        (declared("text"), MALFORMED),
        (declared("<![CDATA[a]]>"), MALFORMED),
        (format!("<stream:stream {xmlns}/>"), MALFORMED),
        (format!("</stream:stream {xmlns}>"), MALFORMED),
        (format!("<stream:stream {xmlns} a='1' a='2'>"), MALFORMED),
        (format!("<stream:stream {xmlns} x:a='1'>"), MALFORMED),
        (format!("<stream:stream {xmlns} a='&b;'>"), RESTRICTED),
        (format!("<stream:stream {xmlns} a='\u{1}'>"), MALFORMED),
        (format!("<stream:stream {xmlns} version='x'>"), "bad-format"),
        (format!("<stream:features {xmlns}>"), "bad-format"),
        ("<stream:stream xmlns='jabber:client'>".into(), MALFORMED),
        (
            "<stream:stream xmlns:stream='urn:x' xmlns='jabber:client'>".into(),
            "bad-namespace-prefix",
        ),
        ("<s:stream xmlns:s='urn:x' xmlns='jabber:client'>".into(), "invalid-namespace"),
        ("<stream xmlns='http://etherx.jabber.org/streams'>".into(), "bad-namespace-prefix"),
        (HEADER.replace("jabber:client", "urn:x"), "invalid-namespace"),
        (HEADER.replace("xmlns='jabber:client'", ""), "invalid-namespace"),
        (format!("<stream:stream {xmlns} a='{}'>", "a".repeat(300_000)), POLICY),
    ];
    for (stream, condition) in &cases {
        assert_eq!(everywhere(stream.as_bytes()), Err(*condition), "{stream:.120}");
    }
    for utf16 in [&b"\xFF\xFE<\0s\0"[..], b"\xFE\xFF\0<\0s", b"\0<\0s"] {
        assert_eq!(everywhere(utf16), Err("unsupported-encoding"));
    }
}

#[test]
fn restricted_xml() {
    refuse_in_stream(&[
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>", RESTRICTED),
        (b"<message><!DOCTYPE a></message>", RESTRICTED),
        (b"<message><!-- a --></message>", RESTRICTED),
        (b"<!-- a -->", RESTRICTED),
        (b"<?php a ?>", RESTRICTED),
        (b"<message><?php a ?></message>", RESTRICTED),
        (b"<message><?xml version='1.0'?></message>", RESTRICTED),
        (b"<?xml version='1.0'?>", RESTRICTED),
        (b"<message><body>&unknown;</body></message>", RESTRICTED),
        (b"<message a='&unknown;'/>", RESTRICTED),
        (b"<message><body>&AMP;</body></message>", RESTRICTED),
        (b"<message><![cdata[a]]></message>", RESTRICTED),
        (b"<message><!ELEMENT a></message>", RESTRICTED),
    ]);
}

#[test]
fn malformed_characters() {
    refuse_in_stream(&[
        (b"<message><body>\x80</body></message>", MALFORMED),
        (b"<message><body>\xC0\x80</body></message>", MALFORMED),
        (b"<message><body>\xC1\xBF</body></message>", MALFORMED),
        (b"<message><body>\xE0\x80\xAF</body></message>", MALFORMED),
        (b"<message><body>\xED\xA0\x80</body></message>", MALFORMED),
        (b"<message><body>\xED\xA0\xBD\xED\xB8\x80</body></message>", MALFORMED),
        (b"<message><body>\xF4\x90\x80\x80</body></message>", MALFORMED),
        (b"<message><body>\xF8\x88\x80\x80\x80</body></message>", MALFORMED),
        (b"<message><body>\xFE</body></message>", MALFORMED),
        (b"<message><body>\xE2\x82</body></message>", MALFORMED),
        (b"<message><\xFFbody/></message>", MALFORMED),
        (b"<message a='\xC3'/>", MALFORMED),
        (b"<message><body>\0</body></message>", MALFORMED),
        (b"<message><body>\x01</body></message>", MALFORMED),
        (b"<message a='\x0B'/>", MALFORMED),
        (b"<message><body>\xEF\xBF\xBE</body></message>", MALFORMED),
        (b"<message a='\xEF\xBF\xBF'/>", MALFORMED),
        (b"<message><body>&#0;</body></message>", MALFORMED),
        (b"<message><body>&#1;</body></message>", MALFORMED),
        (b"<message a='&#x1;'/>", MALFORMED),
        (b"<message><body>&#xFFFE;</body></message>", MALFORMED),
        (b"<message><body>&#xD800;</body></message>", MALFORMED),
        (b"<message><body>&#x110000;</body></message>", MALFORMED),
        (b"<message><body>&#99999999999;</body></message>", MALFORMED),
        (b"<message><body>&#+65;</body></message>", MALFORMED),
        (b"<message><body>&#;</body></message>", MALFORMED),
        (b"<message><body>&#x;</body></message>", MALFORMED),
        (b"<message><body>&#X41;</body></message>", MALFORMED),
        (b"<message><body>&#4A;</body></message>", MALFORMED),
        (b"<message><body>a & b</body></message>", MALFORMED),
        (b"<message><body>a &amp b</body></message>", MALFORMED),
        (b"<message a='&'/>", MALFORMED),
        (b"<message a='&amp'/>", MALFORMED),
        (b"<message><body>]]></body></message>", MALFORMED),
        (b"<message><![CDATA[a]]>b]]></message>", MALFORMED),
    ]);
}

#[test]
fn malformed_markup() {
    refuse_in_stream(&[
        (b"<>", MALFORMED),
        (b"< message/>", MALFORMED),
        (b"<message></ message></message>", MALFORMED),
        (b"<message></body>", MALFORMED),
        (b"<message></Message>", MALFORMED),
        (b"<message><a></message></a>", MALFORMED),
        (b"<message></message a='1'>", MALFORMED),
        (b"<message a/>", MALFORMED),
        (b"<message a=/>", MALFORMED),
        (b"<message a=b/>", MALFORMED),
        (b"<message a='1'b='2'/>", MALFORMED),
        (b"<message='1'/>", MALFORMED),
        (b"<message ='1'/>", MALFORMED),
        (b"<message a='<'/>", MALFORMED),
        (b"<message <body/>", MALFORMED),
        (b"<message / >", MALFORMED),
        (b"<message/ a='1'/>", MALFORMED),
        (b"<message a='1' a='2'/>", MALFORMED),
        (b"<1message/>", MALFORMED),
        (b"<-message/>", MALFORMED),
        (b"<mess$age/>", MALFORMED),
        (b"<.a/>", MALFORMED),
        (b"<a:b:c xmlns:a='urn:a'/>", MALFORMED),
        (b"<k:/>", MALFORMED),
        (b"<:a/>", MALFORMED),
        (b"<message 1a='1'/>", MALFORMED),
        (b"<message k:='1'/>", MALFORMED),
        (b"<message a\xC3\x97b='1'/>", MALFORMED),
        (b"text", "bad-format"),
        (b"<message/>text<message/>", "bad-format"),
        (b"&amp;", "bad-format"),
        (b"<![CDATA[a]]>", MALFORMED),
        (b"</stream>", MALFORMED),
        (b"</stream:stream a='1'>", MALFORMED),
    ]);
}

#[test]
fn namespaces() {
    let prefix = "bad-namespace-prefix";
    refuse_in_stream(&[
        (b"<x:message/>", MALFORMED),
        (b"<message x:a='1'/>", MALFORMED),
        (b"<message><a xmlns:x='urn:x'/><x:b/></message>", MALFORMED),
        (b"<message xmlns:a='urn:x' xmlns:b='urn:x' a:c='1' b:c='2'/>", MALFORMED),
        (b"<message xmlns:j='urn:k' j:c='1' k:c='2'/>", MALFORMED),
        (b"<message xmlns='jabber:client' xmlns='urn:x'/>", MALFORMED),
        (b"<message xmlns:a='urn:x' xmlns:a='urn:y'/>", MALFORMED),
        (b"<message xmlns:a=''/>", MALFORMED),
        (b"<message xmlns:xml='urn:x'/>", MALFORMED),
        (b"<message><xml:a/></message>", MALFORMED),
        (b"<message xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", MALFORMED),
        (b"<message xmlns:a='http://www.w3.org/2000/xmlns/'/>", MALFORMED),
        (b"<message xmlns:a='http://www.w3.org/XML/1998/namespace'/>", MALFORMED),
        (b"<a xmlns='http://www.w3.org/XML/1998/namespace'/>", MALFORMED),
        (b"<a xmlns='http://www.w3.org/2000/xmlns/'/>", MALFORMED),
        (b"<xmlns:a/>", MALFORMED),
        (b"<message xmlns:stream='urn:x'/>", prefix),
        (b"<message><a xmlns:stream='jabber:client'/></message>", prefix),
        (b"<message><stream:error/></message>", "bad-format"),
        (b"<message><a xmlns='http://etherx.jabber.org/streams'/></message>", "bad-format"),
    ]);
}

#[test]
fn floods() {
    let wrap = |inner: String| format!("<message>{inner}</message>").into_bytes();
    let attributes: String = (0..5000).map(|n| format!(" a{n}='1'")).collect();
    let declarations: String = (0..3000).map(|n| format!(" xmlns:a{n}='urn:a'")).collect();
    let few: String = (0..65).map(|n| format!(" a{n}='1'")).collect();
    let bodies: [Vec<u8>; 9] = [
        wrap("<a>".repeat(70_000)),
        wrap("<a>".repeat(64) + &"</a>".repeat(64)),
        wrap("<a/>".repeat(10_001)),
        wrap(format!("<a{attributes}/>")),
        wrap(format!("<a{few}/>")),
        wrap(format!("<a{declarations}/>")),
        wrap(format!("<body>{}</body>", "x".repeat(2 << 20))),
        wrap(format!("<a b='{}'/>", "x".repeat(2 << 20))),
        wrap(format!("<{}/>", "x".repeat(2000))),
    ];
    for body in &bodies {
        refuse_in_stream(&[(body, POLICY)]);
    }
}

#[test]
fn good_streams() {
    let stream = format!(
        "<?xml version=\"1.0\" encoding='UTF-8' standalone='no' ?>\n{HEADER} \r\n<message><body>a \
         ]] &gt; \u{1F600}</body></message>\n\n<k:a b = '1'/><é·/><presence\t/>\
         <message><![CDATA[]]]]><![CDATA[>]]><body>'>\"</body></message >\
         <message to='>'/></stream:stream >"
    );
    let expected = "header;<message><body>a ]] &gt; \u{1F600}</body></message>;\
                    <a xmlns='urn:k' b='1'/>;<é·/>;<presence/>;\
                    <message><body>'&gt;\"</body></message>;<message/>;end;";
    assert_eq!(everywhere(stream.as_bytes()), Ok(expected.to_owned()));
}

#[test]
fn a_limit_is_met_exactly() {
    let limits = FrameLimits { octets: HEADER.len() as u32, depth: 2, elements: 3 };
    let run = |body: &str| {
        let mut framer = Framer::new(limits);
        let stream = format!("{HEADER}{body}");
        let mut input = stream.as_bytes();
        let mut frames = 0;
        while framer.next(&mut input)?.is_some() {
            frames += 1;
        }
        Ok::<_, XmlError>(frames)
    };
    let padding = "x".repeat(HEADER.len() - "<a></a>".len());
    assert_eq!(run(&format!("<a>{padding}</a><b/>")), Ok(3));
    assert!(run(&format!("<a>{padding}x</a>")).is_err());
    assert_eq!(run("<a><b/><c/></a>"), Ok(2));
    assert!(run("<a><b/><c/><d/></a>").is_err());
    assert!(run("<a><b><c/></b></a>").is_err());
}

#[test]
fn stashed_input_comes_first() {
    let mut framer = Framer::new(FrameLimits::AUTHENTICATED);
    let stream = format!("{HEADER}<a/><b/><c");
    let mut input = stream.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Header(_)))));
    framer.stash(input);
    let mut more: &[u8] = b"/><d/>";
    let mut seen = Vec::new();
    while let Ok(Some(Frame::Element(element))) = framer.next(&mut more) {
        seen.push(String::from_utf8_lossy(element).into_owned());
    }
    assert_eq!(seen, ["<a/>", "<b/>", "<c/>", "<d/>"]);
    assert!(framer.is_idle() && framer.buffer_capacity() == 0);
}

#[test]
fn a_restart_tells_of_leftovers() {
    let mut framer = Framer::new(FrameLimits::UNAUTHENTICATED);
    let mut input = HEADER.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Header(_)))));
    assert!(!framer.restart());
    framer.stash(HEADER.as_bytes());
    assert!(framer.restart());
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Header(_)))));
    let Ok(None) = framer.next(&mut input) else { panic!("nothing is left") };
    assert!(!framer.restart());
}

#[test]
fn one_element_per_websocket_message() {
    let check = |text: &str| {
        let checked = single_element(text.as_bytes(), FrameLimits::UNAUTHENTICATED);
        checked.map_err(|error| error.condition())
    };
    assert_eq!(check("<a><b>c</b></a>"), Ok(()));
    assert_eq!(check("<a/>"), Ok(()));
    assert_eq!(check(""), Err("bad-format"));
    assert_eq!(check(" <a/>"), Err("bad-format"));
    assert_eq!(check("<a/><b/>"), Err("bad-format"));
    assert_eq!(check("<a/> "), Err("bad-format"));
    assert_eq!(check("<a>"), Err(MALFORMED));
    assert_eq!(check("</a>"), Err(MALFORMED));
    assert_eq!(check("<?xml version='1.0'?><a/>"), Err(RESTRICTED));
    assert_eq!(check(&"<a>".repeat(60)), Err(POLICY));
}
