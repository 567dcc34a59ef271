// What may be done with an incident now, and why not where it may not.

import type { Verb } from "../api";
import type { Assignment, Incident, Right } from "../api/types";
import type { Connection } from "../feed";
import { t } from "../i18n";
import { isOpen } from "./model";

/** The reasons for which an incident is closed as false, in the order of their digits. */
export const FALSE_CODES = ["false_alarm", "test", "fault", "weather", "animal", "misoperation"] as const;

export type Act = "ack" | Verb;

export interface Standpoint {
  rights: readonly Right[];
  connection: Connection;
  busy: boolean;
  me: string;
}

const ON_ROUTE = new Set(["dispatched", "accepted", "en_route"]);
const AT_WORK = new Set([...ON_ROUTE, "on_scene"]);

export const arriving = (incident: Incident): Assignment | undefined =>
  incident.assignments.find((assignment) => ON_ROUTE.has(assignment.state));
export const clearing = (incident: Incident): Assignment | undefined =>
  incident.assignments.find((assignment) => assignment.state === "on_scene") ?? atWork(incident)[0];
export const atWork = (incident: Incident): Assignment[] =>
  incident.assignments.filter((assignment) => AT_WORK.has(assignment.state));

/** Why `act` can't be done now, as a sentence; empty where it can. */
export function blocked(act: Act, incident: Incident, unacked: number, from: Standpoint): string {
  if (!from.rights.includes("incidents.act")) return t("why.norights");
  if (from.connection.state === "offline") return t("why.offline");
  if (from.busy) return t("why.busy");
  if (act === "note") return "";
  if (!isOpen(incident)) return t("why.closed");
  return byState(act, incident, unacked, from.me);
}

const MAY_SEND = new Set(["triage", "pending", "active", "handled"]);

/** The table of `hub/domain/handling.py`, as reasons. The hub decides; this only says why not, beforehand. */
function byState(act: Act, incident: Incident, unacked: number, me: string): string {
  switch (act) {
    case "ack":
      return unacked > 0 ? "" : t("why.acked");
    case "claim":
      return incident.claimed_by === me ? t("why.mine") : "";
    case "verify":
    case "false":
      if (incident.state === "new") return t("why.nottaken");
      return incident.state === "triage" ? "" : t("why.judged");
    case "dispatch":
      if (incident.state === "new") return t("why.nottaken");
      return MAY_SEND.has(incident.state) ? "" : t("why.closed");
    case "arrived":
      return arriving(incident) ? "" : t("why.noneunderway");
    case "clear":
      return clearing(incident) ? "" : t("why.nonesent");
    case "close":
      if (incident.state === "active") return t("why.active");
      return incident.state === "handled" || incident.state === "pending" ? "" : t("why.unjudged");
    default:
      return "";
  }
}
