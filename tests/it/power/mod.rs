//! Power cuts: what the real binary asks of the disk, traced, and what may be left of it when the power goes.
//!
//! `trace` reads what strace wrote; `disk` follows it and makes the images that a cut at some moment may leave, by the
//! choices of `fate`. `rule` says what must be safe whenever something is acknowledged; `replay` opens the images.

mod community;
mod disk;
mod fate;
mod record;
mod replay;
mod rule;
mod trace;
