//! One event as the bytes of `text/event-stream`, HTML 9.2.5.

use bytes::Bytes;

/// The event whose data is `data`, whatever line ends it holds: each line becomes a field.
#[must_use]
pub fn event(data: &str) -> Bytes {
    let mut block = String::with_capacity(data.len() + "data: \n\n".len());
    for line in lines(data) {
        block.push_str("data: ");
        block.push_str(line);
        block.push('\n');
    }
    block.push('\n');
    block.into()
}

/// The lines of `text`, ended by LF, CR or CRLF; one empty line when it is empty.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            return rest.take();
        };
        let (line, tail) = text.split_at(end);
        rest = Some(tail.strip_prefix("\r\n").unwrap_or(&tail[1..]));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn every_kind_of_line_end_begins_a_new_data_field() {
        for (data, block) in [
            ("9:05:07 AM", "data: 9:05:07 AM\n\n"),
            ("", "data: \n\n"),
            ("a\nb", "data: a\ndata: b\n\n"),
            ("a\rb", "data: a\ndata: b\n\n"),
            ("a\r\nb", "data: a\ndata: b\n\n"),
            ("a\n\rb", "data: a\ndata: \ndata: b\n\n"),
            ("a\n", "data: a\ndata: \n\n"),
            (" a", "data:  a\n\n"),
            (":é\0", "data: :é\0\n\n"),
        ] {
            assert_eq!(event(data), block, "{data:?}");
        }
    }
}
