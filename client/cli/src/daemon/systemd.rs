//! What systemd wants to hear of a service of `Type=notify`.

use std::os::unix::net::UnixDatagram;

/// Where it listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Says a state, like `READY=1`. Whoever did not start this as such a service hears nothing.
pub fn say(state: &str) {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!("systemd does not hear `{state}`: {error}");
    }
}

fn send(socket: &std::ffi::OsStr, state: &str) -> std::io::Result<()> {
    use std::os::{linux::net::SocketAddrExt, unix::ffi::OsStrExt};
    let to = UnixDatagram::unbound()?;
    let sent = match socket.as_bytes().strip_prefix(b"@") {
        // A name that is in no folder.
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            to.send_to_addr(state.as_bytes(), &address)
        }
        None => to.send_to(state.as_bytes(), socket),
    };
    sent.map(drop)
}
