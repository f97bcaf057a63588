//! What was answered once is answered again, after restarts of any service in between.

use crate::support::{client_of, start_cluster};

#[tokio::test]
async fn the_same_key_gets_the_same_receipt_after_ten_restarts() {
    let (_scratch, mut cluster, client) = start_cluster("restarts").await;
    let keys = ["order-7", "0199c0de-0000-7000-8000-00000000abcd"];
    let mut receipts = Vec::new();
    for key in keys {
        receipts.push(client.post(&format!("for {key}"), Some(key)).await.unwrap().expect(200));
    }

    for round in 1..=10 {
        if round % 2 == 0 {
            cluster.logging.kill().unwrap();
        } else {
            assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));
        }
        cluster.logging.restart().await.unwrap();
        cluster.facade.kill().unwrap();
        cluster.facade.restart().await.unwrap();
        cluster.ready().await.unwrap();
        let client = client_of(&cluster);
        client.post(&format!("new in round {round}"), None).await.unwrap().expect(200);
        for (key, receipt) in keys.iter().zip(&receipts) {
            let repeat = client.post(&format!("for {key}"), Some(key)).await.unwrap().expect(200);
            assert_eq!(repeat.text, receipt.text, "round {round}");
            assert_eq!(repeat.header("idempotency-replayed"), "true", "round {round}");
            client.post("another message", Some(key)).await.unwrap().expect(422);
        }
    }

    assert_eq!(client_of(&cluster).logs().await.len(), keys.len() + 10);
}
