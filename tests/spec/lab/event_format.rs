//! The format of an event (HTML 9.2.5).

use sse_clock::stream::sse::{Fields, data};

#[test]
fn every_kind_of_line_end_begins_a_new_data_field() {
    for (text, block) in [
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
        assert_eq!(data(text), block, "{text:?}");
    }
}

#[test]
fn the_reconnection_time_comes_first_and_the_data_last() {
    let fields = Fields {
        retry: Some(5),
        event: Some("a b"),
        id: Some(7),
    };
    assert_eq!(
        fields.prefix_to(data("c")),
        "retry: 5\nevent: a b\nid: 7\ndata: c\n\n"
    );
}

#[test]
fn a_name_cannot_end_its_line() {
    let fields = Fields {
        event: Some("a\r\n\0b"),
        ..Fields::default()
    };
    assert_eq!(fields.prefix_to(data("c")), "event: ab\ndata: c\n\n");
}
