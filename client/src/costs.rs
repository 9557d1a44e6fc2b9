//! What each of the contract's messages costs on the embedded chain, beside the floor.
