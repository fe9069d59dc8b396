//! From recipients in a plan file to addresses: who is told, why, and who is not and why not.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Recipient;

/// The most letters of one happening; a plan that names more is not mailed to by accident.
const MOST_LETTERS: usize = 500;

/// Programs and chats that are told of one thing.
const MOST_WEBHOOKS: usize = 50;

/// Who has to be looked up before it can be said who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Users by name.
    pub users: BTreeSet<String>,
    /// Groups by name.
    pub groups: BTreeSet<String>,
    /// Those who watch the plan.
    pub watchers: bool,
    /// Those who are responsible.
    pub responsible: bool,
    /// Those who made the commits.
    pub committers: bool,
}

impl Wanted {
    /// What these recipients need.
    pub fn of<'a>(recipients: impl IntoIterator<Item = &'a Recipient>) -> Self {
        let mut wanted = Self::default();
        for recipient in recipients {
            match recipient {
                Recipient::Responsible => wanted.responsible = true,
                Recipient::Watchers => wanted.watchers = true,
                Recipient::Committers => wanted.committers = true,
                Recipient::User { name } => {
                    wanted.users.insert(name.clone());
                }
                Recipient::Group { name } => {
                    wanted.groups.insert(name.clone());
                }
                Recipient::Email { .. } | Recipient::Webhook { .. } => {}
            }
        }
        wanted
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name that logs in.
    pub name: String,
    /// The address; may be empty.
    pub email: String,
    /// May log in.
    pub enabled: bool,
    /// May see the plan.
    pub may_read: bool,
}

/// Who made a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committer {
    /// The author's name as the commit has it.
    pub author: String,
    /// The user with the commit's address, by name.
    pub user: Option<String>,
}

/// Everybody who was looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Users by their names in lower case.
    pub users: BTreeMap<String, Person>,
    /// Groups by their names in lower case, with the names of their members.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Names of those who watch the plan.
    pub watchers: Vec<String>,
    /// Names of those who are responsible.
    pub responsible: Vec<String>,
    /// Those who made the commits.
    pub committers: Vec<Committer>,
}

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    /// One for each address, however often it is named.
    pub letters: Vec<Letter>,
    /// Programs that are called; each address once.
    pub webhooks: Vec<Call>,
    /// Who is named and not told.
    pub left_out: Vec<LeftOut>,
}

/// Somebody who gets a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address.
    pub address: String,
    /// The user's name; `None` for an address of the plan file.
    pub user: Option<String>,
    /// Why, each a piece of a sentence behind "because": `you watch the plan`.
    pub because: Vec<String>,
    /// The rules that name this one, each once, as people call their events.
    pub under: Vec<String>,
}

/// A program that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What the plan calls it; may be empty.
    pub name: String,
    /// The address; may hold a password.
    pub url: String,
    /// The rules that name this one, each once, as people call their events.
    pub under: Vec<String>,
}

/// Somebody who is named and not told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The name.
    pub who: String,
    /// Why not.
    pub why: Unheard,
}

/// Why somebody is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unheard {
    /// There is no such user.
    NoUser,
    /// There is no such group.
    NoGroup,
    /// No user has the address of the commit.
    UnknownCommitter,
    /// The user may not log in.
    Disabled,
    /// The user has no address.
    NoAddress,
    /// The user may not see the plan.
    MayNotRead,
    /// What stands as an address is none.
    NotAnAddress,
    /// More are named than are told at once.
    TooMany,
}

impl Unheard {
    /// The reason as a piece of a sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoUser => "there is no such user",
            Self::NoGroup => "there is no such group",
            Self::UnknownCommitter => "no user here has the address of the commit",
            Self::Disabled => "the user is disabled",
            Self::NoAddress => "the user has no mail address",
            Self::MayNotRead => "the user may not see the plan",
            Self::NotAnAddress => "it is no mail address",
            Self::TooMany => "too many are named",
        }
    }
}

/// Says who is told: `named` are the recipients, each with what people call the event of its rule. Nobody is told twice,
/// nobody who may not see the plan is told, and whoever is named and not told is in the list of those left out.
#[must_use]
pub fn audience<'a>(named: impl IntoIterator<Item = (&'a str, &'a Recipient)>, people: &People) -> Audience {
    let mut told = Collected::default();
    for (rule, recipient) in named {
        told.rule = rule;
        match recipient {
            Recipient::Responsible => {
                for name in &people.responsible {
                    told.user(people, name, "you are responsible for the plan");
                }
            }
            Recipient::Watchers => {
                for name in &people.watchers {
                    told.user(people, name, "you watch the plan");
                }
            }
            Recipient::Committers => {
                for one in &people.committers {
                    match &one.user {
                        Some(name) => told.user(people, name, "you made a commit of the build"),
                        None => told.leave_out(&one.author, Unheard::UnknownCommitter),
                    }
                }
            }
            Recipient::User { name } => told.user(people, name, "the plan names you"),
            Recipient::Group { name } => match people.groups.get(&name.to_lowercase()) {
                Some(members) => {
                    for member in members {
                        told.user(people, member, &format!("you are in the group {name}"));
                    }
                }
                None => told.leave_out(name, Unheard::NoGroup),
            },
            Recipient::Email { address } => {
                let address = address.trim();
                if looks_like_an_address(address) {
                    told.letter(address, None, "the plan names your address");
                } else {
                    told.leave_out(address, Unheard::NotAnAddress);
                }
            }
            Recipient::Webhook { name, url } => {
                if let Some(call) = told.audience.webhooks.iter_mut().find(|one| one.url == *url) {
                    add_once(&mut call.under, rule);
                } else if told.audience.webhooks.len() == MOST_WEBHOOKS {
                    told.leave_out(name, Unheard::TooMany);
                } else {
                    told.audience.webhooks.push(Call {
                        name: name.clone(),
                        url: url.clone(),
                        under: vec![rule.to_owned()],
                    });
                }
            }
        }
    }
    told.audience.left_out.sort();
    told.audience.left_out.dedup();
    told.audience
}

#[derive(Default)]
struct Collected<'a> {
    audience: Audience,
    /// The rule whose recipients are looked at.
    rule: &'a str,
    /// Places in the letters by address in lower case.
    places: BTreeMap<String, usize>,
}

impl Collected<'_> {
    fn user(&mut self, people: &People, name: &str, because: &str) {
        let Some(person) = people.users.get(&name.to_lowercase()) else {
            return self.leave_out(name, Unheard::NoUser);
        };
        let address = person.email.trim();
        if !person.enabled {
            self.leave_out(&person.name, Unheard::Disabled);
        } else if !person.may_read {
            self.leave_out(&person.name, Unheard::MayNotRead);
        } else if !looks_like_an_address(address) {
            self.leave_out(&person.name, Unheard::NoAddress);
        } else {
            self.letter(address, Some(&person.name), because);
        }
    }

    fn letter(&mut self, address: &str, user: Option<&str>, because: &str) {
        let folded = address.to_lowercase();
        if let Some(letter) = self
            .places
            .get(&folded)
            .and_then(|place| self.audience.letters.get_mut(*place))
        {
            add_once(&mut letter.because, because);
            add_once(&mut letter.under, self.rule);
            letter.user = letter.user.take().or_else(|| user.map(str::to_owned));
            return;
        }
        if self.audience.letters.len() == MOST_LETTERS {
            return self.leave_out(user.unwrap_or(address), Unheard::TooMany);
        }
        self.places.insert(folded, self.audience.letters.len());
        self.audience.letters.push(Letter {
            address: address.to_owned(),
            user: user.map(str::to_owned),
            because: vec![because.to_owned()],
            under: vec![self.rule.to_owned()],
        });
    }

    fn leave_out(&mut self, who: &str, why: Unheard) {
        self.audience.left_out.push(LeftOut {
            who: who.to_owned(),
            why,
        });
    }
}

fn add_once(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

/// `name@host` without anything that could end a header; the mail server judges the rest.
#[must_use]
pub fn looks_like_an_address(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else {
        return false;
    };
    !name.is_empty()
        && !host.is_empty()
        && text.len() <= 254
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "<>,;\"()[]\\:".contains(c))
}
