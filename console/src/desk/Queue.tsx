// The queue: the desk's first surface. Rows keep still while the pointer or the cursor is among them.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { incidents as api } from "../api";
import type { Incident } from "../api/types";
import { serverNow } from "../clock";
import { elapsed } from "../format";
import { type Key, t } from "../i18n";
import { connection, model, rendered, session } from "../live";
import { goTo } from "../route";
import { useStore, useTick } from "../store";
import { Keycap, Notice, Priority } from "../ui/parts";
import { isOpen } from "./model";
import { type Arrangement, arrange, inTab, NOTHING, renderedUpTo, type Tab } from "./queue";
import { standing } from "./targets";
import { stateOf, subOf, titleOf } from "./words";

const CURSOR_HOLD_MS = 4000;
const TABS: readonly (Tab | "closed")[] = ["all", "new", "working", "mine", "closed"];

export interface QueueProps {
  selected: string;
  /** Counts up at each key that moves the cursor: the list then holds still for a moment. */
  cursorMoves: number;
  /** Counts up when waiting rows are asked for by key. */
  releases: number;
  onRows: (rows: readonly string[]) => void;
}

export function Queue({ selected, cursorMoves, releases, onRows }: QueueProps) {
  const desk = useStore(model);
  const me = useStore(session)?.person.name ?? "";
  const [tab, setTab] = useState<Tab | "closed">("all");
  const hold = useHold(cursorMoves);
  const arrangement = useArrangement(tab === "closed" ? "all" : tab, me, hold.held, releases + hold.releases);
  const drawn = useMemo(
    () => new Set(tab === "closed" ? [] : [...arrangement.rows, ...arrangement.slot.slice(0, 1)]),
    [arrangement, tab],
  );
  useReportDrawn(drawn);
  useEffect(() => onRows([...arrangement.slot, ...arrangement.rows]), [arrangement]);

  const rows = arrangement.rows.flatMap((id) => desk.incidents.get(id) ?? []);
  return (
    <aside class="queue" aria-label={t("queue.title")}>
      <Tabs tab={tab} me={me} onTab={setTab} />
      {tab === "closed" ? (
        <ClosedList selected={selected} />
      ) : (
        <>
          <Lane arrangement={arrangement} selected={selected} onShow={hold.release} />
          <ul class="rows" onPointerEnter={hold.enter} onPointerLeave={hold.leave}>
            {rows.map((incident) => (
              <Row key={incident.id} incident={incident} selected={incident.id === selected} />
            ))}
            {rows.length === 0 && arrangement.slot.length === 0 && (
              <li>
                <EmptyQueue tab={tab} />
              </li>
            )}
          </ul>
        </>
      )}
    </aside>
  );
}

/** Whether the operator is in the list: pointer over it, or the cursor moved a moment ago. */
function useHold(cursorMoves: number) {
  const [inside, setInside] = useState(false);
  const [cursor, setCursor] = useState(false);
  const [releases, setReleases] = useState(0);
  useEffect(() => {
    if (cursorMoves === 0) return;
    setCursor(true);
    const timer = setTimeout(() => setCursor(false), CURSOR_HOLD_MS);
    return () => clearTimeout(timer);
  }, [cursorMoves]);
  return {
    held: inside || cursor,
    releases,
    release: () => setReleases((n) => n + 1),
    enter: (event: PointerEvent) => setInside(event.pointerType !== "touch"),
    leave: () => setInside(false),
  };
}

function useArrangement(tab: Tab, me: string, held: boolean, releases: number): Arrangement {
  const desk = useStore(model);
  const last = useRef({ arrangement: NOTHING, releases: -1, tab });
  return useMemo(() => {
    const fresh = last.current.releases !== releases || last.current.tab !== tab;
    const matches = (incident: Incident) => inTab(incident, tab, me);
    const arrangement = arrange(last.current.arrangement, desk.incidents, held && !fresh, matches);
    last.current = { arrangement, releases, tab };
    return arrangement;
  }, [desk.incidents, held, releases, tab, me]);
}

/** Tells the hub what is drawn, after the browser has drawn it. */
function useReportDrawn(drawn: ReadonlySet<string>): void {
  const desk = useStore(model);
  useEffect(() => {
    if (desk.seq === 0) return;
    let second = 0;
    const first = requestAnimationFrame(() => {
      second = requestAnimationFrame(() =>
        rendered(
          renderedUpTo(desk.seq, drawn, desk.incidents, desk.touched),
          [...desk.incidents.values()].some((one) => !one.clocks.t2_rendered && drawn.has(one.id)),
        ),
      );
    });
    return () => {
      cancelAnimationFrame(first);
      cancelAnimationFrame(second);
    };
  }, [desk.seq, desk.incidents, drawn]);
}

function Tabs({ tab, me, onTab }: { tab: Tab | "closed"; me: string; onTab: (tab: Tab | "closed") => void }) {
  const open = [...useStore(model).incidents.values()].filter(isOpen);
  return (
    <div class="tabs" role="tablist">
      {TABS.map((each) => (
        <button
          key={each}
          type="button"
          role="tab"
          data-testid={`tab-${each}`}
          aria-selected={each === tab}
          onClick={() => onTab(each)}
        >
          {t(`queue.${each}` as Key)}
          {each !== "closed" && <b class="num">{open.filter((i) => inTab(i, each, me)).length}</b>}
        </button>
      ))}
    </div>
  );
}

interface LaneProps {
  arrangement: Arrangement;
  selected: string;
  onShow: () => void;
}

/** The lane above the list, always as high: a held-back P1, what else waits, or how long the oldest has waited. */
function Lane({ arrangement, selected, onShow }: LaneProps) {
  const desk = useStore(model);
  const top = desk.incidents.get(arrangement.slot[0] ?? "");
  const waiting = arrangement.waiting.length + Math.max(0, arrangement.slot.length - 1);
  if (top)
    return (
      <div class="lane urgent" data-testid="p1-slot" role="alert">
        <ul class="compact">
          <Row incident={top} selected={top.id === selected} compact />
        </ul>
        {waiting > 0 && <ShowNew n={waiting} onShow={onShow} />}
      </div>
    );
  if (waiting > 0)
    return (
      <div class="lane">
        <ShowNew n={waiting} onShow={onShow} />
      </div>
    );
  return (
    <div class="lane">
      <Waiting />
    </div>
  );
}

function ShowNew({ n, onShow }: { n: number; onShow: () => void }) {
  return (
    <button type="button" class="shownew" data-testid="new-strip" data-count={n} onClick={onShow}>
      <span>
        <b>{t("queue.held", { n })}</b> <span class="muted">{t("queue.held.sub")}</span>
      </span>
      <Keycap of="R" />
    </button>
  );
}

function Waiting() {
  useTick(1000);
  const unclaimed = [...useStore(model).incidents.values()].filter((i) => i.state === "new");
  if (unclaimed.length === 0) return <span class="muted">{t("queue.none")}</span>;
  const oldest = Math.min(...unclaimed.map((i) => Date.parse(i.opened_at)));
  return (
    <span class="muted num">
      {t("queue.oldest", { n: unclaimed.length, age: elapsed(serverNow() - oldest) })}
    </span>
  );
}

function EmptyQueue({ tab }: { tab: Tab }) {
  const state = useStore(connection, (c) => c.state);
  if (state === "connecting") return <Notice kind="busy" title={t("loading")} />;
  if (tab !== "all") return <Notice title={t("queue.emptyfilter")} />;
  return <Notice title={t("queue.empty")} detail={t("queue.empty.sub")} />;
}

function ClosedList({ selected }: { selected: string }) {
  const [closed, setClosed] = useState<Incident[] | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    void api.list("closed", abort.signal).then((result) => {
      if (result.kind === "success") setClosed(result.value);
      if (result.kind === "error") setProblem(result.error.message);
    });
    return () => abort.abort();
  }, []);
  if (problem) return <Notice kind="error" title={problem} />;
  if (!closed) return <Notice kind="busy" title={t("loading")} />;
  if (closed.length === 0) return <Notice title={t("queue.emptyfilter")} />;
  return (
    <ul class="rows">
      {closed.map((incident) => (
        <Row key={incident.id} incident={incident} selected={incident.id === selected} />
      ))}
    </ul>
  );
}

interface RowProps {
  incident: Incident;
  selected: boolean;
  compact?: boolean;
}

function Row({ incident, selected, compact = false }: RowProps) {
  const element = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (selected) element.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const open = () => goTo("desk", incident.id);
  return (
    <li ref={element} class={compact ? "compact" : ""}>
      <button
        type="button"
        class={`row ${selected ? "selected" : ""} ${isOpen(incident) ? "" : "ended"}`}
        data-testid="incident-row"
        data-id={incident.id}
        data-state={incident.state}
        data-priority={incident.priority}
        data-condition={incident.condition}
        aria-current={selected}
        onClick={open}
      >
        <Priority level={incident.priority} />
        <span class="title">
          {titleOf(incident)}
          {incident.count > 1 && <span class="count num">{t("queue.count", { n: incident.count })}</span>}
        </span>
        <TimeInState incident={incident} />
        <span class="sub">{subOf(incident)}</span>
        <span class="state" data-testid="row-state">
          {stateOf(incident)}
        </span>
      </button>
    </li>
  );
}

function TimeInState({ incident }: { incident: Incident }) {
  useTick(500);
  const now = serverNow();
  const mark = isOpen(incident) ? standing(incident, now) : "neutral";
  return <b class={`time num ${mark}`}>{elapsed(now - Date.parse(incident.state_since))}</b>;
}
