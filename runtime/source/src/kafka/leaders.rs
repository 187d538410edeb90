//! What only the leader of a partition can say: where its log ends, and whether the log still holds what was read. This
//! needs unsafe code, since rdkafka's safe API has neither.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ptr;
use std::slice;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use weir_plan::ids::TopicPartition;

use super::client::Client;
use super::native::{millis, text};

/// The end of a partition's log, as its leader says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The high watermark; records of open transactions lie below it.
    pub offset: i64,
    /// The epoch of the leader that answered.
    pub leader_epoch: Option<i32>,
}

pub type Ends = BTreeMap<TopicPartition, End>;

/// Extra time in which librdkafka's answer can arrive; librdkafka answers at the request's own timeout at the latest.
const MARGIN: Duration = Duration::from_millis(100);

/// Asks all leaders at once, with one request (`ListOffsets`) each, and waits for the slowest. A partition whose leader
/// does not answer within `timeout` is left out.
///
/// # Errors
/// No leader has answered.
pub(super) fn ends(client: &Client, partitions: &[TopicPartition], timeout: Duration) -> Result<Ends, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for p in partitions {
        asked.add_partition_offset(&p.topic, p.partition, Offset::End)?;
    }
    let native = client.client().native_ptr();
    let mut found = Ends::new();
    // SAFETY: every object is created and destroyed here, once, on each way out; `asked` outlives the call that copies
    // it. What is read from the event is copied before the event is destroyed.
    unsafe {
        let queue = sys::rd_kafka_queue_new(native);
        let options = sys::rd_kafka_AdminOptions_new(native, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout).max(1), ptr::null_mut(), 0);
        sys::rd_kafka_ListOffsets(native, asked.ptr(), options, queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        let event = sys::rd_kafka_queue_poll(queue, millis(timeout + MARGIN));
        let error = if event.is_null() {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT
        } else {
            sys::rd_kafka_event_error(event)
        };
        if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let mut count = 0;
            let infos =
                sys::rd_kafka_ListOffsets_result_infos(sys::rd_kafka_event_ListOffsets_result(event), &raw mut count);
            for i in 0..count {
                let said = sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(i));
                let (offset, epoch) = ((*said).offset, sys::rd_kafka_topic_partition_get_leader_epoch(said));
                if (*said).err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && offset >= 0 {
                    let partition = TopicPartition { topic: text((*said).topic), partition: (*said).partition };
                    found.insert(partition, End { offset, leader_epoch: (epoch >= 0).then_some(epoch) });
                }
            }
        }
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(found)
        } else {
            Err(KafkaError::AdminOp(error.into()))
        }
    }
}

/// Makes librdkafka compare positions with their leaders' logs before it reads on (KIP-320): each assigned partition
/// seeks to its own position once more. If a log was cut before a position, that partition gets an error, as it does
/// when the leader changes during reading. Each position is an offset and the epoch of the leader that wrote the record
/// before it.
///
/// Returns the positions that librdkafka does not read: it has not begun with their assignment, or it has stopped
/// because there is nothing at that offset.
///
/// # Errors
/// librdkafka did not answer.
pub(super) fn validate<'p>(
    client: &Client,
    positions: &[(&'p TopicPartition, i64, i32)],
    timeout: Duration,
) -> Result<Vec<(&'p TopicPartition, i64, i32)>, KafkaError> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (p, next, _) in positions {
        list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*next))?;
    }
    // SAFETY: the list is alive and not shared; it has as many elements as it says, in the order in which they were
    // added. An error object that is returned is ours to destroy.
    let error = unsafe {
        let raw = &mut *list.ptr();
        let elements = slice::from_raw_parts_mut(raw.elems, usize::try_from(raw.cnt).unwrap_or_default());
        for (element, (_, _, epoch)) in elements.iter_mut().zip(positions) {
            sys::rd_kafka_topic_partition_set_leader_epoch(element, *epoch);
        }
        let error = sys::rd_kafka_seek_partitions(client.client().native_ptr(), list.ptr(), millis(timeout));
        let code = sys::rd_kafka_error_code(error);
        if !error.is_null() {
            sys::rd_kafka_error_destroy(error);
        }
        code
    };
    if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::Seek(Code::from(error).to_string()));
    }
    let refused = list.elements().into_iter().zip(positions).filter(|(element, _)| element.error().is_err());
    Ok(refused.map(|(_, position)| *position).collect())
}
