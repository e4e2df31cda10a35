//! The pieces of an XML answer that this type looks at: IAM, STS and S3 speak
//! it. Owns which of them there are and how many are looked at. The answer is
//! hostile: what does not parse ends there.

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// A piece.
pub enum Piece<'a> {
    /// An element begins.
    Start(BytesStart<'a>),
    /// An element with nothing in it.
    Empty(BytesStart<'a>),
    /// Text in the element that began last.
    Text(BytesText<'a>),
    /// An element ends.
    End(BytesEnd<'a>),
    /// The answer ends, and was XML to its end.
    Over,
}

/// The pieces among the first `events_max` events. What looks like one of
/// ours in a comment or a declaration is none.
pub fn pieces(body: &[u8], events_max: usize) -> impl Iterator<Item = Piece<'_>> {
    let mut reader = std::str::from_utf8(body).ok().map(Reader::from_str);
    let events = (0..events_max).map_while(move |_| reader.as_mut()?.read_event().ok());
    events.filter_map(|event| match event {
        Event::Start(tag) => Some(Piece::Start(tag)),
        Event::Empty(tag) => Some(Piece::Empty(tag)),
        Event::Text(text) => Some(Piece::Text(text)),
        Event::End(tag) => Some(Piece::End(tag)),
        Event::Eof => Some(Piece::Over),
        Event::CData(_)
        | Event::Comment(_)
        | Event::Decl(_)
        | Event::PI(_)
        | Event::DocType(_)
        | Event::GeneralRef(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(body: &[u8], events_max: usize) -> String {
        let letter = |piece| match piece {
            Piece::Start(_) => 's',
            Piece::Empty(_) => 'e',
            Piece::Text(_) => 't',
            Piece::End(_) => 'x',
            Piece::Over => '.',
        };
        pieces(body, events_max).map(letter).take(20).collect()
    }

    #[test]
    fn pieces_come_in_order_are_bounded_and_end_where_it_is_no_xml() {
        let whole = b"<?xml version='1.0'?><a><!-- <b> -->c<d/></a>";
        assert!(kinds(whole, 100).starts_with("stex."), "{}", kinds(whole, 100));
        assert_eq!(kinds(whole, 2), "s", "of two events one is the declaration");
        for (broken, wanted) in [(b"<a>c</b>".as_slice(), "st"), (b"<a", ""), (b"\xff<a>", "")] {
            assert_eq!(kinds(broken, 100), wanted);
        }
    }
}
