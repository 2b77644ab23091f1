//! Which SQLSTATEs are told apart.
//!
//! The code comes from the network: without a closed list a server could make as many series as it
//! likes.
//!
//! Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

/// The label value for a SQLSTATE: the code itself if it is one somebody acts upon, else its class
/// as `42***`, else `other`.
pub(crate) fn folded(code: &str) -> &'static str {
    if let Some(known) = CODES.iter().find(|known| **known == code) {
        return known;
    }
    let class = if code.len() == 5 { code.get(..2) } else { None };
    let known = class.and_then(|class| CLASSES.iter().find(|known| known.starts_with(class)));
    known.map_or("other", |known| known)
}

const CODES: &[&str] = &[
    "08000", "08001", "08003", "08004", "08006", "08P01", "0A000", "22001", "22003", "22012",
    "22P02", "23502", "23503", "23505", "23514", "23P01", "25006", "25P02", "25P03", "26000",
    "28000", "28P01", "34000", "3D000", "3F000", "40001", "40P01", "42501", "42601", "42703",
    "42704", "42804", "42883", "42P01", "42P05", "42P07", "53100", "53200", "53300", "54001",
    "55000", "55006", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58030", "P0001",
    "XX000", "XX001", "XX002",
];

const CLASSES: &[&str] = &[
    "00***", "01***", "02***", "03***", "08***", "09***", "0A***", "0B***", "0F***", "0L***",
    "0P***", "0Z***", "10***", "20***", "21***", "22***", "23***", "24***", "25***", "26***",
    "27***", "28***", "2B***", "2D***", "2F***", "34***", "38***", "39***", "3B***", "3D***",
    "3F***", "40***", "42***", "44***", "53***", "54***", "55***", "57***", "58***", "72***",
    "F0***", "HV***", "P0***", "XX***",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_somebody_acts_upon_are_kept() {
        assert_eq!(folded("57014"), "57014");
        assert_eq!(folded("08P01"), "08P01");
    }

    #[test]
    fn rare_codes_are_folded_into_their_class() {
        assert_eq!(folded("42P99"), "42***");
        assert_eq!(folded("HV00A"), "HV***");
    }

    #[test]
    fn what_is_no_sqlstate_is_other() {
        for code in ["", "4", "42", "42P0", "42P011", "ZZ000", "é2000", "42***0", "\n\n\n\n\n"] {
            assert_eq!(folded(code), "other", "{code:?}");
        }
    }

    #[test]
    fn every_kept_code_has_its_class_in_the_list() {
        for code in CODES {
            assert!(CLASSES.iter().any(|class| class[..2] == code[..2]), "{code}");
            assert_eq!(folded(code), *code);
        }
    }
}
