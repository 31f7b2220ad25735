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
    let body = Bytes::from_static(&[0x17, 1, 0, 0, 0, 5, 6, 7]);
    let sent = pair.client.publish_video_data(body, RtmpTimestamp::new(40), false).unwrap();
    pair.run(vec![sent]);
    assert!(matches!(pair.events.last(), Some(Event::Video(40, flv::Tag::Unit { is_keyframe: true, .. }))));
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
fn the_key_may_be_the_end_of_the_app() {
    let session = Session { app: "live/secret".into(), ..Session::default() };
    assert_eq!(session.key_of(Some(&Amf0Value::Utf8String(String::new()))), "secret");
}
