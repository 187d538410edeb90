//! Compares what manifests say about the tables' epochs with the epochs that earlier manifests decided.

use std::collections::BTreeMap;

use super::manifest::Manifest;

/// The newest epoch by sink and table id, preceded by the generation that began its lineage.
type Newest = BTreeMap<(String, String), (u64, u64)>;

/// One sentence per manifest that does not follow from its predecessors.
#[must_use]
pub fn contradictions(manifests: &[Manifest]) -> Vec<String> {
    let mut found = Vec::new();
    // The epochs that are certainly in the tables, and those that may not be there yet.
    let (mut there, mut in_doubt) = (Newest::new(), Newest::new());
    let mut lineage = manifests.first().map(|m| m.lineage.as_str());
    // If earlier manifests were collected, only the first remaining manifest says what the tables had. If it is a
    // claim, the epoch that was in doubt stays unknown.
    let collected = manifests.first().filter(|first| first.epoch > 1);
    if let Some(first) = collected {
        there.clone_from(&first.acknowledged);
    }
    let mut unknown = collected.is_some_and(|first| first.is_claim);
    let mut given_up = false;
    for manifest in manifests {
        let begins = lineage.replace(&manifest.lineage) != Some(manifest.lineage.as_str());
        if manifest.is_claim {
            there.retain(|(sink, id), _| manifest.tables.get(sink) == Some(id));
            // After a state action over tables that hold something else, only the tables know what they hold.
            given_up |= begins;
            if begins && manifest.in_doubt.is_none() {
                in_doubt.clear();
                there.clone_from(&manifest.acknowledged);
            }
        } else if std::mem::take(&mut unknown) {
            there.clone_from(&manifest.acknowledged);
        } else {
            // The epoch before a state action may have been given up, because its files or its table were gone.
            let given_up = std::mem::take(&mut given_up);
            in_doubt.retain(|table, here| !given_up || manifest.acknowledged.get(table) == Some(here));
            there.append(&mut in_doubt);
        }
        if there != manifest.acknowledged {
            found.push(format!(
                "epoch {}: {there:?} are in the tables, the manifest says {:?}",
                manifest.epoch, manifest.acknowledged
            ));
        }
        if !manifest.is_claim {
            let table = |sink: &String| Some((sink.clone(), manifest.tables.get(sink)?.clone()));
            let here = (begun_by(&manifest.lineage), manifest.epoch);
            in_doubt = manifest.committed.keys().filter_map(table).map(|table| (table, here)).collect();
        }
    }
    found
}

/// The generation whose claim began the lineage.
fn begun_by(lineage: &str) -> u64 {
    lineage.split_once('.').map_or(1, |(_, begun)| begun.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(epoch: u64, acknowledged: &[(&str, u64)]) -> Manifest {
        let newest =
            acknowledged.iter().map(|(sink, epoch)| (((*sink).to_owned(), "id".to_owned()), (1, *epoch))).collect();
        let tables = ["a", "b"].map(|sink| (sink.to_owned(), "id".to_owned())).into();
        Manifest { is_claim: true, tables, acknowledged: newest, ..Manifest::empty(epoch) }
    }

    fn data(epoch: u64, writes: &[&str], acknowledged: &[(&str, u64)]) -> Manifest {
        let committed = writes.iter().map(|sink| ((*sink).to_owned(), 1)).collect();
        Manifest { is_claim: false, committed, ..claim(epoch, acknowledged) }
    }

    #[test]
    fn an_epoch_counts_when_the_next_one_is_decided_and_not_in_a_claim() {
        let right = [
            claim(1, &[]),
            data(2, &["a", "b"], &[]),
            data(3, &["a"], &[("a", 2), ("b", 2)]),
            claim(4, &[("a", 2), ("b", 2)]),
            data(5, &[], &[("a", 3), ("b", 2)]),
        ];
        assert_eq!(contradictions(&right), Vec::<String>::new());
        assert_eq!(contradictions(&right[3..]), Vec::<String>::new());
        for (at, says) in [(2, &[("a", 3), ("b", 2)]), (3, &[("a", 3), ("b", 2)]), (4, &[("a", 2), ("b", 2)])] {
            let mut wrong = right.clone();
            wrong[at].acknowledged = claim(0, says).acknowledged;
            assert_eq!(contradictions(&wrong).len(), 1, "{at}");
        }
    }

    #[test]
    fn a_lineage_begins_with_what_the_tables_have_of_the_one_before_it() {
        let of = |manifest: Manifest| Manifest { lineage: "l.2".into(), ..manifest };
        let begins = |in_doubt: Option<u64>, manifest: Manifest| Manifest { in_doubt, ..of(manifest) };
        let right = [
            claim(1, &[]),
            data(2, &["a", "b"], &[]),
            data(3, &["a"], &[("a", 2), ("b", 2)]),
            begins(Some(3), claim(4, &[("a", 2), ("b", 2)])),
            of(data(5, &[], &[("a", 3), ("b", 2)])),
        ];
        assert_eq!(contradictions(&right), Vec::<String>::new());
        for at in [3, 4] {
            let mut forgets = right.clone();
            forgets[at].acknowledged.clear();
            assert_eq!(contradictions(&forgets).len(), 1, "{at}");
        }
        let mut excused = right;
        excused[3] = begins(None, claim(4, &[("b", 2)]));
        excused[4].acknowledged = excused[3].acknowledged.clone();
        assert_eq!(contradictions(&excused), Vec::<String>::new());
    }

    #[test]
    fn a_table_that_takes_another_ones_place_begins_with_nothing() {
        let mut dropped = claim(4, &[("a", 2)]);
        dropped.tables.remove("b");
        let without = [claim(1, &[]), data(2, &["a", "b"], &[]), data(3, &[], &[("a", 2), ("b", 2)]), dropped];
        assert_eq!(contradictions(&without), Vec::<String>::new());
    }
}
