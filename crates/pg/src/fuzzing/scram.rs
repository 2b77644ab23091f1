//! SCRAM: nobody gets in without the password, nor with somebody else's nonce.
//!
//! The input is two lines of text. The first one is the application's first message. The second one
//! begins with a letter that says who writes its second message:
//!
//! - `r`: an attacker without the password; the rest of the line is the message.
//! - `s`: an attacker with the password, who signs the rest of the line, whatever it says.
//! - `h`: an honest application.
//! - `w`: an honest application with another password.
//! - `x`: an honest application, and somebody on the way who changes the byte that the next byte points
//!   at to something else.
//!
//! A first message that begins with `p=` goes inside TLS, to the mechanism with channel binding.

use std::{num::NonZeroU32, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::take_byte;
use crate::scram::{
    Challenged, EndPoint, Exchange, MECHANISM, MECHANISM_PLUS, MESSAGE_MAX, NONCE_RANDOM,
    ScramError, ServerNonce, Verifier,
};

const PASSWORD: &[u8] = b"open sesame";
/// The hash of the certificate that is shown.
const END_POINT: [u8; 32] = [7; 32];
const BOUND: &str = "p=tls-server-end-point,,";
const SALT: [u8; 16] = *b"a grain of salt!";

pub(super) fn check(data: &[u8]) {
    let (first, mut second) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    let Some(client) = Client::greet(first) else { return };
    let honest = format!("c={},r={}", client.binding, client.nonce);
    match take_byte(&mut second) {
        b's' => client.signs(second),
        b'h' => client.gets_in(&honest),
        b'w' => {
            let proof = client.proof(b"open barley", honest.as_bytes());
            assert_eq!(client.answer(&proof), Err(ScramError::WrongPassword));
        }
        b'x' => client.is_tampered_with(&honest, second),
        _ => assert!(client.answer(second).is_err(), "no password, and yet in"),
    }
}

/// An application in the middle of an exchange, written from the RFC alone.
struct Client<'a> {
    first: &'a [u8],
    bare: &'a str,
    binding: String,
    /// Both halves.
    nonce: String,
    server_first: String,
}

impl<'a> Client<'a> {
    /// Sends the first message. `None` if it is refused.
    fn greet(first: &'a [u8]) -> Option<Self> {
        let (_, server_first) = challenge(first, 1).ok()?;
        assert!(first.len() <= MESSAGE_MAX, "a message too long was taken");
        let text = str::from_utf8(first).expect("text, or it would have been refused");
        let header = if text.starts_with("p=") { BOUND.len() } else { 3 };
        let (header, bare) = text.split_at(header);
        let binding = match header {
            "n,," => "biws".to_owned(),
            "y,," => "eSws".to_owned(),
            BOUND => STANDARD.encode([BOUND.as_bytes(), &END_POINT].concat()),
            header => panic!("{header} was taken"),
        };
        let ours = bare.split(',').nth(1).and_then(|part| part.strip_prefix("r="));
        let ours = ours.expect("a nonce, or it would have been refused");
        let theirs = STANDARD.encode([1; NONCE_RANDOM]);
        assert!(!ours.is_empty());
        let nonce = format!("{ours}{theirs}");
        assert_eq!(server_first, format!("r={nonce},s={},i=1", STANDARD.encode(SALT)));
        Some(Self { first, bare, binding, nonce, server_first })
    }

    fn answer(&self, message: &[u8]) -> Result<String, ScramError> {
        let (challenged, _) = challenge(self.first, 1)?;
        challenged.client_final(message)
    }

    fn gets_in(&self, honest: &str) {
        let message = self.proof(PASSWORD, honest.as_bytes());
        let signature = hmac(&hmac(&salted(PASSWORD), b"Server Key"), &self.conversation(honest));
        let expected = format!("v={}", STANDARD.encode(signature));
        if message.len() > MESSAGE_MAX {
            assert_eq!(self.answer(&message), Err(ScramError::TooLong));
            return;
        }
        assert_eq!(self.answer(&message), Ok(expected));
        let (later, _) = challenge(self.first, 2).expect("the same first message");
        assert_eq!(later.client_final(&message), Err(ScramError::Mismatch), "a proof used twice");
    }

    /// A proof that is right for what it proves helps if that is this exchange.
    fn signs(&self, without_proof: &[u8]) {
        let honest = format!("c={},r={}", self.binding, self.nonce);
        let extension = without_proof.strip_prefix(honest.as_bytes());
        let ours = match extension {
            Some([]) => true,
            Some(extension) => extension.starts_with(b",") && !extension.starts_with(b",m="),
            None => false,
        };
        if self.answer(&self.proof(PASSWORD, without_proof)).is_ok() {
            assert!(ours, "a proof for another exchange was taken");
        }
    }

    fn is_tampered_with(&self, honest: &str, mut how: &[u8]) {
        let mut message = self.proof(PASSWORD, honest.as_bytes());
        let place = usize::from(take_byte(&mut how)) % message.len();
        message[place] ^= take_byte(&mut how).max(1);
        assert!(self.answer(&message).is_err(), "byte {place} does not matter");
    }

    fn conversation(&self, without_proof: &str) -> Vec<u8> {
        format!("{},{},{without_proof}", self.bare, self.server_first).into_bytes()
    }

    /// `client-final-message` with the proof of `password`.
    fn proof(&self, password: &[u8], without_proof: &[u8]) -> Vec<u8> {
        let client_key = hmac(&salted(password), b"Client Key");
        let head = format!("{},{},", self.bare, self.server_first);
        let conversation = [head.as_bytes(), without_proof].concat();
        let signature = hmac(&Sha256::digest(client_key), &conversation);
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, by)| key ^ by).collect();
        [without_proof, b",p=", STANDARD.encode(proof).as_bytes()].concat()
    }
}

fn challenge(first: &[u8], random: u8) -> Result<(Challenged, String), ScramError> {
    let verifier = Verifier::derive(PASSWORD, SALT, NonZeroU32::MIN);
    let nonce = ServerNonce::from_random(&[random; NONCE_RANDOM]);
    let (end_point, mechanism) = if first.starts_with(b"p=") {
        (Some(EndPoint(END_POINT.to_vec())), MECHANISM_PLUS)
    } else {
        (None, MECHANISM)
    };
    Exchange::new(Arc::new(verifier), end_point).client_first(mechanism.as_bytes(), first, &nonce)
}

/// `Hi` with a single iteration.
fn salted(password: &[u8]) -> [u8; 32] {
    hmac(password, &[&SALT[..], &[0, 0, 0, 1]].concat())
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
