//! A tree of lines.

/// The longest line, in characters: values are the caller's, and may be long.
const MAX_LINE: usize = 400;

/// A line and what is below it.
pub(super) struct Branch {
    pub(super) text: String,
    pub(super) below: Vec<Self>,
}

impl Branch {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            below: Vec::new(),
        }
    }

    pub(super) fn with(mut self, text: impl Into<String>) -> Self {
        self.below.push(Self::new(text));
        self
    }

    pub(super) fn and(mut self, below: impl IntoIterator<Item = Self>) -> Self {
        self.below.extend(below);
        self
    }

    pub(super) fn write(&self, indent: &str, out: &mut String) {
        let last = self.below.len().saturating_sub(1);
        for (at, branch) in self.below.iter().enumerate() {
            let (mark, further) = if at == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            out.push_str(&format!("{indent}{mark}{}\n", line(&branch.text)));
            branch.write(&format!("{indent}{further}"), out);
        }
    }
}

/// One line that a terminal shows as it is: what a caller sent can't move the cursor or forge a line.
pub(super) fn line(text: &str) -> String {
    let mut safe = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count == MAX_LINE {
            safe.push('…');
            break;
        }
        let unseen = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if letter.is_control() || unseen {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}
