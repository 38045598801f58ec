//! The format of an event (HTML 9.2.5).

use sse_clock::stream::sse::{Event, data};

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
fn the_fields_of_an_event_come_in_the_order_of_the_calls_and_its_data_last() {
    let event = Event::default().retry(5).event("a b").id(7);
    let bytes = "retry: 5\nevent: a b\nid: 7\ndata: c\n\n";
    assert_eq!(event.clone().data("c"), bytes);
    assert_eq!(event.before(data("c")), bytes);
    let event = Event::default().retry(None).event(None);
    assert_eq!(event.data("c"), "data: c\n\n");
}

#[test]
fn a_type_and_an_id_cannot_end_their_lines() {
    let event = Event::default().event("a\r\n\0b").id("1\n\r\0x");
    assert_eq!(event.data("c"), "event: ab\nid: 1x\ndata: c\n\n");
}
