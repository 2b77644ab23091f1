//! Reads what a binary form is put together from.

use crate::error::Fault;

/// The bytes of a value that are still to be read. Numbers are in network byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Fault::SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        str::from_utf8(self.rest()).map_err(|_| NOT_UTF8)
    }

    /// A text that ends with a zero byte.
    pub(crate) fn terminated(&mut self) -> Result<&'a str, Fault> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Fault::SHORT)?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        str::from_utf8(text).map_err(|_| NOT_UTF8)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Fault> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Fault> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// A value with its length before it: none for a length of -1, which is NULL.
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| NEGATIVE)?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// A number of things, which is no negative number.
    pub(crate) fn count(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.i32()?).map_err(|_| NEGATIVE)
    }

    pub(crate) fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Binary("it goes on after its end")) }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Fault::SHORT)?;
        self.0 = rest;
        Ok(*head)
    }
}

const NEGATIVE: Fault = Fault::Binary("a length is negative");
const NOT_UTF8: Fault = Fault::Binary("it is not UTF-8");
