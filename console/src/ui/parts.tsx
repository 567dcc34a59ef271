// Small pieces that every view uses: priority mark, keycap, button with its key, live counters.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { serverNow } from "../clock";
import { elapsed } from "../format";
import { type Key, t } from "../i18n";
import { useTick } from "../store";

/** Priority by shape, number and colour together. */
export function Priority({ level, large = false }: { level: number; large?: boolean }) {
  const known = Math.min(4, Math.max(1, level));
  return (
    <span
      class={`prio p${known}${large ? " large" : ""}`}
      role="img"
      aria-label={t("priority.label", { n: level })}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <PriorityShape level={known} />
        <text x="12" y={known === 2 ? 19 : 16.5} text-anchor="middle">
          {level}
        </text>
      </svg>
    </span>
  );
}

function PriorityShape({ level }: { level: number }) {
  if (level === 1) return <path d="M12 0.5 23.5 12 12 23.5 0.5 12Z" />;
  if (level === 2) return <path d="M12 1 23.5 22.5H0.5Z" />;
  if (level === 3) return <circle cx="12" cy="12" r="11" />;
  return <rect x="1.5" y="1.5" width="21" height="21" rx="3" />;
}

export const Keycap = ({ of }: { of: string }) => <kbd>{of}</kbd>;

interface ActionProps {
  testId: string;
  label: string;
  keycap?: string;
  kind?: "main" | "warn" | "plain";
  /** Why it can't be pressed; empty where it can. */
  why?: string;
  pressed?: boolean;
  onPress: () => void;
}

/** A main action: visible key, and the reason shown where it can't be done. */
export function Action({ testId, label, keycap, kind = "plain", why = "", pressed, onPress }: ActionProps) {
  return (
    <button
      type="button"
      class={`action ${kind}`}
      data-testid={testId}
      aria-disabled={why !== ""}
      aria-pressed={pressed}
      aria-keyshortcuts={keycap}
      title={why || undefined}
      onClick={() => {
        if (!why) onPress();
      }}
    >
      <span class="label">{label}</span>
      {keycap && <Keycap of={keycap} />}
      {why && <small class="why">{why}</small>}
    </button>
  );
}

/** Time since `from` (milliseconds), counting. */
export function Counter({ from }: { from: number }) {
  useTick(500);
  return <span class="num">{elapsed(serverNow() - from)}</span>;
}

interface NoticeProps {
  title: string;
  detail?: string;
  kind?: "empty" | "error" | "busy";
  onRetry?: () => void;
}

/** What stands where content isn't: nothing there, not there yet, or why not. */
export function Notice({ title, detail = "", kind = "empty", onRetry }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      <p>{title}</p>
      {detail && <p class="muted">{detail}</p>}
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {t("retry")}
        </button>
      )}
    </div>
  );
}

interface DialogProps {
  title: string;
  testId: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialogue of the browser's own: focus stays in it, Escape closes it. */
export function Dialog({ title, testId, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={element} data-testid={testId} onClose={onClose} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="quiet" onClick={onClose} aria-label={t("dialog.close")}>
          ✕
        </button>
      </header>
      <div class="body">{children}</div>
    </dialog>
  );
}

/** A labelled field: the control is the child. */
export function Field(props: { label: string; hint?: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is among the children
    <label class="field">
      <span>{props.label}</span>
      {props.children}
      {props.hint && <small>{props.hint}</small>}
    </label>
  );
}

const MARKS: Record<string, string> = { online: "✓", lost: "✕", faulty: "▲", unknown: "?", stale: "◷" };

/** Health by shape, word and colour. */
export function HealthMark({ health }: { health: string }) {
  return (
    <span class={`health ${health}`}>
      <span aria-hidden="true">{MARKS[health] ?? "?"}</span>{" "}
      {t(`health.${health in MARKS ? health : "unknown"}` as Key)}
    </span>
  );
}
