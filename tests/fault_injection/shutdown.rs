//! A stop in good order under load.

use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use faultlab::{
    cluster::Cluster,
    processes::{Group, Process},
    programs::Program,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::support::{Client, Scratch, client_of, eventually, start_cluster};

const CLIENTS: usize = 16;

/// From the start of the clients to a first receipt.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// The drain timeout of 10 s, and a second to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(11);

/// The same when something has to be cut after the drain timeout.
const STOP_TIME_WITH_CUT_MAX: Duration = Duration::from_secs(13);

/// Together more than all buffers between a service and a reader that does not read.
const LARGE_MESSAGES: usize = 12;
const LARGE_BYTES: usize = 1_000_000;

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    stored: Vec<String>,
    /// Requests that got no complete answer although their connection had been accepted.
    cut: Vec<String>,
}

/// Posts until the facade takes no more connections.
async fn post_until_refused(client: Client, name: usize, busy: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        let message = format!("client {name} message {number}");
        match client.post(&message, None).await {
            Ok(answer) if answer.status == 200 => {
                told.stored.push(message);
                busy.store(true, Ordering::Relaxed);
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                assert_eq!(answer.json()["stored"], "no", "{answer:?}");
            }
            Err(error) if error.is_connect() => break,
            Err(error) => {
                told.cut.push(format!("{message}: {error:?}"));
                break;
            }
        }
    }
    told
}

/// Clients that post until the facade is stopped, once one of them got a receipt.
async fn under_posts(cluster: &Cluster) -> Vec<JoinHandle<Told>> {
    let busy = Arc::new(AtomicBool::new(false));
    let post = |name| post_until_refused(client_of(cluster), name, Arc::clone(&busy));
    let clients = (0..CLIENTS).map(|name| tokio::spawn(post(name))).collect();
    under_load(&busy).await;
    clients
}

/// How long `process` takes to stop in good order.
async fn stop_within(time_max: Duration, process: &mut Process) -> Duration {
    let started = Instant::now();
    assert_eq!(process.stop().await.unwrap(), Some(0));
    let took = started.elapsed();
    assert!(took < time_max, "it took {took:?}");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_facade_answers_every_post_it_has_accepted() {
    let (_scratch, mut cluster, _) = start_cluster("facade-stop").await;
    let clients = under_posts(&cluster).await;
    stop_within(STOP_TIME_MAX, &mut cluster.facade).await;
    all_answered_are_stored(&mut cluster, clients, Vec::new()).await;
}

/// Beside `stored`, the log has exactly what was answered with a receipt.
async fn all_answered_are_stored(
    cluster: &mut Cluster,
    clients: Vec<JoinHandle<Told>>,
    mut stored: Vec<String>,
) {
    for client in clients {
        let told = client.await.unwrap();
        // A kept-alive connection may be closed just as the next request is written to it: such a
        // request was never accepted. One that was, and got no answer, would be stored.
        stored.extend(told.stored);
        for cut in told.cut {
            println!("closed under a new request: {cut}");
        }
    }
    cluster.facade.restart().await.unwrap();
    cluster.ready().await.unwrap();
    let mut logs = client_of(cluster).logs().await;
    logs.sort_unstable();
    stored.sort_unstable();
    assert!(logs == stored, "answered {}, stored {}", stored.len(), logs.len());
}

/// A log that does not fit into any buffer.
async fn large_log(client: &Client) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..LARGE_MESSAGES {
        let message = format!("{number} {}", "x".repeat(LARGE_BYTES));
        client.post(&message, None).await.unwrap().expect(200);
        stored.push(message);
    }
    stored
}

/// Asks for the whole log, and reads no more than the beginning of it.
fn stuck_reader(facade: SocketAddr) -> TcpStream {
    let mut reader = TcpStream::connect(facade).unwrap();
    let request = "GET /facade HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n";
    reader.write_all(request.as_bytes()).unwrap();
    let mut beginning = [0; 15];
    reader.read_exact(&mut beginning).unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200 OK");
    reader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_reader_does_not_hold_up_a_stopping_facade() {
    let (_scratch, mut cluster, client) = start_cluster("facade-stuck").await;
    let stored = large_log(&client).await;
    let _stuck = stuck_reader(cluster.facade_address());
    let clients = under_posts(&cluster).await;
    let took = stop_within(STOP_TIME_WITH_CUT_MAX, &mut cluster.facade).await;
    println!("a facade with a stuck reader stopped after {took:.1?}");
    all_answered_are_stored(&mut cluster, clients, stored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_stream_does_not_hold_up_a_stopping_log() {
    let (_scratch, mut cluster, client) = start_cluster("logging-stuck").await;
    let stored = large_log(&client).await;
    let stuck = stuck_reader(cluster.facade_address());
    // Its connection stays open, but is neither read nor answered.
    cluster.facade.freeze().unwrap();

    let took = stop_within(STOP_TIME_WITH_CUT_MAX, &mut cluster.logging).await;
    println!("a log with a stuck stream stopped after {took:.1?}");
    cluster.logging.restart().await.unwrap();
    cluster.facade.resume().unwrap();
    drop(stuck);
    cluster.ready().await.unwrap();
    assert!(client.logs().await == stored, "not all is there");
    client.post("it goes on", None).await.unwrap().expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_post_fails_during_a_restart_of_logging_in_good_order() {
    let (_scratch, mut cluster, client) = start_cluster("logging-stop").await;
    let busy = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let (client, busy, stop) = (client_of(&cluster), Arc::clone(&busy), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut stored = 0;
                while !stop.load(Ordering::Relaxed) {
                    let message = format!("client {name} message {stored}");
                    client.post(&message, None).await.unwrap().expect(200);
                    busy.store(true, Ordering::Relaxed);
                    stored += 1;
                }
                stored
            })
        })
        .collect();
    under_load(&busy).await;

    stop_within(STOP_TIME_MAX, &mut cluster.logging).await;
    cluster.logging.restart().await.unwrap();
    busy.store(false, Ordering::Relaxed);
    under_load(&busy).await;
    stop.store(true, Ordering::Relaxed);

    let mut stored = 0;
    for client in clients {
        stored += client.await.unwrap();
    }
    assert_eq!(client.logs().await.len(), stored);
}

#[tokio::test]
async fn a_signal_stops_a_service_and_a_second_one_ends_it_at_once() {
    let (_scratch, mut cluster, _) = start_cluster("signals").await;
    assert_eq!(cluster.facade.interrupt().await.unwrap(), Some(0));
    assert!(!cluster.facade.stderr_with("stopping").is_empty(), "{:?}", cluster.facade.stderr());

    let url = format!("http://{}", cluster.messages_address()).parse().unwrap();
    let mut client = ServerReflectionClient::new(oncelog::grpc::channel(url));
    let endless = tokio_stream::pending::<ServerReflectionRequest>();
    let _open = client.server_reflection_info(endless).await.unwrap();
    let messages = &mut cluster.messages;
    let pid = Pid::from_raw(messages.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    eventually("the end of the listening", LOAD_TIMEOUT, async || {
        (!messages.stderr_with("stopping").is_empty()).then_some(())
    })
    .await;
    assert!(messages.runs().unwrap(), "it ended with a call still open");
    kill_process(pid, Signal::INT).unwrap();
    let ended = messages.ended(STOP_TIME_MAX).await.unwrap().expect("its end in time");
    assert_eq!(ended.code(), Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_terminal_stops_each_service_in_good_order() {
    let (_scratch, mut cluster, _) = start_cluster("hang-up").await;
    let clients = under_posts(&cluster).await;
    cluster.facade.hang_up().unwrap();
    let ended = cluster.facade.ended(STOP_TIME_MAX).await.unwrap().expect("its end in time");
    assert_eq!(ended.code(), Some(0), "{:?}", cluster.facade.stderr());
    all_answered_are_stored(&mut cluster, clients, Vec::new()).await;
    for service in [&mut cluster.logging, &mut cluster.messages] {
        service.hang_up().unwrap();
        let ended = service.ended(STOP_TIME_MAX).await.unwrap().expect("its end in time");
        assert_eq!(ended.code(), Some(0), "{:?}", service.stderr());
        assert_eq!(service.stderr_with("stopping").len(), 1, "{:?}", service.stderr());
    }
}

#[tokio::test]
async fn a_second_hang_up_cuts_nothing_off() {
    let (_scratch, mut cluster, _) = start_cluster("hang-up-twice").await;
    let url = format!("http://{}", cluster.messages_address()).parse().unwrap();
    let mut client = ServerReflectionClient::new(oncelog::grpc::channel(url));
    let (call, calls) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
    let calls = tokio_stream::wrappers::ReceiverStream::new(calls);
    let mut open = client.server_reflection_info(calls).await.unwrap().into_inner();
    let messages = &mut cluster.messages;
    // The shell and the kernel send it, one after the other.
    messages.hang_up().unwrap();
    eventually("the end of the listening", LOAD_TIMEOUT, async || {
        (!messages.stderr_with("stopping").is_empty()).then_some(())
    })
    .await;
    messages.hang_up().unwrap();
    // It answers on, and ends when its client is done.
    let list = MessageRequest::ListServices(String::new());
    let list = ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    for _ in 0..20 {
        call.send(list.clone()).await.unwrap();
        assert!(open.message().await.unwrap().is_some());
    }
    drop(call);
    assert!(open.message().await.unwrap().is_none());
    let ended = messages.ended(STOP_TIME_MAX).await.unwrap().expect("its end in time");
    assert_eq!(ended.code(), Some(0), "{:?}", messages.stderr());
    assert!(messages.stderr_with("stopped at once").is_empty(), "{:?}", messages.stderr());
}

#[tokio::test]
async fn a_service_started_to_outlive_its_terminal_does() {
    let scratch = Scratch::new("nohup");
    for program in [Program::Facade, Program::Logging, Program::Messages] {
        // As `nohup` starts it.
        let ignoring = ["/bin/sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
        let mut command: Vec<OsString> = ignoring.map(Into::into).into();
        command.push(program.path().unwrap().into());
        command.extend(["--listen", "127.0.0.1:0"].map(Into::into));
        if program == Program::Logging {
            command.extend(["--store", "memory"].map(Into::into));
        }
        let started = Process::start(program.name(), command, scratch.path(), Group::Shared);
        let (mut service, address) = started.await.unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        assert!(ignored.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']), "{ignored}");
        service.hang_up().unwrap();
        TcpStream::connect(address).unwrap();
        assert!(service.stderr_with("stopping").is_empty(), "{:?}", service.stderr());
        assert_eq!(service.stop().await.unwrap(), Some(0));
    }
}

async fn under_load(busy: &AtomicBool) {
    eventually("answers under load", LOAD_TIMEOUT, async || {
        busy.load(Ordering::Relaxed).then_some(())
    })
    .await;
}
