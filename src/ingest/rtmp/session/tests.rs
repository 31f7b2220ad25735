use super::*;
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
};

/// A real client (`rml_rtmp`'s) and our session, joined without a network.
struct Pair {
    client: ClientSession,
    server: Session,
    events: Vec<Event>,
    heard: Vec<ClientSessionEvent>,
}

fn connected() -> Pair {
    let mut handshake = Handshake::new(PeerType::Client);
    let mut server = Session::default();
    server.feed(&handshake.generate_outbound_p0_and_p1().unwrap()).unwrap();
    let answer = server.take_output();
    let HandshakeProcessResult::Completed { response_bytes, .. } = handshake.process_bytes(&answer).unwrap()
    else {
        panic!("the handshake should be done");
    };
    server.feed(&response_bytes).unwrap();
    let (client, first) = ClientSession::new(ClientSessionConfig::new()).unwrap();
    let mut pair = Pair { client, server, events: Vec::new(), heard: Vec::new() };
    pair.run(first);
    let request = pair.client.request_connection("live".into()).unwrap();
    pair.run(vec![request]);
    pair
}

impl Pair {
    fn run(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    let events = self.server.feed(&packet.bytes).unwrap();
                    self.events.extend(events);
                    self.answer();
                }
                ClientSessionResult::RaisedEvent(event) => self.heard.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }

    fn answer(&mut self) {
        let output = self.server.take_output();
        if !output.is_empty() {
            let results = self.client.handle_input(&output).unwrap();
            self.run(results);
        }
    }

    fn publish(&mut self, key: &str) {
        let request = self.client.request_publishing(key.into(), PublishRequestType::Live).unwrap();
        self.run(vec![request]);
    }
}

#[test]
fn a_client_connects_publishes_and_sends_media() {
    let mut pair = connected();
    assert!(matches!(pair.heard[..], [ClientSessionEvent::ConnectionRequestAccepted]), "{:?}", pair.heard);
    pair.publish("thekey?token=1");
    assert_eq!(pair.events, [Event::Publish { key: "thekey".into() }]);
    pair.server.accept().unwrap();
    pair.answer();
    assert!(matches!(pair.heard.last(), Some(ClientSessionEvent::PublishRequestAccepted)));
    for body in [&[0x17, 0, 0, 0, 0, 1][..], &[0x17, 1, 0, 0, 0, 5, 6, 7]] {
        let body = Bytes::copy_from_slice(body);
        let sent = pair.client.publish_video_data(body, RtmpTimestamp::new(40), false).unwrap();
        pair.run(vec![sent]);
    }
    let Some(Event::Media(Kind::Video, 40, tags)) = pair.events.last() else { panic!("{:?}", pair.events) };
    assert!(matches!(tags[..], [flv::Tag::Unit { is_keyframe: true, .. }]));
}

#[test]
fn media_before_publish_ends_the_connection() {
    let mut pair = connected();
    let mut serializer = ChunkSerializer::new();
    let payload = RtmpMessage::VideoData { data: Bytes::from_static(&[0x17, 0]) }
        .into_message_payload(RtmpTimestamp::new(0), 1)
        .unwrap();
    let packet = serializer.serialize(&payload, true, false).unwrap();
    assert!(matches!(pair.server.feed(&packet.bytes), Err(Error::Order(_))));
}

#[test]
fn random_bytes_are_no_handshake() {
    let mut session = Session::default();
    assert!(matches!(session.feed(b"GET / HTTP/1.1\r\n\r\n"), Err(Error::Handshake(_))));
}

#[test]
fn broken_amf_ends_with_the_type_and_no_panic() {
    let mut pair = connected();
    let mut bytes = vec![3, 0, 0, 0, 0, 0, 8, 20, 0, 0, 0, 0];
    bytes.extend_from_slice(&[2, 0, 200, b'x', 0, 0, 0, 0]);
    let error = pair.server.feed(&bytes).unwrap_err();
    assert!(matches!(error, Error::Message { type_id: 20, .. }), "{error}");
}

#[test]
fn metadata_is_read_as_encoders_write_it() {
    let values = vec![
        Amf0Value::Utf8String("@setDataFrame".into()),
        Amf0Value::Utf8String("onMetaData".into()),
        properties([
            ("width", Amf0Value::Number(1280.0)),
            ("height", Amf0Value::Number(-5.0)),
            ("encoder", Amf0Value::Utf8String("obs-output module\u{7}".into())),
        ]),
    ];
    let read = metadata(&rml_amf0::serialize(&values).unwrap()).unwrap();
    assert_eq!(read, Metadata { width: Some(1280), height: None, encoder: Some("obs-output module".into()) });
}

#[test]
fn the_key_is_found_wherever_encoders_put_it() {
    for (app, name, key) in [
        ("live", "k3y", "k3y"),
        ("live", "k3y?token=1", "k3y"),
        ("live/k3y", "", "k3y"),
        ("live/k3y/", "", "k3y"),
        ("k3y", "", "k3y"),
        ("live", "stream?key=k3y&x=1", "k3y"),
        ("live?key=k3y", "stream", "k3y"),
        ("live?x=1&key=k3y", "", "k3y"),
        ("live", "main/k3y", "k3y"),
        ("live", "", "live"),
    ] {
        let session = Session { app: app.into(), ..Session::default() };
        assert_eq!(session.key_of(Some(&Amf0Value::Utf8String(name.into()))), key, "{app} {name}");
    }
}

/// A message in one chunk of format 0.
fn chunk(type_id: u8, stamp: u32, body: &[u8]) -> Vec<u8> {
    let (stamp, length) = (stamp.to_be_bytes(), (body.len() as u32).to_be_bytes());
    let mut bytes =
        vec![6, stamp[1], stamp[2], stamp[3], length[1], length[2], length[3], type_id, 1, 0, 0, 0];
    bytes.extend_from_slice(body);
    bytes
}

fn publishing() -> Pair {
    let mut pair = connected();
    pair.publish("k3y");
    pair.server.accept().unwrap();
    pair.server.feed(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap(); // chunks of 64 KiB
    pair
}

#[test]
fn an_aggregate_message_is_its_tags_with_times_from_the_messages() {
    let mut pair = publishing();
    let tag = |type_id: u8, stamp: u8, body: &[u8]| {
        let mut bytes = vec![type_id, 0, 0, body.len() as u8, 0, 0, stamp, 0, 0, 0, 0];
        bytes.extend_from_slice(body);
        bytes.extend((body.len() as u32 + 11).to_be_bytes());
        bytes
    };
    let body = [
        tag(9, 100, &[0x17, 0, 0, 0, 0, 1]),
        tag(9, 100, &[0x17, 1, 0, 0, 0, 5]),
        tag(8, 123, &[0xaf, 0, 0x12, 0x10]),
        tag(9, 140, &[0x27, 1, 0, 0, 0, 5]),
    ]
    .concat();
    let events = pair.server.feed(&chunk(22, 5000, &body)).unwrap();
    let times: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Media(kind, stamp, _) => (*kind, *stamp),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [(Kind::Video, 5000), (Kind::Video, 5000), (Kind::Audio, 5023), (Kind::Video, 5040)]);
    assert!(pair.server.feed(&chunk(22, 5000, &[9, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 1])).is_err());
}

#[test]
fn an_amf3_connect_and_publish_are_understood() {
    let mut pair = connected();
    // "publish", 5, null, then the key as AMF3, as a Flash-era encoder sends it.
    let mut body = vec![0, 2, 0, 7];
    body.extend_from_slice(b"publish");
    body.extend_from_slice(&[0, 0x40, 0x14, 0, 0, 0, 0, 0, 0, 5, 17, 6, 7]);
    body.extend_from_slice(b"k3y");
    let events = pair.server.feed(&chunk(17, 0, &body)).unwrap();
    assert_eq!(events, [Event::Publish { key: "k3y".into() }]);
}

#[test]
fn connect_is_answered_with_enhanced_capabilities() {
    let pair = connected();
    assert!(matches!(pair.heard[..], [ClientSessionEvent::ConnectionRequestAccepted]));
    let [_, (_, video), _, (_, caps)] = enhanced_capabilities();
    let video = amf::properties(video).unwrap();
    assert_eq!((video["hvc1"].clone(), caps), (Amf0Value::Number(1.0), Amf0Value::Number(14.0)));
}

/// Flash's digest handshake: C1 carries a digest, and S2 must be signed with it.
#[test]
fn the_digest_handshake_completes_with_both_schemes_and_the_simple_one_too() {
    let mut simple = Session::default();
    let mut c0c1 = vec![3];
    c0c1.extend(vec![0; 1536]);
    simple.feed(&c0c1).unwrap();
    let answer = simple.take_output();
    assert_eq!(answer.len(), 1 + 1536 * 2, "S0, S1, S2");
    assert_eq!(answer[1537..1541], c0c1[1..5], "the peer's own time comes back");
    for place in [8, 772] {
        flash_handshake(place);
    }
}

/// HMAC-SHA256 (RFC 2104), for keys up to a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect() };
    let inner = sha2::Sha256::digest([pad(0x36), message.to_vec()].concat());
    sha2::Sha256::digest([pad(0x5c), inner.to_vec()].concat()).into()
}

/// As a Flash-era encoder: a digest in C1, found through the four bytes at `place`; S2 must be signed with it.
fn flash_handshake(place: usize) {
    let mut c1: Vec<u8> = (0..1536_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    c1[4..8].copy_from_slice(&[9, 0, 124, 2]);
    let sum: usize = c1[place..place + 4].iter().map(|byte| usize::from(*byte)).sum();
    let at = sum % 728 + place + 4;
    let around = [&c1[..at], &c1[at + 32..]].concat();
    let digest = hmac(b"Genuine Adobe Flash Player 001", &around);
    c1[at..at + 32].copy_from_slice(&digest);
    let mut session = Session::default();
    session.feed(&[&[3], &c1[..]].concat()).unwrap();
    let answer = session.take_output();
    let s2 = &answer[1537..];
    let secret = [
        0xf0_u8, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
        0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
    ];
    // The key is longer than a block, so it is hashed first.
    let key = [&b"Genuine Adobe Flash Media Server 001"[..], &secret].concat();
    let key: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(key).into();
    assert_eq!(s2[1504..], hmac(&hmac(&key, &digest), &s2[..1504]), "digest through byte {place}");
    session.feed(&[0; 1536]).unwrap(); // C2
    session
        .feed(&chunk(
            20,
            0,
            &rml_amf0::serialize(&vec![
                Amf0Value::Utf8String("releaseStream".into()),
                Amf0Value::Number(2.0),
            ])
            .unwrap(),
        ))
        .unwrap();
    assert!(!session.take_output().is_empty(), "the conversation goes on");
}
