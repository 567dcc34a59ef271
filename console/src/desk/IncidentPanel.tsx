// The open incident: what happened, what it looks like now, whom to send, and every step by button or key.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { incidents as api } from "../api";
import type { AlarmCondition, Assignment, Incident, IncidentDetail, Recommended } from "../api/types";
import { timeOfDay } from "../format";
import { t, useLanguage, word } from "../i18n";
import { type Bindings, useKeys } from "../keys";
import { connection, model, session } from "../live";
import { goTo } from "../route";
import { useStore } from "../store";
import { Action, Keycap, Notice, Priority } from "../ui/parts";
import { LiveVideo } from "../video/LiveVideo";
import { type Act, arriving, atWork, blocked, clearing, FALSE_CODES } from "./actions";
import { ClockStrip } from "./ClockStrip";
import { useHeldKeys } from "./held";
import { isOpen } from "./model";
import { type Operation, useOperation } from "./operate";
import { type Names, nameFrom, story } from "./timeline";
import { useDetail } from "./useDetail";
import { etaOf, reasonsOf, stateOf, titleOf } from "./words";

type Mode = "none" | "false" | "dispatch" | "close" | "note";

export function IncidentPanel({ id }: { id: string }) {
  useLanguage();
  const known = useStore(model, (m) => m.incidents.get(id));
  const { detail, problem, retry } = useDetail(id, known !== undefined && isOpen(known));
  const incident = newest(known, detail?.incident);
  if (!id)
    return (
      <section class="incident empty">
        <Notice title={t("incident.pick")} detail={t("incident.pick.sub")} />
      </section>
    );
  if (!incident)
    return (
      <section class="incident empty">
        {problem ? (
          <Notice kind="error" title={t("incident.failed", { why: problem })} onRetry={retry} />
        ) : (
          <Notice kind="busy" title={t("incident.loading")} />
        )}
      </section>
    );
  return <OpenIncident key={id} incident={incident} detail={detail} />;
}

function newest(a: Incident | undefined, b: Incident | undefined): Incident | undefined {
  if (!a || !b) return a ?? b;
  return a.version >= b.version ? a : b;
}

interface OpenProps {
  incident: Incident;
  detail: IncidentDetail | null;
}

function OpenIncident({ incident, detail }: OpenProps) {
  const operation = useOperation();
  const [mode, setMode] = useModeOf(incident.state);
  const conditions = useConditions(incident, detail);
  const unacked = conditions.filter((c) => !c.acked).map((c) => c.id);
  const why = useWhy(incident, unacked.length, operation.busy);
  const recommended = detail?.recommended ?? [];
  const steps = stepsOf(incident, unacked, operation, setMode);
  const keys = bindings(steps, why, mode, setMode, { recommended, incident, operation });
  useKeys(useHeldKeys(keys, operation.busy, incident.id));

  return (
    <section
      class="incident"
      data-testid="incident-panel"
      data-id={incident.id}
      data-state={incident.state}
      data-version={incident.version}
    >
      <Title incident={incident} />
      <ClockStrip incident={incident} />
      <Pictures incident={incident} conditions={conditions} />
      <Assigned incident={incident} />
      {isOpen(incident) && (
        <Units
          recommended={recommended}
          chosen={mode === "dispatch"}
          why={why("dispatch")}
          confirm={incident.priority === 1}
          onSend={(unit) =>
            void operation.act(incident, "dispatch", { unit }).then((ok) => ok && setMode("none"))
          }
        />
      )}
      <div class="acts">
        <Buttons steps={steps} why={why} mode={mode} incident={incident} />
        {operation.problem && (
          <p class="problem" role="alert" data-testid="act-problem">
            {operation.problem}
          </p>
        )}
        {mode === "false" && (
          <FalseCodes
            onPick={(code) =>
              void operation.act(incident, "false", { code }).then((ok) => ok && setMode("none"))
            }
          />
        )}
        {mode === "close" && (
          <TextStep
            testId="close-outcome"
            label={t("act.outcome")}
            hint={t("act.outcome.hint")}
            submit={t("act.confirm.close")}
            onCancel={() => setMode("none")}
            onSubmit={(outcome) => operation.act(incident, "close", { outcome })}
          />
        )}
        {mode === "note" && (
          <TextStep
            testId="note-text"
            label={t("act.note")}
            hint={t("act.note.hint")}
            submit={t("act.send")}
            onCancel={() => setMode("none")}
            onSubmit={async (text) => {
              const ok = await operation.act(incident, "note", { text });
              if (ok) setMode("none");
              return ok;
            }}
          />
        )}
      </div>
      <Points conditions={conditions} />
      <Timeline incident={incident} detail={detail} />
    </section>
  );
}

/** What is being chosen. It counts for the state it was begun in: an effect would come late, after a quick key. */
function useModeOf(state: Incident["state"]): [Mode, (mode: Mode) => void] {
  const [begun, setBegun] = useState<{ mode: Mode; state: Incident["state"] }>({ mode: "none", state });
  return [begun.state === state ? begun.mode : "none", (mode) => setBegun({ mode, state })];
}

/** Conditions of the incident: what the feed says, else what the detail said. */
function useConditions(incident: Incident, detail: IncidentDetail | null): AlarmCondition[] {
  const live = useStore(model, (m) => m.conditions);
  return useMemo(() => {
    const told = new Map((detail?.conditions ?? []).map((c) => [c.id, c]));
    return incident.conditions.flatMap((id) => live.get(id) ?? told.get(id) ?? []);
  }, [incident.conditions, live, detail]);
}

type Why = (act: Act) => string;

function useWhy(incident: Incident, unacked: number, busy: boolean): Why {
  const who = useStore(session);
  const link = useStore(connection);
  const from = { rights: who?.rights ?? [], connection: link, busy, me: who?.person.name ?? "" };
  return (act) => blocked(act, incident, unacked, from);
}

type Steps = Record<Act, () => void>;

function stepsOf(
  incident: Incident,
  unacked: readonly string[],
  operation: Operation,
  setMode: (mode: Mode) => void,
): Steps {
  const onUnit = (verb: "arrived" | "clear", assignment: Assignment | undefined) => () => {
    if (assignment) void operation.act(incident, verb, { unit: assignment.unit });
  };
  return {
    ack: () => void operation.ack(unacked),
    claim: () => void operation.act(incident, "claim"),
    verify: () => void operation.act(incident, "verify"),
    false: () => setMode("false"),
    dispatch: () => setMode("dispatch"),
    arrived: onUnit("arrived", arriving(incident)),
    clear: onUnit("clear", clearing(incident)),
    close: () => setMode("close"),
    note: () => setMode("note"),
  };
}

const KEY_OF: Record<Act, string> = {
  ack: "A",
  claim: "C",
  verify: "V",
  false: "F",
  dispatch: "D",
  arrived: "T",
  clear: "L",
  close: "X",
  note: "N",
};

interface Choosing {
  recommended: readonly Recommended[];
  incident: Incident;
  operation: Operation;
}

function bindings(
  steps: Steps,
  why: Why,
  mode: Mode,
  setMode: (mode: Mode) => void,
  choosing: Choosing,
): Bindings {
  const bound: Bindings = {};
  for (const act of Object.keys(KEY_OF) as Act[])
    bound[KEY_OF[act].toLowerCase()] = () => {
      const reason = why(act);
      if (reason === "") steps[act]();
      else choosing.operation.refuse(reason);
    };
  bound.Escape = () => (mode === "none" ? goTo("desk") : setMode("none"));
  for (let digit = 1; digit <= 6; digit++) {
    const pick = digitOf(digit, mode, choosing);
    if (pick) bound[String(digit)] = pick;
  }
  return bound;
}

/** A digit chooses a cause or presses a unit's button, so that P1's confirmation stands in one place. */
function digitOf(
  digit: number,
  mode: Mode,
  { recommended, incident, operation }: Choosing,
): (() => void) | null {
  const code = FALSE_CODES[digit - 1];
  if (mode === "false" && code) return () => void operation.act(incident, "false", { code });
  const unit = recommended[digit - 1];
  if (mode === "dispatch" && unit)
    return () =>
      document.querySelector<HTMLButtonElement>(`[data-testid="unit-option"][data-rank="${digit}"]`)?.click();
  return null;
}

function Title({ incident }: { incident: Incident }) {
  return (
    <header class="head">
      <button type="button" class="quiet back" onClick={() => goTo("desk")} aria-label={t("incident.back")}>
        ‹
      </button>
      <Priority level={incident.priority} large />
      <div>
        <h1>
          {titleOf(incident)}
          {incident.count > 1 && <span class="count num">{t("queue.count", { n: incident.count })}</span>}
        </h1>
        <p class="muted">
          {t("incident.number", { id: incident.id })} · {incident.place_name}
          {incident.claimed_by && ` · ${incident.claimed_by}`}
        </p>
      </div>
      <span
        class={`pill state p${incident.priority}`}
        data-testid="incident-state"
        data-state={incident.state}
      >
        {stateOf(incident)}
        {incident.close_code && ` · ${word("code", incident.close_code)}`}
      </span>
    </header>
  );
}

function Pictures({ incident, conditions }: { incident: Incident; conditions: readonly AlarmCondition[] }) {
  const rights = useStore(session)?.rights ?? [];
  const cameras = useStore(model, (m) => m.cameras);
  const [chosen, setChosen] = useState("");
  const reason = t("video.reason.incident", { id: incident.id });
  const camera = incident.cameras.includes(chosen) ? chosen : (incident.cameras[0] ?? "");
  const stills = conditions.filter((c) => c.still);
  if (!rights.includes("video.see")) return <p class="muted boxed">{t("video.noright")}</p>;
  return (
    <div class="pictures">
      {camera ? <LiveVideo camera={camera} reason={reason} /> : <p class="muted boxed">{t("video.none")}</p>}
      {incident.cameras.length > 1 && (
        <div class="cameras">
          {incident.cameras.map((id) => (
            <button
              key={id}
              type="button"
              data-testid="camera-option"
              data-camera={id}
              aria-pressed={id === camera}
              onClick={() => setChosen(id)}
            >
              {nameFrom(cameras.get(id), id)}
            </button>
          ))}
        </div>
      )}
      {stills.length > 0 && (
        <div class="stills">
          {stills.slice(0, 4).map((c) => (
            <figure key={c.id} data-testid="still">
              <a href={api.evidenceUrl(c.still, reason)} target="_blank" rel="noreferrer">
                <img src={api.evidenceUrl(c.still, reason)} alt={t("incident.still.at")} loading="lazy" />
              </a>
              <figcaption class="num">
                {word("condition", c.condition)} {timeOfDay(c.since)}
              </figcaption>
            </figure>
          ))}
        </div>
      )}
    </div>
  );
}

function Assigned({ incident }: { incident: Incident }) {
  if (incident.assignments.length === 0) return null;
  const working = new Set(atWork(incident).map((a) => a.id));
  return (
    <ul class="assigned" aria-label={t("units.assigned")}>
      {incident.assignments.map((a) => (
        <li
          key={a.id}
          data-testid="assignment"
          data-unit={a.unit}
          data-state={a.state}
          class={working.has(a.id) ? "" : "ended"}
        >
          <b>{a.unit_name}</b>
          <span class={`pill ${a.state}`}>{word("assignment", a.state)}</span>
          {a.arrival_by && (
            <small class="muted">{a.arrival_by === "gps" ? t("units.gps") : a.arrival_by}</small>
          )}
          <span class="muted num">{timeOfDay(latest(a))}</span>
        </li>
      ))}
    </ul>
  );
}

const latest = (a: Assignment): string =>
  a.cleared_at ?? a.on_scene_at ?? a.en_route_at ?? a.accepted_at ?? a.dispatched_at;

interface UnitsProps {
  recommended: readonly Recommended[];
  chosen: boolean;
  why: string;
  /** P1 asks once more before it sends. */
  confirm: boolean;
  onSend: (unit: string) => void;
}

function Units({ recommended, chosen, why, confirm, onSend }: UnitsProps) {
  const [asking, setAsking] = useState("");
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen) element.current?.scrollIntoView({ block: "nearest" });
    else setAsking("");
  }, [chosen]);
  const asked = recommended.find((unit) => unit.unit === asking);
  const press = (unit: string) => {
    if (confirm && asking !== unit) setAsking(unit);
    else {
      setAsking("");
      onSend(unit);
    }
  };
  return (
    <div ref={element} class={`units ${chosen ? "chosen" : ""}`}>
      <h2>
        {chosen ? t("act.pickunit") : t("units.title")} <span class="muted">{t("units.by")}</span>
      </h2>
      {recommended.length === 0 && <p class="muted">{t("units.none")}</p>}
      {recommended.slice(0, 3).map((unit) => (
        <button
          key={unit.unit}
          type="button"
          class={`unit ${unit.rank === 1 ? "best" : ""} ${unit.stale ? "stale" : ""}`}
          data-testid="unit-option"
          data-unit={unit.unit}
          data-rank={unit.rank}
          aria-disabled={why !== ""}
          title={why || undefined}
          onClick={() => {
            if (!why) press(unit.unit);
          }}
        >
          <Keycap of={String(unit.rank)} />
          <span>
            <b>{unit.unit_name}</b>
            {reasonsOf(unit).map((reason) => (
              <span key={reason} class="reason muted">
                {" · "}
                {reason}
              </span>
            ))}
          </span>
          <b class="num">{etaOf(unit)}</b>
        </button>
      ))}
      {asked && (
        <button
          type="button"
          class="action warn"
          data-testid="confirm-dispatch"
          ref={focusOnce}
          onClick={() => press(asked.unit)}
        >
          <span class="label">{t("act.confirm", { unit: asked.unit_name })}</span>
          <Keycap of="Enter" />
        </button>
      )}
    </div>
  );
}

/** Puts the focus on what Enter should press next. */
function focusOnce(element: HTMLElement | null): void {
  element?.focus();
}

interface ButtonsProps {
  steps: Steps;
  why: Why;
  mode: Mode;
  incident: Incident;
}

function Buttons({ steps, why, mode, incident }: ButtonsProps) {
  const label = (act: Act): string => {
    if (act === "claim" && incident.claimed_by) return t("act.takeover");
    const to = act === "clear" ? clearing(incident) : act === "arrived" ? arriving(incident) : undefined;
    const verb = act === "clear" && to && to.state !== "on_scene" ? t("act.recall") : t(`act.${act}`);
    return to ? `${verb} ${to.unit_name}` : verb;
  };
  const next = nextAct(incident);
  const order: Act[] = ["ack", "claim", "verify", "false", "dispatch", "arrived", "clear", "close", "note"];
  return (
    <div class="buttons">
      {order.map((act) => (
        <Action
          key={act}
          testId={`act-${act}`}
          label={label(act)}
          keycap={KEY_OF[act]}
          kind={act === next ? (act === "dispatch" ? "warn" : "main") : "plain"}
          why={why(act)}
          pressed={mode === act}
          onPress={steps[act]}
        />
      ))}
    </div>
  );
}

/** The step the incident waits for. */
function nextAct(incident: Incident): Act {
  if (incident.state === "new") return "claim";
  if (incident.state === "triage") return "verify";
  if (incident.state === "pending") return "dispatch";
  if (incident.state === "handled") return "close";
  return incident.clocks.t8_on_scene ? "clear" : "arrived";
}

function FalseCodes({ onPick }: { onPick: (code: string) => void }) {
  return (
    <fieldset class="codes">
      <legend>{t("act.pickcode")}</legend>
      {FALSE_CODES.map((code, n) => (
        <button
          key={code}
          type="button"
          data-testid="false-code"
          data-code={code}
          onClick={() => onPick(code)}
        >
          <Keycap of={String(n + 1)} /> {word("code", code)}
        </button>
      ))}
    </fieldset>
  );
}

interface TextStepProps {
  testId: string;
  label: string;
  hint: string;
  submit: string;
  onCancel: () => void;
  onSubmit: (text: string) => Promise<boolean>;
}

/** A text and its confirmation; Ctrl+Enter sends, Escape leaves. */
function TextStep({ testId, label, hint, submit, onCancel, onSubmit }: TextStepProps) {
  const [text, setText] = useState("");
  const send = () => {
    if (text.trim()) void onSubmit(text.trim());
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Escape") onCancel();
    if (event.key === "Enter" && event.ctrlKey) send();
  };
  return (
    <div class="textstep">
      <label>
        <span>{label}</span>
        <textarea
          ref={focusOnMount}
          data-testid={testId}
          value={text}
          placeholder={hint}
          rows={2}
          maxLength={2000}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKey}
        />
      </label>
      <div>
        <button type="button" onClick={onCancel}>
          {t("act.cancel")} <Keycap of="Esc" />
        </button>
        <button
          type="button"
          class="action main"
          data-testid={`${testId}-submit`}
          disabled={!text.trim()}
          onClick={send}
        >
          <span class="label">{submit}</span> <Keycap of="Ctrl+Enter" />
        </button>
      </div>
    </div>
  );
}

const focused = new WeakSet<Element>();

function focusOnMount(element: HTMLElement | null): void {
  if (!element || focused.has(element)) return;
  focused.add(element);
  element.focus();
}

function Points({ conditions }: { conditions: readonly AlarmCondition[] }) {
  if (conditions.length === 0) return null;
  return (
    <div class="points">
      <h2>{t("incident.conditions")}</h2>
      <ul>
        {conditions.map((c) => (
          <li
            key={c.id}
            data-testid="condition"
            data-id={c.id}
            data-active={String(c.active)}
            data-acked={c.acked}
          >
            <span class={`dot ${c.active ? "on" : "off"}`} aria-hidden="true" />
            <span>
              {word("condition", c.condition)} · {c.label}
              {c.count > 1 && <span class="count num">{t("queue.count", { n: c.count })}</span>}
            </span>
            <span class="muted">
              {c.active === null
                ? t("condition.unknown")
                : t(c.active ? "condition.active" : "condition.restored")}
              {c.acked && ` · ${t("why.acked")}`}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Timeline({ incident, detail }: OpenProps) {
  const desk = useStore(model);
  const source = (name: string) => {
    const [kind, id = ""] = [name.slice(0, name.indexOf(":")), name.slice(name.indexOf(":") + 1)];
    if (kind === "camera") return nameFrom(desk.cameras.get(id), id);
    if (kind === "panel") return nameFrom(desk.panels.get(id), id);
    return desk.units.get(id)?.name ?? name;
  };
  const names: Names = {
    unit: (id) => desk.units.get(id)?.name ?? id,
    source,
    condition: (id) => {
      const found = detail?.conditions.find((c) => c.id === id);
      const [from = "", , what = ""] = id.split("/");
      return found
        ? `${found.label} ${word("condition", found.condition)}`
        : `${source(from)} ${word("condition", what)}`;
    },
  };
  const told = story(detail?.timeline ?? [], names);
  return (
    <div class="timeline">
      <h2>{t("incident.timeline")}</h2>
      {told.length === 0 && <p class="muted">{t("incident.empty")}</p>}
      <ol data-testid="timeline" data-incident={incident.id}>
        {told.map((entry) => (
          <li key={entry.seq} data-seq={entry.seq} class={entry.late ? "late" : ""}>
            <time class="num">{timeOfDay(entry.at)}</time>
            <span>
              {entry.text}
              {entry.late && <small class="pill">{t("log.late")}</small>}
            </span>
            <span class="muted">{entry.actor}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
