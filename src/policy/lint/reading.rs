//! What could be read of a policy.

use super::PolicyKind;
use crate::json::Span;
use crate::policy::StatementRef;
use crate::policy::action::ActionSet;
use crate::policy::condition_key::ConditionKey;
use crate::policy::document::Version;
use crate::policy::operand::Operand;
use crate::policy::operator::Operator;
use crate::policy::principal::Principal;
use crate::policy::resource::Resource;
use crate::policy::statement::Effect;

/// What could be read of a policy.
pub(super) struct Reading {
    pub(super) version: Version,
    pub(super) kind: PolicyKind,
    pub(super) statements: Vec<Statement>,
    /// Where the document stands.
    pub(super) span: Span,
}

/// What could be read of a statement about KMS.
pub(super) struct Statement {
    pub(super) at: StatementRef,
    pub(super) span: Span,
    pub(super) effect: Option<Effect>,
    /// `None` in an identity policy.
    pub(super) principals: Option<Element<Principal>>,
    pub(super) actions: Option<Element<ActionSet>>,
    pub(super) resources: Option<Element<Resource>>,
    pub(super) conditions: Vec<ReadCondition>,
    /// Whether something in it was not understood. Nothing is concluded then from what it does not say.
    pub(super) is_partial: bool,
}

/// `Action`, `NotAction` and the like.
pub(super) struct Element<T> {
    pub(super) negated: bool,
    pub(super) name_span: Span,
    pub(super) items: Vec<Item<T>>,
}

/// One of the texts of an element or of a condition.
pub(super) struct Item<T> {
    pub(super) text: String,
    pub(super) span: Span,
    pub(super) value: T,
}

/// One operator with one key.
pub(super) struct ReadCondition {
    pub(super) operator: Operator,
    pub(super) operator_span: Span,
    pub(super) key: ConditionKey,
    pub(super) key_span: Span,
    /// `None` where the value is refused.
    pub(super) values: Vec<Item<Option<Operand>>>,
}

impl Element<ActionSet> {
    /// The actions that it is about.
    pub(super) fn set(&self) -> ActionSet {
        let named = self.items.iter().map(|item| item.value).collect();
        if self.negated { ActionSet::ALL.without(named) } else { named }
    }

    /// The first of its texts that has one of these actions.
    pub(super) fn item_with(&self, actions: ActionSet) -> Option<&Item<ActionSet>> {
        self.items.iter().find(|item| !item.value.and(actions).is_empty())
    }

    /// Where it names one of these actions, or else its own name.
    pub(super) fn span_of(&self, actions: ActionSet) -> &Span {
        match self.item_with(actions) {
            Some(item) if !self.negated => &item.span,
            _ => &self.name_span,
        }
    }
}

impl Statement {
    pub(super) fn allows(&self) -> bool {
        self.effect == Some(Effect::Allow)
    }

    pub(super) fn denies(&self) -> bool {
        self.effect == Some(Effect::Deny)
    }

    /// The actions that it is about; none when they were not understood.
    pub(super) fn action_set(&self) -> ActionSet {
        self.actions.as_ref().map_or(ActionSet::EMPTY, Element::set)
    }
}
