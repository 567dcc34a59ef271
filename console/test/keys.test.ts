// Single keys never disturb typing, composing Chinese, or the browser's own shortcuts.

import { describe, expect, it, vi } from "vitest";
import { called, type Pressed } from "../src/keys";

const press = (
  key: string,
  more: Partial<Omit<Pressed, "target">> & { tag?: string; editable?: boolean } = {},
): Pressed => ({
  key,
  keyCode: 0,
  isComposing: false,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  repeat: false,
  ...more,
  target: {
    tagName: more.tag ?? "BODY",
    isContentEditable: more.editable ?? false,
  } as unknown as EventTarget,
});

const claim = vi.fn();
const leave = vi.fn();
const bindings = { c: claim, Escape: leave, Enter: claim, j: claim };

describe("keys", () => {
  it("call their binding, capital or not", () => {
    expect(called(press("c"), bindings, true)).toBe(claim);
    expect(called(press("C"), bindings, true)).toBe(claim);
    expect(called(press("x"), bindings, true)).toBeNull();
  });

  it.each(["INPUT", "TEXTAREA", "SELECT"])("are quiet in %s", (tag) => {
    expect(called(press("c", { tag }), bindings, true)).toBeNull();
  });

  it("are quiet in editable content", () => {
    expect(called(press("c", { editable: true }), bindings, true)).toBeNull();
  });

  it("are quiet while an input method composes", () => {
    expect(called(press("c", { isComposing: true }), bindings, true)).toBeNull();
    expect(called(press("c", { keyCode: 229 }), bindings, true)).toBeNull();
  });

  it("leave the browser's own shortcuts alone", () => {
    for (const held of ["ctrlKey", "altKey", "metaKey"] as const)
      expect(called(press("c", { [held]: true }), bindings, true)).toBeNull();
  });

  it("leave Enter to a focused button", () => {
    expect(called(press("Enter", { tag: "BUTTON" }), bindings, true)).toBeNull();
    expect(called(press("Enter"), bindings, true)).toBe(claim);
  });

  it("act once however long a key is held; moving repeats", () => {
    expect(called(press("c", { repeat: true }), bindings, true)).toBeNull();
    expect(called(press("j", { repeat: true }), bindings, true)).toBe(claim);
  });

  it("can be switched off, all but Escape", () => {
    expect(called(press("c"), bindings, false)).toBeNull();
    expect(called(press("Escape"), bindings, false)).toBe(leave);
  });
});
