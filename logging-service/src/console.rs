//! Shows each stored message on standard output, and never holds up the log for it.
//!
//! The committer hands over copies of what it has answered already; a thread prints them. If the
//! console cannot keep up, lines are dropped and counted, and the count is shown. A crash loses the
//! lines that wait; they are in the log all the same.
//!
//! Why not `tracing_appender::non_blocking`: it wakes its thread for each commit, and lines would be
//! formatted in front of it. Measured (medians), it took the committer 2 to 8 µs instead of 0.1 to
//! 0.3 µs for a commit of one message, and 12 to 26 µs instead of 2 to 7 µs for 256. It also bounds the
//! number of lines, not their memory, and shows no count of what was dropped.

use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use oncelog::{
    excerpt::push_excerpt,
    message::{Message, MessageId},
};

/// Memory of lines that wait to be printed. Past this they are dropped.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a chunk takes beside its content: its place in the queue, and what the allocator adds.
const CHUNK_OVERHEAD_BYTES: usize = 128;

/// How long a stopping service waits for a console that does not read.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the console gathers lines after it has printed some: no person reads faster. Without it the
/// committer would wake the console's thread for each commit.
const PAUSE: Duration = Duration::from_millis(2);

/// Bytes that are printed without gathering more.
const WRITE_BYTES: usize = 64 * 1024;

/// Characters of a body that are shown.
const BODY_CHARS_MAX: usize = 200;

/// Bytes of a body that are looked at: a character has four at most.
const BODY_BYTES_MAX: usize = BODY_CHARS_MAX * 4;

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
pub struct Console(Option<Queue>);

#[derive(Clone)]
struct Queue {
    bodies: Bodies,
    /// Bounded by the bytes that wait.
    chunks: Sender<Chunk>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
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
    pub fn start(out: impl Write + Send + 'static, bodies: Bodies) -> io::Result<Self> {
        let (chunks, receiver) = channel();
        let counts = Arc::new(Counts::default());
        let printed = Arc::clone(&counts);
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || print(&receiver, &printed, out, bodies))?;
        Ok(Self(Some(Queue { bodies, chunks, counts })))
    }

    /// Shows `messages`, or drops and counts them if too much waits already. Never waits.
    pub fn show(&self, messages: &[Message]) {
        let Some(Queue { bodies, chunks, counts }) = &self.0 else { return };
        if messages.is_empty() {
            return;
        }
        let chunk = Chunk::of(messages, *bodies);
        let bytes = chunk.memory_bytes();
        let waiting = counts.bytes_waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > WAITING_BYTES_MAX || chunks.send(chunk).is_err() {
            counts.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
            counts.lines_dropped.fetch_add(messages.len(), Ordering::Relaxed);
        }
    }

    /// Waits until everything is printed, but at most a second: a console may not be read.
    pub fn flush(&self) {
        let Some(Queue { counts, .. }) = &self.0 else { return };
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        while counts.bytes_waiting.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What is shown of some messages: no more of them is kept.
struct Chunk {
    /// Id and body length of each message.
    lines: Vec<(MessageId, usize)>,
    /// What may be shown of the bodies, one behind the other.
    bodies: Vec<u8>,
}

/// Bytes of a body of `body_bytes` that are looked at.
fn shown_bytes(body_bytes: usize, bodies: Bodies) -> usize {
    match bodies {
        Bodies::Shown => body_bytes.min(BODY_BYTES_MAX),
        Bodies::Hidden => 0,
    }
}

impl Chunk {
    fn of(messages: &[Message], bodies: Bodies) -> Self {
        let shown =
            messages.iter().map(|message| &message.body[..shown_bytes(message.body.len(), bodies)]);
        let mut chunk = Self {
            lines: messages.iter().map(|message| (message.id, message.body.len())).collect(),
            bodies: Vec::with_capacity(shown.clone().map(<[u8]>::len).sum()),
        };
        shown.for_each(|body| chunk.bodies.extend_from_slice(body));
        chunk
    }

    fn memory_bytes(&self) -> usize {
        CHUNK_OVERHEAD_BYTES + size_of_val(&self.lines[..]) + self.bodies.len()
    }

    fn write(&self, bodies: Bodies, text: &mut String) {
        let mut rest = &self.bodies[..];
        for (id, body_bytes) in &self.lines {
            let (shown, behind) = rest.split_at(shown_bytes(*body_bytes, bodies));
            rest = behind;
            text.push_str("Logged message: ");
            match bodies {
                Bodies::Shown => push_excerpt(text, shown, *body_bytes, BODY_CHARS_MAX),
                Bodies::Hidden => {
                    // Writing into memory cannot fail.
                    let _ = write!(text, "{body_bytes} bytes, id {id}");
                }
            }
            text.push('\n');
        }
    }
}

fn print(chunks: &Receiver<Chunk>, counts: &Counts, mut out: impl Write, bodies: Bodies) {
    let mut text = String::new();
    while let Ok(first) = chunks.recv() {
        text.clear();
        match counts.lines_dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            dropped => {
                let _ = writeln!(text, "({dropped} lines dropped: the console cannot keep up)");
            }
        }
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(chunk) = next {
            chunk.write(bodies, &mut text);
            bytes += chunk.memory_bytes();
            next = if text.len() < WRITE_BYTES { chunks.try_recv().ok() } else { None };
        }
        // A console that went away does not stop the log.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        counts.bytes_waiting.fetch_sub(bytes, Ordering::Release);
        if text.len() < WRITE_BYTES {
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::testing::message;

    /// A console whose output can be read.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Output {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Writes to its output once it may.
    struct Screen<F>(Output, F);

    impl<F: FnMut()> Write for Screen<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1();
            self.0.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn console(bodies: Bodies, wait: impl FnMut() + Send + 'static) -> (Output, Console) {
        let output = Output::default();
        let console = Console::start(Screen(output.clone(), wait), bodies).unwrap();
        (output, console)
    }

    #[test]
    fn each_message_is_one_line_in_order() {
        let (output, console) = console(Bodies::Shown, || {});
        console.show(&[message("msg1"), message("msg2")]);
        console.show(&[message("two\nlines \u{1b}[2J \u{2028}\u{202e} C:\\new")]);
        console.flush();
        assert_eq!(
            output.text(),
            "Logged message: msg1\nLogged message: msg2\n\
             Logged message: two\\nlines \\u{1b}[2J \\u{2028}\\u{202e} C:\\\\new\n"
        );
    }

    #[test]
    fn hidden_bodies_leave_size_and_id() {
        let (output, console) = console(Bodies::Hidden, || {});
        let secret = message("secret");
        let id = secret.id;
        console.show(&[secret]);
        console.flush();
        assert_eq!(output.text(), format!("Logged message: 6 bytes, id {id}\n"));
    }

    #[test]
    fn a_long_body_is_cut() {
        let (output, console) = console(Bodies::Shown, || {});
        let body = "ü".repeat(BODY_BYTES_MAX);
        console.show(&[message(body.clone())]);
        console.flush();
        let shown = format!("{}… ({} bytes)", "ü".repeat(BODY_CHARS_MAX), body.len());
        assert_eq!(output.text(), format!("Logged message: {shown}\n"));
    }

    #[test]
    fn a_stuck_console_drops_lines_and_says_how_many() {
        let (let_go, held) = channel::<()>();
        let (is_stuck, stuck) = channel();
        let (output, console) = console(Bodies::Shown, move || {
            // The test has heard it once.
            let _ = is_stuck.send(());
            let _ = held.recv();
        });
        console.show(&[message("first")]);
        stuck.recv().unwrap();
        let too_many = WAITING_BYTES_MAX / size_of::<(MessageId, usize)>();
        console.show(&vec![message("x"); too_many]);
        console.show(&vec![message("y"); 7]);
        drop(let_go);
        console.flush();
        console.show(&[message("last")]);
        console.flush();
        let expected = format!("({too_many} lines dropped: the console cannot keep up)\n");
        assert!(output.text().contains(&expected), "{}", output.text());
        assert!(output.text().starts_with("Logged message: first\n"), "{}", output.text());
        assert!(output.text().ends_with("Logged message: last\n"), "{}", output.text());
    }
}
