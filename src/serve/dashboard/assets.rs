//! The files of the page, embedded from `ui/dist`. Their names are fixed, so browsers revalidate their cached copies on
//! every load.

use std::io::Write;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

struct Embedded {
    path: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

macro_rules! embedded {
    ($($path:literal: $media:literal),+ $(,)?) => {
        [$(Embedded {
            path: concat!("/", $path),
            media: $media,
            bytes: include_bytes!(concat!("../../../ui/dist/", $path)),
        }),+]
    };
}

static EMBEDDED: [Embedded; 7] = embedded![
    "index.html": "text/html; charset=utf-8",
    "assets/app.js": "text/javascript; charset=utf-8",
    "assets/charts.js": "text/javascript; charset=utf-8",
    "assets/theme.js": "text/javascript; charset=utf-8",
    "assets/app.css": "text/css; charset=utf-8",
    "assets/favicon.svg": "image/svg+xml",
    "assets/licenses.txt": "text/plain; charset=utf-8",
];
const INDEX: &str = "/index.html";

struct Asset {
    file: &'static Embedded,
    /// First characters of the digest of the content, used as ETag.
    digest: String,
    gzip: OnceLock<Bytes>,
}

pub(in crate::serve::dashboard) struct Assets(Vec<Asset>);

impl Assets {
    pub(in crate::serve::dashboard) fn new() -> Self {
        let asset = |file: &'static Embedded| {
            let digest = Sha256::digest(file.bytes);
            let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            Asset { file, digest, gzip: OnceLock::new() }
        };
        Self(EMBEDDED.iter().map(asset).collect())
    }

    /// The response for a path; `None` if there is no such file.
    pub(in crate::serve::dashboard) fn answer(&self, path: &str, asked: &HeaderMap) -> Option<Response> {
        let path = if path == "/" { INDEX } else { path };
        let asset = self.0.iter().find(|asset| asset.file.path == path)?;
        let gzip = accepts_gzip(asked).then(|| asset.compressed()).flatten();
        let suffix = if gzip.is_some() { "-gzip" } else { "" };
        let etag = HeaderValue::from_str(&format!("\"{}{suffix}\"", asset.digest)).ok()?;
        let mut response = match is_known(asked, &etag) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => {
                let body = gzip.clone().unwrap_or_else(|| Bytes::from_static(asset.file.bytes));
                let mut response = Body::from(body).into_response();
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.file.media));
                if gzip.is_some() {
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        Some(response)
    }
}

impl Asset {
    /// The compressed content, which is computed only once; `None` if compression doesn't make it smaller.
    fn compressed(&self) -> Option<Bytes> {
        let bytes = self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            let written = encoder.write_all(self.file.bytes).and_then(|()| encoder.finish());
            written.map(Bytes::from).unwrap_or_default()
        });
        (!bytes.is_empty() && bytes.len() < self.file.bytes.len()).then(|| bytes.clone())
    }
}

fn items<'a>(asked: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let values = asked.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).map(str::trim)
}

fn accepts_gzip(asked: &HeaderMap) -> bool {
    items(asked, &header::ACCEPT_ENCODING).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let never = ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&weight.trim());
        name.trim().eq_ignore_ascii_case("gzip") && !never
    })
}

fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let is_it = |item: &str| item == "*" || item.strip_prefix("W/").unwrap_or(item).as_bytes() == etag.as_bytes();
    items(asked, &header::IF_NONE_MATCH).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_copy_that_is_the_newest_is_not_sent_again() {
        let assets = Assets::new();
        for file in &EMBEDDED {
            let whole = assets.answer(file.path, &HeaderMap::new()).unwrap();
            assert_eq!(whole.status(), StatusCode::OK);
            assert_eq!(whole.headers()[header::CONTENT_TYPE], file.media);
            let mut again = HeaderMap::new();
            again.insert(header::IF_NONE_MATCH, whole.headers()[header::ETAG].clone());
            assert_eq!(assets.answer(file.path, &again).unwrap().status(), StatusCode::NOT_MODIFIED);
        }
        assert!(assets.answer("/", &HeaderMap::new()).is_some());
        assert!(assets.answer("/assets/../index.html", &HeaderMap::new()).is_none());
    }

    #[test]
    fn all_that_was_built_is_embedded() {
        let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/dist");
        let names = |folder: &str| {
            let entries = std::fs::read_dir(dist.join(folder.trim_start_matches('/'))).unwrap().map(Result::unwrap);
            let files = entries.filter(|entry| entry.path().is_file());
            files.map(|entry| format!("{folder}/{}", entry.file_name().to_str().unwrap())).collect::<Vec<_>>()
        };
        let mut built = [names(""), names("/assets")].concat();
        let mut embedded: Vec<&str> = EMBEDDED.iter().map(|file| file.path).collect();
        built.sort_unstable();
        embedded.sort_unstable();
        assert_eq!(built, embedded);
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |value| accepts_gzip(&asked(&[(header::ACCEPT_ENCODING, value)]));
        assert!(takes("gzip") && takes("br, GZIP;q=0.5") && !takes("br") && !takes("gzip;q=0") && !takes("x-gzip"));
    }
}
