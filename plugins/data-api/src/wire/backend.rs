//! What the application is answered: messages that are collected and sent together.

use bytes::{BufMut as _, Bytes, BytesMut};
use pgferry_pg::message::{TransactionStatus, backend};

use super::frontend::Format;
use crate::fault::Fault;

/// Messages for the application, in order.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    bytes: BytesMut,
}

/// A column of a `RowDescription`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnDescription {
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    /// The type's size in bytes; negative if it varies.
    pub(crate) type_size: i16,
    pub(crate) type_modifier: i32,
    pub(crate) format: Format,
}

impl Answers {
    pub(crate) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn raw(&mut self, message: &[u8]) {
        self.bytes.put_slice(message);
    }

    pub(crate) fn authentication_ok(&mut self) {
        self.raw(&backend::AUTHENTICATION_OK);
    }

    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            put_cstring(out, name);
            put_cstring(out, value);
        });
    }

    pub(crate) fn ready_for_query(&mut self, status: TransactionStatus) {
        self.raw(&backend::ready_for_query(status));
    }

    pub(crate) fn row_description(&mut self, columns: &[ColumnDescription]) {
        self.message(b'T', |out| {
            put_count(out, columns.len());
            for column in columns {
                put_cstring(out, &column.name);
                // Which table's column it is, the service does not say.
                out.put_u32(0);
                out.put_u16(0);
                out.put_u32(column.type_oid);
                out.put_i16(column.type_size);
                out.put_i32(column.type_modifier);
                out.put_i16(i16::from(column.format == Format::Binary));
            }
        });
    }

    pub(crate) fn no_data(&mut self) {
        self.message(b'n', |_| {});
    }

    pub(crate) fn data_row(&mut self, values: &[Option<Bytes>]) {
        self.message(b'D', |out| {
            put_count(out, values.len());
            for value in values {
                match value {
                    None => out.put_i32(-1),
                    Some(value) => {
                        out.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
                        out.put_slice(value);
                    }
                }
            }
        });
    }

    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |out| put_cstring(out, tag));
    }

    pub(crate) fn empty_query_response(&mut self) {
        self.message(b'I', |_| {});
    }

    pub(crate) fn parse_complete(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(crate) fn bind_complete(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(crate) fn close_complete(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(crate) fn portal_suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub(crate) fn parameter_description(&mut self, types: &[u32]) {
        self.message(b't', |out| {
            put_count(out, types.len());
            for oid in types {
                out.put_u32(*oid);
            }
        });
    }

    pub(crate) fn error(&mut self, fault: &Fault) {
        self.message(b'E', |out| fault.encode_fields(out));
    }

    pub(crate) fn warning(&mut self, fault: &Fault) {
        self.message(b'N', |out| {
            let mut fields = BytesMut::new();
            fault.encode_fields(&mut fields);
            // The two fields of the severity come first.
            let rest = fields.split_off(WARNED.len().min(fields.len()));
            out.put_slice(b"SWARNING\0VWARNING\0");
            out.put_slice(&rest);
        });
    }

    fn message(&mut self, tag: u8, body: impl FnOnce(&mut BytesMut)) {
        self.bytes.put_u8(tag);
        let at = self.bytes.len();
        self.bytes.put_u32(0);
        body(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - at).unwrap_or(u32::MAX);
        if let Some(field) = self.bytes.get_mut(at..at + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// What stands in front of a fault of severity ERROR.
const WARNED: &[u8] = b"SERROR\0VERROR\0";

fn put_cstring(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::state;

    fn written(write: impl FnOnce(&mut Answers)) -> Vec<u8> {
        let mut answers = Answers::default();
        write(&mut answers);
        answers.take().to_vec()
    }

    #[test]
    fn rows_and_their_description_are_written_as_the_protocol_says() {
        let column = ColumnDescription {
            name: "a".to_owned(),
            type_oid: 23,
            type_size: 4,
            type_modifier: -1,
            format: Format::Text,
        };
        assert_eq!(
            written(|out| out.row_description(&[column])),
            b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"
        );
        assert_eq!(
            written(|out| out.data_row(&[None, Some(Bytes::from_static(b"x"))])),
            b"D\0\0\0\x0f\0\x02\xff\xff\xff\xff\0\0\0\x01x"
        );
    }

    #[test]
    fn a_warning_is_a_notice_of_that_severity() {
        let fault = Fault::error(state::ACTIVE_TRANSACTION.into(), "there is one");
        assert_eq!(
            written(|out| out.warning(&fault)),
            b"N\0\0\0\x2cSWARNING\0VWARNING\0C25001\0Mthere is one\0\0"
        );
    }
}
