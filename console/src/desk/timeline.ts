// An entry of the log as one sentence of the incident's story; empty where it has nothing to tell a person.

import type { AlarmCondition, FeedEntry, Incident, Unit } from "../api/types";
import { named, said, t, type Values, word } from "../i18n";

type Fields = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Names of what entries only know by id. */
export interface Names {
  unit(id: string): string;
  source(source: string): string;
  condition(id: string): string;
}

export interface Told {
  seq: number;
  at: string;
  text: string;
  actor: string;
  late: boolean;
  still: string;
}

export function tell(entry: FeedEntry, names: Names): Told {
  return {
    seq: entry.seq,
    at: entry.at,
    text: sentence(entry, names),
    actor: entry.actor,
    late: entry.late,
    still: text(entry.body.still) || text((entry.body.body as Fields | undefined)?.still),
  };
}

/** The timeline as it is read: sentences only, oldest first; what says nothing, or only again, left out. */
export function story(entries: readonly FeedEntry[], names: Names): Told[] {
  const told = entries.map((entry) => tell(entry, names)).filter((each) => each.text !== "");
  return told.filter((each, n) => each.actor !== "" || each.text !== told[n - 1]?.text);
}

function sentence(entry: FeedEntry, names: Names): string {
  switch (entry.kind) {
    case "observation":
      return observation(entry, names);
    case "condition":
      return condition(entry.body as unknown as AlarmCondition);
    case "incident":
      return incident(entry.body, names);
    case "order":
      return order(entry.body, names);
    case "unit":
      return unit(entry.body as unknown as Unit);
    default:
      return "";
  }
}

function observation(entry: FeedEntry, names: Names): string {
  const body = (entry.body.body ?? {}) as Fields;
  const source = text(entry.body.source) || entry.subject;
  const label = text(body.label) || names.source(source);
  switch (body.type) {
    case "point":
      return pointed("log.condition", label, text(body.condition), { change: change(body.active) });
    case "motion":
      return t(body.active ? "log.motion" : "log.motion.end", { label });
    case "link":
      return t(body.up ? "log.link.up" : "log.link.down", { label });
    case "arming":
      return t("log.arming", { label, state: word("arm", text(body.state)) });
    case "reply":
      return body.ok ? t("log.reply.ok") : t("log.reply.failed", { why: text(body.reason) });
    default:
      return "";
  }
}

function change(active: unknown): string {
  if (active === true) return t("condition.active");
  return active === false ? t("condition.restored") : t("condition.unknown");
}

function condition(body: AlarmCondition): string {
  const name = word("condition", body.condition);
  if (body.acked && body.acked_by) return t("log.condition.acked", { by: body.acked_by, condition: name });
  if (body.active && body.count > 1)
    return pointed("log.condition.again", body.label, body.condition, { n: body.count });
  return pointed("log.condition", body.label, body.condition, { change: change(body.active) });
}

/** A sentence about a condition at a point; a label that only repeats the condition is left out. */
function pointed(
  key: "log.condition" | "log.condition.again",
  label: string,
  name: string,
  more: Values,
): string {
  const said = word("condition", name);
  return t(key, { label: label === said ? "" : label, condition: said, ...more }).trim();
}

/** What was done to the incident; the action's own name where the catalogue has no sentence for it. */
function incident(body: Fields, names: Names): string {
  const state = body.incident as Incident;
  const action = text(body.action);
  const detail = text(body.detail);
  const values = {
    unit: names.unit(detail) || state.assignments.at(-1)?.unit_name || "",
    condition: names.condition(detail),
    code: word("code", state.close_code || detail),
    outcome: state.outcome || detail,
    text: detail || text(body.reason),
    n: state.count,
  };
  return said(`log.action.${action}`, values) || [action, detail].filter(Boolean).join(" · ");
}

function order(body: Fields, names: Names): string {
  const to = names.unit(text(body.to));
  if (body.state === "failed") return t("log.order.failed", { to, why: text(body.reason) });
  if (body.state === "done") return t("log.order.done", { to });
  return t("log.order.sent", { to, text: text(body.text) });
}

function unit(body: Unit): string {
  return t("log.unit", { unit: body.name, status: word("unit", body.status), link: word("link", body.link) });
}

/** A camera's, panel's or unit's own name. */
export function nameFrom(found: { name: string; name_en?: string } | undefined, otherwise: string): string {
  return found ? named(found.name, found.name_en ?? "") : otherwise;
}
