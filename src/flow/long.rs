//! Records that are longer than they may be, and buffers that hold long ones. Pure.

/// Bytes of a record that are kept although it is too long: to show it, and to tell it from others.
pub const BEGINNING: usize = 1024;
/// From this size on, buffers grow by as much, and no longer to twice their size.
const STEP: usize = 4 << 20;
/// Empty buffers with more room than this are freed.
const KEPT: usize = 1 << 20;

/// A record that is longer than it may be. All but its beginning was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLong {
    pub beginning: Vec<u8>,
    /// Its length in bytes.
    pub size: u64,
}

impl TooLong {
    /// Returns a record of which these bytes have come.
    pub fn new(bytes: &[u8]) -> TooLong {
        TooLong { beginning: bytes[..bytes.len().min(BEGINNING)].to_vec(), size: bytes.len() as u64 }
    }
}

/// There is no memory for a buffer of this many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory(pub usize);

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "there is no memory for {} bytes", self.0)
    }
}

/// Makes room for `count` more bytes. A large buffer grows by a constant, because the system moves its pages without
/// copying them (mremap(2)); twice its size would be memory that nobody uses.
///
/// # Errors
/// When the system has no memory for it. The buffer stays as it is.
pub fn reserve(buffer: &mut Vec<u8>, count: usize) -> Result<(), OutOfMemory> {
    if buffer.capacity() - buffer.len() >= count {
        return Ok(());
    }
    let reserved = match buffer.len() < STEP {
        true => buffer.try_reserve(count),
        false => buffer.try_reserve_exact(count.max(STEP)),
    };
    let reserved = reserved.or_else(|_| buffer.try_reserve_exact(count));
    reserved.map_err(|_| OutOfMemory(buffer.len().saturating_add(count)))
}

/// Appends bytes, as [`reserve`] makes room for them.
///
/// # Errors
/// When the system has no memory for them.
pub fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), OutOfMemory> {
    reserve(buffer, bytes.len())?;
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Appends bytes to a buffer of which the first `used` are needed no more, and moves those out of the way when they are
/// at least as many as the others: so the total cost of moving stays linear. Returns by how much positions have moved.
///
/// # Errors
/// When the system has no memory for them.
pub fn append_behind(buffer: &mut Vec<u8>, used: usize, bytes: &[u8]) -> Result<usize, OutOfMemory> {
    let moved = if used >= buffer.len() - used { used } else { 0 };
    if moved == buffer.len() && buffer.capacity() > KEPT {
        *buffer = Vec::new();
    } else {
        buffer.drain(..moved);
    }
    append(buffer, bytes).map(|()| moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_grow_by_a_constant() {
        let mut buffer = Vec::new();
        for _ in 0..(10 << 20) / 1000 {
            append(&mut buffer, &[b'x'; 1000]).unwrap();
        }
        assert!(buffer.capacity() <= buffer.len() + STEP + 1000, "{}", buffer.capacity());
        assert_eq!(reserve(&mut buffer, usize::MAX / 2), Err(OutOfMemory(buffer.len() + usize::MAX / 2)));
    }

    #[test]
    fn used_bytes_make_room() {
        let mut buffer = b"abcdef".to_vec();
        assert_eq!(append_behind(&mut buffer, 2, b"g"), Ok(0));
        assert_eq!(append_behind(&mut buffer, 5, b"h"), Ok(5));
        assert_eq!(buffer, b"fgh");
        let mut large = vec![b'x'; 4 << 20];
        let all = large.len();
        assert_eq!(append_behind(&mut large, all, b"y"), Ok(all));
        assert!(large == b"y" && large.capacity() < KEPT, "{}", large.capacity());
    }
}
