//! Refuses queries that are nested or chained so deeply that evaluating them could exhaust the stack, and durations
//! without a unit, which the parser takes for seconds as Prometheus 3 does, and Prometheus 2 does not take.

use super::QueryError;

/// The most operators and brackets that one query may have. Each can be one level of the expression's tree.
/// An unoptimised build overflows a stack of 2 MiB somewhat above 150.
pub(super) const MAX_OPERATORS: usize = 120;

/// The longest query, in bytes.
const MAX_LENGTH: usize = 256 * 1024;

/// Checks the text of a query before it is parsed.
pub(super) fn check(query: &str) -> Result<(), QueryError> {
    if query.len() > MAX_LENGTH {
        return Err(QueryError::BadData(format!("the query is longer than {MAX_LENGTH} bytes")));
    }
    if operators(query) > MAX_OPERATORS {
        return Err(QueryError::BadData(format!(
            "the query has more than {MAX_OPERATORS} operators and brackets; split it"
        )));
    }
    if let Some(number) = bare_duration(query) {
        return Err(QueryError::BadData(format!("parse error: missing unit character in duration {number:?}")));
    }
    Ok(())
}

/// A number without a unit between brackets or after `offset`.
fn bare_duration(query: &str) -> Option<String> {
    let (mut in_brackets, mut is_duration) = (false, false);
    let mut word = String::new();
    // The end of the text ends a word too.
    let text = format!("{query} ");
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char.is_alphanumeric() || matches!(char, '_' | '.') || char == ':' && !in_brackets {
            word.push(char.to_ascii_lowercase());
            continue;
        }
        if !word.is_empty() {
            if is_duration && word.chars().all(|char| char.is_ascii_digit() || char == '.') {
                return Some(word);
            }
            is_duration = word == "offset";
            word.clear();
        }
        match char {
            '"' | '\'' | '`' => skip_string(&mut chars, char),
            '#' => while chars.next().is_some_and(|char| char != '\n') {},
            '{' => skip_selector(&mut chars),
            '[' => (in_brackets, is_duration) = (true, true),
            ':' => is_duration = true,
            ']' => (in_brackets, is_duration) = (false, false),
            _ => {}
        }
    }
    None
}

fn operators(query: &str) -> usize {
    let mut count = 0;
    let mut word = String::new();
    let mut chars = query.chars();
    while let Some(char) = chars.next() {
        if char.is_alphanumeric() || matches!(char, '_' | ':') {
            word.push(char.to_ascii_lowercase());
            continue;
        }
        count += usize::from(is_operator(&word));
        word.clear();
        match char {
            '"' | '\'' | '`' => skip_string(&mut chars, char),
            '#' => while chars.next().is_some_and(|char| char != '\n') {},
            '(' | '[' | '+' | '-' | '*' | '/' | '%' | '^' | '=' | '!' | '<' | '>' => count += 1,
            // A selector's own `=` and `!=` nest nothing.
            '{' => skip_selector(&mut chars),
            _ => {}
        }
    }
    count + usize::from(is_operator(&word))
}

fn is_operator(word: &str) -> bool {
    matches!(word, "and" | "or" | "unless" | "atan2" | "offset")
}

fn skip_string(chars: &mut std::str::Chars<'_>, quote: char) {
    while let Some(char) = chars.next() {
        if char == quote {
            return;
        }
        if char == '\\' && quote != '`' {
            chars.next();
        }
    }
}

fn skip_selector(chars: &mut std::str::Chars<'_>) {
    while let Some(char) = chars.next() {
        match char {
            '}' => return,
            '"' | '\'' | '`' => skip_string(chars, char),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_nests_and_nothing_else() {
        assert_eq!(operators(r#"sum(rate(a{b="(((", c!~"-"}[1m])) by (c)"#), 4);
        assert_eq!(operators("1 + -2 and up # (((("), 3);
        assert_eq!(operators("operand or_else or"), 1);
        assert_eq!(operators(r#"label_replace(a, "\"((", '(', `\`, "")"#), 1);
    }

    #[test]
    fn durations_have_units() {
        for query in ["a[5]", "a[5m:10]", "a[ 5.5 ]", "a offset 5", "a offset - 5", "a[1m] offset 5 + b"] {
            assert!(bare_duration(query).is_some(), "{query}");
        }
        for query in
            ["a[5m]", "a[5m:]", "a{b=\"[5]\"}[1h30m] offset -5m + 5", "a @ 5", "topk(5, a:b:c) # [5]", "a:1 > 2"]
        {
            assert_eq!(bare_duration(query), None, "{query}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        for query in ["(".repeat(5000), "-".repeat(5000) + "1", "1+".repeat(5000) + "1"] {
            assert!(matches!(check(&query), Err(QueryError::BadData(_))));
        }
    }
}
