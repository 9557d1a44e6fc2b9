//! What a peer sends.

use engine::Message;

/// A frame is refused, or it is the only one of its message.
pub fn run(data: &[u8]) {
    if let Ok(message) = Message::from_frame(data) {
        assert_eq!(message.frame(), data, "{message:?}");
    }
}
