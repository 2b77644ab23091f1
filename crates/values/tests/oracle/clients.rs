//! What clients send in binary: the server reads it, and must read our text as the same value.

use std::{fs, path::Path};

use pgferry_values::{Type, ValueError, builtin};
use tokio_postgres::Statement;

use crate::server::{Raw, Server};

/// The seeds of the fuzzer, whole and damaged. Most of what is damaged the server refuses.
#[tokio::test]
async fn a_binary_value_the_server_takes_is_printed_as_it_would_be() {
    let server = Server::start().await;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut taken = 0;
    for seed in seeds() {
        let Some(seed) = Seed::read(&server, &seed).await else { continue };
        assert!(seed.check(&server, &seed.binary).await, "{} refuses its seed", seed.ty.name);
        for _ in 0..60 {
            let damaged = random.damage(&seed.binary);
            taken += usize::from(seed.check(&server, &damaged).await);
        }
    }
    assert!(taken > 500, "the server took {taken}: too few to say anything");
}

struct Seed {
    ty: Type,
    binary: Vec<u8>,
    statement: Statement,
}

impl Seed {
    async fn read(server: &Server, seed: &[u8]) -> Option<Self> {
        let line = seed.iter().position(|byte| *byte == b'\n').expect("a line");
        let name = String::from_utf8_lossy(&seed[..line]);
        let name = name.strip_suffix(" binary")?;
        // Nobody may send these, and `bit` alone is a single bit.
        if NOT_SENT.contains(&name) {
            return None;
        }
        let name = if name == "char" { "\"char\"" } else { name };
        let print = format!("SELECT $1::{name}, format('%s', $1::{name})");
        let statement = server.client.prepare(&print).await.expect("a statement");
        let ty = builtin(statement.params()[0].oid()).expect("a built-in type");
        Some(Self { ty, binary: seed[line + 1..].to_vec(), statement })
    }

    /// Whether the server takes the value.
    async fn check(&self, server: &Server, binary: &[u8]) -> bool {
        let parameter = Raw(binary.to_vec());
        let Ok(row) = server.client.query_one(&self.statement, &[&parameter]).await else {
            return false;
        };
        let wanted: String = row.get(1);
        let name = &self.ty.name;
        let mut text = String::new();
        match self.ty.to_text(binary, &mut text) {
            Err(ValueError::TooLong { .. }) => return true,
            // The server does not look behind the end of a bound: whoever sends that is confused.
            Err(ValueError::Binary { reason: "it goes on after its end", .. })
                if name.contains("range") =>
            {
                return true;
            }
            refused => assert_eq!(refused, Ok(()), "{name}: {binary:?} is {wanted:?}"),
        }
        let ty = row.columns()[0].type_();
        let read = async |text: &str| {
            let quoted = text.replace('\'', "''");
            let read =
                format!("SELECT format('%s', '{quoted}'::{}.\"{}\")", ty.schema(), ty.name());
            server.client.query_one(&read, &[]).await.map(|row| row.get::<_, String>(0))
        };
        match read(&text).await {
            Ok(read) => assert_eq!(read, wanted, "{name}: {binary:?} as {text:?}"),
            // Some of what it takes in binary the server prints in a way it does not read itself.
            Err(error) => assert!(read(&wanted).await.is_err(), "{name}: {text:?}: {error:?}"),
        }
        true
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/value");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).expect("a seed")).collect()
}

/// The same damage each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).expect("a small limit")).expect("below it")
    }

    /// Changes up to three bytes, or the length.
    fn damage(&mut self, binary: &[u8]) -> Vec<u8> {
        let mut damaged = binary.to_vec();
        for _ in 0..=self.below(3) {
            let place = self.below(damaged.len() + 1);
            match (self.below(12), damaged.get_mut(place)) {
                (0, _) => damaged.truncate(place),
                (1, _) => damaged.push(0),
                (2..6, Some(byte)) => *byte ^= 1 << self.below(8),
                (6..9, Some(byte)) => {
                    *byte = [0, 1, 2, 0x27, 0x5c, 0x7f, 0x80, 0xff][self.below(8)];
                }
                (_, Some(byte)) => *byte = u8::try_from(self.below(256)).expect("a byte"),
                (_, None) => {}
            }
        }
        damaged
    }
}

const NOT_SENT: [&str; 6] = ["bit", "cstring", "pg_node_tree", "record", "unknown", "void"];
