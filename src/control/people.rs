//! Who comes in, and as what: the owner by the server's own password, operators by name and password, programs by tokens,
//! browsers by a session in a cookie once somebody has signed in.
//!
//! - `door`: which of them stands behind a request
//! - `desk`: the requests about people themselves
//! - [`presence`]: who is there now
//!
//! Secrets are never kept: of a password there is an Argon2id hash, of a token and a session a SHA-256 digest, which is
//! enough for 160 random bits. What is kept is read once and held in memory; a thread writes it behind.

pub mod desk;
pub mod door;
pub mod presence;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::error::{Error, Kind};
use super::socket;
use crate::id;
use crate::state::Role;
use crate::store;
use crate::store::people::Entry;
use crate::time::WallTime;

/// What waits to be written. When it is full, requests wait; only the times of use are left out then.
const JOBS: usize = 1024;
/// Operators, and tokens.
const MOST: usize = 200;
/// Browsers of one person.
const MOST_SESSIONS: usize = 20;
/// A session that is not used for so long is over: two weeks.
const SESSION_MS: i64 = 14 * 24 * 3600 * 1000;
/// The time of use is written so often at most.
const TOUCH_MS: i64 = 60_000;
/// Passwords that are checked at once: each takes 19 MiB and some tens of milliseconds.
const CHECKS: usize = 2;
/// Wrong passwords for one name within [`TOUCH_MS`], after which no more are tried.
const MOST_WRONG: u32 = 10;
/// Of a password. NIST SP 800-63B wants 8 at least.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=200;
/// The name of whoever has the server's own password.
pub const OWNER: &str = "owner";

/// Whose secret somebody showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Holder {
    Owner,
    Operator(String),
    Token(String),
    /// Whoever reaches a door that the owner has opened without a lock.
    Open,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// An operator's or a token's name.
    pub name: String,
    /// What they may.
    pub role: Role,
    holder: Holder,
    /// Which browser's session, if it is one.
    session: Option<String>,
}

impl Who {
    /// Whoever has the server's own password; the server itself asks as this one too.
    pub fn owner() -> Self {
        Self { name: OWNER.into(), role: Role::Owner, holder: Holder::Owner, session: None }
    }

    /// Whoever comes by an open door, for which `name` stands: a producer.
    pub fn program(name: &str) -> Self {
        Self { name: name.into(), role: Role::Producer, holder: Holder::Open, session: None }
    }
}

/// Somebody with a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operator {
    name: String,
    role: Role,
    made: WallTime,
    last_used: Option<WallTime>,
    #[serde(skip)]
    hash: String,
}

/// A program's way in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    id: String,
    name: String,
    role: Role,
    made: WallTime,
    last_used: Option<WallTime>,
    #[serde(skip)]
    proof: String,
}

/// A browser that has signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: String,
    holder: Holder,
    made: WallTime,
    used: WallTime,
}

#[derive(Debug, Default)]
struct Known {
    operators: BTreeMap<String, Operator>,
    tokens: BTreeMap<String, Token>,
    sessions: BTreeMap<String, Session>,
    /// Wrong passwords by name, and since when they are counted.
    wrong: BTreeMap<String, (WallTime, u32)>,
}

type Job = Box<dyn FnOnce(&store::people::People) + Send>;

/// The register. Cheap to clone.
#[derive(Clone)]
pub struct People {
    known: Arc<Mutex<Known>>,
    /// The server's own password.
    password: Arc<str>,
    /// For obs-websocket's handshake: one for all, so that no token need be kept.
    salt: Arc<str>,
    jobs: mpsc::Sender<Job>,
    checks: Arc<Semaphore>,
    /// Counts changes of who may come in.
    changes: watch::Sender<u64>,
    presence: presence::Presence,
}

fn digest(secret: &str) -> String {
    STANDARD.encode(id::digest(secret).0)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::plain(Kind::Failed, error)
}

impl People {
    /// Reads who is known and starts the thread that writes, which ends with the last clone.
    ///
    /// # Errors
    /// [`store::Error`].
    pub fn open(store: store::people::People, password: &str) -> Result<Self, store::Error> {
        let salt = store.constant("salt", &id::nonce())?;
        let mut known = Known::default();
        for (hash, operator) in store.all::<Operator>("operator")? {
            known.operators.insert(operator.name.clone(), Operator { hash, ..operator });
        }
        for (proof, token) in store.all::<Token>("token")? {
            known.tokens.insert(token.id.clone(), Token { proof, ..token });
        }
        for (_, session) in store.all::<Session>("session")? {
            known.sessions.insert(session.id.clone(), session);
        }
        let (jobs, mut inbox) = mpsc::channel::<Job>(JOBS);
        std::thread::Builder::new()
            .name("people".into())
            .spawn(move || {
                while let Some(job) = inbox.blocking_recv() {
                    job(&store);
                }
            })
            .map_err(|source| store::Error::Directory { path: "the thread of people".into(), source })?;
        Ok(Self {
            known: Arc::new(Mutex::new(known)),
            password: password.into(),
            salt: salt.into(),
            jobs,
            checks: Arc::new(Semaphore::new(CHECKS)),
            changes: watch::Sender::new(0),
            presence: presence::Presence::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `job` with the store, and waits for it.
    async fn with_store<T: Send + 'static>(
        &self,
        job: impl FnOnce(&store::people::People) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, outcome) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            let _ = reply.send(job(store)); // who asked may have gone
        });
        self.jobs.send(job).await.map_err(|_| failed("the server is stopping"))?;
        outcome.await.map_err(|_| failed("the server is stopping"))?.map_err(|error| {
            tracing::error!(
                "{error}: {}",
                std::error::Error::source(&error).map_or(String::new(), ToString::to_string)
            );
            failed(error)
        })
    }

    /// obs-websocket's secret of a token: base64(sha256(token + salt)).
    fn proof(&self, token: &str) -> String {
        STANDARD.encode(Sha256::digest(format!("{token}{}", self.salt)))
    }

    /// The server's own password, for clients that it starts itself.
    pub fn password(&self) -> Arc<str> {
        self.password.clone()
    }

    /// The salt of the handshake.
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// Counts changes of who may come in.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Who is there.
    pub fn presence(&self) -> &presence::Presence {
        &self.presence
    }

    /// Whose token it is.
    pub fn by_token(&self, given: &str) -> Option<Who> {
        if id::secrets_match(given, &self.password) {
            return Some(Who::owner());
        }
        let proof = self.proof(given);
        self.by(|token| id::secrets_match(&proof, &token.proof))
    }

    /// Whose token answers `challenge`.
    pub fn by_answer(&self, given: &str, challenge: &str) -> Option<Who> {
        if id::secrets_match(given, &socket::authentication(&self.password, &self.salt, challenge)) {
            return Some(Who::owner());
        }
        self.by(|token| id::secrets_match(given, &socket::answer_to(&token.proof, challenge)))
    }

    fn by(&self, is_it: impl Fn(&Token) -> bool) -> Option<Who> {
        let mut known = self.known();
        let token = known.tokens.values_mut().find(|token| is_it(token))?;
        if is_long_ago(token.last_used) {
            token.last_used = Some(WallTime::now());
            let kept = token.clone();
            let _ = self.jobs.try_send(Box::new(move |store| {
                let _ = store.put("token", &kept.id, &kept.proof, &kept); // the next use writes it again
            }));
        }
        Some(Who {
            name: token.name.clone(),
            role: token.role,
            holder: Holder::Token(token.id.clone()),
            session: None,
        })
    }

    /// Whose session it is.
    pub fn by_session(&self, secret: &str) -> Option<Who> {
        let mut known = self.known();
        let session = known.sessions.get_mut(&digest(secret))?;
        let now = WallTime::now();
        if now.0 - session.used.0 > SESSION_MS {
            return None;
        }
        if now.0 - session.used.0 > TOUCH_MS {
            session.used = now;
            let kept = session.clone();
            let _ = self.jobs.try_send(Box::new(move |store| {
                let _ = store.put("session", &kept.id, "", &kept); // as above
            }));
        }
        let (holder, id) = (session.holder.clone(), session.id.clone());
        known.holder(&holder).map(|who| Who { session: Some(id), ..who })
    }

    /// The same one as things are now; nothing when they may not come in any more.
    pub fn again(&self, who: &Who) -> Option<Who> {
        let known = self.known();
        let is_signed_in = who.session.as_ref().is_none_or(|id| known.sessions.contains_key(id));
        is_signed_in
            .then(|| known.holder(&who.holder))?
            .map(|now| Who { session: who.session.clone(), ..now })
    }

    /// Signs somebody in by name and password, or by a token alone. The session's secret, and who it is.
    ///
    /// # Errors
    /// [`Error`] of [`Kind::Unauthorised`] when it is wrong.
    pub async fn sign_in(&self, name: Option<&str>, password: String) -> Result<(String, Who), Error> {
        let who = match name {
            None => self.by_token(&password),
            Some(name) => self.by_password(name, password).await?,
        };
        let who =
            who.ok_or_else(|| Error::plain(Kind::Unauthorised, "the name or the password is not right"))?;
        let secret = id::secret();
        let now = WallTime::now();
        let session = Session { id: digest(&secret), holder: who.holder.clone(), made: now, used: now };
        let over = self.known().make_room(&who.holder);
        let kept = session.clone();
        self.with_store(move |store| {
            over.iter().try_for_each(|id| store.remove("session", id))?;
            store.put("session", &kept.id, "", &kept)
        })
        .await?;
        self.known().sessions.insert(session.id.clone(), session);
        Ok((secret, who))
    }

    async fn by_password(&self, name: &str, password: String) -> Result<Option<Who>, Error> {
        let found = {
            let mut known = self.known();
            known.check_wrong(name)?;
            known.operators.get(name).cloned()
        };
        let _permit = self.checks.acquire().await.map_err(failed)?;
        let hash = found.as_ref().map(|operator| operator.hash.clone());
        let is_right =
            tokio::task::spawn_blocking(move || verify(hash.as_deref(), &password)).await.map_err(failed)?;
        let Some(operator) = found.filter(|_| is_right) else {
            self.known().note_wrong(name);
            return Ok(None);
        };
        // Changed or taken out meanwhile: then it is as if the password had come later.
        let operator = {
            let mut known = self.known();
            let now = known.operators.get_mut(name).filter(|now| now.hash == operator.hash);
            let Some(now) = now else { return Ok(None) };
            now.last_used = Some(WallTime::now());
            now.clone()
        };
        let holder = Holder::Operator(operator.name.clone());
        let who = Who { name: operator.name.clone(), role: operator.role, holder, session: None };
        self.with_store(move |store| store.put("operator", &operator.name, &operator.hash, &operator))
            .await?;
        Ok(Some(who))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written.
    pub async fn sign_out(&self, secret: &str) -> Result<(), Error> {
        let id = digest(secret);
        self.known().sessions.remove(&id);
        self.changes.send_modify(|n| *n += 1);
        self.with_store(move |store| store.remove("session", &id)).await
    }

    /// Writes down what was asked; waits while too much is waiting.
    pub async fn note(&self, entry: Entry) {
        let job: Job = Box::new(move |store| {
            if let Err(error) = store.note(&entry) {
                tracing::error!("the journal is not written: {error}");
            }
        });
        let _ = self.jobs.send(job).await; // the thread ends with the server only
    }
}

impl Known {
    fn holder(&self, holder: &Holder) -> Option<Who> {
        let (name, role) = match holder {
            Holder::Open => return None,
            Holder::Owner => (OWNER.to_owned(), Role::Owner),
            Holder::Operator(name) => self.operators.get(name).map(|one| (one.name.clone(), one.role))?,
            Holder::Token(id) => self.tokens.get(id).map(|one| (one.name.clone(), one.role))?,
        };
        Some(Who { name, role, holder: holder.clone(), session: None })
    }

    /// Takes out sessions that are over, and the oldest of `holder`'s when they are many. Their ids.
    fn make_room(&mut self, holder: &Holder) -> Vec<String> {
        let now = WallTime::now().0;
        let mut theirs: Vec<(i64, String)> = (self.sessions.values())
            .filter(|one| one.holder == *holder)
            .map(|one| (one.used.0, one.id.clone()))
            .collect();
        theirs.sort();
        let surplus = (theirs.len() + 1).saturating_sub(MOST_SESSIONS);
        let mut over: Vec<String> = theirs.into_iter().take(surplus).map(|(_, id)| id).collect();
        over.extend(
            self.sessions.values().filter(|one| now - one.used.0 > SESSION_MS).map(|one| one.id.clone()),
        );
        for id in &over {
            self.sessions.remove(id);
        }
        over
    }

    fn sessions_of(&self, operator: &str) -> Vec<String> {
        let holder = Holder::Operator(operator.to_owned());
        self.sessions.values().filter(|one| one.holder == holder).map(|one| one.id.clone()).collect()
    }

    fn check_wrong(&mut self, name: &str) -> Result<(), Error> {
        let now = WallTime::now().0;
        self.wrong.retain(|_, (since, _)| now - since.0 < TOUCH_MS);
        match self.wrong.get(name) {
            Some((_, count)) if *count >= MOST_WRONG => Err(Error::plain(
                Kind::TooMany,
                "too many wrong passwords for this name: try again in a minute",
            )),
            _ => Ok(()),
        }
    }

    /// Only names that exist: others could fill the memory.
    fn note_wrong(&mut self, name: &str) {
        if self.operators.contains_key(name) {
            self.wrong.entry(name.to_owned()).or_insert_with(|| (WallTime::now(), 0)).1 += 1;
        }
    }
}

fn is_long_ago(last: Option<WallTime>) -> bool {
    last.is_none_or(|last| WallTime::now().0 - last.0 > TOUCH_MS)
}

/// Takes as long for a name that does not exist, so that names cannot be found out.
fn verify(hash: Option<&str>, password: &str) -> bool {
    let Some(hash) = hash else {
        let _ = hashed(password);
        return false;
    };
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Argon2id with the crate's own cost (19 MiB, two passes), which is OWASP's least.
fn hashed(password: &str) -> Result<String, Error> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(failed)
}
