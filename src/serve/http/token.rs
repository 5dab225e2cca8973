//! The access token. Programs send it in a header; browsers get a cookie, because neither links nor event streams can
//! send headers.
//!
//! Only digests are kept, and they are compared in constant time. The cookie contains a digest as well, so that it
//! doesn't reveal the token. It stays valid after a restart.

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::util::secret::Secret;

type Sum = [u8; 32];

/// Minimum length of a token, since shorter ones could be guessed.
const LEAST_BYTES: usize = 16;
/// How long browsers keep the cookie.
const MAX_AGE_SECONDS: u32 = 30 * 86_400;

pub struct Token {
    digest: Sum,
    cookie_name: String,
    cookie_value: String,
}

/// Checks a server's token; `key` is the name of the setting.
///
/// # Errors
/// The token is too short, or has characters that a header can't contain.
pub fn require_strong(token: &Secret, key: &str) -> Result<(), String> {
    let bytes = token.reveal().as_bytes();
    if bytes.len() < LEAST_BYTES {
        return Err(format!(
            "the token ({key}) is shorter than {LEAST_BYTES} bytes: use one from `openssl rand -hex 16`"
        ));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(format!("the token ({key}) holds more than visible ASCII characters"));
    }
    Ok(())
}

fn digest(purpose: &str, text: &str) -> Sum {
    Sha256::new().chain_update(purpose).chain_update([0]).chain_update(text).finalize().into()
}

fn hex(sum: &Sum) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Token {
    /// The cookie name contains the port, because browsers share cookies between all ports of a host.
    pub fn new(token: &Secret, port: u16) -> Self {
        let cookie_value = hex(&digest("tickhouse dashboard cookie", token.reveal()));
        Self { digest: digest("token", token.reveal()), cookie_name: format!("tickhouse_{port}"), cookie_value }
    }

    pub(super) fn is(&self, given: &str) -> bool {
        digest("token", given).ct_eq(&self.digest).into()
    }

    /// Whether the `Authorization: Bearer` header or the cookie has the token.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let text = |value: &'_ HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
        let bearer = headers.get(header::AUTHORIZATION).map(text);
        if let Some((scheme, given)) = bearer.as_deref().and_then(|bearer| bearer.split_once(' ')) {
            return scheme.eq_ignore_ascii_case("bearer") && self.is(given.trim());
        }
        headers.get_all(header::COOKIE).iter().map(text).any(|cookies| {
            let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.any(|(name, value)| {
                name == self.cookie_name && bool::from(value.as_bytes().ct_eq(self.cookie_value.as_bytes()))
            })
        })
    }

    pub(super) fn cookie(&self) -> HeaderValue {
        let (name, value) = (&self.cookie_name, &self.cookie_value);
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={MAX_AGE_SECONDS}");
        HeaderValue::from_str(&text).expect("it holds hexadecimal digits and plain words")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn who_knows_the_token_is_let_in() {
        let token = Token::new(&Secret::new("0123456789abcdef"), 8080);
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeF") && !token.is(""));
        let cookie = token.cookie();
        let cookie = cookie.to_str().unwrap();
        assert!(!cookie.contains("0123456789abcdef") && cookie.contains("HttpOnly; SameSite=Strict"));
        let pair = cookie.split(';').next().unwrap();
        for (name, value, is_in) in [
            (header::AUTHORIZATION, "Bearer 0123456789abcdef".to_owned(), true),
            (header::AUTHORIZATION, "bearer  0123456789abcdef".to_owned(), true),
            (header::AUTHORIZATION, "Basic 0123456789abcdef".to_owned(), false),
            (header::AUTHORIZATION, "0123456789abcdef".to_owned(), false),
            (header::COOKIE, pair.to_owned(), true),
            (header::COOKIE, format!("a=b; {pair}; c=d"), true),
            (header::COOKIE, pair.replace("8080", "8081"), false),
            (header::COOKIE, "tickhouse_8080=0123456789abcdef".to_owned(), false),
            (header::COOKIE, "tickhouse_8080=".to_owned(), false),
        ] {
            assert_eq!(token.is_in(&headers(name, &value)), is_in, "{value}");
        }
    }
}
