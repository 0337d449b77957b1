//! Text that comes from outside, made safe for a line or a screen.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every control character (C0, DEL, C1) written as an escape: the name of a service
/// or a word of a program's stderr neither begins a line of its own nor moves a terminal's cursor.
///
/// ```
/// use headend::cli::visible;
/// assert_eq!(visible("Arte\ntsrecv: error: \u{1b}[2J"), r"Arte\ntsrecv: error: \u{1b}[2J");
/// assert_eq!(visible("Čt 1"), "Čt 1");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}
