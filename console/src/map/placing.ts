// From the desk's model to marks on the map.

import type { CameraView, Incident, PanelView, Unit } from "../api/types";
import type { DeskModel } from "../desk/model";
import { isOpen } from "../desk/model";
import { titleOf } from "../desk/words";
import { named } from "../i18n";
import type { Placed } from "./board";
import type { Glyph } from "./shapes";

type Point = [number, number];

/** A fix older than this is drawn grey. */
export const FRESH_MS = 10000;
const MOVING_KMH = 3;

const pointOf = (thing: { lat: number | null; lon: number | null }): Point | null =>
  thing.lat === null || thing.lon === null ? null : [thing.lat, thing.lon];

export function marksOf(
  model: DeskModel,
  grounds: readonly Placed[],
  selected: string,
  now: number,
): Placed[] {
  const open = [...model.incidents.values()].filter((i) => isOpen(i) || i.id === selected);
  const chosen = model.incidents.get(selected);
  const beside = counter();
  return [
    ...grounds,
    ...placeAll(model.panels.values(), "panel", panelGlyph),
    ...placeAll(model.cameras.values(), "camera", (c) => cameraGlyph(c, chosen)),
    ...placeAll(model.units.values(), "unit", (u) => carGlyph(u, chosen, now)),
    ...placeAll(ordered(open, selected), "incident", (i) => incidentGlyph(i, selected, beside(i))),
  ];
}

function placeAll<T extends { id: string; lat: number | null; lon: number | null }>(
  things: Iterable<T>,
  prefix: string,
  glyph: (thing: T) => Glyph,
): Placed[] {
  return [...things].flatMap((thing) => {
    const at = pointOf(thing);
    return at ? [{ id: `${prefix}:${thing.id}`, at, glyph: glyph(thing) }] : [];
  });
}

const panelGlyph = (panel: PanelView): Glyph => ({
  kind: "panel",
  health: panel.health,
  label: named(panel.name, panel.name_en),
});

function cameraGlyph(camera: CameraView, chosen: Incident | undefined): Glyph {
  return {
    kind: "camera",
    bearing: camera.bearing_deg,
    fov: camera.fov_deg,
    rangeM: camera.range_m,
    health: camera.health,
    watched: chosen?.cameras.includes(camera.id) ?? false,
    label: named(camera.name, camera.name_en),
  };
}

export function carGlyph(unit: Unit, chosen: Incident | undefined, now: number): Glyph {
  const age = unit.fix_at === null ? Number.POSITIVE_INFINITY : now - Date.parse(unit.fix_at);
  const free = unit.status === "available" || unit.status === "patrolling";
  return {
    kind: "car",
    course: unit.course_deg,
    moving: (unit.speed_kmh ?? 0) > MOVING_KMH,
    fresh: age <= FRESH_MS && unit.link === "online",
    state: unit.incident ? "committed" : free ? "free" : "other",
    duress: unit.duress,
    label: unit.name,
    selected: chosen !== undefined && unit.incident === chosen.id,
  };
}

/** How many incidents stand at the same place already. */
function counter(): (incident: Incident) => number {
  const seen = new Map<string, number>();
  return ({ lat, lon }) => {
    const before = seen.get(`${lat},${lon}`) ?? 0;
    seen.set(`${lat},${lon}`, before + 1);
    return before;
  };
}

/** The chosen one stands at its true point; others at the same place beside it. */
const ordered = (incidents: readonly Incident[], selected: string): Incident[] =>
  [...incidents].sort(
    (a, b) => Number(b.id === selected) - Number(a.id === selected) || a.id.localeCompare(b.id),
  );

const incidentGlyph = (incident: Incident, selected: string, beside: number): Glyph => ({
  kind: "incident",
  beside,
  priority: incident.priority,
  selected: incident.id === selected,
  label: incident.id === selected ? titleOf(incident) : "",
});

/** Sites and checkpoints of the map's own features. */
export function groundsOf(features: GeoJSON.FeatureCollection): Placed[] {
  return features.features.flatMap((feature, n) => {
    if (feature.geometry?.type !== "Point") return [];
    const [lon, lat] = feature.geometry.coordinates;
    if (lon === undefined || lat === undefined) return [];
    const facts = feature.properties ?? {};
    const kind = groundKind(facts);
    const label = named(String(facts.name ?? ""), String(facts.name_en ?? ""));
    return [
      {
        id: `${kind}:${String(facts.id ?? feature.id ?? n)}`,
        at: [lat, lon] as Point,
        glyph: { kind, label },
      },
    ];
  });
}

const groundKind = (facts: Record<string, unknown>): "checkpoint" | "site" =>
  facts.kind === "checkpoint" ? "checkpoint" : "site";

/** From each car on its way to the chosen incident. */
export function waysOf(model: DeskModel, selected: string): [Point, Point][] {
  const incident = model.incidents.get(selected);
  const to = incident && pointOf(incident);
  if (!incident || !to) return [];
  const going = incident.assignments.filter((a) => ["dispatched", "accepted", "en_route"].includes(a.state));
  return going.flatMap((assignment) => {
    const unit = model.units.get(assignment.unit);
    const from = unit && pointOf(unit);
    return from ? [[from, to] as [Point, Point]] : [];
  });
}
