// What this console has drawn, as told to the hub: new incidents at once (T2), and that its screen still moves.

export interface DrawnParts {
  /** Whether the hub took it. */
  send(rows: number, painted: number): Promise<boolean>;
  monotonic(): number;
  later(run: () => void, ms: number): () => void;
}

/** Between two words about new incidents. */
export const SOON_MS = 400;
/** Between two words that only say that the screen moves. */
export const CALM_MS = 5000;

export class Drawn {
  private rows = 0;
  private paintedUpTo = 0;
  private told = { rows: 0, painted: 0 };
  private lastAt = Number.NEGATIVE_INFINITY;
  private dueAt = Number.POSITIVE_INFINITY;
  private cancel: (() => void) | null = null;
  private sending = false;
  private news = false;

  constructor(private readonly parts: DrawnParts) {}

  /** Every incident opened up to entry `seq` has a row; `news`: one of them is waiting to be told. */
  shown(seq: number, news: boolean): void {
    this.rows = Math.max(this.rows, seq);
    if (this.rows <= this.told.rows) return;
    this.news ||= news;
    this.plan();
  }

  /** The screen was painted after entry `seq`, whatever page it shows. */
  painted(seq: number): void {
    this.paintedUpTo = Math.max(this.paintedUpTo, seq);
    if (this.paintedUpTo > this.told.painted) this.plan();
  }

  /** A snapshot: numbers may begin anew, in another log. */
  reset(): void {
    this.rows = 0;
    this.paintedUpTo = 0;
    this.told = { rows: 0, painted: 0 };
  }

  stop(): void {
    this.cancel?.();
    this.cancel = null;
    this.dueAt = Number.POSITIVE_INFINITY;
  }

  private plan(): void {
    if (this.sending) return;
    const at = Math.max(this.parts.monotonic(), this.lastAt + (this.news ? SOON_MS : CALM_MS));
    if (at >= this.dueAt) return;
    this.stop();
    this.dueAt = at;
    this.cancel = this.parts.later(() => void this.tell(), at - this.parts.monotonic());
  }

  private async tell(): Promise<void> {
    this.stop();
    const now = { rows: this.rows, painted: this.paintedUpTo };
    this.sending = true;
    this.news = false;
    this.lastAt = this.parts.monotonic();
    const taken = await this.parts.send(now.rows, now.painted);
    this.sending = false;
    if (taken) this.told = now;
    if (this.rows > this.told.rows || this.paintedUpTo > this.told.painted) this.plan();
  }
}
