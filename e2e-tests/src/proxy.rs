//! A connection to a node that can be cut.

use std::{
    io::copy,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Listens on a port of its own and passes everything on to another, until it is cut.
pub struct Proxy {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// A proxy before the port `to` of this machine.
    pub fn before(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let open = Arc::new(Mutex::new(vec![]));
        let streams = open.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(node) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let both = [(&client, &node), (&node, &client)].map(|(from, to)| (from.try_clone(), to.try_clone()));
                for (from, to) in both {
                    let (Ok(mut from), Ok(mut to)) = (from, to) else { continue };
                    thread::spawn(move || {
                        // Whichever way it ends, the other side must hear of it.
                        let _ = copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                streams.lock().expect("no thread panics with it").extend([client, node]);
            }
        });
        Self { port, open }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Cuts every connection; new ones are let through.
    pub fn cut(&self) {
        for stream in self.open.lock().expect("no thread panics with it").drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
