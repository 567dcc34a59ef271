// What one does with a device: look through it with a reason, accept it, take it out of the register.

import { useState } from "preact/hooks";
import { devices as api, type Result } from "../api";
import type { Registered } from "../api/types";
import { t } from "../i18n";
import type { Row } from "../pages/Devices";
import { Dialog, Field } from "../ui/parts";
import { LiveVideo } from "../video/LiveVideo";

interface Props {
  row: Row;
  onClose: () => void;
  onDone: (told: string) => void;
}

/** Sends once; says why where it was refused. */
function useSending(onDone: () => void) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const send = async (run: () => Promise<Result<Registered>>) => {
    setBusy(true);
    const result = await run();
    setBusy(false);
    if (result.kind === "success") onDone();
    else if (result.kind === "error") setProblem(result.error.message);
  };
  return { busy, problem, send };
}

export function Remove({ row, onClose, onDone }: Props) {
  const [reason, setReason] = useState("");
  const { busy, problem, send } = useSending(() => onDone(t("devices.removed", { name: row.name })));
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void send(() => api.remove(row.kind, row.id, reason.trim()));
  };
  return (
    <Dialog title={`${t("devices.remove")} · ${row.name}`} testId="remove-dialog" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label={t("devices.reason")}>
          <input
            data-testid="remove-reason"
            value={reason}
            minLength={2}
            maxLength={500}
            required
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </Field>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button
          type="submit"
          class="action warn"
          data-testid="remove-submit"
          disabled={busy || reason.trim().length < 2}
        >
          <span class="label">{t("devices.remove")}</span>
        </button>
      </form>
    </Dialog>
  );
}

export function Accept({ row, onClose, onDone }: Props) {
  const [seen, setSeen] = useState(false);
  const [placed, setPlaced] = useState(false);
  const [tested, setTested] = useState(false);
  const [note, setNote] = useState("");
  const { busy, problem, send } = useSending(() => onDone(t("devices.accepted", { name: row.name })));
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void send(() =>
      api.accept(row.source, {
        video_seen: seen,
        alarm_tested: tested,
        position_seen: placed,
        note: note.trim(),
      }),
    );
  };
  return (
    <Dialog title={`${t("devices.accept")} · ${row.name}`} testId="accept-dialog" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="muted">{t("devices.accept.hint")}</p>
        <label class="check">
          <input
            type="checkbox"
            data-testid="accept-video"
            checked={seen}
            onChange={(event) => setSeen(event.currentTarget.checked)}
          />
          {t("devices.videoseen")}
        </label>
        <label class="check">
          <input
            type="checkbox"
            data-testid="accept-alarm"
            checked={tested}
            onChange={(event) => setTested(event.currentTarget.checked)}
          />
          {t("devices.alarmtested")}
        </label>
        <label class="check">
          <input
            type="checkbox"
            data-testid="accept-position"
            checked={placed}
            onChange={(event) => setPlaced(event.currentTarget.checked)}
          />
          {t("devices.positionseen")}
        </label>
        <Field label={t("devices.notes")}>
          <textarea
            data-testid="accept-note"
            rows={2}
            maxLength={2000}
            value={note}
            onInput={(event) => setNote(event.currentTarget.value)}
          />
        </Field>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button
          type="submit"
          class="action main"
          data-testid="accept-submit"
          disabled={busy || !(seen || tested || placed)}
          title={seen || tested || placed ? undefined : t("devices.accept.need")}
        >
          <span class="label">{t("devices.accept")}</span>
        </button>
      </form>
    </Dialog>
  );
}

/** No picture without a reason: it is asked for first, and goes into the audit log. */
export function View({ row, onClose }: Omit<Props, "onDone">) {
  const [reason, setReason] = useState("");
  const [given, setGiven] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setGiven(reason.trim());
  };
  return (
    <Dialog title={row.name} testId="view-dialog" onClose={onClose}>
      {given ? (
        <>
          <LiveVideo camera={row.id} reason={given} />
          <p class="muted">{t("video.reason", { reason: given })}</p>
        </>
      ) : (
        <form onSubmit={submit}>
          <Field label={t("devices.reason.view")} hint={t("devices.reason.hint")}>
            <input
              data-testid="view-reason"
              value={reason}
              minLength={2}
              maxLength={300}
              required
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </Field>
          <button
            type="submit"
            class="action main"
            data-testid="view-submit"
            disabled={reason.trim().length < 2}
          >
            <span class="label">{t("devices.live")}</span>
          </button>
        </form>
      )}
    </Dialog>
  );
}
