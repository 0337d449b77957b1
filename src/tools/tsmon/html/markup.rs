//! Markup: what stands in a page is escaped here and nowhere else.

use std::fmt;

/// A page that grows. What is written as text is escaped; what is markup is said to be.
#[derive(Debug, Default)]
pub(in super::super) struct Page(String);

impl Page {
    /// Markup, as it stands.
    pub(in super::super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Markup put together from numbers and names of ours: nothing that came with the stream.
    pub(in super::super) fn markup(&mut self, markup: fmt::Arguments<'_>) -> &mut Self {
        let _ = fmt::Write::write_fmt(&mut self.0, markup);
        self
    }

    /// Text, whatever is in it.
    pub(in super::super) fn text(&mut self, text: &str) -> &mut Self {
        self.0
            .extend(text.chars().map(Escaped).flat_map(Escaped::chars));
        self
    }

    /// `<tag>text</tag>`; `tag` may have attributes of ours.
    pub(in super::super) fn element(&mut self, tag: &str, text: &str) -> &mut Self {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.markup(format_args!("<{tag}>")).text(text);
        self.markup(format_args!("</{name}>"))
    }

    /// A row of a table, a cell a text.
    pub(in super::super) fn row<'t>(
        &mut self,
        cells: impl IntoIterator<Item = (&'static str, &'t str)>,
    ) {
        self.raw("<tr>");
        for (class, text) in cells {
            match class {
                "" => self.element("td", text),
                class => self.element(&format!("td class=\"{class}\""), text),
            };
        }
        self.raw("</tr>\n");
    }

    /// The markup.
    pub(in super::super) fn into_string(self) -> String {
        self.0
    }
}

/// A character of a text or of an attribute.
struct Escaped(char);

impl Escaped {
    fn chars(self) -> impl Iterator<Item = char> {
        let entity = match self.0 {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => "",
        };
        let plain = match self.0 {
            '\n' | '\t' => Some(' '),
            // Characters that no document may hold, and those that turn the line round.
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => Some('\u{FFFD}'),
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Some('\u{FFFD}'),
            c => Some(c),
        };
        entity.chars().chain(plain.filter(|_| entity.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        let mut page = Page::default();
        page.element("td class=\"n\"", "<b> & \"c\" 'd'\u{8d}\u{202e}\0");
        let expected = "<td class=\"n\">&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\u{FFFD}\u{FFFD}\u{FFFD}</td>";
        assert_eq!(page.into_string(), expected);
    }
}
