//! The part of libsrt that a listener needs, behind a safe face: sockets that close themselves, bytes and numbers out.
//!
//! The gnutls flavour, because `GStreamer`'s own SRT plugin on Debian and Ubuntu links that one, and two flavours in
//! one process clash.
//!
//! Source: `srt.h` of libsrt 1.5; constants and layouts are its, checked against 1.5.1.

#![allow(unsafe_code)] // calls into a C library; what each needs is said where it stands

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

type Handle = i32;

const ERROR: c_int = -1;
const SRTO_RCVTIMEO: c_int = 14;
const SRTO_PASSPHRASE: c_int = 26;
const SRTO_RCVLATENCY: c_int = 43;
const SRTO_STREAMID: c_int = 46;
const SRTO_IPV6ONLY: c_int = 54;
const SRTO_PEERIDLETIMEO: c_int = 55;
/// `SRT_ETIMEOUT` and `SRT_EASYNCRCV`.
const NOTHING_YET: [c_int; 2] = [6003, 6002];
/// Largest message in live mode.
const MESSAGE: usize = 1456;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// What libsrt says of a call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// libsrt's codes for refusing a handshake: `access_control.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// The stream id cannot be read.
    BadRequest = 1400,
    /// The key is wrong.
    Unauthorized = 1401,
    /// Too many tries.
    Overload = 1402,
    /// Playing.
    BadMode = 1405,
}

/// `SRT_TRACEBSTATS`, whole, since libsrt fills all of it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Trace {
    ms_time_stamp: i64,
    pkt_sent_total: i64,
    pkt_recv_total: i64,
    pkt_snd_loss_total: c_int,
    pkt_rcv_loss_total: c_int,
    pkt_retrans_total: c_int,
    acks_naks_totals: [c_int; 4],
    us_snd_duration_total: i64,
    pkt_snd_drop_total: c_int,
    pkt_rcv_drop_total: c_int,
    pkt_rcv_undecrypt_total: c_int,
    byte_totals: [u64; 7],
    pkt_sent: i64,
    pkt_recv: i64,
    pkt_snd_loss: c_int,
    pkt_rcv_loss: c_int,
    pkt_retrans: c_int,
    pkt_rcv_retrans: c_int,
    acks_naks: [c_int; 4],
    mbps_rates: [f64; 2],
    us_snd_duration: i64,
    pkt_reorder_distance: c_int,
    pkt_rcv_avg_belated_time: f64,
    pkt_rcv_belated: i64,
    drops: [c_int; 3],
    bytes: [u64; 7],
    us_pkt_snd_period: f64,
    windows: [c_int; 3],
    ms_rtt: f64,
    mbps_bandwidth: f64,
    byte_avail: [c_int; 2],
    mbps_max_bw: f64,
    byte_mss: c_int,
    buffers: [c_int; 8],
    filters: [c_int; 8],
    pkt_reorder_tolerance: c_int,
    uniques: [i64; 8],
}

/// Room for what later versions add to the end.
#[repr(C)]
struct TraceWithRoom {
    trace: Trace,
    room: [u64; 64],
}

/// What is counted since the last look, but for the round trip.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Round trip in milliseconds.
    pub rtt_ms: f64,
    /// Packets received.
    pub packets: u64,
    /// Missing when their followers came.
    pub lost: u64,
    /// Came again.
    pub retransmitted: u64,
    /// Missing for good.
    pub dropped: u64,
    /// Not to be decrypted.
    pub undecrypted: u64,
}

type ListenCallback = unsafe extern "C" fn(*mut c_void, Handle, c_int, *const c_void, *const c_char) -> c_int;

#[link(name = "srt-gnutls")]
unsafe extern "C" {
    fn srt_startup() -> c_int;
    fn srt_create_socket() -> Handle;
    fn srt_bind(socket: Handle, name: *const c_void, length: c_int) -> c_int;
    fn srt_listen(socket: Handle, backlog: c_int) -> c_int;
    fn srt_listen_callback(socket: Handle, hook: ListenCallback, opaque: *mut c_void) -> c_int;
    fn srt_accept(socket: Handle, address: *mut c_void, length: *mut c_int) -> Handle;
    fn srt_close(socket: Handle) -> c_int;
    fn srt_recvmsg(socket: Handle, buffer: *mut c_char, length: c_int) -> c_int;
    fn srt_getsockname(socket: Handle, name: *mut c_void, length: *mut c_int) -> c_int;
    fn srt_getsockflag(socket: Handle, option: c_int, value: *mut c_void, length: *mut c_int) -> c_int;
    fn srt_setsockflag(socket: Handle, option: c_int, value: *const c_void, length: c_int) -> c_int;
    fn srt_setrejectreason(socket: Handle, value: c_int) -> c_int;
    fn srt_bstats(socket: Handle, trace: *mut TraceWithRoom, clear: c_int) -> c_int;
    fn srt_getlasterror(system: *mut c_int) -> c_int;
    fn srt_getlasterror_str() -> *const c_char;
    fn srt_setloglevel(level: c_int);
}

/// The thread's last error.
fn last_error() -> Error {
    // SAFETY: libsrt returns a string of its own that is valid until the thread's next call.
    let text = unsafe { CStr::from_ptr(srt_getlasterror_str()) };
    Error(text.to_string_lossy().into_owned())
}

fn checked(outcome: c_int) -> Result<c_int, Error> {
    if outcome == ERROR { Err(last_error()) } else { Ok(outcome) }
}

/// A socket; closed when dropped.
#[derive(Debug)]
pub struct Socket(Handle);

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and closed once; calls in other threads return with an error.
        unsafe { srt_close(self.0) };
    }
}

impl Socket {
    fn set<T>(&self, option: c_int, value: &T) -> Result<(), Error> {
        set(self.0, option, std::ptr::from_ref(value).cast(), size_of::<T>())
    }

    /// The next message, or nothing when none came in time. `buffer` holds at least one.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn receive<'a>(&self, buffer: &'a mut [u8; MESSAGE]) -> Result<Option<&'a [u8]>, Error> {
        // SAFETY: the buffer is as long as is said and lives through the call.
        let length = unsafe { srt_recvmsg(self.0, buffer.as_mut_ptr().cast(), MESSAGE as c_int) };
        if length == ERROR {
            // SAFETY: a null pointer is allowed: the system's code is not asked for.
            let code = unsafe { srt_getlasterror(std::ptr::null_mut()) };
            return if NOTHING_YET.contains(&code) { Ok(None) } else { Err(last_error()) };
        }
        Ok(Some(&buffer[..length.max(0) as usize]))
    }

    /// An empty message buffer.
    pub fn buffer() -> [u8; MESSAGE] {
        [0; MESSAGE]
    }

    /// What the caller gave as stream id.
    pub fn stream_id(&self) -> String {
        let mut text = [0_u8; 520];
        let mut length = 512;
        // SAFETY: libsrt writes at most `length` bytes and a zero, for which there is room.
        let got =
            unsafe { srt_getsockflag(self.0, SRTO_STREAMID, text.as_mut_ptr().cast(), &raw mut length) };
        let length = if got == ERROR { 0 } else { length.clamp(0, 512) as usize };
        String::from_utf8_lossy(&text[..length]).trim_end_matches('\0').to_owned()
    }

    /// The agreed latency in milliseconds.
    pub fn latency_ms(&self) -> u32 {
        let (mut value, mut length): (c_int, c_int) = (0, size_of::<c_int>() as c_int);
        // SAFETY: an int's room for an int.
        unsafe { srt_getsockflag(self.0, SRTO_RCVLATENCY, (&raw mut value).cast(), &raw mut length) };
        value.max(0) as u32
    }

    /// Counts since the last call.
    pub fn counts(&self) -> Counts {
        // SAFETY: plain numbers, for which zero bytes are valid, with room behind for later versions.
        let mut stats: TraceWithRoom = unsafe { std::mem::zeroed() };
        // SAFETY: as above; 1 clears what is counted since the last call.
        if unsafe { srt_bstats(self.0, &raw mut stats, 1) } == ERROR {
            return Counts::default();
        }
        let trace = stats.trace;
        let count = |value: c_int| value.max(0) as u64;
        Counts {
            rtt_ms: trace.ms_rtt,
            packets: trace.pkt_recv.max(0) as u64,
            lost: count(trace.pkt_rcv_loss),
            retransmitted: count(trace.pkt_rcv_retrans),
            dropped: count(trace.drops[1]),
            undecrypted: count(trace.drops[2]),
        }
    }
}

fn set(socket: Handle, option: c_int, value: *const c_void, length: usize) -> Result<(), Error> {
    // SAFETY: the callers give a value that is valid for `length` bytes.
    checked(unsafe { srt_setsockflag(socket, option, value, length as c_int) }).map(|_| ())
}

/// Decides on a handshake: stream id and peer in, the passphrase to ask for or a refusal out. Called on libsrt's own
/// thread, which serves all handshakes: it must not wait.
pub(super) type Gate = Box<dyn Fn(&str, SocketAddr) -> Result<Option<String>, Reject> + Send + Sync>;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    is_closed: AtomicBool,
}

impl Listener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// libsrt's words, such as that the address is taken.
    pub fn bind(address: SocketAddr, latency_ms: u32, idle_ms: u32, gate: Gate) -> Result<Self, Error> {
        // SAFETY: may be called any number of times. Level 0 is for emergencies: libsrt writes to stderr itself.
        unsafe {
            checked(srt_startup())?;
            srt_setloglevel(0);
        }
        // SAFETY: no arguments.
        let socket = Socket(checked(unsafe { srt_create_socket() })?);
        socket.set(SRTO_RCVLATENCY, &(latency_ms as c_int))?;
        socket.set(SRTO_PEERIDLETIMEO, &(idle_ms as c_int))?;
        if address.is_ipv6() {
            socket.set(SRTO_IPV6ONLY, &c_int::from(!address.ip().is_unspecified()))?;
        }
        let (name, length) = to_system(address);
        // SAFETY: a socket address of the length that is said.
        checked(unsafe { srt_bind(socket.0, name.as_ptr().cast(), length as c_int) })?;
        // Never freed: a handshake may be under way in libsrt's thread while the socket closes, and there is one
        // listener in a process.
        let gate: *mut Gate = Box::leak(Box::new(gate));
        // SAFETY: `hook` takes the pointer as what it is, and it stays valid.
        checked(unsafe { srt_listen_callback(socket.0, hook, gate.cast()) })?;
        // SAFETY: plain numbers.
        checked(unsafe { srt_listen(socket.0, 64) })?;
        Ok(Self { socket, is_closed: AtomicBool::new(false) })
    }

    /// The address as bound.
    pub fn address(&self) -> Option<SocketAddr> {
        let (mut name, mut length) = ([0_u8; 128], 128);
        // SAFETY: room for any socket address.
        let got = unsafe { srt_getsockname(self.socket.0, name.as_mut_ptr().cast(), &raw mut length) };
        if got == ERROR { None } else { from_system(&name) }
    }

    /// The next caller whom the gate let in; blocks. `timeout_ms` is how long its `receive` waits.
    ///
    /// # Errors
    /// When the caller is gone already, and when the listener was closed: see [`Self::is_closed`].
    pub fn accept(&self, timeout_ms: u32) -> Result<(Socket, SocketAddr), Error> {
        let (mut name, mut length) = ([0_u8; 128], 128);
        // SAFETY: room for any socket address.
        let handle =
            checked(unsafe { srt_accept(self.socket.0, name.as_mut_ptr().cast(), &raw mut length) })?;
        let socket = Socket(handle);
        socket.set(SRTO_RCVTIMEO, &(timeout_ms as c_int))?;
        let peer = from_system(&name).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok((socket, peer))
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Ends a blocked `accept`.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        // SAFETY: closing twice is an error that is returned, not a fault.
        unsafe { srt_close(self.socket.0) };
    }
}

/// libsrt's question about a handshake.
unsafe extern "C" fn hook(
    opaque: *mut c_void,
    socket: Handle,
    _version: c_int,
    peer: *const c_void,
    stream_id: *const c_char,
) -> c_int {
    if opaque.is_null() || peer.is_null() {
        return ERROR;
    }
    // SAFETY: the pointer that `bind` gave; a family and what belongs to it; a string that ends with zero.
    let (gate, name, stream_id) = unsafe {
        let family = peer.cast::<u16>().read_unaligned();
        let length = if family == AF_INET6 { 28 } else { 16 };
        let stream_id = if stream_id.is_null() { c"" } else { CStr::from_ptr(stream_id) };
        (&*opaque.cast::<Gate>(), std::slice::from_raw_parts(peer.cast::<u8>(), length), stream_id)
    };
    let Some(peer) = from_system(name) else { return ERROR };
    // A panic must not cross into C.
    let decide = std::panic::AssertUnwindSafe(|| gate(&stream_id.to_string_lossy(), peer));
    let Ok(decision) = std::panic::catch_unwind(decide) else { return ERROR };
    match decision {
        Ok(None) => 0,
        Ok(Some(passphrase)) => {
            let Ok(text) = CString::new(passphrase) else { return ERROR };
            set(socket, SRTO_PASSPHRASE, text.as_ptr().cast(), text.as_bytes().len()).map_or(ERROR, |()| 0)
        }
        Err(reject) => {
            // SAFETY: plain numbers.
            unsafe { srt_setrejectreason(socket, reject as c_int) };
            ERROR
        }
    }
}

/// `sockaddr_in` or `sockaddr_in6`, and its length.
fn to_system(address: SocketAddr) -> ([u8; 28], usize) {
    let mut name = [0; 28];
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            name[..2].copy_from_slice(&AF_INET.to_ne_bytes());
            name[4..8].copy_from_slice(&ip.octets());
            (name, 16)
        }
        IpAddr::V6(ip) => {
            name[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
            name[8..24].copy_from_slice(&ip.octets());
            (name, 28)
        }
    }
}

fn from_system(name: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes([*name.get(2)?, *name.get(3)?]);
    let ip = match u16::from_ne_bytes([name[0], name[1]]) {
        AF_INET => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(name.get(4..8)?).ok()?)),
        AF_INET6 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(name.get(8..24)?).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for text in ["127.0.0.1:8890", "[::1]:8890", "203.0.113.9:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_system(&to_system(address).0), Some(address));
        }
    }

    #[test]
    fn the_layout_of_the_counts_is_srt_h() {
        // Offsets of pktRecv, pktRcvRetrans, pktRcvDrop and msRTT, as a C compiler gives them for srt.h 1.5.1.
        let offsets = [
            std::mem::offset_of!(Trace, pkt_recv),
            std::mem::offset_of!(Trace, pkt_rcv_retrans),
            std::mem::offset_of!(Trace, drops) + 4,
            std::mem::offset_of!(Trace, ms_rtt),
            size_of::<Trace>(),
        ];
        assert_eq!(offsets, [144, 164, 236, 328, 496]);
    }
}
