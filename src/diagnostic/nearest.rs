//! "Did you mean": the known word a misspelt one is closest to.

/// Longer words are no typing mistakes of ours, and comparing them would cost.
const MAX_WORD: usize = 64;

/// The known word within a few typing mistakes of `word`: letters added, lost, changed or two neighbours swapped.
///
/// Case and the choice between `-` and `_` do not count. The longer of the two words decides how many mistakes are
/// forgiven: none up to 2 characters, 1 up to 5, 2 up to 8, then 3. The first of equally close words wins; words above
/// 64 characters are never near anything.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word)?;
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known {
        let Some(letters) = folded(candidate) else {
            continue;
        };
        let longer = word.len().max(letters.len());
        let forgiven = match longer {
            0..=2 => 0,
            3..=5 => 1,
            6..=8 => 2,
            _ => 3,
        };
        if word.len().abs_diff(letters.len()) > forgiven {
            continue;
        }
        let mistakes = distance(&word, &letters);
        if mistakes <= forgiven && best.is_none_or(|(least, _)| mistakes < least) {
            best = Some((mistakes, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn folded(word: &str) -> Option<Vec<char>> {
    if word.len() > MAX_WORD * 4 {
        return None;
    }
    let fold = |letter: char| if letter == '-' { '_' } else { letter };
    let letters: Vec<char> = word
        .chars()
        .flat_map(char::to_lowercase)
        .map(fold)
        .collect();
    (letters.len() <= MAX_WORD).then_some(letters)
}

/// The Damerau-Levenshtein distance in its restricted form: no part is edited twice.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut letter_above = None;
    for (row_index, letter) in left.iter().enumerate() {
        let mut beside = row_index + 1;
        let mut letter_beside = None;
        let mut row = vec![beside];
        for (column, other) in right.iter().enumerate() {
            let at =
                |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&above, column) + usize::from(letter != other);
            let mut cost = changed.min(at(&above, column + 1) + 1).min(beside + 1);
            if letter_above == Some(other) && letter_beside == Some(letter) {
                cost = cost.min(at(&two_above, column.saturating_sub(1)) + 1);
            }
            row.push(cost);
            beside = cost;
            letter_beside = Some(other);
        }
        two_above = std::mem::replace(&mut above, row);
        letter_above = Some(letter);
    }
    above.last().copied().unwrap_or_default()
}
