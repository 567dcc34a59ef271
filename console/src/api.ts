// The one door to the hub: everything that fetches is here, and answers success, aborted or error.

import type {
  Accepting,
  Coverage,
  Devices,
  Incident,
  IncidentDetail,
  Problem,
  QuarantineItem,
  QuarantinePage,
  Registered,
  Replayed,
  Session,
  Snapshot,
  TargetDetail,
} from "./api/types";
import { language, t } from "./i18n";

export interface Failure {
  /** HTTP status; 0 where the hub could not be reached or did not answer in time. */
  status: number;
  code: string;
  /** What to show a person. */
  message: string;
  field: string;
  /** 409 on an incident: how it stands now. */
  current: Incident | null;
}

export type Result<T> =
  | { kind: "success"; value: T }
  | { kind: "aborted" }
  | { kind: "error"; error: Failure };

const BASE = "/api/v1";
const LIMIT_MS = 15000;
const path = encodeURIComponent;

interface Call {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  sdp?: string;
  signal?: AbortSignal | undefined;
  keepalive?: boolean;
}

function failure(status: number, code: string, message: string): Result<never> {
  return { kind: "error", error: { status, code, message, field: "", current: null } };
}

function request(call: Call): RequestInit {
  const headers: Record<string, string> = { "Accept-Language": language.get() };
  if (call.sdp !== undefined) headers["Content-Type"] = "application/sdp";
  else if (call.method && call.method !== "GET") headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(LIMIT_MS);
  const init: RequestInit = {
    method: call.method ?? "GET",
    headers,
    credentials: "same-origin",
    cache: "no-store",
    signal: call.signal ? AbortSignal.any([call.signal, limit]) : limit,
  };
  if (call.keepalive) init.keepalive = true;
  if (call.sdp !== undefined) init.body = call.sdp;
  else if (call.method && call.method !== "GET") init.body = JSON.stringify(call.body ?? {});
  return init;
}

async function problemOf(response: Response): Promise<Result<never>> {
  const text = await response.text().catch(() => "");
  const told = parsed(text);
  const fallback = t("error.server", { status: response.status });
  return {
    kind: "error",
    error: {
      status: response.status,
      code: told?.code ?? "",
      message: told?.detail || told?.title || fallback,
      field: told?.field ?? "",
      current: told?.current ?? null,
    },
  };
}

function parsed(text: string): Partial<Problem> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Partial<Problem>) : null;
  } catch {
    return null;
  }
}

async function send<T>(
  url: string,
  call: Call,
  read: (response: Response) => Promise<T>,
): Promise<Result<T>> {
  try {
    const response = await fetch(url, request(call));
    if (!response.ok) {
      if (response.status === 401) signedOut();
      return await problemOf(response);
    }
    return { kind: "success", value: await read(response) };
  } catch (error) {
    if (call.signal?.aborted) return { kind: "aborted" };
    const slow = error instanceof DOMException && error.name === "TimeoutError";
    return slow ? failure(0, "timeout", t("error.timeout")) : failure(0, "network", t("error.network"));
  }
}

const json = <T>(where: string, call: Call = {}): Promise<Result<T>> =>
  send(BASE + where, call, (response) => response.json() as Promise<T>);
const done = (where: string, call: Call): Promise<Result<null>> => send(BASE + where, call, async () => null);

let signedOut: () => void = () => undefined;
/** Called whenever the hub says that nobody is signed in. */
export function onSignedOut(listener: () => void): void {
  signedOut = listener;
}

export const session = {
  who: (signal?: AbortSignal) => json<Session>("/session", { signal }),
  signIn: (name: string, password: string) =>
    json<Session>("/session", { method: "POST", body: { name, password } }),
  signOut: () => done("/session", { method: "DELETE" }),
};

export const desk = {
  snapshot: (signal?: AbortSignal) => json<Snapshot>("/snapshot", { signal }),
  feedUrl: (after: number, log: string, console: string, atMost: number) =>
    `${BASE}/feed?after=${after}&log=${path(log)}&at_most=${atMost}&console=${path(console)}`,
  rendered: (seq: number, painted: number, console: string) =>
    done("/feed/rendered", { method: "POST", body: { seq, painted, console } }),
  map: (signal?: AbortSignal) => json<GeoJSON.FeatureCollection>("/map", { signal }),
};

export type Verb = "claim" | "verify" | "false" | "dispatch" | "arrived" | "clear" | "close" | "note";

export const incidents = {
  list: (state: "open" | "closed", signal?: AbortSignal) =>
    json<Incident[]>(`/incidents?state=${state}`, { signal }),
  detail: (id: string, signal?: AbortSignal) => json<IncidentDetail>(`/incidents/${path(id)}`, { signal }),
  act: (id: string, verb: Verb, body: Record<string, string | number>) =>
    json<Incident>(`/incidents/${path(id)}/${verb}`, { method: "POST", body }),
  ack: (condition: string) => done(`/conditions/${path(condition)}/ack`, { method: "POST" }),
  evidenceUrl: (hash: string, reason: string) => `${BASE}/stills/${path(hash)}?reason=${path(reason)}`,
};

export interface WhepAnswer {
  sdp: string;
  /** Where to end the view; empty where the server named none. */
  location: string;
}

export const video = {
  still: (camera: string, reason: string, signal?: AbortSignal) =>
    send(`${BASE}/cameras/${path(camera)}/still?reason=${path(reason)}`, { signal }, (r) =>
      r.blob().then((b) => pictureOf(b, r)),
    ),
  whep: (camera: string, reason: string, sdp: string, signal?: AbortSignal) =>
    send<WhepAnswer>(
      `${BASE}/cameras/${path(camera)}/whep?reason=${path(reason)}`,
      { method: "POST", sdp, signal },
      async (r) => ({
        sdp: await r.text(),
        location: r.headers.get("Location") ?? "",
      }),
    ),
  end: (location: string) => send(location, { method: "DELETE", keepalive: true }, async () => null),
};

export interface Picture {
  blob: Blob;
  /** How old the picture is, seconds; null where the hub didn't say. */
  ageS: number | null;
}

function pictureOf(blob: Blob, response: Response): Picture {
  const age = Number.parseFloat(response.headers.get("Jifang-Picture-Age") ?? "");
  return { blob, ageS: Number.isNaN(age) ? null : age };
}

export type DeviceKind = "cameras" | "panels" | "trackers";

export const devices = {
  list: (signal?: AbortSignal) => json<Devices>("/devices", { signal }),
  add: (kind: DeviceKind, body: unknown) => json<Registered>(`/${kind}`, { method: "POST", body }),
  remove: (kind: DeviceKind, id: string, reason: string) =>
    json<Registered>(`/${kind}/${path(id)}`, { method: "DELETE", body: { reason } }),
  accept: (source: string, body: Accepting) =>
    json<Registered>(`/devices/${path(source)}/acceptance`, { method: "POST", body }),
};

export interface QuarantineFilter {
  protocol: string;
  cause: string;
  /** RFC 3339; empty for any time. */
  since: string;
  /** Only what nobody has tried again yet. */
  untried: boolean;
}

export const quarantine = {
  list: (filter: QuarantineFilter, signal?: AbortSignal) => {
    const query = new URLSearchParams({ limit: "500" });
    if (filter.protocol) query.set("protocol", filter.protocol);
    if (filter.cause) query.set("cause", filter.cause);
    if (filter.since) query.set("since", filter.since);
    if (filter.untried) query.set("untried", "true");
    return json<QuarantinePage>(`/quarantine?${query}`, { signal });
  },
  item: (id: number, reason: string) => json<QuarantineItem>(`/quarantine/${id}?reason=${path(reason)}`),
  rawUrl: (id: number, reason: string) => `${BASE}/quarantine/${id}/raw?reason=${path(reason)}`,
  replay: (filter: QuarantineFilter) =>
    json<Replayed>("/quarantine/replay", { method: "POST", body: filter }),
  replayOne: (id: number) => json<Replayed>(`/quarantine/${id}/replay`, { method: "POST" }),
  discard: (id: number, reason: string) => done(`/quarantine/${id}`, { method: "DELETE", body: { reason } }),
};

export const coverage = {
  /** `rung` empty: each target's own. `asOf`: a date or instant; empty for now. */
  all: (rung: string, asOf: string, signal?: AbortSignal) =>
    json<Coverage>(`/coverage${asked(rung, asOf)}`, { signal }),
  target: (id: string, rung: string, asOf: string, signal?: AbortSignal) =>
    json<TargetDetail>(`/coverage/${path(id)}${asked(rung, asOf)}`, { signal }),
};

function asked(rung: string, asOf: string): string {
  const query = new URLSearchParams();
  if (rung) query.set("rung", rung);
  if (asOf) query.set("as_of", asOf);
  return query.size > 0 ? `?${query}` : "";
}
