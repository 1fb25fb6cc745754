//! How heavy a page may get by what strangers sent: markup takes five bytes to show where it took one to send.

use crate::web::{api::shape::HeaderJson, dashboard::text};

/// What one header's value takes at most.
const MAX_VALUE: usize = 6_000;

/// Bytes of a page that are left for texts of strangers.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    pub(super) const fn new(n_bytes: usize) -> Self {
        Self(n_bytes)
    }

    /// The beginning that fits, made visible, in at most so many bytes; and how much of the text that is.
    pub(super) fn fit(&mut self, text: &str, n_bytes: usize) -> (String, usize) {
        let room = self.0.min(n_bytes);
        let mut used = 0;
        let mut end = 0;
        for (at, c) in text.char_indices() {
            if used + weight(c) > room {
                break;
            }
            used += weight(c);
            end = at + c.len_utf8();
        }
        let shown = text::visible(&text[..end]);
        self.0 -= used;
        (shown, end)
    }

    /// All of it, made visible, or nothing.
    pub(super) fn whole(&mut self, text: &str, n_bytes: usize) -> Option<String> {
        let used = weight_of(text);
        (used <= self.0.min(n_bytes)).then(|| {
            self.0 -= used;
            text::visible(text)
        })
    }
}

/// Of a text as it goes over the wire.
pub(super) fn weight_of(text: &str) -> usize {
    text.chars().map(weight).sum()
}

/// Of a character as it goes over the wire: escaped, or by its number.
fn weight(c: char) -> usize {
    match c {
        '<' | '>' | '&' | '"' | '\'' => 5,
        '\n' | '\t' => 1,
        _ if c.is_control() || text::is_misleading(c) => 14,
        _ => c.len_utf8(),
    }
}

/// A header as a page shows it.
#[derive(Debug)]
pub(super) struct HeaderView {
    pub(super) name: String,
    pub(super) value: String,
}

/// As much of each as there is room for; an ellipsis stands where something is missing.
pub(super) fn headers(rows: &[HeaderJson], room: &mut Room) -> Vec<HeaderView> {
    let mut cut = |text: &str, n_bytes| {
        let (mut shown, n_shown) = room.fit(text, n_bytes);
        if n_shown < text.len() {
            shown.push('…');
        }
        shown
    };
    let view = |it: &HeaderJson| HeaderView {
        name: cut(it.name(), 200),
        value: cut(it.value(), MAX_VALUE),
    };
    rows.iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_shown_and_the_rest_is_not() {
        let mut room = Room::new(20);
        assert_eq!(room.fit("<b>ä", 11), ("<b>".to_owned(), 3));
        assert_eq!(room.whole("0123456789", 20), None);
        assert_eq!(room.fit("\u{202e}", 20), (String::new(), 0));
        assert_eq!(room.fit("0123456789", 20), ("012345678".to_owned(), 9));
        assert_eq!(room.fit("x", 20), (String::new(), 0));
    }

    proptest! {
        #[test]
        fn nothing_is_heavier_than_its_room(text in "[<>&\"'a-z\u{0}-\u{20}ä\u{202e}\u{2028}🙂]{0,200}", n_bytes in 0_usize..400) {
            let (shown, n_shown) = Room::new(1_000).fit(&text, n_bytes);
            let escaped: usize = shown.chars().map(|c| if "<>&\"'".contains(c) { 5 } else { c.len_utf8() }).sum();
            prop_assert!(escaped <= n_bytes, "{escaped} of {n_bytes}: {shown}");
            prop_assert_eq!(shown, text::visible(&text[..n_shown]));
        }
    }
}
