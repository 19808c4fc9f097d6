use super::{Demand, Known, Step};

fn one(index: usize) -> Demand {
    Demand::One(index)
}

fn any(ways: &[Demand]) -> Demand {
    Demand::Any(ways.into())
}

fn all(members: &[Demand], principal: usize) -> Demand {
    let members = members.into();
    Demand::All { members, principal }
}

/// `-` absent, `?` present, `!` verified; one sign for each authenticator.
fn known(signs: &'static str) -> impl Fn(usize) -> Known {
    move |index| match signs.as_bytes()[index] {
        b'-' => Known::Absent,
        b'?' => Known::Present,
        _ => Known::Verified,
    }
}

#[test]
fn any_of_takes_the_first_that_is_not_absent() {
    let demand = any(&[one(0), one(1), one(2)]);
    for (signs, step) in [
        ("---", Step::Absent),
        ("?--", Step::Verify(0)),
        ("-??", Step::Verify(1)),
        ("?!!", Step::Verify(0)),
        ("-!?", Step::Met),
        ("--!", Step::Met),
    ] {
        assert_eq!(demand.step(&known(signs)), step, "{signs}");
    }
}

#[test]
fn all_of_is_answered_by_the_first_that_is_not_verified() {
    let demand = all(&[one(0), one(1), one(2)], 0);
    for (signs, step) in [
        ("---", Step::Absent),
        ("-??", Step::Absent),
        ("?-?", Step::Verify(0)),
        ("!-?", Step::Absent),
        ("!?-", Step::Verify(1)),
        ("!!?", Step::Verify(2)),
        ("!!-", Step::Absent),
        ("!!!", Step::Met),
    ] {
        assert_eq!(demand.step(&known(signs)), step, "{signs}");
    }
}

#[test]
fn all_of_within_all_of_is_no_alternative() {
    let demand = all(&[all(&[one(0), one(1)], 0), one(2)], 0);
    for (signs, step) in [
        ("-??", Step::Absent),
        ("!-?", Step::Absent),
        ("!!-", Step::Absent),
        ("?--", Step::Verify(0)),
        ("!!!", Step::Met),
    ] {
        assert_eq!(demand.step(&known(signs)), step, "{signs}");
    }
}

/// What was sent for an alternative is verified before the alternative is left, however deep it stands.
#[test]
fn an_alternative_is_left_only_once_all_that_was_sent_for_it_is_verified() {
    let both = all(&[one(0), one(1)], 0);
    let nested = all(&[one(0), all(&[one(1), one(3)], 0)], 0);
    for (demand, signs, step) in [
        (any(&[both.clone(), one(2)]), "--?-", Step::Verify(2)),
        (any(&[both.clone(), one(2)]), "?-?-", Step::Verify(0)),
        (any(&[both.clone(), one(2)]), "-??-", Step::Verify(1)),
        (any(&[both.clone(), one(2)]), "-!?-", Step::Verify(2)),
        (any(&[both.clone(), one(2)]), "-!--", Step::Absent),
        (any(&[both, one(2)]), "!!?-", Step::Met),
        (any(&[nested.clone(), one(2)]), "--??", Step::Verify(3)),
        (any(&[nested.clone(), one(2)]), "-??!", Step::Verify(1)),
        (any(&[nested, one(2)]), "-!?!", Step::Verify(2)),
    ] {
        assert_eq!(demand.step(&known(signs)), step, "{demand:?} {signs}");
    }
}

#[test]
fn the_principal_comes_first_and_only_the_way_that_was_taken_counts() {
    for (demand, signs, proven) in [
        (all(&[one(0), one(1)], 0), "!!", vec![0, 1]),
        (all(&[one(0), one(1)], 1), "!!", vec![1, 0]),
        (all(&[one(0), one(1)], 1), "!-", vec![]),
        (any(&[all(&[one(0), one(1)], 0), one(2)]), "!-!", vec![2]),
        (all(&[any(&[one(0), one(1)]), one(2)], 1), "-!!", vec![2, 1]),
        (
            all(&[all(&[one(0), one(1)], 1), one(2)], 0),
            "!!!",
            vec![1, 0, 2],
        ),
    ] {
        assert_eq!(
            demand.proven_by(&known(signs)),
            proven,
            "{demand:?} {signs}"
        );
    }
}

#[test]
fn what_is_missing_is_every_way_and_the_first_member() {
    let both = all(&[one(0), one(1)], 0);
    let either = any(&[both.clone(), one(2)]);
    for (demand, signs, missing) in [
        (&both, "---", vec![0]),
        (&both, "!--", vec![1]),
        (&both, "-!-", vec![0]),
        (&both, "!!-", vec![]),
        (&either, "---", vec![0, 2]),
        (&either, "!--", vec![1, 2]),
        (&either, "--!", vec![]),
        (&all(&[either.clone(), one(3)], 0), "--!-", vec![3]),
        (
            &any(&[both.clone(), all(&[one(0), one(2)], 0)]),
            "---",
            vec![0],
        ),
    ] {
        assert_eq!(
            demand.missing(&known_of(signs)),
            missing,
            "{demand:?} {signs}"
        );
    }
}

fn known_of(signs: &'static str) -> impl Fn(usize) -> Known {
    let known = known(signs);
    move |index| {
        if index < signs.len() {
            known(index)
        } else {
            Known::Absent
        }
    }
}

#[test]
fn knows_which_authenticators_one_all_of_demands_together() {
    for (demand, together) in [
        (any(&[one(0), one(1)]), vec![]),
        (all(&[one(0), one(1)], 0), vec![(0, 1)]),
        (
            all(&[any(&[one(0), one(1)]), one(2)], 0),
            vec![(0, 2), (1, 2)],
        ),
        (any(&[all(&[one(0), one(1)], 0), one(2)]), vec![(0, 1)]),
        (
            all(&[all(&[one(0), one(1)], 0), one(2)], 0),
            vec![(0, 1), (0, 2), (1, 2)],
        ),
    ] {
        let mut found = Vec::new();
        demand.together(&mut |one, other| found.push((one, other)));
        assert_eq!(found, together, "{demand:?}");
    }
}
