//! An encoder that speaks RTMP byte by byte as the tests want it: Enhanced tags, odd clocks, silence, torrents. The
//! handshake and the commands are `rml_rtmp`'s client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;

use crate::stage::{KEY, PATIENCE, Server};

pub(crate) struct Encoder {
    stream: TcpStream,
    session: ClientSession,
}

impl Encoder {
    /// Connects to `app` and publishes `name`.
    pub(crate) fn publish_as(server: &Server, app: &str, name: &str) -> Self {
        let address = server.rtmp.trim_start_matches("rtmp://").trim_end_matches("/live");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut handshake = Handshake::new(PeerType::Client);
        stream.write_all(&handshake.generate_outbound_p0_and_p1().unwrap()).unwrap();
        let mut buffer = [0; 4096];
        let rest = loop {
            let length = stream.read(&mut buffer).unwrap();
            match handshake.process_bytes(&buffer[..length]).unwrap() {
                HandshakeProcessResult::InProgress { response_bytes } => {
                    stream.write_all(&response_bytes).unwrap();
                }
                HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                    stream.write_all(&response_bytes).unwrap();
                    break remaining_bytes;
                }
            }
        };
        let (session, first) = ClientSession::new(ClientSessionConfig::new()).unwrap();
        let mut encoder = Self { stream, session };
        encoder.run(first);
        if !rest.is_empty() {
            let results = encoder.session.handle_input(&rest).unwrap();
            encoder.run(results);
        }
        let request = encoder.session.request_connection(app.into()).unwrap();
        encoder.run(vec![request]);
        encoder.until(|event| matches!(event, ClientSessionEvent::ConnectionRequestAccepted));
        let request = encoder.session.request_publishing(name.into(), PublishRequestType::Live).unwrap();
        encoder.run(vec![request]);
        encoder.until(|event| matches!(event, ClientSessionEvent::PublishRequestAccepted));
        encoder
    }

    pub(crate) fn publish(server: &Server) -> Self {
        Self::publish_as(server, "live", KEY)
    }

    fn run(&mut self, results: Vec<ClientSessionResult>) -> Vec<ClientSessionEvent> {
        let mut events = Vec::new();
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.stream.write_all(&packet.bytes).unwrap();
                }
                ClientSessionResult::RaisedEvent(event) => events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        events
    }

    fn until(&mut self, is_it: impl Fn(&ClientSessionEvent) -> bool) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the server closed the connection");
            let results = self.session.handle_input(&buffer[..length]).unwrap();
            if self.run(results).iter().any(&is_it) {
                return;
            }
        }
    }

    /// Sends a video tag's body.
    pub(crate) fn video(&mut self, stamp: u32, body: Bytes) -> std::io::Result<()> {
        let sent = self.session.publish_video_data(body, RtmpTimestamp::new(stamp), false).unwrap();
        self.send(sent)
    }

    /// Sends an audio tag's body.
    pub(crate) fn audio(&mut self, stamp: u32, body: Bytes) -> std::io::Result<()> {
        let sent = self.session.publish_audio_data(body, RtmpTimestamp::new(stamp), false).unwrap();
        self.send(sent)
    }

    fn send(&mut self, result: ClientSessionResult) -> std::io::Result<()> {
        match result {
            ClientSessionResult::OutboundResponse(packet) => self.stream.write_all(&packet.bytes),
            _ => Ok(()),
        }
    }

    /// What the server does next: `true` when it closes.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        match self.stream.read(&mut [0; 4096]) {
            Ok(length) => length == 0,
            Err(error) => {
                !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
            }
        }
    }
}

/// The tags of an FLV file: type, milliseconds, body.
pub(crate) fn flv_tags(path: &std::path::Path) -> Vec<(u8, u32, Bytes)> {
    let file = Bytes::from(std::fs::read(path).unwrap());
    let (mut at, mut tags) = (13, Vec::new());
    while at + 11 <= file.len() {
        let length = u32::from_be_bytes([0, file[at + 1], file[at + 2], file[at + 3]]) as usize;
        let stamp = u32::from_be_bytes([file[at + 7], file[at + 4], file[at + 5], file[at + 6]]);
        tags.push((file[at], stamp, file.slice(at + 11..at + 11 + length)));
        at += 11 + length + 4;
    }
    tags
}
