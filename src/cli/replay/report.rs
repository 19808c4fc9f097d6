//! What became of all decisions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::replay::record::Recorded;
use crate::cli::replay::world::Replayed;
use crate::diagnostic::printable;
use crate::verdict::Reason;

/// The most kinds of flips that are told apart.
const MAX_GROUPS: usize = 100_000;

/// The most broken lines that are shown.
const MAX_SHOWN: usize = 5;

/// How often something happened, with the id of one such decision.
#[derive(Debug, Default)]
struct Count {
    times: u64,
    example: String,
}

impl Count {
    fn add(&mut self, record: &Recorded) {
        if self.times == 0 {
            self.example.clone_from(&record.id);
        }
        self.times += 1;
    }
}

/// Decisions that ended alike before and would end alike now.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    policy: String,
    route: String,
    principal: String,
    old: Reason,
    new: Reason,
    /// The policy and route that judge now, where they are others.
    now: Option<(String, String)>,
}

/// The tally of a replay.
#[derive(Debug, Default)]
pub(super) struct Report {
    same: u64,
    opened: u64,
    closed: u64,
    flips: BTreeMap<Group, Count>,
    /// Denied as before, for another reason.
    reasons: BTreeMap<(Reason, Reason), Count>,
    undecidable: BTreeMap<String, Count>,
    skipped: BTreeMap<&'static str, Count>,
    broken: u64,
    shown: Vec<(u64, String)>,
}

impl Report {
    /// How many that were denied would pass.
    pub(super) const fn opened(&self) -> u64 {
        self.opened
    }

    /// How many that passed would be denied.
    pub(super) const fn closed(&self) -> u64 {
        self.closed
    }

    /// Counts a line that is no record.
    pub(super) fn broken(&mut self, line: u64, why: &str) {
        self.broken += 1;
        if self.shown.len() < MAX_SHOWN {
            self.shown.push((line, why.to_owned()));
        }
    }

    /// Counts a record.
    pub(super) fn add(&mut self, record: &Recorded, replayed: Replayed) {
        let (new, now) = match replayed {
            Replayed::Skipped(why) => return self.skipped.entry(why).or_default().add(record),
            Replayed::Undecidable(why) => {
                return self.undecidable.entry(why).or_default().add(record);
            }
            Replayed::Judged(new, now) => (new, now),
        };
        match (record.reason == Reason::Allowed, new == Reason::Allowed) {
            (true, true) => {
                self.same += 1;
                return;
            }
            (false, false) => {
                self.same += 1;
                if record.reason != new {
                    self.reasons
                        .entry((record.reason, new))
                        .or_default()
                        .add(record);
                }
                return;
            }
            (false, true) => self.opened += 1,
            (true, false) => self.closed += 1,
        }
        let was = (
            record.policy.clone().unwrap_or_default(),
            record.route.clone().unwrap_or_default(),
        );
        let now = now.filter(|now| *now != was);
        let mut group = Group {
            policy: was.0,
            route: was.1,
            principal: record.principal().unwrap_or_default(),
            old: record.reason,
            new,
            now,
        };
        if self.flips.len() >= MAX_GROUPS && !self.flips.contains_key(&group) {
            // Too many callers to tell them apart.
            "(others)".clone_into(&mut group.principal);
        }
        self.flips.entry(group).or_default().add(record);
    }

    fn judged(&self) -> u64 {
        self.same + self.opened + self.closed
    }

    /// For people: flips first, what opens before what closes, then the rest, then the sums.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        for (title, opens) in [("would pass", true), ("would be denied", false)] {
            let alike = |group: &Group| (group.new == Reason::Allowed) == opens;
            let flips = self.flips.iter().filter(|(group, _)| alike(group));
            for (at, (group, count)) in flips.enumerate() {
                if at == 0 {
                    let _ = writeln!(out, "{title}:");
                }
                flip(group, count, &mut out);
            }
        }
        let reasons = self
            .reasons
            .iter()
            .map(|((old, new), count)| (format!("{} -> {}", old.as_str(), new.as_str()), count));
        section("denied for another reason", reasons, &mut out);
        let undecidable = self
            .undecidable
            .iter()
            .map(|(why, count)| (why.clone(), count));
        section("can't tell", undecidable, &mut out);
        let skipped = self.skipped.iter();
        section(
            "skipped",
            skipped.map(|(why, count)| ((*why).to_owned(), count)),
            &mut out,
        );
        if self.broken > 0 {
            let _ = writeln!(out, "no records: {} lines", self.broken);
            for (line, why) in &self.shown {
                let _ = writeln!(out, "  line {line}: {}", printable(why));
            }
        }
        let _ = writeln!(
            out,
            "{} judged: {} the same, {} would pass, {} would be denied; {} can't be told, {} skipped, {} broken",
            self.judged(),
            self.same,
            self.opened,
            self.closed,
            total(self.undecidable.values()),
            total(self.skipped.values()),
            self.broken
        );
        out
    }

    pub(super) fn to_json(&self) -> Value {
        let counted = |why: String, count: &Count| json!({"why": why, "count": count.times, "example": count.example});
        let flips = self.flips.iter().map(|(group, count)| {
            let now = group.now.as_ref();
            json!({
                "flips": if group.new == Reason::Allowed { "opened" } else { "closed" },
                "policy": group.policy,
                "route": group.route,
                "principal": group.principal,
                "old": group.old.as_str(),
                "new": group.new.as_str(),
                "new_policy": now.map(|now| &now.0),
                "new_route": now.map(|now| &now.1),
                "count": count.times,
                "example": count.example,
            })
        });
        let reasons = self.reasons.iter().map(|((old, new), count)| {
            json!({"old": old.as_str(), "new": new.as_str(), "count": count.times, "example": count.example})
        });
        let broken = self.shown.iter();
        json!({
            "summary": {
                "judged": self.judged(),
                "same": self.same,
                "opened": self.opened,
                "closed": self.closed,
                "undecidable": total(self.undecidable.values()),
                "skipped": total(self.skipped.values()),
                "broken": self.broken,
            },
            "flips": flips.collect::<Vec<_>>(),
            "reasons": reasons.collect::<Vec<_>>(),
            "undecidable": self.undecidable.iter().map(|(why, count)| counted(why.clone(), count)).collect::<Vec<_>>(),
            "skipped": self.skipped.iter().map(|(why, count)| counted((*why).to_owned(), count)).collect::<Vec<_>>(),
            "broken": broken.map(|(line, why)| json!({"line": line, "why": why})).collect::<Vec<_>>(),
        })
    }
}

fn total<'a>(counts: impl Iterator<Item = &'a Count>) -> u64 {
    counts.map(|count| count.times).sum()
}

fn flip(group: &Group, count: &Count, out: &mut String) {
    let or_none = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            printable(text)
        }
    };
    let _ = write!(
        out,
        "  {} x {} {}, {}: {} -> {}",
        count.times,
        or_none(&group.policy),
        or_none(&group.route),
        or_none(&group.principal),
        group.old.as_str(),
        group.new.as_str()
    );
    if let Some((policy, route)) = &group.now {
        let _ = write!(out, " by {} {}", printable(policy), printable(route));
    }
    let _ = writeln!(out, " (as {})", printable(&count.example));
}

fn section<'a>(title: &str, rows: impl Iterator<Item = (String, &'a Count)>, out: &mut String) {
    for (at, (text, count)) in rows.enumerate() {
        if at == 0 {
            let _ = writeln!(out, "{title}:");
        }
        let _ = writeln!(
            out,
            "  {} x {} (as {})",
            count.times,
            printable(&text),
            printable(&count.example)
        );
    }
}
