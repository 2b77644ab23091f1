//! What a plugin author in Rust uses: a trait, an export macro, a runtime, a logging bridge.
