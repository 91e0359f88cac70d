//! What commands keep of what is measured.

use super::*;
use crate::apply::survey::Ask;
use crate::model::Category;
use crate::transport::{SessionOptions, Sessions};

/// A command that observes performance once.
async fn collect(house: &House) -> Vec<String> {
    let clock: Arc<dyn Clock> = house.clock.clone();
    let mut survey = Survey::new(&house.set, &house.store, &house.secrets, &clock);
    survey.sessions = Arc::new(Sessions::with_clock(SessionOptions::default(), Arc::clone(&house.secrets) as _, Arc::clone(&clock)));
    let (scope, cancel) = (Scope::default(), CancellationToken::new());
    let seen = survey.inventory(&scope, &[Category::Performance], Ask::Everything, None, &cancel, &|_| {}).await.unwrap();
    assert_eq!((seen.observed, seen.unreachable, seen.failed), (1, 0, 0));
    let at = house.clock.now();
    house.store.latest_metrics("d").unwrap().into_iter().filter(|sample| sample.at == at).map(|sample| sample.metric).collect()
}

#[tokio::test]
async fn counters_become_rates_with_the_reading_that_another_command_has_left() {
    let house = House::new(&[("d", ", connection: {transport: simulated}")], "policies: {}\n");
    let first = collect(&house).await;
    assert!(first.contains(&"Memory".to_owned()) && !first.contains(&"CPU".to_owned()), "{first:?}");
    house.clock.set(minutes(5));
    let second = collect(&house).await;
    assert!(second.contains(&"CPU".to_owned()) && second.contains(&"NetworkErrors".to_owned()), "{second:?}");
    // Too long ago to say anything about now.
    house.clock.set(minutes(300));
    assert!(!collect(&house).await.contains(&"CPU".to_owned()));
}
