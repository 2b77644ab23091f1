//! Fields as `COPY TO` writes them.
//!
//! Source: `CopyAttributeOutText` and `CopyAttributeOutCSV` in `src/backend/commands/copyto.c`.

use super::Layout;

pub(super) fn text(layout: &Layout, value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            _ => {
                if byte == layout.delimiter {
                    out.push(b'\\');
                }
                out.push(byte);
                continue;
            }
        };
        out.extend([b'\\', letter]);
    }
}

/// `single`: it is the only field of its row, where `\.` would end the data.
pub(super) fn csv(layout: &Layout, value: &str, forced: bool, single: bool, out: &mut Vec<u8>) {
    let special = |byte: u8| {
        byte == layout.delimiter || byte == layout.quote || matches!(byte, b'\n' | b'\r')
    };
    let quoted =
        forced || value == layout.null || single && value == "\\." || value.bytes().any(special);
    if !quoted {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(layout.quote);
    for byte in value.bytes() {
        if byte == layout.quote || byte == layout.escape {
            out.push(layout.escape);
        }
        out.push(byte);
    }
    out.push(layout.quote);
}
