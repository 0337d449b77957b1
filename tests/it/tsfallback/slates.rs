//! What is shown where no input is: a file, or what ffmpeg makes like the channel.

use super::complaints;
use super::live::LiveFeed;
use super::seeds::small;
use super::sockets::Fallback;
use crate::harness::{in_own_network, judge};

const ONE: &str = "udp://239.9.0.1:5000";
const ADDRESS: &str = "239.9.0.1:5000";

#[test]
fn a_file_and_a_slate_that_is_made_fill_in_where_no_input_is() {
    in_own_network(
        "tsfallback::slates::a_file_and_a_slate_that_is_made_fill_in_where_no_input_is",
        || {
            for slate in [small(1).to_str().unwrap(), "bars"] {
                let mut fallback =
                    Fallback::start(&[ONE], &["--timeout", "300ms", "--slate", slate]);
                // Nothing was ever there: the output begins with the slate.
                fallback.wait_for_input(2);
                let feed = LiveFeed::start(&small(0), ADDRESS);
                fallback.wait_for_input(1);
                // A slate like the channel takes its time.
                fallback.wait_on_air(1, 6000);
                drop(feed);
                fallback.wait_for_input(2);
                fallback.wait_on_air(2, 1500);
                let _feed = LiveFeed::start(&small(0), ADDRESS);
                fallback.wait_for_input(1);
                fallback.wait_on_air(1, 1500);
                let file = fallback.stop();
                assert_eq!(fallback.switched(), [2, 1, 2, 1], "{}", fallback.log());
                assert_eq!(complaints(&file), "", "{slate}\n{}", fallback.log());
                judge(&file, &["--ignore", "tstd,pts_interval"]);
            }
        },
    );
}
