// The reference page names every mark that browser tests rely on; the guide names every key.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KEYS } from "../src/ui/Help";

const here = import.meta.dirname;
const read = (path: string): string => readFileSync(join(here, path), "utf8");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((each) =>
    each.isDirectory() ? sources(join(folder, each.name)) : [readFileSync(join(folder, each.name), "utf8")],
  );
}

describe("docs/reference/console.md", () => {
  const page = read("../../docs/reference/console.md");
  const ids = new Set(
    sources(join(here, "../src")).flatMap((code) =>
      [...code.matchAll(/(?:data-testid|testId)="([^"]+)"/g)].map((found) => found[1] ?? ""),
    ),
  );

  it("names every data-testid", () => {
    expect(ids.size).toBeGreaterThan(60);
    expect([...ids].filter((id) => !page.includes(`\`${id}\``))).toEqual([]);
  });
});

describe("docs/guide/operator.md", () => {
  it("names every key", () => {
    const page = read("../../docs/guide/operator.md");
    const caps = KEYS.flatMap(([each]) => each).filter((cap) => !cap.includes("–"));
    expect(caps.filter((cap) => !page.includes(`\`${cap}\``))).toEqual([]);
  });
});
