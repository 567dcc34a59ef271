// What could not be decoded: looked at with a reason, tried again after a decoder was mended, thrown away.

import { useState } from "preact/hooks";
import { quarantine as api, type Failure, type QuarantineFilter } from "../api";
import type { Quarantined, QuarantinePage, Replayed } from "../api/types";
import { serverNow } from "../clock";
import { since } from "../format";
import { t, useLanguage, word } from "../i18n";
import { Bytes, Discard } from "../quarantine/Dialogs";
import { useTick } from "../store";
import { PartsBanner } from "../ui/Banner";
import { Notice } from "../ui/parts";
import { useAsked } from "../useAsked";

type Doing = { what: "bytes" | "discard"; row: Quarantined } | null;
const DAY_MS = 86_400_000;
const SPANS = { all: 0, day: DAY_MS, week: 7 * DAY_MS } as const;
type Span = keyof typeof SPANS;

export function Quarantine() {
  useLanguage();
  useTick(30000);
  const [protocol, setProtocol] = useState("");
  const [cause, setCause] = useState("");
  const [span, setSpan] = useState<Span>("all");
  const [untried, setUntried] = useState(false);
  const [doing, setDoing] = useState<Doing>(null);
  const [told, setTold] = useState("");
  const [busy, setBusy] = useState(false);
  const filter = (): QuarantineFilter => ({
    protocol,
    cause,
    since: span === "all" ? "" : new Date(serverNow() - SPANS[span]).toISOString(),
    untried,
  });
  const asked = useAsked((signal) => api.list(filter(), signal), [protocol, cause, span, untried]);

  const run = async (replay: () => ReturnType<typeof api.replay>) => {
    setBusy(true);
    setTold(t("quarantine.trying"));
    const result = await replay();
    setBusy(false);
    if (result.kind === "success") setTold(summary(result.value));
    else if (result.kind === "error") setTold(failed(result.error));
    asked.again();
  };
  const done = (what: string) => {
    setDoing(null);
    setTold(what);
    asked.again();
  };
  const rows = asked.value?.rows ?? [];

  return (
    <main class="devices quarantine" id="main">
      <PartsBanner />
      <div class="bar">
        <h1>{t("quarantine.title")}</h1>
        <Choice
          id="quarantine-protocol"
          label={t("quarantine.protocol")}
          value={protocol}
          options={choices(asked.value, (one) => one.protocol)}
          nameOf={(value) => word("quarantine.protocol", value)}
          onChange={setProtocol}
        />
        <Choice
          id="quarantine-cause"
          label={t("quarantine.cause")}
          value={cause}
          options={choices(asked.value, (one) => one.cause)}
          nameOf={causeName}
          onChange={setCause}
        />
        <Choice
          id="quarantine-since"
          label={t("quarantine.since")}
          value={span === "all" ? "" : span}
          options={["day", "week"]}
          nameOf={(value) => word("quarantine.since", value)}
          onChange={(value) => setSpan((value || "all") as Span)}
        />
        <label class="check">
          <input
            type="checkbox"
            data-testid="quarantine-untried"
            checked={untried}
            onChange={(event) => setUntried(event.currentTarget.checked)}
          />
          {t("quarantine.untried")}
        </label>
        <button
          type="button"
          class="action main"
          data-testid="quarantine-replay-all"
          disabled={busy || rows.length === 0}
          onClick={() => void run(() => api.replay(filter()))}
        >
          <span class="label">{t("quarantine.replay.all")}</span>
        </button>
      </div>
      <p class="muted lead">{kept(asked.value)}</p>
      {told && (
        <p class="told" role="status" data-testid="quarantine-told">
          {told}
        </p>
      )}
      {asked.problem && (
        <Notice kind="error" title={t("quarantine.failed", { why: asked.problem })} onRetry={asked.again} />
      )}
      {!asked.value && !asked.problem && <Notice kind="busy" title={t("loading")} />}
      {asked.value && rows.length === 0 && <Notice title={t("quarantine.none")} />}
      <ul class="devicelist">
        {rows.map((row) => (
          <Row
            key={row.id}
            row={row}
            busy={busy}
            onDo={setDoing}
            onReplay={() => void run(() => api.replayOne(row.id))}
          />
        ))}
      </ul>
      {doing?.what === "bytes" && <Bytes row={doing.row} onClose={() => setDoing(null)} />}
      {doing?.what === "discard" && <Discard row={doing.row} onClose={() => setDoing(null)} onDone={done} />}
    </main>
  );
}

/** The cause in words; causes of a decoder that is newer than this console stand as they are. */
export const causeName = (cause: string): string => word("quarantine.cause", cause || "other");

function choices(page: QuarantinePage | null, of: (one: QuarantinePage["tallies"][number]) => string) {
  return [...new Set((page?.tallies ?? []).map(of))].filter(Boolean).sort();
}

function kept(page: QuarantinePage | null): string {
  if (!page) return "";
  const rows = page.tallies.reduce((sum, one) => sum + one.rows, 0);
  const times = page.tallies.reduce((sum, one) => sum + one.times, 0);
  const gone = Object.values(page.made_room).reduce((sum, n) => sum + n, 0);
  const said = t("quarantine.kept", { rows, times, most: page.most });
  return gone > 0 ? `${said}${t("quarantine.gone", { n: gone })}` : said;
}

/** What trying again came to, as a sentence. */
export function summary(result: Replayed): string {
  const parts = [
    t("quarantine.sum.understood", { n: result.understood, observations: result.observations }),
    result.refused > 0 ? t("quarantine.sum.refused", { n: result.refused }) : "",
    result.truncated > 0 ? t("quarantine.sum.truncated", { n: result.truncated }) : "",
    result.unanswered > 0 ? t("quarantine.sum.unanswered", { n: result.unanswered }) : "",
    result.left > 0 ? t("quarantine.sum.left", { n: result.left }) : "",
  ];
  return `${t("quarantine.sum", { n: result.tried })}${parts.filter(Boolean).join(t("list.comma"))}`;
}

const failed = (error: Failure): string => t("act.failed", { why: error.message });

interface ChoiceProps {
  id: string;
  label: string;
  value: string;
  options: readonly string[];
  nameOf: (value: string) => string;
  onChange: (value: string) => void;
}

function Choice({ id, label, value, options, nameOf, onChange }: ChoiceProps) {
  return (
    <select
      data-testid={id}
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      <option value="">{t("quarantine.any", { what: label })}</option>
      {options.map((each) => (
        <option key={each} value={each}>
          {nameOf(each)}
        </option>
      ))}
    </select>
  );
}

interface RowProps {
  row: Quarantined;
  busy: boolean;
  onDo: (doing: Doing) => void;
  onReplay: () => void;
}

function Row({ row, busy, onDo, onReplay }: RowProps) {
  const now = serverNow();
  return (
    <li class="device" data-testid="quarantine-row" data-id={row.id} data-came={row.outcome?.came ?? ""}>
      <div class="what">
        <b>{causeName(row.cause)}</b>
        <small class="muted">
          {word("quarantine.protocol", row.protocol)} · <span class="peer">{row.peer}</span>
        </small>
      </div>
      <div class="how">
        <span class="num">{since(row.at, now)}</span>
        {row.times > 1 && <small class="muted num">{t("quarantine.times", { n: row.times })}</small>}
        <small class="muted num">{t("quarantine.size", { n: row.size })}</small>
        {row.truncated && <small class="muted">{t("quarantine.truncated")}</small>}
      </div>
      <div class="facts">
        <code>{row.reason}</code>
        <p class={`outcome ${row.outcome?.came ?? ""}`}>{outcomeText(row)}</p>
      </div>
      <div class="do">
        <button type="button" data-testid="quarantine-look" onClick={() => onDo({ what: "bytes", row })}>
          {t("quarantine.look")}
        </button>
        <button
          type="button"
          data-testid="quarantine-replay"
          disabled={busy || row.truncated}
          title={row.truncated ? t("quarantine.truncated") : undefined}
          onClick={onReplay}
        >
          {t("quarantine.replay")}
        </button>
        <button
          type="button"
          class="quiet"
          data-testid="quarantine-discard"
          onClick={() => onDo({ what: "discard", row })}
        >
          {t("quarantine.discard")}
        </button>
      </div>
    </li>
  );
}

/** What trying it again came to; empty where nobody has. */
export function outcomeText(row: Quarantined): string {
  if (!row.outcome || !row.replayed_at) return "";
  const { came, observations, reason } = row.outcome;
  const at = since(row.replayed_at, serverNow());
  const told = t(`quarantine.came.${came}`, { at, n: observations });
  return reason && reason !== row.reason && came !== "truncated"
    ? `${told}${t("parts.reason", { reason })}`
    : told;
}
