//! Input taken from its front, piece by piece.

/// What is left of the input.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next few bytes, if as many are left.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// A piece of bytes after its length, or of what is left if that is less.
    pub fn piece(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(self.array()?);
        let (piece, rest) = self.0.split_at(self.0.len().min(length.into()));
        self.0 = rest;
        Some(piece)
    }
}
