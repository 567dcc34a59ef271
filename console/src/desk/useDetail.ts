// The open incident with its story and the units proposed: fetched, and fetched again when the feed speaks of it.

import { useEffect, useState } from "preact/hooks";
import { incidents as api } from "../api";
import type { IncidentDetail } from "../api/types";
import { arrivals, connection } from "../live";
import { useStore } from "../store";

const SETTLE_MS = 150;
/** Distances and ages of fixes change while one decides. */
const REFRESH_MS = 5000;

export interface Detail {
  detail: IncidentDetail | null;
  problem: string;
  retry(): void;
}

export function useDetail(id: string, deciding: boolean): Detail {
  const [detail, setDetail] = useState<IncidentDetail | null>(null);
  const [problem, setProblem] = useState("");
  const [asked, setAsked] = useState(0);
  const live = useStore(connection, (c) => c.state === "live");

  useEffect(() => {
    if (!id) return;
    const abort = new AbortController();
    void api.detail(id, abort.signal).then((result) => {
      if (result.kind === "success") {
        setDetail(result.value);
        setProblem("");
      } else if (result.kind === "error") setProblem(result.error.message);
    });
    return () => abort.abort();
  }, [id, asked, live]);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      if (!arrivals.get().includes(`incident:${id}`)) return;
      clearTimeout(timer);
      timer = setTimeout(() => setAsked((n) => n + 1), SETTLE_MS);
    };
    const stop = arrivals.subscribe(look);
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [id]);

  useEffect(() => {
    if (!deciding) return;
    const timer = setInterval(() => setAsked((n) => n + 1), REFRESH_MS);
    return () => clearInterval(timer);
  }, [deciding]);

  const own = detail?.incident.id === id ? detail : null;
  return { detail: own, problem, retry: () => setAsked((n) => n + 1) };
}
