import type { ServerMessage } from '../../contract/messages.ts';

/** What the hub has rung, what this machine has answered to, and the question that waits for its turn. */
export class Doorbell {
  /** The newest seq that a sync has answered to. */
  seq = 0;
  /** The newest seq that was rung. */
  rung = 0;
  /** How far the hub spread its machines when it last rang, milliseconds. */
  spreadMs = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly ask: () => void;
  private readonly random: () => number;

  /** @param ask called once the time to ask the hub has come */
  constructor(ask: () => void, random: () => number) {
    this.ask = ask;
    this.random = random;
  }

  /** @param takesParcels whether the hub may send what is new by itself */
  ring({ seq, spread_ms, parcel_ms }: Extract<ServerMessage, { type: 'doorbell' }>, takesParcels: boolean): void {
    this.spreadMs = Math.max(0, spread_ms);
    this.rung = Math.max(this.rung, seq);
    if (seq <= this.seq) return;
    // A ring that promises no parcel may come in the place of one.
    if (this.isWaiting && parcel_ms !== undefined) return;
    const patience = takesParcels ? Math.min(parcel_ms ?? 0, 60_000) : 0;
    this.stop();
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.ask();
      },
      patience + Math.max(0, Math.min(spread_ms, 600_000)) * this.random(),
    );
  }

  /** @returns whether a hub that stands there has gone back behind what it said before: it was restored, and counts on from there */
  wentBack(seq: number): boolean {
    if (seq >= this.seq) return false;
    this.seq = seq;
    this.rung = seq;
    return true;
  }

  get isWaiting(): boolean {
    return this.timer !== undefined;
  }

  /** What came by itself covers all up to `seq`: nothing older need be asked for. */
  brought(seq: number): void {
    if (seq >= this.rung) this.stop();
  }

  answered(seq: number): void {
    this.seq = Math.max(this.seq, seq);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
