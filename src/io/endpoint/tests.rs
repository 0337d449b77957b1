use super::*;
use crate::stream::fec::FecLayout;
use proptest::prelude::*;

fn normal(text: &str) -> String {
    match text.parse::<Endpoint>() {
        Ok(endpoint) => endpoint.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn each_spelling_has_one_normal_form() {
    for (typed, expected) in [
        ("-", "-"),
        ("file:-", "file:-"),
        ("/var/lib/one.ts", "/var/lib/one.ts"),
        ("file:one.ts", "one.ts"),
        ("./239.0.0.1", "./239.0.0.1"),
        ("file:239.0.0.1", "file:239.0.0.1"),
        ("a:b@c", "a:b@c"),
        (
            "exec: srt-live-transmit x?a=b ",
            "exec: srt-live-transmit x?a=b ",
        ),
        ("udp://239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("udp://@:1234", "udp://0.0.0.0:1234"),
        ("udp://:1234/", "udp://0.0.0.0:1234"),
        (
            "udp://10.1.2.3@232.0.0.1:1234",
            "udp://10.1.2.3@232.0.0.1:1234",
        ),
        (
            "udp://eth0@239.0.0.1:1234",
            "udp://239.0.0.1:1234?iface=eth0",
        ),
        ("udp://[ff15::1]:5", "udp://[ff15::1]:5"),
        (
            "udp://2001:db8::1@[ff35::1]:5",
            "udp://[2001:db8::1]@[ff35::1]:5",
        ),
        ("udp://[ff02::1%lo]:5", "udp://[ff02::1]:5?iface=lo"),
        (
            "rtp://receiver-7.example:5004",
            "rtp://receiver-7.example:5004",
        ),
        (
            "rtp://239.0.0.1:5?ssrc=0x10&loop=0&pkts=1&timeout=1500ms&sndbuf=1M&rcvbuf=8MiB&tos=0xb8&ttl=3&iface=10.0.0.1",
            "rtp://239.0.0.1:5?iface=10.0.0.1&ttl=3&tos=184&rcvbuf=8388608&sndbuf=1000000&pkts=1&timeout=1s500ms&loop=0&ssrc=16",
        ),
        (
            "rtp://239.0.0.1:5004?fec=10x05",
            "rtp://239.0.0.1:5004?fec=10x5",
        ),
        (
            "rtp://239.0.0.1:5004?fec=5x20+rows&ttl=1",
            "rtp://239.0.0.1:5004?ttl=1&fec=5x20+rows",
        ),
        (
            "udp://@239.0.0.1:5004?fec=1500ms",
            "udp://239.0.0.1:5004?fec=1s500ms",
        ),
        (
            "rtp://239.0.0.1:5004?fec=auto",
            "rtp://239.0.0.1:5004?fec=auto",
        ),
        ("239.0.0.1", "udp://239.0.0.1:1234"),
        ("239.0.0.1:5000", "udp://239.0.0.1:5000"),
        (
            "@239.0.0.1:1234/ifaddr=10.0.0.1",
            "udp://239.0.0.1:1234?iface=10.0.0.1",
        ),
        (
            "@239.0.0.1/ifindex=2/ttl=9/udp",
            "udp://239.0.0.1:1234?iface=2&ttl=9",
        ),
        (
            "10.0.0.9@239.255.0.1:5004",
            "udp://10.0.0.9@239.255.0.1:5004",
        ),
        (
            "239.255.0.1:5004@10.0.0.2",
            "udp://239.255.0.1:5004?iface=10.0.0.2",
        ),
        ("@:5004", "udp://0.0.0.0:5004"),
        ("@[ff15::1]/ifname=lo", "udp://[ff15::1]:1234?iface=lo"),
        ("[ff15::1]:77", "udp://[ff15::1]:77"),
    ] {
        assert_eq!(normal(typed), expected, "{typed}");
        assert_eq!(normal(expected), expected, "{expected}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_users_words() {
    for (typed, words) in [
        ("", "empty"),
        ("file:", "a path must follow"),
        ("exec:  ", "a command must follow"),
        ("udp://239.0.0.1", "the port is missing"),
        ("udp://239.0.0.1:0", "'0' is no port"),
        ("udp://239.0.0.1:70000", "'70000' is no port"),
        ("udp://239.0.0.300:5", "'239.0.0.300' is no address"),
        ("udp://ff15::1:5", "in brackets"),
        ("udp://[ff15::1:5", "not closed"),
        ("udp://10.0.0.1@[ff15::1]:5", "different families"),
        ("udp://239.0.0.2@239.0.0.1:5", "one sender"),
        ("udp://eth0@239.0.0.1:5?iface=eth1", "given twice"),
        ("udp://239.0.0.1:5?ttl=1&ttl=2", "given twice"),
        ("udp://239.0.0.1:5?ttl=256", "0 to 255"),
        ("udp://239.0.0.1:5?pkts=48", "1 to 47"),
        ("udp://239.0.0.1:5?timeout=5", "a duration"),
        ("udp://239.0.0.1:5?rcvbuf=3GiB", "below 2 GiB"),
        ("udp://239.0.0.1:5?rcvbuf=2147483648", "below 2 GiB"),
        (
            "udp://239.0.0.1:5?fifo_size=9",
            "'fifo_size' is unknown; known are iface, ttl, tos, rcvbuf, sndbuf, pkts, timeout, loop, ssrc, fec",
        ),
        ("rtp://239.0.0.1:5?fec=1", "auto or a duration"),
        ("rtp://239.0.0.1:5?fec=3x5+rows", "with rows 4 to 20"),
        ("rtp://239.0.0.1:5?fec=20x6", "L x D of 100 at most"),
        ("rtp://239.0.0.1:5?fec=5x3", "D of 4 to 20"),
        ("rtp://239.0.0.1:5?fec=11s", "up to 10s"),
        ("udp://239.0.0.1:5?ttl", "has no value"),
        ("@239.0.0.1/tcp", "no counterpart"),
        ("10.0.0.1@10.0.0.2", "neither is a group"),
        ("srt://host:9000", "exec:srt-live-transmit"),
        ("http://x", "known are udp://, rtp://, file: and exec:"),
    ] {
        let said = normal(typed);
        assert!(
            said.starts_with(&format!("error: '{typed}' is no endpoint: ")) && said.contains(words),
            "{typed}: {said}"
        );
    }
}

fn interface() -> impl Strategy<Value = Interface> {
    prop_oneof![
        "[a-z][a-z0-9.-]{0,14}".prop_map(Interface::Name),
        (1u32..).prop_map(Interface::Index),
        any::<IpAddr>().prop_map(Interface::Address),
    ]
}

fn size() -> impl Strategy<Value = crate::units::ByteCount> {
    (1u64..1 << 31).prop_map(crate::units::ByteCount::new)
}

fn fec() -> impl Strategy<Value = Fec> {
    let layout = |(columns, rows, both)| FecLayout::new(columns, rows, both);
    prop_oneof![
        Just(Fec::Auto),
        (1u64..=10_000).prop_map(|ms| Fec::Wait(std::time::Duration::from_millis(ms))),
        (1u8..=20, 4u8..=20, any::<bool>())
            .prop_filter_map("beyond the limits", layout)
            .prop_map(Fec::Matrix),
    ]
}

prop_compose! {
    fn options()(
        interface in proptest::option::of(interface()),
        ttl in any::<Option<u8>>(),
        tos in any::<Option<u8>>(),
        rcvbuf in proptest::option::of(size()),
        sndbuf in proptest::option::of(size()),
        packets in proptest::option::of(1u8..=47),
        timeout in proptest::option::of((1u64..100_000_000).prop_map(std::time::Duration::from_millis)),
        multicast_loop in any::<Option<bool>>(),
        ssrc in any::<Option<u32>>(),
        fec in proptest::option::of(fec()),
    ) -> SocketOptions {
        SocketOptions { interface, ttl, tos, rcvbuf, sndbuf, packets, timeout, multicast_loop, ssrc, fec }
    }
}

prop_compose! {
    fn socket()(
        rtp in any::<bool>(),
        host in prop_oneof![
            any::<IpAddr>().prop_map(Host::Address),
            "[a-z][a-z0-9-]{0,9}(\\.[a-z]{2,5})?".prop_map(Host::Name),
        ],
        port in 1u16..,
        source in any::<Option<IpAddr>>(),
        options in options(),
    ) -> SocketEndpoint {
        let family = match &host { Host::Address(a) => Some(a.is_ipv4()), Host::Name(_) => None };
        let source = source.filter(|s| {
            !s.is_multicast() && !s.is_unspecified() && family.is_none_or(|v4| v4 == s.is_ipv4())
        });
        let protocol = if rtp { Protocol::Rtp } else { Protocol::Udp };
        SocketEndpoint { protocol, host, port, source, options }
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(endpoint in prop_oneof![
        Just(Endpoint::Standard),
        "[^\\x00]{1,40}".prop_map(|p| Endpoint::File(p.into())),
        "[^\\x00]*[a-z][^\\x00]*".prop_map(Endpoint::Exec),
        socket().prop_map(Endpoint::Socket),
    ]) {
        prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
    }

    #[test]
    fn any_text_is_an_endpoint_or_an_error_and_its_normal_form_is_stable(text in "\\PC{0,40}") {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
    }

    #[test]
    fn near_misses_of_urls_never_panic(text in "(udp://|rtp://|@|)[0-9a-f.:@\\[\\]%/?&=]{0,30}") {
        let _ = normal(&text);
    }
}
