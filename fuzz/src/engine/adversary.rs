//! What an adversary knows, and what it can make of it with its own key.

use codec::Encode;
use engine::{
    message::{Agreement, AgreementId, Message, UpdateId},
    Call, Native, Payment, Signer,
};
use protocol::{
    abi, AccountId, Action, Crypto, MpcClose, MpcCreation, MpcId, Owners, PartySignature, Signature, SignedUpdate,
    TpcId, Update,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use testkit::{
    ledger::DOMAIN,
    signers::Key,
    world::{Letter, World},
};

/// The most that is remembered of each kind.
const MEMORY: usize = 64;

/// What was said, as far as the adversary may know it: it hears everything.
#[derive(Clone, Default)]
pub struct Knowledge {
    /// The last messages, by anybody to anybody.
    pub seen: VecDeque<Letter>,
    /// Payments that were asked for.
    pub payments: VecDeque<Payment>,
    /// Updates, and whose their channels are.
    pub updates: VecDeque<(UpdateId, Update, Vec<Owners>)>,
    /// Agreements by their names, and whose their channels are.
    pub agreements: VecDeque<(AgreementId, Agreement, Vec<AccountId>)>,
    creations: VecDeque<(MpcCreation, Vec<AccountId>)>,
    closes: VecDeque<(MpcClose, Vec<AccountId>)>,
    /// Which groups are registered, or to be.
    registered: BTreeMap<MpcId, bool>,
    /// What honest nodes have let out signatures of.
    signatures: BTreeSet<(UpdateId, AccountId)>,
}

/// Keeps the last few, each once.
fn keep<T: PartialEq>(kept: &mut VecDeque<T>, new: T) {
    if kept.contains(&new) {
        return;
    }
    if kept.len() == MEMORY {
        kept.pop_front();
    }
    kept.push_back(new);
}

impl Knowledge {
    /// Takes note of a message.
    pub fn note(&mut self, world: &World, letter: &Letter) {
        let mut message = letter.message.clone();
        for signature in signatures(&mut message) {
            if let Some((payload, signer)) = meaning(signature) {
                self.signatures.insert((payload, signer));
            }
        }
        match &letter.message {
            Message::Pay { payment, .. } => keep(&mut self.payments, payment.clone()),
            Message::Propose { payments, .. } => payments.iter().for_each(|one| keep(&mut self.payments, one.clone())),
            Message::Update { update, owners, payments, .. } => {
                payments.iter().for_each(|one| keep(&mut self.payments, one.clone()));
                keep(&mut self.updates, (id(update), update.clone(), owners.clone()));
            }
            Message::Agree { agreement, led, .. } => {
                let parties = match agreement {
                    Agreement::Open(creation) => creation.parties.to_vec(),
                    _ => owners_of(world, &agreement.tpcs()),
                };
                let id = agreement.id_under(led.as_ref(), &Native, &DOMAIN);
                keep(&mut self.agreements, (id, agreement.clone(), parties));
            }
            Message::MpcCreate { creation, owners, registered, .. } => {
                self.registered.insert(creation.id(&Native, &DOMAIN), *registered);
                keep(&mut self.creations, (creation.clone(), parties(owners)));
            }
            Message::MpcClose { close, .. } => {
                let tpcs: Vec<_> = close.members.iter().map(|member| member.tpc).collect();
                keep(&mut self.closes, (close.clone(), owners_of(world, &tpcs)));
            }
            _ => {}
        }
        keep(&mut self.seen, letter.clone());
    }

    /// Whether the adversary can have a signature: it is its own, or an honest node has let it out.
    fn has(&self, key: &Key, signature: &Signature) -> bool {
        meaning(signature)
            .is_some_and(|(payload, signer)| signer == key.account() || self.signatures.contains(&(payload, signer)))
    }

    /// The signatures of those who have to sign, if the adversary has them all with its own.
    fn all(&self, key: &Key, payload: [u8; 32], parties: &[AccountId]) -> Option<Vec<PartySignature>> {
        let signed = |party: &AccountId| {
            let signature = testkit::signers::symbol(&payload, party);
            self.has(key, &signature).then_some(PartySignature { party: *party, signature })
        };
        parties.iter().map(signed).collect()
    }

    /// The updates that the adversary can complete.
    pub fn complete(&self, key: &Key) -> Vec<SignedUpdate> {
        let signed = self.updates.iter().filter_map(|(id, update, owners)| {
            let signatures = self.all(key, *id, &parties(owners))?;
            Some(SignedUpdate { update: update.clone(), owners: owners.to_vec(), signatures })
        });
        signed.collect()
    }

    /// The calls that the adversary can make of what it knows.
    pub fn calls(&self, key: &Key) -> Vec<Call> {
        let mut calls: Vec<Call> =
            self.complete(key).into_iter().flat_map(|signed| Call::of_updates([signed])).collect();
        for (id, agreement, parties) in &self.agreements {
            let Some(listed) = self.all(key, *id, parties) else { continue };
            let both: Vec<_> = listed.iter().map(|signed| signed.signature).collect();
            let both = <[Signature; 2]>::try_from(both);
            calls.push(match (agreement.clone(), both) {
                (Agreement::Open(creation), Ok(signatures)) => abi::CreateTpc { creation, signatures }.into(),
                (Agreement::Close(close), Ok(signatures)) => abi::CloseTpc { close, signatures }.into(),
                (Agreement::TopUp(top_up), Ok(signatures)) => abi::TopUpTpc { top_up, signatures }.into(),
                (Agreement::Withdraw(withdrawal), Ok(signatures)) => abi::WithdrawTpc { withdrawal, signatures }.into(),
                (Agreement::Split(split), Ok(signatures)) => abi::SplitTpc { split, signatures }.into(),
                (Agreement::Join(join), _) => abi::JoinMpc { join, signatures: listed }.into(),
                (Agreement::Leave(leave), _) => abi::LeaveMpc { leave, signatures: listed }.into(),
                _ => continue,
            });
        }
        for (creation, parties) in &self.creations {
            let payload = Action::CreateMpc(creation).payload(&Native, &DOMAIN);
            let call = |signatures| Call::from(abi::CreateMpc { creation: creation.clone(), signatures });
            calls.extend(self.all(key, payload, parties).map(call));
        }
        for (close, parties) in &self.closes {
            let payload = Action::CloseMpc(close).payload(&Native, &DOMAIN);
            let call = |signatures| Call::from(abi::CloseMpc { close: close.clone(), signatures });
            calls.extend(self.all(key, payload, parties).map(call));
        }
        calls
    }

    /// The message as the adversary can say it: with its own signature of what is in it now, and none of others that it has
    /// not seen.
    pub fn sayable(&self, key: &Key, mut message: Message) -> Message {
        self.sign(key, &mut message);
        for signature in signatures(&mut message) {
            if !self.has(key, signature) {
                *signature = Signature([0; 64]);
            }
        }
        message
    }
}

impl Knowledge {
    /// Signs what a message says, where its sender would. What it only passes on stays as it is.
    fn sign(&self, key: &Key, message: &mut Message) {
        let by = |payload: &[u8; 32]| PartySignature { party: key.account(), signature: key.sign(payload) };
        // A group that is not on chain is formed and closed by signatures that no chain takes.
        let of_group = |mpc: &MpcId, payload: [u8; 32]| match self.registered.get(mpc) {
            Some(false) => Native.blake2_256(&(b"braid/group", payload).encode()),
            _ => payload,
        };
        let of_close = |close: &MpcClose| of_group(&close.mpc, Action::CloseMpc(close).payload(&Native, &DOMAIN));
        match message {
            Message::Update { update, signature, .. } => *signature = Some(key.sign(&id(update))),
            Message::UpdateAgree { update, signature } => *signature = key.sign(update),
            Message::Agree { agreement, signature, led } => {
                *signature = key.sign(&agreement.id_under(led.as_ref(), &Native, &DOMAIN));
            }
            Message::Agreed { agreement, signature } => *signature = key.sign(agreement),
            Message::MpcCreate { creation, by: signed, .. } if signed.party == key.account() => {
                let mpc = creation.id(&Native, &DOMAIN);
                *signed = by(&of_group(&mpc, mpc.0));
            }
            Message::MpcClose { close, by: signed } if signed.party == key.account() => *signed = by(&of_close(close)),
            Message::MpcCreateAgree { mpc, signature, .. } => *signature = key.sign(&of_group(&*mpc, mpc.0)),
            Message::MpcCloseAgree { mpc, signature } => {
                if let Some((close, _)) = self.closes.iter().rev().find(|(close, _)| close.mpc == *mpc) {
                    *signature = key.sign(&of_close(close));
                }
            }
            _ => {}
        }
    }
}

/// An update's name.
pub fn id(update: &Update) -> UpdateId {
    Action::Update(update).payload(&Native, &DOMAIN)
}

/// What a symbol stands for: what is signed, and by whom.
fn meaning(signature: &Signature) -> Option<(UpdateId, AccountId)> {
    let (payload, signer) = signature.0.split_at(32);
    Some((payload.try_into().ok()?, AccountId::from(<[u8; 32]>::try_from(signer).ok()?)))
}

fn parties(owners: &[Owners]) -> Vec<AccountId> {
    let parties: BTreeSet<_> = owners.iter().flat_map(|owners| owners.parties).collect();
    parties.into_iter().collect()
}

fn owners_of(world: &World, tpcs: &[TpcId]) -> Vec<AccountId> {
    let stored: BTreeMap<_, _> = world.ledger.tpcs().collect();
    parties(&tpcs.iter().filter_map(|tpc| Some(stored.get(tpc)?.owners)).collect::<Vec<_>>())
}

/// All signatures in a message.
fn signatures(message: &mut Message) -> Vec<&mut Signature> {
    fn listed(signatures: &mut [PartySignature]) -> impl Iterator<Item = &mut Signature> {
        signatures.iter_mut().map(|signed| &mut signed.signature)
    }
    match message {
        Message::Update { signature, .. } => signature.iter_mut().collect(),
        Message::UpdateAgree { signature, .. }
        | Message::Agree { signature, .. }
        | Message::Agreed { signature, .. }
        | Message::MpcCreateAgree { signature, .. }
        | Message::MpcCloseAgree { signature, .. } => vec![signature],
        Message::MpcCreate { by, .. } | Message::MpcClose { by, .. } => vec![&mut by.signature],
        Message::Updated { signatures, .. }
        | Message::MpcCreated { signatures, .. }
        | Message::MpcClosed { signatures, .. } => listed(signatures).collect(),
        Message::Missed { updates } => updates.iter_mut().flat_map(|signed| listed(&mut signed.signatures)).collect(),
        Message::Introduce { held, .. } => held.iter_mut().flat_map(|shown| listed(&mut shown.signatures)).collect(),
        Message::Pay { .. }
        | Message::PayReject { .. }
        | Message::Propose { .. }
        | Message::Consent { .. }
        | Message::ProposeReject { .. }
        | Message::GiveUp { .. }
        | Message::UpdateReject { .. }
        | Message::AgreeReject { .. }
        | Message::MpcCreateReject { .. }
        | Message::MpcCreateFailed { .. }
        | Message::MpcCloseReject { .. }
        | Message::MpcCloseFailed { .. }
        | Message::Welcome { .. }
        | Message::Left { .. }
        | Message::WhoAreYou { .. } => vec![],
    }
}
