//! The `pass_persist` protocol of net-snmp's snmpd (snmpd.conf(5)): lines on stdin and stdout.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Variable;

/// Objects by their identifier, in the order that `getnext` walks.
pub type Objects = BTreeMap<Vec<u32>, Variable>;

/// The longest line that is read: an identifier has 128 arcs of ten digits at most.
const LINE: u64 = 4096;
/// How long questions wait for the first objects: snmpd starts us with its first question, and an
/// answer of nothing would tell its asker that there are none.
const FIRST: Duration = Duration::from_secs(1);

/// Answers snmpd from the objects that were published last.
#[derive(Clone, Debug, Default)]
pub struct PassPersist {
    objects: Arc<(Mutex<Option<Arc<Objects>>>, Condvar)>,
}

impl PassPersist {
    /// With nothing to tell yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces what is told.
    pub fn publish(&self, objects: Objects) {
        let (published, news) = &*self.objects;
        let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
        *published = Some(Arc::new(objects));
        news.notify_all();
    }

    /// What was published last; the first objects are waited for until `deadline`.
    fn current(&self, deadline: Instant) -> Arc<Objects> {
        let (published, news) = &*self.objects;
        let published = published.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let published = news.wait_timeout_while(published, left, |o| o.is_none());
        let (published, _) = published.unwrap_or_else(PoisonError::into_inner);
        published.clone().unwrap_or_default()
    }

    /// Answers until an empty line or the end of `questions`.
    ///
    /// # Errors
    /// When questions cannot be read or answers not be written: snmpd is gone.
    pub fn serve(&self, mut questions: impl BufRead, mut answers: impl Write) -> io::Result<()> {
        let deadline = Instant::now() + FIRST;
        while let Some(word) = line(&mut questions)?.filter(|word| !word.is_empty()) {
            let answer = match word.as_str() {
                "PING" => "PONG\n".to_owned(),
                "get" => {
                    let asked = identifier(line(&mut questions)?);
                    let objects = self.current(deadline);
                    told(asked.as_ref().and_then(|id| objects.get_key_value(id)))
                }
                "getnext" => {
                    let objects = self.current(deadline);
                    let after = identifier(line(&mut questions)?).map(Bound::Excluded);
                    told(after.and_then(|after| objects.range((after, Bound::Unbounded)).next()))
                }
                "set" => {
                    line(&mut questions)?;
                    line(&mut questions)?;
                    "not-writable\n".to_owned()
                }
                _ => "NONE\n".to_owned(),
            };
            answers.write_all(answer.as_bytes())?;
            answers.flush()?;
        }
        Ok(())
    }
}

fn line(questions: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let n = io::Read::take(&mut *questions, LINE).read_until(b'\n', &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok((n > 0).then(|| text.trim().to_owned()))
}

fn identifier(text: Option<String>) -> Option<Vec<u32>> {
    let text = text?;
    let arcs = text.strip_prefix('.').unwrap_or(&text).split('.');
    arcs.map(|arc| arc.parse().ok()).collect()
}

fn told(found: Option<(&Vec<u32>, &Variable)>) -> String {
    let Some((id, value)) = found else {
        return "NONE\n".into();
    };
    let id: String = id.iter().map(|arc| format!(".{arc}")).collect();
    let (kind, value) = match value {
        Variable::Integer(n) => ("integer", n.to_string()),
        // A line of its own in the protocol: no value may end it.
        Variable::Text(text) => ("string", text.replace(['\n', '\r'], " ")),
        Variable::Gauge(n) => ("gauge", (*n).min(u32::MAX.into()).to_string()),
        Variable::Counter(n) => ("counter64", n.to_string()),
    };
    format!("{id}\n{kind}\n{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(questions: &str) -> String {
        let agent = PassPersist::new();
        agent.publish(Objects::from([
            (vec![1, 3, 6, 1], Variable::Text("a\nb".into())),
            (vec![1, 3, 6, 1, 2], Variable::Counter(u64::MAX)),
            (vec![1, 3, 6, 10], Variable::Gauge(u64::MAX)),
            (vec![1, 3, 6, 9], Variable::Integer(-1)),
        ]));
        let mut answers = Vec::new();
        agent.serve(questions.as_bytes(), &mut answers).unwrap();
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn a_walk_visits_each_object_in_the_order_of_its_arcs() {
        assert_eq!(asked("getnext\n.1.3\n"), ".1.3.6.1\nstring\na b\n");
        let next = "getnext\n.1.3.6.1\n";
        assert_eq!(asked(next), ".1.3.6.1.2\ncounter64\n18446744073709551615\n");
        assert_eq!(asked("getnext\n.1.3.6.1.2\n"), ".1.3.6.9\ninteger\n-1\n");
        assert_eq!(
            asked("getnext\n.1.3.6.9\n"),
            ".1.3.6.10\ngauge\n4294967295\n"
        );
        assert_eq!(asked("getnext\n.1.3.6.10\n"), "NONE\n");
    }

    #[test]
    fn the_first_question_waits_for_something_to_tell() {
        let agent = PassPersist::new();
        let ours = agent.clone();
        let answers = std::thread::spawn(move || {
            let mut answers = Vec::new();
            ours.serve("get\n.1.3.6\n".as_bytes(), &mut answers)
                .unwrap();
            answers
        });
        agent.publish(Objects::from([(vec![1, 3, 6], Variable::Integer(7))]));
        assert_eq!(answers.join().unwrap(), b".1.3.6\ninteger\n7\n");
        // Where nothing comes, nothing is told, and not after long.
        let mut answers = Vec::new();
        let start = Instant::now();
        let questions = "get\n.1.3.6\ngetnext\n.1\n".as_bytes();
        PassPersist::new().serve(questions, &mut answers).unwrap();
        assert_eq!(answers, b"NONE\nNONE\n");
        assert!((FIRST..FIRST * 10).contains(&start.elapsed()));
    }

    #[test]
    fn what_is_no_question_is_answered_too() {
        assert_eq!(asked("PING\n"), "PONG\n");
        assert_eq!(asked("get\n.1.3.6.9\n"), ".1.3.6.9\ninteger\n-1\n");
        assert_eq!(asked("get\n.1.3.6\nget\nx.y\nget\n"), "NONE\nNONE\nNONE\n");
        assert_eq!(
            asked("set\n.1.3.6.9\ninteger 5\nPING\n"),
            "not-writable\nPONG\n"
        );
        assert_eq!(asked("hello\n\nPING\n"), "NONE\n");
    }
}
