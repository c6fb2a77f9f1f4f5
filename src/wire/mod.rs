//! What crosses a wire, byte for byte: the contract between the programs.
