//! Shows each stored message on standard output, and never holds up the log for it.
//!
//! The journal thread hands over what it has answered already; another thread prints it. If the
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
        CONSOLE_LINES_WAITING_MAX,
    },
    message::Message,
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
    chunks: SyncSender<Vec<Message>>,
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
    pub fn show(&self, messages: Vec<Message>) {
        let Some(shared) = &self.0 else { return };
        if messages.is_empty() {
            return;
        }
        let (lines, bytes) = (messages.len(), body_bytes(&messages));
        let lines_waiting = shared.lines_waiting.fetch_add(lines, Ordering::Relaxed);
        let bytes_waiting = shared.bytes_waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = lines_waiting + lines <= CONSOLE_LINES_WAITING_MAX
            && bytes_waiting + bytes <= CONSOLE_BYTES_WAITING_MAX;
        if !fits || shared.chunks.try_send(messages).is_err() {
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

fn body_bytes(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.body.len()).sum()
}

fn print(chunks: &Receiver<Vec<Message>>, shared: &Shared, mut out: impl Write, bodies: Bodies) {
    let mut text = String::new();
    for messages in chunks {
        text.clear();
        match shared.lines_dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            dropped => {
                let _ = writeln!(text, "({dropped} lines dropped: the console cannot keep up)");
            }
        }
        for message in &messages {
            let _ = match bodies {
                Bodies::Shown => writeln!(text, "Logged message: {}", Printable(&message.body)),
                Bodies::Hidden => {
                    writeln!(
                        text,
                        "Logged message: {} bytes, id {}",
                        message.body.len(),
                        message.id
                    )
                }
            };
        }
        // A console that went away does not stop the log.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        shared.bytes_waiting.fetch_sub(body_bytes(&messages), Ordering::Release);
        shared.lines_waiting.fetch_sub(messages.len(), Ordering::Release);
    }
}

/// A body on one line: control characters escaped, so that a message cannot steer the terminal, and
/// cut after [`CONSOLE_BODY_CHARS_MAX`].
struct Printable<'a>(&'a [u8]);

impl std::fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.0[..self.0.len().min(CONSOLE_BODY_CHARS_MAX * 4)];
        let text = String::from_utf8_lossy(start);
        for char in text.chars().take(CONSOLE_BODY_CHARS_MAX) {
            if char.is_control() {
                write!(f, "{}", char.escape_default())?;
            } else {
                f.write_char(char)?;
            }
        }
        if start.len() < self.0.len() || text.chars().nth(CONSOLE_BODY_CHARS_MAX).is_some() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
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
        console.show(vec![message("msg1"), message("msg2")]);
        console.show(vec![message("two\nlines \u{1b}[2J")]);
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
        console.show(vec![secret]);
        console.flush();
        assert_eq!(paper.text(), format!("Logged message: 6 bytes, id {id}\n"));
    }

    #[test]
    fn a_long_body_is_cut() {
        let body = "ü".repeat(CONSOLE_BODY_CHARS_MAX + 1);
        let shown = Printable(body.as_bytes()).to_string();
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
        console.show(vec![message("first")]);
        stuck.recv().unwrap();
        console.show(vec![message("x"); CONSOLE_LINES_WAITING_MAX]);
        console.show(vec![message("y"); 7]);
        drop(let_go);
        console.flush();
        console.show(vec![message("last")]);
        console.flush();
        let expected =
            format!("({CONSOLE_LINES_WAITING_MAX} lines dropped: the console cannot keep up)\n");
        assert!(paper.text().contains(&expected), "{}", paper.text());
        assert!(paper.text().starts_with("Logged message: first\n"), "{}", paper.text());
        assert!(paper.text().ends_with("Logged message: last\n"), "{}", paper.text());
    }
}
