#![allow(clippy::unwrap_used)]
use std::io;

use arrow::array::{ArrayRef, Int64Array, StringArray};

use super::*;

fn rows(cities: &[Option<&str>]) -> RecordBatch {
    let numbers = Int64Array::from_iter_values((1..).take(cities.len()));
    let columns = [("city", Arc::new(StringArray::from(cities.to_vec())) as ArrayRef), ("rides", Arc::new(numbers))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn decided(epoch: u64) -> Decided {
    Decided {
        pipeline: "p".into(),
        lineage: "l".into(),
        sink: "totals".into(),
        epoch: Epoch(epoch),
        mark: 0,
        token: None,
        provenance: Map::new(),
    }
}

async fn sealed(console: &mut Console, batches: &[RecordBatch]) -> Option<Sealed> {
    let mut writer = console.writers().begin(&Slot::new("l", 0)).unwrap();
    for batch in batches {
        writer.write(batch).await.unwrap();
    }
    let part = writer.finish().await.unwrap();
    console.seal(vec![part]).await.unwrap()
}

fn console(out: &Arc<Mutex<Vec<u8>>>, of: ConsoleSink) -> Console {
    let out: Out = Arc::clone(out) as Out;
    Console::new("totals".into(), Some(Shape { schema: rows(&[]).schema(), console: of }), out)
}

#[tokio::test]
async fn an_epoch_is_shown_once_with_its_first_rows() {
    let out = Arc::new(Mutex::new(Vec::new()));
    let mut console = console(&out, ConsoleSink { rows: 3, truncate: 8 });
    assert_eq!(sealed(&mut console, &[rows(&[])]).await, None);
    let batches = [rows(&[Some("Rome"), None]), rows(&[Some("Ciudad de México"), Some("a\nb")])];
    let sealed = sealed(&mut console, &batches).await.unwrap();
    assert_eq!(sealed.rows, 4);
    let of = decided(7);
    console.ready(&of, &sealed.payload).await.unwrap();
    assert_eq!(console.commit(&of, &sealed.payload).await.unwrap(), Outcome::Committed);
    assert_eq!(console.commit(&of, &sealed.payload).await.unwrap(), Outcome::AlreadyThere);
    let expected = "totals, epoch 7\n\
                    +----------+-------+\n\
                    | city     | rides |\n\
                    +----------+-------+\n\
                    | Rome     |     1 |\n\
                    | NULL     |     2 |\n\
                    | Ciuda... |     1 |\n\
                    +----------+-------+\n\
                    the first 3 of 4 rows\n\n";
    assert_eq!(String::from_utf8(out.lock().unwrap().clone()).unwrap(), expected);
}

#[tokio::test]
async fn long_rows_are_shown_only_as_far_as_a_manifest_holds_them() {
    let out = Arc::new(Mutex::new(Vec::new()));
    let mut console = console(&out, ConsoleSink { rows: 1000, truncate: 10_000 });
    let long = "x".repeat(9_000);
    let sealed = sealed(&mut console, &[rows(&[Some(long.as_str()); 100])]).await.unwrap();
    let text = text_of(&sealed.payload).unwrap();
    assert!(text.ends_with("the first 7 of 100 rows\n"), "{}", &text[text.len() - 100..]);
}

#[tokio::test]
async fn a_line_feed_in_a_value_begins_no_line() {
    let out = Arc::new(Mutex::new(Vec::new()));
    let mut console = console(&out, ConsoleSink { rows: 1, truncate: 20 });
    let sealed = sealed(&mut console, &[rows(&[Some("a\n| b")])]).await.unwrap();
    assert!(text_of(&sealed.payload).unwrap().contains(r"| a\n| b |"));
}

/// Fails in its own way.
struct Failing(ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_has_gone_stops_nothing_and_a_full_disk_is_tried_again() {
    for (kind, expected) in [(ErrorKind::BrokenPipe, true), (ErrorKind::StorageFull, false)] {
        let shape = Shape { schema: rows(&[]).schema(), console: ConsoleSink { rows: 1, truncate: 20 } };
        let mut console = Console::new("totals".into(), Some(shape), Arc::new(Mutex::new(Failing(kind))));
        let sealed = sealed(&mut console, &[rows(&[None])]).await.unwrap();
        let committed = console.commit(&decided(1), &sealed.payload).await;
        assert_eq!(committed.is_ok(), expected, "{committed:?}");
    }
}
