//! The page: a table and a picture, without anything to fetch.

use std::fmt::Write as _;

use super::{Conclusion, Report};
use crate::{history::Micros, nemesis::Fault};

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 220.0;

/// One row of marks for each kind of fault.
const MARK_HEIGHT: f64 = 16.0;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;\
padding:0 1em;color:#1a1a1a;background:#fff}table{border-collapse:collapse}\
td{padding:.15em 2em .15em 0}td+td{font-variant-numeric:tabular-nums}\
pre{background:#f4f4f4;padding:1em;overflow:auto}svg{width:100%;height:auto}\
.good{color:#137333}.bad{color:#b3261e}.o{fill:#f6d5d2}.r{fill:#3b6ea5}.f{fill:#b3261e}";

pub(super) fn html(report: &Report) -> String {
    let class = match report.conclusion() {
        Conclusion::Kept => "good",
        Conclusion::Broken | Conclusion::Vacuous => "bad",
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>oncelog prove, seed {}</title><style>{STYLE}</style></head>\n<body>\n\
         <h1>oncelog prove</h1>\n<p class=\"{class}\"><strong>{}</strong></p>\n",
        report.parameters.seed,
        report.headline(),
    );
    picture(&mut page, report);
    page += "<table>\n";
    for (name, value) in report.rows() {
        // Writing into memory cannot fail.
        let _ = writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(&value));
    }
    page += "</table>\n";
    if !report.violations.is_empty() {
        let _ = writeln!(page, "<h2>What is wrong</h2>\n<pre>{}</pre>", escaped(&report.details()));
    }
    page += "</body>\n</html>\n";
    page
}

/// Bars of receipts, shaded outages behind them, marks of faults below.
fn picture(page: &mut String, report: &Report) {
    let duration = report.parameters.duration.as_secs_f64().max(f64::MIN_POSITIVE);
    let x = |micros: Micros| (micros as f64 / 1e6 / duration).min(1.0) * WIDTH;
    let most = report.timeline.bars.iter().copied().max().unwrap_or(0).max(1);
    let happened = |fault: &Fault| report.faults.iter().any(|done| done.fault == *fault);
    let kinds: Vec<Fault> = Fault::ALL.into_iter().filter(happened).collect();
    let full = HEIGHT + 30.0 + MARK_HEIGHT * kinds.len() as f64;
    let bar = report.timeline.bar;
    let _ = writeln!(
        page,
        "<p>Acknowledged messages in each {bar:?} (at most {most}); shaded: none for half a second \
         or more; below: faults.</p>\n<svg viewBox=\"-100 0 {} {full}\" role=\"img\" \
         font-size=\"12\" font-family=\"sans-serif\">",
        WIDTH + 110.0
    );
    for (from, to) in &report.timeline.outages {
        let (left, width) = (x(*from), x(*to) - x(*from));
        let _ = writeln!(
            page,
            "<rect class=\"o\" x=\"{left:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>"
        );
    }
    let bar_width = bar.as_secs_f64() / duration * WIDTH;
    for (index, count) in report.timeline.bars.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (left, height) = (index as f64 * bar_width, *count as f64 / most as f64 * HEIGHT);
        let (top, width) = (HEIGHT - height, (bar_width * 0.9).min(WIDTH - left));
        let _ = writeln!(
            page,
            "<rect class=\"r\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }
    for (row, fault) in kinds.into_iter().enumerate() {
        let top = (row as f64).mul_add(MARK_HEIGHT, HEIGHT + 8.0);
        let baseline = top + 10.0;
        let _ = writeln!(page, "<text x=\"-100\" y=\"{baseline}\">{fault}</text>");
        for done in report.faults.iter().filter(|done| done.fault == fault) {
            let (left, width) = (x(done.began), (x(done.ended) - x(done.began)).max(2.0));
            let _ = writeln!(
                page,
                "<rect class=\"f\" x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"11\">\
                 <title>{fault}, {}, at {:.2} s</title></rect>",
                done.victim,
                done.began as f64 / 1e6
            );
        }
    }
    let _ = writeln!(
        page,
        "<text x=\"0\" y=\"{0}\">0 s</text><text x=\"{WIDTH}\" y=\"{0}\" text-anchor=\"end\">\
         {duration:.0} s</text></svg>",
        full - 4.0
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
