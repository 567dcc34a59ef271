// An incident in words: title, sub line, state; the same on row, card and map.

import type { Assignment, Incident, Recommended } from "../api/types";
import { distance, span } from "../format";
import { named, t, word } from "../i18n";

export const siteOf = (incident: Incident): string => named(incident.site_name, incident.site_name_en);

/** `入侵 · 复兴北路金店 · 防区 3` */
export function titleOf(incident: Incident): string {
  const what = word("condition", incident.condition);
  return [what, whereOf(incident, what)].filter(Boolean).join(" · ");
}

/** Site and point, saying nothing twice: many points carry their site's name or only repeat the condition. */
function whereOf(incident: Incident, what: string): string {
  const site = siteOf(incident) || (incident.site ? "" : t("queue.unregistered"));
  const label = incident.point_label === what ? "" : incident.point_label;
  return label.startsWith(site) ? label : [site, label].filter(Boolean).join(" ");
}

export function subOf(incident: Incident): string {
  const cameras = incident.cameras.length;
  return [
    incident.place_name,
    cameras > 0 ? t("queue.cameras", { n: cameras }) : t("queue.nocamera"),
    incident.id,
  ]
    .filter(Boolean)
    .join(" · ");
}

const REACHED = ["dispatched", "accepted", "en_route", "on_scene"];

/** The assignment that is furthest on its way. */
export function furthest(assignments: readonly Assignment[]): Assignment | undefined {
  const working = assignments.filter((a) => REACHED.includes(a.state));
  return working.sort((a, b) => REACHED.indexOf(b.state) - REACHED.indexOf(a.state))[0];
}

/** `待认领`, `张三 核实中`, `苏C-0107 途中` */
export function stateOf(incident: Incident): string {
  const first = incident.state === "active" ? furthest(incident.assignments) : undefined;
  if (first) return t("queue.by", { by: first.unit_name, state: word("assignment", first.state) });
  const state = word("state", incident.state);
  return incident.state === "triage" && incident.claimed_by
    ? t("queue.by", { by: incident.claimed_by, state })
    : state;
}

/** Why this unit: `苏C-0121 · 1.4 公里 · 空闲 · 定位 6 秒前`, as its parts. */
export function reasonsOf(unit: Recommended): string[] {
  const fix = unit.fix_age_s === null ? t("units.nofix") : t("units.fix", { age: span(unit.fix_age_s) });
  return [
    unit.distance_m === null ? "" : distance(unit.distance_m),
    unit.busy_with ? t("units.busy", { id: unit.busy_with }) : word("unit", unit.status),
    unit.stale ? `${fix}（${t("units.stale")}）` : fix,
  ].filter(Boolean);
}

/** `约 2 分 48 秒（估算）` */
export function etaOf(unit: Recommended): string {
  if (unit.eta_s === null) return "";
  return unit.estimated ? t("units.estimated", { eta: span(unit.eta_s) }) : span(unit.eta_s);
}
