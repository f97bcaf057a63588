//! `GET /facade`: the log and the messages service's text, as one body.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use futures_util::stream;
use http::{
    HeaderValue,
    header::{CONTENT_TYPE, VARY},
};

use crate::routes::App;
use crate::{
    app::Facade,
    http::{
        accept::Format,
        page::Page,
        problem::{Failure, ReadError},
    },
    reads::{LogReader, ReadBroken, Renderer, messages_text},
};

/// Answers once both services have begun to answer. If the log breaks off later, the connection is
/// broken too: what looks whole is whole.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let (format, body) = open(&app.facade, request).await?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn open(facade: &Facade, request: Request) -> Result<(Format, Body), ReadError> {
    let page = Page::from_query(request.uri().query())?;
    let format = Format::from_headers(request.headers())?;
    let permit = facade.listings().try_acquire_owned().map_err(|_| ReadError::Crowded)?;
    let (log, text) = match format {
        Format::Json | Format::Text => {
            let (log, text) = tokio::join!(LogReader::open(facade, page), messages_text(facade));
            (log?, text?)
        }
        Format::Ndjson => (LogReader::open(facade, page).await?, String::new()),
    };
    let renderer = Renderer::new(format, page, text);
    // One piece is read when the one before it is on its way: memory does not grow with the log.
    let state = Some((log, renderer, facade.clone(), permit));
    let pieces = stream::try_unfold(state, async |state| {
        let Some((mut log, renderer, facade, permit)) = state else { return Ok(None) };
        let next = async {
            let Some(records) = log.next().await? else { return Ok((renderer.end(), None)) };
            let (renderer, piece) = renderer.piece(records, facade.renders()).await?;
            Ok((piece, Some(renderer)))
        };
        match next.await {
            Ok((piece, renderer)) => {
                Ok(Some((piece, renderer.map(|renderer| (log, renderer, facade, permit)))))
            }
            Err(broken) => {
                tracing::warn!("an answer was broken off: the log broke off: {broken}");
                Err::<_, ReadBroken>(broken)
            }
        }
    });
    Ok((format, Body::from_stream(pieces)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse as _;
    use http::{StatusCode, header::RETRY_AFTER};
    use oncelog::{limits::LISTINGS_MAX, message::RandomIds};

    use super::*;
    use crate::{Options, Upstreams, settings::Settings};

    #[tokio::test]
    async fn a_reader_too_many_is_told_to_come_again() {
        let nowhere = || "http://127.0.0.1:1".parse().unwrap();
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            logging_url: nowhere(),
            messages_url: nowhere(),
            attempt_timeout: Duration::from_millis(100),
            total_timeout: Duration::from_millis(200),
        };
        let facade = Facade::new(Upstreams::connect(&settings), Options::new(Arc::new(RandomIds)));
        let readers = facade.listings().try_acquire_many_owned(LISTINGS_MAX as u32).unwrap();
        let refused = open(&facade, Request::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, ReadError::Crowded), "{refused}");
        let response = Failure::from(refused).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        drop(readers);
        let asked = open(&facade, Request::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(asked, ReadError::Unavailable(_)), "{asked}");
    }
}
