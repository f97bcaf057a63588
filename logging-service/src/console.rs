//! Shows each stored message on standard output, and never holds up the log for it.
//!
//! The owner of the log hands over copies of what it has answered already; a thread prints them. If the
//! console cannot keep up, lines are dropped and counted, and the count is shown.

use std::{
    fmt::Write as _,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use oncelog::{
    limits::{
        CONSOLE_BODY_CHARS_MAX, CONSOLE_BYTES_WAITING_MAX, CONSOLE_FLUSH_TIMEOUT,
        CONSOLE_LINES_WAITING_MAX, CONSOLE_PAUSE, CONSOLE_WRITE_BYTES,
    },
    message::{Message, MessageId},
};

/// Whether message bodies are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// `Logged message: msg1`
    Shown,
    /// `Logged message: 4 bytes, id …`
    Hidden,
}

/// A handle to the console. Clones share it.
#[derive(Clone)]
pub struct Console(Option<Arc<Shared>>);

struct Shared {
    bodies: Bodies,
    chunks: SyncSender<Chunk>,
    lines_waiting: AtomicUsize,
    bytes_waiting: AtomicUsize,
    lines_dropped: AtomicUsize,
}

impl Console {
    /// A console that shows nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts a console that prints to `out`.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start(out: impl Write + Send + 'static, bodies: Bodies) -> std::io::Result<Self> {
        // A chunk has at least one line, so the count of lines bounds the chunks too.
        let (chunks, receiver) = sync_channel(CONSOLE_LINES_WAITING_MAX);
        let shared = Arc::new(Shared {
            bodies,
            chunks,
            lines_waiting: AtomicUsize::new(0),
            bytes_waiting: AtomicUsize::new(0),
            lines_dropped: AtomicUsize::new(0),
        });
        let printed = Arc::clone(&shared);
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || print(&receiver, &printed, out, bodies))?;
        Ok(Self(Some(shared)))
    }

    /// Shows `messages`, or drops and counts them if too many lines wait already. Never waits.
    pub fn show(&self, messages: &[Message]) {
        let Some(shared) = &self.0 else { return };
        if messages.is_empty() {
            return;
        }
        let chunk = Chunk::of(messages, shared.bodies);
        let (lines, bytes) = (chunk.lines.len(), chunk.bodies.len());
        let lines_waiting = shared.lines_waiting.fetch_add(lines, Ordering::Relaxed);
        let bytes_waiting = shared.bytes_waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = lines_waiting + lines <= CONSOLE_LINES_WAITING_MAX
            && bytes_waiting + bytes <= CONSOLE_BYTES_WAITING_MAX;
        if !fits || shared.chunks.try_send(chunk).is_err() {
            shared.lines_waiting.fetch_sub(lines, Ordering::Relaxed);
            shared.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
            shared.lines_dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Waits until everything is printed, but not for a console that does not read.
    pub fn flush(&self) {
        let Some(shared) = &self.0 else { return };
        let deadline = Instant::now() + CONSOLE_FLUSH_TIMEOUT;
        while shared.lines_waiting.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What is shown of some messages: no more of them is kept.
struct Chunk {
    lines: Vec<Line>,
    /// What may be shown of the bodies, one behind the other.
    bodies: Vec<u8>,
}

struct Line {
    id: MessageId,
    body_bytes: usize,
}

/// Bytes of a body that are looked at: a character has four at most.
const BODY_BYTES_SHOWN_MAX: usize = CONSOLE_BODY_CHARS_MAX * 4;

impl Line {
    fn shown_bytes(&self, bodies: Bodies) -> usize {
        match bodies {
            Bodies::Shown => self.body_bytes.min(BODY_BYTES_SHOWN_MAX),
            Bodies::Hidden => 0,
        }
    }
}

impl Chunk {
    fn of(messages: &[Message], bodies: Bodies) -> Self {
        let line = |message: &Message| Line { id: message.id, body_bytes: message.body.len() };
        let lines: Vec<_> = messages.iter().map(line).collect();
        let bytes = lines.iter().map(|line| line.shown_bytes(bodies)).sum();
        let mut shown = Vec::with_capacity(bytes);
        for (line, message) in lines.iter().zip(messages) {
            shown.extend_from_slice(&message.body[..line.shown_bytes(bodies)]);
        }
        Self { lines, bodies: shown }
    }

    fn write(&self, bodies: Bodies, text: &mut String) {
        let mut rest = &self.bodies[..];
        for line in &self.lines {
            let (shown, behind) = rest.split_at(line.shown_bytes(bodies));
            rest = behind;
            text.push_str("Logged message: ");
            // Writing into memory cannot fail.
            let _ = match bodies {
                Bodies::Shown => write_body(text, shown, line.body_bytes),
                Bodies::Hidden => write!(text, "{} bytes, id {}", line.body_bytes, line.id),
            };
            text.push('\n');
        }
    }
}

fn print(chunks: &Receiver<Chunk>, shared: &Shared, mut out: impl Write, bodies: Bodies) {
    let mut text = String::new();
    while let Ok(first) = chunks.recv() {
        text.clear();
        match shared.lines_dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            dropped => {
                let _ = writeln!(text, "({dropped} lines dropped: the console cannot keep up)");
            }
        }
        let (mut lines, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(chunk) = next {
            chunk.write(bodies, &mut text);
            lines += chunk.lines.len();
            bytes += chunk.bodies.len();
            next = if text.len() < CONSOLE_WRITE_BYTES { chunks.try_recv().ok() } else { None };
        }
        // A console that went away does not stop the log.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        shared.bytes_waiting.fetch_sub(bytes, Ordering::Release);
        shared.lines_waiting.fetch_sub(lines, Ordering::Release);
        if text.len() < CONSOLE_WRITE_BYTES {
            // Who commits would have to wake this thread for each chunk, before its client is answered.
            thread::sleep(CONSOLE_PAUSE);
        }
    }
}

/// Writes a body of `body_bytes` that begins with `start`, on one line: control characters escaped, so
/// that a message cannot steer the terminal, and cut after [`CONSOLE_BODY_CHARS_MAX`].
fn write_body(out: &mut String, start: &[u8], body_bytes: usize) -> std::fmt::Result {
    let text = String::from_utf8_lossy(start);
    let cut = match text.len() {
        ..=CONSOLE_BODY_CHARS_MAX => None,
        _ => text.char_indices().nth(CONSOLE_BODY_CHARS_MAX).map(|(at, _)| at),
    };
    let shown = &text[..cut.unwrap_or(text.len())];
    if may_control(shown) {
        for char in shown.chars() {
            if char.is_control() {
                write!(out, "{}", char.escape_default())?;
            } else {
                out.push(char);
            }
        }
    } else {
        out.push_str(shown);
    }
    if cut.is_some() || start.len() < body_bytes {
        write!(out, "… ({body_bytes} bytes)")?;
    }
    Ok(())
}

/// Whether there may be a control character in `text`. Looks at all of it, many bytes at a time.
fn may_control(text: &str) -> bool {
    // U+0080 to U+009F begin with 0xc2.
    text.bytes().fold(false, |found, byte| found | matches!(byte, ..b' ' | 0x7f | 0xc2))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError, mpsc};

    use oncelog::message::{ContentType, IdSource, RandomIds};

    use super::*;

    /// A console one can read, and hold up.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn message(body: &str) -> Message {
        Message {
            id: RandomIds.next_id(),
            stream: "facade".parse().unwrap(),
            content_type: ContentType::text(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn each_message_is_one_line_in_order() {
        let paper = Paper::default();
        let console = Console::start(paper.clone(), Bodies::Shown).unwrap();
        console.show(&[message("msg1"), message("msg2")]);
        console.show(&[message("two\nlines \u{1b}[2J")]);
        console.flush();
        assert_eq!(
            paper.text(),
            "Logged message: msg1\nLogged message: msg2\nLogged message: two\\nlines \\u{1b}[2J\n"
        );
    }

    #[test]
    fn hidden_bodies_leave_size_and_id() {
        let paper = Paper::default();
        let console = Console::start(paper.clone(), Bodies::Hidden).unwrap();
        let secret = message("secret");
        let id = secret.id;
        console.show(&[secret]);
        console.flush();
        assert_eq!(paper.text(), format!("Logged message: 6 bytes, id {id}\n"));
    }

    #[test]
    fn a_long_body_is_cut() {
        let body = "ü".repeat(CONSOLE_BODY_CHARS_MAX + 1);
        let mut shown = String::new();
        write_body(
            &mut shown,
            &body.as_bytes()[..BODY_BYTES_SHOWN_MAX.min(body.len())],
            body.len(),
        )
        .unwrap();
        assert_eq!(
            shown,
            format!("{}… ({} bytes)", "ü".repeat(CONSOLE_BODY_CHARS_MAX), body.len())
        );
    }

    #[test]
    fn a_stuck_console_drops_lines_and_says_how_many() {
        /// Writes nothing until it is let go.
        struct Stuck {
            paper: Paper,
            is_stuck: mpsc::Sender<()>,
            held: Receiver<()>,
        }
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                // The test has heard it once.
                let _ = self.is_stuck.send(());
                let _ = self.held.recv();
                self.paper.write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let paper = Paper::default();
        let (let_go, held) = mpsc::channel();
        let (is_stuck, stuck) = mpsc::channel();
        let out = Stuck { paper: paper.clone(), is_stuck, held };
        let console = Console::start(out, Bodies::Shown).unwrap();
        console.show(&[message("first")]);
        stuck.recv().unwrap();
        console.show(&vec![message("x"); CONSOLE_LINES_WAITING_MAX]);
        console.show(&vec![message("y"); 7]);
        drop(let_go);
        console.flush();
        console.show(&[message("last")]);
        console.flush();
        let expected =
            format!("({CONSOLE_LINES_WAITING_MAX} lines dropped: the console cannot keep up)\n");
        assert!(paper.text().contains(&expected), "{}", paper.text());
        assert!(paper.text().starts_with("Logged message: first\n"), "{}", paper.text());
        assert!(paper.text().ends_with("Logged message: last\n"), "{}", paper.text());
    }
}
