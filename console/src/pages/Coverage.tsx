// How much of the city is covered: each target with its words, its n of d, and at which rung; rates as the hub cut them.

import { useState } from "preact/hooks";
import { coverage as api } from "../api";
import type { DistrictShare, Member, Coverage as Rates, Share, TargetResult } from "../api/types";
import { serverNow } from "../clock";
import { dateOf, dateTime } from "../format";
import { named, t, word } from "../i18n";
import { goTo } from "../route";
import { Notice } from "../ui/parts";
import { useAsked } from "../useAsked";

const RUNGS = ["", "declared", "registered", "accepted"] as const;
const MARK: Record<string, string> = { pass: "✓", fail: "▼", unknown: "?", not_applicable: "—" };
const SHOWN_MEMBERS = 300;

export function Coverage({ id }: { id: string }) {
  const [rung, setRung] = useState<string>("");
  const [asOf, setAsOf] = useState("");
  const rates = useAsked((signal) => api.all(rung, instantOf(asOf), signal), [rung, asOf]);
  return (
    <main class={`coverage ${id ? "opened" : ""}`} id="main">
      <Bar rates={rates.value} rung={rung} asOf={asOf} busy={rates.busy} onRung={setRung} onAsOf={setAsOf} />
      {rates.problem && (
        <Notice kind="error" title={t("coverage.failed", { why: rates.problem })} onRetry={rates.again} />
      )}
      {!rates.value && !rates.problem && <Notice kind="busy" title={t("coverage.loading")} />}
      {rates.value && <Table rates={rates.value} chosen={id} />}
      {rates.value && <Drill id={id} rung={rung} asOf={asOf} />}
    </main>
  );
}

/** The end of that day in Shanghai; empty for now. */
export const instantOf = (day: string): string => (day ? `${day}T23:59:59+08:00` : "");

interface BarProps {
  rates: Rates | null;
  rung: string;
  asOf: string;
  busy: boolean;
  onRung: (rung: string) => void;
  onAsOf: (day: string) => void;
}

function Bar({ rates, rung, asOf, busy, onRung, onAsOf }: BarProps) {
  return (
    <div class="bar" aria-busy={busy}>
      <h1>{t("coverage.title")}</h1>
      {rates && (
        <span class="muted">{t("coverage.pack", { name: named(rates.pack_name, rates.pack_name_en) })}</span>
      )}
      <label>
        {t("coverage.asof")}
        <input
          type="date"
          data-testid="as-of"
          value={asOf || dateOf(serverNow())}
          max={dateOf(serverNow())}
          onChange={(event) => onAsOf(event.currentTarget.value)}
        />
      </label>
      <fieldset class="segments">
        <legend>{t("coverage.rung")}</legend>
        {RUNGS.map((each) => (
          <label key={each} class={each === rung ? "on" : ""}>
            <input
              type="radio"
              name="rung"
              data-testid={`rung-${each || "own"}`}
              checked={each === rung}
              onChange={() => onRung(each)}
            />
            {each ? word("rung", each) : t("rung.own")}
          </label>
        ))}
      </fieldset>
      {rates && <time class="muted num end">{dateTime(rates.as_of)}</time>}
    </div>
  );
}

/** A verdict by shape, word and colour; unknown members beside a failure say that it may yet turn. */
function Verdict({ share }: { share: Share | TargetResult }) {
  return (
    <span class={`verdict ${share.state}`}>
      <span aria-hidden="true">{MARK[share.state] ?? "?"}</span> {word("result", share.state)}
      {share.unknown > 0 && <small>{t("coverage.unknown", { n: share.unknown })}</small>}
    </span>
  );
}

function Figure({ share }: { share: Share | TargetResult }) {
  const best = share.unknown > 0 && share.best !== share.rate;
  return (
    <>
      <b class="num" data-testid="rate">
        {share.rate}
        {best && <span class="muted"> – {share.best}</span>}
      </b>
      <small class="num muted" data-testid="count">
        {share.n} / {share.d}
      </small>
    </>
  );
}

function Table({ rates, chosen }: { rates: Rates; chosen: string }) {
  if (rates.targets.length === 0) return <Notice title={t("coverage.empty")} />;
  return (
    <div class="targets">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("coverage.target")}</th>
            <th scope="col">{t("coverage.rate")}</th>
            <th scope="col">{t("coverage.goal")}</th>
            <th scope="col">{t("coverage.result")}</th>
            <th scope="col">{t("coverage.rung")}</th>
            <th scope="col">{t("coverage.deadline")}</th>
          </tr>
        </thead>
        <tbody>
          {rates.targets.map((target) => (
            <Row key={target.id} target={target} chosen={target.id === chosen} />
          ))}
        </tbody>
      </table>
      <p class="muted legend">{t("coverage.legend")}</p>
    </div>
  );
}

function Row({ target, chosen }: { target: TargetResult; chosen: boolean }) {
  return (
    <tr
      class={chosen ? "selected" : ""}
      data-testid="target-row"
      data-id={target.id}
      data-state={target.state}
      data-n={target.n}
      data-d={target.d}
    >
      <th scope="row">
        <button type="button" class="link" aria-current={chosen} onClick={() => goTo("coverage", target.id)}>
          {named(target.title, target.title_en)}
        </button>
        <q>{target.quote}</q>
        <small class="muted">
          {target.document_name || target.document} · {target.clause}
        </small>
      </th>
      <td class="figure">
        <Figure share={target} />
      </td>
      <td class="num">≥ {target.percent}%</td>
      <td>
        <Verdict share={target} />
        {target.short > 0 && <small class="muted">{t("coverage.short", { n: target.short })}</small>}
      </td>
      <td>{word("rung", target.rung)}</td>
      <td class="num">
        {target.deadline || t("coverage.nodeadline")}
        {target.due && <small class="muted">{t("coverage.due")}</small>}
      </td>
    </tr>
  );
}

function Drill({ id, rung, asOf }: { id: string; rung: string; asOf: string }) {
  if (!id)
    return (
      <aside class="drill">
        <Notice title={t("coverage.pick")} />
      </aside>
    );
  return <Opened id={id} rung={rung} asOf={asOf} />;
}

function Opened({ id, rung, asOf }: { id: string; rung: string; asOf: string }) {
  const { value, problem, again } = useAsked(
    (signal) => api.target(id, rung, instantOf(asOf), signal),
    [id, rung, asOf],
  );
  if (problem)
    return (
      <aside class="drill">
        <Notice kind="error" title={t("coverage.failed", { why: problem })} onRetry={again} />
      </aside>
    );
  if (!value || value.target.id !== id)
    return (
      <aside class="drill">
        <Notice kind="busy" title={t("coverage.loading")} />
      </aside>
    );
  const { target, members } = value;
  return (
    <aside class="drill" data-testid="target-detail" data-id={target.id}>
      <button type="button" class="quiet back" onClick={() => goTo("coverage")}>
        ‹ {t("coverage.title")}
      </button>
      <h2>{named(target.title, target.title_en)}</h2>
      <p class="headline">
        <Figure share={target} /> <Verdict share={target} />
      </p>
      <blockquote>
        {target.quote}
        <footer class="muted">
          {target.document_name || target.document} · {target.clause} · {target.requirement}
        </footer>
      </blockquote>
      <p class="muted">
        {t("coverage.definition", { text: named(target.definition, target.definition_en) })}
      </p>
      {target.note && <p class="muted">{named(target.note, target.note_en)}</p>}
      {target.needs && (
        <p class="muted">{t("coverage.needs", { text: named(target.needs, target.needs_en) })}</p>
      )}
      {target.other && (
        <p class="muted num">
          {t("coverage.other", {
            form: word("by", target.other_form),
            rate: target.other.rate,
            n: target.other.n,
            d: target.other.d,
          })}
        </p>
      )}
      <Districts districts={target.districts} />
      <Members members={members} />
    </aside>
  );
}

function Districts({ districts }: { districts: readonly DistrictShare[] }) {
  if (districts.length === 0) return null;
  return (
    <section>
      <h3>{t("coverage.districts")}</h3>
      <table class="small">
        <tbody>
          {districts.map((district) => (
            <tr
              key={district.place}
              data-testid="district-row"
              data-place={district.place}
              data-state={district.share.state}
            >
              <th scope="row">{named(district.name, district.name_en)}</th>
              <td class="figure">
                <Figure share={district.share} />
              </td>
              <td>
                <Verdict share={district.share} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Members({ members }: { members: readonly Member[] }) {
  const missing = members.filter((member) => member.state !== "covered");
  const covered = members.filter((member) => member.state === "covered");
  return (
    <section>
      <h3>{t("coverage.missing", { n: missing.length })}</h3>
      {missing.length === 0 && <p class="muted">{t("coverage.nomissing")}</p>}
      <MemberList members={missing} />
      {covered.length > 0 && (
        <details>
          <summary>{t("coverage.covered", { n: covered.length })}</summary>
          <MemberList members={covered} />
        </details>
      )}
    </section>
  );
}

function MemberList({ members }: { members: readonly Member[] }) {
  return (
    <>
      <ul class="members">
        {members.slice(0, SHOWN_MEMBERS).map((member) => (
          <li key={member.id} data-testid="member-row" data-id={member.id} data-state={member.state}>
            <span>
              {named(member.name, member.name_en)}
              {member.site !== member.id && member.site_name && (
                <small class="muted"> {named(member.site_name, member.site_name_en)}</small>
              )}
              <small class="muted"> {member.district_name}</small>
            </span>
            <span class="muted">{reasonOf(member)}</span>
          </li>
        ))}
      </ul>
      {members.length > SHOWN_MEMBERS && (
        <p class="muted">{t("coverage.shown", { n: SHOWN_MEMBERS, total: members.length })}</p>
      )}
    </>
  );
}

function reasonOf(member: Member): string {
  const lacking = member.lacking.map((field) => word("lacking", field)).join(t("list.comma"));
  if (!member.missing) return member.rung ? word("rung", member.rung) : "";
  const why = word("missing", member.missing);
  return lacking ? t("coverage.lacks", { why, fields: lacking }) : why;
}
