//! Documents, with or without an override, as `weir` reads them and as an API server hands them on.

use weir_crds::Finding;
use weir_crds::former;

/// Stands between a document and its override. No YAML contains it.
const SEPARATOR: char = '\0';

/// A document is read or refused with sentences that name their places. What is read can be explained, and the
/// explanation means the same plan. A former document that is rewritten is not rewritten again.
pub fn document(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (text, over) = match text.split_once(SEPARATOR) {
        Some((text, over)) => (text, Some(over)),
        None => (text, None),
    };
    match weir_crds::load_whole(text, over) {
        Ok(loaded) => {
            let explained = match weir_crds::explain(text, over) {
                Ok(explained) => explained,
                Err(refused) => panic!("loaded and not explained: {refused:?}"),
            };
            match weir_crds::load(&explained, None) {
                Ok(again) => assert_eq!(format!("{again:?}"), format!("{:?}", loaded.plan), "{explained}"),
                Err(refused) => panic!("explained as {explained}, which is refused: {refused:?}"),
            }
            let _ = weir_crds::notices(&loaded);
        }
        Err(refused) => check(&refused, input),
    }
    let _ = weir_crds::notices_of_text(text);
    match former::rewrite(text) {
        Ok(None) => {}
        Ok(Some(rewritten)) => match former::rewrite(&rewritten.text) {
            Ok(None) => {}
            Ok(Some(again)) => check(&again.left, input),
            Err(refused) => panic!("rewritten as {}, which is refused: {refused:?}", rewritten.text),
        },
        Err(refused) => check(&refused, input),
    }
    if let Ok(value) = serde_json::from_str(text)
        && let Err(refused) = weir_crds::load_value(&value)
    {
        check(&refused, input);
    }
}

fn check(refused: &[Finding], input: &[u8]) {
    assert!(!refused.is_empty(), "refused without a word");
    for finding in refused {
        super::check_message(&finding.message, input);
        assert!(!finding.path.contains('\n'), "{finding:?}");
    }
}
