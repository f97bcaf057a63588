//! Every layer is around every route.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::StatusCode;
use http_body_util::BodyExt as _;
use oncelog::{
    message::{IdSource, MessageId, RandomIds},
    net::ConnectionLimiter,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::{EdgeLimits, Options, Upstreams, edge};

/// Each resource and what is no resource: method, path, and the status of a facade that reaches no service.
const REQUESTS: [(&str, &str, u16); 10] = [
    ("POST", "/facade", 415),
    ("GET", "/facade", 503),
    ("HEAD", "/facade", 503),
    ("POST", "/facade/batch", 415),
    ("GET", "/facade/0199c0de-0000-7000-8000-00000000abcd", 503),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 503),
    ("GET", "/nothing", 404),
    ("POST", "/facade/", 404),
    ("DELETE", "/facade", 405),
];

/// Panics instead of an id.
struct NoIds;

impl IdSource for NoIds {
    fn next_id(&self) -> MessageId {
        panic!("told to")
    }
}

fn facade(ids: Arc<dyn IdSource>) -> Facade {
    Facade::new(Upstreams::unreachable(), Options::new(ids), CancellationToken::new())
}

fn request(method: &str, path: &str) -> Request {
    Request::builder().method(method).uri(path).header("host", "a").body(Body::empty()).unwrap()
}

fn post(body: &'static str) -> Request {
    let head =
        Request::post("/facade").header("host", "a").header("content-type", "application/json");
    head.body(body.into()).unwrap()
}

async fn json(response: Response) -> (StatusCode, Value) {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_layer_sees_every_request_and_every_response() {
    let facade = facade(Arc::new(RandomIds));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (coming, going) = (Arc::clone(&seen), Arc::clone(&seen));
    let stack = layers()
        .map_request(move |request: Request| {
            let seen = format!("{} {}", request.method(), request.uri().path());
            coming.lock().unwrap().push(seen);
            request
        })
        .map_response(move |response: Response| {
            going.lock().unwrap().push(response.status().as_str().to_owned());
            response
        })
        .service(routes::dispatch(facade.clone(), routes::router(facade)));
    for (method, path, status) in REQUESTS {
        let Ok(response) = stack.clone().oneshot(request(method, path)).await;
        assert_eq!(response.status(), status, "{method} {path}");
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen, [format!("{method} {path}"), status.to_string()]);
    }
}

#[tokio::test]
async fn the_direct_route_answers_as_the_router_does() {
    let facade = facade(Arc::new(RandomIds));
    let router = routes::router(facade.clone());
    for body in ["", "{}", "[]", r#"{"msg":""}"#, r#"{"mgs":"a"}"#] {
        let Ok(direct) = stack(facade.clone()).oneshot(post(body)).await;
        let Ok(routed) = router.clone().oneshot(post(body)).await;
        assert_eq!(direct.headers()["content-type"], routed.headers()["content-type"]);
        assert_eq!(json(direct).await, json(routed).await, "{body}");
    }
}

#[tokio::test]
async fn a_panic_below_any_layer_is_a_500_on_every_route() {
    let facade = facade(Arc::new(RandomIds));
    // It panics before the handler has made its future.
    let stack = layers()
        .map_request(|_: Request| -> Request { panic!("told to") })
        .service(routes::dispatch(facade.clone(), routes::router(facade)));
    for (method, path, _) in REQUESTS {
        let Ok(response) = stack.clone().oneshot(request(method, path)).await;
        let (status, json) = json(response).await;
        assert_eq!((status.as_u16(), &json["code"]), (500, &"internal".into()), "{json}");
        // Only a post can have sent a message.
        let stored = (method == "POST").then_some("unknown");
        assert_eq!(json.get("stored").and_then(Value::as_str), stored, "{method} {path}");
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_the_connection_goes_on() {
    let facade = facade(Arc::new(NoIds));
    let broken = async || -> Response { panic!("told to") };
    let router = routes::router(facade.clone()).route("/broken", axum::routing::get(broken));
    let stack = layers().service(routes::dispatch(facade, router));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (limits, stop) = (EdgeLimits::default(), CancellationToken::new());
    let limiter = ConnectionLimiter::new(limits.connections, limits.long_lived);
    let serving = tokio::spawn(edge::run(listener, stack, limits, limiter, stop.clone()));
    // One request after the other, on one connection.
    let requests = concat!(
        "POST /facade HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n",
        "content-length: 11\r\n\r\n{\"msg\":\"a\"}",
        "GET /broken HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    client.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["500", "500", "200"], "{answers}");
    stop.cancel();
    serving.await.unwrap();
}
