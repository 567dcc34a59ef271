// Names for the server's shapes that the views use.

export interface Person {
  name: string;
  display_name: string;
  roles: string[];
  place: string;
  place_name: string;
}
export interface Session {
  person: Person;
  rights: string[];
  expires_at: string;
  server_now: string;
}
export type Priority = number;
export interface ClockPoints {
  t0_device: string | null;
  t1_received: string | null;
  t2_rendered: string | null;
  t3_acked: string | null;
  t4_judged: string | null;
  t5_dispatched: string | null;
  t6_accepted: string | null;
  t7_rolling: string | null;
  t8_on_scene: string | null;
  t9_cleared: string | null;
  t10_closed: string | null;
}
export interface Assignment {
  id: string;
  unit: string;
  unit_name: string;
  state: string;
  by: string;
  dispatched_at: string;
  accepted_at: string | null;
  en_route_at: string | null;
  on_scene_at: string | null;
  cleared_at: string | null;
  arrival_by: string;
  distance_m: number | null;
}
export interface Incident {
  id: string;
  version: number;
  state: string;
  priority: number;
  condition: string;
  site: string;
  site_name: string;
  site_name_en: string;
  point_label: string;
  place: string;
  place_name: string;
  lat: number | null;
  lon: number | null;
  opened_at: string;
  state_since: string;
  clocks: ClockPoints;
  conditions: string[];
  count: number;
  cameras: string[];
  claimed_by: string;
  assignments: Assignment[];
  close_code: string;
  outcome: string;
}
export interface Recommended {
  rank: number;
  unit: string;
  unit_name: string;
  status: string;
  distance_m: number | null;
  eta_s: number | null;
  estimated: boolean;
  fix_age_s: number | null;
  stale: boolean;
  busy_with: string;
}
export interface AlarmCondition {
  id: string;
  source: string;
  point: string;
  condition: string;
  active: boolean | null;
  acked: boolean;
  since: string;
  device_at: string | null;
  count: number;
  label: string;
  site: string;
  place: string;
  incident: string;
  still: string;
  acked_by: string;
  acked_at: string | null;
}
export interface Unit {
  id: string;
  name: string;
  place: string;
  status: string;
  link: string;
  duress: boolean;
  incident: string;
  lat: number | null;
  lon: number | null;
  speed_kmh: number | null;
  course_deg: number | null;
  fix_at: string | null;
  heard_at: string | null;
}
export interface CameraView {
  id: string;
  name: string;
  name_en: string;
  site: string;
  place: string;
  lat: number | null;
  lon: number | null;
  bearing_deg: number | null;
  fov_deg: number | null;
  range_m: number | null;
  health: string;
  since: string | null;
  reason: string;
  motion: boolean;
  motion_at: string | null;
  still: string;
  checkpoint: string;
  onvif: boolean;
  events: string;
}
export interface ZoneView {
  point: string;
  name: string;
  name_en: string;
  condition: string;
  active: boolean | null;
}
export interface PanelView {
  id: string;
  name: string;
  name_en: string;
  convention: string;
  site: string;
  place: string;
  lat: number | null;
  lon: number | null;
  health: string;
  since: string | null;
  reason: string;
  armed: string;
  heard_at: string | null;
  zones: ZoneView[];
}
export interface PartStatus {
  name: string;
  up: boolean;
  since: string;
  reason: string;
}
export interface HubStatus {
  parts: PartStatus[];
}
export interface Snapshot {
  seq: number;
  log: string;
  server_now: string;
  incidents: Incident[];
  conditions: AlarmCondition[];
  units: Unit[];
  cameras: CameraView[];
  panels: PanelView[];
  hub: HubStatus;
}
export interface FeedEntry {
  seq: number;
  prev: number;
  at: string;
  kind: string;
  subject: string;
  place: string;
  actor: string;
  late: boolean;
  body: Record<string, unknown>;
}
export interface Beat {
  head: number;
  log_head: number;
  log: string;
  server_now: string;
}
export interface Gap {
  from: number;
  to: number;
  reason: string;
}
export interface IncidentDetail {
  incident: Incident;
  timeline: FeedEntry[];
  recommended: Recommended[];
  conditions: AlarmCondition[];
}
export interface TrackerView {
  id: string;
  unit: string;
  name: string;
  place: string;
  protocol: string;
  address: string;
  registered: boolean;
  link: string;
  heard_at: string | null;
  fix_at: string | null;
}
export interface Devices {
  cameras: CameraView[];
  panels: PanelView[];
  trackers: TrackerView[];
}
export interface Registered {
  source: string;
  action: string;
  findings: string[];
}
export interface StillFacts {
  camera: string;
  taken_at: string;
  age_s: number;
  origin: string;
  hash: string;
  width: number;
  height: number;
  jpeg_base64: string;
}
export interface Problem {
  type: string;
  code: string;
  status: number;
  title: string;
  detail: string;
  field: string;
  current: Incident | null;
}
export interface Share {
  n: number;
  d: number;
  unknown: number;
  rate: string;
  best: string;
  short: number;
  state: string;
  best_state: string;
}
export interface DistrictShare {
  place: string;
  name: string;
  name_en: string;
  share: Share;
}
export interface Member {
  id: string;
  kind: string;
  name: string;
  name_en: string;
  site: string;
  site_name: string;
  site_name_en: string;
  site_class: string;
  place: string;
  district: string;
  district_name: string;
  state: string;
  rung: string;
  missing: string;
  lacking: string[];
  devices: string[];
  evidence: number[];
}
export interface TargetResult {
  id: string;
  requirement: string;
  title: string;
  title_en: string;
  document: string;
  document_name: string;
  clause: string;
  quote: string;
  reading: string;
  metric: string;
  form: string;
  definition: string;
  definition_en: string;
  default: boolean;
  note: string;
  note_en: string;
  needs: string;
  needs_en: string;
  percent: number;
  deadline: string;
  due: boolean;
  rung: string;
  n: number;
  d: number;
  unknown: number;
  rate: string;
  best: string;
  short: number;
  state: string;
  best_state: string;
  other_form: string;
  other: Share | null;
  districts: DistrictShare[];
}
export interface TargetDetail {
  target: TargetResult;
  members: Member[];
}
export interface Coverage {
  pack: string;
  pack_name: string;
  pack_name_en: string;
  rung: string;
  as_of: string;
  targets: TargetResult[];
}
