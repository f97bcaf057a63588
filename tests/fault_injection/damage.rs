//! A stored byte changes while the services run.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use faultlab::{cluster::Cluster, programs::Program};
use oncelog::wire::v1::{ReadRequest, logging_service_client::LoggingServiceClient};
use serde_json::Value;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{Answer, Client, restart_logging, start_cluster};

const DAMAGED: Option<i32> = Some(65);

/// Messages that are stored before one of them is damaged.
const STORED: u64 = 20;

/// The sequence of the damaged one.
const BAD: u64 = 8;

/// A record that was changed in its file.
struct Damaged {
    segment: String,
    data_dir: PathBuf,
}

/// Changes one byte of the body of `text`, under the service that has the file open.
fn flip_byte_of(text: &str, data_dir: &Path) -> Damaged {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "segment");
    let mut files = fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
    let path = files.find(is_segment).expect("a segment file");
    let bytes = fs::read(&path).unwrap();
    let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
    let at = found.expect("its record");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
    let segment = path.file_name().unwrap().to_str().unwrap().to_owned();
    Damaged { segment, data_dir: data_dir.to_path_buf() }
}

impl Damaged {
    /// `text` says what is the matter and where, promises nothing, and tells a stranger no path.
    #[track_caller]
    fn assert_named_in(&self, text: &str) {
        let place = format!("{} is damaged at offset ", self.segment);
        let (_, rest) = text.split_once(&place).unwrap_or_else(|| panic!("no place: {text}"));
        assert!(rest.starts_with(|c: char| c.is_ascii_digit()), "{text}");
        for promise in ["Nothing that was stored is lost", "try again", "is stored once"] {
            assert!(!text.contains(promise), "{promise:?}: {text}");
        }
        assert!(!text.contains(self.data_dir.to_str().unwrap()), "{text}");
    }

    #[track_caller]
    fn assert_problem(&self, answer: &Answer, code: &str) -> Value {
        assert_eq!(answer.status, 500, "{answer:?}");
        assert_eq!(answer.header("retry-after"), "", "{answer:?}");
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        self.assert_named_in(problem["detail"].as_str().unwrap());
        problem
    }

    fn journal(&self, command: &[&str]) -> Output {
        let mut oncelog = Command::new(Program::Cli.path().unwrap());
        oncelog.args(["journal"]).args(command).arg("--data-dir").arg(&self.data_dir);
        oncelog.output().unwrap()
    }
}

/// Posts all messages, and returns their ids.
async fn post_all(client: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 1..=STORED {
        let answer = client.post(&text_of(number), None).await.unwrap().expect(200);
        ids.push(answer.json()["uuid"].as_str().unwrap().to_owned());
    }
    ids
}

fn text_of(number: u64) -> String {
    format!("message number {number}.")
}

/// What the logging service says of itself by the health protocol of gRPC.
pub(crate) async fn health(cluster: &Cluster) -> ServingStatus {
    let url = format!("http://{}", cluster.logging_address());
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    answer.unwrap().into_inner().status()
}

#[tokio::test]
async fn damage_found_by_a_reader_is_named_and_posts_go_on() {
    let (_scratch, mut cluster, client) = start_cluster("damaged-in-use").await;
    let ids = post_all(&client).await;
    let damaged = flip_byte_of(&text_of(BAD), cluster.data_dir());
    let bad_id = &ids[BAD as usize - 1];
    client.get("/readyz").await.unwrap().expect(200);
    assert_eq!(health(&cluster).await, ServingStatus::Serving);

    for format in ["application/json", "application/x-ndjson", "text/plain"] {
        let list = client.get_as("/facade", format).await.unwrap();
        damaged.assert_problem(&list, "log_damaged");
    }
    let record = client.get(&format!("/facade/{bad_id}")).await.unwrap();
    damaged.assert_problem(&record, "log_damaged");
    read_over_grpc(&cluster, &damaged).await;

    // Whoever can route clients elsewhere, or call a person, learns of it.
    let ready = client.get("/readyz").await.unwrap().expect(503);
    assert_eq!(ready.json()["logging"]["state"], "damaged", "{ready:?}");
    damaged.assert_named_in(&ready.text);
    assert_eq!(health(&cluster).await, ServingStatus::NotServing);
    let errors = cluster.logging.stderr_with("ERROR");
    assert_eq!(errors.len(), 1, "one place is told of once: {errors:?}");
    damaged.assert_named_in(&errors[0]);

    the_rest_is_read_and_posts_go_on(&client, &damaged, &ids).await;
    assert_eq!(cluster.logging.stderr_with("ERROR").len(), 1);

    assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));
    refuses_to_start_until_it_is_repaired(&mut cluster, &damaged).await;
    let mut kept: Vec<_> = (1..=STORED).filter(|number| *number != BAD).map(text_of).collect();
    kept.push("new".to_owned());
    assert_eq!(client.logs().await, kept);
    client.get(&format!("/facade/{bad_id}")).await.unwrap().expect(404);
}

async fn read_over_grpc(cluster: &Cluster, damaged: &Damaged) {
    let url = format!("http://{}", cluster.logging_address());
    let mut log = LoggingServiceClient::connect(url).await.unwrap();
    let mut chunks = log.read(ReadRequest::default()).await.unwrap().into_inner();
    let status = loop {
        match chunks.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a damaged log was read to its end"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DataLoss, "{status}");
    damaged.assert_named_in(status.message());
}

async fn the_rest_is_read_and_posts_go_on(client: &Client, damaged: &Damaged, ids: &[String]) {
    for (number, id) in (1..).zip(ids).filter(|(number, _)| *number != BAD) {
        let record = client.get(&format!("/facade/{id}")).await.unwrap().expect(200);
        assert_eq!(record.json()["msg"], text_of(number));
    }
    let before = client.get(&format!("/facade?limit={}", BAD - 1)).await.unwrap().expect(200);
    assert_eq!(before.json()["next_after"], BAD - 1);
    let behind = client.get(&format!("/facade?after={BAD}")).await.unwrap().expect(200);
    assert_eq!(behind.json()["logs"].as_array().unwrap().len() as u64, STORED - BAD);

    let new = client.post("new", Some("a-new-key")).await.unwrap().expect(200);
    assert_eq!(new.json()["sequence"], STORED + 1);
    let again = client.post("new", Some("a-new-key")).await.unwrap().expect(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    // Whether this is a repeat or a conflict cannot be known any more.
    let bad_id = &ids[BAD as usize - 1];
    for text in [text_of(BAD), "another".to_owned()] {
        let repeat = client.post(&text, Some(bad_id)).await.unwrap();
        let problem = damaged.assert_problem(&repeat, "record_damaged");
        assert_eq!((&problem["stored"], &problem["uuid"]), (&"unknown".into(), &(**bad_id).into()));
    }
}

async fn refuses_to_start_until_it_is_repaired(cluster: &mut Cluster, damaged: &Damaged) {
    let refused = cluster.logging.restart().await.expect_err("it starts with damage");
    assert!(refused.to_string().contains("exited with 65"), "{refused}");
    assert!(!cluster.logging.stderr_with(&damaged.segment).is_empty());
    let verified = damaged.journal(&["verify"]);
    assert_eq!(verified.status.code(), DAMAGED, "{verified:?}");
    let repaired = damaged.journal(&["repair", "--yes"]);
    assert!(repaired.status.success(), "{repaired:?}");
    restart_logging(cluster).await;
}
