//! Which tables a sink's rows fit, misfit by misfit, with the messages that users read.

use weir_base::failure::Remedy;

use super::*;

type Columns = [(&'static str, DataType, bool)];

fn schema(columns: &Columns) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(|(name, t, nullable)| Field::new(*name, t.clone(), *nullable)).collect::<Vec<_>>(),
    ))
}

/// Creates a table with the columns `theirs` and opens it for a sink with `ours`. Returns the message, with `TABLE` for
/// the URI.
async fn misfit(theirs: &Columns, ours: &Columns, partitions: (&[&str], &[&str])) -> String {
    let mut lake = Lake::with(schema(theirs), partitions.0);
    opened(&lake).await;
    // The table has more than its creation, so its columns are no longer ours to change.
    lake.foreign(&[serde_json::json!({"commitInfo": {}})]);
    lake.sink.schema = schema(ours);
    lake.delta().partition_by = partitions.1.iter().map(|c| (*c).to_owned()).collect();
    said(&lake).await
}

#[tokio::test]
async fn a_nullable_column_takes_the_place_of_a_required_one_in_a_table_that_is_still_empty() {
    let column = |nullable| ("a", DataType::Int64, nullable);
    let other = ("b", DataType::Utf8, false);
    let mut lake = Lake::with(schema(&[column(false), other.clone()]), &[]);
    opened(&lake).await;
    lake.sink.schema = schema(&[column(true), ("b", DataType::Int64, false)]);
    assert!(said(&lake).await.starts_with("the column `a` may be null"), "another type is no matter of nulls");
    assert_eq!(lake.versions(), 1);
    lake.sink.schema = schema(&[column(true), other.clone()]);
    assert_eq!(said(&lake).await, "fits");
    let text = lake.actions(1)[1]["metaData"]["schemaString"].as_str().unwrap().to_owned();
    let fields: serde_json::Value = serde_json::from_str(&text).unwrap();
    let nullable: Vec<_> =
        fields["fields"].as_array().unwrap().iter().map(|f| f["nullable"].as_bool().unwrap()).collect();
    assert_eq!(nullable, [true, false]);
    assert_eq!(lake.actions(0)[2]["metaData"]["id"], lake.actions(1)[1]["metaData"]["id"]);
    lake.sink.schema = schema(&[column(true), ("b", DataType::Utf8, true)]);
    assert!(said(&lake).await.contains("which has rows"), "it was changed by more than its creation");
}

async fn said(lake: &Lake) -> String {
    match try_opened(lake).await {
        Ok(_) => "fits".to_owned(),
        Err(failure) => {
            assert_eq!(failure.remedy, Remedy::Config, "{failure}");
            failure.message.replace(lake.sink.place(), "TABLE")
        }
    }
}

#[tokio::test]
async fn each_misfit_has_its_sentence() {
    let long = || ("a", DataType::Int64, false);
    let cases: [(&Columns, &Columns, &str); 9] = [
        (&[long(), ("b", DataType::Utf8, true)], &[long()], "fits"),
        (&[("a", DataType::Int64, true)], &[long()], "fits"),
        (&[long(), ("b", DataType::Utf8, true)], &[("b", DataType::Utf8View, true), long()], "fits"),
        (
            &[long(), ("b", DataType::Utf8, false)],
            &[long()],
            "the table TABLE needs the column `b` (string), which the sink does not write and which may not be null",
        ),
        (
            &[long()],
            &[long(), ("b", DataType::Float64, true)],
            "the table TABLE has no column `b` (double); add it to the table first: schemaEvolution is not supported \
             yet",
        ),
        (
            &[("userId", DataType::Int64, true)],
            &[("userid", DataType::Int64, true)],
            "the table TABLE has no column `userid` (bigint) (it has `userId`: case counts); \
             add it to the table first: schemaEvolution is not supported yet",
        ),
        (
            &[long()],
            &[("a", DataType::Utf8, false)],
            "the column `a` is string in the sink and bigint in the table TABLE; cast it to bigint",
        ),
        (
            &[("a", DataType::Decimal128(10, 2), true)],
            &[("a", DataType::Decimal128(12, 2), true)],
            "the column `a` is decimal(12,2) in the sink and decimal(10,2) in the table TABLE; cast it to \
             decimal(10,2)",
        ),
        (
            &[long()],
            &[("a", DataType::Int64, true)],
            "the column `a` may be null in the sink, but not in the table TABLE, which has rows; filter nulls out \
             (`coalesce` gives another \
             value), or let it be null there: ALTER TABLE … ALTER COLUMN `a` DROP NOT NULL",
        ),
    ];
    for (theirs, ours, expected) in cases {
        assert_eq!(misfit(theirs, ours, (&[], &[])).await, expected);
    }
}

#[tokio::test]
async fn nested_nulls_are_compared_too() {
    let list = |nullable| {
        DataType::List(Arc::new(Field::new(
            "element",
            DataType::Struct(vec![Field::new("x", DataType::Int32, nullable)].into()),
            true,
        )))
    };
    let said = misfit(&[("a", list(false), true)], &[("a", list(true), true)], (&[], &[])).await;
    assert_eq!(said, "`a[].x` may be null in the sink, but not in the table TABLE; drop NOT NULL there");
}

#[tokio::test]
async fn maps_fit_by_their_keys_and_values() {
    let map = |key: DataType, value: DataType, nullable: bool| {
        let entries = vec![Field::new("key", key, false), Field::new("value", value, nullable)];
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries.into()), false)), false)
    };
    let fields = |nullable| DataType::Struct(vec![Field::new("x", DataType::Int32, nullable)].into());
    let said =
        async |theirs: DataType, ours: DataType| misfit(&[("a", theirs, true)], &[("a", ours, true)], (&[], &[])).await;
    let (text, int) = (|| DataType::Utf8, || DataType::Int32);
    assert_eq!(said(map(text(), int(), true), map(text(), int(), true)).await, "fits");
    assert_eq!(
        said(map(text(), int(), true), map(text(), DataType::Int64, true)).await,
        "the column `a` is map<string, bigint> in the sink and map<string, int> in the table TABLE; cast it to \
         map<string, int>"
    );
    for (theirs, ours, path) in [
        (map(text(), int(), false), map(text(), int(), true), "a.value"),
        (map(text(), fields(false), true), map(text(), fields(true), true), "a.value.x"),
        (map(fields(false), int(), true), map(fields(true), int(), true), "a.key.x"),
    ] {
        assert_eq!(
            said(theirs, ours).await,
            format!("`{path}` may be null in the sink, but not in the table TABLE; drop NOT NULL there")
        );
    }
}

#[tokio::test]
async fn partition_columns_must_be_equal_in_order() {
    let columns = [("a", DataType::Int64, true), ("b", DataType::Utf8, true), ("c", DataType::Date32, true)];
    let said = misfit(&columns, &columns, (&["b", "c"], &["c", "b"])).await;
    assert_eq!(
        said,
        "the table TABLE is partitioned by b, c, but partitionBy says c, b; they must be equal, in this order"
    );
    let said = misfit(&columns, &columns, (&["b"], &[])).await;
    assert_eq!(
        said,
        "the table TABLE is partitioned by b, but partitionBy says no column; they must be equal, in this order"
    );
}

#[tokio::test]
async fn what_no_table_can_hold_is_refused_before_one_is_made() {
    for (columns, partition_by, expected) in [
        (
            vec![("a", DataType::Float64, true), ("b", DataType::Int64, true)],
            "a",
            "partitionBy names `a`, whose type double can't be a partition",
        ),
        (
            vec![("a", DataType::Int64, true)],
            "a",
            "partitionBy names every column of the table TABLE; a data file needs at least one of its own",
        ),
        (
            vec![("a", DataType::Int64, true), ("A", DataType::Int64, true)],
            "a",
            "the sink has two columns `a` that differ in case only; Delta can't hold both in TABLE",
        ),
        (
            vec![("a b", DataType::Int64, true)],
            "a",
            "the column name `a b` has a character that Delta does not allow (one of \" ,;{}()=\", a tab or a line \
             end)",
        ),
    ] {
        let lake = Lake::with(schema(&columns), &[partition_by]);
        assert_eq!(said(&lake).await, expected);
        assert_eq!(lake.versions(), 0);
    }
}

#[tokio::test]
async fn features_are_refused_by_name() {
    let refused = |feature: &str| {
        format!(
            "the table TABLE has the feature `{feature}`, which is not supported: take it away (`ALTER TABLE … DROP \
             FEATURE {feature}` in \
             Spark), or write to another table"
        )
    };
    let writer = |features: &[&str]| json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features});
    let both = |features: &[&str]| {
        let writer = [features, &["appendOnly", "invariants"]].concat();
        json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": writer})
    };
    let cases: [(Value, &str); 8] = [
        (both(&["deletionVectors"]), "fits"),
        // delta-rs leaves these features in a table for which it has enabled deletion vectors.
        (both(&["deletionVectors", "timestampNtz", "variantType"]), "fits"),
        (json!({"minReaderVersion": 2, "minWriterVersion": 6}), "fits"),
        // Nothing in the table uses these features.
        (writer(&["icebergCompatV2", "inCommitTimestamp", "allowColumnDefaults", "domainMetadata"]), "fits"),
        (both(&["fromTheFuture"]), &refused("fromTheFuture")),
        (writer(&["rowTracking", "domainMetadata"]), &refused("rowTracking")),
        (writer(&["clustering", "domainMetadata"]), &refused("clustering")),
        (
            json!({"minReaderVersion": 4, "minWriterVersion": 8}),
            "the table TABLE asks for the protocol (reader 4, writer 8); up to (reader 3, writer 7) is known",
        ),
    ];
    for (protocol, expected) in cases {
        let lake = Lake::new(&[]);
        opened(&lake).await;
        lake.edit_creation(|action| {
            if action.get("protocol").is_some() {
                action["protocol"] = protocol.clone();
            }
        });
        assert_eq!(said(&lake).await, expected, "{protocol}");
    }
}

#[tokio::test]
async fn properties_that_take_effect_are_refused() {
    for (key, value, expected) in [
        ("delta.appendOnly", "true", "fits"),
        ("delta.enableChangeDataFeed", "true", "fits"),
        ("delta.columnMapping.mode", "none", "fits"),
        (
            "delta.constraints.positive",
            "n > 0",
            "the table TABLE has a check constraint (delta.constraints.positive = n > 0), which is not supported",
        ),
        (
            "delta.columnMapping.mode",
            "name",
            "the table TABLE maps its columns to other names (delta.columnMapping.mode = name), which is not supported",
        ),
        (
            "delta.enableInCommitTimestamps",
            "true",
            "the table TABLE has in-commit timestamps (delta.enableInCommitTimestamps = true), which is not supported",
        ),
        (
            "delta.setTransactionRetentionDuration",
            "interval 30 days",
            "the table TABLE forgets transactions (delta.setTransactionRetentionDuration = interval 30 days), \
             so an epoch could be written twice; unset that property (ALTER TABLE … UNSET TBLPROPERTIES)",
        ),
    ] {
        let lake = Lake::new(&[]);
        opened(&lake).await;
        lake.edit_creation(|action| {
            if action.get("metaData").is_some() {
                action["metaData"]["configuration"][key] = json!(value);
            }
        });
        assert_eq!(said(&lake).await, expected);
    }
}

#[tokio::test]
async fn column_rules_are_refused() {
    for (key, expected) in [
        ("delta.invariants", "the table TABLE has an invariant on the column `city`, which is not supported"),
        (
            "delta.generationExpression",
            "the table TABLE has a generated value on the column `city`, which is not supported",
        ),
        ("delta.identity.start", "the table TABLE has an identity on the column `city`, which is not supported"),
    ] {
        let lake = Lake::new(&[]);
        opened(&lake).await;
        lake.edit_creation(|action| {
            if let Some(schema) = action["metaData"]["schemaString"].as_str() {
                let mut schema: Value = serde_json::from_str(schema).unwrap();
                schema["fields"][1]["metadata"][key] = json!("x");
                action["metaData"]["schemaString"] = json!(schema.to_string());
            }
        });
        assert_eq!(said(&lake).await, expected);
    }
}

#[tokio::test]
async fn a_log_that_is_no_log_is_refused() {
    let lake = Lake::new(&[]);
    opened(&lake).await;
    std::fs::write(lake.commit_file(0), "{\"commitInfo\":{}}\n").unwrap();
    assert_eq!(said(&lake).await, "read the Delta log of TABLE: No table metadata or protocol found in delta log.");
}
