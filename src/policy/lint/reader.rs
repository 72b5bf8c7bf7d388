//! A policy read piece by piece: what one piece is refused for does not hide the next.
//!
//! Every piece goes through the parser that the broker itself uses, so that the two cannot differ in what they take.

use std::collections::HashSet;
use std::sync::Arc;

use super::finding::Findings;
use super::reading::{Element, Item, ReadCondition, Reading, Statement};
use super::{PolicyKind, refused};
use crate::json::{Json, Located, LocatedValue, Member, Path, Span};
use crate::policy::StatementRef;
use crate::policy::action::{ActionElement, ActionSet};
use crate::policy::condition::Condition;
use crate::policy::condition_key::ConditionKey;
use crate::policy::document::{Grammar, Version};
use crate::policy::error::{PolicyError, Problem};
use crate::policy::json::ErrorAt;
use crate::policy::operand::Operand;
use crate::policy::operator::Operator;
use crate::policy::principal::{Principal, PrincipalElement};
use crate::policy::resource::{Resource, ResourceElement};
use crate::policy::statement::Effect;
use crate::text::shorten;

impl Reading {
    /// Reads a policy; `None` when the text has no statements to look at. What is refused becomes a finding.
    pub(super) fn of(text: &str, kind: PolicyKind, findings: &mut Findings<'_>) -> Option<Self> {
        let document = Located::parse(text).ok()?;
        let mut reader = Reader { kind, version: Version::V2008, at: None, is_partial: false, findings };
        let LocatedValue::Object(members) = &document.value else {
            reader.wrong_type(&document, "an object");
            return None;
        };
        reader.repeated_names(members);
        let mut statements = None;
        for member in members {
            match member.name.as_str() {
                "Version" => {
                    if let Some(version) = reader.take(Version::parse, &member.value) {
                        reader.version = version;
                    }
                }
                "Id" if member.value.as_str().is_none() => reader.wrong_type(&member.value, "a string"),
                "Id" => {}
                "Statement" => statements = Some(&member.value),
                _ => reader.unknown_element(member),
            }
        }
        let version = reader.version;
        let Some(statements) = statements else {
            reader.refuse(&document.span, Problem::MissingElement { name: "Statement" });
            return None;
        };
        let statements = reader.statements(statements);
        Some(Self { version, kind, statements, span: document.span })
    }
}

/// Reads pieces of a policy and says what they are refused for.
struct Reader<'f, 't> {
    kind: PolicyKind,
    version: Version,
    at: Option<StatementRef>,
    is_partial: bool,
    findings: &'f mut Findings<'t>,
}

impl Reader<'_, '_> {
    fn grammar(&self) -> Grammar {
        match self.kind {
            PolicyKind::Key => Grammar::KeyPolicy,
            PolicyKind::Identity => Grammar::IdentityPolicy,
        }
    }

    fn statements(&mut self, json: &Located) -> Vec<Statement> {
        if json.items().is_empty() {
            self.refuse(&json.span, Problem::Empty { what: "array" });
        }
        let mut sids = HashSet::new();
        let mut statements = Vec::new();
        for (index, json) in (0..).zip(json.items()) {
            let sid = json.members().unwrap_or_default().iter().find(|member| member.name == "Sid");
            let sid_text = sid.and_then(|sid| sid.value.as_str()).filter(|sid| !sid.is_empty());
            self.at = Some(StatementRef { index, sid: sid_text.map(Arc::from) });
            self.is_partial = false;
            if let (Some(sid), Some(text)) = (sid, sid_text)
                && !sids.insert(text.to_owned())
            {
                self.refuse(&sid.value.span, Problem::DuplicateSid { sid: shorten(text) });
            }
            statements.extend(self.statement(json));
        }
        statements
    }

    fn statement(&mut self, json: &Located) -> Option<Statement> {
        let LocatedValue::Object(members) = &json.value else {
            self.wrong_type(json, "an object");
            return None;
        };
        if members.is_empty() {
            self.refuse(&json.span, Problem::Empty { what: "object" });
            return None;
        }
        self.repeated_names(members);
        let mut effect = None;
        let (mut principals, mut actions, mut resources, mut condition) = (None, None, None, None);
        let mut has_effect = false;
        for member in members {
            match member.name.as_str() {
                "Sid" if member.value.as_str().is_none() => self.wrong_type(&member.value, "a string"),
                "Sid" => {}
                "Effect" => {
                    has_effect = true;
                    effect = self.take(Effect::parse, &member.value);
                }
                "Principal" | "NotPrincipal" => self.one_of(&mut principals, member, "Principal"),
                "Action" | "NotAction" => self.one_of(&mut actions, member, "Action"),
                "Resource" | "NotResource" => self.one_of(&mut resources, member, "Resource"),
                "Condition" => condition = Some(&member.value),
                _ => self.unknown_element(member),
            }
        }
        if !has_effect {
            self.refuse(&json.span, Problem::MissingElement { name: "Effect" });
        }
        let principals = self.principals(json, principals, effect);
        let actions = self.required(json, actions, "Action or NotAction").map(|member| self.actions(member));
        let is_about_other_services = actions.as_ref().is_some_and(|(element, _)| {
            !element.negated && !element.items.is_empty() && element.set().is_empty()
        });
        let is_about_kms_alone =
            self.kind == PolicyKind::Key || actions.as_ref().is_some_and(|(_, kms)| *kms);
        let resources = self.required(json, resources, "Resource or NotResource");
        if is_about_other_services {
            // Of operators, keys and resources that are not asked here.
            return None;
        }
        let resources = resources.map(|member| self.resources(member, is_about_kms_alone));
        let conditions = condition.map(|json| self.conditions(json)).unwrap_or_default();
        Some(Statement {
            at: self.at.clone()?,
            span: json.span.clone(),
            effect,
            principals,
            actions: actions.map(|(element, _)| element),
            resources,
            conditions,
            is_partial: self.is_partial,
        })
    }

    fn principals(
        &mut self,
        statement: &Located,
        member: Option<&Member>,
        effect: Option<Effect>,
    ) -> Option<Element<Principal>> {
        if self.kind == PolicyKind::Identity {
            if let Some(member) = member {
                self.refuse(&member.name_span, Problem::PrincipalInIdentityPolicy);
            }
            return None;
        }
        let member = self.required(statement, member, "Principal or NotPrincipal")?;
        let negated = member.name == "NotPrincipal";
        if negated && effect == Some(Effect::Allow) {
            self.refuse(&member.name_span, Problem::NotPrincipalWithAllow);
        }
        let mut items = Vec::new();
        match &member.value.value {
            LocatedValue::Object(kinds) if kinds.is_empty() => {
                self.refuse(&member.value.span, Problem::Empty { what: "object" });
            }
            LocatedValue::Object(kinds) => {
                self.repeated_names(kinds);
                for kind in kinds {
                    if kind.name == "AWS" {
                        items.extend(self.texts(&kind.value, |text| Principal::parse(text, &Path::ROOT)));
                    } else {
                        let json = Json::Object(vec![(kind.name.clone(), kind.value.to_json())]);
                        if let Err(error) = PrincipalElement::parse(&json, &Path::ROOT, false) {
                            self.refuse(&kind.name_span, error.problem);
                        }
                    }
                }
            }
            _ => match PrincipalElement::parse(&member.value.to_json(), &Path::ROOT, false) {
                Ok(_) => items.push(Item {
                    text: "*".to_owned(),
                    span: member.value.span.clone(),
                    value: Principal::Anyone,
                }),
                Err(error) => self.refuse(&member.value.span, error.problem),
            },
        }
        if negated && let Some(anyone) = items.iter().find(|item| item.value == Principal::Anyone) {
            self.refuse(&anyone.span.clone(), Problem::NeverApplies);
        }
        Some(Element { negated, name_span: member.name_span.clone(), items })
    }

    /// The element, and whether it can be about KMS alone.
    fn actions(&mut self, member: &Member) -> (Element<ActionSet>, bool) {
        let grammar = self.grammar();
        let negated = member.name == "NotAction";
        let mut is_about_kms_alone = !negated;
        let items = self.texts(&member.value, |text| {
            let json = Json::String(text.to_owned());
            let element = ActionElement::parse(&json, &Path::ROOT, false, grammar)?;
            is_about_kms_alone &= element.is_about_kms_alone();
            Ok(ActionSet::matching(text))
        });
        let element = Element { negated, name_span: member.name_span.clone(), items };
        if negated && element.set().is_empty() && !element.items.is_empty() {
            self.refuse(&member.value.span, Problem::NeverApplies);
        }
        (element, is_about_kms_alone)
    }

    fn resources(&mut self, member: &Member, is_about_kms_alone: bool) -> Element<Resource> {
        let version = self.version;
        let negated = member.name == "NotResource";
        let items = self.texts(&member.value, |text| {
            let json = Json::String(text.to_owned());
            let element = ResourceElement::parse(&json, &Path::ROOT, false, version, is_about_kms_alone)?;
            element.any_of.into_iter().next().ok_or_else(|| Path::ROOT.error(Problem::NeverApplies))
        });
        if negated && let Some(any) = items.iter().find(|item| item.value == Resource::Any) {
            self.refuse(&any.span.clone(), Problem::NeverApplies);
        }
        Element { negated, name_span: member.name_span.clone(), items }
    }

    fn conditions(&mut self, json: &Located) -> Vec<ReadCondition> {
        let mut conditions = Vec::new();
        for operator in self.non_empty_members(json) {
            let Some(parsed) = Operator::parse(&operator.name) else {
                self.refuse(
                    &operator.name_span,
                    Problem::UnknownOperator { operator: shorten(&operator.name) },
                );
                continue;
            };
            let mut keys = HashSet::new();
            for member in self.non_empty_members(&operator.value) {
                let Some(key) = ConditionKey::parse(&member.name) else {
                    let problem = Problem::UnknownConditionKey { key: shorten(&member.name) };
                    self.refuse(&member.name_span, problem);
                    continue;
                };
                if !keys.insert(key.clone()) {
                    let key = shorten(&key.to_string());
                    self.refuse(&member.name_span, Problem::DuplicateConditionKey { key });
                }
                let values = self.values(operator, member);
                conditions.push(ReadCondition {
                    operator: parsed,
                    operator_span: operator.name_span.clone(),
                    key,
                    key_span: member.name_span.clone(),
                    values,
                });
            }
        }
        conditions
    }

    fn values(&mut self, operator: &Member, key: &Member) -> Vec<Item<Option<Operand>>> {
        let parse = |value: Json| {
            let keys = Json::Object(vec![(key.name.clone(), value)]);
            let json = Json::Object(vec![(operator.name.clone(), keys)]);
            Condition::parse_all(&json, &Path::ROOT, self.version)
        };
        if key.value.items().is_empty() {
            self.refuse(&key.value.span, Problem::Empty { what: "array" });
            return Vec::new();
        }
        let mut values = Vec::new();
        let mut refused = Vec::new();
        for item in key.value.items() {
            let json = item.to_json();
            let text = match &json {
                Json::String(text) => text.clone(),
                Json::Integer(number) => number.to_string(),
                Json::Bool(flag) => flag.to_string(),
                Json::Null | Json::OtherNumber(_) | Json::Array(_) | Json::Object(_) => String::new(),
            };
            let value = match parse(one_value(json)) {
                Ok(conditions) => {
                    conditions.into_iter().next().and_then(|condition| condition.any_of.into_iter().next())
                }
                Err(error) => {
                    let is_about_the_operator = matches!(
                        error.problem,
                        Problem::OperatorForOtherType { .. } | Problem::SetOperatorRequired { .. }
                    );
                    let span = if is_about_the_operator { &operator.name_span } else { &item.span };
                    refused.push((span.clone(), error.problem));
                    None
                }
            };
            values.push(Item { text, span: item.span.clone(), value });
        }
        for (span, problem) in refused {
            self.refuse_value(&span, problem, operator, key);
        }
        values
    }

    /// The texts of a string or an array of strings, of which those that `parse` takes are kept.
    fn texts<T>(
        &mut self,
        json: &Located,
        mut parse: impl FnMut(&str) -> Result<T, PolicyError>,
    ) -> Vec<Item<T>> {
        match &json.value {
            LocatedValue::Array(items) if items.is_empty() => {
                self.refuse(&json.span, Problem::Empty { what: "array" });
            }
            LocatedValue::Array(_) | LocatedValue::Scalar(Json::String(_)) => {}
            LocatedValue::Scalar(_) | LocatedValue::Object(_) => {
                self.wrong_type(json, "a string or an array of strings");
                return Vec::new();
            }
        }
        let mut texts = Vec::new();
        for item in json.items() {
            let Some(text) = item.as_str() else {
                self.wrong_type(item, "a string");
                continue;
            };
            match parse(text) {
                Ok(value) => texts.push(Item { text: text.to_owned(), span: item.span.clone(), value }),
                Err(error) => self.refuse(&item.span, error.problem),
            }
        }
        texts
    }

    fn take<T>(
        &mut self,
        parse: fn(&Json, &Path<'_>) -> Result<T, PolicyError>,
        json: &Located,
    ) -> Option<T> {
        match parse(&json.to_json(), &Path::ROOT) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(&json.span, error.problem);
                None
            }
        }
    }

    fn one_of<'j>(&mut self, slot: &mut Option<&'j Member>, member: &'j Member, positive: &'static str) {
        let negative = match positive {
            "Principal" => "NotPrincipal",
            "Action" => "NotAction",
            _ => "NotResource",
        };
        if slot.is_some_and(|earlier| earlier.name != member.name) {
            self.refuse(
                &member.name_span,
                Problem::ConflictingElements { first: positive, second: negative },
            );
        }
        *slot = slot.or(Some(member));
    }

    fn required<'j>(
        &mut self,
        statement: &Located,
        member: Option<&'j Member>,
        name: &'static str,
    ) -> Option<&'j Member> {
        if member.is_none() {
            self.refuse(&statement.span, Problem::MissingElement { name });
        }
        member
    }

    fn non_empty_members<'j>(&mut self, json: &'j Located) -> &'j [Member] {
        match json.members() {
            None => self.wrong_type(json, "an object"),
            Some([]) => self.refuse(&json.span, Problem::Empty { what: "object" }),
            Some(members) => {
                self.repeated_names(members);
                return members;
            }
        }
        &[]
    }

    fn repeated_names(&mut self, members: &[Member]) {
        let mut seen = HashSet::new();
        for member in members {
            if !seen.insert(member.name.as_str()) {
                self.refuse(&member.name_span, Problem::DuplicateName { name: shorten(&member.name) });
            }
        }
    }

    fn unknown_element(&mut self, member: &Member) {
        self.refuse(&member.name_span, Problem::UnknownElement { name: shorten(&member.name) });
    }

    fn wrong_type(&mut self, json: &Located, expected: &'static str) {
        let actual = json.to_json().type_name();
        self.refuse(&json.span, Problem::WrongType { expected, actual });
    }

    fn refuse(&mut self, span: &Span, problem: Problem) {
        self.is_partial = true;
        refused::add(problem, span, self.at.as_ref(), self.findings);
    }

    fn refuse_value(&mut self, span: &Span, problem: Problem, operator: &Member, key: &Member) {
        self.is_partial = true;
        refused::add_value(problem, span, self.at.as_ref(), (&operator.name, &key.name), self.findings);
    }
}

/// A value that is itself an array is no value; inside another one the parser sees that.
fn one_value(json: Json) -> Json {
    match json {
        Json::Array(_) => Json::Array(vec![json]),
        json => json,
    }
}
