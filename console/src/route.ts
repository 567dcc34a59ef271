// Where the person is: `#/desk/{incident}`, `#/coverage/{target}`, `#/devices`, `#/quarantine`.

import { createStore } from "./store";

export type Page = "desk" | "coverage" | "devices" | "quarantine";
export interface Route {
  page: Page;
  /** Incident, target or device that is open; empty for none. */
  id: string;
}

const PAGES = new Set<string>(["desk", "coverage", "devices", "quarantine"]);

export function parseRoute(hash: string): Route {
  const [page = "", id = ""] = hash.replace(/^#\/?/, "").split("/");
  return { page: PAGES.has(page) ? (page as Page) : "desk", id: decoded(id) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export const hrefOf = (page: Page, id = ""): string => `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}`;

export const route = createStore<Route>(parseRoute(globalThis.location?.hash ?? ""));

export function watchRoute(): void {
  addEventListener("hashchange", () => route.set(parseRoute(location.hash)));
}

export function goTo(page: Page, id = ""): void {
  const href = hrefOf(page, id);
  if (location.hash !== href) location.hash = href;
}
