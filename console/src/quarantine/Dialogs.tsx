// The bytes of a quarantined message, after a reason; and throwing one away, with a reason.

import { useState } from "preact/hooks";
import { quarantine as api } from "../api";
import type { Quarantined, QuarantineItem } from "../api/types";
import { t } from "../i18n";
import { causeName } from "../pages/Quarantine";
import { Dialog, Field } from "../ui/parts";

export function Bytes({ row, onClose }: { row: Quarantined; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [item, setItem] = useState<QuarantineItem | null>(null);
  const [problem, setProblem] = useState("");
  const [view, setView] = useState<"text" | "hex">("text");
  const look = async (event: SubmitEvent) => {
    event.preventDefault();
    setProblem("");
    const result = await api.item(row.id, reason.trim());
    if (result.kind === "success") setItem(result.value);
    else if (result.kind === "error") setProblem(result.error.message);
  };
  return (
    <Dialog
      title={`${t("quarantine.look")} · ${causeName(row.cause)}`}
      testId="quarantine-dialog"
      onClose={onClose}
    >
      {!item && (
        <form onSubmit={(event) => void look(event)}>
          <p class="muted">{t("quarantine.look.hint")}</p>
          <Reason id="quarantine-reason" value={reason} onInput={setReason} />
          {problem && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          <button
            type="submit"
            class="action main"
            data-testid="quarantine-reason-submit"
            disabled={reason.trim().length < 2}
          >
            <span class="label">{t("quarantine.look")}</span>
          </button>
        </form>
      )}
      {item && (
        <>
          <div class="segments" role="tablist">
            {(["text", "hex"] as const).map((each) => (
              <button
                key={each}
                type="button"
                role="tab"
                data-testid={`quarantine-view-${each}`}
                aria-selected={each === view}
                onClick={() => setView(each)}
              >
                {t(`quarantine.view.${each}`)}
              </button>
            ))}
            <a
              class="button"
              data-testid="quarantine-download"
              href={api.rawUrl(row.id, reason.trim())}
              download
            >
              {t("quarantine.download")}
            </a>
          </div>
          {item.row.truncated && <p class="muted">{t("quarantine.truncated")}</p>}
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll by keyboard too */}
          <pre class="bytes" data-testid="quarantine-bytes" tabIndex={0}>
            {view === "hex" ? item.hex : item.text}
          </pre>
        </>
      )}
    </Dialog>
  );
}

interface DiscardProps {
  row: Quarantined;
  onClose: () => void;
  onDone: (told: string) => void;
}

export function Discard({ row, onClose, onDone }: DiscardProps) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const result = await api.discard(row.id, reason.trim());
    if (result.kind === "success") onDone(t("quarantine.discarded"));
    else if (result.kind === "error") setProblem(result.error.message);
  };
  return (
    <Dialog
      title={`${t("quarantine.discard")} · ${causeName(row.cause)}`}
      testId="quarantine-discard-dialog"
      onClose={onClose}
    >
      <form onSubmit={(event) => void submit(event)}>
        <p class="muted">{t("quarantine.discard.hint")}</p>
        <Reason id="quarantine-discard-reason" value={reason} onInput={setReason} />
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button
          type="submit"
          class="action warn"
          data-testid="quarantine-discard-submit"
          disabled={reason.trim().length < 2}
        >
          <span class="label">{t("quarantine.discard")}</span>
        </button>
      </form>
    </Dialog>
  );
}

function Reason(props: { id: string; value: string; onInput: (value: string) => void }) {
  return (
    <Field label={t("devices.reason")} hint={t("quarantine.reason.hint")}>
      <input
        data-testid={props.id}
        value={props.value}
        minLength={2}
        maxLength={300}
        required
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
    </Field>
  );
}
