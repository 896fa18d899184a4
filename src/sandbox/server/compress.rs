//! Long answers are compressed for clients that take it so, as they are by an API server and by Prometheus behind it. It
//! touches nothing else: a watch is as long as it lasts.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// From how many bytes on an API server compresses.
const LONG: u64 = 128 * 1024;

/// Hands a request on, and compresses what is long of its answer.
pub async fn long_answers(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok());
    let takes = accepted.is_some_and(|accepted| accepted.split(',').any(|one| one.trim() == "gzip"));
    let reads = request.method() == Method::GET;
    let answer = next.run(request).await;
    let length = answer.body().size_hint().exact();
    if !takes || !reads || answer.status() != StatusCode::OK || length.is_none_or(|length| length <= LONG) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    // What is at hand as a whole neither fails nor ends early.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let body = match encoder.write_all(&body).and_then(|()| encoder.finish()) {
        Ok(compressed) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            parts.headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            Body::from(compressed)
        }
        Err(_) => Body::from(body),
    };
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use flate2::read::GzDecoder;
    use std::io::Read;
    use tower::ServiceExt;

    async fn asked(path: &str, accepted: Option<&str>) -> (Option<String>, Vec<u8>) {
        let router = Router::new()
            .route("/long", get(|| async { "a".repeat(LONG as usize + 1) }))
            .route("/short", get(|| async { "a".repeat(LONG as usize) }))
            .route("/lasting", get(|| async { Body::from_stream(futures::stream::iter([Ok::<_, String>("a")])) }))
            .layer(axum::middleware::from_fn(long_answers));
        let mut request = Request::builder().uri(path);
        if let Some(accepted) = accepted {
            request = request.header(header::ACCEPT_ENCODING, accepted);
        }
        let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let encoding = answer.headers().get(header::CONTENT_ENCODING).map(|name| name.to_str().unwrap().to_string());
        (encoding, to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn what_is_long_is_compressed_for_whoever_takes_it() {
        let (encoding, body) = asked("/long", Some("br, gzip")).await;
        assert_eq!(encoding.as_deref(), Some("gzip"));
        assert!((body.len() as u64) < LONG / 10);
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, LONG + 1);
        for (path, accepted) in
            [("/long", None), ("/long", Some("br")), ("/short", Some("gzip")), ("/lasting", Some("gzip"))]
        {
            assert_eq!(asked(path, accepted).await.0, None, "{path}");
        }
    }
}
