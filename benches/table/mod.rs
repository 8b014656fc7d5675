//! The table in which benchmarks tell what they have measured.

/// One comparison: medians of both sides, the ratio with its quartiles, and the ratio aimed at; 0 for none.
pub struct Row {
    /// `ours : peer`, and under which conditions.
    pub what: String,
    /// Of what both sides are numbers.
    pub unit: String,
    /// Ours, the peer, their ratio, its lower and upper quartile, the aim.
    pub numbers: [f64; 6],
}

/// Prints the table. The aims are told, and nothing fails by them: a time is no test.
pub fn print(rows: &[Row]) {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0).max(12);
    println!();
    println!(
        "{:width$}  {:>12}  {:>9}  {:>9}  {:>6}  {:>13}  {:>6}",
        "ours : peer", "unit", "ours", "peer", "ratio", "quartiles", "aim"
    );
    for Row { what, unit, numbers: [ours, peer, ratio, low, high, aim] } in rows {
        let spread = format!("{low:.2} .. {high:.2}");
        let aim = if *aim == 0.0 { String::new() } else { format!("<={aim:.2}") };
        println!(
            "{what:width$}  {unit:>12}  {:>9}  {:>9}  {ratio:>6.2}  {spread:>13}  {aim:>6}",
            short(*ours),
            short(*peer)
        );
    }
    println!("\nRatios are ours to the peer's, medians of rounds in turn; less is better.");
}

/// A number with about three digits that count.
fn short(number: f64) -> String {
    let digits = match number.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.digits$}")
}
