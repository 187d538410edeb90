//! Tables in which somebody has written what no engine writes. Each is refused with a sentence, and none ends the
//! process.

use weir_base::failure::Remedy;
use weir_testing::lake::QUICK;

use super::*;
use crate::reading_back::{Expected, Versions};
use crate::{Environment, delta};

/// Reads all of the table's rows back.
async fn read_all(lake: &Lake) -> Result<()> {
    let plan = Arc::new(weir_plan::Plan {
        pipeline: "rides".into(),
        trigger: weir_plan::plan::Trigger::AsSoonAsPossible,
        on_end: weir_plan::plan::OnEnd::KeepOpen,
        checkpoint: weir_plan::plan::Checkpoint { uri: String::new(), keep: 2, snapshot_every: 1 },
        storage: vec![],
        state_action: None,
        limits: weir_plan::plan::Limits { records_per_epoch: 1, bytes_per_epoch: 1 },
        http: Default::default(),
        sources: vec![],
        steps: vec![],
        sinks: vec![],
    });
    let of =
        Environment { plan, secrets: Default::default(), means: Means::of_system(QUICK), standing: Default::default() };
    let expected = Expected { rows: "rides", schema: Arc::clone(&lake.sink.schema) };
    let mut reader = delta::read_back(&lake.sink, &expected, Versions::default(), &of).await?;
    while reader.next().await?.is_some() {}
    Ok(())
}

/// Why the table's rows can't be read back.
async fn refused(lake: &Lake) -> Failure {
    read_all(lake).await.expect_err("all of it was read")
}

#[tokio::test]
async fn a_commit_that_nests_without_end_or_has_numbers_without_end_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (line, matters) in [
        (format!("{{\"add\":{deep}}}"), true),
        (format!("{{\"unknown\":{deep}}}"), false),
        (format!("{{\"txn\":{{\"appId\":\"a\",\"version\":{}}}}}", "9".repeat(1_000_000)), false),
        ("{\"txn\":{\"appId\":\"a\",\"version\":1e999999}}".to_owned(), false),
    ] {
        let lake = Lake::new(&[]);
        opened(&lake).await;
        std::fs::write(lake.commit_file(1), &line).unwrap();
        // Who appends or reads rows may leave out an action that does not matter to it.
        let failures = [read_all(&lake).await.err(), try_opened(&lake).await.err()];
        assert!(!matters || failures[0].is_some(), "{line:.80}");
        for failure in failures.into_iter().flatten() {
            assert_eq!(failure.remedy, Remedy::Config, "{line:.80}: {failure}");
            assert!(failure.message.len() < 2_000, "{line:.80}: {} bytes", failure.message.len());
        }
    }
}

#[tokio::test]
async fn columns_that_nest_without_end_are_refused() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    let open = r#"{"type":"array","containsNull":true,"elementType":"#;
    let deep = format!("{}\"long\"{}", open.repeat(100_000), "}".repeat(100_000));
    let schema =
        format!(r#"{{"type":"struct","fields":[{{"name":"n","type":{deep},"nullable":false,"metadata":{{}}}}]}}"#);
    lake.edit_creation(|action| {
        if let Some(metadata) = action.get_mut("metaData") {
            metadata["schemaString"] = json!(schema);
        }
    });
    let failure = try_opened(&lake).await.err().unwrap();
    assert_eq!(failure.remedy, Remedy::Config, "{failure}");
    assert!(failure.message.len() < 2_000, "{} bytes", failure.message.len());
}

/// A data file whose last eight bytes say that its footer is longer than the file.
#[tokio::test]
async fn a_footer_longer_than_its_file_is_refused() {
    let mut lake = Lake::new(&[]);
    lake.delta().target_file_size_bytes = 1 << 20;
    let mut table = opened(&lake).await;
    append(&mut table, 1, &[1, 2, 3]).await.unwrap();
    let path = lake.path(lake.adds()[0]["path"].as_str().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    for claimed in [u32::MAX, u32::try_from(bytes.len()).unwrap(), 1, 0] {
        let at = bytes.len() - 8;
        bytes[at..at + 4].copy_from_slice(&claimed.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let failure = refused(&lake).await;
        assert_eq!(failure.remedy, Remedy::Config, "{claimed}: {failure}");
        assert!(failure.message.contains("that version 1 of"), "{claimed}: {failure}");
    }
}
