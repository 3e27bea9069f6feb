//! Standard output without the buffer of [`io::stdout`], in which a part of a line could stay after an error: here,
//! each byte is either taken by the system or reported as not written.

use std::io::{self, Write};

/// Standard output, whichever file the descriptor names at the time of a write.
#[derive(Debug)]
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Holding the lock keeps lines of `println!` from getting into ours, and ours into one that it has begun.
        let mut locked = io::stdout().lock();
        let _ = locked.flush();
        write(&mut locked, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn write(to: &mut io::StdoutLock<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(to, bytes)?)
}

#[cfg(not(unix))]
fn write(to: &mut io::StdoutLock<'_>, bytes: &[u8]) -> io::Result<usize> {
    to.write_all(bytes)?;
    to.flush()?;
    Ok(bytes.len())
}
