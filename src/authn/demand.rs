//! What a route demands of its authenticators: any of, all of, nested. A pure function of what each of
//! them found; whoever asks does the verifying.

/// The most levels of `any` and `all` within one another.
pub const MAX_DEPTH: usize = 4;

/// A tree over a route's authenticators, which are named by their position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// This one.
    One(usize),
    /// The first of these that is not absent.
    Any(Box<[Demand]>),
    /// Every one of these.
    All {
        /// In order; the first that is not there answers.
        members: Box<[Demand]>,
        /// The position of the member that is the principal.
        principal: usize,
    },
}

/// What is known of one authenticator so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It owns nothing in the request.
    Absent,
    /// It owns a credential, which was not verified yet, or was refused.
    Present,
    /// Its credential was verified.
    Verified,
}

/// How a demand goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This authenticator's credential is to be verified now. If it is refused, all ends there: what is
    /// present and wrong is never passed over.
    Verify(usize),
    /// Too little was sent to meet the demand.
    Absent,
    /// The demand is met.
    Met,
}

impl Demand {
    /// What comes next. Ask again after each verification.
    pub fn step(&self, known: &impl Fn(usize) -> Known) -> Step {
        self.next(known, false)
    }

    /// `alternative` says that there may be another way if this one is absent. It is taken only once all
    /// that was sent for this one was verified.
    fn next(&self, known: &impl Fn(usize) -> Known, alternative: bool) -> Step {
        match self {
            Self::One(index) => match known(*index) {
                Known::Absent => Step::Absent,
                Known::Present => Step::Verify(*index),
                Known::Verified => Step::Met,
            },
            Self::Any(ways) => ways
                .iter()
                .map(|way| way.next(known, true))
                .find(|step| *step != Step::Absent)
                .unwrap_or(Step::Absent),
            Self::All { members, .. } => {
                let mut absent = false;
                for member in members {
                    match member.next(known, alternative) {
                        Step::Met => {}
                        Step::Absent if alternative => absent = true,
                        other => return other,
                    }
                }
                if absent { Step::Absent } else { Step::Met }
            }
        }
    }

    /// The authenticators that met the demand, the principal's first. Empty if it is not met.
    pub fn proven_by(&self, known: &impl Fn(usize) -> Known) -> Vec<usize> {
        let mut proven = Vec::new();
        if self.step(known) == Step::Met {
            self.collect(known, &mut proven);
        }
        proven
    }

    fn collect(&self, known: &impl Fn(usize) -> Known, into: &mut Vec<usize>) {
        match self {
            Self::One(index) => into.push(*index),
            Self::Any(ways) => {
                let met = ways.iter().find(|way| way.next(known, true) == Step::Met);
                if let Some(way) = met {
                    way.collect(known, into);
                }
            }
            Self::All { members, principal } => {
                let first = members.get(*principal).into_iter();
                let others = members.iter().enumerate();
                let others = others.filter(|(at, _)| at != principal).map(|(_, m)| m);
                for member in first.chain(others) {
                    member.collect(known, into);
                }
            }
        }
    }

    /// The authenticators that a caller can turn to next: of an any-of all ways, of an all-of the first
    /// member that is not there. Empty if the demand is met.
    pub fn missing(&self, known: &impl Fn(usize) -> Known) -> Vec<usize> {
        let mut missing = Vec::new();
        self.collect_missing(known, &mut missing);
        missing
    }

    fn collect_missing(&self, known: &impl Fn(usize) -> Known, into: &mut Vec<usize>) {
        let unmet = |demand: &&Self| demand.next(known, false) != Step::Met;
        match self {
            Self::One(index) if known(*index) == Known::Verified || into.contains(index) => {}
            Self::One(index) => into.push(*index),
            Self::Any(ways) if ways.iter().all(|way| unmet(&way)) => {
                ways.iter().for_each(|way| way.collect_missing(known, into));
            }
            Self::Any(_) => {}
            Self::All { members, .. } => {
                if let Some(member) = members.iter().find(unmet) {
                    member.collect_missing(known, into);
                }
            }
        }
    }

    /// Whether every way to meet the demand has an authenticator that `holds`.
    pub fn always(&self, holds: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::One(index) => holds(*index),
            Self::Any(ways) => ways.iter().all(|way| way.always(holds)),
            Self::All { members, .. } => members.iter().any(|member| member.always(holds)),
        }
    }

    /// Whether there is no way to meet the demand without this authenticator.
    pub fn needs(&self, index: usize) -> bool {
        self.always(&|leaf| leaf == index)
    }

    /// All authenticators of the tree, in order; one that stands twice is named twice.
    pub fn leaves(&self) -> Vec<usize> {
        match self {
            Self::One(index) => vec![*index],
            Self::Any(children)
            | Self::All {
                members: children, ..
            } => children.iter().flat_map(Self::leaves).collect(),
        }
    }

    /// Calls `found` for each two authenticators that one all-of demands together.
    pub fn together(&self, found: &mut impl FnMut(usize, usize)) {
        match self {
            Self::One(_) => {}
            Self::Any(ways) => ways.iter().for_each(|way| way.together(found)),
            Self::All { members, .. } => {
                for (at, member) in members.iter().enumerate() {
                    member.together(found);
                    let later = members.iter().skip(at + 1);
                    for other in later.flat_map(Self::leaves) {
                        member.leaves().iter().for_each(|one| found(*one, other));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
