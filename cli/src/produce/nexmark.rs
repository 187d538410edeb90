//! The events of Nexmark, the benchmark of Tucker, Tufte, Papadimos and Maier (2002): persons who open auctions, and
//! bids. The crate `nexmark` generates them, with the distributions of Apache Beam's and Flink's Nexmark. A record is
//! what Flink's Nexmark puts into Kafka: `event_type` (0, 1, 2), and one of the objects `person`, `auction` and `bid`,
//! beside which the other two are null.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event, Person};

use super::rides::{write_number, write_time};
use super::send::Record;

/// The events to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NexmarkSpec {
    /// The number of events. `None`: no end.
    pub count: Option<u64>,
    /// Event time of the first event: milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: u64,
    /// Events per second of event time.
    pub per_second: u32,
    /// This many events in a row are out of order among each other; 1: all are in order.
    pub out_of_order: u32,
}

/// The events of a specification, in the order in which they are sent.
pub fn events(spec: NexmarkSpec) -> impl Iterator<Item = Event> {
    let per_second = spec.per_second.max(1) as usize;
    let config = NexmarkConfig {
        base_time: spec.start_ms,
        first_rate: per_second,
        next_rate: per_second,
        out_of_order_group_size: spec.out_of_order.max(1) as usize,
        ..NexmarkConfig::default()
    };
    let count = spec.count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    EventGenerator::new(config).take(count)
}

impl Record for Event {
    /// There is none.
    fn write_key(&self, _: &mut Vec<u8>) {}

    /// A bid takes about 250 bytes.
    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Person(person) => {
                out.extend_from_slice(b"{\"event_type\":0,\"person\":");
                write_person(person, out);
                out.extend_from_slice(b",\"auction\":null,\"bid\":null}");
            }
            Self::Auction(auction) => {
                out.extend_from_slice(b"{\"event_type\":1,\"person\":null,\"auction\":");
                write_auction(auction, out);
                out.extend_from_slice(b",\"bid\":null}");
            }
            Self::Bid(bid) => {
                out.extend_from_slice(b"{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":");
                write_bid(bid, out);
                out.push(b'}');
            }
        }
    }
}

fn write_person(person: &Person, out: &mut Vec<u8>) {
    number(out, "{", "id", person.id);
    text(out, "name", &person.name);
    text(out, "emailAddress", &person.email_address);
    text(out, "creditCard", &person.credit_card);
    text(out, "city", &person.city);
    text(out, "state", &person.state);
    time(out, "dateTime", person.date_time);
    text(out, "extra", &person.extra);
    out.push(b'}');
}

fn write_auction(auction: &Auction, out: &mut Vec<u8>) {
    number(out, "{", "id", auction.id);
    text(out, "itemName", &auction.item_name);
    text(out, "description", &auction.description);
    number(out, ",", "initialBid", auction.initial_bid);
    number(out, ",", "reserve", auction.reserve);
    time(out, "dateTime", auction.date_time);
    time(out, "expires", auction.expires);
    number(out, ",", "seller", auction.seller);
    number(out, ",", "category", auction.category);
    text(out, "extra", &auction.extra);
    out.push(b'}');
}

fn write_bid(bid: &Bid, out: &mut Vec<u8>) {
    number(out, "{", "auction", bid.auction);
    number(out, ",", "bidder", bid.bidder);
    number(out, ",", "price", bid.price);
    text(out, "channel", &bid.channel);
    text(out, "url", &bid.url);
    time(out, "dateTime", bid.date_time);
    text(out, "extra", &bid.extra);
    out.push(b'}');
}

/// Appends a field's name, behind what separates it from what stands before it.
fn name(out: &mut Vec<u8>, before: &str, name: &str) {
    out.extend_from_slice(before.as_bytes());
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, before: &str, field: &str, value: usize) {
    name(out, before, field);
    write_number(out, value as u64, 1);
}

/// The texts of these events have no character that JSON would escape: they are made of letters, digits, spaces, and
/// the signs of URLs and mail addresses.
fn text(out: &mut Vec<u8>, field: &str, value: &str) {
    name(out, ",", field);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Flink's SQL format of times, which has no zone and means UTC here.
fn time(out: &mut Vec<u8>, field: &str, ms: u64) {
    name(out, ",", field);
    out.push(b'"');
    write_time(out, i64::try_from(ms).unwrap_or(i64::MAX), b' ');
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;

    const SPEC: NexmarkSpec =
        NexmarkSpec { count: Some(10_000), start_ms: 1_767_225_600_000, per_second: 100, out_of_order: 1 };

    fn lines(spec: NexmarkSpec) -> impl Iterator<Item = String> {
        events(spec).map(|event| {
            let mut out = Vec::new();
            event.write_json(&mut out);
            String::from_utf8(out).unwrap()
        })
    }

    fn records(spec: NexmarkSpec) -> Vec<Value> {
        lines(spec).map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    fn times(records: &[Value]) -> Vec<String> {
        let kind = |record: &Value| ["person", "auction", "bid"][record["event_type"].as_u64().unwrap() as usize];
        records.iter().map(|record| record[kind(record)]["dateTime"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn events_never_change() {
        let first: Vec<_> = lines(NexmarkSpec { count: Some(6), ..SPEC }).collect();
        insta::assert_snapshot!(first.join("\n"));
    }

    #[test]
    fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_others_bids() {
        let records = records(SPEC);
        let count = |kind: u64| records.iter().filter(|record| record["event_type"] == kind).count();
        assert_eq!((count(0), count(1), count(2)), (200, 600, 9_200));
        for record in records {
            let there = ["person", "auction", "bid"].map(|name| u64::from(record[name].is_object()));
            let mut expected = [0; 3];
            expected[record["event_type"].as_u64().unwrap() as usize] = 1;
            assert_eq!(there, expected, "{record}");
        }
    }

    #[test]
    fn event_time_advances_by_the_rate_and_is_out_of_order_only_within_groups() {
        let in_order = times(&records(SPEC));
        assert!(in_order.is_sorted());
        assert_eq!((&*in_order[0], &*in_order[9_999]), ("2026-01-01 00:00:00.000", "2026-01-01 00:01:39.990"));
        let mixed = times(&records(NexmarkSpec { out_of_order: 100, ..SPEC }));
        assert!(!mixed.is_sorted());
        for (ordered, mixed) in in_order.chunks(100).zip(mixed.chunks(100)) {
            let mut mixed = mixed.to_vec();
            mixed.sort();
            assert_eq!(ordered, mixed);
        }
    }
}
