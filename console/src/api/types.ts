// Short names for the hub's shapes, generated from its OpenAPI document (`npm run types`).

import type { components } from "./schema";

type Shapes = components["schemas"];

/** An answer as the hub sends it: fields with a default are there as well. */
type Told<T> = T extends readonly (infer E)[]
  ? Told<E>[]
  : T extends object
    ? { [K in keyof T]-?: Told<T[K]> }
    : T;

export type Person = Told<Shapes["Person"]>;
export type Session = Told<Shapes["Session"]>;
export type ClockPoints = Told<Shapes["ClockPoints"]>;
export type Assignment = Told<Shapes["Assignment"]>;
export type Incident = Told<Shapes["Incident"]>;
export type Recommended = Told<Shapes["Recommended"]>;
export type AlarmCondition = Told<Shapes["AlarmCondition"]>;
export type Unit = Told<Shapes["Unit"]>;
export type CameraView = Told<Shapes["CameraView"]>;
export type ZoneView = Told<Shapes["ZoneView"]>;
export type PanelView = Told<Shapes["PanelView"]>;
export type PartStatus = Told<Shapes["PartStatus"]>;
export type Trouble = Told<Shapes["Trouble"]>;
export type HubStatus = Told<Shapes["HubStatus"]>;
export type Snapshot = Told<Shapes["Snapshot"]>;
export type FeedEntry = Told<Shapes["FeedEntry"]>;
export type Beat = Told<Shapes["Beat"]>;
export type Gap = Told<Shapes["Gap"]>;
export type IncidentDetail = Told<Shapes["IncidentDetail"]>;
export type TrackerView = Told<Shapes["TrackerView"]>;
export type Devices = Told<Shapes["Devices"]>;
export type Registered = Told<Shapes["Registered"]>;
export type StillFacts = Told<Shapes["StillFacts"]>;
export type Quarantined = Told<Shapes["Quarantined"]>;
export type QuarantinePage = Told<Shapes["QuarantinePage"]>;
export type QuarantineItem = Told<Shapes["QuarantineItem"]>;
export type Replayed = Told<Shapes["Replayed"]>;
export type Problem = Told<Shapes["Problem"]>;
export type Share = Told<Shapes["Share"]>;
export type DistrictShare = Told<Shapes["DistrictShare"]>;
export type Member = Told<Shapes["Member"]>;
export type TargetResult = Told<Shapes["TargetResult"]>;
export type TargetDetail = Told<Shapes["TargetDetail"]>;
export type Coverage = Told<Shapes["Coverage"]>;
export type Accepting = Shapes["Accepting"];
export type Right = Shapes["Right"];
