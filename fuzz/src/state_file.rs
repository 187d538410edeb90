//! State files, as a start reads them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Value, json};
use weir_base::failure::{Failure, Remedy};
use weir_base::retry::{Jitter, RetryPolicy};
use weir_checkpoint::manifest::StateFile;
use weir_checkpoint::state_files::StateFiles;
use weir_checkpoint::store::Store;
use weir_plan::ids::Generation;
use weir_runtime::build::Graph;
use weir_runtime::state::StepTable;
use weir_runtime::state::log::Restorable;

const PATH: &str = "state/0000000001-00000000000000000002-0-0.state";
const MAGIC_BYTES: usize = 8;
const TRAILER_BYTES: usize = 16;
/// Nothing is away here, so nothing is tried twice.
const ONCE: RetryPolicy = RetryPolicy { first: Duration::ZERO, max: Duration::ZERO, give_up_after: Duration::ZERO };

/// The tables of a step that the fixtures in `runtime/fixtures` are of.
static TABLES: LazyLock<Arc<[StepTable]>> = LazyLock::new(|| {
    let document = include_str!("pipeline.yaml");
    match weir_crds::load(document, None) {
        Ok(plan) => Arc::clone(Graph::of(Arc::new(plan)).tables()),
        Err(refused) => panic!("{refused:?}"),
    }
});

/// A file is read or refused with a sentence, as it is and with the checksums that its bytes have.
pub fn state_file(input: &[u8]) {
    judge(input);
    if let Some(repaired) = with_right_checksums(input) {
        judge(&repaired);
    }
}

fn judge(bytes: &[u8]) {
    if let Err(refused) = super::finished(restored(bytes)) {
        assert_ne!(refused.remedy, Remedy::Bug, "{refused}");
        super::check_message(&refused.message, bytes);
    }
}

async fn restored(bytes: &[u8]) -> Result<u64, Failure> {
    let store = Store::new(Arc::new(InMemory::new()), Path::from("c"), "memory:///c", Duration::from_secs(5));
    store.create(PATH, Bytes::copy_from_slice(bytes)).await?;
    let file = StateFile {
        path: PATH.to_owned(),
        bytes: bytes.len() as u64,
        rows: 1,
        crc32: crc32fast::hash(bytes),
        tables: Vec::new(),
    };
    let files = StateFiles::new(store, Generation(1), ONCE, Jitter::new(7));
    let restorable = Restorable::open(Arc::clone(&TABLES), files, &[file]).await?;
    let mut rows = 0;
    restorable
        .load(|_, change| {
            rows += change.rows() as u64;
            Ok(true)
        })
        .await?;
    Ok(rows)
}

/// The file with the checksums and lengths that its bytes have, wherever its footer can be read: no random change would
/// guess them, and whoever forges a file computes them.
fn with_right_checksums(file: &[u8]) -> Option<Vec<u8>> {
    let (body, trailer) = file.split_at_checked(file.len().checked_sub(TRAILER_BYTES)?)?;
    let length = u32::from_le_bytes(trailer[..4].try_into().ok()?) as usize;
    let (blocks, footer) = body.split_at_checked(body.len().checked_sub(length)?)?;
    let mut footer: Value = serde_json::from_slice(footer).ok()?;
    for block in footer.get_mut("blocks")?.as_array_mut()? {
        let Some(mut at) = block["offset"].as_u64().and_then(|at| usize::try_from(at).ok()) else { continue };
        let from = at;
        for chunk in block["chunks"].as_array_mut().into_iter().flatten() {
            let Some(bytes) = chunk[0].as_u64().and_then(|bytes| usize::try_from(bytes).ok()) else { continue };
            let Some(of_chunk) = at.checked_add(bytes).and_then(|end| blocks.get(at..end)) else { continue };
            at += bytes;
            if let Some(sum) = chunk.get_mut(1) {
                *sum = json!(crc32fast::hash(of_chunk));
            }
        }
        if let (true, Some(of_block)) = (block.is_object(), blocks.get(from..at)) {
            block["bytes"] = json!(of_block.len());
            block["crc32"] = json!(crc32fast::hash(of_block));
        }
    }
    let footer = serde_json::to_vec(&footer).ok()?;
    let length = u32::try_from(footer.len()).ok()?.to_le_bytes();
    let magic = &trailer[TRAILER_BYTES - MAGIC_BYTES..];
    Some([blocks, &footer, &length, &crc32fast::hash(&footer).to_le_bytes(), magic].concat())
}
