//! Finds mistakes in a template's HTML and CSS, with their lines: the layout itself forgives them silently. Pure.

use takumi::prelude::StyleSheet;

/// Elements that have no end.
const VOID: [&str; 6] = ["img", "br", "hr", "wbr", "input", "meta"];
/// What a card cannot have: it would be silently nothing.
const FOREIGN: [&str; 8] = ["script", "iframe", "link", "video", "audio", "canvas", "object", "form"];

/// A line, from 1, and what is wrong there.
pub type Mistake = (usize, String);

fn line_at(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}

/// Whether every element that begins ends, in order. Tags inside `{% %}`, `{{ }}` and comments do not count.
///
/// # Errors
/// The first mistake.
pub fn html(text: &str) -> Result<(), Mistake> {
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['<', '{']) {
        let start = at + found;
        let rest = &text[start..];
        if let Some(end) = skipped(rest) {
            at = start + end;
            continue;
        }
        at = start + 1;
        if !rest.starts_with('<') {
            continue;
        }
        let name: String =
            rest[1..].trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        if name.is_empty() {
            continue;
        }
        let line = line_at(text, start);
        let Some(end) = tag_end(rest) else { return Err((line, format!("the tag <{name} does not end"))) };
        at = start + end;
        if FOREIGN.contains(&name.as_str()) {
            return Err((line, format!("<{name}> is not for cards")));
        }
        if rest.starts_with("</") {
            match open.pop() {
                Some((opened, _)) if opened == name => {}
                Some((opened, from)) => {
                    return Err((line, format!("</{name}> where </{opened}> of line {from} is wanted")));
                }
                None => return Err((line, format!("</{name}> ends nothing"))),
            }
        } else if !VOID.contains(&name.as_str()) && !rest[..end].ends_with("/>") {
            open.push((name, line));
        }
    }
    match open.pop() {
        Some((name, line)) => Err((line, format!("<{name}> is not ended"))),
        None => Ok(()),
    }
}

/// The length of a comment or of template language at the start of `rest`.
fn skipped(rest: &str) -> Option<usize> {
    [("<!--", "-->"), ("{%", "%}"), ("{{", "}}"), ("{#", "#}")]
        .into_iter()
        .find(|(begin, _)| rest.starts_with(begin))
        .map(|(begin, end)| {
            rest[begin.len()..].find(end).map_or(rest.len(), |at| begin.len() + at + end.len())
        })
}

/// Where a tag ends; a `>` in quotes or in template language does not end it.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    let mut at = 1;
    while at < rest.len() {
        if let Some(length) = skipped(&rest[at..]).filter(|_| rest.as_bytes()[at] == b'{') {
            at += length;
            continue;
        }
        let byte = rest.as_bytes()[at];
        at += 1;
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
        while at < rest.len() && !rest.is_char_boundary(at) {
            at += 1;
        }
    }
    None
}

/// Whether the style sheet can be read: braces that match, rules that the layout knows.
///
/// # Errors
/// The first mistake.
pub fn css(text: &str) -> Result<(), Mistake> {
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            continue;
        }
        match rest.as_bytes()[0] {
            b'{' => open.push(at),
            b'}' if open.pop().is_none() => return Err((line_at(text, at), "} ends nothing".into())),
            _ => {}
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    if let Some(at) = open.pop() {
        return Err((line_at(text, at), "{ is not ended".into()));
    }
    match StyleSheet::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            // The rule is known, not the line: the parser keeps its text.
            let at = error.context.as_deref().and_then(|rule| text.find(rule.trim()));
            let rule: String = error.context.as_deref().unwrap_or_default().trim().chars().take(60).collect();
            Err((at.map_or(0, |at| line_at(text, at)), format!("{:?} in the rule {rule:?}", error.kind)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_that_does_not_balance_is_told_with_its_line() {
        assert_eq!(html("<div>\n{% if a > b %}<img src=\"x\">{% endif %}<!-- <p> --></div>"), Ok(()));
        assert_eq!(html("<div title=\"a > b\" {% if x %}class='y'{% endif %}>{{ a < b }}</div>"), Ok(()));
        assert_eq!(html("<div>\n<p>\n</div>").unwrap_err().0, 3);
        assert_eq!(html("<div>\n<p>").unwrap_err(), (2, "<p> is not ended".into()));
        assert_eq!(html("a\n</p>").unwrap_err().0, 2);
        assert_eq!(html("\n<script>x</script>").unwrap_err().0, 2);
        assert_eq!(html("<div").unwrap_err().0, 1);
    }

    #[test]
    fn styles_that_cannot_be_read_are_told_with_their_line() {
        assert_eq!(css(".a { color: red }\n/* } */ .b { width: 10px }"), Ok(()));
        assert_eq!(css(".a {\n color: red\n").unwrap_err().0, 1);
        assert_eq!(css(".a { color: red }\n}").unwrap_err().0, 2);
        let (line, detail) = css(".a { width: 1px }\n.b { width: banana }").unwrap_err();
        assert!(line == 2, "{line}: {detail}");
    }
}
