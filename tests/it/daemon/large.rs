//! A branch that is followed for long, or that somebody has put something large into: the disk does not fill.

use rmm::model::config::Repository;
use rmm::repo::follow::Follower;

use super::signed::Team;
use super::*;

/// What the fetched repository takes on disk, and in how many packs.
fn used(yard: &Yard) -> (u64, usize) {
    let packs = yard.repo().join(".rmm/repository.git/objects/pack");
    let files: Vec<_> = std::fs::read_dir(packs).unwrap().map(Result::unwrap).collect();
    let bytes = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    (bytes, files.iter().filter(|file| file.path().extension().is_some_and(|extension| extension == "pack")).count())
}

#[test]
fn a_fetch_that_brings_too_much_is_refused_and_leaves_nothing_behind() {
    const MOST: u64 = 2 * 1024 * 1024;
    let team = Team::new();
    team.follow(&format!("max_bytes = {MOST}\n"));
    team.commit("one", &[]);
    team.yard.once().ends(0);
    assert!(team.has("one"));
    // Nothing that could be made smaller.
    let mut noise = vec![0; 12 * 1024 * 1024];
    rand::fill(&mut noise[..]);
    std::fs::write(team.yard.beside("work").join("installer.exe"), noise).unwrap();
    team.commit("two", &[]);
    for _ in 0..2 {
        team.yard.once().ends(0).says("too large").says("repository.max_bytes");
        assert!(team.has("one"), "the last good commit stays in force");
        assert!(used(&team.yard).0 < MOST, "{:?}", used(&team.yard));
    }
    // Where it is meant, it is said.
    team.follow("max_bytes = 100000000\n");
    team.yard.once().ends(0);
    assert!(team.has("two"));
    // And where no more than that is allowed afterwards, what is in force stays.
    team.follow(&format!("max_bytes = {MOST}\n"));
    team.commit("three", &[]);
    team.yard.once().ends(0).says("too large");
    assert!(team.has("two"));
}

#[test]
fn what_many_fetches_leave_behind_is_packed() {
    let team = Team::new();
    let settings = Repository { remote: Some(format!("file://{}", team.yard.beside("work").display())), ..Repository::default() };
    let state = team.yard.repo().join(".rmm");
    std::fs::create_dir_all(&state).unwrap();
    let follower = Follower::open(&settings, &team.yard.repo(), &state).unwrap().unwrap();
    let mut most = 0;
    for n in 0..50 {
        let commit = team.commit(&format!("number {n}"), &[]);
        let head = follower.fetch(&|| false).unwrap();
        assert_eq!(head, commit);
        follower.check(&head, None).unwrap();
        follower.accept(&head).unwrap();
        most = most.max(used(&team.yard).1);
    }
    assert!((10..=21).contains(&most), "{most} packs");
    // Nothing of what was in force is lost.
    let dir = team.yard.repo().join(".rmm/repository.git");
    let commits = run(&dir, "git", &["rev-list", "--count", "refs/rmm/good"], &[]);
    assert_eq!(commits, "50");
    run(&dir, "git", &["fsck", "--full", "--strict"], &[]);
}
