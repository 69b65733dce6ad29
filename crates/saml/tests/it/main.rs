//! One binary for all, so that it is linked once. It needs `openssl`, `xmlsec1` and `xmllint`, which `cargo xtask setup`
//! installs, and fails without them.

#![expect(clippy::unwrap_used, reason = "panicking is how a test fails, its helpers included")]

mod attacks;
mod mutations;
mod second_opinion;
mod support;
