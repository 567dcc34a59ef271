// Values for tests: whole shapes with the fields under test replaced.

import type { AlarmCondition, FeedEntry, Incident, Snapshot, Unit } from "../src/api/types";

export const AT = "2026-11-21T18:14:00Z";
export const at = (seconds: number): string => new Date(Date.parse(AT) + seconds * 1000).toISOString();

const NO_CLOCKS: Incident["clocks"] = {
  t0_device: null,
  t1_received: null,
  t2_rendered: null,
  t3_acked: null,
  t4_judged: null,
  t5_dispatched: null,
  t6_accepted: null,
  t7_rolling: null,
  t8_on_scene: null,
  t9_cleared: null,
  t10_closed: null,
};

export function incident(id: string, more: Partial<Incident> = {}): Incident {
  return {
    id,
    version: 1,
    acted_version: 1,
    state: "new",
    priority: 2,
    condition: "intrusion",
    site: "s-1",
    site_name: "云龙集贸市场",
    site_name_en: "Yunlong market",
    point_label: "防区 3",
    place: "xz-yunlong",
    place_name: "云龙区",
    lat: 34.26,
    lon: 117.2,
    opened_at: AT,
    state_since: AT,
    clocks: NO_CLOCKS,
    conditions: [`panel:p-07/zone:3/intrusion`],
    count: 1,
    cameras: [],
    claimed_by: "",
    assignments: [],
    close_code: "",
    outcome: "",
    ...more,
  };
}

export const clocks = (more: Partial<Incident["clocks"]>): Incident["clocks"] => ({ ...NO_CLOCKS, ...more });

export function assignment(
  unit: string,
  state: Incident["assignments"][number]["state"],
): Incident["assignments"][number] {
  return {
    id: `i/${unit}`,
    unit,
    unit_name: `苏C-${unit}`,
    state,
    by: "li",
    dispatched_at: AT,
    accepted_at: null,
    en_route_at: null,
    on_scene_at: null,
    cleared_at: null,
    arrival_by: "",
    distance_m: 1400,
    from_lat: null,
    from_lon: null,
  };
}

export function condition(id: string, more: Partial<AlarmCondition> = {}): AlarmCondition {
  return {
    id,
    source: "panel:p-07",
    point: "zone:3",
    condition: "intrusion",
    active: true,
    acked: false,
    since: AT,
    device_at: null,
    count: 1,
    label: "防区 3",
    site: "s-1",
    place: "xz",
    incident: "",
    still: "",
    acked_by: "",
    acked_at: null,
    ...more,
  } as AlarmCondition;
}

export function unit(id: string, more: Partial<Unit> = {}): Unit {
  return {
    id,
    name: `苏C-${id}`,
    place: "xz",
    status: "available",
    link: "online",
    duress: false,
    incident: "",
    lat: 34.2,
    lon: 117.1,
    speed_kmh: 30,
    course_deg: 90,
    fix_at: AT,
    heard_at: AT,
    ...more,
  } as Unit;
}

export function entry(
  seq: number,
  kind: FeedEntry["kind"],
  body: unknown,
  more: Partial<FeedEntry> = {},
): FeedEntry {
  return {
    seq,
    prev: seq - 1,
    at: AT,
    kind,
    subject: "",
    place: "xz",
    actor: "",
    late: false,
    body: body as FeedEntry["body"],
    ...more,
  };
}

export const told = (seq: number, state: Incident, action = "opened"): FeedEntry =>
  entry(
    seq,
    "incident",
    { incident: state, action, reason: "", detail: "" },
    { subject: `incident:${state.id}` },
  );

export function snapshot(seq: number, incidents: Incident[] = []): Snapshot {
  return {
    seq,
    log: "log-1",
    server_now: AT,
    incidents,
    conditions: [],
    units: [],
    cameras: [],
    panels: [],
    hub: { parts: [] },
    troubles: [],
  };
}
