//! What one visitor does: a state machine that is asked for the next act. It knows no time and writes nothing.
//!
//! A session draws its goal first (how far down the funnel it goes), then the number of pages and items; the
//! acts follow from that. This keeps the funnel's ratios exact, where chances per step would make them an
//! outcome of the page count.

use rand_chacha::rand_core::RngCore;
use uuid::Uuid;

use super::catalogue::Catalogue;
use super::config::{Funnel, GeneratorConfig};
use super::random::{Chance, below};
use crate::Traffic;

/// Pieces of one product in a cart.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    /// Index into the catalogue.
    pub(crate) product: u32,
    pub(crate) quantity: u32,
}

const MOST_LINES: usize = 6;

/// A cart of few lines, held inline: there are hundreds of thousands of visitors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cart {
    /// Nil until the first item.
    pub(crate) id: Uuid,
    lines: [Line; MOST_LINES],
    len: u8,
}

impl Cart {
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines[..usize::from(self.len)]
    }

    fn add(&mut self, line: Line) {
        if let Some(same) = self.lines[..usize::from(self.len)].iter_mut().find(|l| l.product == line.product)
        {
            same.quantity += line.quantity;
        } else if usize::from(self.len) < MOST_LINES {
            self.lines[usize::from(self.len)] = line;
            self.len += 1;
        }
    }

    fn remove(&mut self, i: usize) -> Line {
        let line = self.lines[i];
        self.lines.copy_within(i + 1..usize::from(self.len), i);
        self.len -= 1;
        line
    }
}

/// How far a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    Browse,
    Cart,
    Checkout,
    Payment,
    Purchase,
}

/// What the session does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Browse,
    Cart,
    Remove,
    Checkout,
    Payment,
    Purchase,
    Over,
}

/// One visitor, in a session or between two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor {
    pub(crate) anonymous_id: Uuid,
    pub(crate) session_id: Uuid,
    pub(crate) cart: Cart,
    /// Number of the account; 0 before log-in.
    pub(crate) user: u32,
    pub(crate) traffic: Traffic,
    goal: Goal,
    phase: Phase,
    pages_left: u8,
    items_wanted: u8,
    first_page: bool,
    /// The product that was just looked at and goes into the cart next.
    to_add: Option<u32>,
}

/// One thing that a visitor did. Products are indexes into the catalogue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    ViewList {
        product: u32,
    },
    View {
        product: u32,
    },
    Add(Line),
    Remove(Line),
    ViewCart,
    BeginCheckout,
    AddPaymentInfo,
    /// Of everything in this cart; the visitor's own is empty now.
    Purchase(Cart),
}

/// The kind of pause before the next act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Looking at a page.
    Read,
    /// Filling in a form.
    Form,
    /// A program.
    Bot,
}

/// The chances behind all visitors.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pub(crate) catalogue: Catalogue,
    cart: Chance,
    checkout: Chance,
    payment: Chance,
    purchase: Chance,
    return_plain: Chance,
    return_with_cart: Chance,
    recover: Chance,
    /// Bounds on one draw: bot, then staff, then test.
    traffic: [u64; 3],
    bounce: Chance,
    one_more_page: Chance,
    one_more_item: Chance,
    list_first: Chance,
    list_later: Chance,
    add_early: Chance,
    see_cart: Chance,
    take_out: Chance,
    come_back_to_look: Chance,
    known: Chance,
    log_in: Chance,
}

const ALL_BITS: f64 = 4_294_967_296.0;
const BOT_PAGES: (u64, u64) = (20, 60);

impl Behaviour {
    /// `return_factor` lowers the chance of a second visit, where fewer visitors can be remembered.
    pub(crate) fn new(config: &GeneratorConfig, catalogue: Catalogue, return_factor: f64) -> Self {
        let Funnel { cart, checkout, payment, purchase, return_plain, return_with_cart, recover, .. } =
            config.funnel;
        let bound = |share: f64| (share.min(1.0) * ALL_BITS).round() as u64;
        let (bot, staff) = (config.bot_share, config.bot_share + config.staff_share);
        Behaviour {
            catalogue,
            cart: Chance::new(cart),
            checkout: Chance::new(checkout),
            payment: Chance::new(payment),
            purchase: Chance::new(purchase),
            return_plain: Chance::new(return_plain * return_factor),
            return_with_cart: Chance::new(return_with_cart * return_factor),
            recover: Chance::new(recover),
            traffic: [bound(bot), bound(staff), bound(staff + config.test_share)],
            bounce: Chance::new(0.42),
            one_more_page: Chance::new(0.82),
            one_more_item: Chance::new(0.42),
            list_first: Chance::new(0.5),
            list_later: Chance::new(0.2),
            add_early: Chance::new(0.35),
            see_cart: Chance::new(0.75),
            take_out: Chance::new(0.12),
            come_back_to_look: Chance::new(0.4),
            known: Chance::new(0.2),
            log_in: Chance::new(0.6),
        }
    }

    /// A new visitor at the start of the first session.
    pub(crate) fn arrive(&self, rng: &mut impl RngCore) -> Visitor {
        let bits = u64::from(rng.next_u32());
        let traffic = match self.traffic.iter().position(|bound| bits < *bound) {
            Some(0) => Traffic::Bot,
            Some(1) => Traffic::Staff,
            Some(_) => Traffic::Test,
            None => Traffic::Human,
        };
        let user = match traffic {
            Traffic::Bot => 0,
            Traffic::Staff => account(rng),
            _ if self.known.hit(rng) => account(rng),
            _ => 0,
        };
        let mut visitor = Visitor {
            anonymous_id: random_uuid(rng),
            session_id: Uuid::nil(),
            cart: Cart::default(),
            user,
            traffic,
            goal: Goal::Browse,
            phase: Phase::Over,
            pages_left: 0,
            items_wanted: 0,
            first_page: true,
            to_add: None,
        };
        self.begin_session(rng, &mut visitor);
        visitor
    }

    /// Starts a session of a visitor who is between two.
    pub(crate) fn begin_session(&self, rng: &mut impl RngCore, visitor: &mut Visitor) {
        visitor.session_id = random_uuid(rng);
        visitor.first_page = true;
        visitor.to_add = None;
        visitor.items_wanted = 0;
        visitor.phase = Phase::Browse;
        visitor.goal = Goal::Browse;
        if visitor.traffic == Traffic::Bot {
            visitor.pages_left = (BOT_PAGES.0 + below(rng, BOT_PAGES.1 - BOT_PAGES.0 + 1)) as u8;
            return;
        }
        if !visitor.cart.lines().is_empty() {
            // Back to a cart left behind: to purchase, only to look at it, or just for the shop.
            if self.recover.hit(rng) {
                (visitor.phase, visitor.goal) = (Phase::Cart, Goal::Purchase);
                return;
            } else if self.come_back_to_look.hit(rng) {
                (visitor.phase, visitor.goal) = (Phase::Cart, Goal::Cart);
                return;
            }
        } else if visitor.traffic == Traffic::Test {
            visitor.goal = Goal::Purchase;
        } else {
            let steps = [
                (self.cart, Goal::Cart),
                (self.checkout, Goal::Checkout),
                (self.payment, Goal::Payment),
                (self.purchase, Goal::Purchase),
            ];
            for (chance, goal) in steps {
                if !chance.hit(rng) {
                    break;
                }
                visitor.goal = goal;
            }
        }
        if visitor.goal > Goal::Browse {
            visitor.items_wanted = 1 + self.one_more_item.streak(rng, MOST_LINES as u8 - 1);
            visitor.pages_left = 2 + self.one_more_page.streak(rng, 30);
        } else if self.bounce.hit(rng) {
            visitor.pages_left = 1;
        } else {
            visitor.pages_left = 2 + self.one_more_page.streak(rng, 30);
        }
    }

    /// The next act of a visitor in a session.
    pub(crate) fn advance(&self, rng: &mut impl RngCore, visitor: &mut Visitor) -> Act {
        match visitor.phase {
            Phase::Browse | Phase::Over => self.browse(rng, visitor),
            Phase::Cart => {
                let lines = visitor.cart.lines().len();
                // Who goes on needs something to pay for.
                let spare = lines > 1 || (lines == 1 && visitor.goal == Goal::Cart);
                visitor.phase =
                    if spare && self.take_out.hit(rng) { Phase::Remove } else { after_cart(visitor) };
                Act::ViewCart
            }
            Phase::Remove => {
                let i = below(rng, visitor.cart.lines().len() as u64) as usize;
                let line = visitor.cart.remove(i);
                visitor.phase = after_cart(visitor);
                Act::Remove(line)
            }
            Phase::Checkout => {
                if visitor.user == 0 && self.log_in.hit(rng) {
                    visitor.user = account(rng);
                }
                visitor.phase = if visitor.goal > Goal::Checkout { Phase::Payment } else { Phase::Over };
                Act::BeginCheckout
            }
            Phase::Payment => {
                visitor.phase = if visitor.goal > Goal::Payment { Phase::Purchase } else { Phase::Over };
                Act::AddPaymentInfo
            }
            Phase::Purchase => {
                visitor.phase = Phase::Over;
                Act::Purchase(std::mem::take(&mut visitor.cart))
            }
        }
    }

    fn browse(&self, rng: &mut impl RngCore, visitor: &mut Visitor) -> Act {
        let act = if let Some(product) = visitor.to_add.take() {
            let quantity = match below(rng, 100) {
                0..85 => 1,
                85..96 => 2,
                _ => 3,
            };
            visitor.items_wanted = visitor.items_wanted.saturating_sub(1);
            if visitor.cart.id.is_nil() {
                visitor.cart.id = random_uuid(rng);
            }
            let line = Line { product, quantity };
            visitor.cart.add(line);
            Act::Add(line)
        } else {
            visitor.pages_left = visitor.pages_left.saturating_sub(1);
            let product = self.catalogue.pick(rng);
            let list = if visitor.first_page { self.list_first } else { self.list_later };
            visitor.first_page = false;
            // The last pages are needed for the items still wanted.
            let needed = visitor.items_wanted > 0 && visitor.pages_left < visitor.items_wanted;
            if visitor.traffic != Traffic::Bot && !needed && list.hit(rng) {
                Act::ViewList { product }
            } else {
                if visitor.items_wanted > 0 && (needed || self.add_early.hit(rng)) {
                    visitor.to_add = Some(product);
                }
                Act::View { product }
            }
        };
        if visitor.pages_left == 0 && visitor.items_wanted == 0 && visitor.to_add.is_none() {
            visitor.phase = match visitor.goal {
                Goal::Browse => Phase::Over,
                _ if self.see_cart.hit(rng) => Phase::Cart,
                _ => after_cart(visitor),
            };
        }
        act
    }

    /// The pause before the next act; `None` when the session is over.
    pub(crate) fn pace(&self, visitor: &Visitor) -> Option<Pace> {
        match visitor.phase {
            Phase::Over => None,
            Phase::Payment | Phase::Purchase => Some(Pace::Form),
            _ if visitor.traffic == Traffic::Bot => Some(Pace::Bot),
            _ => Some(Pace::Read),
        }
    }

    /// Whether a visitor whose session is over comes back.
    pub(crate) fn returns(&self, rng: &mut impl RngCore, visitor: &mut Visitor) -> bool {
        if visitor.traffic == Traffic::Bot {
            return false;
        }
        if visitor.cart.lines().is_empty() {
            visitor.cart = Cart::default();
            self.return_plain.hit(rng)
        } else {
            self.return_with_cart.hit(rng)
        }
    }
}

impl Visitor {
    /// The same state as another person, session and cart.
    pub(crate) fn as_someone_else(mut self, rng: &mut impl RngCore) -> Self {
        self.anonymous_id = random_uuid(rng);
        self.session_id = random_uuid(rng);
        if !self.cart.id.is_nil() {
            self.cart.id = random_uuid(rng);
        }
        if self.user != 0 {
            self.user = account(rng);
        }
        self
    }
}

fn after_cart(visitor: &Visitor) -> Phase {
    if visitor.goal > Goal::Cart { Phase::Checkout } else { Phase::Over }
}

fn account(rng: &mut impl RngCore) -> u32 {
    1 + below(rng, 9_999_999) as u32
}

/// A version 4 UUID from the generator's own random bits.
pub(crate) fn random_uuid(rng: &mut impl RngCore) -> Uuid {
    let bits = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}
