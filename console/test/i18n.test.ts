// Both catalogues say everything, with the same values filled in.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { named, setLanguage, t, word } from "../src/i18n";
import { en } from "../src/i18n/en";
import { zh } from "../src/i18n/zh";

type Texts = Record<string, string | { one: string; other: string }>;
const forms = (entry: Texts[string] | undefined): string[] =>
  entry === undefined ? [] : typeof entry === "string" ? [entry] : [entry.one, entry.other];
const holes = (text: string): string[] =>
  [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "").sort();

afterEach(() => setLanguage("zh-CN"));

describe("catalogues", () => {
  it("have the same keys", () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort());
  });

  it("take the same values in both languages", () => {
    for (const [key, entry] of Object.entries(en as Texts))
      for (const form of forms(entry))
        expect(holes(form), key).toEqual(holes(forms((zh as Texts)[key])[0] ?? ""));
  });

  it("leave no sentence empty, and no Chinese in English", () => {
    for (const [key, entry] of Object.entries(en as Texts))
      for (const text of forms(entry)) {
        expect(text, key).not.toBe("");
        if (!key.startsWith("nav.language")) expect(text, key).not.toMatch(/[\u4e00-\u9fff]/);
      }
  });

  it("hold every sentence: none stands in the views", () => {
    const files = (folder: string): string[] =>
      readdirSync(folder, { withFileTypes: true }).flatMap((each) =>
        each.isDirectory() ? files(join(folder, each.name)) : [join(folder, each.name)],
      );
    const sources = files(join(import.meta.dirname, "../src")).filter(
      (file) => /\.tsx?$/.test(file) && !file.includes("i18n") && !file.includes("schema"),
    );
    for (const file of sources) {
      const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      expect(code, file).not.toMatch(/[\u4e00-\u9fff]/);
    }
  });
});

describe("t", () => {
  it("speaks Chinese first, English on request, with plurals", () => {
    expect(t("queue.held", { n: 3 })).toBe("3 条新警情");
    setLanguage("en");
    expect(t("queue.held", { n: 1 })).toBe("1 new incident");
    expect(t("queue.held", { n: 3 })).toBe("3 new incidents");
  });

  it("shows a word it doesn't know as it is", () => {
    expect(word("condition", "intrusion")).toBe("入侵");
    expect(word("condition", "flood")).toBe("flood");
  });

  it("falls back to the other name", () => {
    expect(named("市场", "")).toBe("市场");
    setLanguage("en");
    expect(named("市场", "")).toBe("市场");
    expect(named("市场", "market")).toBe("market");
  });
});
