// The desk as the feed tells it: a snapshot, then entries, each with the whole state after its change.

import type {
  AlarmCondition,
  CameraView,
  FeedEntry,
  HubStatus,
  Incident,
  PanelView,
  Snapshot,
  Unit,
} from "../api/types";

export interface DeskModel {
  /** Number of the last entry taken in. */
  seq: number;
  incidents: ReadonlyMap<string, Incident>;
  conditions: ReadonlyMap<string, AlarmCondition>;
  units: ReadonlyMap<string, Unit>;
  cameras: ReadonlyMap<string, CameraView>;
  panels: ReadonlyMap<string, PanelView>;
  hub: HubStatus;
  /** Incident → number of the entry that changed it last: what is drawn can be told to the hub. */
  touched: ReadonlyMap<string, number>;
}

export const EMPTY: DeskModel = {
  seq: 0,
  incidents: new Map(),
  conditions: new Map(),
  units: new Map(),
  cameras: new Map(),
  panels: new Map(),
  hub: { parts: [] },
  touched: new Map(),
};

const ENDED = new Set(["closed", "merged"]);
const KEEP_ENDED = 40;

export const isOpen = (incident: Incident): boolean => !ENDED.has(incident.state);

function byId<T extends { id: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.id, item]));
}

export function fromSnapshot(snapshot: Snapshot): DeskModel {
  return {
    seq: snapshot.seq,
    incidents: byId(snapshot.incidents),
    conditions: byId(snapshot.conditions),
    units: byId(snapshot.units),
    cameras: byId(snapshot.cameras),
    panels: byId(snapshot.panels),
    hub: snapshot.hub,
    touched: new Map(snapshot.incidents.map((incident) => [incident.id, snapshot.seq])),
  };
}

/** Takes in entries, oldest first. The maps of what didn't change stay the same objects. */
export function applyEntries(model: DeskModel, entries: readonly FeedEntry[]): DeskModel {
  const draft = { ...model };
  const own = new Set<keyof DeskModel>();
  for (const entry of entries) {
    draft.seq = Math.max(draft.seq, entry.seq);
    applyOne(draft, own, entry);
  }
  if (own.has("incidents")) forgetEnded(draft);
  return draft;
}

type MapKey = "incidents" | "conditions" | "units" | "cameras" | "panels" | "touched";

function writable<K extends MapKey>(
  draft: DeskModel,
  own: Set<keyof DeskModel>,
  key: K,
): Map<string, unknown> {
  if (!own.has(key)) {
    own.add(key);
    Object.assign(draft, { [key]: new Map(draft[key] as ReadonlyMap<string, unknown>) });
  }
  return draft[key] as unknown as Map<string, unknown>;
}

function applyOne(draft: DeskModel, own: Set<keyof DeskModel>, entry: FeedEntry): void {
  const put = (key: MapKey, value: unknown) =>
    writable(draft, own, key).set((value as { id: string }).id, value);
  switch (entry.kind) {
    case "incident": {
      const incident = entry.body.incident as Incident;
      const known = draft.incidents.get(incident.id);
      if (known && known.version > incident.version) return;
      put("incidents", incident);
      writable(draft, own, "touched").set(incident.id, entry.seq);
      return;
    }
    case "condition":
      put("conditions", entry.body);
      forgetSettled(draft, entry.body as unknown as AlarmCondition);
      return;
    case "camera":
      put("cameras", entry.body);
      return;
    case "panel":
      put("panels", entry.body);
      return;
    case "unit":
      put("units", entry.body);
      return;
    case "hub":
      draft.hub = entry.body as unknown as HubStatus;
      return;
    case "register":
      if (entry.body.action === "removed") forgetDevice(draft, own, entry.subject);
  }
}

/** A condition that is neither active nor waiting for anyone, and of no open incident, needs no memory here. */
function forgetSettled(draft: DeskModel, condition: AlarmCondition): void {
  const incident = draft.incidents.get(condition.incident);
  if (condition.active === false && condition.acked && !(incident && isOpen(incident)))
    (draft.conditions as Map<string, AlarmCondition>).delete(condition.id);
}

function forgetDevice(draft: DeskModel, own: Set<keyof DeskModel>, subject: string): void {
  const [kind, id] = [subject.slice(0, subject.indexOf(":")), subject.slice(subject.indexOf(":") + 1)];
  const key = ({ camera: "cameras", panel: "panels", tracker: "units" } as const)[kind];
  if (key) writable(draft, own, key).delete(id);
}

function forgetEnded(draft: DeskModel): void {
  const ended = [...draft.incidents.values()].filter((incident) => !isOpen(incident));
  ended.sort((a, b) => b.state_since.localeCompare(a.state_since));
  for (const incident of ended.slice(KEEP_ENDED)) {
    (draft.incidents as Map<string, Incident>).delete(incident.id);
    (draft.touched as Map<string, number>).delete(incident.id);
  }
}

/** The latest positions; they carry no entry number. */
export function applyUnits(model: DeskModel, units: readonly Unit[]): DeskModel {
  const next = new Map(model.units);
  for (const unit of units) next.set(unit.id, unit);
  return { ...model, units: next };
}

/** An incident as an action's answer gave it, unless the feed already told something newer. */
export function applyIncident(model: DeskModel, incident: Incident): DeskModel {
  const known = model.incidents.get(incident.id);
  if (known && known.version >= incident.version) return model;
  return { ...model, incidents: new Map(model.incidents).set(incident.id, incident) };
}

export interface Trouble {
  cameras: number;
  panels: number;
  units: number;
}

/** Devices that are lost or faulty now. */
export function trouble(model: DeskModel): Trouble {
  const bad = (health: string) => health === "lost" || health === "faulty";
  const count = <T>(items: Iterable<T>, is: (item: T) => boolean) => [...items].filter(is).length;
  return {
    cameras: count(model.cameras.values(), (camera) => bad(camera.health)),
    panels: count(model.panels.values(), (panel) => bad(panel.health)),
    units: count(model.units.values(), (unit) => unit.link === "lost" && unit.status !== "off_duty"),
  };
}
