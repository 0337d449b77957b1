use super::*;

#[test]
fn ranges_of_pids_read_what_they_print_and_nothing_else() {
    for text in ["0x0100", "0x0010-0x001f"] {
        assert_eq!(text.parse::<PidRange>().unwrap().to_string(), text);
    }
    assert_eq!("16 - 31".parse(), "0x10-0x1F".parse::<PidRange>());
    for text in ["", "-", "1-", "0x20-0x10", "0-8192", "1-2-3"] {
        assert!(text.parse::<PidRange>().is_err(), "{text}");
    }
}
