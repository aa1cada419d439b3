//! A mail server on loopback that does as a test says, and an appliance that sends to it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rollcall::model::{InvitationState, Run, RunOutcome};
use rollcall::sync::{Mailing, Stopping};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::by_hand::world::{World, record};

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub to: String,
    pub text: String,
}

impl Received {
    /// The value of a header, unfolded.
    pub fn header(&self, name: &str) -> String {
        let unfolded = self.text.replace("\r\n ", " ").replace("\r\n\t", " ");
        let line = unfolded.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}

/// What the server says when a mail has been given to it whole.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Say(&'static str),
    /// It takes the mail and says nothing more.
    Silence,
}

#[derive(Default)]
struct Inner {
    mails: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Answer>>,
    is_down: AtomicBool,
    silent: Notify,
}

#[derive(Clone)]
pub struct Post {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

impl Post {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let post = Self { address: listener.local_addr().unwrap(), inner: Arc::default() };
        let inner = Arc::clone(&post.inner);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                if !inner.is_down.load(Ordering::SeqCst) {
                    tokio::spawn(serve(stream, Arc::clone(&inner)));
                }
            }
        });
        post
    }

    /// Of the next mails, what is answered to each; to others `250`.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner.script.lock().unwrap().extend(answers);
    }

    /// Closes every new connection at once.
    pub fn set_down(&self, is_down: bool) {
        self.inner.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Comes when a mail was taken in silence.
    pub async fn silent(&self) {
        self.inner.silent.notified().await;
    }

    /// What came, refused mails too.
    pub fn mails(&self) -> Vec<Received> {
        self.inner.mails.lock().unwrap().clone()
    }

    /// To whom, sorted.
    pub fn recipients(&self) -> Vec<String> {
        let mut to: Vec<_> = self.mails().into_iter().map(|mail| mail.to).collect();
        to.sort();
        to
    }
}

async fn serve(stream: TcpStream, inner: Arc<Inner>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut to = String::new();
    let _ = write.write_all(b"220 post\r\n").await;
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-post\r\n250 8BITMIME\r\n".to_owned(),
            "RCPT" => {
                to = line.trim_start_matches("RCPT TO:<").split('>').next().unwrap_or_default().to_owned();
                "250 ok\r\n".to_owned()
            }
            "QUIT" => return,
            "DATA" => {
                let _ = write.write_all(b"354 go\r\n").await;
                let mut text = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    text += line.strip_prefix('.').unwrap_or(&line);
                    text += "\r\n";
                }
                inner.mails.lock().unwrap().push(Received { to: to.clone(), text });
                let answer = inner.script.lock().unwrap().pop_front();
                match answer {
                    Some(Answer::Silence) => {
                        inner.silent.notify_one();
                        std::future::pending::<()>().await;
                        return;
                    }
                    Some(Answer::Say(words)) => format!("{words}\r\n"),
                    None => "250 taken\r\n".to_owned(),
                }
            }
            _ => "250 ok\r\n".to_owned(),
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub const HTML: &str = "<p>Hello {{ first_name }} &amp; welcome to {{ event.title }}</p>";

/// What a test sets, with other values in the place of some.
pub fn settings(more: Value) -> Value {
    let mut settings = json!({"enabled": true, "template": {
        "subject": "{{ event.title }}: your invitation",
        "text": "Hello {{ first_name }} {{ last_name }}, welcome to {{ event.title }}.",
        "html": HTML,
    }});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

pub const INVITATION: &str = "/v1/events/gala/invitation";

/// A world with a mail server, and an event `gala` that was made over the API and is fed by the list `s-e`.
pub struct Place {
    pub world: World,
    pub post: Post,
}

pub fn with_mail(config: String, post: SocketAddr) -> String {
    with_mail_at(config, post, 6000)
}

/// With so many mails a minute.
fn with_mail_at(config: String, post: SocketAddr, rate: u32) -> String {
    format!(
        "{config}\n[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nrate = {rate}\n\
         from = \"The Gala <gala@x.org>\"\nunsubscribe = \"https://x.org/u?user={{user}}\"\n",
        post.port()
    )
}

impl Place {
    pub async fn new() -> Self {
        Self::at_rate(6000).await
    }

    /// Sending so many mails a minute.
    pub async fn at_rate(rate: u32) -> Self {
        let post = Post::start().await;
        let world = World::with(|config| with_mail_at(config, post.address, rate)).await;
        Self::of(world, post).await
    }

    /// Makes the event.
    pub async fn of(world: World, post: Post) -> Self {
        let feeds = json!([{"source": "s", "params": {"list": "s-e"}}]);
        world.put("/v1/events/gala", json!({"title": "The Gala", "feeds": feeds})).await.good();
        Self { world, post }
    }

    /// With invitations, before anybody is there.
    pub async fn inviting() -> Self {
        let place = Self::new().await;
        place.world.put(INVITATION, settings(json!({"existing": "invite"}))).await.good();
        place
    }

    /// Opens the store again.
    pub async fn reopened(self) -> Self {
        let Self { world, post } = self;
        let address = post.address;
        Self { world: world.reopened(move |config| with_mail(config, address)).await, post }
    }

    /// Shows a list of people by name and syncs it into the gala.
    pub async fn bring(&self, names: &[&str]) -> Run {
        let run = self.try_bring(names).await;
        assert_eq!(run.outcome, Some(RunOutcome::Done), "{run:?}");
        run
    }

    pub async fn try_bring(&self, names: &[&str]) -> Run {
        let id = |name: &str| name.bytes().fold(0, |id: u32, byte| id.wrapping_mul(31).wrapping_add(byte.into()));
        let records: Vec<_> = names.iter().map(|name| record(id(name), name, json!({}))).collect();
        self.bring_records(&records).await
    }

    pub async fn bring_records(&self, records: &[Value]) -> Run {
        self.world.show("s-e", records);
        self.world.appliance.sync("gala", "s", false, false).await
    }

    pub fn mailing(&self) -> Mailing {
        self.world.appliance.app.mailing().unwrap().unwrap()
    }

    /// Sends what is due, as a server would that has just started.
    pub async fn send(&self) -> u64 {
        self.mailing().send_due(&Stopping::default()).await
    }

    /// The state of somebody's invitation.
    pub async fn state(&self, name: &str) -> Option<String> {
        let user = self.world.user(&self.world.id(name).await).await;
        let events = user["journey"]["events"].as_array().unwrap().clone();
        let gala = events.into_iter().find(|passage| passage["event"] == "gala")?;
        gala["invitation"]["state"].as_str().map(str::to_owned)
    }

    pub async fn assert_state(&self, name: &str, state: InvitationState) {
        assert_eq!(self.state(name).await.as_deref(), Some(state.as_str()), "{name}");
    }

    pub async fn undo(&self, run: &Run) -> Run {
        let runner = &self.world.appliance.app.runner;
        let undo = runner.undo(run.id, false, rollcall::model::Actor::CommandLine).await.unwrap();
        runner.wait(undo).await.unwrap().unwrap()
    }
}
